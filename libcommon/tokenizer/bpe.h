/* bpe.h - byte-level BPE: a vocabulary and its merges, and one piece of text to ids.
 *
 * Tokens are strings of bytes; merges.h merges them.  A struct bpe is read-only once bpe_finish() is done; a
 * struct bpe_scratch belongs to one thread.
 */
#ifndef LIBCOMMON_TOKENIZER_BPE_H
#define LIBCOMMON_TOKENIZER_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/tokenizer/bytecut.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"
#include "libcommon/tokenizer/wordcache.h"

#define BPE_NONE LEXICON_NONE
#define BPE_MAX_ID MERGES_MAX_ID
#define BPE_LONGEST 1024 /* bytes of a token for bpe_merge_all(), which takes the square of it */

struct bpe {
    struct lexicon made;  /* tokens by their bytes */
    struct lexicon plain; /* those that are in no piece: they have characters outside the byte alphabet, and stand for themselves */
    size_t n;
    uint32_t n_ids;       /* highest id + 1 */
    uint32_t byte_id[256]; /* BPE_NONE where the vocabulary has no token of that byte */
    struct merges merges;
    uint32_t *byte_merge; /* [65536] index of the merge of two bytes, MERGES_NONE for none */
    struct bytecut *cut;  /* of all tokens */
    bool whole; /* a piece that is a token is that token, whatever the merges say (ignore_merges) */
};

void bpe_release(struct bpe *b);

/* The character of the byte alphabet that spells a byte. */
uint32_t bpe_letter(uint8_t byte);
/* The bytes of a token as the vocabulary spells it (UTF-8), into out, which has room for n; *plain: it has
 * characters outside the byte alphabet and stands for itself. */
size_t bpe_unspell(const char *s, size_t n, char *out, bool *plain);

/* Add a token by its spelling.  -1: an id above BPE_MAX_ID. */
int bpe_add(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err);
/* The same by its bytes, at least one. */
int bpe_add_bytes(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err);
/* All tokens are there.  -1: two have one id or one spelling. */
int bpe_index(struct bpe *b, struct err *err);
/* Add the next merge, by spelling.  -1: one of left, right and both together is no token. */
int bpe_add_merge(struct bpe *b, const char *left, size_t left_n, const char *right, size_t right_n, struct err *err);
/* In the place of all bpe_add_merge(): whatever two tokens make a third one merge, the lowest id first (tiktoken).  -1: a token
 * is longer than BPE_LONGEST. */
int bpe_merge_all(struct bpe *b, struct err *err);

/* Add the next n merges, by ids of tokens: merges_add_all().  -1: there are too many. */
int bpe_add_merges(struct bpe *b, struct merges_pair *p, size_t n, struct err *err);
/* All merges are there. */
void bpe_finish(struct bpe *b);

/* One that is finished, and back (image.h). */
void bpe_image(struct bpe *b, struct image *i);

/* The id of a token by its spelling, or BPE_NONE. */
uint32_t bpe_id(const struct bpe *b, const char *s, size_t n);
/* The bytes of the token of an id, borrowed, or NULL; *plain: it stands for itself. */
const char *bpe_token(const struct bpe *b, uint32_t id, size_t *n, bool *plain);

struct bpe_scratch {
    struct wordcache parts; /* of pieces that were cut, and their ids */
    uint32_t *id;
    size_t id_cap;
    struct merges_scratch merges;
};

void bpe_scratch_release(struct bpe_scratch *s);

/* The ids of a piece of n >= 1 bytes, into out, which has room for n; how many, or 0 with the byte that has
 * no token in *missing.  Time is n log n, for few bytes without a heap. */
size_t bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out, uint8_t *missing);

#endif
