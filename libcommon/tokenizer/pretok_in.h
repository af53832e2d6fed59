/* pretok_in.h - what the files of pretok.h share: classes of characters, and the scanners. */
#ifndef LIBCOMMON_TOKENIZER_PRETOK_IN_H
#define LIBCOMMON_TOKENIZER_PRETOK_IN_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/tokenizer/pretok.h"

/* Where a pattern tells the cases apart, the letters that have one are UPPER (Lu, Lt) or LOWER (Ll), and marks are not
 * OTHER; where it tells Han apart, HAN, HAN_NUMBER and HAN_OTHER are what were LETTER, NUMBER and OTHER. */
enum pretok_class {
    PRETOK_OTHER, PRETOK_LETTER, PRETOK_NUMBER, PRETOK_SPACE,
    PRETOK_UPPER, PRETOK_LOWER, PRETOK_MARK, PRETOK_HAN, PRETOK_HAN_NUMBER, PRETOK_HAN_OTHER
};

struct regex;

/* What the scanners for many pieces share. */
enum pretok_kind { PRETOK_GPT2, PRETOK_LLAMA3, PRETOK_CASED };

/* A known pattern.  digits: most characters of a piece of numbers, 0 for no limit. */
struct pretok_known {
    const char *name, *other_name, *pattern;
    size_t (*next)(const struct pretok *p, const char *text, size_t n, size_t at);
    enum pretok_kind kind;
    int digits;
    bool cased, han; /* its classes */
    bool contracts;  /* a cased word takes a contraction with it */
    bool slash;      /* punctuation takes newlines and slashes behind it, not newlines alone */
};

struct pretok {
    const struct pretok_known *known;
    char *pattern;
    struct regex *regex; /* NULL where the pattern is known */
    size_t (*ends)(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max);
    uint8_t page[0x110000 / 256]; /* of each 256 code points, in class */
    uint8_t *class;               /* pages of 256 */
    enum pretok_class ideograph;  /* the class of all of U+4E00 to U+9FFF */
};

/* The class of the character at p, which is valid UTF-8; its length into *len. */
enum pretok_class pretok_class(const struct pretok *p, const char *text, int *len);

/* pretok_ends() of a known pattern, one for each tier of cpu.h; all give the same. */
size_t pretok_ends_portable(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max);
size_t pretok_ends_avx2(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max);
size_t pretok_ends_avx512(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max);

#endif
