/* run.h - a training run from its options to its last checkpoint, alone or as one rank of a job. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"

/* The keys of lmrun.conf(5), under Megatron-LM's names where it has one.  Strings are borrowed.  Not given, so that
 * one without effect can be told: split NULL, eval_iters -1, eval_interval 0. */
struct run_options {
    const char *model, *tokenizer, *data, *valid, *split, *out, *resume, *dump;
    int64_t seq_length, micro_batch_size, global_batch_size, train_iters;
    int64_t lr_warmup_iters, lr_decay_iters, lr_wsd_decay_iters;
    int64_t save_interval, eval_interval, eval_iters, keep, seed, threads; /* threads: at least 1 */
    double lr, min_lr, weight_decay, adam_beta1, adam_beta2, adam_eps, clip_grad;
    int lr_decay_style, lr_wsd_decay_style; /* enum lr_style, lr_wsd_style */
    int data_order;                         /* enum data_order */
    bool calculate_per_token_loss, full_validation;
    /* Not keys: */
    const struct comm *comm;               /* run_join()'s; NULL: alone */
    const char *conf;                      /* the resolved run.conf, text, kept beside checkpoints */
    volatile sig_atomic_t *stop;           /* not 0, on any rank: save and stop after this step; set on all */
    void (*warn)(const char *message);     /* what a user should know: a damaged checkpoint passed over, say; rank 0 */
    void (*line)(const char *text);        /* one a step; NULL: none; rank 0 */
};

struct comm;

/* The first call of a program: become a rank of the job of the launcher that has started it, where one has.
 * Ranks other than 0 come back when rank 0 is in run_train(), and end as it does where it exits before.
 * *root: the process of rank 0, which may be waiting for bytes of a pipe while this rank waits for it, if it is
 * another and on this machine; else 0. */
const struct comm *run_join(long *root);

/* Fill in what follows from other keys and check what can be checked without opening a file. */
int run_resolve(struct run_options *o, struct err *err);
/* Threads of this rank, of those that there are on its machine. */
int64_t run_threads(const struct run_options *o, int64_t machine);

/* Train.  0: all steps are done, or the data ended, or *stop was set; -1: an error, and the last
 * checkpoint is what it was.  An error is returned on one rank, whose exit with a status other than 0 ends the
 * others, which do not come back. */
int run_train(const struct run_options *o, struct err *err);

#endif
