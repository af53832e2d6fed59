/* exec.h - run the programs of a model over a micro-batch: forward, backward.
 *
 * An exec owns the step arena, planned at creation; running allocates nothing. */
#ifndef TRAIN_EXEC_H
#define TRAIN_EXEC_H

#include "train/op.h"
#include "train/plan.h"

struct exec {
    struct plan plan;
    struct op_run run;  /* filled by the caller where exec_forward's comment says so */
    struct arena arena;
    char *stream;       /* [layers + 1] residual streams, then 2 gradients; or 2 streams */
    char *saved, *head_saved, *embed_saved, *work;
    float *rope;        /* [max_pos or more, head_dim] */
    int64_t rope_positions, rope_length;
    /* Told after the backward of each row of a program, from the last to row 0, which ends the program's share
     * in the gradients of its parameters; layer -1: head, embedding.  NULL: nobody. */
    void (*done)(void *ctx, int layer, int row);
    void *done_ctx;
};

/* For micro-batches of up to `rows` tokens in up to max_docs documents, positions below `positions`.
 * model and par are borrowed. */
void exec_init(struct exec *e, struct model *m, struct par *par, int64_t rows, int64_t max_docs, int64_t positions,
               bool train);
void exec_release(struct exec *e);

/* The caller has filled run.rows, ids, pos, n_docs, doc, cache and the head's fields.  `length` is the
 * number of tokens of the longest document, cached ones included (dynamic rope scaling asks). */
void exec_forward(struct exec *e, int64_t length);
/* After it, with run.dscale given: loss, and gradients added to the model's. */
void exec_backward(struct exec *e);

#endif
