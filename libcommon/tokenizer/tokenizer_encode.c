/* Text to ids: added tokens, normalisation, pieces, and of each piece its ids from the cache or by merging. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer_in.h"
#include "libcommon/text/unicode.h"
#include "libcommon/text/unicode_hf.h"
#include "libcommon/tokenizer/wordcache.h"

struct tokenizer_encoder {
    const struct tokenizer *t;
    struct wordcache cache;
    void *scratch;                   /* the model's */
    const struct border *border;     /* the model's, or NULL */
    struct tokenizer_text normal[2]; /* a segment in its normal form */
    struct tokenizer_text bytes;     /* of a piece that is spelled */
    struct level {                   /* of each pre-tokenizing step */
        struct tokenizer_text text;
        struct tokenizer_spans spans;
    } *level;
    struct wordcache_batch batch;
    /* of one call */
    bool bars; /* what is encoded has spaces for U+2581 */
    enum tokenizer_special special;
    size_t first; /* so many bytes of what is encoded stand for the text's first character */
    struct tokenizer_ids *out;
    struct err *err;
};

struct tokenizer_encoder *tokenizer_encoder_new(const struct tokenizer *t)
{
    struct tokenizer_encoder *e = xcalloc(1, sizeof *e);

    e->t = t;
    e->level = xcalloc(t->pretokenizer.n + 1, sizeof *e->level);
    e->scratch = t->model->scratch_new ? t->model->scratch_new(t->model_data) : NULL;
    e->border = t->model->border ? t->model->border(t->model_data) : NULL;
    wordcache_init(&e->cache);
    return e;
}

void tokenizer_encoder_free(struct tokenizer_encoder *e)
{
    if (!e)
        return;
    wordcache_release(&e->cache);
    if (e->t->model->scratch_free)
        e->t->model->scratch_free(e->scratch);
    for (size_t i = 0; i < e->t->pretokenizer.n; i++) {
        free(e->level[i].text.v);
        free(e->level[i].spans.v);
    }
    free(e->level);
    free(e->normal[0].v);
    free(e->normal[1].v);
    free(e->bytes.v);
    free(e);
}

/* With U+2581 for each space. */
static void put_bars(struct tokenizer_text *out, const char *s, size_t n)
{
    mem_grow(&out->v, &out->cap, out->n + 3 * n, 1);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ') {
            memcpy(out->v + out->n, "\xe2\x96\x81", 3);
            out->n += 3;
        } else {
            out->v[out->n++] = s[i];
        }
    }
}

/* Append the ids of a piece, made anew. */
static int make(struct tokenizer_encoder *e, const char *s, size_t n)
{
    const struct tokenizer *t = e->t;

    if (t->spelled) {
        e->bytes.n = 0;
        tokenizer_unspell(s, n, &e->bytes);
        s = e->bytes.v;
        n = e->bytes.n;
    }
    if (e->bars) {
        e->bytes.n = 0;
        put_bars(&e->bytes, s, n);
        s = e->bytes.v;
        n = e->bytes.n;
    }
    return t->model->encode(t->model_data, e->scratch, s, n, e->out, e->err);
}

static int long_piece(struct tokenizer_encoder *e, const char *s, size_t n, uint64_t hash)
{
    struct tokenizer_ids *out = e->out;
    const uint32_t *ids;
    size_t k;

    if (n > WORDCACHE_LONGEST)
        return make(e, s, n);
    ids = wordcache_find_long(&e->cache, s, n, hash, &k);
    if (ids) {
        mem_grow(&out->v, &out->cap, out->n + k, sizeof *out->v);
        memcpy(out->v + out->n, ids, k * sizeof *ids);
        out->n += k;
        return 0;
    }
    k = out->n;
    if (make(e, s, n) < 0)
        return -1;
    if (out->n - k <= UINT16_MAX)
        wordcache_add_long(&e->cache, s, n, hash, out->v + k, out->n - k);
    return 0;
}

/* Piece i of the batch, of at most WORDCACHE_SHORT bytes, wherever it is. */
static int short_piece(struct tokenizer_encoder *e, const char *s, size_t i)
{
    uint64_t low = e->batch.low[i], high = e->batch.high[i];
    const struct wordcache_entry *entry = wordcache_find(&e->cache, low, high);
    size_t n = e->out->n;

    if (entry) {
        e->out->n = (size_t)(wordcache_put(&e->cache, entry, e->out->v + n) - e->out->v);
        wordcache_settle(&e->cache, entry);
        return 0;
    }
    if (make(e, s, (size_t)(high >> 56)) < 0)
        return -1;
    wordcache_add(&e->cache, low, high, e->out->v + n, e->out->n - n);
    return 0;
}

/* The first of the pieces [i, k) of the batch that does not stand at its first two places in the cache; the ids of those
 * before it are appended. */
static size_t encode_hits(struct tokenizer_encoder *e, size_t i, size_t k)
{
    const struct wordcache_batch *b = &e->batch;
    uint32_t *v = e->out->v + e->out->n;

    for (; i < k; i++) {
        const struct wordcache_entry *entry = b->place[i];

        if (!wordcache_is(entry, b->low[i], b->high[i]))
            entry = wordcache_second(&e->cache, entry);
        if (!wordcache_is(entry, b->low[i], b->high[i]))
            break;
        v = wordcache_put(&e->cache, entry, v);
    }
    e->out->n = (size_t)(v - e->out->v);
    return i;
}

/* The k pieces of the batch, of which the first begins at `at`. */
static int encode_batch(struct tokenizer_encoder *e, const char *text, size_t at, size_t k)
{
    const struct wordcache_batch *b = &e->batch;
    struct tokenizer_ids *out = e->out;

    for (size_t i = 0; i < k; i++) {
        size_t start, most = WORDCACHE_IDS * (k - i);

        if (out->cap - out->n < most)
            mem_grow(&out->v, &out->cap, out->n + most, sizeof *out->v);
        i = encode_hits(e, i, k);
        if (i == k)
            break;
        start = i ? b->end[i - 1] : at;
        if ((b->high[i] ? short_piece(e, text + start, i) : long_piece(e, text + start, b->end[i] - start, b->low[i])) < 0)
            return -1;
    }
    return 0;
}

/* Pieces as a pattern cuts them, or without one at the borders of the model, many at a time. */
static int encode_pieces(struct tokenizer_encoder *e, const struct pretok *pretok, const char *text, size_t n)
{
    for (size_t at = 0, k; at < n; at = e->batch.end[k - 1]) {
        k = pretok ? pretok_ends(pretok, text, n, at, e->batch.end, WORDCACHE_BATCH, e->err)
                   : border_ends(e->border, text, n, at, e->batch.end, WORDCACHE_BATCH);
        if (k == PRETOK_ERROR)
            return -1;
        wordcache_keys(&e->cache, &e->batch, text, n, at, k);
        if (encode_batch(e, text, at, k) < 0)
            return -1;
    }
    return 0;
}

static int encode_piece(struct tokenizer_encoder *e, const char *s, size_t n)
{
    e->batch.end[0] = n;
    wordcache_keys(&e->cache, &e->batch, s, n, 0, 1);
    return encode_batch(e, s, 0, 1);
}

/* A piece before the pre-tokenizing step i; first: so many bytes of it stand for the text's first character. */
static int encode_step(struct tokenizer_encoder *e, size_t i, const char *text, size_t n, size_t first)
{
    const struct tokenizer_steps *steps = &e->t->pretokenizer;
    struct level *level = &e->level[i];
    const struct tokenizer_step *s;
    const struct pretok *pretok;
    int rc = 0;

    if (i == steps->n)
        return e->border ? encode_pieces(e, NULL, text, n) : encode_piece(e, text, n);
    s = &steps->v[i];
    if (first > n)
        first = n;
    pretok = i + 1 == steps->n ? tokenizer_step_pretok(s) : NULL;
    if (pretok)
        return encode_pieces(e, pretok, text, n);
    if (s->row->rewrite) {
        level->text.n = 0;
        rc = s->row->rewrite(s->args, text, n, &first, &level->text, e->err);
        if (rc < 0)
            return -1;
        text = rc ? level->text.v : text;
        n = rc ? level->text.n : n;
    }
    if (!s->row->cut)
        return n ? encode_step(e, i + 1, text, n, first) : 0;
    level->spans.n = 0;
    if (n && s->row->cut(s->args, text, n, &level->spans, e->err) < 0)
        return -1;
    for (size_t k = 0; k < level->spans.n; k++) {
        struct tokenizer_span span = level->spans.v[k];

        if (encode_step(e, i + 1, text + span.from, span.to - span.from, first > span.from ? first - span.from : 0) < 0)
            return -1;
    }
    return 0;
}

/* A segment in its normal form without added tokens. */
static int encode_segment(struct tokenizer_encoder *e, const char *text, size_t n)
{
    return encode_step(e, 0, text, n, e->first);
}

/* The character that ends at s + n, or begins there. */
static uint32_t char_before(const char *s, size_t n)
{
    uint32_t cp = 0;
    size_t k = n;

    while (k && ((uint8_t)s[--k] & 0xc0) == 0x80)
        ;
    utf8_decode(s + k, n - k, &cp);
    return cp;
}

static bool is_single_word(const char *text, size_t n, size_t from, size_t to)
{
    uint32_t cp = 0;

    if (from && unicode_hf_is(UNICODE_HF_WORD, char_before(text, from)))
        return false;
    return to == n || !utf8_decode(text + to, n - to, &cp) || !unicode_hf_is(UNICODE_HF_WORD, cp);
}

/* Take the white space around a token as its flags say, but not what comes before `low`. */
static void strip(const struct tokenizer_added *a, const char *text, size_t n, size_t low, size_t *from, size_t *to)
{
    uint32_t cp = 0;

    if (a->lstrip && *from < low)
        *from = low;
    while (a->lstrip && *from > low && unicode_space(char_before(text, *from)))
        do
            --*from;
        while (((uint8_t)text[*from] & 0xc0) == 0x80);
    while (a->rstrip && *to < n) {
        int len = utf8_decode(text + *to, n - *to, &cp);

        if (!len || !unicode_space(cp))
            break;
        *to += (size_t)len;
    }
}

/* Split at the tokens of a set: raw ones in the text, then normal ones in each normalised segment. */
static int encode_split(struct tokenizer_encoder *e, const struct tokenizer_set *set, const char *text, size_t n,
                        int (*rest)(struct tokenizer_encoder *e, const char *text, size_t n))
{
    const struct tokenizer_pattern *p;
    size_t done = 0, at = 0, end;

    size_t first = e->first;

    if (e->special == TOKENIZER_SPECIAL_NONE && !set->plain)
        return rest(e, text, n);
    for (; (p = tokenizer_find(set, text, n, at, &at)) != NULL; at = end) {
        size_t from = at, to = end = at + p->n;

        if (p->token->special && e->special == TOKENIZER_SPECIAL_NONE)
            continue;
        if (p->token->single_word && !is_single_word(text, n, from, to))
            continue;
        if (p->token->special && e->special == TOKENIZER_SPECIAL_ERROR)
            return err_set(e->err, "special token '%.100s' in the text", p->token->content);
        strip(p->token, text, n, done, &from, &to);
        if (from >= to) /* all of it is in the one before */
            continue;
        e->first = done < first ? first - done : 0;
        if (done < from && rest(e, text + done, from - done) < 0)
            return -1;
        mem_grow(&e->out->v, &e->out->cap, e->out->n + 1, sizeof *e->out->v);
        e->out->v[e->out->n++] = p->token->id;
        done = to;
    }
    e->first = done < first ? first - done : 0;
    return done < n ? rest(e, text + done, n - done) : 0;
}

/* A segment without normalised tokens, whose spaces are still spaces (struct tokenizer, bars). */
static int encode_bars(struct tokenizer_encoder *e, const char *text, size_t n)
{
    struct tokenizer_text *room = &e->normal[0];
    int rc;

    room->n = 0;
    tokenizer_put(room, " ", e->t->bar_first);
    tokenizer_put(room, text, n);
    e->bars = true;
    rc = encode_segment(e, room->v, room->n);
    e->bars = false;
    return rc;
}

static int encode_raw(struct tokenizer_encoder *e, const char *text, size_t n)
{
    const struct tokenizer_set *set = &e->t->normal;

    if (e->t->bars && n && (!set->n || (e->special == TOKENIZER_SPECIAL_NONE && !set->plain)))
        return encode_bars(e, text, n);
    if (e->t->normalizer.n && tokenizer_normalise(e->t, text, &n, &e->first, &text, e->normal, e->err) < 0)
        return -1;
    return n ? encode_split(e, &e->t->normal, text, n, encode_segment) : 0;
}

int tokenizer_encode(struct tokenizer_encoder *e, const char *text, size_t n, enum tokenizer_special special,
                     struct tokenizer_ids *out, struct err *err)
{
    size_t valid = e->t->any_bytes ? n : utf8_valid(text, n), before = out->n;
    uint32_t cp;

    if (valid < n)
        return err_set(err, "byte %zu: invalid UTF-8: 0x%02x", valid, (unsigned)(uint8_t)text[valid]);
    e->special = special;
    e->first = n ? (size_t)utf8_decode(text, n, &cp) : 0;
    e->first += n && !e->first; /* a byte that is no UTF-8 */
    e->out = out;
    e->err = err;
    if (encode_split(e, &e->t->raw, text, n, encode_raw) == 0)
        return 0;
    out->n = before;
    return -1;
}
