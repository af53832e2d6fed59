/* Post-processors: what stands around a text. */
#include <string.h>

#include "libcommon/tokenizer/tokenizer_load.h"

static bool is_a(const struct json_value *v)
{
    return v && v->type == JSON_STRING && v->len == 1 && *v->str == 'A';
}

/* An id of the vocabulary. */
static bool take_id(const struct tokenizer_loader *l, const struct json_value *v, uint32_t *id)
{
    int64_t n;

    if (!v || v->type != JSON_NUMBER || !json_int64(&(struct json_raw){ v->str, v->len, false }, &n) || n < 0 ||
        n >= l->t->info.vocab_size)
        return false;
    *id = (uint32_t)n;
    return true;
}

/* What the template puts before (prefix) or behind the text, as ids into out; their number or -1. */
static int template_ids(struct tokenizer_loader *l, const struct json_value *v, bool prefix, uint32_t *out)
{
    const struct json_value *special = json_get(v, "special_tokens"), *items = json_get(v, "single");
    bool before = true;
    int n = 0;

    for (items = items ? items->child : NULL; items; items = items->next) {
        const struct json_value *token = json_get(json_get(items, "SpecialToken"), "id");
        const struct json_value *ids = NULL;

        if (token && token->type == JSON_STRING)
            ids = json_get(json_get(special, token->str), "ids");

        if (json_get(items, "Sequence")) {
            if (!before || !is_a(json_get(json_get(items, "Sequence"), "id")))
                return err_set(l->err, "%s: post_processor: a template that is not one text A is not supported", l->name);
            before = false;
            continue;
        }
        if (!ids || ids->type != JSON_ARRAY)
            return err_set(l->err, "%s: post_processor: a special token without ids", l->name);
        for (ids = ids->child; ids; ids = ids->next) {
            uint32_t id;

            if (!take_id(l, ids, &id))
                return err_set(l->err, "%s: post_processor: '%.20s' is not an id of the vocabulary", l->name,
                               ids->str ? ids->str : "");
            if (before == prefix)
                out[n++] = id;
        }
    }
    return before ? err_set(l->err, "%s: post_processor: a template without the text", l->name) : n;
}

/* Nodes below v: no list of ids in it is longer. */
static size_t nodes(const struct json_value *v)
{
    size_t n = 1;

    for (v = v ? v->child : NULL; v; v = v->next)
        n += nodes(v);
    return n;
}

static int parse_template(struct tokenizer_loader *l, const struct json_value *v)
{
    struct tokenizer_info *info = &l->t->info;
    uint32_t *prefix, *suffix;
    size_t most;
    int before, behind;

    most = nodes(json_get(v, "special_tokens")) * ((size_t)(json_get(v, "single") ? json_get(v, "single")->n : 0) + 1);
    if (most > 1 << 20)
        return err_set(l->err, "%s: post_processor: too large a template", l->name);
    prefix = arena_calloc(&l->t->arena, most + (size_t)info->n_prefix, sizeof *prefix);
    suffix = arena_calloc(&l->t->arena, most + (size_t)info->n_suffix, sizeof *suffix);
    for (int i = 0; i < info->n_suffix; i++)
        suffix[i] = info->suffix[i];
    before = template_ids(l, v, true, prefix);
    behind = template_ids(l, v, false, suffix + info->n_suffix);
    if (before < 0 || behind < 0)
        return -1;
    for (int i = 0; i < info->n_prefix; i++) /* a later step stands farther out */
        prefix[before + i] = info->prefix[i];
    info->prefix = prefix;
    info->suffix = suffix;
    info->n_prefix += before;
    info->n_suffix += behind;
    return 0;
}

/* Changes offsets alone. */
static int parse_byte_level(struct tokenizer_loader *l, const struct json_value *v)
{
    (void)l;
    (void)v;
    return 0;
}

/* One token in front of a text, one behind it: "cls" and "sep", each [token, id]. */
static int parse_cls_sep(struct tokenizer_loader *l, const struct json_value *v)
{
    static const char *const keys[] = { "cls", "sep" };
    struct tokenizer_info *info = &l->t->info;
    uint32_t *ids[2];

    for (int i = 0; i < 2; i++) {
        int n = i ? info->n_suffix : info->n_prefix;
        uint32_t id;

        if (!take_id(l, json_at(json_get(v, keys[i]), 1), &id))
            return err_set(l->err, "%s: post_processor: %s is not a token and an id of the vocabulary", l->name, keys[i]);
        ids[i] = arena_calloc(&l->t->arena, (size_t)n + 1, sizeof *ids[i]);
        if (n)
            memcpy(ids[i] + !i, i ? info->suffix : info->prefix, (size_t)n * sizeof *ids[i]);
        ids[i][i ? n : 0] = id;
    }
    info->prefix = ids[0];
    info->suffix = ids[1];
    info->n_prefix++;
    info->n_suffix++;
    return 0;
}

const struct tokenizer_post_row tokenizer_posts[] = {
    { "ByteLevel", parse_byte_level },
    { "TemplateProcessing", parse_template },
    { "BertProcessing", parse_cls_sep },
    { "RobertaProcessing", parse_cls_sep },
};
const int tokenizer_n_posts = sizeof tokenizer_posts / sizeof *tokenizer_posts;
