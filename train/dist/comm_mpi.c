/* comm_mpi.c - the ranks of an MPI job; the one file that knows MPI. */
#include <mpi.h>

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "train/dist/comm.h"

enum {
    PIECE = 1 << 20,   /* floats of a sum that travel together */
    SLOTS = 8,         /* pieces on their way at once */
    MESSAGE = 1 << 30, /* bytes at most: MPI counts in int */
};

/* A piece of a sum on its way: every rank adds up its slice of it, from all ranks, then gives it to all. */
struct slot {
    float *x, *parts; /* the piece; [size] times my slice */
    float **part;     /* [size] in parts */
    int *count, *at;  /* [size] of the slices in the piece */
    int *mine, *mine_at; /* [size] of my slice in parts */
    MPI_Request request;
    bool gathering;
};

static struct job {
    struct comm comm;
    MPI_Comm scatter, gather; /* the two halves of a sum: each keeps its own order */
    struct slot slot[SLOTS];
    unsigned first, n; /* slots in use, a ring */
    enum { OUTSIDE, WAITING, RUNNING } state;
} job;

static int *ints(int n)
{
    return xcalloc((size_t)n, sizeof(int));
}

static void start_slot(struct slot *s, float *x, int n)
{
    int size = job.comm.size, rank = job.comm.rank;

    s->x = x;
    s->gathering = false;
    for (int r = 0; r < size; r++) {
        s->at[r] = (int)((int64_t)n * r / size);
        s->count[r] = (int)((int64_t)n * (r + 1) / size) - s->at[r];
    }
    for (int r = 0; r < size; r++) {
        s->mine[r] = s->count[rank];
        s->mine_at[r] = r * s->count[rank];
    }
    MPI_Ialltoallv(x, s->count, s->at, MPI_FLOAT, s->parts, s->mine, s->mine_at, MPI_FLOAT, job.scatter, &s->request);
}

/* My slice has come from every rank. */
static void add_slot(struct slot *s)
{
    float *x = s->x + s->at[job.comm.rank];

    for (int r = 0; r < job.comm.size; r++)
        s->part[r] = s->parts + s->mine_at[r];
    comm_add(s->part, job.comm.size, &x, 1, s->count[job.comm.rank]);
    s->gathering = true;
    MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, s->x, s->count, s->at, MPI_FLOAT, job.gather, &s->request);
}

/* Take what is on its way as far as it goes, slices in order: the ranks must begin them in the same one. */
static void sum_progress(const struct comm *c)
{
    (void)c;
    for (unsigned i = 0; i < job.n; i++) {
        struct slot *s = &job.slot[(job.first + i) % SLOTS];
        int done;

        MPI_Test(&s->request, &done, MPI_STATUS_IGNORE);
        if (done && !s->gathering)
            add_slot(s);
        else if (!done && !s->gathering)
            return;
    }
}

static void finish_first(void)
{
    struct slot *s = &job.slot[job.first];

    for (bool was_gathering = false; !was_gathering;) {
        MPI_Wait(&s->request, MPI_STATUS_IGNORE);
        was_gathering = s->gathering;
        if (!was_gathering)
            add_slot(s);
    }
    job.first = (job.first + 1) % SLOTS;
    job.n--;
}

static void sum_start(const struct comm *c, float *x, int64_t n)
{
    for (int64_t at = 0; at < n && c->size > 1; at += PIECE) {
        sum_progress(c);
        if (job.n == SLOTS)
            finish_first();
        start_slot(&job.slot[(job.first + job.n++) % SLOTS], x + at, (int)(at + PIECE < n ? PIECE : n - at));
    }
}

static void sum_finish(const struct comm *c)
{
    while (job.n) {
        sum_progress(c);
        finish_first();
    }
}

static void sum(const struct comm *c, double *x, int n)
{
    double *all = xmalloc((size_t)n * (size_t)c->size * sizeof *all);

    MPI_Allgather(x, n, MPI_DOUBLE, all, n, MPI_DOUBLE, MPI_COMM_WORLD);
    for (int i = 0; i < n; i++) {
        x[i] = 0;
        for (int r = 0; r < c->size; r++)
            x[i] += all[r * n + i];
    }
    free(all);
}

static int message(size_t n)
{
    return n < MESSAGE ? (int)n : MESSAGE;
}

static void broadcast(const struct comm *c, void *p, size_t n)
{
    (void)c;
    for (size_t at = 0; at < n; at += MESSAGE)
        MPI_Bcast((char *)p + at, message(n - at), MPI_BYTE, 0, MPI_COMM_WORLD);
}

static void gather(const struct comm *c, void *p, size_t n)
{
    char *to = p;
    uint64_t size = n;

    if (c->rank) {
        MPI_Send(&size, 1, MPI_UINT64_T, 0, 0, MPI_COMM_WORLD);
        for (size_t at = 0; at < n; at += MESSAGE)
            MPI_Send(to + at, message(n - at), MPI_BYTE, 0, 0, MPI_COMM_WORLD);
        return;
    }
    for (int r = 1; r < c->size; r++) {
        to += size;
        MPI_Recv(&size, 1, MPI_UINT64_T, r, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        for (size_t at = 0; at < size; at += MESSAGE)
            MPI_Recv(to + at, message(size - at), MPI_BYTE, r, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    }
}

/* Rank 0 says how it goes on: -1, or an exit status. */
static void go(const struct comm *c)
{
    int status = -1;

    (void)c;
    if (job.state == WAITING)
        MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
    job.state = RUNNING;
    if (status >= 0) {
        MPI_Finalize();
        _exit(status);
    }
}

static void wait_end(const struct comm *c)
{
    (void)c;
    signal(SIGTERM, SIG_DFL);
    for (;;)
        pause();
}

/* Every exit, die()'s too, comes here. */
static void leave(int status, void *unused)
{
    (void)unused;
    if (status != 0 && (job.state == RUNNING || job.comm.rank))
        MPI_Abort(MPI_COMM_WORLD, status);
    if (job.state == WAITING)
        MPI_Bcast(&status, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (job.state != OUTSIDE)
        MPI_Finalize();
    job.state = OUTSIDE;
}

const struct comm_table comm_mpi_table = {
    .name = "mpi",
    .reserve = comm_reserve,
    .meet = comm_pass,
    .sum_start = sum_start,
    .sum_finish = sum_finish,
    .sum_progress = sum_progress,
    .sum = sum,
    .broadcast = broadcast,
    .gather = gather,
    .go = go,
    .wait_end = wait_end,
};

static void open_slots(void)
{
    int size = job.comm.size;

    MPI_Comm_dup(MPI_COMM_WORLD, &job.scatter);
    MPI_Comm_dup(MPI_COMM_WORLD, &job.gather);
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &job.slot[i];

        s->parts = xmalloc((size_t)size * (size_t)(PIECE / size + 1) * sizeof *s->parts);
        s->part = xcalloc((size_t)size, sizeof *s->part);
        s->count = ints(size);
        s->at = ints(size);
        s->mine = ints(size);
        s->mine_at = ints(size);
    }
}

struct comm *comm_mpi_join(void)
{
    int provided;
    MPI_Comm machine;

    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &job.comm.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &job.comm.size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine);
    MPI_Comm_size(machine, &job.comm.local);
    MPI_Comm_free(&machine);
    job.comm.parts = 1;
    job.comm.table = &comm_mpi_table;
    open_slots();
    job.state = WAITING;
    on_exit(leave, NULL);
    return &job.comm;
}
