#include "train/dist/comm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/mem.h"

/* Other instructions, other bits. */
static void agree_on_tier(const struct comm *c)
{
    double *tier = xcalloc((size_t)c->size, sizeof *tier);

    tier[c->rank] = cpu_tier();
    c->table->sum(c, tier, c->size);
    for (int r = 0; r < c->size; r++)
        cpu_limit((enum cpu_tier)tier[r]);
    free(tier);
}

const struct comm *comm_join(void)
{
    static const char *const launchers[] = { "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE" };
    const char *kind = getenv("LMPIPE_COMM");
    struct comm *c = NULL;

    for (size_t i = 0; i < sizeof launchers / sizeof *launchers && !c; i++)
        if (getenv(launchers[i]))
            c = comm_mpi_join();
    if (!c)
        return &comm_self;
    if (c->size > 1 && c->local == c->size && !(kind && strcmp(kind, "mpi") == 0))
        comm_shm_join(c);
    agree_on_tier(c);
    c->root = getpid();
    c->table->broadcast(c, &c->root, sizeof c->root);
    if (c->rank == 0 || c->local < c->size)
        c->root = 0;
    if (c->rank)
        c->table->go(c);
    return c;
}

void comm_reserve(const struct comm *c, struct arena *a, size_t size, bool common)
{
    (void)c;
    (void)common;
    arena_reserve(a, size);
}

void comm_pass(const struct comm *c)
{
    (void)c;
}

int comm_agree(const struct comm *c, int rc)
{
    double *failed = xcalloc((size_t)c->size, sizeof *failed);
    int lowest = 0;

    failed[c->rank] = rc < 0;
    c->table->sum(c, failed, c->size);
    while (lowest < c->size && failed[lowest] == 0)
        lowest++;
    free(failed);
    if (lowest < c->size && lowest != c->rank)
        c->table->wait_end(c);
    return lowest < c->size ? -1 : 0;
}

void comm_add(float *const *from, int n_from, float *const *to, int n_to, int64_t n)
{
    enum { BLOCK = 512 };
    double total[BLOCK];
    float x[BLOCK] = { 0 };

    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t here = n - at < BLOCK ? n - at : BLOCK;

        memset(total, 0, sizeof total);
        for (int k = 0; k < n_from; k++) {
            memcpy(x, from[k] + at, (size_t)here * sizeof *x);
            for (int i = 0; i < BLOCK; i++)
                total[i] += (double)x[i];
        }
        for (int i = 0; i < BLOCK; i++)
            x[i] = (float)total[i];
        for (int k = 0; k < n_to; k++)
            memcpy(to[k] + at, x, (size_t)here * sizeof *x);
    }
}
