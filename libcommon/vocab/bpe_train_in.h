/* bpe_train_in.h - counted words and merges, between the trainers. */
#ifndef LIBCOMMON_VOCAB_BPE_TRAIN_IN_H
#define LIBCOMMON_VOCAB_BPE_TRAIN_IN_H

#include "libcommon/vocab/bpe_train.h"

#define BPE_TRAIN_SHORT 15

/* A word of 1 to 15 bytes is its own key: bytes, zero padded, and its length in the last of 16. */
struct bpe_train_word {
    uint64_t key[2], count; /* count 0: no word */
};

struct bpe_train_long {
    uint64_t hash, count;
    size_t at, n; /* in bytes */
};

struct bpe_train_words {
    const struct pretok *pretok;
    struct bpe_train_word *word; /* open addressing */
    size_t n_words, word_bits;
    struct bpe_train_long *big;
    size_t n_big, big_bits;
    char *bytes;
    size_t n_bytes, bytes_cap;
};

/* Count words of at least `least` bytes that end at end[0..n) in s, of which `room` bytes may be read; the
 * first begins at `at`.  n is at most BPE_TRAIN_BATCH. */
#define BPE_TRAIN_BATCH 256
void bpe_train_words_count(struct bpe_train_words *w, const char *s, size_t at, const size_t *end, size_t n,
                           size_t room, size_t least);

/* Every distinct word, in no order: start with zeroed, false at the end.  s is borrowed from the table. */
struct bpe_train_walk {
    size_t at;
    const char *s;
    size_t n;
    uint64_t count;
};
bool bpe_train_words_next(const struct bpe_train_words *w, struct bpe_train_walk *walk);

/* Tokens by their spelling: the id, BPE_TRAIN_NONE where there is none. */
#define BPE_TRAIN_NONE UINT32_MAX
uint32_t bpe_train_find(const struct bpe_train *t, const char *s, size_t n);
/* The same, a new one where there is none; its length (of an old one, too) is set. */
uint32_t bpe_train_token(struct bpe_train *t, const char *s, size_t n, uint32_t length);

/* Words lie in one array of cells, one a token at first, a cell of BPE_TRAIN_NONE before, between and behind
 * them, and where a character is no token. */
struct bpe_train_cell {
    uint32_t token, word;
};

struct bpe_train_rules {
    uint32_t size;  /* tokens to end with */
    uint64_t least; /* count of a pair that merges, at least 1 */
    /* Of pairs seen equally often the one of fewer cells goes first, then the lower spelling, and a pair that
     * spells a token does not merge; else the one of lower ids goes first and takes that token's id. */
    bool spelling;
    bool (*may)(const void *ctx, uint32_t a, uint32_t b); /* may the two merge?  NULL: all may */
    void (*made)(void *ctx, uint32_t a, uint32_t b, uint32_t c); /* c is made of a and b.  NULL: nothing to do */
    void *ctx;
};

/* The most frequent pair of neighbours merges until `size` is reached or no pair is left: tokens and merges are
 * added to t.  count[i] is how often word i comes; n_cells is below 2^32; cells are used up. */
void bpe_train_merge(struct bpe_train *t, struct bpe_train_cell *cell, size_t n_cells, const uint64_t *count,
                     const struct bpe_train_rules *rules);

#endif
