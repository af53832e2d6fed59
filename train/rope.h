/* rope.h - the angles of rotary position embeddings, every scaling of transformers'
 * modeling_rope_utils.py as a way to fill one table (ref: Su et al. 2021; YaRN, Peng et al. 2023). */
#ifndef TRAIN_ROPE_H
#define TRAIN_ROPE_H

#include <stdint.h>

#include "train/config.h"

/* Fill table[positions][head_dim] (head_dim / 2 cosines, then as many sines, scaled where the type scales
 * them) for an input of `length` tokens: dynamic scaling depends on it. */
void rope_fill(const struct config *c, int64_t length, int64_t positions, float *table);

/* Do angles change with the length of the input once it exceeds max_pos? */
bool rope_by_length(const struct config *c);

#endif
