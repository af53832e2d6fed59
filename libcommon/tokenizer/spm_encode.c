/* The models but BPE: the ids of a part, and the sum of their scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/spm_in.h"

const struct border *spm_part_border(const struct spm *m)
{
    /* How a piece is undone depends on all of the text; words are whole; sums that leave the range of float are one. */
    bool far = m->info.model == SPM_UNIGRAM && !(fabs(m->unigram.unk_score) < 1e30);

    return m->made_by || m->info.model == SPM_WORD || far ? NULL : &m->border;
}

void spm_begin(struct spm_scratch *s)
{
    s->sum = s->base = 0;
    s->summed = s->steps = s->n_unknown = 0;
}

void spm_add_up(const struct spm *m, struct spm_scratch *s, const uint32_t *out, size_t n)
{
    const struct unigram *u = &m->unigram;
    double sum = s->sum;
    size_t k = 0;

    for (size_t i = s->summed; i < n && m->info.model == SPM_UNIGRAM; i++) {
        for (; k < s->n_unknown && s->unknown[k] == i; k++)
            sum = unigram_sum(u, sum, 0, true);
        sum = unigram_sum(u, sum, out[i], false);
    }
    for (; k < s->n_unknown; k++)
        sum = unigram_sum(u, sum, 0, true);
    s->sum = sum;
    s->base = 1.01 * fabs(sum);
    s->summed = n;
    s->steps = s->n_unknown = 0;
}

/* Neighbours become one unknown piece, also over a border: such a part is not to be known again. */
size_t spm_unknown(struct spm_scratch *s, const char *c, size_t len, uint32_t *out, size_t n)
{
    const struct spm *m = s->m;

    if (m->info.byte_fallback) {
        for (size_t i = 0; i < len; i++)
            out[n++] = m->byte_id[(uint8_t)c[i]];
        return n;
    }
    s->limit = 0;
    if (!n || out[n - 1] != m->info.unk)
        out[n++] = m->info.unk;
    return n;
}

/* A character without a piece is in front of out[n]. */
static void note_unknown(struct spm_scratch *s, size_t n)
{
    if (s->m->info.model != SPM_UNIGRAM)
        return;
    mem_grow(&s->unknown, &s->unknown_cap, s->n_unknown + 1, sizeof *s->unknown);
    s->unknown[s->n_unknown++] = n;
    s->steps++;
}

size_t spm_lone(struct spm_scratch *s, uint32_t *out, size_t n)
{
    note_unknown(s, n);
    return spm_unknown(s, NULL, 0, out, n);
}

static size_t encode_chars(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out,
                           size_t n)
{
    for (size_t at = 0, len; at < part_n; at += len) {
        bool bar = part[at] == ' ' && m->normal.escape;
        uint32_t id = SPM_NONE, cp = 0;

        len = m->has_user ? trie_longest(&m->user[1], part + at, part_n - at, &id) : 0;
        if (!len) {
            len = (size_t)utf8_decode(part + at, part_n - at, &cp);
            id = charids_get(&m->chars, bar ? 0x2581 : cp);
        }
        if (id != CHARIDS_NONE)
            out[n++] = id;
        else
            n = bar ? spm_unknown(s, SPM_BAR, 3, out, n) : spm_unknown(s, part + at, len, out, n);
    }
    return n;
}

static bool starts_bar(const char *s, size_t n)
{
    return n >= 3 && memcmp(s, SPM_BAR, 3) == 0;
}

/* A word begins with each U+2581. */
static size_t encode_words(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out,
                           size_t n)
{
    size_t cap = 0;
    char *word = NULL;

    for (size_t at = 0, end = 0, len = 0; at < part_n; at = end, len = 0) {
        uint32_t id;

        for (;;) {
            bool bar = part[end] == ' ' && m->normal.escape;

            mem_grow(&word, &cap, len + 3, 1);
            memcpy(word + len, bar ? SPM_BAR : part + end, bar ? 3 : 1);
            len += bar ? 3 : 1;
            end++;
            if (end == part_n || (m->normal.escape ? part[end] == ' ' : starts_bar(part + end, part_n - end)))
                break;
        }
        id = lexicon_find(&m->names, word, len);
        if (id != LEXICON_NONE)
            out[n++] = id;
        else
            n = spm_unknown(s, word, len, out, n);
    }
    free(word);
    return n;
}

static size_t encode_unigram(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out,
                             size_t n)
{
    const struct unigram *u = &m->unigram;
    size_t k = unigram_run_free(u, &s->unigram, part, part_n, &s->limit), at = 0;
    bool all = true;

    if (!spm_holds(m, s, s->limit, out, n)) {
        k = unigram_run(u, &s->unigram, part, part_n, s->sum);
        s->limit = 0; /* that was another path's */
    }
    for (size_t i = 0; i < k; at = s->unigram.step[i++].end) {
        const struct unigram_step *step = &s->unigram.step[i];

        if (!step->unk) {
            out[n++] = step->id;
            s->steps++;
            continue;
        }
        all = false;
        note_unknown(s, n);
        if (part[at] == ' ' && m->normal.escape)
            n = spm_unknown(s, SPM_BAR, 3, out, n);
        else
            n = spm_unknown(s, part + at, step->end - at, out, n);
    }
    if (!all)
        s->limit = 0;
    return n;
}

size_t spm_encode_part(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out, size_t n)
{
    s->limit = INFINITY;
    switch (m->info.model) {
    case SPM_BPE:
        return spm_encode_bpe(m, s, part, part_n, out, n);
    case SPM_WORD:
        return encode_words(m, s, part, part_n, out, n);
    case SPM_CHAR:
        return encode_chars(m, s, part, part_n, out, n);
    default:
        return encode_unigram(m, s, part, part_n, out, n);
    }
}
