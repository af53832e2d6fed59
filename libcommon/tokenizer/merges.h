/* merges.h - a table of pairs of ids that merge, and a list of ids merged by it.
 *
 * A merge has an index and what it makes; several pairs may be one merge.  Of all neighbours in a list the pair of
 * the lowest rank merges, the leftmost first, until none is left.  The index is the rank, unless ranks are given, of
 * which several merges may share one (SentencePiece's equal scores).  A struct merges is read-only once
 * merges_finish() is done; a struct merges_scratch belongs to one thread.
 */
#ifndef LIBCOMMON_TOKENIZER_MERGES_H
#define LIBCOMMON_TOKENIZER_MERGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/image.h"

#define MERGES_NONE UINT32_MAX
#define MERGES_MAX_ID ((1u << 21) - 2) /* ids and indices are packed into 64 bits */
#define MERGES_MOST ((1u << 22) - 1)
#define MERGES_SHORT 255 /* lists up to so many ids go without a heap */

struct merges {
    uint64_t *pair; /* open addressing: not (left id 21, right id 21, index 22 bits); 0 for none */
    struct arena pair_table;
    size_t n_pairs;
    unsigned pair_bits, filter_bits;
    uint64_t *filter; /* a bit for the hash of every pair */
    uint32_t *made;   /* [n] id */
    size_t n, cap;
    uint32_t *rank; /* [n], ascending with the index; NULL: the index */
    bool *undone;   /* [n] what it makes is undone in the end; NULL: none is */
};

void merges_release(struct merges *m);
/* Add a merge, of which there are fewer than MERGES_MOST: its index. */
uint32_t merges_add(struct merges *m, uint32_t made);
/* A pair of ids <= MERGES_MAX_ID is this merge; of two equal pairs the later counts. */
void merges_pair(struct merges *m, uint32_t left, uint32_t right, uint32_t index);
/* The same for many. */
struct merges_pair {
    uint32_t left, right, index;
};
void merges_pairs(struct merges *m, const struct merges_pair *p, size_t n);
/* Add n merges of one pair each, of which p[i].index is the id that they make: it becomes the index. */
void merges_add_all(struct merges *m, struct merges_pair *p, size_t n);
/* All pairs are there. */
void merges_finish(struct merges *m);
/* One that is finished, and back (image.h). */
void merges_image(struct merges *m, struct image *i);
/* The index of the merge of two ids, or MERGES_NONE. */
uint32_t merges_find(const struct merges *m, uint32_t left, uint32_t right);

/* The merges of two of 128 ids each, some of which may be MERGES_NONE, into table[left << 7 | right]. */
void merges_table(const struct merges *m, const uint32_t id[128], uint32_t table[128 * 128]);

struct merges_scratch {
    uint32_t *next, *prev;
    uint64_t *heap;           /* rank, position */
    uint32_t (*parts)[2];     /* [merges.n] of what is undone: the pair that was seen last */
    size_t next_cap, prev_cap, heap_cap, heap_n, parts_cap;
};

void merges_scratch_release(struct merges_scratch *s);

/* Merge id[0..n) in place; the new length.  first[i], i < n - 1: the merge of ids i and i + 1, as merges_find() has
 * it; NULL: it is looked up.  Time is n log n, for few ids without a heap. */
size_t merges_run(const struct merges *m, struct merges_scratch *s, uint32_t *id, size_t n, const uint32_t *first);

#endif
