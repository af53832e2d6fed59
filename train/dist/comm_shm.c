/* comm_shm.c - ranks of one machine.  Memory for sums is one mapping, in which each rank reaches what the others
 * have: it adds up its slice of all of them and writes the total to each.  What one waits for is a count that
 * another makes go up. */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/err.h"
#include "libcommon/base/mem.h"
#include "train/dist/comm.h"

enum {
    SUMS = 64,    /* begun at once */
    CELLS = 8,    /* numbers that are added up at once */
    SPINS = 2000, /* some 20 us, then sleep: the other may need this core */
    LINE = 16,    /* floats: slices share no line of memory */
};

enum what { STARTED, ADDED, MET, WHATS };

/* What a rank shows to the others; zero to begin with. */
struct seat {
    struct count {
        _Alignas(ARENA_ALIGN) uint32_t n; /* atomic, as is sleepers; wraps round */
        uint32_t sleepers;
    } count[WHATS];
    double cell[2][CELLS];
};

static struct node {
    struct comm_table table;
    struct seat *seat;  /* [size] */
    char *own;          /* memory for sums: [size] of `stride` bytes */
    size_t stride;
    float **slice;      /* [size] of a sum, one on each rank; owned */
    float *x[SUMS];     /* the sums, a ring */
    int64_t n[SUMS];
    uint32_t begun, added; /* how many, as the counts of this rank say */
} node;

static bool has_reached(const struct count *c, uint32_t n)
{
    return (int32_t)(__atomic_load_n(&c->n, __ATOMIC_ACQUIRE) - n) >= 0;
}

static void wait_for(struct count *c, uint32_t n)
{
    for (int i = 0; i < SPINS; i++) {
        if (has_reached(c, n))
            return;
        cpu_relax();
    }
    __atomic_fetch_add(&c->sleepers, 1, __ATOMIC_SEQ_CST);
    for (uint32_t now; now = __atomic_load_n(&c->n, __ATOMIC_SEQ_CST), (int32_t)(now - n) < 0;)
        syscall(SYS_futex, &c->n, FUTEX_WAIT, now, NULL, NULL, 0);
    __atomic_fetch_sub(&c->sleepers, 1, __ATOMIC_RELAXED);
}

static bool have_all(const struct comm *c, enum what what, uint32_t n)
{
    for (int r = 0; r < c->size; r++)
        if (!has_reached(&node.seat[r].count[what], n))
            return false;
    return true;
}

static void wait_for_all(const struct comm *c, enum what what, uint32_t n)
{
    for (int r = 0; r < c->size; r++)
        wait_for(&node.seat[r].count[what], n);
}

/* The new count. */
static uint32_t advance(const struct comm *c, enum what what)
{
    struct count *mine = &node.seat[c->rank].count[what];
    uint32_t n = __atomic_add_fetch(&mine->n, 1, __ATOMIC_SEQ_CST);

    if (__atomic_load_n(&mine->sleepers, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &mine->n, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    return n;
}

static void meet(const struct comm *c)
{
    wait_for_all(c, MET, advance(c, MET));
}

/* A file of rank 0, and that no other is meant. */
struct offer {
    pid_t pid;
    int fd;
    dev_t dev;
    ino_t ino;
};

static struct offer make_file(size_t size)
{
    struct offer o = { .pid = getpid(), .fd = memfd_create("lmpipe", MFD_CLOEXEC) };
    struct stat st = { 0 };

    if (o.fd >= 0 && (ftruncate(o.fd, (off_t)size) < 0 || fstat(o.fd, &st) < 0)) {
        close(o.fd);
        o.fd = -1;
    }
    o.dev = st.st_dev;
    o.ino = st.st_ino;
    return o;
}

static int open_file(const struct offer *o)
{
    char path[64];
    struct stat st;
    int fd;

    if (o->fd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", (long)o->pid, o->fd);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != o->dev || st.st_ino != o->ino)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The same `size` bytes on every rank, zero; NULL on every rank where one cannot have them. */
static void *map(const struct comm *c, size_t size)
{
    struct offer o = { 0 };
    double failed;
    void *p = MAP_FAILED;
    int fd;

    if (c->rank == 0)
        o = make_file(size);
    comm_mpi_table.broadcast(c, &o, sizeof o);
    fd = c->rank ? open_file(&o) : o.fd;
    if (fd >= 0)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    failed = p == MAP_FAILED;
    comm_mpi_table.sum(c, &failed, 1);
    if (fd >= 0)
        close(fd);
    if (failed > 0 && p != MAP_FAILED)
        munmap(p, size);
    return failed > 0 ? NULL : p;
}

static void reserve(const struct comm *c, struct arena *a, size_t size, bool common)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p;

    size = (size + page - 1) & ~(page - 1);
    p = map(c, common ? size : size * (size_t)c->size);
    if (!p)
        die("out of memory: %zu bytes in common", size);
    if (!common) {
        node.own = p;
        node.stride = size;
        p += size * (size_t)c->rank;
    }
    arena_adopt(a, p, size);
}

/* My slice of the next sum, once every rank has begun it. */
static void add_next(const struct comm *c)
{
    int64_t n = node.n[node.added % SUMS], lines = (n + LINE - 1) / LINE;
    int64_t first = lines * c->rank / c->size * LINE, end = lines * (c->rank + 1) / c->size * LINE;
    char *mine = (char *)(node.x[node.added % SUMS] + first);

    for (int r = 0; r < c->size; r++)
        node.slice[r] = (float *)(void *)(mine + (ptrdiff_t)node.stride * (r - c->rank));
    wait_for_all(c, STARTED, node.added + 1);
    comm_add(node.slice, c->size, node.slice, c->size, (end < n ? end : n) - first);
    node.added = advance(c, ADDED);
}

static void sum_progress(const struct comm *c)
{
    while (node.added != node.begun && have_all(c, STARTED, node.added + 1))
        add_next(c);
}

static void sum_start(const struct comm *c, float *x, int64_t n)
{
    if (node.begun - node.added == SUMS)
        add_next(c);
    node.x[node.begun % SUMS] = x;
    node.n[node.begun % SUMS] = n;
    node.begun = advance(c, STARTED);
    sum_progress(c);
}

static void sum_finish(const struct comm *c)
{
    while (node.added != node.begun)
        add_next(c);
    wait_for_all(c, ADDED, node.begun);
}

/* A rank is at most one meeting ahead of the others: two rooms of cells are enough. */
static void sum(const struct comm *c, double *x, int n)
{
    for (int at = 0; at < n; at += CELLS) {
        int here = n - at < CELLS ? n - at : CELLS;
        uint32_t room = node.seat[c->rank].count[MET].n % 2;

        memcpy(node.seat[c->rank].cell[room], x + at, (size_t)here * sizeof *x);
        meet(c);
        memset(x + at, 0, (size_t)here * sizeof *x);
        for (int r = 0; r < c->size; r++)
            for (int i = 0; i < here; i++)
                x[at + i] += node.seat[r].cell[room][i];
    }
}

void comm_shm_join(struct comm *c)
{
    node.seat = map(c, (size_t)c->size * sizeof *node.seat);
    if (!node.seat)
        return;
    node.slice = xcalloc((size_t)c->size, sizeof *node.slice);
    node.table = comm_mpi_table;
    node.table.name = "shm";
    node.table.reserve = reserve;
    node.table.meet = meet;
    node.table.sum_start = sum_start;
    node.table.sum_progress = sum_progress;
    node.table.sum_finish = sum_finish;
    node.table.sum = sum;
    c->part = c->rank;
    c->parts = c->size;
    c->table = &node.table;
}
