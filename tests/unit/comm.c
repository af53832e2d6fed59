/* The sums, copies and agreements of ranks: alone here, and with "ranks" as every rank of a job that
 * tests/cli/mpi.t starts; then what is wrong goes to stderr and makes the exit status. */
#include "train/dist/comm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Sums of several lengths begun together: each is that of all ranks in double, rounded once. */
static int check_sums(const struct comm *c)
{
    static const int64_t length[] = { 1, 3, 1000, 3000001, 0, 17 };
    float *x[6];
    int bad = 0;

    for (int k = 0; k < 6; k++) {
        x[k] = malloc((size_t)(length[k] + 1) * sizeof **x);
        for (int64_t i = 0; i < length[k]; i++)
            x[k][i] = term(c->rank, i + k);
        x[k][length[k]] = 42;
        c->table->sum_start(c, x[k], length[k]);
    }
    c->table->sum_finish(c);
    for (int k = 0; k < 6; k++) {
        for (int64_t i = 0; i < length[k] && !bad; i += i % 5 ? 1 : 997) {
            double want = 0;

            for (int r = 0; r < c->size; r++)
                want += (double)term(r, i + k);
            if (x[k][i] != (float)want)
                bad = differ(c, "sum of floats");
        }
        if (x[k][length[k]] != 42)
            bad = differ(c, "behind a sum");
        free(x[k]);
    }
    return bad;
}

static int check_numbers(const struct comm *c)
{
    double x[3] = { c->rank + 1, 0.1 * c->rank, -1 }, want = 0;
    int bad = 0;

    for (int r = 0; r < c->size; r++)
        want += 0.1 * r;
    c->table->sum(c, x, 3);
    if (x[0] != c->size * (c->size + 1) / 2 || x[1] != want || x[2] != -c->size)
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

static int check(const struct comm *c)
{
    return check_sums(c) | check_numbers(c) | check_copies(c) | (comm_agree(c, 0) != 0);
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

    if (argc > 1 && strcmp(argv[1], "early") == 0) {
        fprintf(stderr, "rank %d leaves early\n", c->rank);
        return argv[2][0] - '0';
    }
    c->table->go(c);
    if (argc > 1)
        return strcmp(argv[1], "ranks") == 0 ? check(c) : disagree(c, argv[1][0] - '0');
    OK(c == &comm_self && c->rank == 0 && c->size == 1);
    OK(check(c) == 0);
    OK(comm_agree(c, -1) == -1);
    return tap_done();
}
