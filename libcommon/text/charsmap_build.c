/* charsmap_build.c - rules as a double array; see charsmap_build.h.
 *
 * The keys, sorted, become the smallest automaton: equal ends are one (Daciuk et al. 2000).  Each of its nodes
 * has a base of its own in the array, where all who lead to it go on.
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/charsmap_build.h"

#define NONE UINT32_MAX
#define LONGEST (4 * CHARSMAP_KEY) /* bytes of a key */
#define LEAF 0x80000000u           /* a value; and, with none, a unit that no label fits */
#define BLOCK 256
#define SEARCHED (16 * BLOCK) /* units at the end in which room is sought */

struct key {
    uint8_t s[LONGEST];
    uint32_t n, value;
};

/* Labels ascend; label 0 leads to a value. */
struct edge {
    uint32_t label, to;
};

struct node {
    uint32_t first, n; /* edges */
    uint32_t base;     /* NONE: not placed yet */
};

struct automaton {
    struct node *node;
    struct edge *edge;
    size_t n_nodes, node_cap, n_edges, edge_cap;
    uint32_t *slot; /* of nodes by their edges: 1 + node */
    size_t slot_bits;
    struct edge open[LONGEST + 1][BLOCK]; /* of the nodes along the last key */
    uint32_t n_open[LONGEST + 1];
};

struct array {
    uint32_t *unit;
    uint8_t *taken, *base; /* is the unit taken, is it some node's base? */
    size_t n, cap;
    size_t first_free;
};

/* The automaton. */

static uint32_t *find_node(const struct automaton *a, const struct edge *e, uint32_t n)
{
    size_t mask = ((size_t)1 << a->slot_bits) - 1, i = hash_bytes(e, n * sizeof *e, 0) & mask;

    for (; a->slot[i]; i = (i + 1) & mask) {
        const struct node *k = &a->node[a->slot[i] - 1];

        if (k->n == n && !memcmp(a->edge + k->first, e, n * sizeof *e))
            break;
    }
    return &a->slot[i];
}

/* The node at this depth of the last key is complete: the one that is like it. */
static uint32_t close_node(struct automaton *a, size_t depth)
{
    uint32_t n = a->n_open[depth], *slot;

    if (2 * (a->n_nodes + 1) > (size_t)1 << a->slot_bits) {
        free(a->slot);
        a->slot = xcalloc((size_t)1 << ++a->slot_bits, sizeof *a->slot);
        for (size_t i = 0; i < a->n_nodes; i++)
            *find_node(a, a->edge + a->node[i].first, a->node[i].n) = (uint32_t)i + 1;
    }
    slot = find_node(a, a->open[depth], n);
    if (!*slot) {
        mem_grow(&a->edge, &a->edge_cap, a->n_edges + n, sizeof *a->edge);
        memcpy(a->edge + a->n_edges, a->open[depth], n * sizeof(struct edge));
        mem_grow(&a->node, &a->node_cap, a->n_nodes + 1, sizeof *a->node);
        a->node[a->n_nodes++] = (struct node){ (uint32_t)a->n_edges, n, NONE };
        a->n_edges += n;
        *slot = (uint32_t)a->n_nodes;
    }
    a->n_open[depth] = 0;
    return *slot - 1;
}

/* Close what is open below `depth`, the deepest first. */
static void close_from(struct automaton *a, size_t from, size_t depth)
{
    for (size_t d = from; d > depth; d--) {
        uint32_t node = close_node(a, d);

        a->open[d - 1][a->n_open[d - 1] - 1].to = node;
    }
}

static uint32_t make_automaton(struct automaton *a, const struct key *key, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;

        if (i) {
            while (same < key[i - 1].n && key[i - 1].s[same] == key[i].s[same])
                same++;
            close_from(a, key[i - 1].n, same);
        }
        for (size_t k = same; k < key[i].n; k++)
            a->open[k][a->n_open[k]++] = (struct edge){ key[i].s[k], 0 };
        a->open[key[i].n][a->n_open[key[i].n]++] = (struct edge){ 0, key[i].value };
    }
    close_from(a, key[n - 1].n, 0);
    return close_node(a, 0);
}

/* The array. */

static void add_block(struct array *d)
{
    size_t old = d->cap;

    mem_grow(&d->unit, &d->cap, d->n + BLOCK, sizeof *d->unit);
    d->taken = xrealloc(d->taken, d->cap);
    d->base = xrealloc(d->base, d->cap);
    memset(d->taken + old, 0, d->cap - old);
    memset(d->base + old, 0, d->cap - old);
    for (size_t i = 0; i < BLOCK; i++)
        d->unit[d->n + i] = LEAF;
    d->n += BLOCK;
}

static bool fits(const struct array *d, size_t base, const struct edge *e, uint32_t n)
{
    if (!base || d->base[base])
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (d->taken[base ^ e[i].label])
            return false;
    return true;
}

static uint32_t find_base(struct array *d, const struct edge *e, uint32_t n)
{
    if (d->first_free + SEARCHED < d->n)
        d->first_free = d->n - SEARCHED;
    while (d->first_free < d->n && d->taken[d->first_free])
        d->first_free++;
    for (size_t at = d->first_free;; at++) {
        if (at == d->n)
            add_block(d);
        if (!d->taken[at] && fits(d, at ^ e[0].label, e, n))
            return (uint32_t)(at ^ e[0].label);
    }
}

/* The base of a node, which is placed with all behind it. */
static uint32_t place(struct automaton *a, struct array *d, uint32_t node)
{
    const struct edge *e = a->edge + a->node[node].first;
    uint32_t n = a->node[node].n, base;

    if (a->node[node].base != NONE)
        return a->node[node].base;
    base = a->node[node].base = find_base(d, e, n);
    d->base[base] = 1;
    for (uint32_t i = 0; i < n; i++)
        d->taken[base ^ e[i].label] = 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = base ^ e[i].label;

        if (e[i].label) {
            uint32_t to = place(a, d, e[i].to);
            bool value = !a->edge[a->node[e[i].to].first].label;

            d->unit[at] = e[i].label | (uint32_t)value << 8 | (at ^ to) << 10;
        } else {
            d->unit[at] = LEAF | e[i].to;
        }
    }
    return base;
}

/* Keys and values. */

static int by_bytes(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int order = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);

    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static void put(char *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(v >> 8 * i);
}

struct text {
    char *s;
    size_t n, cap;
    uint32_t *slot; /* of strings: 1 + place */
    size_t slot_bits;
};

/* Where a string stands, behind the others where it is new. */
static uint32_t text_place(struct text *t, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << t->slot_bits) - 1, i = hash_bytes(s, n, 0) & mask;

    for (; t->slot[i]; i = (i + 1) & mask)
        if (!strcmp(t->s + t->slot[i] - 1, s))
            return t->slot[i] - 1;
    mem_grow(&t->s, &t->cap, t->n + n + 1, 1);
    memcpy(t->s + t->n, s, n + 1);
    t->slot[i] = (uint32_t)t->n + 1;
    t->n += n + 1;
    return t->slot[i] - 1;
}

static size_t encode(const uint32_t *cp, int n, char *out)
{
    size_t at = 0;

    for (int i = 0; i < n; i++)
        at += (size_t)utf8_encode(cp[i], out + at);
    return at;
}

static struct key *make_keys(const struct charsmap_rules *r, struct text *t, size_t *n)
{
    struct key *key = xmalloc(r->n * sizeof *key);

    t->slot_bits = 18;
    t->slot = xcalloc((size_t)1 << t->slot_bits, sizeof *t->slot);
    *n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct charsmap_rule *k = &r->rule[i];
        char to[4 * UINT8_MAX + 1];
        size_t len;

        if (!k->kept)
            continue;
        key[*n].n = (uint32_t)encode(k->key, k->n, (char *)key[*n].s);
        len = encode(r->cps + k->to, k->to_n, to);
        to[len] = 0;
        key[(*n)++].value = text_place(t, to, len);
    }
    qsort(key, *n, sizeof *key, by_bytes);
    free(t->slot);
    return key;
}

char *charsmap_build(bool nmt, size_t *size)
{
    struct automaton *a = xcalloc(1, sizeof *a);
    struct array d = { .first_free = 1 };
    struct text t = { .n = 0 };
    struct charsmap_rules r;
    struct key *key;
    uint32_t root;
    size_t n;
    char *out;

    charsmap_rules_make(&r, nmt);
    key = make_keys(&r, &t, &n);
    charsmap_rules_free(&r);
    root = make_automaton(a, key, n);
    free(key);
    add_block(&d);
    d.taken[0] = 1;
    d.unit[0] = place(a, &d, root) << 10;
    *size = 4 + 4 * d.n + t.n;
    out = xmalloc(*size);
    put(out, (uint32_t)(4 * d.n));
    for (size_t i = 0; i < d.n; i++)
        put(out + 4 + 4 * i, d.unit[i]);
    memcpy(out + 4 + 4 * d.n, t.s, t.n);
    free(t.s);
    free(d.unit);
    free(d.taken);
    free(d.base);
    free(a->node);
    free(a->edge);
    free(a->slot);
    free(a);
    return out;
}
