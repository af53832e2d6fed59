/* A SentencePiece .model as a tokenizer: spm.h behind a normalizer step and a model row. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/format/report.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/tokenizer/tokenizer_cache.h"
#include "libcommon/tokenizer/tokenizer_family.h"
#include "libcommon/tokenizer/tokenizer_load.h"

#define EXTRA_MOST 65536

static void release(void *model)
{
    spm_free(model);
}

static void image(void **model, struct image *i)
{
    struct spm *m = *model;

    spm_image(&m, i);
    *model = m;
}

static void *scratch_new(const void *model)
{
    return spm_scratch_new(model);
}

static void scratch_free(void *scratch)
{
    spm_scratch_free(scratch);
}

static const struct border *border(const void *model)
{
    return spm_border(model);
}

static int encode(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    if (n > UINT32_MAX / 3)
        return err_set(err, "a text of %zu bytes", n);
    spm_encode(model, scratch, s, n, &out->v, &out->n, &out->cap);
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

static bool is_added(const void *model, uint32_t id)
{
    enum spm_type type;
    size_t n;

    return spm_piece(model, id, &n, &type) && type == SPM_USER_DEFINED;
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
    .image = image,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .border = border,
    .encode = encode,
    .id = id_of,
    .token = token,
    .is_added = is_added,
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

static void begin_member(struct tokenizer_text *json)
{
    if (json->n > 1)
        tokenizer_puts(json, ",");
}

/* Unknown and control pieces as members of a list of added tokens, as the classes of transformers have them: found in a text only
 * where they are looked for. */
static void put_special(const struct spm *m, struct tokenizer_text *json)
{
    enum spm_type type;
    size_t n;

    for (uint32_t id = 0; id < spm_info(m)->n_pieces; id++) {
        const char *s = spm_piece(m, id, &n, &type);

        if (type != SPM_UNKNOWN && type != SPM_CONTROL)
            continue;
        begin_member(json);
        tokenizer_puts(json, "{\"special\":true,\"content\":");
        tokenizer_put_quoted(json, s, n);
        tokenizer_puts(json, "}");
    }
}

/* The sentinels that T5Tokenizer has behind the pieces, <extra_id_0> last; the file knows nothing of them. */
static int put_extra(const struct tokenizer_loader *l, const struct json_value *config, struct tokenizer_text *json)
{
    const struct json_value *class = json_get(config, "tokenizer_class");
    char text[128];
    int64_t n;

    if (!class || class->type != JSON_STRING || !tokenizer_has_word("T5Tokenizer T5TokenizerFast", class->str, class->len) ||
        json_get(config, "added_tokens_decoder"))
        return 0;
    if (json_get_int(config, "extra_ids", 100, &n, "tokenizer_config.json", l->err) < 0)
        return err_prefix(l->err, "%s", l->name);
    if (n < 0 || n > EXTRA_MOST)
        return err_set(l->err, "%s: tokenizer_config.json: extra_ids is %lld, not within 0..%d", l->name, (long long)n, EXTRA_MOST);
    while (n--) {
        begin_member(json);
        snprintf(text, sizeof text, "{\"special\":true,\"lstrip\":true,\"rstrip\":true,\"content\":\"<extra_id_%d>\"}", (int)n);
        tokenizer_puts(json, text);
    }
    return 0;
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

/* The model from the file, or from the cache. */
static struct spm *load_model(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    if (s->cache && s->cache->found)
        return tokenizer_cache_take(s->cache, t, &row) < 0 ? NULL : t->model_data;
    t->model = &row;
    t->model_data = spm_parse(s->data, s->n, err);
    t->n_tokens = t->n_ids = t->model_data ? spm_info(t->model_data)->n_pieces : 0;
    return t->model_data;
}

int tokenizer_load_spm(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    struct tokenizer_loader l = { .t = t, .source = s, .name = s->name, .err = err };
    struct spm *m = load_model(t, s, err);
    const struct json_value *settings = NULL, *list;
    struct tokenizer_text json = { 0 };
    int rc;

    if (!m)
        return err_prefix(err, "%s", s->name);
    t->any_bytes = true;
    t->info.vocab_size = spm_info(m)->n_pieces;
    t->info.bos = spm_info(m)->bos;
    t->info.eos = spm_info(m)->eos;
    t->info.pad = spm_info(m)->pad;
    arena_init(&l.scratch);
    rc = tokenizer_config_tree(s, &l.scratch, &settings, err);
    if (rc == 0) {
        tokenizer_add_step(&t->normalizer, normalizer_of(spm_info(m), settings), m);
        tokenizer_puts(&json, "[");
        put_special(m, &json);
        rc = put_extra(&l, settings, &json);
        tokenizer_puts(&json, "]");
    }
    if (rc == 0) {
        list = json_tree(&l.scratch, json.v, json.n, s->name, err);
        rc = list ? tokenizer_load_added(&l, list, settings) : -1;
    }
    if (rc == 0)
        rc = tokenizer_make_sets(t, settings != NULL, err) < 0 ? err_prefix(err, "%s: added_tokens_decoder", s->name) : 0;
    if (rc == 0) {
        put_around(t, spm_info(m), settings);
        tokenizer_load_config(&l, settings);
        if (s->cache && !s->cache->found)
            tokenizer_cache_keep(s->cache, t, s, NULL, 0);
    }
    arena_release(&l.scratch);
    free(json.v);
    return rc;
}
