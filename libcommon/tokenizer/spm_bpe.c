/* SentencePiece's BPE (bpe_model.cc): two neighbours merge where the two together are a piece, the highest score
 * first.  Which pairs these are is worked out once: every piece is cut everywhere in two. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/spm_in.h"

/* A character that is no piece; it may be part of one. */
#define LONE(cp) (SPM_MOST + 1 + (cp))

#define CUTS 512 /* looked up together */

_Static_assert(LONE(0x10ffff) <= MERGES_MAX_ID, "ids of characters fit");

struct ranked {
    float score;
    uint32_t at; /* in m->names */
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static size_t char_length(const char *s)
{
    uint8_t c = (uint8_t)*s;

    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Pieces cut in two, some at a time. */
struct cuts {
    struct lexicon_query *left, *right;
    uint32_t *index; /* of the merge that makes the piece, and its end */
    const char **end;
    size_t n, left_cap, right_cap, index_cap, end_cap;
    struct merges_pair *pair; /* what was found */
    size_t n_pairs, pair_cap;
};

static void add_cuts(struct spm *m, struct cuts *c, const struct lexicon_item *t, uint32_t index)
{
    const char *s = m->names.bytes + t->at;

    for (size_t cut = char_length(s); cut < t->len; cut += char_length(s + cut)) {
        mem_grow(&c->left, &c->left_cap, c->n + 1, sizeof *c->left);
        mem_grow(&c->index, &c->index_cap, c->n + 1, sizeof *c->index);
        mem_grow(&c->end, &c->end_cap, c->n + 1, sizeof *c->end);
        c->left[c->n] = (struct lexicon_query){ .s = s, .n = cut };
        c->end[c->n] = s + t->len;
        c->index[c->n++] = index;
        if (m->merges.undone && m->merges.undone[index])
            m->made_by[t->id] = index;
    }
}

/* A symbol that can merge, or SPM_NONE: user-defined ones stay as they are. */
static uint32_t part_id(const struct spm *m, const struct lexicon_query *q)
{
    uint32_t id = q->id, cp;

    if (q->n == char_length(q->s)) {
        utf8_decode(q->s, q->n, &cp);
        id = charids_get(&m->chars, cp);
        if (id == CHARIDS_NONE)
            return LONE(cp);
    }
    return id == LEXICON_NONE || m->type[id] == SPM_USER_DEFINED ? SPM_NONE : id;
}

/* The pairs of the cuts: where the left part is a piece, the right one is looked for. */
static void find_cuts(const struct spm *m, struct cuts *c)
{
    size_t n = 0;

    lexicon_find_all(&m->names, c->left, c->n);
    mem_grow(&c->right, &c->right_cap, c->n, sizeof *c->right);
    mem_grow(&c->pair, &c->pair_cap, c->n_pairs + c->n, sizeof *c->pair);
    for (size_t i = 0; i < c->n; i++) {
        const struct lexicon_query *q = &c->left[i];
        uint32_t left = part_id(m, q);
        const char *s = q->s + q->n;

        if (left == SPM_NONE)
            continue;
        c->right[n] = (struct lexicon_query){ .s = s, .n = (size_t)(c->end[i] - s) };
        c->pair[c->n_pairs + n++] = (struct merges_pair){ left, 0, c->index[i] };
    }
    lexicon_find_all(&m->names, c->right, n);
    for (size_t i = 0, from = c->n_pairs; i < n; i++) {
        uint32_t right = part_id(m, &c->right[i]);
        struct merges_pair p = c->pair[from + i];

        p.right = right;
        if (right != SPM_NONE)
            c->pair[c->n_pairs++] = p;
    }
    c->n = 0;
}

/* A merge for every piece that can be made of others, by falling score; which one it is, by place in m->names. */
static uint32_t *rank_pieces(struct spm *m)
{
    struct ranked *r = xmalloc((m->names.n + 1) * sizeof *r);
    uint32_t *index_of = xmalloc((m->names.n + 1) * sizeof *index_of);
    bool tie = false;
    size_t n = 0;

    for (size_t i = 0; i < m->names.n; i++) {
        index_of[i] = MERGES_NONE;
        if (m->type[m->names.item[i].id] != SPM_USER_DEFINED)
            r[n++] = (struct ranked){ m->score[m->names.item[i].id], (uint32_t)i };
    }
    qsort(r, n, sizeof *r, by_score);
    m->merges.rank = xmalloc((n + 1) * sizeof *m->merges.rank);
    for (size_t i = 0; i < n; i++) {
        bool same = i && !(r[i - 1].score > r[i].score);
        uint32_t index = merges_add(&m->merges, m->names.item[r[i].at].id);

        tie |= same;
        m->merges.rank[index] = same ? m->merges.rank[index - 1] : index;
        index_of[r[i].at] = index;
    }
    if (!tie) { /* the index says as much */
        free(m->merges.rank);
        m->merges.rank = NULL;
    }
    free(r);
    return index_of;
}

static void prepare_unused(struct spm *m)
{
    if (!memchr(m->type, SPM_UNUSED, m->info.n_pieces))
        return;
    m->made_by = xmalloc(m->info.n_pieces * sizeof *m->made_by);
    memset(m->made_by, 0xff, m->info.n_pieces * sizeof *m->made_by);
    m->merges.undone = xcalloc(m->merges.n + 1, sizeof *m->merges.undone);
    for (size_t i = 0; i < m->merges.n; i++)
        m->merges.undone[i] = m->type[m->merges.made[i]] == SPM_UNUSED;
}

/* The symbol of a character of the normal form. */
static inline uint32_t char_id(const struct spm *m, uint32_t cp)
{
    uint32_t id;

    if (cp == ' ' && m->normal.escape)
        cp = 0x2581;
    id = charids_get(&m->chars, cp);
    return id == CHARIDS_NONE ? LONE(cp) : id;
}

void spm_prepare_bpe(struct spm *m)
{
    uint32_t *index_of = rank_pieces(m), id[128];
    struct cuts cuts = { 0 };

    prepare_unused(m);
    for (size_t i = 0; i < m->names.n; i++) {
        if (index_of[i] != MERGES_NONE)
            add_cuts(m, &cuts, &m->names.item[i], index_of[i]);
        if (cuts.n >= CUTS || i + 1 == m->names.n)
            find_cuts(m, &cuts);
    }
    merges_pairs(&m->merges, cuts.pair, cuts.n_pairs);
    merges_finish(&m->merges);
    for (uint32_t c = 0; c < 128; c++) {
        id[c] = char_id(m, c);
        if (m->type[id[c] < m->info.n_pieces ? id[c] : 0] == SPM_USER_DEFINED)
            id[c] = MERGES_NONE;
    }
    merges_table(&m->merges, id, m->ascii);
    free(cuts.left);
    free(cuts.right);
    free(cuts.index);
    free(cuts.end);
    free(cuts.pair);
    free(index_of);
}

/* Symbols of a part: characters, and user-defined pieces.  *ascii: each byte is one. */
static size_t split(const struct spm *m, const char *s, size_t n, uint32_t *id, bool *ascii)
{
    uint8_t any = 0;
    size_t used = 0;

    for (size_t at = 0, len; at < n; at += len) {
        uint32_t cp, found = SPM_NONE;

        any |= (uint8_t)s[at];
        len = m->has_user ? trie_longest(&m->user[1], s + at, n - at, &found) : 0;
        if (!len) {
            len = (size_t)utf8_decode(s + at, n - at, &cp);
            found = char_id(m, cp);
        }
        id[used++] = found;
    }
    *ascii = any < 128 && used == n;
    return used;
}

static size_t put(struct spm_scratch *s, uint32_t id, uint32_t *out, size_t n)
{
    char c[4];

    if (id < LONE(0)) {
        out[n++] = id;
        return n;
    }
    return spm_unknown(s, c, (size_t)utf8_encode(id - LONE(0), c), out, n);
}

/* A piece that is not used becomes what it was made of, as that was seen last, and so do its parts. */
static size_t put_parts(const struct spm *m, struct spm_scratch *s, uint32_t id, uint32_t *out, size_t n)
{
    size_t depth = 1;

    mem_grow(&s->stack, &s->stack_cap, 2, sizeof *s->stack);
    s->stack[0] = id;
    while (depth) {
        uint32_t top = s->stack[--depth], index = top < LONE(0) ? m->made_by[top] : SPM_NONE;

        if (index == SPM_NONE) {
            n = put(s, top, out, n);
            continue;
        }
        mem_grow(&s->stack, &s->stack_cap, depth + 2, sizeof *s->stack);
        s->stack[depth++] = s->merges.parts[index][1];
        s->stack[depth++] = s->merges.parts[index][0];
    }
    return n;
}

size_t spm_encode_bpe(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out, size_t n)
{
    uint32_t first[MERGES_SHORT];
    bool ascii;
    size_t k;

    mem_grow(&s->id, &s->id_cap, part_n, sizeof *s->id);
    k = split(m, part, part_n, s->id, &ascii);
    ascii &= k <= MERGES_SHORT;
    for (size_t i = 0; ascii && i + 1 < k; i++)
        first[i] = m->ascii[(uint32_t)part[i] << 7 | (uint32_t)part[i + 1]];
    k = merges_run(&m->merges, &s->merges, s->id, k, ascii ? first : NULL);
    for (size_t i = 0; i < k; i++)
        n = m->made_by ? put_parts(m, s, s->id[i], out, n) : put(s, s->id[i], out, n);
    if (s->id_cap > 1 << 20) { /* of one long part */
        free(s->id);
        s->id = NULL;
        s->id_cap = 0;
    }
    return n;
}
