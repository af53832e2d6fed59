/* template_show.c - values as Python's str() and repr() write them. */
#include "libcommon/template/template_in.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/text/unicode.h"

/* The fewest digits that give f back; Python writes an exponent from 1e16 and below 1e-4. */
size_t template_show_double(double f, char *out)
{
    char digits[32], *e;
    int n = 1, exponent;
    size_t len = 0;

    if (!isfinite(f))
        return (size_t)snprintf(out, 32, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
    for (; n <= 17; n++) {
        snprintf(digits, sizeof digits, "%.*e", n - 1, f);
        if (strtod(digits, NULL) == f)
            break;
    }
    e = strchr(digits, 'e');
    exponent = (int)strtol(e + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        *e = 0;
        return (size_t)snprintf(out, 32, "%se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent));
    }
    len = (size_t)snprintf(out, 32, "%.*f", n - 1 - exponent > 0 ? n - 1 - exponent : 0, f);
    if (!memchr(out, '.', len))
        len += (size_t)snprintf(out + len, 32 - len, ".0");
    return len;
}

static void put(struct template_run *r, const char *s)
{
    template_put(r, s, strlen(s));
}

static bool printable(uint32_t cp)
{
    enum unicode_category c = unicode_category(cp);

    return cp == ' ' || (c != UNICODE_OTHER && c != UNICODE_SEPARATOR);
}

static void quote(struct template_run *r, const struct value *v)
{
    char q = memchr(v->u.s, '\'', v->n) && !memchr(v->u.s, '"', v->n) ? '"' : '\'';
    const char *p = v->u.s, *end = p + v->n;

    template_put(r, &q, 1);
    while (p < end) {
        char out[16];
        uint32_t cp = 0;
        int n = utf8_decode(p, (size_t)(end - p), &cp);
        char named = cp == '\n' ? 'n' : cp == '\r' ? 'r' : cp == '\t' ? 't' : cp == '\\' || cp == (uint32_t)q ? (char)cp : 0;

        if (named)
            template_put(r, out, (size_t)snprintf(out, sizeof out, "\\%c", named));
        else if (printable(cp))
            template_put(r, p, (size_t)n);
        else
            template_put(r, out, (size_t)snprintf(out, sizeof out, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp));
        p += n;
    }
    template_put(r, &q, 1);
}

static int show_list(struct template_run *r, const struct value *v, int depth)
{
    put(r, v->kind == V_TUPLE ? "(" : "[");
    for (size_t i = 0; i < v->n; i++) {
        if (i)
            put(r, ", ");
        if (template_show(r, &v->u.v[i], true, depth + 1) < 0)
            return -1;
    }
    put(r, v->kind == V_LIST ? "]" : v->n == 1 ? ",)" : ")");
    return 0;
}

static int show_dict(struct template_run *r, const struct dict *d, int depth)
{
    put(r, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i)
            put(r, ", ");
        if (template_show(r, &d->v[i].key, true, depth + 1) < 0)
            return -1;
        put(r, ": ");
        if (template_show(r, &d->v[i].value, true, depth + 1) < 0)
            return -1;
    }
    put(r, "}");
    return 0;
}

/* dict_keys([...]) */
static int show_view(struct template_run *r, const struct value *v, int depth)
{
    struct value list = { .kind = V_LIST };

    if (template_elements(r, v, &list.u.v, &list.n) < 0)
        return -1;
    put(r, template_kind(v));
    put(r, "(");
    if (show_list(r, &list, depth) < 0)
        return -1;
    put(r, ")");
    return 0;
}

static void show_number(struct template_run *r, const struct value *v)
{
    char out[96];
    const struct range *g = v->u.range;
    const struct loop *l = v->u.loop;
    size_t n = 0;

    if (v->kind == V_FLOAT)
        n = template_show_double(v->u.f, out);
    else if (v->kind == V_INT)
        n = (size_t)snprintf(out, sizeof out, "%" PRId64, v->u.i);
    else if (v->kind == V_LOOP)
        n = (size_t)snprintf(out, sizeof out, "<LoopContext %zu/%zu>", l->at + 1, l->n);
    else if (g->step == 1)
        n = (size_t)snprintf(out, sizeof out, "range(%" PRId64 ", %" PRId64 ")", g->start, g->stop);
    else
        n = (size_t)snprintf(out, sizeof out, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", g->start, g->stop, g->step);
    template_put(r, out, n);
}

static void show_string(struct template_run *r, const struct value *v, bool repr)
{
    if (v->safe && repr)
        put(r, "Markup(");
    if (repr)
        quote(r, v);
    else
        template_put(r, v->u.s, v->n);
    if (v->safe && repr)
        put(r, ")");
}

int template_show(struct template_run *r, const struct value *v, bool repr, int depth)
{
    int rc = 0;

    if (depth > TEMPLATE_VALUE_DEPTH)
        return template_fail(r, "a value is nested more than %d deep", TEMPLATE_VALUE_DEPTH);
    if (template_charge(r, 1 + (v->kind == V_STRING ? v->n / 64 : 0)) < 0)
        return -1;
    switch (v->kind) {
    case V_UNDEFINED:
        put(r, repr ? "Undefined" : "");
        return 0;
    case V_NONE:
        put(r, "None");
        return 0;
    case V_BOOL:
        put(r, v->u.i ? "True" : "False");
        return 0;
    case V_STRING:
        show_string(r, v, repr);
        return 0;
    case V_BIG:
        template_put(r, v->u.s, v->n);
        return 0;
    case V_LIST:
    case V_TUPLE:
        return show_list(r, v, depth);
    case V_DICT:
        return show_dict(r, v->u.dict, depth);
    case V_NAMESPACE:
        put(r, "<Namespace ");
        rc = show_dict(r, v->u.dict, depth + 1);
        put(r, ">");
        return rc;
    case V_KEYS:
    case V_VALUES:
    case V_ITEMS:
        return show_view(r, v, depth);
    case V_INT:
    case V_FLOAT:
    case V_RANGE:
    case V_LOOP:
        show_number(r, v);
        return 0;
    case V_MACRO:
        put(r, "<Macro '");
        put(r, v->u.macro->node->name->s);
        put(r, "'>");
        return 0;
    default:
        return template_fail(r, "a %s has no text", template_kind(v));
    }
}

int template_string(struct template_run *r, const struct value *v, struct value *out)
{
    size_t mark = template_mark(r);

    if (v->kind == V_STRING) {
        *out = *v;
        return 0;
    }
    return template_show(r, v, false, 0) < 0 ? -1 : template_take(r, mark, out);
}
