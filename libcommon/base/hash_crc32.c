/* CRC-32 of zip and gzip.  With a carry-less multiplication: V. Gopal et al., "Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ Instruction", Intel 2009; else zlib's. */
#include <pthread.h>
#include <zlib.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/hash.h"

uint32_t hash_crc32_portable(uint32_t crc, const void *data, size_t n)
{
    return n ? (uint32_t)crc32_z(crc, data, n) : crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define POLY 0xedb88320u

static uint64_t factor[4]; /* that move 128 bits on by 512 bits, and by 128: for their first half, their second */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* x^n modulo the polynomial, as the instruction wants it: bits reversed, one to the left. */
static uint64_t power(int n)
{
    uint32_t v = 0x80000000u;

    while (n--)
        v = v & 1 ? v >> 1 ^ POLY : v >> 1;
    return (uint64_t)v << 1;
}

static void fill_factors(void)
{
    factor[0] = power(512 + 32);
    factor[1] = power(512 - 32);
    factor[2] = power(128 + 32);
    factor[3] = power(128 - 32);
}

__attribute__((target("pclmul,sse4.1"))) static __m128i load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i x, __m128i by, __m128i next)
{
    return _mm_xor_si128(next, _mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)));
}

/* n >= 64: four lanes of 16 bytes, folded into one, whose CRC from 0 on is that of all. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t crc_clmul(uint32_t crc, const uint8_t *p, size_t n)
{
    __m128i far = _mm_set_epi64x((long long)factor[1], (long long)factor[0]);
    __m128i near = _mm_set_epi64x((long long)factor[3], (long long)factor[2]);
    __m128i a = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)~crc)), b = load(p + 16), c = load(p + 32), d = load(p + 48);
    uint8_t rest[16];

    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
        a = fold(a, far, load(p));
        b = fold(b, far, load(p + 16));
        c = fold(c, far, load(p + 32));
        d = fold(d, far, load(p + 48));
    }
    a = fold(fold(fold(a, near, b), near, c), near, d);
    for (; n >= 16; p += 16, n -= 16)
        a = fold(a, near, load(p));
    _mm_storeu_si128((__m128i *)(void *)rest, a);
    return hash_crc32_portable(hash_crc32_portable(~0u, rest, sizeof rest), p, n);
}
#endif

uint32_t hash_crc32(uint32_t crc, const void *data, size_t n)
{
#if defined(__x86_64__)
    if (n >= 64 && cpu_tier() >= CPU_AVX2 && __builtin_cpu_supports("pclmul")) {
        pthread_once(&once, fill_factors);
        return crc_clmul(crc, data, n);
    }
#endif
    return hash_crc32_portable(crc, data, n);
}
