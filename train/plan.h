/* plan.h - where every value and gradient of a step lives, decided once by walking the programs.
 *
 * Training keeps what backward reads (op.h `keeps`) a layer; everything else shares scratch by life
 * time.  All layers run one program, so one plan serves them.  Values are [rows, cols] matrices.
 */
#ifndef TRAIN_PLAN_H
#define TRAIN_PLAN_H

#include <stddef.h>

#include "train/model.h"
#include "train/op.h"

enum plan_where {
    PLAN_NOWHERE,
    PLAN_INPUT,   /* the previous program's result */
    PLAN_RESULT,  /* handed on */
    PLAN_SAVED,   /* this layer's own, until its backward */
    PLAN_SCRATCH, /* shared */
};

/* Where value v stands: columns [col, col + cols) of a matrix of ld columns. */
struct plan_place {
    enum plan_where where;
    size_t offset; /* bytes within SAVED or SCRATCH */
    int64_t ld, col;
};

struct plan_program {
    const struct arch_program *program;
    int64_t cols[ARCH_VALUES];
    struct plan_place value[ARCH_VALUES];
    struct plan_place grad[ARCH_VALUES]; /* INPUT / RESULT: the gradient handed down / received */
    bool grad_in_place;                  /* the gradient of VALUE_X stands where the result's stood */
    size_t saved, scratch;               /* bytes */
};

struct plan {
    int64_t rows;          /* largest micro-batch */
    int64_t max_docs;
    bool train;
    struct plan_program embed, layer, head;
    int64_t tile_rows;     /* of the head's logits */
    size_t stream;         /* bytes of one residual stream [rows, hidden] */
    size_t rope;           /* bytes of its table */
    size_t total;          /* bytes of the whole step arena */
};

/* Plan micro-batches of up to `rows` tokens in up to max_docs documents, positions below `positions`. */
void plan_make(struct plan *p, const struct config *c, int64_t rows, int64_t max_docs, int64_t positions, int threads,
               bool train);

/* Floating-point operations of a token's forward pass with `context` keys visible to it (the convention of
 * published figures: the whole row, as if nothing were masked; windows count): two a weight of every
 * product and four a dimension of every visible key.  A training step is three times that. */
double plan_flops(const struct config *c, double context);

#endif
