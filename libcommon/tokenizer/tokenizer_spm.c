/* A SentencePiece .model as a tokenizer: spm.h behind a normalizer step and a model row. */
#include <math.h>
#include <stdlib.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/format/report.h"
#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/tokenizer/tokenizer_load.h"
#include "libcommon/tokenizer/wordcache.h"

#define PARTS 256 /* cut at a time */

struct scratch {
    struct spm_scratch *spm;
    struct wordcache cache; /* before the ids of a part their limit, see spm_limit() */
    struct tokenizer_ids kept;
    /* of one batch */
    size_t end[PARTS];
    uint64_t low[PARTS], high[PARTS], hash[PARTS];
    size_t from; /* where the ids of the text begin */
};

static void release(void *model)
{
    spm_free(model);
}

/* Parts whose ids depend on those before them: Unigram's, and where neighbours can become one unknown piece. */
static bool parts_hang_together(const struct spm_info *info)
{
    return info->model == SPM_UNIGRAM || !info->byte_fallback;
}

static void *scratch_new(const void *model)
{
    struct scratch *s = xcalloc(1, sizeof *s);

    s->spm = spm_scratch_new(model);
    if (parts_hang_together(spm_info(model)))
        wordcache_init(&s->cache);
    return s;
}

static void scratch_free(void *scratch)
{
    struct scratch *s = scratch;

    spm_scratch_free(s->spm);
    wordcache_release(&s->cache);
    free(s->kept.v);
    free(s);
}

static const struct border *border(const void *model)
{
    return parts_hang_together(spm_info(model)) ? NULL : spm_border(model);
}

/* The sum's limit that stands before ids in the cache. */
static float limit_of(const uint32_t *kept)
{
    float limit;

    memcpy(&limit, kept, sizeof limit);
    return limit;
}

/* Ids that the cache knows, where they hold now. */
static bool take_known(const struct spm *m, struct scratch *s, const uint32_t *v, size_t n, struct tokenizer_ids *out)
{
    if (!(fabs(spm_sum(s->spm)) < (double)limit_of(v)))
        return false;
    memcpy(out->v + out->n, v + 1, (n - 1) * sizeof *v);
    out->n += n - 1;
    spm_skip(m, s->spm, v + 1, n - 1);
    return true;
}

/* Append the ids of a part; its limit and they are s->kept. */
static void make(const struct spm *m, struct scratch *s, const char *part, size_t n, struct tokenizer_ids *out)
{
    size_t k = spm_encode(m, s->spm, part, n, out->v + s->from, out->n - s->from) + s->from - out->n;
    float limit = spm_limit(s->spm);

    mem_grow(&s->kept.v, &s->kept.cap, k + 1, sizeof *s->kept.v);
    memcpy(s->kept.v, &limit, sizeof limit);
    memcpy(s->kept.v + 1, out->v + out->n, k * sizeof *s->kept.v);
    s->kept.n = k + 1;
    out->n += k;
}

static void short_part(const struct spm *m, struct scratch *s, const char *part, size_t i, struct tokenizer_ids *out)
{
    uint64_t low = s->low[i], high = s->high[i];
    const struct wordcache_entry *e = wordcache_find(&s->cache, low, high);

    if (e && take_known(m, s, wordcache_ids(&s->cache, e), e->n, out)) {
        wordcache_settle(&s->cache, e);
        return;
    }
    make(m, s, part, (size_t)(high >> 56), out);
    if (!e && limit_of(s->kept.v) > 0)
        wordcache_add(&s->cache, low, high, s->kept.v, s->kept.n);
}

static void long_part(const struct spm *m, struct scratch *s, const char *part, size_t n, struct tokenizer_ids *out)
{
    const uint32_t *ids = NULL;
    uint64_t hash = 0;
    size_t k;

    if (n <= WORDCACHE_LONGEST) {
        hash = hash_bytes(part, n, 0);
        ids = wordcache_find_long(&s->cache, part, n, hash, &k);
        if (ids && take_known(m, s, ids, k, out))
            return;
    }
    make(m, s, part, n, out);
    if (!ids && n <= WORDCACHE_LONGEST && limit_of(s->kept.v) > 0)
        wordcache_add_long(&s->cache, part, n, hash, s->kept.v, s->kept.n);
}

/* Keys of the k parts that begin at `at`; 0 for a long one. */
static void make_keys(struct scratch *s, const char *text, size_t n, size_t at, size_t k)
{
    for (size_t i = 0; i < k; at = s->end[i++]) {
        s->low[i] = s->high[i] = 0;
        if (s->end[i] - at <= WORDCACHE_SHORT)
            wordcache_key(text + at, s->end[i] - at, n - at, &s->low[i], &s->high[i]);
        s->hash[i] = wordcache_hash(s->low[i], s->high[i]);
        __builtin_prefetch(&s->cache.entry[s->hash[i] >> s->cache.shift]);
    }
}

/* Parts [i, k) as long as they stand at their first place in the cache with at most two ids, and hold. */
static size_t take_hits(const struct spm *m, struct scratch *s, size_t i, size_t k, struct tokenizer_ids *out)
{
    for (; i < k; i++) {
        const struct wordcache_entry *e = &s->cache.entry[s->hash[i] >> s->cache.shift];

        if (e->low != s->low[i] || e->high != s->high[i] || e->n - 1 >= 3 ||
            !(fabs(spm_sum(s->spm)) < (double)limit_of(e->id)))
            break;
        memcpy(out->v + out->n, e->id + 1, 2 * sizeof *e->id); /* of which n - 1 count */
        out->n += e->n - 1;
        spm_skip(m, s->spm, e->id + 1, e->n - 1);
    }
    return i;
}

/* A text whose parts hang together. */
static void encode_text(const struct spm *m, struct scratch *s, const char *text, size_t n, struct tokenizer_ids *out)
{
    const struct border *b = spm_border(m);

    spm_begin(s->spm);
    s->from = out->n;
    for (size_t at = 0, k; at < n; at = s->end[k - 1]) {
        s->end[0] = n;
        k = b ? border_ends(b, text, n, at, s->end, PARTS) : 1;
        mem_grow(&out->v, &out->cap, out->n + 3 * (s->end[k - 1] - at) + 2, sizeof *out->v);
        make_keys(s, text, n, at, k);
        for (size_t i = 0; i < k; i++) {
            size_t start;

            i = take_hits(m, s, i, k, out);
            if (i == k)
                break;
            start = i ? s->end[i - 1] : at;
            if (s->high[i])
                short_part(m, s, text + start, i, out);
            else
                long_part(m, s, text + start, s->end[i] - start, out);
        }
    }
}

static int encode(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    const struct spm *m = model;
    struct scratch *w = scratch;

    if (n > UINT32_MAX / 3)
        return err_set(err, "a text of %zu bytes", n);
    if (parts_hang_together(spm_info(m))) {
        encode_text(m, w, s, n, out);
        return 0;
    }
    mem_grow(&out->v, &out->cap, out->n + 3 * n, sizeof *out->v);
    out->n += spm_encode(m, w->spm, s, n, out->v + out->n, 0);
    return 0;
}

static uint32_t id_of(const void *model, const char *s, size_t n)
{
    return spm_id(model, s, n);
}

static const char *token(const void *model, uint32_t id, size_t *n, bool *bytes)
{
    *bytes = true;
    return spm_bytes(model, id, n);
}

static void report(const void *model, struct report *r)
{
    const struct spm_info *info = spm_info(model);
    static const char *const names[] = { [SPM_UNIGRAM] = "unigram", [SPM_BPE] = "BPE", [SPM_WORD] = "word", [SPM_CHAR] = "char" };

    report_string(r, "model", names[info->model]);
    report_string(r, "normalizer", info->normalizer);
}

static void decode(const void *model, const uint32_t *ids, size_t n, struct tokenizer_text *out)
{
    char *text = NULL;
    size_t cap = 0, len = spm_decode(model, ids, n, &text, &cap);

    tokenizer_put(out, text ? text : "", len);
    free(text);
}

static const struct tokenizer_model_row row = {
    .type = "SentencePiece",
    .description = "SentencePiece",
    .release = release,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .border = border,
    .encode = encode,
    .id = id_of,
    .token = token,
    .report = report,
    .decode = decode,
};

static int normalise(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)first;
    (void)err;
    out->n = spm_normalise(args, text, n, &out->v, &out->cap);
    return 1;
}

/* The same without the space in front of what is not the beginning of the text. */
static int normalise_first(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    normalise(args, text, n, first, out, err);
    if (!*first && out->n)
        memmove(out->v, out->v + 1, --out->n);
    return 1;
}

static const struct tokenizer_step_row normalizer = { .type = "SentencePiece", .rewrite = normalise };
static const struct tokenizer_step_row normalizer_first = { .type = "SentencePiece", .rewrite = normalise_first };

/* How segments between special tokens begin: each as a text does (the default), or with "legacy":false none but the
 * first.  Where spaces are squeezed too that is another rule: the default here. */
static const struct tokenizer_step_row *normalizer_of(const struct spm_info *info, const struct json_value *config)
{
    const struct json_value *legacy = json_get(config, "legacy");

    return legacy && legacy->type == JSON_FALSE && info->dummy_prefix && !info->squeeze && !info->suffix ? &normalizer_first
                                                                                                        : &normalizer;
}

/* Unknown and control pieces as added tokens, as the classes of transformers have them: found in a text only where they
 * are looked for. */
static void put_special(const struct spm *m, struct tokenizer_text *json)
{
    enum spm_type type;
    size_t n;

    tokenizer_puts(json, "[");
    for (uint32_t id = 0; id < spm_info(m)->n_pieces; id++) {
        const char *s = spm_piece(m, id, &n, &type);

        if (type != SPM_UNKNOWN && type != SPM_CONTROL)
            continue;
        tokenizer_puts(json, json->n > 1 ? ",{\"special\":true,\"content\":" : "{\"special\":true,\"content\":");
        tokenizer_put_quoted(json, s, n);
        tokenizer_puts(json, "}");
    }
    tokenizer_puts(json, "]");
}

static bool says(const struct json_value *config, const char *key)
{
    const struct json_value *v = json_get(config, key);

    return v && (v->type == JSON_TRUE || v->type == JSON_FALSE);
}

/* Where tokenizer_config.json does not tell: as LlamaTokenizer a text begins with BOS, as T5Tokenizer it ends with EOS. */
static void put_around(struct tokenizer *t, const struct spm_info *info, const struct json_value *config)
{
    if (info->model == SPM_BPE && info->bos != SPM_NONE && !says(config, "add_bos_token")) {
        t->info.prefix = &t->info.bos;
        t->info.n_prefix = 1;
    }
    if (info->model == SPM_UNIGRAM && info->eos != SPM_NONE && !says(config, "add_eos_token")) {
        t->info.suffix = &t->info.eos;
        t->info.n_suffix = 1;
    }
}

int tokenizer_load_spm(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    struct tokenizer_loader l = { .t = t, .source = s, .name = s->name, .err = err };
    struct spm *m = spm_parse(s->data, s->n, err);
    const struct json_value *settings = NULL, *list;
    struct tokenizer_text json = { 0 };
    int rc;

    if (!m)
        return err_prefix(err, "%s", s->name);
    t->model = &row;
    t->model_data = m;
    t->any_bytes = true;
    t->n_tokens = t->n_ids = t->info.vocab_size = spm_info(m)->n_pieces;
    t->info.bos = spm_info(m)->bos;
    t->info.eos = spm_info(m)->eos;
    t->info.pad = spm_info(m)->pad;
    arena_init(&l.scratch);
    if (s->config)
        settings = json_tree(&l.scratch, s->config, s->config_n, "tokenizer_config.json", err);
    tokenizer_add_step(&t->normalizer, normalizer_of(spm_info(m), settings), m);
    put_special(m, &json);
    list = json_tree(&l.scratch, json.v, json.n, s->name, err);
    rc = !list || (s->config && !settings) ? err_prefix(err, "%s", s->name) : tokenizer_load_added(&l, list, settings);
    if (rc == 0)
        rc = tokenizer_make_sets(t, err) < 0 ? err_prefix(err, "%s: added_tokens_decoder", s->name) : 0;
    if (rc == 0) {
        put_around(t, spm_info(m), settings);
        tokenizer_load_config(&l, settings);
    }
    arena_release(&l.scratch);
    free(json.v);
    return rc;
}
