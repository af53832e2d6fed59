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
const char *cpu_name(enum cpu_tier tier);
/* Are there instructions for SHA-256?  Not under LMPIPE_CPU=portable. */
bool cpu_sha(void);

/* Processors this process may use, from its affinity mask and the cgroup's quota; at least 1. */
int cpu_count(void);

#endif
