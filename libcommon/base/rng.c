#include "libcommon/base/rng.h"

#include <math.h>

void rng_block(uint64_t seed, uint64_t stream, uint64_t position, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(position >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);

    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xd2511f53u * c0, b = (uint64_t)0xcd9e8d57u * c2;

        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t position)
{
    uint32_t r[4];

    rng_block(seed, stream, position, r);
    return (uint64_t)r[1] << 32 | r[0];
}

double rng_uniform(uint64_t seed, uint64_t stream, uint64_t position)
{
    return (double)(rng_u64(seed, stream, position) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t seed, uint64_t stream, uint64_t position)
{
    uint32_t r[4];
    double u, v;

    rng_block(seed, stream, position, r);
    u = ((double)(((uint64_t)r[1] << 32 | r[0]) >> 11) + 1) * 0x1p-53; /* (0, 1] */
    v = (double)(((uint64_t)r[3] << 32 | r[2]) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(6.283185307179586476925 * v);
}

uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i)
{
    int half = 1;
    uint64_t mask;

    while (n > (uint64_t)1 << (2 * half))
        half++;
    mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t l = i >> half, r = i & mask;

        for (uint64_t round = 0; round < 8; round++) {
            uint64_t f = rng_u64(seed ^ round << 56, stream, r) & mask, old = r;

            r = l ^ f;
            l = old;
        }
        i = l << half | r;
    } while (i >= n);
    return i;
}
