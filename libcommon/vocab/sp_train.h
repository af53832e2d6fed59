/* sp_train.h - learn a vocabulary from text as SentencePiece 0.2.1 does: BPE over characters, or Unigram.
 *
 * Text is taken line by line, a sentence each: normalised, U+2581 for a space and in front, cut before every
 * U+2581 into words, which are counted, a table a thread.  Characters are required, the most frequent first,
 * until they cover the share `character_coverage`; a rarer one parts what stands left and right of it, and so
 * does a symbol that is given.  The result depends on the counts alone, not on the order of the text or the
 * threads.  Memory grows with the distinct words.
 *
 * BPE: the pair of neighbours seen most often becomes a piece, of equals the one of fewer characters, then the
 * lower one; a pair that spells a piece stays two.  The same pieces and scores as the reference's.
 * Unigram: characters and the most frequent strings within words are the first pieces; then rounds of
 * expectation and maximisation, and of pruning, until 1.1 x size pieces are left; the best of them at last
 * (Kudo 2018).  Sums are exact here, in float there, so that the last pieces may be others.
 */
#ifndef LIBCOMMON_VOCAB_SP_TRAIN_H
#define LIBCOMMON_VOCAB_SP_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/io.h"
#include "libcommon/base/par.h"

enum sp_train_rule { SP_NMT_NFKC, SP_NFKC, SP_IDENTITY };
enum { SP_UNK, SP_BOS, SP_EOS, SP_PAD, SP_RESERVED };

/* The fields of TrainerSpec and NormalizerSpec by their names. */
struct sp_train_options {
    bool unigram;
    uint32_t vocab_size;
    uint32_t max_sentencepiece_length, max_sentence_length; /* characters; bytes, longer lines are left out */
    float character_coverage;
    bool byte_fallback, split_digits, split_by_unicode_script, split_by_number, split_by_whitespace;
    bool allow_whitespace_only_pieces, add_dummy_prefix, remove_extra_whitespaces;
    int normalization; /* enum sp_train_rule */
    const char *const *control_symbols, *const *user_defined_symbols; /* apart from each other */
    int n_control, n_user_defined;
    int32_t id[SP_RESERVED];         /* of <unk>, <s>, </s>, <pad>; -1: there is none (not of <unk>) */
    const char *piece[SP_RESERVED]; /* their spelling */
    uint32_t seed_sentencepiece_size, num_sub_iterations; /* of Unigram */
    float shrinking_factor;
};

/* SentencePiece's defaults; vocab_size is 0. */
struct sp_train_options sp_train_defaults(void);

enum sp_type { SP_NORMAL = 1, SP_UNKNOWN, SP_CONTROL, SP_USER_DEFINED, SP_UNUSED, SP_BYTE };

struct sp_piece {
    const char *s; /* UTF-8, n bytes; not empty */
    uint32_t n;
    float score;
    enum sp_type type;
};

struct sp_train;

/* The options are borrowed until sp_train_free().  NULL: they are not possible, and why. */
struct sp_train *sp_train_new(const struct sp_train_options *o, int threads, struct err *err);
void sp_train_free(struct sp_train *t);

/* Count the words of one text of n bytes of valid UTF-8; thread is 0..threads-1. */
void sp_train_add(struct sp_train *t, const char *text, size_t n, int thread);

/* Lines left out, so far: longer than max_sentence_length; with U+2585, which is reserved. */
uint64_t sp_train_too_long(const struct sp_train *t);
uint64_t sp_train_with_reserved(const struct sp_train *t);

/* When all text is counted: the pieces by id, fewer than vocab_size where no more are to be had.  Borrowed from t.
 * NULL: vocab_size is too small for what is required, or there is no text, or too much. */
const struct sp_piece *sp_train(struct sp_train *t, struct par *par, size_t *n, struct err *err);

/* What SentencePiece loads, and HF's tokenizer.json for the same (without what only one of them can express:
 * see lmvocab(1)). */
int sp_train_write_model(const struct sp_train *t, struct io_out *out, struct err *err);
int sp_train_write_json(const struct sp_train *t, struct io_out *out, struct err *err);

#endif
