/* charsmap.h - SentencePiece's precompiled_charsmap: strings that stand for others, found as prefixes of a text.
 *
 * The blob is a length (4 bytes, little endian), a Darts-clone double array of that many bytes, and the strings it
 * points into, each with a NUL behind it (sentencepiece normalizer.cc, builder.cc).  All of it is untrusted.
 * Read-only after loading.
 */
#ifndef LIBCOMMON_TEXT_CHARSMAP_H
#define LIBCOMMON_TEXT_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/image.h"

struct charsmap {
    uint32_t *unit;
    size_t n;
    char *text; /* NUL behind it */
    size_t text_n;
    bool plain[128]; /* this character before an ASCII one, or at the end of a text, is in no rule */
    bool printable;  /* all of U+0020 to U+007E are plain */
    bool begins[256]; /* a rule begins with that byte */
};

/* Copies.  -1: no such blob, or its strings are not UTF-8. */
int charsmap_load(struct charsmap *c, const void *blob, size_t n, struct err *err);
/* And back (image.h). */
void charsmap_image(struct charsmap *c, struct image *i);
void charsmap_release(struct charsmap *c);

/* The longest (SentencePiece), or the shortest (HF's Precompiled) rule that begins s[0..n): its length, 0 for none;
 * what it becomes, borrowed, into *to and *to_n. */
size_t charsmap_longest(const struct charsmap *c, const char *s, size_t n, const char **to, size_t *to_n);
size_t charsmap_shortest(const struct charsmap *c, const char *s, size_t n, const char **to, size_t *to_n);

#endif
