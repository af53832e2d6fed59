/* template_dict.c - dicts as Python has them, in the order of insertion; JSON to values. */
#include <math.h>
#include <string.h>

#include "libcommon/template/template_in.h"

enum { INDEXED = 16 };

struct dict *template_dict(struct template_run *r)
{
    struct dict *d = template_alloc(r, sizeof *d);

    *d = (struct dict){ 0 };
    return d;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    return (h ^ x) * 0x9e3779b97f4a7c15u ^ (h >> 29);
}

/* Equal keys have equal hashes; -1: not a key. */
static int hash(struct template_run *r, const struct value *v, int depth, uint64_t *h)
{
    if (v->kind == V_TUPLE && depth < 16) {
        for (size_t i = 0; i < v->n; i++)
            if (hash(r, &v->u.v[i], depth + 1, h) < 0)
                return -1;
    } else if (v->kind == V_STRING || v->kind == V_BIG) {
        for (size_t i = 0; i < v->n; i++)
            *h = mix(*h, (unsigned char)v->u.s[i]);
    } else if (template_number(v)) {
        double f = template_double(v);

        *h = mix(*h, v->kind == V_FLOAT && fabs(f) >= 0x1p62 ? 1 : f == floor(f) ? (uint64_t)(int64_t)f : (uint64_t)(f * 4096));
    } else if (v->kind == V_LIST || v->kind == V_DICT || v->kind == V_TUPLE || v->kind == V_KEYS || v->kind == V_ITEMS) {
        return template_fail(r, "a '%s' cannot be a key", template_kind(v));
    } else {
        *h = mix(*h, v->kind);
    }
    return 0;
}

/* Place of the key in d->v, or d->n. */
static int find(struct template_run *r, const struct dict *d, const struct value *key, uint64_t h, size_t *out)
{
    bool same = false;

    if (!d->index) {
        for (*out = 0; *out < d->n; ++*out) {
            const struct value *k = &d->v[*out].key;

            if (k->kind == V_STRING && key->kind == V_STRING)
                same = k->n == key->n && memcmp(k->u.s, key->u.s, k->n) == 0;
            else if (template_equal(r, k, key, &same) < 0)
                return -1;
            if (same)
                return 0;
        }
        return 0;
    }
    for (size_t i = h & (d->n_index - 1); d->index[i]; i = (i + 1) & (d->n_index - 1)) {
        *out = d->index[i] - 1;
        if (template_equal(r, &d->v[*out].key, key, &same) < 0)
            return -1;
        if (same)
            return 0;
    }
    *out = d->n;
    return 0;
}

static int index_all(struct template_run *r, struct dict *d)
{
    d->n_index = d->cap * 2;
    d->index = template_alloc(r, d->n_index * sizeof *d->index);
    if (!d->index)
        return -1;
    memset(d->index, 0, d->n_index * sizeof *d->index);
    for (size_t i = 0; i < d->n; i++) {
        uint64_t h = 0;
        size_t at;

        if (hash(r, &d->v[i].key, 0, &h) < 0)
            return -1;
        for (at = h & (d->n_index - 1); d->index[at];)
            at = (at + 1) & (d->n_index - 1);
        d->index[at] = (uint32_t)i + 1;
    }
    return 0;
}

static int add_pair(struct template_run *r, struct dict *d, uint64_t h, const struct value *key, const struct value *v)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        struct pair *more = template_alloc(r, cap * sizeof *more);

        if (!more)
            return -1;
        if (d->n)
            memcpy(more, d->v, d->n * sizeof *more);
        d->v = more;
        d->cap = cap;
        if (cap > INDEXED && index_all(r, d) < 0)
            return -1;
    }
    d->v[d->n++] = (struct pair){ *key, *v };
    if (d->index) {
        size_t at = h & (d->n_index - 1);

        while (d->index[at])
            at = (at + 1) & (d->n_index - 1);
        d->index[at] = (uint32_t)d->n;
    }
    return 0;
}

int template_dict_set(struct template_run *r, struct dict *d, const struct value *key, const struct value *v)
{
    uint64_t h = 0;
    size_t at;

    if (template_charge(r, 1) < 0 || hash(r, key, 0, &h) < 0 || find(r, d, key, h, &at) < 0)
        return -1;
    if (at == d->n)
        return add_pair(r, d, h, key, v);
    d->v[at].value = *v;
    return 0;
}

struct value *template_dict_get(struct template_run *r, const struct dict *d, const struct value *key, int *rc)
{
    uint64_t h = 0;
    size_t at = d->n;

    *rc = hash(r, key, 0, &h) < 0 || find(r, d, key, h, &at) < 0 ? -1 : 0;
    return *rc == 0 && at < d->n ? &d->v[at].value : NULL;
}

static int number_from_json(const struct json_value *j, struct value *out)
{
    struct json_raw raw = { j->str, j->len, false };
    int64_t i;

    if (memchr(j->str, '.', j->len) || memchr(j->str, 'e', j->len) || memchr(j->str, 'E', j->len))
        *out = template_float(j->num);
    else if (json_int64(&raw, &i))
        *out = template_int(i);
    else
        *out = (struct value){ .kind = V_BIG, .u.s = j->str, .n = j->len };
    return 0;
}

static int object_from_json(struct template_run *r, const struct json_value *j, int depth, struct value *out)
{
    struct dict *d = template_dict(r);

    for (const struct json_value *c = j->child; c; c = c->next) {
        struct value key = template_str(c->key, c->key_len), v;

        if (template_from_json(r, c, depth, &v) < 0 || template_dict_set(r, d, &key, &v) < 0)
            return -1;
    }
    *out = (struct value){ .kind = V_DICT, .u.dict = d };
    return 0;
}

int template_from_json(struct template_run *r, const struct json_value *j, int depth, struct value *out)
{
    struct value *v;
    size_t n = 0;

    if (depth > JSON_DEPTH)
        return template_fail(r, "a variable is nested more than %d deep", JSON_DEPTH);
    switch (j->type) {
    case JSON_OBJECT:
        return object_from_json(r, j, depth + 1, out);
    case JSON_ARRAY:
        if (!(v = template_values(r, (size_t)j->n)))
            return -1;
        for (const struct json_value *c = j->child; c; c = c->next)
            if (template_from_json(r, c, depth + 1, &v[n++]) < 0)
                return -1;
        *out = template_list(V_LIST, v, n);
        return template_charge(r, n);
    case JSON_STRING:
        *out = template_str(j->str, j->len);
        return 0;
    case JSON_NUMBER:
        return number_from_json(j, out);
    default:
        *out = j->type == JSON_NULL ? (struct value){ .kind = V_NONE } : template_bool(j->type == JSON_TRUE);
        return 0;
    }
}
