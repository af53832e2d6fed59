/* comm.h - the ranks of a job and what they say to each other.
 *
 * Kinds, of one table: self, a process alone; mpi, the ranks that a launcher (mpirun) has started; shm, those of
 * them that are all on one machine, and have memory in common.  Every rank makes the same calls in the same
 * order.  Sums are taken in the order of the ranks, in double, and rounded once, so that a layout gives the same
 * bits each time and every rank the same ones, whatever the kind.
 *
 * Common memory: what lies in it is there once, each of `parts` ranks does its part of the work on it, then all
 * meet().  Where each rank has its own, it is part 0 of 1 and does the whole.
 */
#ifndef TRAIN_DIST_COMM_H
#define TRAIN_DIST_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"

struct comm {
    int rank, size;
    int local;       /* ranks on this machine */
    int part, parts; /* of the work on common memory */
    long root;       /* process of rank 0, where this is another on its machine; else 0 */
    const struct comm_table *table;
};

struct comm_table {
    const char *name;
    /* arena_reserve(), of the same size on every rank: common memory, or (once) memory of this rank in which
     * sums can be taken. */
    void (*reserve)(const struct comm *c, struct arena *a, size_t size, bool common);
    /* What the others have written to common memory is there. */
    void (*meet)(const struct comm *c);
    /* Begin to add up x[n] over the ranks, in place, n > 0, at the same place of memory for sums on each.  x is
     * the table's until sum_finish(), which ends all that were begun. */
    void (*sum_start)(const struct comm *c, float *x, int64_t n);
    void (*sum_finish)(const struct comm *c);
    /* While something else is computed: let those that were begun go on. */
    void (*sum_progress)(const struct comm *c);
    /* Add up a few numbers. */
    void (*sum)(const struct comm *c, double *x, int n);
    /* Rank 0's bytes to everyone. */
    void (*broadcast)(const struct comm *c, void *p, size_t n);
    /* To rank 0: behind its own n bytes at p come those of rank 1, of rank 2 ...; n may differ. */
    void (*gather)(const struct comm *c, void *p, size_t n);
    /* Rank 0 lets the others go, which wait for it: comm_join(). */
    void (*go)(const struct comm *c);
    /* Wait for another rank to end this process. */
    void (*wait_end)(const struct comm *c);
};

/* The process alone. */
extern const struct comm comm_self;

/* Join the job of the launcher whose variables are set; without one, comm_self.  The first thing a program
 * does: until rank 0 calls go() the others stay in here, and where it exits before, they exit with its
 * status and in silence, so that what is wrong with a command line is said once.  From go() on, a rank that
 * exits with a status other than 0 takes the job with it.  All use the instruction set (cpu.h) of the least of
 * them.  LMPIPE_COMM=mpi, for tests, keeps ranks of one machine from having memory in common. */
const struct comm *comm_join(void);

/* Did all go well everywhere?  rc of this rank is negative where it did not.  0: yes.  -1: on the lowest of the
 * ranks where it did not, which then says so and exits; the others do not come back. */
int comm_agree(const struct comm *c, int rc);

/* For the tables.  Where ranks have no memory in common: */
void comm_reserve(const struct comm *c, struct arena *a, size_t size, bool common);
void comm_pass(const struct comm *c);
/* to[..][i] = the sum of from[..][i] in their order. */
void comm_add(float *const *from, int n_from, float *const *to, int n_to, int64_t n);

/* For comm.c. */
extern const struct comm_table comm_mpi_table;
struct comm *comm_mpi_join(void);
/* Change the table, where it can be done on every rank. */
void comm_shm_join(struct comm *c);

#endif
