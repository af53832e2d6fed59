/* unicode_table.h - the generated tables behind unicode.h, for its inline look-up and for unicode.c.
 *
 * The record of a code point is low[mid[top[cp >> 10] * 32 + (cp >> 5 & 31)] * 32 + (cp & 31)]: the
 * general category in the bits of UNICODE_GENERAL, and three flags.
 */
#ifndef LIBCOMMON_TEXT_UNICODE_TABLE_H
#define LIBCOMMON_TEXT_UNICODE_TABLE_H

#include <stdint.h>

#define UNICODE_END 0x110000
#define UNICODE_BLOCK 32

/* General categories in the order of their numbers in a record. */
enum unicode_general {
    UNICODE_CN, UNICODE_CC, UNICODE_CF, UNICODE_CO, UNICODE_CS, UNICODE_GC_LU, UNICODE_GC_LL, UNICODE_GC_LT,
    UNICODE_GC_LM, UNICODE_GC_LO, UNICODE_MN, UNICODE_MC, UNICODE_ME, UNICODE_ND, UNICODE_NL, UNICODE_NO,
    UNICODE_PC, UNICODE_PD, UNICODE_PS, UNICODE_PE, UNICODE_PI, UNICODE_PF, UNICODE_PO, UNICODE_SM,
    UNICODE_SC, UNICODE_SK, UNICODE_SO, UNICODE_ZS, UNICODE_ZL, UNICODE_ZP,
};

enum {
    UNICODE_GENERAL = 31,
    UNICODE_SPACE = 32,       /* White_Space */
    UNICODE_WORD = 64,        /* [\w] of Oniguruma */
    UNICODE_ALPHABETIC = 128, /* Alphabetic */
};

extern const uint8_t unicode_top[UNICODE_END / UNICODE_BLOCK / 32];
extern const uint16_t unicode_mid[];
extern const uint8_t unicode_low[];

/* Properties that a record does not hold: n ranges of unicode_listed, from `first` on. */
struct unicode_list {
    const char *name;
    uint16_t first, n;
};

extern const uint32_t unicode_listed[][2];
extern const struct unicode_list unicode_lists[];
extern const int unicode_n_lists;

/* Case: the next code point, cyclically, that is equal but for case is cp + delta; delta 0: neighbours
 * change places, the first with the second, the third with the fourth. */
struct unicode_fold {
    uint32_t first, last;
    int32_t delta;
};

extern const struct unicode_fold unicode_folds[];
extern const int unicode_n_folds;

/* Case, one for several: cp is the string `to` (of 2 or 3, else 0) but for case. */
struct unicode_full_fold {
    uint32_t cp, to[3];
};

extern const struct unicode_full_fold unicode_full_folds[];
extern const int unicode_n_full_folds;

static inline unsigned unicode_record(uint32_t cp)
{
    unsigned m;

    if (cp >= UNICODE_END)
        return UNICODE_CN;
    m = unicode_mid[unicode_top[cp >> 10] * 32u + (cp >> 5 & 31)];
    return unicode_low[m * UNICODE_BLOCK + cp % UNICODE_BLOCK];
}

#endif
