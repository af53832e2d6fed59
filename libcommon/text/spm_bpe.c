/* SentencePiece's BPE (bpe_model.cc): two neighbours merge where the two together are a piece, the highest score
 * first.  Which pairs these are is worked out once: every piece is cut everywhere in two. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/spm_in.h"

/* A character that is no piece; it may be part of one. */
#define LONE(cp) (SPM_MOST + 1 + (cp))

_Static_assert(LONE(0x10ffff) <= MERGES_MAX_ID, "ids of characters fit");

struct ranked {
    float score;
    uint32_t id;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t char_length(const char *s)
{
    uint8_t c = (uint8_t)*s;

    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The id of a symbol that can merge, or SPM_NONE: user-defined ones stay as they are. */
static uint32_t part_id(const struct spm *m, const char *s, size_t n)
{
    uint32_t cp, id;

    if (n == char_length(s)) {
        utf8_decode(s, n, &cp);
        id = charids_get(&m->chars, cp);
        if (id == CHARIDS_NONE)
            return LONE(cp);
    } else {
        id = lexicon_find(&m->names, s, n);
    }
    return id == LEXICON_NONE || m->type[id] == SPM_USER_DEFINED ? SPM_NONE : id;
}

static bool add_pairs(struct spm *m, uint32_t id, uint32_t index)
{
    bool any = false;
    size_t n;
    const char *s = lexicon_string(&m->names, id, &n);

    for (size_t cut = char_length(s); cut < n; cut += char_length(s + cut)) {
        uint32_t left = part_id(m, s, cut), right = left == SPM_NONE ? left : part_id(m, s + cut, n - cut);

        if (right != SPM_NONE)
            merges_pair(&m->merges, left, right, index);
        any |= right != SPM_NONE;
    }
    return any;
}

int spm_prepare_bpe(struct spm *m, struct err *err)
{
    struct ranked *r = xmalloc((m->names.n + 1) * sizeof *r);
    size_t n = 0;
    bool undone = false, tie = false;

    (void)err;
    for (size_t i = 0; i < m->names.n; i++) {
        uint32_t id = m->names.item[i].id;

        if (m->type[id] != SPM_USER_DEFINED)
            r[n++] = (struct ranked){ m->score[id], id };
        undone |= m->type[id] == SPM_UNUSED;
    }
    qsort(r, n, sizeof *r, by_score);
    m->merges.rank = xmalloc((n + 1) * sizeof *m->merges.rank);
    m->merges.undone = undone ? xcalloc(n + 1, sizeof *m->merges.undone) : NULL;
    if (undone) {
        m->made_by = xmalloc(m->info.n_pieces * sizeof *m->made_by);
        memset(m->made_by, 0xff, m->info.n_pieces * sizeof *m->made_by);
    }
    for (size_t i = 0; i < n; i++) {
        bool same = i && !(r[i - 1].score > r[i].score);
        uint32_t index = merges_add(&m->merges, r[i].id);

        tie |= same;
        m->merges.rank[index] = same ? m->merges.rank[index - 1] : index;
        if (add_pairs(m, r[i].id, index) && m->type[r[i].id] == SPM_UNUSED) {
            m->merges.undone[index] = true;
            m->made_by[r[i].id] = index;
        }
    }
    if (!tie) { /* the index says as much */
        free(m->merges.rank);
        m->merges.rank = NULL;
    }
    merges_finish(&m->merges);
    free(r);
    return 0;
}

static size_t split(const struct spm *m, const char *s, size_t n, uint32_t *id)
{
    size_t used = 0;

    for (size_t at = 0, len; at < n; at += len) {
        uint32_t cp, found = SPM_NONE;

        len = m->has_user ? trie_longest(&m->user[1], s + at, n - at, &found) : 0;
        if (!len) {
            len = (size_t)utf8_decode(s + at, n - at, &cp);
            if (cp == ' ' && m->normal.escape)
                cp = 0x2581;
            found = charids_get(&m->chars, cp);
            if (found == CHARIDS_NONE)
                found = LONE(cp);
        }
        id[used++] = found;
    }
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
    size_t k;

    mem_grow(&s->id, &s->id_cap, part_n, sizeof *s->id);
    k = split(m, part, part_n, s->id);
    k = merges_run(&m->merges, &s->merges, s->id, k, NULL);
    for (size_t i = 0; i < k; i++)
        n = m->made_by ? put_parts(m, s, s->id[i], out, n) : put(s, s->id[i], out, n);
    if (s->id_cap > 1 << 20) { /* of one long part */
        free(s->id);
        s->id = NULL;
        s->id_cap = 0;
    }
    return n;
}
