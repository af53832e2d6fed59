#include "libcommon/base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/err.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const names[] = { "portable", "avx2", "avx512" };

/* The tier that LMPIPE_CPU names; the highest without it. */
static enum cpu_tier wanted(void)
{
    const char *want = getenv("LMPIPE_CPU");

    if (!want || !*want)
        return CPU_AVX512;
    for (int t = CPU_PORTABLE; t <= CPU_AVX512; t++)
        if (strcmp(want, names[t]) == 0)
            return (enum cpu_tier)t;
    die("LMPIPE_CPU: '%s' is none of portable avx2 avx512", want);
}

static enum cpu_tier detect(void)
{
    enum cpu_tier best = CPU_PORTABLE, most = wanted();

#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
        __builtin_cpu_supports("sse4.2"))
        best = CPU_AVX2;
    if (best == CPU_AVX2 && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi2"))
        best = CPU_AVX512;
#endif
    return best < most ? best : most;
}

static int chosen = -1; /* a race writes the same value twice */

enum cpu_tier cpu_tier(void)
{
    if (__atomic_load_n(&chosen, __ATOMIC_RELAXED) < 0)
        __atomic_store_n(&chosen, (int)detect(), __ATOMIC_RELAXED);
    return (enum cpu_tier)__atomic_load_n(&chosen, __ATOMIC_RELAXED);
}

void cpu_limit(enum cpu_tier most)
{
    if (cpu_tier() > most)
        __atomic_store_n(&chosen, (int)most, __ATOMIC_RELAXED);
}

static bool detect_sha(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;

    return cpu_tier() > CPU_PORTABLE && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
#else
    return false;
#endif
}

bool cpu_sha(void)
{
    static int sha = -1; /* as above */

    if (__atomic_load_n(&sha, __ATOMIC_RELAXED) < 0)
        __atomic_store_n(&sha, detect_sha(), __ATOMIC_RELAXED);
    return __atomic_load_n(&sha, __ATOMIC_RELAXED);
}

const char *cpu_name(enum cpu_tier tier)
{
    return names[tier];
}

int cpu_count(void)
{
    cpu_set_t set;
    int n = 1;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    if (f) {
        long quota, period;

        if (fscanf(f, "%ld %ld", &quota, &period) == 2 && period > 0 && quota > 0) {
            long most = (quota + period - 1) / period;

            if (most < n)
                n = (int)most;
        }
        fclose(f);
    }
    return n > 0 ? n : 1;
}
