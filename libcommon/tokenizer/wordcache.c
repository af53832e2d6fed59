#include "libcommon/tokenizer/wordcache.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"

#define FIRST_BITS 13
#define LAST_BITS 20
#define MORE_MOST ((size_t)1 << 20) /* ids of pieces that have more than three */

void wordcache_init(struct wordcache *c)
{
    size_t size = sizeof *c->big << WORDCACHE_BITS;

    *c = (struct wordcache){ 0 };
    c->shift = 64 - FIRST_BITS;
    arena_reserve(&c->arena, sizeof *c->entry << LAST_BITS);
    c->entry = arena_alloc(&c->arena, sizeof *c->entry << LAST_BITS);
    arena_reserve(&c->ring_arena, WORDCACHE_RING + size);
    c->big = arena_alloc(&c->ring_arena, size);
    c->ring = arena_alloc(&c->ring_arena, WORDCACHE_RING);
}

void wordcache_release(struct wordcache *c)
{
    arena_release(&c->arena);
    arena_release(&c->ring_arena);
    free(c->more);
}

static size_t first_place(const struct wordcache_entry *e, int shift)
{
    return (size_t)(wordcache_hash(e->low, e->high) >> shift);
}

/* Where a piece may stand: four entries, two cache lines beside one another, its own one first.  False: all are taken. */
static bool place(struct wordcache *c, const struct wordcache_entry *e)
{
    size_t at = first_place(e, c->shift);

    for (size_t k = 0; k < 4; k++)
        if (!c->entry[at ^ k].high) {
            c->entry[at ^ k] = *e;
            c->used++;
            return true;
        }
    return false;
}

/* The first empty place; when all are taken, one after the other in turn. */
static void insert(struct wordcache *c, const struct wordcache_entry *e)
{
    if (!place(c, e))
        c->entry[first_place(e, c->shift) ^ (c->replaced++ & 3)] = *e;
}

/* Twice the entries, in place: those of four neighbours go to eight, what has its first place before its guests. */
static void grow(struct wordcache *c)
{
    struct wordcache_entry was[4];

    c->used = 0;
    c->shift--;
    for (size_t at = (size_t)1 << (63 - c->shift); at; ) {
        at -= 4;
        memcpy(was, &c->entry[at], sizeof was);
        memset(&c->entry[2 * at], 0, 2 * sizeof was);
        for (size_t guests = 0; guests < 2; guests++)
            for (size_t k = 0; k < 4; k++)
                if (was[k].high && (first_place(&was[k], c->shift + 1) != at + k) == guests)
                    place(c, &was[k]);
    }
}

void wordcache_settle(struct wordcache *c, const struct wordcache_entry *e)
{
    size_t at = first_place(e, c->shift);
    struct wordcache_entry *first = &c->entry[at], was = *first;

    if (first_place(first, c->shift) == at)
        return;
    *first = *e;
    c->entry[e - c->entry] = was;
}

void wordcache_add(struct wordcache *c, uint64_t low, uint64_t high, const uint32_t *ids, size_t n)
{
    struct wordcache_entry e = { low, high, { 0 }, (uint32_t)n };
    size_t size = (size_t)1 << (64 - c->shift);

    if (n > WORDCACHE_IDS)
        return;
    if (n <= 3) {
        memcpy(e.id, ids, n * sizeof *ids);
    } else {
        if (c->more_n + n > MORE_MOST) {
            memset(c->entry, 0, size * sizeof e);
            c->more_n = c->used = 0;
        }
        mem_grow(&c->more, &c->more_cap, c->more_n + WORDCACHE_IDS, sizeof *c->more);
        memcpy(c->more + c->more_n, ids, n * sizeof *ids);
        e.id[0] = (uint32_t)c->more_n;
        c->more_n += n;
    }
    if (2 * c->used >= size && c->shift > 64 - LAST_BITS)
        grow(c);
    if (place(c, &e))
        return;
    if (4 * c->used >= size && c->shift > 64 - LAST_BITS)
        grow(c);
    insert(c, &e);
}

static struct wordcache_long *set_of(const struct wordcache *c, uint64_t hash)
{
    return &c->big[hash >> (64 - WORDCACHE_BITS) & ~(size_t)(WORDCACHE_WAYS - 1)];
}

/* Where a long piece is looked for; then, when that is there, what it points to. */
static void fetch_set(const struct wordcache *c, uint64_t hash)
{
    const struct wordcache_long *e = set_of(c, hash);

    __builtin_prefetch(e);
    __builtin_prefetch(e + WORDCACHE_WAYS / 2);
}

static void fetch_ring(const struct wordcache *c, uint64_t hash)
{
    const struct wordcache_long *e = set_of(c, hash);

    for (int i = 0; i < WORDCACHE_WAYS; i++)
        if (e[i].hash == (uint32_t)hash) {
            __builtin_prefetch(c->ring + e[i].at % WORDCACHE_RING);
            __builtin_prefetch(c->ring + e[i].at % WORDCACHE_RING + 64);
        }
}

/* The hash of a long piece, odd, as no entry has it with a length of 0; where that may stand is fetched. */
static uint64_t long_key(const struct wordcache *c, const char *s, size_t len)
{
    uint64_t hash = len <= WORDCACHE_LONGEST ? hash_bytes(s, len, 0) | 1 : 1;

    fetch_set(c, hash);
    return hash;
}

/* Of pieces [i, k), the first of which begins at `at`, up to one that is long or behind `last`: that one. */
static size_t short_keys(const struct wordcache *c, struct wordcache_batch *b, const char *text, size_t last, size_t at, size_t i,
                         size_t k)
{
    const struct wordcache_entry *entry = c->entry;
    int shift = c->shift;

    for (; i < k; i++) {
        size_t end = b->end[i], len = end - at;
        const struct wordcache_entry *place;
        uint64_t low, high;

        if (len > WORDCACHE_SHORT || at > last)
            break;
        wordcache_key_16(text + at, len, &low, &high);
        place = entry + (wordcache_hash(low, high) >> shift);
        __builtin_prefetch(place);
        b->low[i] = low;
        b->high[i] = high;
        b->place[i] = place;
        at = end;
    }
    return i;
}

void wordcache_keys(const struct wordcache *c, struct wordcache_batch *b, const char *text, size_t n, size_t at, size_t k)
{
    size_t longs = 0;

    for (size_t i = 0; i < k; i++) {
        size_t len;

        if (n >= 16) {
            i = short_keys(c, b, text, n - 16, at, i, k);
            at = i ? b->end[i - 1] : at;
        }
        if (i == k)
            break;
        len = b->end[i] - at;
        b->place[i] = c->entry;
        if (len > WORDCACHE_SHORT) {
            b->low[i] = long_key(c, text + at, len);
            b->high[i] = 0;
            longs++;
        } else {
            wordcache_key(text + at, len, n - at, &b->low[i], &b->high[i]);
            b->place[i] += wordcache_hash(b->low[i], b->high[i]) >> c->shift;
        }
        at += len;
    }
    for (size_t i = 0; longs; i++)
        if (!b->high[i]) {
            fetch_ring(c, b->low[i]);
            longs--;
        }
}

static bool alive(const struct wordcache *c, const struct wordcache_long *e)
{
    return e->len && c->ring_end - e->at <= WORDCACHE_RING;
}

static size_t ids_behind(size_t at, size_t len)
{
    return (at + len + 3) & ~(size_t)3;
}

const uint32_t *wordcache_find_long(const struct wordcache *c, const char *s, size_t len, uint64_t hash, size_t *n)
{
    const struct wordcache_long *e = set_of(c, hash);

    for (int i = 0; i < WORDCACHE_WAYS; i++, e++) {
        size_t at = (size_t)(e->at % WORDCACHE_RING);

        if (e->hash != (uint32_t)hash || e->len != len || !alive(c, e) || memcmp(c->ring + at, s, len) != 0)
            continue;
        *n = e->n;
        return (const uint32_t *)(const void *)(c->ring + ids_behind(at, len));
    }
    return NULL;
}

/* In the place of one that is no more, or of the oldest. */
void wordcache_add_long(struct wordcache *c, const char *s, size_t len, uint64_t hash, const uint32_t *ids, size_t n)
{
    struct wordcache_long *e = set_of(c, hash), *oldest = e;
    size_t at = (size_t)(c->ring_end % WORDCACHE_RING), size = ids_behind(at, len) + n * sizeof *ids - at;

    if (at + size > WORDCACHE_RING) {
        c->ring_end += WORDCACHE_RING - at;
        at = 0;
        size = ids_behind(0, len) + n * sizeof *ids;
    }
    for (int i = 0; i < WORDCACHE_WAYS && alive(c, oldest); i++)
        if (!alive(c, &e[i]) || e[i].at < oldest->at)
            oldest = &e[i];
    memcpy(c->ring + at, s, len);
    memcpy(c->ring + ids_behind(at, len), ids, n * sizeof *ids);
    *oldest = (struct wordcache_long){ c->ring_end, (uint32_t)hash, (uint16_t)len, (uint16_t)n };
    c->ring_end += size;
}
