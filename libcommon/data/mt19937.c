#include "libcommon/data/mt19937.h"

enum { N = 624, M = 397 };

void mt19937_seed(struct mt19937 *m, uint32_t seed)
{
    m->key[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        m->key[i] = 1812433253u * (m->key[i - 1] ^ m->key[i - 1] >> 30) + i;
    m->pos = N;
}

static void refill(struct mt19937 *m)
{
    for (int i = 0; i < N; i++) {
        uint32_t y = (m->key[i] & 0x80000000u) | (m->key[(i + 1) % N] & 0x7fffffffu);

        m->key[i] = m->key[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    m->pos = 0;
}

uint32_t mt19937_next(struct mt19937 *m)
{
    uint32_t y;

    if (m->pos == N)
        refill(m);
    y = m->key[m->pos++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

uint64_t mt19937_interval(struct mt19937 *m, uint64_t max)
{
    uint64_t mask, v;

    if (max == 0)
        return 0;
    mask = UINT64_MAX >> __builtin_clzll(max);
    do {
        v = mt19937_next(m);
        if (max > UINT32_MAX)
            v = v << 32 | mt19937_next(m);
    } while ((v &= mask) > max);
    return v;
}

void mt19937_shuffle(struct mt19937 *m, uint32_t *v, uint64_t n)
{
    for (uint64_t i = n; i-- > 1;) {
        uint64_t j = mt19937_interval(m, i);
        uint32_t t = v[i];

        v[i] = v[j];
        v[j] = t;
    }
}
