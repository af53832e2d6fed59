/* mt19937.h - numpy's legacy generator (numpy.random.RandomState), bit for bit, for the sample order of
 * Megatron-LM.  New code draws from base/rng.h.
 *
 * Sources: Matsumoto and Nishimura 1998; numpy/random/src/mt19937/mt19937.c (mt19937_seed) and
 * mtrand.pyx (shuffle), random_interval of src/distributions/distributions.c.
 */
#ifndef LIBCOMMON_DATA_MT19937_H
#define LIBCOMMON_DATA_MT19937_H

#include <stdint.h>

struct mt19937 {
    uint32_t key[624];
    int pos;
};

/* RandomState(seed). */
void mt19937_seed(struct mt19937 *m, uint32_t seed);
uint32_t mt19937_next(struct mt19937 *m);
/* Uniform within 0..max, by masks and rejection. */
uint64_t mt19937_interval(struct mt19937 *m, uint64_t max);
/* RandomState.shuffle() of n values. */
void mt19937_shuffle(struct mt19937 *m, uint32_t *v, uint64_t n);

#endif
