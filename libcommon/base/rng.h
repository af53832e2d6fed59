/* rng.h - random numbers as a pure function of (seed, stream, position): Philox4x32-10 (Salmon et al.,
 * "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11), so that no state is kept or saved and results
 * do not depend on threads or ranks.  A stream names the purpose: a parameter, the data order, a
 * sampling step.
 */
#ifndef LIBCOMMON_BASE_RNG_H
#define LIBCOMMON_BASE_RNG_H

#include <stdint.h>

void rng_block(uint64_t seed, uint64_t stream, uint64_t position, uint32_t out[4]);

/* One number of each position: 64 random bits; a double in [0, 1); a standard normal (Box-Muller). */
uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t position);
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t position);
double rng_normal(uint64_t seed, uint64_t stream, uint64_t position);

/* Position i of a random permutation of 0..n-1 (n < 2^62), in O(1): a Feistel network of 8 rounds with
 * cycle walking. */
uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i);

#endif
