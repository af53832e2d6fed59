/* Byte-level BPE of tokenizer.json: bpe.h behind a model row. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/report.h"
#include "libcommon/text/bpe.h"
#include "libcommon/text/tokenizer_in.h"

enum { VOCAB, MERGES, MODEL_PARTS };

static struct bpe *bpe(const struct tokenizer_loader *l)
{
    return l->t->model_data;
}

/* The model's settings: which values are supported, and which one is kept. */
static int model_setting(struct tokenizer_loader *l, struct json *j)
{
    enum { ANY = 1, NOTHING = 2, FALSE = 4, TRUE = 8, BPE = 16, ZERO = 32, EMPTY = 64 };
    static const struct {
        const char *key;
        int values;
    } rows[] = {
        { "type", BPE },
        { "dropout", NOTHING | ZERO },
        { "unk_token", ANY }, /* a byte without a token is an error of ours */
        { "continuing_subword_prefix", NOTHING | EMPTY },
        { "end_of_word_suffix", NOTHING | EMPTY },
        { "fuse_unk", ANY },
        { "byte_fallback", NOTHING | FALSE },
        { "ignore_merges", NOTHING | FALSE | TRUE },
    };
    const char *start = j->p;
    enum json_type type;
    int value = 0, allowed = 0;
    const char *key = "a setting";

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_is(&j->raw, rows[i].key)) {
            key = rows[i].key;
            allowed = rows[i].values;
        }
    if (!allowed || (allowed & ANY))
        return json_skip(j);
    type = json_next(j);
    if (type == JSON_ERROR)
        return -1;
    while (strchr(" \t\r\n", *start)) /* the value follows */
        start++;
    if (type == JSON_NULL || type == JSON_FALSE || type == JSON_TRUE)
        value = type == JSON_NULL ? NOTHING : type == JSON_FALSE ? FALSE : TRUE;
    else if (type == JSON_NUMBER)
        value = json_double(&j->raw) == 0 ? ZERO : 0; /* NOLINT: zero is exact */
    else if (type == JSON_STRING)
        value = json_is(&j->raw, "BPE") ? BPE : j->raw.n ? 0 : EMPTY;
    if (!(value & allowed))
        return err_set(l->err, "%s: model: %s: %.*s is not supported", l->name, key,
                       (int)(j->p - start < 100 ? j->p - start : 100), start);
    if (strcmp(key, "ignore_merges") == 0)
        bpe(l)->whole = value == TRUE;
    return 0;
}

static int load_vocab(struct tokenizer_loader *l, const struct tokenizer_part *p)
{
    struct json j;
    int64_t id;

    if (!p->s)
        return err_set(l->err, "%s: model: there is no vocab", l->name);
    json_init(&j, p->s, p->n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(l->err, "%s: model: vocab is not an object", l->name);
    while (json_next(&j) == JSON_KEY) {
        size_t n;
        const char *s = tokenizer_string(l, &j, 0, &n);

        if (json_next(&j) != JSON_NUMBER || !json_int64(&j.raw, &id) || id < 0)
            return err_set(l->err, "%s: vocab: '%.*s' has no id", l->name, (int)(n < 100 ? n : 100), s);
        if (bpe_add(bpe(l), s, n, (uint64_t)id, l->err) < 0)
            return err_prefix(l->err, "%s: vocab", l->name);
    }
    return bpe_index(bpe(l), l->err) < 0 ? err_prefix(l->err, "%s: vocab", l->name) : 0;
}

/* One merge, "left right" or ["left", "right"], of which the first event was t. */
static int load_merge(struct tokenizer_loader *l, struct json *j, enum json_type t)
{
    const char *left = NULL, *right = NULL;
    size_t left_n = 0, right_n = 0;

    if (t == JSON_STRING) {
        left = tokenizer_string(l, j, 0, &left_n);
        if (left_n >= 8 && memcmp(left, "#version", 8) == 0)
            return 0;
        right = memchr(left, ' ', left_n);
        if (right) {
            right_n = left_n - (size_t)(++right - left);
            left_n -= right_n + 1;
        }
        if (!right || memchr(right, ' ', right_n))
            return err_set(l->err, "merge %zu: not two strings with a space between", bpe(l)->merges.n);
    } else if (t == JSON_ARRAY) {
        if (json_next(j) == JSON_STRING)
            left = tokenizer_string(l, j, 0, &left_n);
        if (left && json_next(j) == JSON_STRING)
            right = tokenizer_string(l, j, 1, &right_n);
        if (!right || json_next(j) != JSON_ARRAY_END)
            return err_set(l->err, "merge %zu: not two strings", bpe(l)->merges.n);
    } else {
        return err_set(l->err, "merge %zu: not two strings", bpe(l)->merges.n);
    }
    return bpe_add_merge(bpe(l), left, left_n, right, right_n, l->err);
}

static int parse(struct tokenizer_loader *l, const char *json, size_t n)
{
    struct tokenizer_part part[MODEL_PARTS] = { [VOCAB] = { .name = "vocab" }, [MERGES] = { .name = "merges" } };
    enum json_type t;
    struct json j;

    if (!tokenizer_byte_level(l->t))
        return 1;
    l->t->model_data = xcalloc(1, sizeof(struct bpe));
    if (tokenizer_split(l, json, n, part, MODEL_PARTS, model_setting) < 0 || load_vocab(l, &part[VOCAB]) < 0)
        return -1;
    if (!part[MERGES].s)
        return err_set(l->err, "%s: model: there are no merges", l->name);
    json_init(&j, part[MERGES].s, part[MERGES].n);
    if (json_next(&j) != JSON_ARRAY)
        return err_set(l->err, "%s: model: merges are not an array", l->name);
    while ((t = json_next(&j)) != JSON_ARRAY_END)
        if (load_merge(l, &j, t) < 0)
            return err_prefix(l->err, "%s: model", l->name);
    bpe_finish(bpe(l));
    l->t->n_tokens = bpe(l)->n;
    l->t->n_ids = bpe(l)->n_ids;
    return 0;
}


static void release(void *model)
{
    if (model)
        bpe_release(model);
    free(model);
}

static void *scratch_new(const void *model)
{
    (void)model;
    return xcalloc(1, sizeof(struct bpe_scratch));
}

static void scratch_free(void *scratch)
{
    bpe_scratch_release(scratch);
    free(scratch);
}

static int encode(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    uint8_t missing;
    size_t k;

    if (n > UINT32_MAX - 1)
        return err_set(err, "a word of %zu bytes", n);
    mem_grow(&out->v, &out->cap, out->n + n, sizeof *out->v);
    k = bpe_encode(model, scratch, s, n, out->v + out->n, &missing);
    if (!k)
        return err_set(err, "the vocabulary has no token for the byte 0x%02x", (unsigned)missing);
    out->n += k;
    return 0;
}

static uint32_t id_of(const void *model, const char *s, size_t n)
{
    return bpe_id(model, s, n);
}

static const char *token(const void *model, uint32_t id, size_t *n, bool *bytes)
{
    const struct bpe *b = model;
    const struct bpe_token *t = bpe_token(b, id);

    if (!t)
        return NULL;
    *n = t->len;
    *bytes = !t->plain;
    return b->bytes + t->at;
}

static void report(const void *model, struct report *r)
{
    report_number(r, "merges", ((const struct bpe *)model)->merges.n);
}

const struct tokenizer_model_row tokenizer_byte_bpe = {
    .type = "BPE",
    .description = "byte-level BPE",
    .takes_bytes = true,
    .parse = parse,
    .release = release,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .encode = encode,
    .id = id_of,
    .token = token,
    .report = report,
};
