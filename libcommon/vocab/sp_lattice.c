/* sp_lattice.c - see sp_lattice.h.
 *
 * The places of the words are sorted by what follows, so far as a piece may reach (a suffix array of depth
 * max_sentencepiece_length + 1): first by one character into buckets, then each bucket by merging, several
 * characters packed in a key.  Strings that begin alike are neighbours; a string after which two different
 * characters are seen is an interval with a longer common prefix than the ones around it, which a stack finds.
 * These are the strings that the suffix tree of the whole text has, as far as they lie in one word.
 */
#include "libcommon/vocab/sp_lattice.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

#define SHORT 12 /* so few are sorted by insertion */

struct item {
    uint64_t key;
    uint32_t at;
};

struct sorter {
    struct sp_lattice *l;
    const struct sp_train *t;
    const struct sp_shape *shape; /* of a rank */
    uint32_t depth;               /* characters that are compared */
    uint32_t bits, a_key;         /* of a character; characters in a key */
    uint32_t n_buckets, *bucket;  /* by the first character: where it begins in `suffix` */
    uint32_t *suffix;             /* places in text, sorted */
    uint32_t *word_of;            /* of a place */
    struct found {
        struct sp_seed *seed; /* by first, then by length */
        size_t n, cap;
    } *found;             /* of a bucket */
    uint32_t *edge_at;    /* of a place */
};

/* Text. */

static int fill_text(struct sp_lattice *l, const struct sp_train *t, struct err *err)
{
    const struct bpe_train_words *w = t->counter[0].words;
    uint32_t space = t->rank[SP_SPACE_CP] == SP_BREAK_CHAR ? SP_OTHER : t->rank[SP_SPACE_CP] + SP_CHAR;
    struct bpe_train_walk walk = { .at = 0 };
    size_t room = 0, words = 0;

    for (; bpe_train_words_next(w, &walk); words++)
        room += walk.n + 1;
    if (room >= UINT32_MAX)
        return err_set(err, "the distinct words have %zu bytes, more than can be trained on", room);
    l->text = xmalloc(room * sizeof *l->text);
    l->word_at = xmalloc((words + 1) * sizeof *l->word_at);
    l->count = xmalloc((words + 1) * sizeof *l->count);
    l->word_at[0] = 0;
    for (walk.at = 0; bpe_train_words_next(w, &walk);) {
        bool end = walk.s[walk.n - 1] == SP_LINE_END;
        size_t n = walk.n - end;
        uint32_t cp;

        if (!n)
            continue;
        l->count[l->n_words++] = walk.count;
        for (size_t i = 0; i < n;) {
            i += (size_t)utf8_decode(walk.s + i, n - i, &cp);
            l->text[l->n_text++] = t->rank[cp] == SP_BREAK_CHAR ? SP_OTHER : t->rank[cp] + SP_CHAR;
        }
        l->text[l->n_text++] = end ? SP_END : space;
        l->word_at[l->n_words] = l->n_text;
        if (sp_lattice_chars(l, l->n_words - 1) > l->longest)
            l->longest = sp_lattice_chars(l, l->n_words - 1);
    }
    return 0;
}

/* Sorting. */

/* Characters from `depth` on; what lies behind the word is nothing. */
static uint64_t make_key(const struct sorter *s, uint32_t at, uint32_t depth)
{
    uint32_t end = s->l->word_at[s->word_of[at] + 1];
    uint64_t key = 0;

    for (uint32_t i = 0; i < s->a_key; i++) {
        uint32_t p = at + depth + i;

        key = key << s->bits | (depth + i < s->depth && p < end ? s->l->text[p] : 0);
    }
    return key;
}

static void insertion(struct item *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct item x = a[i];
        size_t k = i;

        for (; k && a[k - 1].key > x.key; k--)
            a[k] = a[k - 1];
        a[k] = x;
    }
}

static void merge_sort(struct item *a, size_t n, struct item *room)
{
    size_t half = n / 2, i = 0, k = half, to = 0;

    if (n <= SHORT) {
        insertion(a, n);
        return;
    }
    merge_sort(a, half, room);
    merge_sort(a + half, n - half, room);
    if (a[half - 1].key <= a[half].key)
        return;
    memcpy(room, a, half * sizeof *a);
    while (i < half)
        a[to++] = k < n && a[k].key < room[i].key ? a[k++] : room[i++];
}

/* All begin alike for `depth` characters. */
static void sort_items(const struct sorter *s, struct item *a, size_t n, uint32_t depth, struct item *room)
{
    for (size_t i = 0; i < n; i++)
        a[i].key = make_key(s, a[i].at, depth);
    merge_sort(a, n, room);
    depth += s->a_key;
    for (size_t i = 0, k; i < n && depth < s->depth; i = k) {
        for (k = i + 1; k < n && a[k].key == a[i].key; k++)
            ;
        if (k - i > 1 && a[i].at + depth < s->l->word_at[s->word_of[a[i].at] + 1])
            sort_items(s, a + i, k - i, depth, room);
    }
}

static uint32_t common(const struct sorter *s, uint32_t a, uint32_t b)
{
    const uint32_t *text = s->l->text;
    uint32_t x = s->l->word_at[s->word_of[a] + 1] - a, y = s->l->word_at[s->word_of[b] + 1] - b, n = 1;

    x = x < y ? x : y;
    x = x < s->depth ? x : s->depth;
    while (n < x && text[a + n] == text[b + n])
        n++;
    return n;
}

/* Seeds. */

static bool valid(const struct sorter *s, uint32_t at, uint32_t n)
{
    const uint32_t *c = s->l->text + at;
    struct sp_shape whole;

    if (n < 2 || n > s->t->o->max_sentencepiece_length || *c < SP_CHAR)
        return false;
    whole = s->shape[*c - SP_CHAR];
    for (uint32_t i = 1; i < n; i++)
        if (c[i] < SP_CHAR || !sp_shape_join(s->t->o, &whole, &s->shape[c[i] - SP_CHAR], &whole))
            return false;
    return true;
}

struct interval {
    uint32_t n, first;
    uint64_t before; /* words counted before it */
};

static void close_interval(struct sorter *s, struct found *f, const struct interval *v, uint32_t last, uint64_t words)
{
    uint32_t at = s->suffix[v->first];

    if (!valid(s, at, v->n))
        return;
    mem_grow(&f->seed, &f->cap, f->n + 1, sizeof *f->seed);
    f->seed[f->n++] = (struct sp_seed){ (words - v->before) * v->n, at, v->n, v->first, last };
}

static int by_place(const void *a, const void *b)
{
    const struct sp_seed *x = a, *y = b;

    return x->first != y->first ? (x->first < y->first ? -1 : 1) : x->n < y->n ? -1 : x->n > y->n;
}

static void find_seeds(struct sorter *s, uint32_t bucket)
{
    uint32_t from = s->bucket[bucket], to = s->bucket[bucket + 1], top = 0;
    struct interval *stack = xmalloc((s->depth + 1) * sizeof *stack);
    struct found *f = &s->found[bucket];
    uint64_t words = 0;

    stack[0] = (struct interval){ 1, from, 0 };
    for (uint32_t i = from; i < to; i++) {
        uint32_t n = i == from ? 1 : common(s, s->suffix[i - 1], s->suffix[i]);
        struct interval v = { n, i ? i - 1 : 0, words - (i == from ? 0 : s->l->count[s->word_of[s->suffix[i - 1]]]) };

        for (; stack[top].n > n; top--) {
            v.first = stack[top].first;
            v.before = stack[top].before;
            close_interval(s, f, &stack[top], i, words);
        }
        if (stack[top].n < n)
            stack[++top] = v;
        words += s->l->count[s->word_of[s->suffix[i]]];
    }
    for (; top; top--)
        close_interval(s, f, &stack[top], to, words);
    if (f->n)
        qsort(f->seed, f->n, sizeof *f->seed, by_place);
    free(stack);
}

static void sort_bucket(void *ctx, long bucket, int thread)
{
    struct sorter *s = ctx;
    uint32_t from = s->bucket[bucket], n = s->bucket[bucket + 1] - from;
    struct item *a, *room;

    (void)thread;
    if (!n)
        return;
    a = xmalloc(n * sizeof *a);
    room = xmalloc((n / 2 + 1) * sizeof *room);
    for (uint32_t i = 0; i < n; i++)
        a[i].at = s->suffix[from + i];
    sort_items(s, a, n, 1, room);
    for (uint32_t i = 0; i < n; i++)
        s->suffix[from + i] = a[i].at;
    free(a);
    free(room);
    find_seeds(s, (uint32_t)bucket);
}

static void make_buckets(struct sorter *s)
{
    const struct sp_lattice *l = s->l;
    uint32_t total = 0;

    s->n_buckets = (uint32_t)s->t->n_required;
    s->bucket = xcalloc((size_t)s->n_buckets + 2, sizeof *s->bucket);
    s->suffix = xmalloc((size_t)l->n_text * sizeof *s->suffix);
    s->word_of = xmalloc((size_t)l->n_text * sizeof *s->word_of);
    s->found = xcalloc((size_t)s->n_buckets + 1, sizeof *s->found);
    for (uint32_t w = 0; w < l->n_words; w++)
        for (uint32_t p = l->word_at[w]; p < l->word_at[w + 1]; p++) {
            s->word_of[p] = w;
            if (p + 1 < l->word_at[w + 1] && l->text[p] >= SP_CHAR)
                s->bucket[l->text[p] - SP_CHAR + 2]++;
        }
    for (uint32_t i = 2; i < s->n_buckets + 2; i++)
        s->bucket[i] = total += s->bucket[i];
    for (uint32_t w = 0; w < l->n_words; w++)
        for (uint32_t p = l->word_at[w]; p + 1 < l->word_at[w + 1]; p++)
            if (l->text[p] >= SP_CHAR)
                s->suffix[s->bucket[l->text[p] - SP_CHAR + 1]++] = p;
}

/* The score that `keep` of the seeds reach, at least; how many with just that score are among them. */
static uint64_t threshold(const struct sorter *s, size_t keep, size_t *equal)
{
    uint64_t low = 0;

    for (int shift = 48; shift >= 0; shift -= 16) {
        size_t *n = xcalloc(1 << 16, sizeof *n), k = 1 << 16;

        for (uint32_t b = 0; b < s->n_buckets; b++)
            for (size_t i = 0; i < s->found[b].n; i++) {
                uint64_t score = s->found[b].seed[i].score;

                if (shift == 48 || score >> (shift + 16) == low >> (shift + 16))
                    n[score >> shift & 0xffff]++;
            }
        while (n[--k] < keep)
            keep -= n[k];
        low |= (uint64_t)k << shift;
        free(n);
    }
    *equal = keep;
    return low;
}

/* The best of what was found, in the order of the buckets. */
static void choose_seeds(struct sorter *s)
{
    size_t most = s->t->o->seed_sentencepiece_size, n = 0, equal = 0;
    struct sp_lattice *l = s->l;
    uint64_t least = 0;

    for (uint32_t b = 0; b < s->n_buckets; b++)
        n += s->found[b].n;
    if (n > most)
        least = threshold(s, most, &equal);
    l->seed = xmalloc(((n < most ? n : most) + 1) * sizeof *l->seed);
    for (uint32_t b = 0; b < s->n_buckets; b++) {
        struct found *f = &s->found[b];
        size_t kept = 0;

        for (size_t i = 0; i < f->n; i++)
            if (f->seed[i].score > least || (f->seed[i].score == least && equal && equal--))
                f->seed[kept++] = f->seed[i];
        if (kept)
            memcpy(l->seed + l->n_seeds, f->seed, kept * sizeof *l->seed);
        l->n_seeds += (uint32_t)kept;
        free(f->seed);
        f->seed = l->seed + l->n_seeds - kept;
        f->n = kept;
    }
}

/* Edges. */

static void visit_bucket(struct sorter *s, long bucket, bool fill)
{
    const struct found *f = &s->found[bucket];
    uint32_t *open = xmalloc((s->depth + 1) * sizeof *open);
    struct sp_lattice *l = s->l;
    uint32_t n = 0;
    size_t next = 0;

    for (uint32_t i = s->bucket[bucket]; i < s->bucket[bucket + 1]; i++) {
        uint32_t at = s->suffix[i];

        while (n && l->seed[open[n - 1]].last <= i)
            n--;
        for (; next < f->n && f->seed[next].first == i; next++)
            open[n++] = (uint32_t)(&f->seed[next] - l->seed);
        if (!fill) {
            l->n_edges[at] = (uint16_t)(1 + n);
            continue;
        }
        for (uint32_t k = 0; k < n; k++)
            l->edge[s->edge_at[at] + 1 + k] = ((uint32_t)s->t->n_required + open[k]) << SP_EDGE_BITS | l->seed[open[k]].n;
    }
    free(open);
}

static void count_bucket(void *ctx, long bucket, int thread)
{
    (void)thread;
    visit_bucket(ctx, bucket, false);
}

static void fill_bucket(void *ctx, long bucket, int thread)
{
    (void)thread;
    visit_bucket(ctx, bucket, true);
}

static int make_edges(struct sorter *s, struct par *par, struct err *err)
{
    struct sp_lattice *l = s->l;
    uint64_t n = 0;

    l->n_edges = xcalloc((size_t)l->n_text + 1, sizeof *l->n_edges);
    par_for(par, s->n_buckets, count_bucket, s);
    l->edge_at = xmalloc(((size_t)l->n_words + 1) * sizeof *l->edge_at);
    s->edge_at = xmalloc(((size_t)l->n_text + 1) * sizeof *s->edge_at);
    for (uint32_t w = 0; w < l->n_words; w++)
        for (uint32_t p = l->word_at[w]; p + 1 < l->word_at[w + 1]; p++)
            n += l->n_edges[p] ? l->n_edges[p] : 1;
    if (n >= UINT32_MAX)
        return err_set(err, "%llu places of pieces in the distinct words, more than can be trained on", (unsigned long long)n);
    l->edge = xmalloc((n + 1) * sizeof *l->edge);
    l->other = (uint32_t)s->t->n_required + l->n_seeds;
    n = 0;
    for (uint32_t w = 0; w < l->n_words; w++) {
        l->edge_at[w] = (uint32_t)n;
        for (uint32_t p = l->word_at[w]; p + 1 < l->word_at[w + 1]; p++) {
            s->edge_at[p] = (uint32_t)n;
            l->edge[n] = (l->text[p] < SP_CHAR ? l->other : l->text[p] - SP_CHAR) << SP_EDGE_BITS | 1;
            if (!l->n_edges[p])
                l->n_edges[p] = 1;
            n += l->n_edges[p];
        }
    }
    l->edge_at[l->n_words] = (uint32_t)n;
    par_for(par, s->n_buckets, fill_bucket, s);
    return 0;
}

int sp_lattice_make(struct sp_lattice *l, const struct sp_train *t, struct par *par, struct err *err)
{
    struct sp_shape *shape = xmalloc((t->n_required + 1) * sizeof *shape);
    struct sorter s = { .l = l, .t = t, .shape = shape, .depth = t->o->max_sentencepiece_length + 1, .bits = 1 };
    int rc;

    *l = (struct sp_lattice){ .n_words = 0 };
    for (size_t i = 0; i < t->n_required; i++)
        shape[i] = sp_shape_of(t->o, t->required[i]);
    while (t->n_required + SP_CHAR > (size_t)1 << s.bits)
        s.bits++;
    s.a_key = 64 / s.bits;
    rc = fill_text(l, t, err);
    if (rc == 0) {
        make_buckets(&s);
        par_for(par, s.n_buckets, sort_bucket, &s);
        choose_seeds(&s);
        rc = make_edges(&s, par, err);
    }
    free(shape);
    free(s.bucket);
    free(s.suffix);
    free(s.word_of);
    free(s.found);
    free(s.edge_at);
    return rc;
}

void sp_lattice_free(struct sp_lattice *l)
{
    free(l->text);
    free(l->word_at);
    free(l->count);
    free(l->seed);
    free(l->edge);
    free(l->edge_at);
    free(l->n_edges);
}
