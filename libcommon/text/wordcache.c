#include "libcommon/text/wordcache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

#define FIRST_BITS 13
#define LAST_BITS 20
#define MORE_MOST ((size_t)1 << 20) /* ids of pieces that have more than three */
#define BIG_FIRST_BITS 12
#define BIG_LAST_BITS 18
#define POOL_MOST ((size_t)16 << 20)

static void make_short(struct wordcache *c, int bits)
{
    arena_reserve(&c->arena, sizeof *c->entry << bits);
    c->entry = arena_alloc(&c->arena, sizeof *c->entry << bits);
    c->shift = 64 - bits;
    c->used = 0;
}

static void make_long(struct wordcache *c, unsigned bits)
{
    arena_reserve(&c->long_arena, sizeof *c->big << bits);
    c->big = arena_alloc(&c->long_arena, sizeof *c->big << bits);
    c->big_bits = bits;
    c->big_used = 0;
}

void wordcache_init(struct wordcache *c)
{
    *c = (struct wordcache){ 0 };
    make_short(c, FIRST_BITS);
    make_long(c, BIG_FIRST_BITS);
}

void wordcache_release(struct wordcache *c)
{
    arena_release(&c->arena);
    arena_release(&c->long_arena);
    free(c->more);
    free(c->pool);
}

/* Where a piece may stand: four entries, two cache lines beside one another, its own one first.  The first
 * empty one; when all are taken, one after the other in turn. */
static void insert(struct wordcache *c, const struct wordcache_entry *e)
{
    size_t at = (size_t)(wordcache_hash(e->low, e->high) >> c->shift);

    for (size_t k = 0; k < 4; k++)
        if (!c->entry[at ^ k].high) {
            c->entry[at ^ k] = *e;
            c->used++;
            return;
        }
    c->entry[at ^ (c->replaced++ & 3)] = *e;
}

static void grow(struct wordcache *c)
{
    struct arena old = c->arena;
    struct wordcache_entry *e = c->entry;
    size_t n = (size_t)1 << (64 - c->shift);

    c->arena = (struct arena){ 0 };
    make_short(c, 64 - c->shift + 1);
    for (size_t i = 0; i < n; i++)
        if (e[i].high)
            insert(c, &e[i]);
    arena_release(&old);
}

void wordcache_add(struct wordcache *c, uint64_t low, uint64_t high, const uint32_t *ids, size_t n)
{
    struct wordcache_entry e = { low, high, { 0 }, (uint32_t)n };
    size_t size = (size_t)1 << (64 - c->shift);

    if (n <= 3) {
        memcpy(e.id, ids, n * sizeof *ids);
    } else {
        if (c->more_n + n > MORE_MOST) {
            memset(c->entry, 0, size * sizeof e);
            c->more_n = c->used = 0;
        }
        mem_grow(&c->more, &c->more_cap, c->more_n + n, sizeof *c->more);
        memcpy(c->more + c->more_n, ids, n * sizeof *ids);
        e.id[0] = (uint32_t)c->more_n;
        c->more_n += n;
    }
    if (2 * c->used >= size && c->shift > 64 - LAST_BITS)
        grow(c);
    insert(c, &e);
}

static struct wordcache_long *find_long(const struct wordcache *c, const char *s, size_t len, uint64_t hash)
{
    size_t mask = ((size_t)1 << c->big_bits) - 1, i = (size_t)hash & mask;

    for (; c->big[i].len; i = (i + 1) & mask)
        if (c->big[i].hash == hash && c->big[i].len == len && memcmp(c->pool + c->big[i].at, s, len) == 0)
            break;
    return &c->big[i];
}

const uint32_t *wordcache_find_long(const struct wordcache *c, const char *s, size_t len, uint64_t hash, size_t *n)
{
    const struct wordcache_long *e = find_long(c, s, len, hash);

    *n = e->n;
    return e->len ? (const uint32_t *)(const void *)(c->pool + ((e->at + e->len + 3) & ~(size_t)3)) : NULL;
}

static void grow_long(struct wordcache *c)
{
    struct arena old = c->long_arena;
    struct wordcache_long *e = c->big;
    size_t n = (size_t)1 << c->big_bits;

    c->long_arena = (struct arena){ 0 };
    make_long(c, c->big_bits + 1);
    for (size_t i = 0; i < n; i++)
        if (e[i].len) {
            *find_long(c, c->pool + e[i].at, e[i].len, e[i].hash) = e[i];
            c->big_used++;
        }
    arena_release(&old);
}

void wordcache_add_long(struct wordcache *c, const char *s, size_t len, uint64_t hash, const uint32_t *ids, size_t n)
{
    size_t at = (c->pool_n + 3) & ~(size_t)3, ids_at = (at + len + 3) & ~(size_t)3;
    bool full = 2 * c->big_used >= (size_t)1 << c->big_bits;

    if (full && c->big_bits < BIG_LAST_BITS) {
        grow_long(c);
        full = false;
    }
    if (full || ids_at + n * sizeof *ids > POOL_MOST) {
        memset(c->big, 0, sizeof *c->big << c->big_bits);
        c->big_used = 0;
        at = 0;
        ids_at = (len + 3) & ~(size_t)3;
    }
    c->pool_n = ids_at + n * sizeof *ids;
    mem_grow(&c->pool, &c->pool_cap, c->pool_n, 1);
    memcpy(c->pool + at, s, len);
    memcpy(c->pool + ids_at, ids, n * sizeof *ids);
    *find_long(c, s, len, hash) = (struct wordcache_long){ hash, (uint32_t)at, (uint16_t)len, (uint16_t)n };
    c->big_used++;
}
