#include "libcommon/base/hash.h"

#include <pthread.h>
#include <string.h>

#include "libcommon/base/cpu.h"

#define POLY 0x82f63b78u

static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ POLY : c >> 1;
        table[0][i] = c;
    }
    for (int t = 1; t < 8; t++)
        for (int i = 0; i < 256; i++)
            table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static uint32_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

uint32_t hash_crc32c_portable(uint32_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;

    pthread_once(&once, fill_table);
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                             (uint32_t)p[3] << 24);

        crc = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^ table[5][lo >> 16 & 255] ^
              table[4][lo >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
    }
    for (; n; n--)
        crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
    return ~crc;
}

#if defined(__x86_64__)
#define LANE 1024 /* bytes of each of three interleaved streams */

/* The CRC of a lane followed by LANE (or 2 LANE) zero bytes, as a table of four: crc32c is linear. */
static uint32_t shift1[4][256], shift2[4][256];
static pthread_once_t shift_once = PTHREAD_ONCE_INIT;

static uint32_t zeros(uint32_t crc, size_t n)
{
    for (; n; n--)
        crc = crc >> 8 ^ table[0][crc & 255];
    return crc;
}

static void fill_shift(void)
{
    uint32_t one[32], two[32];

    pthread_once(&once, fill_table);
    for (int b = 0; b < 32; b++) {
        one[b] = zeros(1u << b, LANE);
        two[b] = zeros(one[b], LANE);
    }
    for (int t = 0; t < 4; t++)
        for (uint32_t i = 0; i < 256; i++)
            for (int b = 0; b < 8; b++)
                if (i >> b & 1) {
                    shift1[t][i] ^= one[8 * t + b];
                    shift2[t][i] ^= two[8 * t + b];
                }
}

static uint32_t shift(uint32_t (*const t)[256], uint32_t c)
{
    return t[0][c & 255] ^ t[1][c >> 8 & 255] ^ t[2][c >> 16 & 255] ^ t[3][c >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t c = ~crc;

    for (; n >= 3 * LANE; n -= 3 * LANE, p += 3 * LANE) {
        uint64_t a = c, b = 0, d = 0;

        for (size_t i = 0; i < LANE; i += 8) {
            a = __builtin_ia32_crc32di(a, load64(p + i));
            b = __builtin_ia32_crc32di(b, load64(p + LANE + i));
            d = __builtin_ia32_crc32di(d, load64(p + 2 * LANE + i));
        }
        c = shift(shift2, (uint32_t)a) ^ shift(shift1, (uint32_t)b) ^ d;
    }
    for (; n >= 8; n -= 8, p += 8)
        c = __builtin_ia32_crc32di(c, load64(p));
    for (; n; n--)
        c = __builtin_ia32_crc32qi((uint32_t)c, *p++);
    return ~(uint32_t)c;
}
#endif

uint32_t hash_crc32c(uint32_t crc, const void *data, size_t n)
{
#if defined(__x86_64__)
    if (cpu_tier() >= CPU_AVX2) {
        pthread_once(&shift_once, fill_shift);
        return crc_sse42(crc, data, n);
    }
#endif
    return hash_crc32c_portable(crc, data, n);
}

uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = seed ^ n * 0x9e3779b97f4a7c15u, last = 0;

    for (; n >= 8; n -= 8, p += 8)
        h = hash_mix64(h ^ load64(p)) + 0x9e3779b97f4a7c15u;
    if (n >= 4)
        last = load32(p) | (uint64_t)load32(p + n - 4) << 8 * (n - 4);
    else if (n)
        last = p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
    return hash_mix64(h ^ last);
}
