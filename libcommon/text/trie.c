#include "libcommon/text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

#define TRIES 32      /* empty units looked at for a state with several children */
#define NO_PARENT UINT32_MAX
#define FEW 24        /* keys sorted by insertion */

/* Empty units are a ring through base (the next one) and value (the one before). */
struct builder {
    struct trie *t;
    size_t cap;
    uint32_t empty; /* one of them, TRIE_NONE: there is none */
    struct trie_key *keys, *room;
    /* States to be given children: keys [from, to) share their first `depth` bytes. */
    struct todo {
        size_t from, to, depth;
        uint32_t state;
    } *todo;
    size_t todo_n, todo_cap;
};

static void add_block(struct builder *b)
{
    struct trie *t = b->t;
    uint32_t from = (uint32_t)t->n;

    mem_grow(&t->unit, &b->cap, t->n + 256, sizeof *t->unit);
    for (uint32_t i = from; i < from + 256; i++)
        t->unit[i] = (struct trie_unit){ .base = i + 1, .parent = NO_PARENT, .value = i - 1 };
    t->n += 256;
    if (b->empty == TRIE_NONE) {
        t->unit[from].value = from + 255;
        t->unit[from + 255].base = from;
    } else {
        uint32_t before = t->unit[b->empty].value;

        t->unit[before].base = from;
        t->unit[from].value = before;
        t->unit[from + 255].base = b->empty;
        t->unit[b->empty].value = from + 255;
    }
    b->empty = from;
}

static void take(struct builder *b, uint32_t at, uint32_t parent)
{
    struct trie_unit *u = b->t->unit;
    uint32_t next = u[at].base, before = u[at].value;

    u[before].base = next;
    u[next].value = before;
    if (b->empty == at)
        b->empty = next == at ? TRIE_NONE : next;
    u[at] = (struct trie_unit){ .base = 0, .parent = parent, .value = TRIE_NONE };
}

/* A base at which all children of a state find empty units. */
static uint32_t find_base(struct builder *b, const uint8_t *label, size_t n)
{
    uint32_t at = b->empty;

    for (int tries = 0; at != TRIE_NONE && tries < TRIES; tries++) {
        uint32_t base = at ^ label[0];
        size_t k = 1;

        while (k < n && b->t->unit[base ^ label[k]].parent == NO_PARENT)
            k++;
        if (k == n)
            return base;
        at = b->t->unit[at].base;
        if (at == b->empty)
            break;
    }
    add_block(b);
    return (uint32_t)(b->t->n - 256);
}

static void sort_few(struct trie_key *k, size_t n, size_t depth)
{
    for (size_t i = 1; i < n; i++) {
        struct trie_key key = k[i];
        size_t at = i;

        for (; at && (uint8_t)k[at - 1].s[depth] > (uint8_t)key.s[depth]; at--)
            k[at] = k[at - 1];
        k[at] = key;
    }
}

/* Order keys by the byte at depth, which all have; equal ones stay as they are. */
static void sort(struct builder *b, size_t from, size_t to, size_t depth)
{
    struct trie_key *k = b->keys;
    size_t start[257] = { 0 };

    if (to - from <= FEW) {
        sort_few(k + from, to - from, depth);
        return;
    }
    for (size_t i = from; i < to; i++)
        start[(uint8_t)k[i].s[depth] + 1]++;
    for (size_t c = 0; c < 256; c++)
        start[c + 1] += start[c];
    for (size_t i = from; i < to; i++)
        b->room[start[(uint8_t)k[i].s[depth]]++] = k[i];
    memcpy(k + from, b->room, (to - from) * sizeof *k);
}

/* The first key that ends at this state gives it its value; those that go on come behind those that end. */
static size_t end_keys(struct builder *b, const struct todo *d)
{
    struct trie_key *k = b->keys;
    size_t ended = d->from;

    for (size_t i = d->from; i < d->to; i++)
        if (k[i].n == d->depth) {
            struct trie_key key = k[i];

            memmove(k + ended + 1, k + ended, (i - ended) * sizeof *k);
            k[ended] = key;
            if (ended++ == d->from && d->depth)
                b->t->unit[d->state].value = key.value;
        }
    return ended;
}

static void grow_state(struct builder *b, struct todo d)
{
    uint8_t label[256];
    size_t n = 0, from = end_keys(b, &d), end;
    uint32_t base;

    if (from == d.to)
        return;
    sort(b, from, d.to, d.depth);
    for (size_t i = from; i < d.to; i++)
        if (!n || label[n - 1] != (uint8_t)b->keys[i].s[d.depth])
            label[n++] = (uint8_t)b->keys[i].s[d.depth];
    base = find_base(b, label, n);
    b->t->unit[d.state].base = base;
    for (size_t k = 0; k < n; k++, from = end) {
        take(b, base ^ label[k], d.state);
        for (end = from; end < d.to && (uint8_t)b->keys[end].s[d.depth] == label[k]; end++)
            ;
        mem_grow(&b->todo, &b->todo_cap, b->todo_n + 1, sizeof *b->todo);
        b->todo[b->todo_n++] = (struct todo){ from, end, d.depth + 1, base ^ label[k] };
    }
}

void trie_build(struct trie *t, struct trie_key *keys, size_t n)
{
    struct builder b = { .t = t, .empty = TRIE_NONE, .keys = keys };

    *t = (struct trie){ 0 };
    b.room = xmalloc((n + 1) * sizeof *b.room);
    add_block(&b);
    take(&b, TRIE_ROOT, TRIE_NONE - 1);
    grow_state(&b, (struct todo){ 0, n, 0, TRIE_ROOT });
    while (b.todo_n)
        grow_state(&b, b.todo[--b.todo_n]);
    for (size_t i = 0; i < t->n; i++) /* an empty unit has neither */
        if (t->unit[i].parent == NO_PARENT)
            t->unit[i].value = TRIE_NONE;
    free(b.todo);
    free(b.room);
}

void trie_image(struct trie *t, struct image *i, uint32_t n_values)
{
    image_array(i, &t->unit, &t->n, sizeof *t->unit);
    if (!image_loads(i))
        return;
    image_check(i, t->n > 0);
    for (size_t k = 0; k < t->n && !i->bad; k++) {
        const struct trie_unit *u = &t->unit[k];

        if (u->parent != NO_PARENT) /* of an empty unit the others are the builder's */
            image_check(i, (u->base | 255) < t->n && (u->value == TRIE_NONE || u->value < n_values));
    }
}

void trie_release(struct trie *t)
{
    free(t->unit);
    *t = (struct trie){ 0 };
}

size_t trie_longest(const struct trie *t, const char *s, size_t n, uint32_t *value)
{
    uint32_t state = TRIE_ROOT;
    size_t longest = 0;

    for (size_t i = 0; i < n; i++) {
        state = trie_step(t, state, (uint8_t)s[i]);
        if (state == TRIE_NONE)
            break;
        if (t->unit[state].value != TRIE_NONE) {
            longest = i + 1;
            *value = t->unit[state].value;
        }
    }
    return longest;
}
