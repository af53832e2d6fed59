/* border.h - where a text may be cut, for all that a vocabulary can do: between two characters that stand side by
 * side in none of its pieces.
 *
 * No merge and no piece crosses such a border, so the ids of a text are those of its parts.  Pairs of ASCII
 * characters are known exactly, others by a hash: then some borders are not seen, none is wrong.
 */
#ifndef LIBCOMMON_TOKENIZER_BORDER_H
#define LIBCOMMON_TOKENIZER_BORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/image.h"

#define BORDER_BITS 19
#define BORDER_BLOCK 64

/* Zero it first. */
struct border {
    uint8_t ascii[128 * 128]; /* left 7 bits, right 7 bits: joined, by a piece */
    uint64_t other[(1 << BORDER_BITS) / 64];
    bool fold; /* U+2581 and the space are one character */
};

/* And back (image.h). */
void border_image(struct border *b, struct image *i);
/* A piece of valid UTF-8. */
void border_add(struct border *b, const char *s, size_t n);
/* May a text be cut between these two? */
bool border_between(const struct border *b, uint32_t left, uint32_t right);

/* The ends of the next parts of text[0..n), of valid UTF-8, that begin at `at`: at most max, into end[]; how many, 0
 * when at is n.  max is above BORDER_BLOCK. */
size_t border_ends(const struct border *b, const char *text, size_t n, size_t at, size_t *end, size_t max);

#endif
