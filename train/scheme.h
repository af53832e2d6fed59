/* scheme.h - what files of a naming scheme hold: for each tensor which rows and columns of which parameters.
 *
 * A published tensor, of one tensor parallel rank and one pipeline stage, is built of runs: rectangles of the
 * canonical parameters (arch.h) in the order of the file.  Loading, saving and converting from any scheme to
 * any other is gathering the runs of one tensor from wherever another scheme has them.
 * Sources: megatron/core/tensor_parallel/layers.py, transformer/attention.py, transformer/mlp.py.
 */
#ifndef TRAIN_SCHEME_H
#define TRAIN_SCHEME_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "train/arch.h"

/* A part of the model's layers that stands in files of its own: all of it in HF's; a pipeline stage (or a virtual
 * one) in Megatron's, where layers count from 0 in each. */
struct scheme_stage {
    int64_t first, layers;
    bool embed, head; /* the first one has the embedding, the last one final norm and head */
};

struct scheme_grid {
    int tp;        /* tensor parallel ranks */
    int64_t vocab; /* rows of embedding and head, padding included, of all ranks */
    bool no_prefix;
};

enum { SCHEME_PARTS = 4 };

struct scheme_tensor {
    const char *name, *other; /* other: a second spelling, or NULL */
    int layer;                /* of the model; -1: outside */
    int rank;
    int64_t shape[2];         /* of this rank's; [1] is 1 of a vector */
    bool tied;                /* a copy of what another tensor holds: of the embedding, as the head */
    bool absent;              /* of those: no file need have it */
    /* what it is built of */
    struct scheme_part {
        enum arch_param_id param;
        int64_t row, rows; /* of the parameter, in this rank */
    } part[SCHEME_PARTS];
    int n;
    int64_t col, cols;   /* of every part's parameter */
    int64_t groups, pad; /* interleaved so many times; rows behind that are copies of the parameter's last */
    bool transposed;
};

/* Rows [row, row + rows) and columns [col, col + cols) of a parameter; row by row they stand in the file. */
struct scheme_run {
    enum arch_param_id param;
    int layer;
    int64_t row, rows, col, cols;
};

struct scheme_list {
    struct scheme_tensor *tensor; /* in the order of the scheme's table: embedding, layers, final norm, head */
    int n;
    struct arena arena; /* owns the names */
};

/* Can the model be cut so?  Else an error that names both numbers. */
int scheme_check(const struct config *c, int64_t tp, int64_t pp, struct err *err);

/* The tensors of the files of one rank and one stage. */
void scheme_walk(struct scheme_list *l, const struct config *c, const struct arch_scheme *s, const struct scheme_grid *g,
                 int rank, const struct scheme_stage *stage);
void scheme_free(struct scheme_list *l); /* a zeroed struct is fine */

/* The runs of a tensor in the file's order: how many, and each. */
int64_t scheme_runs(const struct scheme_tensor *t);
struct scheme_run scheme_run(const struct scheme_tensor *t, int64_t i);

/* Where element (row, col) of a parameter stands in tensor t: false when it does not.  From there `rows` rows and
 * `cols` columns go on side by side, along the axes 0 and 1 of t, or 1 and 0 where it is transposed. */
struct scheme_place {
    int64_t at[2]; /* in t */
    int64_t rows, cols;
};
bool scheme_find(const struct scheme_tensor *t, enum arch_param_id param, int64_t row, int64_t col, struct scheme_place *p);

/* Is it a name of a buffer that is no parameter? */
bool scheme_ignores(const struct arch_scheme *s, const char *name);

/* Of a name of the scheme that belongs to a layer its number; else -1. */
int64_t scheme_layer(const struct arch_scheme *s, const char *name);

#endif
