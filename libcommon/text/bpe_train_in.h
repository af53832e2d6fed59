/* bpe_train_in.h - counted words, between the files of bpe_train. */
#ifndef LIBCOMMON_TEXT_BPE_TRAIN_IN_H
#define LIBCOMMON_TEXT_BPE_TRAIN_IN_H

#include "libcommon/text/bpe_train.h"

#define BPE_TRAIN_SHORT 15

/* A word of 2 to 15 bytes is its own key: bytes, zero padded, and its length in the last of 16. */
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

#endif
