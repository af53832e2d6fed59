/* utf8.h - UTF-8 as the Unicode standard defines it (table 3-7): no overlong forms, no surrogates,
 * nothing above U+10FFFF.  Bytes may be anything; lengths are in bytes.
 */
#ifndef LIBCOMMON_BASE_UTF8_H
#define LIBCOMMON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offset of the first ill-formed (or cut) sequence, or n when all n bytes are valid.  SIMD beside a
 * portable twin. */
size_t utf8_valid(const void *p, size_t n);
size_t utf8_valid_portable(const void *p, size_t n);

/* The code point at p, of which n bytes remain: its length 1..4, or 0 when it is ill-formed, cut, or
 * n is 0. */
int utf8_decode(const void *p, size_t n, uint32_t *cp);

/* At p, where utf8_decode() gives 0 and n is not: bytes of the ill-formed part, the longest that begins a
 * well-formed sequence, at least one; one U+FFFD stands for it.  *cut (may be NULL): more bytes could
 * still make it well-formed. */
size_t utf8_ill_formed(const void *p, size_t n, bool *cut);

/* Write a scalar value (below 0x110000, no surrogate): its length 1..4. */
int utf8_encode(uint32_t cp, char out[4]);

/* Copy n bytes with U+FFFD in the place of each ill-formed part (its longest beginning of a sequence, as
 * Unicode 3.9 recommends and Python does); out has room for 3 n bytes.  The length. */
size_t utf8_repair(const char *p, size_t n, char *out);

#endif
