/* kernel.c - which instance serves this machine. */
#include "train/kernel/kernel.h"

#include <assert.h>
#include <pthread.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/io.h"
#include "train/kernel/instance.h"

#define ROW(entry) +1
static_assert(sizeof(struct kernels) == sizeof(const char *) + (0 KERNEL_ENTRIES(ROW)) * sizeof(void (*)(void)),
              "KERNEL_ENTRIES names every entry");
#undef ROW

static const struct kernels *const vecs[] = { &vec_portable, &vec_avx2, &vec_avx512 }; /* by enum cpu_tier */

#define N_VECS (sizeof vecs / sizeof vecs[0])

static struct kernels merged[N_VECS];
static const struct kernels *all[N_VECS + 2] = { &ref_kernels };
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The entries of `from` replace those that stand in k. */
static void merge(struct kernels *k, const struct kernels *from)
{
#define ROW(entry) \
    if (from->entry) \
        k->entry = from->entry;
    KERNEL_ENTRIES(ROW)
#undef ROW
    k->name = from->name;
}

static void fill(void)
{
    for (int t = 0; t <= (int)cpu_tier(); t++) {
        merged[t] = ref_kernels;
        merge(&merged[t], vecs[t]);
        all[t + 1] = &merged[t];
    }
}

const struct kernels *kernel_pick(void)
{
    pthread_once(&once, fill);
    return &merged[cpu_tier()];
}

const struct kernels *const *kernel_all(void)
{
    pthread_once(&once, fill);
    return all;
}

double kernel_peak(void)
{
    static int64_t (*const fma[])(int64_t n) = { vec_fma_portable, vec_fma_avx2, vec_fma_avx512 };
    double best = 0;

    for (int i = 0; i < 8; i++) {
        double start = io_now();
        double rate = (double)fma[cpu_tier()](300000) / (io_now() - start);

        best = rate > best ? rate : best;
    }
    return best;
}
