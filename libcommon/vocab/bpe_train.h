/* bpe_train.h - learn a byte-level BPE vocabulary from text, as HF tokenizers' BpeTrainer does.
 *
 * Words (pieces of the pattern, in lines each with its newline) are counted, a table a thread; then the most
 * frequent pair of neighbours merges, again and again, ties going to the lower left id, then the lower right
 * one.  Ids: the special strings, the 256 bytes in the order of the characters that stand for them, the
 * merges.  A merge whose result is a token already takes that token's id.  The result depends on the counts
 * alone, not on the order of the text or the threads.  Memory grows with the distinct words.
 */
#ifndef LIBCOMMON_VOCAB_BPE_TRAIN_H
#define LIBCOMMON_VOCAB_BPE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/io.h"
#include "libcommon/tokenizer/pretok.h"

struct bpe_train_words;

/* The pattern is borrowed until bpe_train_words_free(). */
struct bpe_train_words *bpe_train_words_new(const struct pretok *p);
void bpe_train_words_free(struct bpe_train_words *w);
/* Count the words of n bytes of valid UTF-8, one text.  -1: the pattern failed (pretok.h). */
int bpe_train_words_add(struct bpe_train_words *w, const char *text, size_t n, struct err *err);
/* Add the counts of `from`, which keeps its own. */
void bpe_train_words_merge(struct bpe_train_words *w, const struct bpe_train_words *from);

struct bpe_train_options {
    uint32_t size;              /* tokens wanted, special strings and bytes included */
    const char *const *special; /* apart from each other */
    int n_special;
    uint64_t min_frequency; /* of a pair that merges; 0 is 1 */
    uint32_t max_length;    /* a token has fewer bytes, but for those of two; 0: no bound */
};

struct bpe_train {
    struct bpe_train_token {
        size_t at; /* of its spelling in `bytes` */
        uint32_t n, length; /* bytes of the spelling; bytes of text it stands for */
    } *token;
    size_t n_tokens, token_cap;
    char *bytes;
    size_t n_bytes, bytes_cap;
    uint32_t (*merge)[2]; /* ids, in order */
    size_t n_merges, merge_cap;
    int n_special;
    uint32_t *slot; /* of tokens by spelling: 1 + id */
    size_t slot_bits;
};

/* NULL: size is less than the special strings and the bytes, or the words are too many (2^32 bytes). */
struct bpe_train *bpe_train(const struct bpe_train_words *w, const struct bpe_train_options *o, struct err *err);
void bpe_train_free(struct bpe_train *t);
/* The same as HF's tokenizer.json: Split by the pattern (isolated), ByteLevel, BPE. */
int bpe_train_write(const struct bpe_train *t, const char *pattern, struct io_out *out, struct err *err);

#endif
