#include "train/dist/comm.h"

#include <stdlib.h>

#include "libcommon/base/mem.h"

const struct comm *comm_join(void)
{
    static const char *const launchers[] = { "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_SIZE" };

    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (getenv(launchers[i]))
            return comm_mpi_join();
    return &comm_self;
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
