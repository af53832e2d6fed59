/* dump.h - what a step computed, for comparison with other programs: DIR/step_%06d.safetensors holds
 * input_ids [sequences, length] (i64), logits [sequences, length, vocab], loss and grad_norm [1], and of every
 * published tensor grad.NAME (before clipping) and after.NAME (once the step is done).  Rank 0 writes the whole
 * batch; every rank makes the same calls. */
#ifndef TRAIN_DUMP_H
#define TRAIN_DUMP_H

#include "train/step.h"

struct dump {
    const char *dir; /* borrowed */
    float *logits;   /* of a whole batch, on other ranks than 0 of their share; owned */
    int32_t *ids;    /* likewise */
    int64_t step, n; /* n: sequences of the whole batch */
};

/* Make dir where it is missing. */
int dump_open(struct dump *d, const char *dir, const struct step *s, struct err *err);
void dump_close(struct dump *d); /* a zeroed struct is fine */
/* Before the update of step number t: run the batch, of n sequences in all, for its logits. */
void dump_forward(struct dump *d, struct step *s, int64_t t, int64_t n);
/* After it: write the file, on rank 0. */
int dump_write(const struct dump *d, const struct step *s, double loss, double grad_norm, struct err *err);

#endif
