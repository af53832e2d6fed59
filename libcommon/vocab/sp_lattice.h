/* sp_lattice.h - words, the first pieces of Unigram, and where in the words they are; between the files of sp_train.
 *
 * Piece i is the required character of rank i, or, from n_required on, the seed i - n_required.
 */
#ifndef LIBCOMMON_VOCAB_SP_LATTICE_H
#define LIBCOMMON_VOCAB_SP_LATTICE_H

#include "libcommon/vocab/sp_train_in.h"

/* Characters: rank + SP_CHAR; SP_OTHER is in no piece. */
enum { SP_END, SP_OTHER, SP_CHAR };

/* A piece that begins at some place: its id << SP_EDGE_BITS | its length. */
#define SP_EDGE_BITS 10
#define SP_EDGE_LENGTH ((1u << SP_EDGE_BITS) - 1)

struct sp_seed {
    uint64_t score; /* how often it is seen, times its length */
    uint32_t at, n; /* one place in `text`, characters */
    uint32_t first, last; /* places in the suffix array */
};

struct sp_lattice {
    uint32_t *text;    /* the characters of all words, behind each what follows it: U+2581 or SP_END */
    uint32_t *word_at; /* n_words + 1 */
    uint64_t *count;   /* of a word */
    uint32_t n_words, n_text, longest; /* characters of the longest word */
    struct sp_seed *seed;
    uint32_t n_seeds;
    /* Edges of a word follow each other by place, then by length, the character itself first; `other` is the
     * piece that stands for SP_OTHER. */
    uint32_t *edge, *edge_at; /* of a word: its first */
    uint16_t *n_edges;        /* of a place in `text` */
    uint32_t other;
};

int sp_lattice_make(struct sp_lattice *l, const struct sp_train *t, struct par *par, struct err *err);
void sp_lattice_free(struct sp_lattice *l);

static inline uint32_t sp_lattice_chars(const struct sp_lattice *l, uint32_t word)
{
    return l->word_at[word + 1] - l->word_at[word] - 1;
}

#endif
