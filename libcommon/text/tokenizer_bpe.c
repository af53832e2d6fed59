/* The model "BPE" of tokenizer.json: its settings, vocabulary and merges. */
#include <string.h>

#include "libcommon/text/tokenizer_load.h"

enum { TYPE, DROPOUT, UNK, PREFIX, SUFFIX, FUSE, FALLBACK, IGNORE, VOCAB, MERGES, PARTS };

static int unknown_setting(struct tokenizer_loader *l, struct json *j)
{
    return err_set(l->err, "%s: model: setting '%.*s' is not supported", l->name, (int)(j->raw.n < 100 ? j->raw.n : 100),
                   j->raw.s);
}

/* A string, or none where it is null or not there. */
static int take_string(struct tokenizer_loader *l, const struct tokenizer_part *p, const char **s, size_t *n, bool *has)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    *s = "";
    *n = 0;
    *has = v && v->type == JSON_STRING;
    if (p->s && (!v || (v->type != JSON_STRING && v->type != JSON_NULL)))
        return v ? err_set(l->err, "%s: model: %s is not a string", l->name, p->name) : -1;
    if (*has) {
        *s = v->str;
        *n = v->len;
    }
    return 0;
}

static int take_bool(struct tokenizer_loader *l, const struct tokenizer_part *p, bool *value)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    *value = v && v->type == JSON_TRUE;
    if (p->s && (!v || (v->type != JSON_TRUE && v->type != JSON_FALSE && v->type != JSON_NULL)))
        return v ? err_set(l->err, "%s: model: %s is neither true nor false", l->name, p->name) : -1;
    return 0;
}

static int no_dropout(struct tokenizer_loader *l, const struct tokenizer_part *p)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    if (!p->s || (v && v->type == JSON_NULL) || (v && v->type == JSON_NUMBER && !(v->num > 0 || v->num < 0)))
        return 0;
    return v ? err_set(l->err, "%s: model: dropout is not supported", l->name) : -1;
}

int tokenizer_bpe_open(struct tokenizer_loader *l, const char *json, size_t n, struct tokenizer_bpe *b)
{
    struct tokenizer_part part[PARTS] = {
        [TYPE] = { .name = "type" }, [DROPOUT] = { .name = "dropout" }, [UNK] = { .name = "unk_token" },
        [PREFIX] = { .name = "continuing_subword_prefix" }, [SUFFIX] = { .name = "end_of_word_suffix" },
        [FUSE] = { .name = "fuse_unk" }, [FALLBACK] = { .name = "byte_fallback" }, [IGNORE] = { .name = "ignore_merges" },
        [VOCAB] = { .name = "vocab" }, [MERGES] = { .name = "merges" },
    };
    bool has;

    if (tokenizer_split(l, json, n, part, PARTS, unknown_setting) < 0 || no_dropout(l, &part[DROPOUT]) < 0 ||
        take_string(l, &part[UNK], &b->unk, &b->unk_n, &b->has_unk) < 0 ||
        take_string(l, &part[PREFIX], &b->prefix, &b->prefix_n, &has) < 0 ||
        take_string(l, &part[SUFFIX], &b->suffix, &b->suffix_n, &has) < 0 ||
        take_bool(l, &part[FUSE], &b->fuse_unk) < 0 || take_bool(l, &part[FALLBACK], &b->byte_fallback) < 0 ||
        take_bool(l, &part[IGNORE], &b->whole) < 0)
        return -1;
    if (!part[VOCAB].s || !part[MERGES].s)
        return err_set(l->err, "%s: model: there %s", l->name, part[VOCAB].s ? "are no merges" : "is no vocab");
    b->vocab = part[VOCAB].s;
    b->vocab_n = part[VOCAB].n;
    b->merges = part[MERGES].s;
    b->merges_n = part[MERGES].n;
    return 0;
}

static int load_vocab(struct tokenizer_loader *l, struct tokenizer_bpe *b)
{
    struct json j;
    int64_t id;

    json_init(&j, b->vocab, b->vocab_n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(l->err, "%s: model: vocab is not an object", l->name);
    while (json_next(&j) == JSON_KEY) {
        size_t n;
        const char *s = tokenizer_string(l, &j, 0, &n);

        if (json_next(&j) != JSON_NUMBER || !json_int64(&j.raw, &id) || id < 0)
            return err_set(l->err, "%s: vocab: '%.*s' has no id", l->name, (int)(n < 100 ? n : 100), s);
        if (b->add(b->model, s, n, (uint64_t)id, l->err) < 0)
            return err_prefix(l->err, "%s: vocab", l->name);
    }
    return b->index(b->model, l->err) < 0 ? err_prefix(l->err, "%s: vocab", l->name) : 0;
}

/* One merge, the k-th, "left right" or ["left", "right"], of which the first event was t. */
static int load_merge(struct tokenizer_loader *l, struct tokenizer_bpe *b, struct json *j, enum json_type t, size_t k)
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
            return err_set(l->err, "merge %zu: not two strings with a space between", k);
    } else if (t == JSON_ARRAY) {
        if (json_next(j) == JSON_STRING)
            left = tokenizer_string(l, j, 0, &left_n);
        if (left && json_next(j) == JSON_STRING)
            right = tokenizer_string(l, j, 1, &right_n);
        if (!right || json_next(j) != JSON_ARRAY_END)
            return err_set(l->err, "merge %zu: not two strings", k);
    } else {
        return err_set(l->err, "merge %zu: not two strings", k);
    }
    return b->add_merge(b->model, left, left_n, right, right_n, l->err);
}

int tokenizer_bpe_load(struct tokenizer_loader *l, struct tokenizer_bpe *b)
{
    enum json_type t;
    struct json j;

    if (load_vocab(l, b) < 0)
        return -1;
    json_init(&j, b->merges, b->merges_n);
    if (json_next(&j) != JSON_ARRAY)
        return err_set(l->err, "%s: model: merges are not an array", l->name);
    for (size_t k = 0; (t = json_next(&j)) != JSON_ARRAY_END; k++)
        if (load_merge(l, b, &j, t, k) < 0)
            return err_prefix(l->err, "%s: model", l->name);
    return 0;
}
