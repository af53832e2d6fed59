#include "libcommon/text/lexicon.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"

#define BATCH 64 /* look-ups that wait for memory together */

void lexicon_release(struct lexicon *l)
{
    free(l->bytes);
    free(l->item);
    free(l->slot);
    free(l->filter);
    free(l->index);
    *l = (struct lexicon){ 0 };
}

int lexicon_add(struct lexicon *l, const char *s, size_t n, uint64_t id, uint32_t most, struct err *err)
{
    if (id > most)
        return err_set(err, "id %llu is above %u", (unsigned long long)id, most);
    if (n > UINT32_MAX || l->n == UINT32_MAX)
        return err_set(err, "a string of %zu bytes", n);
    mem_grow(&l->bytes, &l->bytes_cap, l->bytes_n + n, 1);
    mem_grow(&l->item, &l->cap, l->n + 1, sizeof *l->item);
    l->item[l->n++] = (struct lexicon_item){ .at = l->bytes_n, .len = (uint32_t)n, .id = (uint32_t)id };
    if (n)
        memcpy(l->bytes + l->bytes_n, s, n);
    l->bytes_n += n;
    return 0;
}

/* The slot of a string, or the empty one where it would stand. */
static uint64_t *slot_of(const struct lexicon *l, const char *s, size_t n, uint64_t hash)
{
    size_t mask = ((size_t)1 << l->bits) - 1;
    uint64_t found;

    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        const struct lexicon_item *t;

        found = l->slot[i];
        if (!found)
            return &l->slot[i];
        if ((found ^ hash) >> 32)
            continue;
        t = &l->item[(uint32_t)found - 1];
        if (t->len == n && memcmp(l->bytes + t->at, s, n) == 0)
            return &l->slot[i];
    }
}

static size_t filter_bit(const struct lexicon *l, uint64_t hash)
{
    return (size_t)(hash >> 16) & (((size_t)1 << (l->bits + 3)) - 1);
}

/* Item i, whose hash is known, into the tables. */
static int place(struct lexicon *l, size_t i, uint64_t hash, struct err *err)
{
    const struct lexicon_item *t = &l->item[i];
    uint64_t *slot = slot_of(l, l->bytes + t->at, t->len, hash);

    if (*slot)
        return err_set(err, "ids %u and %u have one string", l->item[(uint32_t)*slot - 1].id, t->id);
    if (l->index[t->id])
        return err_set(err, "two tokens have the id %u", t->id);
    *slot = hash >> 32 << 32 | (i + 1);
    l->filter[filter_bit(l, hash) / 64] |= (uint64_t)1 << filter_bit(l, hash) % 64;
    l->index[t->id] = (uint32_t)i + 1;
    return 0;
}

int lexicon_index(struct lexicon *l, struct err *err)
{
    uint64_t hash[BATCH];
    size_t mask;

    for (l->bits = 4; (size_t)1 << l->bits < 2 * l->n; l->bits++)
        ;
    mask = ((size_t)1 << l->bits) - 1;
    l->slot = xcalloc(mask + 1, sizeof *l->slot);
    l->filter = xcalloc((size_t)1 << (l->bits - 3), sizeof *l->filter);
    for (size_t i = 0; i < l->n; i++)
        l->n_ids = l->item[i].id >= l->n_ids ? l->item[i].id + 1 : l->n_ids;
    l->index = xcalloc((size_t)l->n_ids + 1, sizeof *l->index);
    for (size_t at = 0; at < l->n; at += BATCH) {
        size_t n = l->n - at < BATCH ? l->n - at : BATCH;

        for (size_t i = 0; i < n; i++) {
            const struct lexicon_item *t = &l->item[at + i];

            hash[i] = hash_bytes(l->bytes + t->at, t->len, 0);
            __builtin_prefetch(&l->slot[hash[i] & mask], 1);
        }
        for (size_t i = 0; i < n; i++)
            if (place(l, at + i, hash[i], err) < 0)
                return -1;
    }
    return 0;
}

static bool maybe(const struct lexicon *l, uint64_t hash)
{
    size_t bit = filter_bit(l, hash);

    return l->filter[bit / 64] >> bit % 64 & 1;
}

static uint32_t find(const struct lexicon *l, const char *s, size_t n, uint64_t hash)
{
    uint64_t found = maybe(l, hash) ? *slot_of(l, s, n, hash) : 0;

    return found ? l->item[(uint32_t)found - 1].id : LEXICON_NONE;
}

uint32_t lexicon_find(const struct lexicon *l, const char *s, size_t n)
{
    return find(l, s, n, hash_bytes(s, n, 0));
}

void lexicon_find_all(const struct lexicon *l, struct lexicon_query *query, size_t n)
{
    size_t mask = ((size_t)1 << l->bits) - 1;

    for (struct lexicon_query *q = query; q < query + n; q++) {
        q->hash = hash_bytes(q->s, q->n, 0);
        q->id = maybe(l, q->hash);
        if (q->id)
            __builtin_prefetch(&l->slot[q->hash & mask]);
    }
    for (struct lexicon_query *q = query; q < query + n; q++)
        if (q->id && (q->id = (uint32_t)l->slot[q->hash & mask]) != 0)
            __builtin_prefetch(&l->item[q->id - 1]);
    for (struct lexicon_query *q = query; q < query + n; q++)
        if (q->id)
            __builtin_prefetch(l->bytes + l->item[q->id - 1].at);
    for (struct lexicon_query *q = query; q < query + n; q++)
        q->id = find(l, q->s, q->n, q->hash);
}

const char *lexicon_string(const struct lexicon *l, uint32_t id, size_t *n)
{
    const struct lexicon_item *t = id < l->n_ids && l->index[id] ? &l->item[l->index[id] - 1] : NULL;

    if (!t)
        return NULL;
    *n = t->len;
    return l->bytes + t->at;
}
