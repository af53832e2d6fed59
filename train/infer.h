/* infer.h - a session over a loaded model: several sequences at once, each with its keys and values.
 *
 * One call feeds new tokens of several sequences, prompts and single tokens alike; they run as packed
 * documents of one micro-batch, or of several where they do not fit.  Wanted are the logits of each
 * sequence's last token (generation), or log-probabilities of given targets (scoring), which are never
 * stored as logits.  All memory is reserved at the start and touched by use.
 *
 * Rope scaling that depends on the length of the input (dynamic NTK) takes it as all that the sequence
 * holds at the end of the call; keys stay as they were rotated (transformers' way).
 */
#ifndef TRAIN_INFER_H
#define TRAIN_INFER_H

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/par.h"
#include "train/exec.h"
#include "train/model.h"

struct infer_options {
    int64_t rows;     /* of a micro-batch */
    int64_t slots;    /* sequences at once */
    int64_t capacity; /* tokens of a sequence */
    bool cached;      /* keep keys and values; else a call holds whole sequences of `rows` tokens together */
};

struct infer {
    struct infer_options o;
    struct exec exec;
    struct op_cache cache;
    int64_t *held;    /* [slots] tokens so far */
    float *logits;    /* [slots, vocab] */
    /* The micro-batch. */
    int32_t *ids, *pos, *head_row, *target; /* [rows] */
    float *loss;                            /* [rows] */
    float **loss_at;                        /* [rows] where each goes */
    int64_t *doc;                           /* [slots + 1] */
    int64_t n_heads, n_logits;
    struct arena arena;
};

/* What one sequence gets in a call. */
struct infer_seq {
    int32_t slot;         /* each at most once a call */
    const int32_t *ids;   /* [n] new tokens */
    int64_t n;
    const int32_t *target; /* [n], or NULL; -1: nothing to score */
    float *loss;           /* [n] out: -log p(target[i] | tokens up to i), where there is a target */
    const float *logits;   /* out, without targets: [vocab] of the last token, borrowed until the next call */
};

/* Tokens that a sequence of this model can have: learned positions end. */
int64_t infer_positions(const struct model *m);

/* -1 when an id is not below the vocabulary; names the place. */
int infer_check(const struct model *m, const int32_t *ids, int64_t n, struct err *err);

/* model and par are borrowed.  -1: learned positions or memory do not reach that far. */
int infer_init(struct infer *s, struct model *m, struct par *par, const struct infer_options *o, struct err *err);
void infer_release(struct infer *s);

/* Run them; all with targets or all without.  -1, before anything ran: a token outside the vocabulary, a
 * sequence beyond its capacity. */
int infer_feed(struct infer *s, struct infer_seq *seq, int n, struct err *err);

/* A new sequence begins in the slot. */
void infer_clear(struct infer *s, int32_t slot);

#endif
