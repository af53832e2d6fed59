/* wordcache.h - pieces of text whose ids are known, so that a word that comes again costs a look-up.
 *
 * Two tables.  A piece of at most 15 bytes is its own key: the bytes and the length in 16 bytes, in entries of 32
 * that hold up to three ids; the table begins small and doubles up to a fixed size, where entries replace one
 * another.  Longer pieces, to WORDCACHE_LONGEST, are compared with a copy, which stands in a ring with its ids:
 * the oldest make room.  Memory is bounded, by about 80 MB, and used as it fills.  One thread's own.
 */
#ifndef LIBCOMMON_TOKENIZER_WORDCACHE_H
#define LIBCOMMON_TOKENIZER_WORDCACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/base/arena.h"

#define WORDCACHE_SHORT 15
#define WORDCACHE_IDS 16 /* short pieces that have more are not kept */
#define WORDCACHE_LONGEST 255

struct wordcache_entry {
    uint64_t low, high; /* the bytes, zero padded; the length in the last one; 0 for none */
    uint32_t id[3];     /* or the place of the ids in `more` */
    uint32_t n;         /* of ids */
};

/* Where in the ring, counted from the first byte ever put there, a piece stands: its bytes, then at the next
 * multiple of 4 its ids. */
struct wordcache_long {
    uint64_t at;
    uint32_t hash;
    uint16_t len, n; /* bytes, 0 for none; ids */
};

struct wordcache {
    struct arena arena, ring_arena;
    struct wordcache_entry *entry;
    int shift; /* an index is hash >> shift */
    size_t used, replaced;
    uint32_t *more;
    size_t more_n, more_cap;
    struct wordcache_long *big;
    char *ring;
    uint64_t ring_end; /* where the next piece goes */
};

#define WORDCACHE_BITS 19 /* of the table of long pieces */
#define WORDCACHE_WAYS 8  /* entries where one may stand */
#define WORDCACHE_RING ((size_t)32 << 20)

void wordcache_init(struct wordcache *c);
void wordcache_release(struct wordcache *c);

static inline uint64_t wordcache_hash(uint64_t low, uint64_t high)
{
    return low * 0x9e3779b97f4a7c15 ^ high * 0xc2b2ae3d27d4eb4f;
}

/* The bytes of a piece, zero padded, and its length, as an entry has them; 16 bytes of s can be read. */
static inline void wordcache_key_16(const char *s, size_t len, uint64_t *low, uint64_t *high)
{
    static const uint8_t ones[32] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    uint64_t mask[2];

    memcpy(mask, ones + 16 - len, 16);
    memcpy(low, s, 8);
    memcpy(high, s + 8, 8);
    *low &= mask[0];
    *high = (*high & mask[1]) | (uint64_t)len << 56;
}

/* The same where `room` bytes of s can be read. */
static inline void wordcache_key(const char *s, size_t len, size_t room, uint64_t *low, uint64_t *high)
{
    char padded[16] = { 0 };

    wordcache_key_16(room < 16 ? memcpy(padded, s, len) : s, len, low, high);
}

static inline bool wordcache_is(const struct wordcache_entry *e, uint64_t low, uint64_t high)
{
    return e->low == low && e->high == high;
}

/* The other entry of a cache line. */
static inline const struct wordcache_entry *wordcache_second(const struct wordcache *c, const struct wordcache_entry *first)
{
    return &c->entry[(first - c->entry) ^ 1];
}

/* The entry of a short piece, or NULL. */
static inline const struct wordcache_entry *wordcache_find(const struct wordcache *c, uint64_t low, uint64_t high)
{
    size_t at = (size_t)(wordcache_hash(low, high) >> c->shift);

    for (size_t k = 0; k < 4; k++)
        if (wordcache_is(&c->entry[at ^ k], low, high))
            return &c->entry[at ^ k];
    return NULL;
}

/* A piece that was found where another has its first place moves to its own one, so that it is found at once. */
void wordcache_settle(struct wordcache *c, const struct wordcache_entry *e);

static inline const uint32_t *wordcache_ids(const struct wordcache *c, const struct wordcache_entry *e)
{
    return e->n <= 3 ? e->id : c->more + e->id[0];
}

/* The ids of an entry into v, which has room for WORDCACHE_IDS; behind them. */
static inline uint32_t *wordcache_put(const struct wordcache *c, const struct wordcache_entry *e, uint32_t *v)
{
    memcpy(v, e->id, sizeof e->id + sizeof e->n); /* of which n count */
    if (e->n > 3)
        memcpy(v, c->more + e->id[0], WORDCACHE_IDS * sizeof *v);
    return v + e->n;
}

/* Remember the ids of a short piece that is not there. */
void wordcache_add(struct wordcache *c, uint64_t low, uint64_t high, const uint32_t *ids, size_t n);
/* Pieces of a text that are looked up together. */
#define WORDCACHE_BATCH 256
struct wordcache_batch {
    size_t end[WORDCACHE_BATCH];
    uint64_t low[WORDCACHE_BATCH], high[WORDCACHE_BATCH]; /* keys; of a long piece its hash, and 0 */
    const struct wordcache_entry *place[WORDCACHE_BATCH]; /* the first one; of a long piece some entry, which is not its own */
};

/* Keys and places of the first k pieces, whose ends are there and the first of which begins at `at`, in text[0..n); what
 * stands there is fetched. */
void wordcache_keys(const struct wordcache *c, struct wordcache_batch *b, const char *text, size_t n, size_t at, size_t k);

/* The ids of a piece of 16 to WORDCACHE_LONGEST bytes, borrowed until the next call, and their number; NULL. */
const uint32_t *wordcache_find_long(const struct wordcache *c, const char *s, size_t len, uint64_t hash, size_t *n);
void wordcache_add_long(struct wordcache *c, const char *s, size_t len, uint64_t hash, const uint32_t *ids, size_t n);

#endif
