/* step.h - one step of training: a global batch of sequences, run as micro-batches, to a loss and
 * gradients, then the optimiser; and the same batch scored without gradients.
 *
 * Losses are weighted before they are run, since the data tell how many tokens count (ref: DESIGN.md
 * core 4): per token, each counts 1 / (tokens of the global batch); else Megatron's mean of means, each
 * counts 1 / (tokens of its micro-batch x micro-batches).
 * A batch lies on the ranks of a job, each has its share of the sequences; counts, losses and gradients are added
 * up over the ranks, so that results and weights are the same on each.
 * After step_init() nothing is allocated.
 */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include "train/data.h"
#include "train/dist/comm.h"
#include "train/exec.h"
#include "train/optim.h"

struct step_options {
    const struct comm *comm; /* borrowed */
    int64_t length;          /* positions of a sequence */
    int64_t micro_batch;     /* sequences run at once */
    int64_t global_batch;    /* sequences of a step at most, on all ranks: a multiple of their number */
    bool per_token;
    struct optim_options optim;
};

struct step {
    struct model *m;   /* borrowed */
    struct par *par;   /* borrowed */
    struct step_options opt;
    struct exec exec;
    struct optim optim;
    /* This rank's share of the batch: sequences side by side, [global_batch / ranks * length] each. */
    int64_t n;
    int32_t *ids, *target, *pos;
    uint8_t *counts;
    int64_t *doc;      /* first positions of documents, counted from the first of the batch */
    int64_t *doc_of;   /* [global_batch / ranks + 1]: documents before sequence i */
    float *dscale, *loss; /* of one micro-batch */
    int64_t *micro_doc;
    int open;          /* gradients of the parameters before it are not complete yet */
    struct arena arena;
};

struct step_result {
    double loss;      /* mean as the options say */
    double sum;       /* of the losses of the tokens that count */
    uint64_t tokens;  /* that count */
};

/* Bytes of memory that step_init() will reserve for the ranks of this machine, the model's weights and gradients
 * counted. */
double step_memory(const struct model *m, const struct step_options *opt, int threads);

/* m and par are borrowed; m gets gradients. */
void step_init(struct step *s, struct model *m, struct par *par, const struct step_options *opt);
void step_release(struct step *s);

/* Empty the batch; the place of its next sequence, for data_get() to fill; and take it in. */
void step_clear(struct step *s);
struct data_row step_slot(struct step *s);
void step_take(struct step *s, const struct data_row *row);

/* Gradients of the batch into m->g. */
struct step_result step_gradients(struct step *s);
/* The optimiser's step number t (from 1); the norm of the gradients before clipping. */
double step_update(struct step *s, int64_t t, double lr);
/* The batch's loss alone. */
struct step_result step_score(struct step *s);
/* Logits of all positions of sequence i, [length, vocab]. */
void step_logits(struct step *s, int64_t i, float *logits);

#endif
