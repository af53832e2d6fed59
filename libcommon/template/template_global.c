/* template_global.c - the functions that templates may call. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/template/template_in.h"

/* The sandbox's bound */
enum { MOST_RANGE = 100000 };

static int do_range(struct template_run *r, const struct call *c, struct value *out)
{
    struct range *g = template_alloc(r, sizeof *g);
    int64_t v[3] = { 0, 0, 1 };
    uint64_t n;

    if (c->args->n < 1 || c->args->n > 3 || c->args->n_kw)
        return template_fail(r, "range: %d arguments where 1 to 3 are due", c->args->n);
    for (int i = 0; i < c->args->n; i++)
        if (template_int_arg(r, &c->args->v[i], "range's argument", 0, &v[c->args->n == 1 ? 1 : i]) < 0)
            return -1;
    if (v[2] == 0)
        return template_fail(r, "range's step must not be zero");
    n = v[2] > 0 ? (v[1] > v[0] ? ((uint64_t)v[1] - (uint64_t)v[0] - 1) / (uint64_t)v[2] + 1 : 0)
                 : (v[0] > v[1] ? ((uint64_t)v[0] - (uint64_t)v[1] - 1) / -(uint64_t)v[2] + 1 : 0);
    if (n > MOST_RANGE)
        return template_fail(r, "a range of more than %d", MOST_RANGE);
    *g = (struct range){ v[0], v[1], v[2] };
    *out = (struct value){ .kind = V_RANGE, .u.range = g, .n = (size_t)n };
    return 0;
}

/* dict(other, a=1), and the members of a namespace */
static int make_dict(struct template_run *r, const struct call *c, struct value *out)
{
    struct dict *d = template_dict(r);
    const struct value *e;
    size_t n;

    if (c->args->n > 1)
        return template_fail(r, "dict expected at most 1 argument, got %d", c->args->n);
    if (c->args->n) {
        struct value from = c->args->v[0];

        if (from.kind == V_DICT || from.kind == V_NAMESPACE)
            from.kind = V_ITEMS;
        if (template_elements(r, &from, &e, &n) < 0)
            return -1;
        for (size_t i = 0; i < n; i++) {
            const struct value *both;
            size_t two;

            if (template_elements(r, &e[i], &both, &two) < 0)
                return -1;
            if (two != 2)
                return template_fail(r, "dict: an element is no pair");
            if (template_dict_set(r, d, &both[0], &both[1]) < 0)
                return -1;
        }
    }
    for (int i = 0; i < c->args->n_kw; i++) {
        struct value key = template_str(c->args->kw[i].name, c->args->kw[i].n);

        if (template_dict_set(r, d, &key, &c->args->kw[i].value) < 0)
            return -1;
    }
    *out = (struct value){ .kind = V_DICT, .u.dict = d };
    return 0;
}

static int do_namespace(struct template_run *r, const struct call *c, struct value *out)
{
    if (make_dict(r, c, out) < 0)
        return -1;
    out->kind = V_NAMESPACE;
    return 0;
}

static int do_raise(struct template_run *r, const struct call *c, struct value *out)
{
    struct value s;

    (void)out;
    if (template_string(r, &c->a[0], &s) < 0)
        return -1;
    return template_fail(r, "%.*s", (int)(s.n < 900 ? s.n : 900), s.u.s);
}

/* strftime() of the C library, as Python's, but for the zone and microseconds, which Python fills in itself: the
 * clock has none. */
static void put_time(struct template_run *r, const char *spec)
{
    /* by a pointer: the compiler would want a literal */
    static size_t (*const format)(char *, size_t, const char *, const struct tm *) = strftime;
    char out[512];

    template_put(r, out, format(out, sizeof out, spec, &r->in->now));
}

static int do_strftime(struct template_run *r, const struct call *c, struct value *out)
{
    size_t mark = template_mark(r);
    struct value f;
    const char *p, *end;

    if (template_str_arg(r, &c->a[0], "the format", &f) < 0)
        return -1;
    for (p = f.u.s, end = p + f.n; p < end;) {
        char spec[4] = "%";
        size_t n = 1;

        if (*p != '%' || p + 1 == end) {
            template_put(r, p++, 1);
            continue;
        }
        if (strchr("-_0^#EO", p[1]) && p[1] && p + 2 < end)
            spec[n++] = *++p;
        spec[n] = *++p;
        p++;
        if (spec[n] == 'f')
            template_put(r, "000000", 6);
        else if (spec[n] == '%' || spec[n] == 'n' || spec[n] == 't')
            template_put(r, spec[n] == '%' ? "%" : spec[n] == 'n' ? "\n" : "\t", 1);
        else if (spec[n] & 0x80 || !spec[n] || !strchr("aAbBcCdDeFgGhHIjklmMpPrRsSTuUVwWxXyYzZ", spec[n]))
            template_put(r, spec, n + 1);
        else if (spec[n] != 'z' && spec[n] != 'Z')
            put_time(r, spec);
        if (template_charge(r, 4) < 0)
            return -1;
    }
    return template_take(r, mark, out);
}

const struct row template_globals[] = {
    { "dict", make_dict, "*", 0 },
    { "namespace", do_namespace, "*", 0 },
    { "raise_exception", do_raise, "message", 0 },
    { "range", do_range, "*", 0 },
    { "strftime_now", do_strftime, "format", 0 },
    { "cycler", NULL, "*", 0 },
    { "joiner", NULL, "*", 0 },
    { "lipsum", NULL, "*", 0 },
    { NULL, NULL, NULL, 0 },
};
