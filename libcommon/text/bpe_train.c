/* bpe_train.c - the merges; see bpe_train.h.
 *
 * All distinct words lie in one array of cells, a byte each, NONE between them.  A token has its id in its
 * first and its last cell, so that both neighbours are found without links; what lies between is of no token.
 * For a pair there are places where it was seen to begin, in one list or, where a token is made in two ways,
 * in several; a place that has changed since is passed over.  The heap holds the lists by the count that
 * the pair had; a count that has fallen is put right when it comes to the top.
 */
#include "libcommon/text/bpe_train.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/bpe_train_in.h"

#define NONE UINT32_MAX
#define AHEAD 12 /* places whose cells are asked for early */

struct cell {
    uint32_t token, word;
};

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
    uint32_t max_length;
    struct cell *cell;
    uint64_t *count; /* of a word */
    struct pair *pair; /* open addressing; count of an empty slot is INT64_MIN */
    size_t n_pairs, pair_bits;
    struct list *heap;
    size_t n_heap, heap_cap;
    uint32_t *place;
    size_t n_places, place_cap;
    uint32_t *slot; /* of tokens by spelling: 1 + id */
    size_t slot_bits;
    struct side *side[2]; /* left, right; by id */
    size_t side_cap[2];
    struct seen *seen[2];
    size_t n_seen[2], seen_cap[2];
    uint32_t *touched[2]; /* ids whose side is not zero */
    size_t n_touched[2], touched_cap[2];
};

/* Tokens by their spelling. */

static uint32_t *find_token(const struct trainer *t, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << t->slot_bits) - 1, i = hash_bytes(s, n, 0) & mask;

    for (; t->slot[i]; i = (i + 1) & mask) {
        const struct bpe_train_token *k = &t->out->token[t->slot[i] - 1];

        if (k->n == n && !memcmp(t->out->bytes + k->at, s, n))
            break;
    }
    return &t->slot[i];
}

/* The id of a spelling, a new one where there is none.  A special string may have been there. */
static uint32_t token_id(struct trainer *t, const char *s, size_t n, uint32_t length)
{
    struct bpe_train *o = t->out;
    uint32_t *slot = find_token(t, s, n);

    if (*slot) {
        o->token[*slot - 1].length = length;
        return *slot - 1;
    }
    mem_grow(&o->bytes, &o->bytes_cap, o->n_bytes + n, 1);
    memcpy(o->bytes + o->n_bytes, s, n);
    mem_grow(&o->token, &o->token_cap, o->n_tokens + 1, sizeof *o->token);
    o->token[o->n_tokens++] = (struct bpe_train_token){ o->n_bytes, (uint32_t)n, length };
    o->n_bytes += n;
    *slot = (uint32_t)o->n_tokens;
    return *slot - 1;
}

/* The token that two make together. */
static uint32_t joined(struct trainer *t, uint32_t a, uint32_t b)
{
    struct bpe_train_token x = t->out->token[a], y = t->out->token[b];
    char local[256], *s = x.n + y.n <= sizeof local ? local : xmalloc(x.n + y.n);
    uint32_t id;

    memcpy(s, t->out->bytes + x.at, x.n);
    memcpy(s + x.n, t->out->bytes + y.at, y.n);
    id = token_id(t, s, x.n + y.n, x.length + y.length);
    if (s != local)
        free(s);
    return id;
}

/* The character that stands for a byte: printable ones of Latin-1 themselves, the others from U+0100 on. */
static uint32_t byte_character(int byte)
{
    uint32_t other = 256;

    for (int b = 0;; b++) {
        bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

        if (b == byte)
            return plain ? (uint32_t)b : other;
        other += !plain;
    }
}

static void make_bytes(struct trainer *t, uint32_t id[256])
{
    char utf8[4];

    for (uint32_t cp = 0; cp < 512; cp++)
        for (int b = 0; b < 256; b++)
            if (byte_character(b) == cp)
                id[b] = token_id(t, utf8, (size_t)utf8_encode(cp, utf8), 1);
}

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

/* Pairs that would be too long are not counted, and lose nothing. */
static void lose_pair(struct trainer *t, uint64_t key, uint64_t count)
{
    struct pair *p = find_pair(t, key);

    if (p->count != INT64_MIN)
        p->count -= (int64_t)count;
}

/* The heap. */

static bool before(const struct list *a, const struct list *b)
{
    return a->count != b->count ? a->count > b->count : a->pair < b->pair;
}

static void push(struct trainer *t, struct list l)
{
    size_t i;

    mem_grow(&t->heap, &t->heap_cap, t->n_heap + 1, sizeof *t->heap);
    for (i = t->n_heap++; i && before(&l, &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = l;
}

/* Put l where the top was. */
static void replace_top(struct trainer *t, struct list l)
{
    size_t i = 0, k;

    for (; (k = 2 * i + 1) < t->n_heap; i = k) {
        if (k + 1 < t->n_heap && before(&t->heap[k + 1], &t->heap[k]))
            k++;
        if (!before(&t->heap[k], &l))
            break;
        t->heap[i] = t->heap[k];
    }
    t->heap[i] = l;
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
        if (now > 0)
            return true;
    }
    return false;
}

/* One merge. */

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
    uint32_t q = p + token[a].length, end = q + token[b].length, length = token[c].length;
    uint64_t n = t->count[t->cell[p].word];
    uint32_t left = t->cell[p - 1].token, right = t->cell[end].token;

    t->cell[q - 1].token = t->cell[q].token = NONE;
    t->cell[p].token = t->cell[end - 1].token = c;
    if (left != NONE) {
        touch(t, 0, left)->lost += n;
        if (!t->max_length || token[left].length + length < t->max_length)
            win(t, 0, left, p - token[left].length, n);
    }
    if (right != NONE) {
        touch(t, 1, right)->lost += n;
        if (!t->max_length || token[right].length + length < t->max_length)
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
    uint32_t a = (uint32_t)(l->pair >> 32), b = (uint32_t)l->pair, c = joined(t, a, b);
    struct bpe_train *o = t->out;
    uint32_t length = o->token[a].length;

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

/* Cells. */

struct filler {
    struct trainer *t;
    const uint32_t *id; /* of a byte */
    size_t at;
    uint32_t word;
    uint64_t (*count)[256];
    size_t (*n)[256];
    uint8_t *byte; /* of a cell */
};

static void add_word(struct filler *f, const char *s, size_t n, uint64_t count)
{
    struct trainer *t = f->t;
    const uint8_t *b = (const uint8_t *)s;

    for (size_t i = 0; i < n; i++) {
        t->cell[f->at + i] = (struct cell){ f->id[b[i]], f->word };
        f->byte[f->at + i] = b[i];
        if (i) {
            f->count[b[i - 1]][b[i]] += count;
            f->n[b[i - 1]][b[i]]++;
        }
    }
    t->count[f->word++] = count;
    f->at += n;
    t->cell[f->at++].token = NONE;
}

/* The list of places of every pair of bytes, in order. */
static void first_lists(struct filler *f)
{
    struct trainer *t = f->t;
    size_t at = 0;

    mem_grow(&t->place, &t->place_cap, f->at, sizeof *t->place);
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            uint64_t key = (uint64_t)f->id[a] << 32 | f->id[b];
            size_t n = f->n[a][b];

            if (n) {
                push(t, (struct list){ f->count[a][b], key, at, n });
                add_pair(t, key, f->count[a][b]);
            }
            f->n[a][b] = at;
            at += n;
        }
    t->n_places = at;
    for (size_t p = 1; p + 1 < f->at; p++)
        if (t->cell[p].token != NONE && t->cell[p + 1].token != NONE)
            t->place[f->n[f->byte[p]][f->byte[p + 1]]++] = (uint32_t)p;
}

static int fill(struct trainer *t, const struct bpe_train_words *w, const uint32_t id[256], struct err *err)
{
    struct filler f = { .t = t, .id = id, .at = 1 };
    size_t n = w->n_bytes + w->n_big + 1;

    for (size_t i = 0; i < (size_t)1 << w->word_bits; i++)
        n += w->word[i].count ? (w->word[i].key[1] >> 56) + 1 : 0;
    if (n >= NONE)
        return err_set(err, "the distinct words have %zu bytes, more than can be trained on", n);
    t->cell = xmalloc(n * sizeof *t->cell);
    t->cell[0].token = NONE;
    t->count = xmalloc((w->n_words + w->n_big + 1) * sizeof *t->count);
    f.byte = xmalloc(n);
    f.count = xcalloc(256, sizeof *f.count);
    f.n = xcalloc(256, sizeof *f.n);
    for (size_t i = 0; i < (size_t)1 << w->word_bits; i++)
        if (w->word[i].count)
            add_word(&f, (const char *)w->word[i].key, w->word[i].key[1] >> 56, w->word[i].count);
    for (size_t i = 0; i < (size_t)1 << w->big_bits; i++)
        if (w->big[i].count)
            add_word(&f, w->bytes + w->big[i].at, w->big[i].n, w->big[i].count);
    first_lists(&f);
    free(f.byte);
    free(f.count);
    free(f.n);
    return 0;
}

static int run(struct trainer *t, const struct bpe_train_words *w, const struct bpe_train_options *o, struct err *err)
{
    uint64_t least = o->min_frequency ? o->min_frequency : 1;
    uint32_t id[256];
    struct list top;

    for (int i = 0; i < o->n_special; i++)
        token_id(t, o->special[i], strlen(o->special[i]), 0);
    t->out->n_special = (int)t->out->n_tokens;
    make_bytes(t, id);
    if (o->size < t->out->n_tokens)
        return err_set(err, "%u tokens are less than the 256 bytes and %d special strings", (unsigned)o->size, o->n_special);
    if (fill(t, w, id, err) < 0)
        return -1;
    while (t->out->n_tokens < o->size && pop(t, &top) && top.count >= least)
        merge(t, &top);
    return 0;
}

struct bpe_train *bpe_train(const struct bpe_train_words *w, const struct bpe_train_options *o, struct err *err)
{
    struct trainer t = { .out = xcalloc(1, sizeof *t.out), .max_length = o->max_length, .slot_bits = 10, .pair_bits = 17 };
    int rc;

    while ((size_t)1 << t.slot_bits < 2 * ((size_t)o->size + 256 + (size_t)o->n_special))
        t.slot_bits++;
    t.slot = xcalloc((size_t)1 << t.slot_bits, sizeof *t.slot);
    t.pair = new_pairs((size_t)1 << t.pair_bits);
    rc = run(&t, w, o, err);
    free(t.cell);
    free(t.count);
    free(t.pair);
    free(t.heap);
    free(t.place);
    free(t.slot);
    for (int k = 0; k < 2; k++) {
        free(t.side[k]);
        free(t.seen[k]);
        free(t.touched[k]);
    }
    if (rc < 0) {
        bpe_train_free(t.out);
        return NULL;
    }
    return t.out;
}

void bpe_train_free(struct bpe_train *t)
{
    if (!t)
        return;
    free(t->token);
    free(t->bytes);
    free(t->merge);
    free(t);
}
