/* template_json.c - values as json.dumps() writes them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/template/template_in.h"

struct dumper {
    struct template_run *r;
    bool ascii, sorted, pretty;
    struct value indent, comma, colon; /* strings */
};

static int dump(struct dumper *d, const struct value *v, int depth);

static void put(struct dumper *d, const char *s)
{
    template_put(d->r, s, strlen(s));
}

static void put_value(struct dumper *d, const struct value *v)
{
    template_put(d->r, v->u.s, v->n);
}

static void put_string(struct dumper *d, const struct value *v)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *p = v->u.s, *end = p + v->n;

    put(d, "\"");
    while (p < end) {
        const char *plain = p, *named;
        char out[16];
        uint32_t cp = 0;

        while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\' && !(d->ascii && (*p & 0x80)))
            p++;
        template_put(d->r, plain, (size_t)(p - plain));
        if (p == end)
            break;
        named = memchr(from, *p, sizeof from - 1);
        p += utf8_decode(p, (size_t)(end - p), &cp);
        if (named)
            snprintf(out, sizeof out, "\\%c", to[named - from]);
        else if (cp < 0x10000)
            snprintf(out, sizeof out, "\\u%04x", cp);
        else
            snprintf(out, sizeof out, "\\u%04x\\u%04x", 0xd7c0 + (cp >> 10), 0xdc00 + (cp & 0x3ff));
        put(d, out);
    }
    put(d, "\"");
}

static void put_double(struct dumper *d, double f)
{
    char out[32];

    if (isfinite(f))
        template_put(d->r, out, template_show_double(f, out));
    else
        put(d, isnan(f) ? "NaN" : f < 0 ? "-Infinity" : "Infinity");
}

static int scalar(struct dumper *d, const struct value *v)
{
    char out[32];

    switch (v->kind) {
    case V_NONE:
        put(d, "null");
        return 0;
    case V_BOOL:
        put(d, v->u.i ? "true" : "false");
        return 0;
    case V_INT:
        snprintf(out, sizeof out, "%" PRId64, v->u.i);
        put(d, out);
        return 0;
    case V_FLOAT:
        put_double(d, v->u.f);
        return 0;
    case V_BIG:
        put_value(d, v);
        return 0;
    default:
        return template_fail(d->r, "object of type %s is not JSON serializable", template_kind(v));
    }
}

static int put_key(struct dumper *d, const struct value *key)
{
    bool quoted = key->kind != V_STRING;

    if (!quoted) {
        put_string(d, key);
        return 0;
    }
    put(d, "\"");
    if (scalar(d, key) < 0)
        return template_fail(d->r, "a key of type %s is not JSON serializable", template_kind(key));
    put(d, "\"");
    return 0;
}

static void new_line(struct dumper *d, int depth)
{
    if (!d->pretty)
        return;
    put(d, "\n");
    for (; depth > 0; depth--)
        put_value(d, &d->indent);
}

static int dump_list(struct dumper *d, const struct value *v, int depth)
{
    put(d, "[");
    for (size_t i = 0; i < v->n; i++) {
        if (i)
            put_value(d, &d->comma);
        new_line(d, depth + 1);
        if (dump(d, &v->u.v[i], depth + 1) < 0)
            return -1;
    }
    if (v->n)
        new_line(d, depth);
    put(d, "]");
    return 0;
}

static int dump_dict(struct dumper *d, const struct value *v, int depth)
{
    struct dict *dict = v->u.dict;
    struct value keys = { .kind = V_KEYS, .u.dict = dict };
    const struct value *order;
    size_t n;
    int rc;

    if (d->sorted && template_sorted(d->r, &keys, &order, &n) < 0)
        return -1;
    put(d, "{");
    for (size_t i = 0; i < dict->n; i++) {
        const struct value *key = d->sorted ? &order[i] : &dict->v[i].key;
        const struct value *value = d->sorted ? template_dict_get(d->r, dict, key, &rc) : &dict->v[i].value;

        if (i)
            put_value(d, &d->comma);
        new_line(d, depth + 1);
        if (put_key(d, key) < 0)
            return -1;
        put_value(d, &d->colon);
        if (!value || dump(d, value, depth + 1) < 0)
            return -1;
    }
    if (dict->n)
        new_line(d, depth);
    put(d, "}");
    return 0;
}

static int dump(struct dumper *d, const struct value *v, int depth)
{
    if (depth > TEMPLATE_VALUE_DEPTH)
        return template_fail(d->r, "a value is nested more than %d deep", TEMPLATE_VALUE_DEPTH);
    if (template_charge(d->r, 1 + (v->kind == V_STRING ? v->n / 64 : 0)) < 0)
        return -1;
    if (v->kind == V_LIST || v->kind == V_TUPLE)
        return dump_list(d, v, depth);
    if (v->kind == V_DICT)
        return dump_dict(d, v, depth);
    if (v->kind == V_STRING) {
        put_string(d, v);
        return 0;
    }
    return scalar(d, v);
}

/* separators=(",", ":") */
static int separators(struct dumper *d, const struct value *v)
{
    const struct value *e;
    size_t n;

    if (v->kind == V_ABSENT || v->kind == V_NONE)
        return 0;
    if (template_elements(d->r, v, &e, &n) < 0)
        return -1;
    if (n != 2 || e[0].kind != V_STRING || e[1].kind != V_STRING)
        return template_fail(d->r, "separators must be two strings");
    d->comma = e[0];
    d->colon = e[1];
    return 0;
}

static int indent(struct dumper *d, const struct value *v)
{
    static const char blanks[] = "                                                                ";
    int64_t n;

    d->pretty = v->kind != V_ABSENT && v->kind != V_NONE;
    if (!d->pretty)
        return 0;
    d->comma = template_str(",", 1);
    if (v->kind == V_STRING) {
        d->indent = *v;
        return 0;
    }
    if (template_int_arg(d->r, v, "indent", 0, &n) < 0)
        return -1;
    if (n >= (int64_t)sizeof blanks)
        return template_fail(d->r, "an indent of more than %zu", sizeof blanks - 1);
    d->indent = template_str(blanks, n > 0 ? (size_t)n : 0);
    return 0;
}

int template_json(struct template_run *r, const struct call *c, struct value *out)
{
    struct dumper d = { .r = r, .ascii = template_truth(&c->a[0]), .sorted = template_truth(&c->a[3]),
                        .comma = template_str(", ", 2), .colon = template_str(": ", 2) };
    size_t mark = template_mark(r);

    if (indent(&d, &c->a[1]) < 0 || separators(&d, &c->a[2]) < 0 || dump(&d, &c->self, 0) < 0)
        return -1;
    return template_take(r, mark, out);
}
