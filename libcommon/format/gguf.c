#include "libcommon/format/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/report.h"

static const uint8_t widths[GGUF_TYPES] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2,  [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

struct reader {
    const uint8_t *start, *p, *end;
    int width; /* of counts and lengths */
    const char *name;
    struct err *err;
};

static int fail(const struct reader *r, const char *what)
{
    return err_set(r->err, "%s: byte %zu: %s", r->name, (size_t)(r->p - r->start), what);
}

static uint64_t little(const uint8_t *p, int n)
{
    uint64_t v = 0;

    while (n--)
        v = v << 8 | p[n];
    return v;
}

static int take(struct reader *r, int n, uint64_t *v)
{
    *v = 0;
    if (r->end - r->p < n)
        return fail(r, "cut off");
    *v = little(r->p, n);
    r->p += n;
    return 0;
}

static int take_string(struct reader *r, struct gguf_string *s)
{
    uint64_t n;

    if (take(r, r->width, &n) < 0)
        return -1;
    if (n > (uint64_t)(r->end - r->p))
        return fail(r, "a string that goes beyond the end");
    *s = (struct gguf_string){ (const char *)r->p, (size_t)n };
    r->p += n;
    return 0;
}

static int take_type(struct reader *r, enum gguf_type *type)
{
    uint64_t v;

    if (take(r, 4, &v) < 0)
        return -1;
    if (v >= GGUF_TYPES)
        return err_set(r->err, "%s: byte %zu: type %llu is none", r->name, (size_t)(r->p - r->start) - 4, (unsigned long long)v);
    *type = (enum gguf_type)v;
    return 0;
}

/* A count of things that take at least `least` bytes each. */
static int take_count(struct reader *r, uint64_t least, size_t *n)
{
    uint64_t v;

    if (take(r, r->width, &v) < 0)
        return -1;
    if (v > (uint64_t)(r->end - r->p) / least)
        return err_set(r->err, "%s: byte %zu: a count of %llu, which the file has no room for", r->name,
                       (size_t)(r->p - r->start) - (size_t)r->width, (unsigned long long)v);
    *n = (size_t)v;
    return 0;
}

static int take_pair(struct reader *r, struct gguf_pair *p)
{
    enum gguf_type of;
    size_t n = 1;

    if (take_string(r, &p->key) < 0 || take_type(r, &p->type) < 0)
        return -1;
    of = p->type;
    if (of == GGUF_ARRAY) {
        if (take_type(r, &of) < 0)
            return -1;
        if (of == GGUF_ARRAY)
            return fail(r, "an array of arrays");
        if (take_count(r, of == GGUF_STRING ? (uint64_t)r->width : widths[of], &n) < 0)
            return -1;
    }
    p->of = of;
    p->n = n;
    p->data = r->p;
    if (of == GGUF_STRING) {
        struct gguf_string s;

        for (size_t i = 0; i < n; i++)
            if (take_string(r, &s) < 0)
                return -1;
        return 0;
    }
    if (n > (size_t)(r->end - r->p) / widths[of])
        return fail(r, "a value that goes beyond the end");
    r->p += n * widths[of];
    return 0;
}

static int take_tensor(struct reader *r, struct gguf_tensor *t)
{
    uint64_t v, product = 1;

    if (take_string(r, &t->name) < 0 || take(r, 4, &v) < 0)
        return -1;
    if (v > GGUF_DIMS)
        return err_set(r->err, "%s: byte %zu: a tensor of %llu dimensions", r->name, (size_t)(r->p - r->start) - 4,
                       (unsigned long long)v);
    t->n_dims = (uint32_t)v;
    for (uint32_t i = 0; i < GGUF_DIMS; i++) {
        t->dim[i] = 1;
        if (i < t->n_dims && take(r, r->width, &t->dim[i]) < 0)
            return -1;
        if (t->dim[i] && product > INT64_MAX / t->dim[i])
            return fail(r, "a tensor that is too large");
        product *= t->dim[i] ? t->dim[i] : 1;
    }
    if (take(r, 4, &v) < 0 || take(r, 8, &t->offset) < 0)
        return -1;
    t->type = (uint32_t)v;
    return 0;
}

static int parse(struct gguf *g, struct reader *r)
{
    size_t n_tensors, n_pairs;
    uint64_t v;

    if (take(r, 4, &v) < 0 || take(r, 4, &v) < 0)
        return -1;
    if (v < 1 || v > 3)
        return err_set(r->err, "%s: version %llu%s is not supported", r->name, (unsigned long long)v,
                       v > 0xffff ? ", big-endian," : "");
    g->version = (uint32_t)v;
    r->width = v == 1 ? 4 : 8;
    if (take_count(r, (uint64_t)r->width + 16, &n_tensors) < 0 || take_count(r, (uint64_t)r->width + 5, &n_pairs) < 0)
        return -1;
    g->pair = xcalloc(n_pairs + 1, sizeof *g->pair);
    for (; g->n_pairs < n_pairs; g->n_pairs++)
        if (take_pair(r, &g->pair[g->n_pairs]) < 0)
            return -1;
    g->tensor = xcalloc(n_tensors + 1, sizeof *g->tensor);
    for (; g->n_tensors < n_tensors; g->n_tensors++)
        if (take_tensor(r, &g->tensor[g->n_tensors]) < 0)
            return -1;
    if (gguf_get_uint(g, "general.alignment", 32, &v, r->name, r->err) < 0)
        return -1;
    if (!v || v > UINT32_MAX || v % 8)
        return err_set(r->err, "%s: general.alignment: %llu is not a multiple of 8", r->name, (unsigned long long)v);
    g->alignment = (uint32_t)v;
    g->data_at = ((uint64_t)(r->p - r->start) + v - 1) / v * v;
    return 0;
}

bool gguf_is(const void *data, size_t n)
{
    return n >= 4 && memcmp(data, "GGUF", 4) == 0;
}

int gguf_parse(struct gguf *g, const void *data, size_t n, const char *name, struct err *err)
{
    struct reader r = { data, data, (const uint8_t *)data + n, 8, name, err };

    *g = (struct gguf){ 0 };
    if (!gguf_is(data, n))
        return err_set(err, "%s: not a GGUF file", name);
    if (parse(g, &r) == 0)
        return 0;
    gguf_release(g);
    return -1;
}

void gguf_release(struct gguf *g)
{
    free(g->pair);
    free(g->tensor);
    *g = (struct gguf){ 0 };
}

const struct gguf_pair *gguf_get(const struct gguf *g, const char *key)
{
    size_t n = strlen(key);

    for (size_t i = 0; i < g->n_pairs; i++)
        if (g->pair[i].key.n == n && memcmp(g->pair[i].key.s, key, n) == 0)
            return &g->pair[i];
    return NULL;
}

static struct gguf_string string_at(const struct gguf *g, const uint8_t *p)
{
    int width = g->version == 1 ? 4 : 8;

    return (struct gguf_string){ (const char *)p + width, (size_t)little(p, width) };
}

static int wrong(const char *key, const char *what, const char *name, struct err *err)
{
    return err_set(err, "%s: %s is not %s", name, key, what);
}

int gguf_get_string(const struct gguf *g, const char *key, struct gguf_string dflt, struct gguf_string *out, const char *name,
                    struct err *err)
{
    const struct gguf_pair *p = gguf_get(g, key);

    if (p && p->type != GGUF_STRING)
        return wrong(key, "a string", name, err);
    *out = p ? string_at(g, p->data) : dflt;
    return 0;
}

int gguf_get_uint(const struct gguf *g, const char *key, uint64_t dflt, uint64_t *out, const char *name, struct err *err)
{
    const struct gguf_pair *p = gguf_get(g, key);
    bool is_signed;

    *out = dflt;
    if (!p)
        return 0;
    is_signed = p->type == GGUF_I8 || p->type == GGUF_I16 || p->type == GGUF_I32 || p->type == GGUF_I64;
    if (!is_signed && p->type != GGUF_U8 && p->type != GGUF_U16 && p->type != GGUF_U32 && p->type != GGUF_U64)
        return wrong(key, "an integer", name, err);
    *out = little(p->data, widths[p->type]);
    return is_signed && *out >> (8 * widths[p->type] - 1) ? wrong(key, "at least 0", name, err) : 0;
}

int gguf_get_bool(const struct gguf *g, const char *key, bool dflt, bool *out, const char *name, struct err *err)
{
    const struct gguf_pair *p = gguf_get(g, key);

    if (p && p->type != GGUF_BOOL)
        return wrong(key, "a bool", name, err);
    *out = p ? *p->data != 0 : dflt;
    return 0;
}

int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type of, const struct gguf_pair **out, const char *name,
                   struct err *err)
{
    *out = gguf_get(g, key);
    if (*out && ((*out)->type != GGUF_ARRAY || (*out)->of != of))
        return wrong(key, of == GGUF_STRING ? "an array of strings" : "an array of that kind of number", name, err);
    return 0;
}

struct gguf_string gguf_next_string(const struct gguf *g, const struct gguf_pair *array, size_t *at)
{
    struct gguf_string s = string_at(g, array->data + *at);

    *at = (size_t)((const uint8_t *)s.s + s.n - array->data);
    return s;
}

double gguf_number(const struct gguf_pair *p, uint64_t i)
{
    int width = widths[p->of];
    const uint8_t *at = p->data + i * (uint64_t)width;
    uint64_t v = little(at, width);
    float f;
    double d;

    switch (p->of) {
    case GGUF_F32:
        memcpy(&f, at, sizeof f);
        return (double)f;
    case GGUF_F64:
        memcpy(&d, at, sizeof d);
        return d;
    case GGUF_I8:
        return (int8_t)v;
    case GGUF_I16:
        return (int16_t)v;
    case GGUF_I32:
        return (int32_t)v;
    case GGUF_I64:
        return (double)(int64_t)v;
    default:
        return (double)v;
    }
}

static const char *shown(const struct gguf *g, const struct gguf_pair *p, struct report *r)
{
    struct gguf_string s;

    if (p->type == GGUF_ARRAY)
        return report_printf(r, "array of %llu", (unsigned long long)p->n);
    if (p->type == GGUF_BOOL)
        return *p->data ? "true" : "false";
    if (p->type != GGUF_STRING)
        return report_printf(r, "%.15g", gguf_number(p, 0));
    s = string_at(g, p->data);
    return report_printf(r, s.n <= 200 ? "%.*s" : "%.*s...", (int)(s.n <= 200 ? s.n : 200), s.s);
}

void gguf_report(const struct gguf *g, struct report *r)
{
    report_number(r, "version", g->version);
    report_number(r, "tensors", g->n_tensors);
    for (size_t i = 0; i < g->n_pairs; i++)
        report_pair(r, "key", g->pair[i].key.s, g->pair[i].key.n, shown(g, &g->pair[i], r));
}
