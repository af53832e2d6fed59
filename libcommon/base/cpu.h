/* cpu.h - which instruction set to use.  LMPIPE_CPU=portable|avx2|avx512 lowers it, for tests; any
 * other value is fatal. */
#ifndef LIBCOMMON_BASE_CPU_H
#define LIBCOMMON_BASE_CPU_H

#include <stdbool.h>

enum cpu_tier {
    CPU_PORTABLE,
    CPU_AVX2,   /* AVX2, FMA, BMI2, and SSE4.2 with it */
    CPU_AVX512, /* F, BW, VL, DQ, VBMI2 */
};

/* Decided at the first call, then constant. */
enum cpu_tier cpu_tier(void);
/* Not above this one from here on; what has asked for the tier before keeps what it was told. */
void cpu_limit(enum cpu_tier most);
const char *cpu_name(enum cpu_tier tier);
/* Are there instructions for SHA-256?  Not under LMPIPE_CPU=portable. */
bool cpu_sha(void);

/* In a loop that waits for another thread. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Processors this process may use, from its affinity mask and the cgroup's quota; at least 1. */
int cpu_count(void);

#endif
