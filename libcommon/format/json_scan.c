#include <string.h>

#include "libcommon/base/cpu.h"
#include "libcommon/format/json.h"

static bool special(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20;
}

/* Nonzero where a byte of x is zero; exact up to and including the first one. */
static uint64_t zero_bytes(uint64_t x)
{
    return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
}

size_t json_scan_portable(const char *p, size_t n)
{
    size_t i = 0;

    for (uint64_t w; n - i >= 8; i += 8) {
        memcpy(&w, p + i, 8);
        if (zero_bytes(w ^ 0x2222222222222222u) | zero_bytes(w ^ 0x5c5c5c5c5c5c5c5cu) |
            zero_bytes(w & 0xe0e0e0e0e0e0e0e0u))
            break;
    }
    while (i < n && !special(p[i]))
        i++;
    return i;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static size_t scan_avx2(const char *p, size_t n)
{
    size_t i = 0;

    for (; n - i >= 32; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
        __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(x, _mm256_set1_epi8(0x1f)), x);
        __m256i quote = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('"'));
        __m256i slash = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('\\'));
        unsigned m = (unsigned)_mm256_movemask_epi8(_mm256_or_si256(control, _mm256_or_si256(quote, slash)));

        if (m)
            return i + (size_t)__builtin_ctz(m);
    }
    return i + json_scan_portable(p + i, n - i);
}

__attribute__((target("avx512f,avx512bw,bmi2"))) static size_t scan_avx512(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 in = n - i < 64 ? ~(uint64_t)0 >> (64 - (n - i)) : ~(uint64_t)0;
        __m512i x = _mm512_maskz_loadu_epi8(in, p + i);
        uint64_t m = _mm512_mask_cmplt_epu8_mask(in, x, _mm512_set1_epi8(0x20)) |
                     _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('"')) |
                     _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\\'));

        if (m)
            return i + (size_t)__builtin_ctzll(m);
    }
    return n;
}
#endif

size_t json_scan(const char *p, size_t n)
{
#if defined(__x86_64__)
    enum cpu_tier tier = cpu_tier();

    if (tier >= CPU_AVX512)
        return scan_avx512(p, n);
    if (tier >= CPU_AVX2)
        return scan_avx2(p, n);
#endif
    return json_scan_portable(p, n);
}
