/* comm.h - the ranks of a job and what they say to each other.
 *
 * Two kinds, of one table: self, a process alone; mpi, the ranks that a launcher (mpirun) has started.  Every
 * rank makes the same calls in the same order.  Sums are taken in the order of the ranks, in double, and
 * rounded once, so that a layout gives the same bits each time and every rank the same ones.
 */
#ifndef TRAIN_DIST_COMM_H
#define TRAIN_DIST_COMM_H

#include <stddef.h>
#include <stdint.h>

struct comm {
    int rank, size;
    int local; /* ranks on this machine */
    const struct comm_table *table;
};

struct comm_table {
    const char *name;
    /* Begin to add up x[n] over the ranks, in place.  x is the table's until sum_finish(), which ends all that
     * were begun. */
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
    /* Rank 0 lets the others go: comm_join(). */
    void (*go)(const struct comm *c);
    /* Wait for another rank to end this process. */
    void (*wait_end)(const struct comm *c);
};

/* The process alone. */
extern const struct comm comm_self;

/* Join the job of the launcher whose variables are set; without one, comm_self.  The first thing a program
 * does: until rank 0 calls go() the others stay in here, and where it exits before, they exit with its
 * status and in silence, so that what is wrong with a command line is said once.  From go() on, a rank that
 * exits with a status other than 0 takes the job with it. */
const struct comm *comm_join(void);

/* Did all go well everywhere?  rc of this rank is negative where it did not.  0: yes.  -1: on the lowest of the
 * ranks where it did not, which then says so and exits; the others do not come back. */
int comm_agree(const struct comm *c, int rc);

/* For comm.c. */
const struct comm *comm_mpi_join(void);

#endif
