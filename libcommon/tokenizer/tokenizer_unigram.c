/* Unigram of tokenizer.json: unigram.h, in double, behind a model row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/tokenizer_load.h"
#include "libcommon/tokenizer/unigram.h"

struct model {
    struct lexicon words;
    struct unigram unigram;
    bool has_unk, byte_fallback;
    uint32_t byte_id[256];
};

enum { TYPE, VOCAB, UNK, FALLBACK, PARTS };

/* Digits up to where they no longer fit into *v, at s[*at]: how many there were, and how many of them count. */
static int digits(const char *s, size_t n, size_t *at, uint64_t *v, int *count, bool *full)
{
    int all = 0;

    for (; *at < n && s[*at] >= '0' && s[*at] <= '9'; (*at)++, all++) {
        uint64_t digit = (uint64_t)(s[*at] - '0');

        *full = *full || *v > (UINT64_MAX - digit) / 10;
        if (*full)
            continue;
        *v = *v * 10 + digit;
        (*count)++;
    }
    return all;
}

/* A number as serde_json reads it, which rounds twice: the digits, then their quotient by a power of ten.  Where two
 * paths are as good as each other, the last bit of a score decides. */
static double serde_number(const char *s, size_t n)
{
    bool minus = n && *s == '-', full = false;
    size_t at = minus;
    uint64_t v = 0;
    int exponent = 0, counted = 0;
    double f;

    exponent = digits(s, n, &at, &v, &counted, &full);
    exponent -= counted;
    counted = 0;
    if (at < n && s[at] == '.') {
        at++;
        digits(s, n, &at, &v, &counted, &full);
        exponent -= counted;
    }
    if (at < n) /* e */
        exponent += (int)strtol(s + at + 1, NULL, 10);
    f = (double)v;
    for (; exponent < -308 && f > 0; exponent += 308)
        f /= 1e308;
    if (f > 0)
        f = exponent < 0 ? f / pow(10, -exponent) : f * pow(10, exponent);
    return minus ? -f : f;
}

/* One entry, [piece, score]. */
static int load_piece(struct tokenizer_loader *l, struct model *m, struct json *j, double **score, size_t *cap)
{
    size_t at = m->words.n, n;
    const char *s;
    double v;

    if (json_next(j) != JSON_STRING)
        return err_set(l->err, "piece %zu: not a string and a score", at);
    s = tokenizer_string(l, &j->raw, 0, &n);
    if (lexicon_add(&m->words, s, n, at, TOKENIZER_MAX_ID, l->err) < 0)
        return -1;
    if (json_next(j) != JSON_NUMBER)
        return err_set(l->err, "piece %zu: not a string and a score", at);
    v = serde_number(j->raw.s, j->raw.n);
    if (!isfinite(v))
        return err_set(l->err, "piece %zu: the score is not finite", at);
    mem_grow(score, cap, at + 1, sizeof **score);
    (*score)[at] = v;
    return json_next(j) == JSON_ARRAY_END ? 0 : err_set(l->err, "piece %zu: not a string and a score", at);
}

static int load_vocab(struct tokenizer_loader *l, struct model *m, const struct tokenizer_part *p, double **score)
{
    size_t cap = 0;
    struct json j;
    enum json_type t;

    if (!p->s)
        return err_set(l->err, "there is no vocab");
    json_init(&j, p->s, p->n);
    if (json_next(&j) != JSON_ARRAY)
        return err_set(l->err, "vocab is not an array");
    while ((t = json_next(&j)) == JSON_ARRAY)
        if (load_piece(l, m, &j, score, &cap) < 0)
            return -1;
    if (t != JSON_ARRAY_END)
        return err_set(l->err, "piece %zu: not a string and a score", m->words.n);
    return lexicon_index(&m->words, l->err);
}

static void build(struct model *m, double *score)
{
    struct trie_key *k = xmalloc((m->words.n + 1) * sizeof *k);
    double least = HUGE_VAL;

    for (size_t i = 0; i < m->words.n; i++) {
        const struct lexicon_item *t = &m->words.item[i];

        k[i] = (struct trie_key){ m->words.bytes + t->at, t->len, t->id };
        least = score[i] < least ? score[i] : least;
    }
    m->unigram.unk_score = least - 10;
    unigram_build(&m->unigram, k, m->words.n, score, m->words.n_ids);
    free(k);
    for (unsigned c = 0; c < 256; c++) {
        char s[8];

        snprintf(s, sizeof s, "<0x%02X>", c);
        m->byte_id[c] = lexicon_find(&m->words, s, 6);
    }
}

static int take_settings(struct tokenizer_loader *l, struct model *m, const struct tokenizer_part *part)
{
    const struct json_value *unk = NULL, *fallback = NULL;

    if (part[UNK].s && !(unk = json_tree(&l->scratch, part[UNK].s, part[UNK].n, l->name, l->err)))
        return -1;
    if (part[FALLBACK].s && !(fallback = json_tree(&l->scratch, part[FALLBACK].s, part[FALLBACK].n, l->name, l->err)))
        return -1;
    m->has_unk = unk && unk->type == JSON_NUMBER;
    if (m->has_unk && !(unk->num >= 0 && unk->num < (double)m->words.n))
        return err_set(l->err, "unk_id %g is not in the vocabulary", unk->num);
    m->unigram.unk = m->has_unk ? (uint32_t)unk->num : TOKENIZER_NONE;
    m->byte_fallback = fallback && fallback->type == JSON_TRUE;
    return 0;
}

static int parse(struct tokenizer_loader *l, const char *json, size_t n)
{
    struct tokenizer_part part[PARTS] = {
        [TYPE] = { .name = "type" }, [VOCAB] = { .name = "vocab" },
        [UNK] = { .name = "unk_id" }, [FALLBACK] = { .name = "byte_fallback" },
    };
    struct model *m = xcalloc(1, sizeof *m);
    double *score = NULL;

    l->t->model_data = m;
    if (tokenizer_split(l, json, n, part, PARTS, NULL) < 0)
        return -1;
    if (load_vocab(l, m, &part[VOCAB], &score) < 0 || take_settings(l, m, part) < 0) {
        free(score);
        return err_prefix(l->err, "%s: model", l->name);
    }
    build(m, score);
    l->t->n_tokens = m->words.n;
    l->t->n_ids = m->words.n_ids;
    return 0;
}

static void release(void *model)
{
    struct model *m = model;

    if (!m)
        return;
    lexicon_release(&m->words);
    unigram_release(&m->unigram);
    free(m);
}

static void image(void **model, struct image *i)
{
    struct model *m = *model = *model ? *model : xcalloc(1, sizeof *m);

    lexicon_image(&m->words, i);
    unigram_image(&m->unigram, i);
    image_flags(i, &m->has_unk, 1);
    image_flags(i, &m->byte_fallback, 1);
    image_field(i, m->byte_id);
}

static void *scratch_new(const void *model)
{
    (void)model;
    return xcalloc(1, sizeof(struct unigram_scratch));
}

static void scratch_free(void *scratch)
{
    unigram_scratch_release(scratch);
    free(scratch);
}

/* A run of characters without a piece: a piece after all, or bytes, or the unknown one. */
static int put_unknown(const struct model *m, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    uint32_t id = lexicon_find(&m->words, s, n);
    bool bytes = id == LEXICON_NONE && m->byte_fallback;

    for (size_t i = 0; i < n && bytes; i++)
        bytes = m->byte_id[(uint8_t)s[i]] != LEXICON_NONE;
    for (size_t i = 0; i < n && bytes; i++)
        out->v[out->n++] = m->byte_id[(uint8_t)s[i]];
    if (bytes)
        return 0;
    if (id == LEXICON_NONE && !m->has_unk)
        return err_set(err, "the vocabulary has no piece for '%.*s', and no unk_id", (int)(n < 100 ? n : 100), s);
    out->v[out->n++] = id == LEXICON_NONE ? m->unigram.unk : id;
    return 0;
}

static int encode(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    const struct model *m = model;
    struct unigram_scratch *w = scratch;
    size_t k = unigram_run(&m->unigram, w, s, n, 0), at = 0, end;

    mem_grow(&out->v, &out->cap, out->n + n, sizeof *out->v);
    for (size_t i = 0; i < k; at = end) {
        const struct unigram_step *step = &w->step[i++];

        end = step->end;
        if (!step->unk && step->id != m->unigram.unk) {
            out->v[out->n++] = step->id;
            continue;
        }
        while (i < k && (w->step[i].unk || w->step[i].id == m->unigram.unk))
            end = w->step[i++].end;
        if (put_unknown(m, s + at, end - at, out, err) < 0)
            return -1;
    }
    return 0;
}

static uint32_t id_of(const void *model, const char *s, size_t n)
{
    return lexicon_find(&((const struct model *)model)->words, s, n);
}

static const char *token(const void *model, uint32_t id, size_t *n, bool *bytes)
{
    *bytes = false;
    return lexicon_string(&((const struct model *)model)->words, id, n);
}

const struct tokenizer_model_row tokenizer_unigram = {
    .type = "Unigram",
    .description = "Unigram",
    .parse = parse,
    .release = release,
    .image = image,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .encode = encode,
    .id = id_of,
    .token = token,
};
