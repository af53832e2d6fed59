/* charbpe.h - BPE over characters, as huggingface/tokenizers has it: a vocabulary of strings, a list of merges, and
 * what becomes of a character without a token.
 *
 * Each character, with the prefix where it does not begin a piece and the suffix where it ends one, is looked up; if
 * it is not there it becomes the tokens <0xHH> of its bytes, or the unknown token, or nothing.  merges.h merges
 * what results.  Read-only once charbpe_finish() is done; a struct charbpe_scratch belongs to one thread.
 */
#ifndef LIBCOMMON_TOKENIZER_CHARBPE_H
#define LIBCOMMON_TOKENIZER_CHARBPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/charids.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"

#define CHARBPE_NONE UINT32_MAX
#define CHARBPE_ERROR ((size_t)-1)

/* Zero it, fill what is to be filled, then the tokens, charbpe_index(), the merges, charbpe_finish(). */
struct charbpe {
    /* Filled by the caller, who owns the strings until charbpe_finish(). */
    bool byte_fallback, fuse_unk, has_unk;
    bool whole;                        /* a piece that is a token is that token (ignore_merges) */
    const char *unk, *prefix, *suffix; /* prefix, suffix: "" for none */
    size_t unk_n, prefix_n, suffix_n;

    struct lexicon words;
    struct merges merges;
    struct charids chars; /* as they stand inside a piece */
    uint32_t unk_id;      /* CHARBPE_NONE: there is none, or it is not in the vocabulary */
    uint32_t byte_id[256], low, high; /* the least and the highest of them */
    uint32_t ascii[128 * 128]; /* merge of two characters, left 7 bits, right 7 bits */
    struct border border;
    bool cuttable; /* parts between borders have ids of their own */
    char *affix;   /* copy of prefix and suffix */
};

void charbpe_release(struct charbpe *b);
int charbpe_add(struct charbpe *b, const char *s, size_t n, uint64_t id, struct err *err);
int charbpe_index(struct charbpe *b, struct err *err);
/* -1: a part, or both together (the right one without the prefix), is no token. */
int charbpe_add_merge(struct charbpe *b, const char *left, size_t left_n, const char *right, size_t right_n,
                      struct err *err);
/* The next n merges, by ids of tokens: merges_add_all().  -1: there are too many. */
int charbpe_add_merges(struct charbpe *b, struct merges_pair *p, size_t n, struct err *err);
void charbpe_finish(struct charbpe *b);

/* One that is finished, and back (image.h). */
void charbpe_image(struct charbpe *b, struct image *i);

struct charbpe_scratch {
    uint32_t *first;
    size_t first_cap;
    char *text;
    size_t text_cap;
    struct merges_scratch merges;
};

void charbpe_scratch_release(struct charbpe_scratch *s);

/* Room for the ids of a piece of n bytes. */
size_t charbpe_room(const struct charbpe *b, size_t n);
/* The ids of a piece of valid UTF-8 into out: how many, maybe none.  CHARBPE_ERROR: a character has no token, and
 * the unknown token is not in the vocabulary. */
size_t charbpe_encode(const struct charbpe *b, struct charbpe_scratch *s, const char *piece, size_t n, uint32_t *out,
                      struct err *err);

#endif
