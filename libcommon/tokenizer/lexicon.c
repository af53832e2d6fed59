#include "libcommon/tokenizer/lexicon.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"

#define BATCH 64 /* look-ups that wait for memory together */

void lexicon_release(struct lexicon *l)
{
    free(l->bytes);
    free(l->item);
    arena_release(&l->table);
    free(l->filter);
    free(l->index);
    *l = (struct lexicon){ 0 };
}

void lexicon_reserve(struct lexicon *l, size_t strings, size_t bytes)
{
    mem_grow(&l->bytes, &l->bytes_cap, l->bytes_n + bytes, 1);
    mem_grow(&l->item, &l->cap, l->n + strings, sizeof *l->item);
}

int lexicon_add(struct lexicon *l, const char *s, size_t n, uint64_t id, uint32_t most, struct err *err)
{
    if (id > most)
        return err_set(err, "id %llu is above %u", (unsigned long long)id, most);
    if (n > UINT32_MAX || l->n == UINT32_MAX)
        return err_set(err, "a string of %zu bytes", n);
    mem_grow(&l->bytes, &l->bytes_cap, l->bytes_n + n + 1, 1); /* not NULL */
    mem_grow(&l->item, &l->cap, l->n + 1, sizeof *l->item);
    l->item[l->n++] = (struct lexicon_item){ .at = l->bytes_n, .len = (uint32_t)n, .id = (uint32_t)id };
    if (n)
        memcpy(l->bytes + l->bytes_n, s, n);
    l->bytes_n += n;
    return 0;
}

static uint64_t load(const char *s, int n)
{
    uint64_t v = 0;

    memcpy(&v, s, (size_t)n);
    return v;
}

/* Up to 8 bytes, zero padded. */
static inline uint64_t padded(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;

    if (n == 8)
        return load(s, 8);
    if (n >= 4)
        return load(s, 4) | load(s + n - 4, 4) << 8 * (n - 4);
    return n ? p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1) : 0;
}

/* What stands in the slot of a string, without the id; its hash. */
static inline uint64_t make_key(const char *s, size_t n, uint64_t *low, uint64_t *high)
{
    if (n > LEXICON_INLINE) {
        *low = hash_bytes(s, n, 0);
        *high = (uint64_t)(LEXICON_INLINE + 1) << 56 | (uint32_t)n;
    } else if (n > 8) {
        *low = load(s, 8);
        *high = (uint64_t)n << 56 | load(s + n - 4, 4) >> 8 * (12 - n);
    } else {
        *low = padded(s, n);
        *high = (uint64_t)n << 56;
    }
    return hash_mix64(*low ^ *high * 0x9e3779b97f4a7c15);
}

#define ID ((uint64_t)0xffffff << 32)

/* LEXICON_NONE of an empty one. */
static inline uint32_t id_in(const struct lexicon_slot *slot)
{
    return slot->high ? ((uint32_t)(slot->high >> 32) & 0xffffff) - 1 : LEXICON_NONE;
}

/* The slot of a string, or the empty one where it would stand. */
static inline struct lexicon_slot *slot_of(const struct lexicon *l, const char *s, size_t n, uint64_t low, uint64_t high,
                                           uint64_t hash)
{
    size_t mask = ((size_t)1 << l->bits) - 1;

    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct lexicon_slot *slot = &l->slot[i];

        if (!slot->high)
            return slot;
        if (slot->low == low && !((slot->high ^ high) & ~ID) &&
            (n <= LEXICON_INLINE || memcmp(l->bytes + l->item[l->index[id_in(slot)] - 1].at, s, n) == 0))
            return slot;
    }
}

static size_t filter_bit(const struct lexicon *l, uint64_t hash)
{
    return (size_t)(hash >> 16) & (((size_t)1 << (l->bits + 3)) - 1);
}

/* Item i, whose key is known, into the tables. */
static int place(struct lexicon *l, size_t i, const struct lexicon_query *q, struct err *err)
{
    const struct lexicon_item *t = &l->item[i];
    struct lexicon_slot *slot = slot_of(l, q->s, q->n, q->low, q->high, q->hash);

    if (slot->high)
        return err_set(err, "ids %u and %u have one string", id_in(slot), t->id);
    if (l->index[t->id])
        return err_set(err, "two tokens have the id %u", t->id);
    *slot = (struct lexicon_slot){ q->low, q->high | (uint64_t)(t->id + 1) << 32 };
    if (l->filter)
        l->filter[filter_bit(l, q->hash) / 64] |= (uint64_t)1 << filter_bit(l, q->hash) % 64;
    l->index[t->id] = (uint32_t)i + 1;
    return 0;
}

int lexicon_index(struct lexicon *l, struct err *err)
{
    struct lexicon_query query[BATCH];
    size_t mask;

    for (l->bits = 4; (size_t)1 << l->bits < 2 * l->n; l->bits++)
        ;
    mask = ((size_t)1 << l->bits) - 1;
    l->slot = arena_table(&l->table, (mask + 1) * sizeof *l->slot);
    l->filter = l->unfiltered ? NULL : xcalloc((size_t)1 << (l->bits - 3), sizeof *l->filter);
    for (size_t i = 0; i < l->n; i++)
        l->n_ids = l->item[i].id >= l->n_ids ? l->item[i].id + 1 : l->n_ids;
    l->index = xcalloc((size_t)l->n_ids + 1, sizeof *l->index);
    for (size_t at = 0; at < l->n; at += BATCH) {
        size_t n = l->n - at < BATCH ? l->n - at : BATCH;

        for (size_t i = 0; i < n; i++) {
            const struct lexicon_item *t = &l->item[at + i];

            query[i] = (struct lexicon_query){ .s = l->bytes + t->at, .n = t->len };
            query[i].hash = make_key(query[i].s, t->len, &query[i].low, &query[i].high);
            __builtin_prefetch(&l->slot[query[i].hash & mask], 1);
        }
        for (size_t i = 0; i < n; i++)
            if (place(l, at + i, &query[i], err) < 0)
                return -1;
    }
    return 0;
}

/* Is every index in its bounds, and a slot empty, so that each search ends? */
static bool is_sound(const struct lexicon *l)
{
    size_t slots = (size_t)1 << l->bits, used = 0;

    for (size_t i = 0; i < l->n; i++)
        if (l->item[i].at > l->bytes_n || l->item[i].len > l->bytes_n - l->item[i].at)
            return false;
    for (uint32_t id = 0; id < l->n_ids; id++)
        if (l->index[id] > l->n)
            return false;
    for (size_t i = 0; i < slots; i++) {
        uint32_t id = id_in(&l->slot[i]);

        if (l->slot[i].high && (id >= l->n_ids || !l->index[id]))
            return false;
        used += l->slot[i].high != 0;
    }
    return used < slots;
}

void lexicon_image(struct lexicon *l, struct image *i)
{
    size_t n_ids = (size_t)l->n_ids + 1;

    image_array(i, &l->bytes, &l->bytes_n, 1);
    image_array(i, &l->item, &l->n, sizeof *l->item);
    image_array(i, &l->index, &n_ids, sizeof *l->index);
    image_field(i, l->bits);
    image_flags(i, &l->unfiltered, 1);
    image_check(i, l->bits >= 3 && l->bits < 32 && n_ids > 0 && n_ids <= LEXICON_MOST + 2);
    if (i->bad)
        return;
    image_table(i, &l->slot, &l->table, (size_t)1 << l->bits, sizeof *l->slot);
    image_known(i, &l->filter, (size_t)1 << (l->bits - 3), sizeof *l->filter);
    if (image_loads(i)) {
        l->bytes_cap = l->bytes_n;
        l->cap = l->n;
        l->n_ids = (uint32_t)n_ids - 1;
        image_check(i, !i->bad && is_sound(l));
    }
}

static bool maybe(const struct lexicon *l, uint64_t hash)
{
    size_t bit = filter_bit(l, hash);

    return !l->filter || l->filter[bit / 64] >> bit % 64 & 1;
}

uint32_t lexicon_find(const struct lexicon *l, const char *s, size_t n)
{
    uint64_t low, high, hash = make_key(s, n, &low, &high);

    return maybe(l, hash) ? id_in(slot_of(l, s, n, low, high, hash)) : LEXICON_NONE;
}

/* Some at a time: in between, what is asked for comes from memory. */
static void find_some(const struct lexicon *l, struct lexicon_query *query, size_t n)
{
    const struct lexicon_slot *slot[BATCH];
    size_t mask = ((size_t)1 << l->bits) - 1;

    for (size_t i = 0; i < n; i++) {
        struct lexicon_query *q = &query[i];

        q->hash = make_key(q->s, q->n, &q->low, &q->high);
        slot[i] = maybe(l, q->hash) ? &l->slot[q->hash & mask] : NULL;
        if (slot[i])
            __builtin_prefetch(slot[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct lexicon_query *q = &query[i];

        q->id = slot[i] ? id_in(slot_of(l, q->s, q->n, q->low, q->high, q->hash)) : LEXICON_NONE;
    }
}

void lexicon_find_all(const struct lexicon *l, struct lexicon_query *query, size_t n)
{
    for (size_t i = 0; i < n; i += BATCH)
        find_some(l, query + i, n - i < BATCH ? n - i : BATCH);
}

const char *lexicon_string(const struct lexicon *l, uint32_t id, size_t *n)
{
    const struct lexicon_item *t = id < l->n_ids && l->index[id] ? &l->item[l->index[id] - 1] : NULL;

    if (!t)
        return NULL;
    *n = t->len;
    return l->bytes + t->at;
}
