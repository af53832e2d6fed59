/* Pre-tokenizing steps: how a text is cut into the pieces that the model takes. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/text/pretok.h"
#include "libcommon/text/tokenizer_in.h"

enum { ENDS = 256 };

static void add_span(struct tokenizer_spans *out, size_t from, size_t to)
{
    if (from == to)
        return;
    mem_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v);
    out->v[out->n++] = (struct tokenizer_span){ from, to };
}

static int cut_pretok(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    size_t end[ENDS];

    for (size_t at = 0; at < n;) {
        size_t k = pretok_ends(args, text, n, at, end, ENDS, err);

        if (k == PRETOK_ERROR)
            return -1;
        for (size_t i = 0; i < k; at = end[i++])
            add_span(out, at, end[i]);
    }
    return 0;
}

static void release_pretok(void *args)
{
    pretok_free(args);
}

/* Split by a pattern, every match and what is between them a piece. */
static const struct tokenizer_step_row isolated = { .type = "Split", .cut = cut_pretok, .release = release_pretok };

static int add_pretok(struct tokenizer_loader *l, struct tokenizer_steps *list, const char *pattern, size_t n)
{
    struct pretok *p = pretok_open(pattern, n, l->err);

    if (!p)
        return err_prefix(l->err, "%s: pre_tokenizer", l->name);
    tokenizer_add_step(list, &isolated, p);
    return 0;
}

static bool is_string(const struct json_value *v, const char *s)
{
    return v && v->type == JSON_STRING && strlen(s) == v->len && memcmp(v->str, s, v->len) == 0;
}

static int parse_split(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const struct json_value *regex = json_get(json_get(v, "pattern"), "Regex");

    if (!regex || regex->type != JSON_STRING)
        return err_set(l->err, "%s: pre_tokenizer: a Split whose pattern is no Regex is not supported", l->name);
    if (!is_string(json_get(v, "behavior"), "Isolated"))
        return err_set(l->err, "%s: pre_tokenizer: a Split whose behavior is not Isolated is not supported", l->name);
    return add_pretok(l, list, regex->str, regex->len);
}

/* Bytes to the characters that spell them. */
static int spell(const void *args, const char *text, size_t n, bool first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)first;
    (void)err;
    tokenizer_spell(text, n, out);
    return 1;
}

static const struct tokenizer_step_row mapping = { .type = "ByteLevel", .rewrite = spell };

static int parse_byte_level(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    bool by_regex, prefix;

    if (json_get_bool(v, "add_prefix_space", true, &prefix, l->name, l->err) < 0 ||
        json_get_bool(v, "use_regex", true, &by_regex, l->name, l->err) < 0)
        return -1;
    if (prefix)
        return err_set(l->err, "%s: pre_tokenizer: ByteLevel with add_prefix_space is not supported", l->name);
    if (by_regex && add_pretok(l, list, "gpt2", 4) < 0)
        return -1;
    tokenizer_add_step(list, &mapping, NULL);
    return 0;
}

const struct tokenizer_step_row tokenizer_pretokenizers[] = {
    { .type = "Split", .parse = parse_split },
    { .type = "ByteLevel", .parse = parse_byte_level },
};
const int tokenizer_n_pretokenizers = sizeof tokenizer_pretokenizers / sizeof *tokenizer_pretokenizers;

const struct pretok *tokenizer_step_pretok(const struct tokenizer_step *s)
{
    return s->row == &isolated ? s->args : NULL;
}

bool tokenizer_byte_level(const struct tokenizer *t)
{
    bool mapped = false;

    for (size_t i = 0; i < t->pretokenizer.n; i++) {
        const struct tokenizer_step_row *row = t->pretokenizer.v[i].row;

        if (row == &mapping)
            mapped = true;
        else if (mapped && row->rewrite)
            return false;
    }
    return mapped;
}

void tokenizer_drop_mapping(struct tokenizer *t)
{
    struct tokenizer_steps *list = &t->pretokenizer;

    t->spelled = !list->n || list->v[list->n - 1].row != &mapping;
    if (!t->spelled)
        list->n--;
}
