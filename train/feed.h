/* feed.h - a data set as the ranks of a job read it: each its own share of every batch, a run of sequences
 * in the order of the ranks.  A pipe is read by rank 0, which hands the rows on.  Every rank makes the same
 * calls. */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include "train/data.h"
#include "train/step.h"

struct feed {
    const struct comm *comm; /* borrowed; NULL: not open */
    struct data *data;       /* NULL where rows are handed on and this is not rank 0 */
    int64_t length;          /* of a sequence */
    char *parcel;            /* a row on its way, where rows are handed on; owned */
    struct data_row row;     /* within it */
};

/* -1 on every rank, where one cannot read it. */
int feed_open(struct feed *f, const struct comm *c, const struct data_options *o, struct err *err);
void feed_close(struct feed *f); /* a zeroed struct is fine */

/* Up to step_options.global_batch sequences from `first` on, this rank's into the batch of s: how many there
 * were on all ranks, 0 at the end, or when a signal came while a pipe was waited for (io_heed); or -1, as
 * comm_agree(). */
int64_t feed_batch(struct feed *f, struct step *s, uint64_t first, struct err *err);

#endif
