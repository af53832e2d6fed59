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

/* Classes of 64 bytes, a bit a byte, the first byte in the lowest; only of ASCII but for `high` and `ideograph`. */
struct pretok_masks {
    uint64_t letter, number, white;   /* A-Za-z; 0-9; 09-0d and 20 */
    uint64_t space, newline, quote;   /* 20; 0a and 0d; 27 */
    uint64_t upper, slash, high;      /* A-Z; 2f; 80-ff */
    uint64_t ideograph;               /* first bytes of U+4E00 to U+9FFF: e4 before b8-ff; e5-e9 */
};

/* One for each tier of cpu.h; all give the same. */
void pretok_classify_portable(const char text[64], struct pretok_masks *m);
void pretok_classify_avx2(const char text[64], struct pretok_masks *m);
void pretok_classify_avx512(const char text[64], struct pretok_masks *m);

struct regex;

/* A known pattern.  digits: most characters of a piece of numbers, 0 for no limit. */
struct pretok_known {
    const char *name, *other_name, *pattern;
    size_t (*next)(const struct pretok *p, const char *text, size_t n, size_t at);
    /* Bits of the bytes of m (valid_n of them are known) that surely begin a piece, given that the first
     * does and what is before it does not matter. */
    uint64_t (*starts)(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n);
    int digits;
    bool cased, han; /* its classes */
    bool contracts;  /* a cased word takes a contraction with it */
    bool slash;      /* punctuation takes newlines and slashes behind it, not newlines alone */
};

struct pretok {
    const struct pretok_known *known;
    char *pattern;
    struct regex *regex; /* NULL where the pattern is known */
    void (*classify)(const char text[64], struct pretok_masks *m);
    uint8_t page[0x110000 / 256]; /* of each 256 code points, in class */
    uint8_t *class;               /* pages of 256 */
    enum pretok_class ideograph;  /* the class of all of U+4E00 to U+9FFF */
};

/* The class of the character at p, which is valid UTF-8; its length into *len. */
enum pretok_class pretok_class(const struct pretok *p, const char *text, int *len);

uint64_t pretok_starts_gpt2(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n);
uint64_t pretok_starts_cased(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n);
uint64_t pretok_starts_llama3(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n);

#endif
