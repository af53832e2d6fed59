/* unigram.h - the best path through a text by pieces with scores (Unigram), as SentencePiece and HF compute it.
 *
 * SentencePiece adds scores up in float, from the beginning of a text: where two paths are nearly as good, rounding
 * decides, and so does what came before.  A part of a text between borders is therefore run with the sum before
 * it; its result also says up to which sum before it the same path is the best one whatever the rounding.  HF adds
 * in double, and begins with each piece.
 */
#ifndef LIBCOMMON_TOKENIZER_UNIGRAM_H
#define LIBCOMMON_TOKENIZER_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/text/trie.h"

struct unigram {
    struct trie trie; /* values are ids */
    double *score;    /* [n_ids] of a piece, also of user-defined ones */
    uint32_t n_ids, unk; /* unk: also what a character without a piece gets */
    double unk_score;
    bool single; /* sums are rounded to float */
};

/* Score and trie of pieces: takes over score (malloc'd).  keys are reordered. */
void unigram_build(struct unigram *u, struct trie_key *keys, size_t n, double *score, uint32_t n_ids);
void unigram_release(struct unigram *u);
/* And back (image.h). */
void unigram_image(struct unigram *u, struct image *i);

/* Of a path, one step: from where the one before ends. */
struct unigram_step {
    size_t end;
    uint32_t id;
    bool unk; /* a character without a piece of its own */
};

struct unigram_scratch {
    struct unigram_node *node;
    size_t node_cap;
    struct unigram_step *step;
    size_t step_cap;
};

void unigram_scratch_release(struct unigram_scratch *s);

/* The best path through text[0..n), n >= 1, of valid UTF-8, from a sum before it; it is s->step[0..], the number
 * of steps is returned. */
size_t unigram_run(const struct unigram *u, struct unigram_scratch *s, const char *text, size_t n, double before);
/* The same by exact sums, so that the path is the best one for every sum before it that is nearer to 0 than
 * *limit (<= 0: for none). */
size_t unigram_run_free(const struct unigram *u, struct unigram_scratch *s, const char *text, size_t n, float *limit);

/* The sum behind a step. */
static inline double unigram_sum(const struct unigram *u, double before, uint32_t id, bool unk)
{
    double sum = (unk ? u->unk_score : u->score[id]) + before;

    return u->single ? (double)(float)sum : sum;
}

#endif
