/* Steps of tokenizer.json and their traps, as HF tokenizers takes them: tests/golden/tok/steps.jsonl, written by
 * tests/golden/make_steps.py. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/format/json.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "tests/tap.h"

static const char *source_dir(void)
{
    const char *s = getenv("SRC");

    return s ? s : ".";
}

static void put_json(struct tokenizer_text *out, const char *s, size_t n)
{
    mem_grow(&out->v, &out->cap, out->n + n + 1, 1);
    memcpy(out->v + out->n, s, n);
    out->n += n;
}

static void put_quoted(struct tokenizer_text *out, const char *s, size_t n)
{
    mem_grow(&out->v, &out->cap, out->n + json_quote(s, n, NULL) + 1, 1);
    out->n += json_quote(s, n, out->v + out->n);
}

/* The tree as JSON again. */
static void put_value(struct tokenizer_text *out, const struct json_value *v)
{
    bool object = v->type == JSON_OBJECT;
    const char *word = v->type == JSON_TRUE ? "true" : v->type == JSON_FALSE ? "false" : "null";

    if (v->type == JSON_STRING) {
        put_quoted(out, v->str, v->len);
    } else if (v->type == JSON_NUMBER) {
        put_json(out, v->str, v->len);
    } else if (!object && v->type != JSON_ARRAY) {
        put_json(out, word, strlen(word));
    } else {
        put_json(out, object ? "{" : "[", 1);
        for (const struct json_value *c = v->child; c; c = c->next) {
            if (object) {
                put_quoted(out, c->key, c->key_len);
                put_json(out, ":", 1);
            }
            put_value(out, c);
            if (c->next)
                put_json(out, ",", 1);
        }
        put_json(out, object ? "}" : "]", 1);
    }
}

static bool same_ids(const struct tokenizer_ids *ids, const struct json_value *want)
{
    const struct json_value *v = want->child;

    for (size_t i = 0; i < ids->n; i++, v = v->next)
        if (!v || v->num != (double)ids->v[i])
            return false;
    return !v;
}

/* With U+FFFD for bytes that are no character. */
static bool same_text(const struct tokenizer *t, const struct json_value *ids, bool skip, const struct json_value *want)
{
    struct tokenizer_text text = { 0 };
    struct tokenizer_ids kept = { 0 };
    bool ill = false, same;
    char *repaired;
    size_t n;

    for (ids = ids->child; ids; ids = ids->next)
        if (!skip || !tokenizer_is_special(t, (uint32_t)ids->num)) {
            mem_grow(&kept.v, &kept.cap, kept.n + 1, sizeof *kept.v);
            kept.v[kept.n++] = (uint32_t)ids->num;
        }
    tokenizer_decode(t, kept.v, kept.n, &text, &ill);
    repaired = xmalloc(3 * text.n + 1);
    n = text.n ? utf8_repair(text.v, text.n, repaired) : 0;
    same = n == want->len && memcmp(repaired, want->str, n) == 0;
    if (!same)
        printf("# text '%.*s', wanted '%s'\n", (int)n, repaired, want->str);
    free(repaired);
    free(kept.v);
    free(text.v);
    return same;
}

static bool check_text(const struct tokenizer *t, struct tokenizer_encoder *e, const struct json_value *line, int i)
{
    static const char *const keys[] = { "none", "parse" };
    const struct json_value *text = json_at(json_get(line, "texts"), i);
    struct tokenizer_ids ids = { 0 };
    struct err err = { "" };
    bool good = true;

    for (int k = 0; k < 2; k++) {
        const struct json_value *want = json_at(json_get(line, keys[k]), i);

        for (int again = 0; again < 2; again++) { /* made, then from the cache */
            ids.n = 0;
            if (tokenizer_encode(e, text->str, text->len, (enum tokenizer_special)k, &ids, &err) < 0 || !same_ids(&ids, want)) {
                printf("# --special %s: text %d: '%s' %s\n", keys[k], i, text->str, err.msg);
                good = false;
            }
        }
    }
    free(ids.v);
    good &= same_text(t, json_at(json_get(line, "parse"), i), false, json_at(json_get(line, "text"), i));
    return good & same_text(t, json_at(json_get(line, "parse"), i), true, json_at(json_get(line, "skipped"), i));
}

/* What stands around the first text. */
static bool check_around(const struct tokenizer *t, const struct json_value *line)
{
    const struct tokenizer_info *info = tokenizer_info(t);
    const struct json_value *v = json_get(line, "around")->child, *inner = json_at(json_get(line, "parse"), 0)->child;

    for (int i = 0; i < info->n_prefix; i++, v = v->next)
        if (!v || v->num != (double)info->prefix[i])
            return false;
    for (; inner; inner = inner->next, v = v->next)
        if (!v || v->num != inner->num)
            return false;
    for (int i = 0; i < info->n_suffix; i++, v = v->next)
        if (!v || v->num != (double)info->suffix[i])
            return false;
    return !v;
}

static void check_line(const struct json_value *line)
{
    struct tokenizer_text file = { 0 };
    const char *name = json_get(line, "name")->str;
    struct tokenizer_encoder *e;
    struct tokenizer *t;
    struct err err = { "" };
    bool good;

    put_value(&file, json_get(line, "file"));
    t = tokenizer_parse(file.v, file.n, NULL, 0, name, &err);
    free(file.v);
    OKF(t != NULL, "%s", err.msg);
    if (!t)
        return;
    e = tokenizer_encoder_new(t);
    good = check_around(t, line);
    for (int i = 0; i < json_get(line, "texts")->n; i++)
        good &= check_text(t, e, line, i);
    OKF(good, "%s", name);
    tokenizer_encoder_free(e);
    tokenizer_free(t);
}

static void test_steps(void)
{
    struct io_map m = { 0 };
    struct arena a;
    struct err err;
    char path[4096];

    arena_init(&a);
    snprintf(path, sizeof path, "%s/tests/golden/tok/steps.jsonl", source_dir());
    if (io_map(&m, path, &err) < 0)
        die("%s", err.msg);
    for (const char *p = (const char *)m.data, *end = p + m.size, *eol; p < end; p = eol + 1) {
        const struct json_value *line;

        eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol : end;
        arena_reset(&a);
        line = json_tree(&a, p, (size_t)(eol - p), path, &err);
        if (!line)
            die("%s", err.msg);
        check_line(line);
    }
    arena_release(&a);
    io_unmap(&m);
}

int main(void)
{
    test_steps();
    return tap_done();
}
