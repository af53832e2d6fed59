/* op.h - the operations that programs are made of, one table row each (ref: DESIGN.md 4.3).
 *
 * forward() and backward() cut the work into slices by shape alone and run kernels on the pool.
 * Activations are matrices [rows, cols], rows being the tokens of a micro-batch, whole documents after
 * each other.
 */
#ifndef TRAIN_OP_H
#define TRAIN_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/par.h"
#include "train/arch.h"
#include "train/kernel/kernel.h"

enum op_id { OP_NONE, OP_EMBED, OP_NORM, OP_LINEAR, OP_SPLIT, OP_ROPE, OP_ATTEND, OP_GLU, OP_ACT, OP_ADD, OP_HEADLOSS, OP_COUNT };

struct model;

/* Keys and values of earlier tokens, a slot a document of the batch.  Rows are kv_heads x head_dim wide. */
struct op_cache {
    float **k, **v;  /* [layers]: [slots, capacity, width] */
    int64_t capacity;
    int64_t *past;   /* [documents of this batch] tokens already held */
    int32_t *slot;   /* [documents of this batch] */
};

/* One forward (and backward) pass over a micro-batch; everything is borrowed. */
struct op_run {
    const struct config *config;
    struct model *model;
    const struct kernels *k;
    struct par *par;
    int64_t rows;
    const int32_t *ids, *pos; /* [rows] token; position within its document */
    int64_t n_docs;
    const int64_t *doc;       /* [n_docs + 1] first row of each document */
    const float *rope;        /* [positions, head_dim], rope.h */
    struct op_cache *cache;   /* generation; else NULL */
    /* The head: rows to compute (NULL: all of them), what to compute. */
    const int32_t *head_row;
    int64_t n_head_rows;
    const int32_t *target;    /* [head rows], or NULL: logits only */
    const float *dscale;      /* [head rows] weight of each row's loss in the gradient; training only */
    float *loss;              /* [head rows] out */
    float *logits;            /* [head rows, vocab] out, or NULL: never stored whole */
    /* Work space of the plan. */
    char *scratch;            /* threads x KERNEL_SCRATCH */
    float *tile;              /* [tile_rows, vocab] logits, and the rows they come from [tile_rows, hidden] */
    int64_t tile_rows;
    float *partial;           /* OP_PARTIAL floats and more: plan.h */
    int64_t *blocks;          /* attention slices, (document, first row) pairs */
};

/* What one row of a program works on. */
struct op_args {
    const struct arch_row *row;
    int layer;
    struct kernel_mat out[ARCH_OUT], in[ARCH_IN];
    int64_t out_cols[ARCH_OUT], in_cols[ARCH_IN];
    struct kernel_mat d_out[ARCH_OUT], d_in[ARCH_IN]; /* backward */
    bool acc[ARCH_IN];                                /* d_in holds a contribution already */
};

enum { OP_KEEP_OUT = 1, OP_KEEP_IN = 8 }; /* bits of `keeps`: out i is 1 << i, in i is 8 << i */

struct op {
    const char *name;
    /* Columns of each output, from those of the inputs and the parameters. */
    void (*shape)(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out);
    void (*forward)(struct op_run *run, const struct op_args *a);
    void (*backward)(struct op_run *run, const struct op_args *a);
    unsigned keeps;   /* values that backward reads */
    bool in_place;    /* out[0] may take the storage of an input of its size that nobody needs any more */
    bool views;       /* outputs are columns of in[0], side by side: nothing is computed */
    bool grad_shares; /* the gradient of an input may take the storage of out[0]'s */
    bool aux;         /* out[1] holds statistics: no gradient */
    /* Floating-point operations of forward for one row, `context` keys visible to it on average. */
    double (*flops)(const struct config *c, const struct arch_row *r, double context);
};

extern const struct op op_table[OP_COUNT];

/* The larger ops have files of their own: op_attend.c, op_head.c. */
void op_attend_shape(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out);
void op_attend_forward(struct op_run *run, const struct op_args *a);
void op_attend_backward(struct op_run *run, const struct op_args *a);
double op_attend_flops(const struct config *c, const struct arch_row *r, double context);
void op_head_shape(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out);
void op_head_forward(struct op_run *run, const struct op_args *a);
void op_head_backward(struct op_run *run, const struct op_args *a);

/* C = op(A) op(B) + beta C on the pool, cut into pieces of rows x cols; these, `k` and `scratch` are filled in. */
struct op_product {
    const struct kernels *k;
    bool ta, tb;
    int64_t m, n, depth, rows, cols;
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
    float beta;
    char *scratch;
};
void op_multiply(struct op_run *run, struct op_product p);

/* Rows of a slice of row-wise ops of that width; attention's queries a slice. */
int64_t op_grain(int64_t cols);
enum { OP_QUERIES = 128, OP_NORM_ROWS = 64 };

#endif
