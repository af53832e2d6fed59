/* par.h - threads, in two shapes.  Neither lets a result depend on the number of threads.
 *
 * par_for: a pool runs fn(ctx, i) for i in 0..n-1, each i once, in any order; the caller cuts the work
 * by its shape alone and lets no two i write the same place.
 * par_ordered: a pipeline read -> work -> write over blocks; work runs in parallel, write in the
 * order of read.
 */
#ifndef LIBCOMMON_BASE_PAR_H
#define LIBCOMMON_BASE_PAR_H

#include "libcommon/base/err.h"

struct par;

/* A pool of n threads, the caller's included; n >= 1. */
struct par *par_new(int n);
void par_free(struct par *p);
int par_threads(const struct par *p);
/* Returns when every i is done.  thread is 0..par_threads-1, for scratch.  Not reentrant. */
void par_for(struct par *p, long n, void (*fn)(void *ctx, long i, int thread), void *ctx);

struct par_ordered {
    /* Fill a block: 1 filled, 0 the end, -1 an error.  Called by one thread at a time, in order. */
    int (*read)(void *ctx, void *block, struct err *err);
    /* Transform it; many at once, on different blocks.  thread is 0..jobs-1. */
    int (*work)(void *ctx, void *block, int thread, struct err *err);
    /* Emit it; one at a time, in the order of read. */
    int (*write)(void *ctx, void *block, struct err *err);
    void *ctx;
    void **blocks; /* n_blocks of the caller's own kind, reused in turn */
    int n_blocks;  /* 2 x jobs serves well; at least 1 */
};

/* Run to the end: 0, or -1 with the first error in input order, everything before it written. */
int par_ordered(const struct par_ordered *p, int jobs, struct err *err);

#endif
