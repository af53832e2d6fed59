#include <stdlib.h>

#include "train/dist/comm.h"

static void sum_start(const struct comm *c, float *x, int64_t n)
{
    (void)c;
    (void)x;
    (void)n;
}

static void nothing(const struct comm *c)
{
    (void)c;
}

static void sum(const struct comm *c, double *x, int n)
{
    (void)c;
    (void)x;
    (void)n;
}

static void keep(const struct comm *c, void *p, size_t n)
{
    (void)c;
    (void)p;
    (void)n;
}

static void wait_end(const struct comm *c)
{
    (void)c;
    abort(); /* there is no other */
}

static const struct comm_table table = {
    .name = "self",
    .sum_start = sum_start,
    .sum_finish = nothing,
    .sum_progress = nothing,
    .sum = sum,
    .broadcast = keep,
    .gather = keep,
    .go = nothing,
    .wait_end = wait_end,
};

const struct comm comm_self = { .rank = 0, .size = 1, .local = 1, .table = &table };
