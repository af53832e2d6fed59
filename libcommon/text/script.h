/* script.h - the script of a code point, as SentencePiece's trainer tells scripts apart: Unicode 9.0, Hiragana
 * and Katakana (U+30FC too) taken for Han. */
#ifndef LIBCOMMON_TEXT_SCRIPT_H
#define LIBCOMMON_TEXT_SCRIPT_H

#include <stdint.h>

enum { SCRIPT_COMMON, SCRIPT_INHERITED };

/* One of the above or a number of the script's own; SCRIPT_COMMON for what is not assigned. */
int script_of(uint32_t cp);

/* Generated, ascending; elsewhere it is SCRIPT_COMMON. */
struct script_run {
    uint32_t first, last;
    uint8_t script;
};
extern const struct script_run script_runs[];
extern const int script_n_runs;

#endif
