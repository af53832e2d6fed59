#include <stdlib.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/format/gguf.h"
#include "libcommon/format/json.h"
#include "libcommon/format/report.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer_load.h"

static void put_ids(struct report *r, const char *key, const uint32_t *v, int n)
{
    for (int i = 0; i < n; i++)
        if (v[i] != TOKENIZER_NONE) {
            const char *s = report_printf(r, "%u", v[i]);

            report_json(r, key, s, strlen(s));
        }
}

/* An argument: "key value"; of long ones, and of objects and lists, nothing but the key. */
static void put_argument(const struct json_value *v, const char *before, struct tokenizer_text *out)
{
    bool plain = v->type == JSON_STRING || v->type == JSON_NUMBER;
    const char *value = v->type == JSON_TRUE ? "true" : v->type == JSON_FALSE ? "false" : v->type == JSON_NULL ? "null" : "...";

    tokenizer_put(out, before, strlen(before));
    tokenizer_put(out, v->key, v->key_len);
    tokenizer_put(out, " ", 1);
    if (v->type == JSON_OBJECT && v->n == 1 && v->child->type == JSON_STRING)
        put_argument(v->child, "", out);
    else if (plain && v->len <= 400)
        tokenizer_put(out, v->str, v->len);
    else
        tokenizer_put(out, value, strlen(value));
}

void tokenizer_describe(const struct json_value *v, struct tokenizer_text *out)
{
    const char *type = tokenizer_type(v), *before = " (";

    if (out->n)
        tokenizer_put(out, "; ", 2);
    tokenizer_put(out, type, strlen(type));
    for (v = v->type == JSON_OBJECT ? v->child : NULL; v; v = v->next)
        if (strcmp(v->key, "type") != 0) {
            put_argument(v, before, out);
            before = ", ";
        }
    tokenizer_put(out, ")", *before == ',');
}

static void put_lists(struct report *r, const struct tokenizer *t)
{
    static const char *const names[] = { "normalizer", "pre_tokenizer", "post_processor", "decoder" };

    for (int i = 0; i < 4; i++)
        if (t->described[i].n)
            report_string(r, names[i], report_printf(r, "%.*s", (int)(t->described[i].n < 4096 ? t->described[i].n : 4096), t->described[i].v));
}

static void put(struct report *r, const struct tokenizer *t)
{
    const struct tokenizer_info *info = &t->info;

    report_string(r, "tokenizer", t->model->description);
    report_number(r, "vocab_size", info->vocab_size);
    if (t->model->report)
        t->model->report(t->model_data, r);
    report_number(r, "added_tokens", t->n_added);
    put_lists(r, t);
    for (size_t i = 0; i < t->pretokenizer.n; i++) {
        const struct pretok *p = tokenizer_step_pretok(&t->pretokenizer.v[i]);

        if (tokenizer_step_is_regex(&t->pretokenizer.v[i]))
            report_string(r, "scanner", "regular expression");
        if (!p)
            continue;
        report_string(r, "pattern", pretok_pattern(p));
        report_string(r, "scanner", pretok_name(p) ? pretok_name(p) : "regular expression");
    }
    put_ids(r, "bos", &info->bos, 1);
    put_ids(r, "eos", &info->eos, 1);
    put_ids(r, "pad", &info->pad, 1);
    put_ids(r, "prefix", info->prefix, info->n_prefix);
    put_ids(r, "suffix", info->suffix, info->n_suffix);
    report_string(r, "fingerprint", report_hex(r, info->fingerprint, sizeof info->fingerprint));
}

bool tokenizer_is(const void *data, size_t n, const char *path)
{
    struct tokenizer_source s = { .name = path, .data = data, .n = n };

    return tokenizer_format_of(&s) && !tokenizer_is_json(&s);
}

/* Is it JSON, where it is no other kind of file? */
static int check(const void *data, size_t n, const char *name, struct err *err)
{
    struct json j;

    if (tokenizer_is(data, n, name))
        return 0;
    json_init(&j, data, n);
    return json_skip(&j) < 0 || json_next(&j) == JSON_ERROR ? json_error(&j, name, err) : 0;
}

/* What a GGUF file says, and whether there is a tokenizer in it; -1. */
static int put_gguf(const void *data, size_t n, const char *name, struct report *r, struct err *err)
{
    struct gguf g;
    int rc = gguf_parse(&g, data, n, name, err);

    if (rc < 0)
        return -1;
    gguf_report(&g, r);
    rc = gguf_get(&g, "tokenizer.ggml.tokens") != NULL;
    gguf_release(&g);
    return rc;
}

int tokenizer_report(const void *data, size_t n, const char *path, struct report *r, struct err *err)
{
    char *file = tokenizer_file(path, err);
    struct io_map m = { 0 };
    struct tokenizer *t;
    struct err why;
    int rc = !file ? -1 : data ? 0 : io_map(&m, file, err);

    if (rc == 0)
        rc = check(data ? data : m.data, data ? n : m.size, file, err);
    io_unmap(&m);
    free(file);
    if (rc == 0 && data && gguf_is(data, n)) {
        rc = put_gguf(data, n, path, r, err);
        if (rc == 0)
            return 0;
    }
    if (rc < 0)
        return -1;
    t = strcmp(path, "-") == 0 ? tokenizer_parse(data, n, NULL, 0, path, &why) : tokenizer_open(path, &why);
    if (t)
        put(r, t);
    else
        report_string(r, "tokenizer", report_printf(r, "not one that lmtokenize takes: %s", why.msg));
    tokenizer_free(t);
    return 0;
}
