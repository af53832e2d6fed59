/* charsmap_build.h - SentencePiece's normalisation rules, made from Unicode's tables.
 *
 * A rule replaces a string of code points by another; at each place of a text the longest that fits is
 * taken.  nfkc: every code point whose NFKC differs from it, and every string that decomposes as some code
 * point does and composes to something else (doc/normalization.md of google/sentencepiece; ICU with Unicode
 * 16.0 in 0.2.1).  nmt_nfkc: the same, white space of all kinds to a space, control characters away, and
 * U+FF5E kept.
 */
#ifndef LIBCOMMON_TEXT_CHARSMAP_BUILD_H
#define LIBCOMMON_TEXT_CHARSMAP_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHARSMAP_KEY 8 /* code points of the longest rule, those dropped included */

/* One rule: n code points at `key` become to_n at `to` in the set's `cps`. */
struct charsmap_rule {
    uint32_t key[CHARSMAP_KEY], to;
    uint8_t n, to_n;
    bool kept; /* not what shorter rules do anyway */
};

struct charsmap_rules {
    struct charsmap_rule *rule;
    size_t n, cap;
    uint32_t *cps;
    size_t n_cps, cps_cap;
    uint32_t *slot; /* open addressing: 1 + rule */
    size_t slot_bits;
};

void charsmap_rules_make(struct charsmap_rules *r, bool nmt);
void charsmap_rules_free(struct charsmap_rules *r);

/* The rules as SentencePiece stores them in a .model (precompiled_charsmap): bytes of the trie, 32 bits; a
 * darts-clone double array over UTF-8 whose values are places in what follows: replacements, each with a NUL
 * behind it.  Little endian.  The caller frees it. */
char *charsmap_build(bool nmt, size_t *size);

/* Generated tables: one code point to one, (cp - first) * step added; one to several (cp, how many, which);
 * canonical pairs that compose in Unicode 16.0, not in 9.0 (composed, first, second). */
struct charsmap_run {
    uint32_t first, last, to, step;
};
extern const struct charsmap_run charsmap_runs[];
extern const int charsmap_n_runs;
extern const uint32_t charsmap_rows[];
extern const int charsmap_n_rows;
extern const uint32_t charsmap_pairs[][3];
extern const int charsmap_n_pairs;

#endif
