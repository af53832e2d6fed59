/* bpe_train_merge.c - the merges; see bpe_train_in.h.
 *
 * A token has its id in its first and its last cell, so that both neighbours are found without links; what lies
 * between is of no token.  For a pair there are places where it was seen to begin, in one list or, where a token
 * is made in two ways, in several; a place that has changed since is passed over.  The heap holds the lists by
 * the count that the pair had; a count that has fallen is put right when it comes to the top.
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/vocab/bpe_train_in.h"

#define NONE BPE_TRAIN_NONE
#define AHEAD 12 /* places whose cells are asked for early */

/* Places of a pair that wait to be merged. */
struct list {
    uint64_t count, pair; /* left id << 32 | right id */
    size_t at;            /* in places */
    size_t n;
};

struct pair {
    uint64_t key;
    int64_t count;
};

/* What a merge does to its neighbours of one id on one side. */
struct side {
    uint64_t lost, won; /* occurrences of the pair with the old token, with the new one */
    size_t n, at;       /* places of the latter */
};

struct seen {
    uint32_t other, place;
};

struct trainer {
    struct bpe_train *out;
    const struct bpe_train_rules *rules;
    struct bpe_train_cell *cell;
    const uint64_t *count; /* of a word */
    struct pair *pair; /* open addressing; count of an empty slot is INT64_MIN */
    size_t n_pairs, pair_bits;
    struct list *heap;
    size_t n_heap, heap_cap;
    uint32_t *place;
    size_t n_places, place_cap;
    struct side *side[2]; /* left, right; by id */
    size_t side_cap[2];
    struct seen *seen[2];
    size_t n_seen[2], seen_cap[2];
    uint32_t *touched[2]; /* ids whose side is not zero */
    size_t n_touched[2], touched_cap[2];
    char *joined; /* the spelling of two tokens together */
    size_t joined_cap;
};

/* Counts of pairs. */

static struct pair *find_pair(const struct trainer *t, uint64_t key)
{
    size_t mask = ((size_t)1 << t->pair_bits) - 1, i = hash_mix64(key) & mask;

    while (t->pair[i].count != INT64_MIN && t->pair[i].key != key)
        i = (i + 1) & mask;
    return &t->pair[i];
}

static struct pair *new_pairs(size_t n)
{
    struct pair *p = xmalloc(n * sizeof *p);

    for (size_t i = 0; i < n; i++)
        p[i] = (struct pair){ 0, INT64_MIN };
    return p;
}

/* The new count. */
static int64_t add_pair(struct trainer *t, uint64_t key, uint64_t count)
{
    struct pair *p = find_pair(t, key);

    if (p->count == INT64_MIN) {
        if (2 * ++t->n_pairs > (size_t)1 << t->pair_bits) {
            struct pair *old = t->pair;
            size_t n = (size_t)1 << t->pair_bits++;

            t->pair = new_pairs(2 * n);
            for (size_t i = 0; i < n; i++)
                if (old[i].count != INT64_MIN)
                    *find_pair(t, old[i].key) = old[i];
            free(old);
            p = find_pair(t, key);
        }
        *p = (struct pair){ key, 0 };
    }
    return p->count += (int64_t)count;
}

/* Pairs that may not merge are not counted, and lose nothing. */
static void lose_pair(struct trainer *t, uint64_t key, uint64_t count)
{
    struct pair *p = find_pair(t, key);

    if (p->count != INT64_MIN)
        p->count -= (int64_t)count;
}

/* The heap. */

/* The order of what two pairs spell. */
static int compare_spelling(const struct bpe_train *o, const struct list *x, const struct list *y)
{
    const struct bpe_train_token *a = &o->token[x->pair >> 32], *b = &o->token[(uint32_t)x->pair];
    const struct bpe_train_token *c = &o->token[y->pair >> 32], *d = &o->token[(uint32_t)y->pair];
    const char *left = o->bytes + a->at, *right = o->bytes + c->at;
    size_t n = a->n, m = c->n;

    for (bool left_ended = false, right_ended = false;;) {
        size_t k = n < m ? n : m;
        int order = memcmp(left, right, k);

        if (order)
            return order;
        left += k;
        right += k;
        n -= k;
        m -= k;
        if (!n) {
            if (left_ended)
                return m || !right_ended ? -1 : 0;
            left_ended = true;
            left = o->bytes + b->at;
            n = b->n;
        }
        if (!m) {
            if (right_ended)
                return 1;
            right_ended = true;
            right = o->bytes + d->at;
            m = d->n;
        }
    }
}

static bool before(const struct trainer *t, const struct list *a, const struct list *b)
{
    const struct bpe_train_token *k = t->out->token;

    if (a->count != b->count)
        return a->count > b->count;
    if (t->rules->spelling) {
        uint32_t n = k[a->pair >> 32].length + k[(uint32_t)a->pair].length;
        uint32_t m = k[b->pair >> 32].length + k[(uint32_t)b->pair].length;
        int order = n != m ? (n < m ? -1 : 1) : compare_spelling(t->out, a, b);

        if (order)
            return order < 0;
    }
    return a->pair < b->pair;
}

static void push(struct trainer *t, struct list l)
{
    size_t i;

    mem_grow(&t->heap, &t->heap_cap, t->n_heap + 1, sizeof *t->heap);
    for (i = t->n_heap++; i && before(t, &l, &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = l;
}

/* Put l where the top was. */
static void replace_top(struct trainer *t, struct list l)
{
    size_t i = 0, k;

    for (; (k = 2 * i + 1) < t->n_heap; i = k) {
        if (k + 1 < t->n_heap && before(t, &t->heap[k + 1], &t->heap[k]))
            k++;
        if (!before(t, &t->heap[k], &l))
            break;
        t->heap[i] = t->heap[k];
    }
    t->heap[i] = l;
}

/* The bytes of two tokens together, in t->joined. */
static size_t join(struct trainer *t, uint64_t pair)
{
    const struct bpe_train *o = t->out;
    struct bpe_train_token a = o->token[pair >> 32], b = o->token[(uint32_t)pair];

    mem_grow(&t->joined, &t->joined_cap, (size_t)a.n + b.n, 1);
    memcpy(t->joined, o->bytes + a.at, a.n);
    memcpy(t->joined + a.n, o->bytes + b.at, b.n);
    return (size_t)a.n + b.n;
}

/* The list of the most frequent pair; false: no pair is left. */
static bool pop(struct trainer *t, struct list *top)
{
    while (t->n_heap) {
        int64_t now;

        *top = t->heap[0];
        now = find_pair(t, top->pair)->count;
        if (now > 0 && (uint64_t)now != top->count) {
            struct list l = *top;

            l.count = (uint64_t)now;
            replace_top(t, l);
            continue;
        }
        t->n_heap--;
        if (t->n_heap)
            replace_top(t, t->heap[t->n_heap]);
        if (now > 0 && !(t->rules->spelling && bpe_train_find(t->out, t->joined, join(t, top->pair)) != NONE))
            return true;
    }
    return false;
}

/* One merge. */

static bool may(const struct trainer *t, uint32_t a, uint32_t b)
{
    return !t->rules->may || t->rules->may(t->rules->ctx, a, b);
}

static struct side *touch(struct trainer *t, int which, uint32_t id)
{
    struct side *s = &t->side[which][id];

    if (!s->lost && !s->won) {
        mem_grow(&t->touched[which], &t->touched_cap[which], t->n_touched[which] + 1, sizeof(uint32_t));
        t->touched[which][t->n_touched[which]++] = id;
    }
    return s;
}

static void win(struct trainer *t, int which, uint32_t other, uint32_t place, uint64_t count)
{
    struct side *s = touch(t, which, other);

    s->won += count;
    s->n++;
    mem_grow(&t->seen[which], &t->seen_cap[which], t->n_seen[which] + 1, sizeof(struct seen));
    t->seen[which][t->n_seen[which]++] = (struct seen){ other, place };
}

/* Make a and b at p one token c. */
static void merge_at(struct trainer *t, uint32_t p, uint32_t a, uint32_t b, uint32_t c)
{
    const struct bpe_train_token *token = t->out->token;
    uint32_t q = p + token[a].length, end = q + token[b].length;
    uint64_t n = t->count[t->cell[p].word];
    uint32_t left = t->cell[p - 1].token, right = t->cell[end].token;

    t->cell[q - 1].token = t->cell[q].token = NONE;
    t->cell[p].token = t->cell[end - 1].token = c;
    if (left != NONE) {
        touch(t, 0, left)->lost += n;
        if (may(t, left, c))
            win(t, 0, left, p - token[left].length, n);
    }
    if (right != NONE) {
        touch(t, 1, right)->lost += n;
        if (may(t, c, right))
            win(t, right != c, right, p, n); /* c beside c is one pair, whichever side it is seen from */
    }
}

static int by_value(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Lists of the pairs that one side has won, counts of those it has lost; leaves it clean. */
static void settle(struct trainer *t, int which, uint32_t old, uint32_t c)
{
    struct side *side = t->side[which];

    mem_grow(&t->place, &t->place_cap, t->n_places + t->n_seen[which], sizeof *t->place);
    for (size_t i = 0; i < t->n_touched[which]; i++) {
        struct side *s = &side[t->touched[which][i]];

        s->at = t->n_places;
        t->n_places += s->n;
        s->n = 0;
    }
    for (size_t i = 0; i < t->n_seen[which]; i++) {
        struct side *s = &side[t->seen[which][i].other];

        t->place[s->at + s->n++] = t->seen[which][i].place;
    }
    for (size_t i = 0; i < t->n_touched[which]; i++) {
        uint64_t x = t->touched[which][i];
        struct side *s = &side[x];

        if (s->lost)
            lose_pair(t, which ? (uint64_t)old << 32 | x : x << 32 | old, s->lost);
        if (x == c && s->n)
            qsort(t->place + s->at, s->n, sizeof *t->place, by_value);
    }
}

/* After both sides have settled, so that counts are final. */
static void push_won(struct trainer *t, int which, uint32_t c)
{
    for (size_t i = 0; i < t->n_touched[which]; i++) {
        uint64_t x = t->touched[which][i];
        struct side *s = &t->side[which][x];

        if (s->won) {
            struct list l = { .pair = which ? (uint64_t)c << 32 | x : x << 32 | c, .at = s->at, .n = s->n };
            int64_t now = find_pair(t, l.pair)->count;

            l.count = now > 0 ? (uint64_t)now : 0;
            if (now > 0)
                push(t, l);
        }
        memset(s, 0, sizeof *s);
    }
    t->n_touched[which] = t->n_seen[which] = 0;
}

static void count_won(struct trainer *t, int which, uint32_t c)
{
    for (size_t i = 0; i < t->n_touched[which]; i++) {
        uint64_t x = t->touched[which][i], won = t->side[which][x].won;

        if (won)
            add_pair(t, which ? (uint64_t)c << 32 | x : x << 32 | c, won);
    }
}

static void grow_sides(struct trainer *t)
{
    for (int k = 0; k < 2; k++) {
        size_t old = t->side_cap[k];

        mem_grow(&t->side[k], &t->side_cap[k], t->out->n_tokens, sizeof(struct side));
        memset(t->side[k] + old, 0, (t->side_cap[k] - old) * sizeof(struct side));
    }
}

static void merge(struct trainer *t, const struct list *l)
{
    uint32_t a = (uint32_t)(l->pair >> 32), b = (uint32_t)l->pair, c;
    struct bpe_train *o = t->out;
    uint32_t length = o->token[a].length;
    size_t n = join(t, l->pair);

    c = bpe_train_token(o, t->joined, n, length + o->token[b].length);
    if (t->rules->made)
        t->rules->made(t->rules->ctx, a, b, c);
    mem_grow(&o->merge, &o->merge_cap, o->n_merges + 1, sizeof *o->merge);
    o->merge[o->n_merges][0] = a;
    o->merge[o->n_merges++][1] = b;
    grow_sides(t);
    for (size_t i = 0; i < l->n; i++) {
        uint32_t p = t->place[l->at + i];

        if (i + AHEAD < l->n)
            __builtin_prefetch(&t->cell[t->place[l->at + i + AHEAD]]);
        if (t->cell[p].token == a && t->cell[p + length].token == b)
            merge_at(t, p, a, b, c);
    }
    count_won(t, 0, c);
    count_won(t, 1, c);
    settle(t, 0, a, c);
    settle(t, 1, b, c);
    push_won(t, 0, c);
    push_won(t, 1, c);
}

/* The first lists. */

struct right {
    uint64_t count;
    size_t n, at;
};

/* Places where a token of one kind is followed by another, in order: place[from..to). */
static void list_rights(struct trainer *t, const uint32_t *place, size_t from, size_t to, struct right *right, uint32_t *ids)
{
    uint32_t a = t->cell[place[from]].token, n_ids = 0;

    for (size_t i = from; i < to; i++) {
        const struct bpe_train_cell *b = &t->cell[place[i] + 1];
        struct right *r = &right[b->token];

        if (!r->n++)
            ids[n_ids++] = b->token;
        r->count += t->count[b->word];
    }
    mem_grow(&t->place, &t->place_cap, t->n_places + (to - from), sizeof *t->place);
    for (uint32_t i = 0; i < n_ids; i++) {
        struct right *r = &right[ids[i]];
        uint64_t key = (uint64_t)a << 32 | ids[i];

        r->at = NONE;
        if (may(t, a, ids[i])) {
            push(t, (struct list){ r->count, key, t->n_places, r->n });
            add_pair(t, key, r->count);
            r->at = t->n_places;
            t->n_places += r->n;
        }
    }
    for (size_t i = from; i < to; i++) {
        struct right *r = &right[t->cell[place[i] + 1].token];

        if (r->at != NONE)
            t->place[r->at++] = place[i];
    }
    for (uint32_t i = 0; i < n_ids; i++)
        right[ids[i]] = (struct right){ 0, 0, 0 };
}

static void first_lists(struct trainer *t, size_t n_cells)
{
    size_t k = t->out->n_tokens, n = 0;
    size_t *at = xcalloc(k + 1, sizeof *at);
    uint32_t *ids = xmalloc((k + 1) * sizeof *ids), *place;
    struct right *right = xcalloc(k + 1, sizeof *right);

    for (size_t p = 0; p + 1 < n_cells; p++)
        if (t->cell[p].token != NONE && t->cell[p + 1].token != NONE)
            at[t->cell[p].token]++;
    for (size_t i = 0; i <= k; i++) {
        size_t here = at[i];

        at[i] = n;
        n += here;
    }
    place = xmalloc((n + 1) * sizeof *place);
    for (size_t p = 0; p + 1 < n_cells; p++)
        if (t->cell[p].token != NONE && t->cell[p + 1].token != NONE)
            place[at[t->cell[p].token]++] = (uint32_t)p;
    for (size_t i = 0, from = 0; i < k; from = at[i++])
        if (from < at[i])
            list_rights(t, place, from, at[i], right, ids);
    free(place);
    free(right);
    free(ids);
    free(at);
}

void bpe_train_merge(struct bpe_train *out, struct bpe_train_cell *cell, size_t n_cells, const uint64_t *count,
                     const struct bpe_train_rules *rules)
{
    struct trainer t = { .out = out, .rules = rules, .cell = cell, .count = count, .pair_bits = 17 };
    struct list top;

    t.pair = new_pairs((size_t)1 << t.pair_bits);
    first_lists(&t, n_cells);
    while (out->n_tokens < rules->size && pop(&t, &top) && top.count >= rules->least)
        merge(&t, &top);
    free(t.pair);
    free(t.heap);
    free(t.place);
    free(t.joined);
    for (int k = 0; k < 2; k++) {
        free(t.side[k]);
        free(t.seen[k]);
        free(t.touched[k]);
    }
}
