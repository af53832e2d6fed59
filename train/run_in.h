/* run_in.h - what the files of a run share: run_open.c opens it, run.c runs it. */
#ifndef TRAIN_RUN_IN_H
#define TRAIN_RUN_IN_H

#include "train/ckpt.h"
#include "train/dump.h"
#include "train/feed.h"
#include "train/lr.h"
#include "train/metrics.h"
#include "train/run.h"
#include "train/step.h"

struct run {
    const struct run_options *o;
    const struct comm *comm;
    char *checkpoint; /* that it goes on from, or NULL; owned */
    char *tokenizer;  /* directory whose files go into checkpoints, or NULL; on rank 0; owned */
    struct model m;
    struct par *par;
    struct step step;
    struct feed train, valid; /* valid: perhaps not open */
    struct lr lr;
    struct metrics *metrics; /* on rank 0; NULL without out= */
    struct dump dump;
    struct ckpt_state state;
    int64_t eval_iters, eval_interval; /* as told, or by default */
    int64_t saved;           /* step of the last checkpoint */
    double flops;            /* of one trained token, as a share of what all threads do in a second at most */
};

/* The columns of metrics.tsv behind "step". */
extern const char *const run_columns[];

/* A line for the user, from rank 0, unless the run is quiet. */
void run_say(const struct run *r, const char *fmt, ...) ERR_PRINTF(2, 3);
/* The same of what may not be what was meant, by o->warn. */
void run_doubt(const struct run *r, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Open all that r->o names; what can be refused is refused here, before the first step.  run_close() in any
 * case. */
int run_open(struct run *r, struct err *err);
void run_close(struct run *r);

#endif
