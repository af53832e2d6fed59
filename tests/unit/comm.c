/* The sums, copies and agreements of ranks: alone here, and with "ranks TIER" as every rank of a job that
 * tests/cli/mpi.t starts, on the instruction set TIER; then what is wrong goes to stderr and makes the exit status. */
#include "train/dist/comm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"

/* What rank r has at place i. */
static float term(int r, int64_t i)
{
    return (float)(rng_normal(1, (uint64_t)r, (uint64_t)i) * (i % 7 ? 1 : 1e6));
}

static int differ(const struct comm *c, const char *what)
{
    fprintf(stderr, "rank %d of %d: %s\n", c->rank, c->size, what);
    return 1;
}

/* Lengths of sums that are begun together: fewer than ranks, no multiple of any number of them, more than travel in
 * one piece; and more sums than go on at once. */
enum { SUMS = 100, LONGEST = (1 << 20) + 5, AHEAD = 2000 };

static int64_t length_of(int k)
{
    static const int64_t first[] = { 1, 3, 1000, LONGEST, 17 };

    return k < 5 ? first[k] : 1 + 19 * k;
}

/* Every sum is that of all ranks in double, rounded once; behind it stands what stood there. */
static int check_sums(const struct comm *c, float *x)
{
    int bad = 0;
    int64_t at = 0;

    for (int k = 0; k < SUMS; at += length_of(k++) + 1) {
        for (int64_t i = 0; i < length_of(k); i++)
            x[at + i] = term(c->rank, i + k);
        x[at + length_of(k)] = 42;
        c->table->sum_start(c, x + at, length_of(k));
        if (k % 3 == c->rank)
            c->table->sum_progress(c);
    }
    c->table->sum_finish(c);
    at = 0;
    for (int k = 0; k < SUMS && !bad; at += length_of(k++) + 1) {
        for (int64_t i = 0; i < length_of(k) && !bad; i += i % 5 || i < 100 ? 1 : 997) {
            double want = 0;

            for (int r = 0; r < c->size; r++)
                want += (double)term(r, i + k);
            if (x[at + i] != (float)want)
                bad = differ(c, "sum of floats");
        }
        if (x[at + length_of(k)] != 42)
            bad = differ(c, "behind a sum");
    }
    c->table->sum_finish(c); /* of none */
    return bad;
}

/* What one part of the ranks writes all of them read, again and again. */
static int check_common(const struct comm *c)
{
    enum { N = 1000 };
    struct arena a;
    int32_t *x;
    int bad = 0;

    c->table->reserve(c, &a, N * sizeof *x, true);
    x = arena_alloc(&a, N * sizeof *x);
    for (int i = 0; i < N; i++)
        if (x[i] != 0)
            bad = differ(c, "common memory is not zero");
    c->table->meet(c);
    for (int turn = 0; turn < 200; turn++) {
        for (int i = N * c->part / c->parts; i < N * (c->part + 1) / c->parts; i++)
            x[i] = turn + i;
        c->table->meet(c);
        for (int i = 0; i < N; i++)
            if (x[i] != turn + i)
                bad = differ(c, "common memory");
        c->table->meet(c);
    }
    arena_release(&a);
    return bad;
}

static int check_numbers(const struct comm *c)
{
    double x[20] = { c->rank + 1, 0.1 * c->rank, [19] = -1 }, want = 0;
    int bad = 0;

    for (int r = 0; r < c->size; r++)
        want += 0.1 * r;
    c->table->sum(c, x, 20);
    if (x[0] != c->size * (c->size + 1) / 2 || x[1] != want || x[2] != 0 || x[19] != -c->size)
        bad = differ(c, "sum of numbers");
    return bad;
}

static int check_copies(const struct comm *c)
{
    char text[8] = "not yet", all[64] = "";
    size_t at = 0;

    if (c->rank == 0)
        memcpy(text, "to all!", sizeof text);
    c->table->broadcast(c, text, sizeof text);
    if (strcmp(text, "to all!") != 0)
        return differ(c, "broadcast");
    memset(all, 'a' + c->rank, (size_t)c->rank + 1); /* a, bb, ccc */
    c->table->gather(c, all, (size_t)c->rank + 1);
    for (int r = 0; r < (c->rank ? 0 : c->size); r++)
        for (int i = 0; i <= r; i++)
            if (all[at++] != 'a' + r)
                return differ(c, "gather");
    return 0;
}

static int check(const struct comm *c, float *sums)
{
    return check_sums(c, sums) | check_common(c) | check_numbers(c) | check_copies(c) | (comm_agree(c, 0) != 0);
}

/* The table that ranks of one machine have, then the one of any: each with the bits of the other. */
static int check_ranks(const struct comm *c, const char *tier)
{
    struct comm far = { .rank = c->rank, .size = c->size, .local = c->local, .parts = 1, .table = &comm_mpi_table };
    size_t n = LONGEST + SUMS * AHEAD, size = n * sizeof(float);
    const struct comm *const kind[] = { c, &far };
    float *sums[2];
    struct arena a[2];
    int bad = 0;

    if (strcmp(cpu_name(cpu_tier()), tier) != 0)
        bad = differ(c, "the instruction set is not that of the least");
    if (strcmp(c->table->name, c->size > 1 ? "shm" : "mpi") != 0)
        bad = differ(c, "the table is another");
    for (int k = 0; k < 2; k++) {
        kind[k]->table->reserve(kind[k], &a[k], size + ARENA_ALIGN, false);
        sums[k] = arena_calloc(&a[k], n, sizeof(float));
        bad |= check(kind[k], sums[k]);
    }
    if (memcmp(sums[0], sums[1], size) != 0)
        bad = differ(c, "tables of other bits");
    c->table->meet(c);
    for (int k = 0; k < 2; k++)
        arena_release(&a[k]);
    return bad;
}

/* Ranks from `first` on find something wrong: one of them says so, and the job ends by its status. */
static int disagree(const struct comm *c, int first)
{
    if (comm_agree(c, c->rank >= first ? -1 : 0) == 0)
        return 0;
    fprintf(stderr, "rank %d says what is wrong\n", c->rank);
    return 3;
}

int main(int argc, char **argv)
{
    const struct comm *c = comm_join();
    struct arena a;
    float *sums;

    if (argc > 1 && strcmp(argv[1], "early") == 0) {
        fprintf(stderr, "rank %d leaves early\n", c->rank);
        return argv[2][0] - '0';
    }
    c->table->go(c);
    if (argc > 1)
        return strcmp(argv[1], "ranks") == 0 ? check_ranks(c, argv[2]) : disagree(c, argv[1][0] - '0');
    OK(c == &comm_self && c->rank == 0 && c->size == 1);
    arena_reserve(&a, (LONGEST + SUMS * AHEAD) * sizeof *sums);
    sums = arena_alloc(&a, (LONGEST + SUMS * AHEAD) * sizeof *sums);
    OK(check(c, sums) == 0);
    OK(comm_agree(c, -1) == -1);
    arena_release(&a);
    return tap_done();
}
