#include <stdlib.h>

#include "train/dist/comm.h"

static void sum_start(const struct comm *c, float *x, int64_t n)
{
    (void)c;
    (void)x;
    (void)n;
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
    .reserve = comm_reserve,
    .meet = comm_pass,
    .sum_start = sum_start,
    .sum_finish = comm_pass,
    .sum_progress = comm_pass,
    .sum = sum,
    .broadcast = keep,
    .gather = keep,
    .go = comm_pass,
    .wait_end = wait_end,
};

const struct comm comm_self = { .rank = 0, .size = 1, .local = 1, .parts = 1, .table = &table };
