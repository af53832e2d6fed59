/* bytecut.h - where byte-level BPE may cut a piece before it merges: between two characters of three bytes, as
 * Chinese, Japanese and Korean are written in, that stand side by side in no token.
 *
 * All that a merge makes is a token, so none crosses such a place, and the ids of a piece are those of its parts.  Any
 * bytes do; some places are not seen, none is wrong.
 */
#ifndef LIBCOMMON_TOKENIZER_BYTECUT_H
#define LIBCOMMON_TOKENIZER_BYTECUT_H

#include <stddef.h>
#include <stdint.h>

#define BYTECUT_BITS 19

/* Zero it first. */
struct bytecut {
    uint64_t three[(1 << BYTECUT_BITS) / 64]; /* three bytes and three in a token, by a hash */
    uint64_t less[65536 / 64];                /* the two bytes in the middle, where a token has less on a side */
};

void bytecut_add(struct bytecut *b, const char *token, size_t n);
/* The end of the part of s[0..n) that begins at `at`, which is less than n. */
size_t bytecut_end(const struct bytecut *b, const char *s, size_t n, size_t at);

#endif
