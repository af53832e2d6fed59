/* template_split.c - the methods of strings that take them apart and join them. */
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/template/template_in.h"

static bool one_of(const char *s, size_t n, const struct value *set)
{
    for (size_t i = 0, k; i < set->n; i += k) {
        k = template_char(set->u.s + i, set->u.s + set->n);
        if (k == n && memcmp(set->u.s + i, s, n) == 0)
            return true;
    }
    return false;
}

static int strip(struct template_run *r, const struct call *c, bool left, bool right, struct value *out)
{
    struct value v = c->self, set;

    if (c->a[0].kind == V_ABSENT || c->a[0].kind == V_NONE) {
        *out = template_strip(v, left, right);
        return 0;
    }
    if (template_str_arg(r, &c->a[0], "strip's argument", &set) < 0 || template_charge(r, 1 + v.n / 64 * (1 + set.n)) < 0)
        return -1;
    for (size_t k; left && v.n && one_of(v.u.s, k = template_char(v.u.s, v.u.s + v.n), &set); v.n -= k)
        v.u.s += k;
    while (right && v.n) {
        size_t at = v.n - 1;

        while (at && (v.u.s[at] & 0xc0) == 0x80)
            at--;
        if (!one_of(v.u.s + at, v.n - at, &set))
            break;
        v.n = at;
    }
    *out = v;
    return 0;
}

static int do_strip(struct template_run *r, const struct call *c, struct value *out)
{
    return strip(r, c, true, true, out);
}

static int do_lstrip(struct template_run *r, const struct call *c, struct value *out)
{
    return strip(r, c, true, false, out);
}

static int do_rstrip(struct template_run *r, const struct call *c, struct value *out)
{
    return strip(r, c, false, true, out);
}

/* Pieces of a split, growing. */
struct pieces {
    struct template_run *r;
    struct value *v;
    size_t n, cap;
    bool failed;
};

static void add(struct pieces *p, const char *s, size_t n)
{
    if (p->n == p->cap && !p->failed) {
        size_t cap = p->cap ? p->cap * 2 : 8;
        struct value *more = template_values(p->r, cap);

        p->failed = !more || template_charge(p->r, p->n) < 0;
        if (p->failed)
            return;
        if (p->n)
            memcpy(more, p->v, p->n * sizeof *more);
        p->v = more;
        p->cap = cap;
    }
    if (!p->failed)
        p->v[p->n++] = template_str(s, n);
}

static int pieces_list(const struct pieces *p, struct value *out)
{
    *out = template_list(V_LIST, p->v, p->n);
    return p->failed ? -1 : 0;
}

static size_t space_at(const char *s, const char *end)
{
    uint32_t cp;
    int n = utf8_decode(s, (size_t)(end - s), &cp);

    return n && template_space(cp) ? (size_t)n : 0;
}

static int split_space(struct template_run *r, const struct value *v, int64_t most, struct value *out)
{
    struct pieces p = { .r = r };
    const char *s = v->u.s, *end = s + v->n;

    for (;;) {
        const char *start;

        for (size_t k; (k = space_at(s, end)); s += k)
            ;
        if (s == end)
            return pieces_list(&p, out);
        start = s;
        if (most >= 0 && most-- == 0) {
            add(&p, start, (size_t)(end - s));
            return pieces_list(&p, out);
        }
        while (s < end && !space_at(s, end))
            s += template_char(s, end);
        add(&p, start, (size_t)(s - start));
    }
}

static int rsplit_space(struct template_run *r, const struct value *v, int64_t most, struct value *out)
{
    struct value all, joined;
    const struct value *e;
    size_t n, keep;

    if (split_space(r, v, -1, &all) < 0)
        return -1;
    *out = all;
    if (most < 0 || (size_t)most >= all.n)
        return 0;
    e = all.u.v;
    keep = all.n - (size_t)most; /* these are one */
    joined = template_strip(*v, false, true);
    if (most)
        joined = template_strip(template_str(joined.u.s, (size_t)(e[keep].u.s - joined.u.s)), false, true);
    n = (size_t)most + 1;
    struct value *copy = template_values(r, n);
    if (!copy)
        return -1;
    copy[0] = joined;
    memcpy(copy + 1, e + keep, (size_t)most * sizeof *copy);
    *out = template_list(V_LIST, copy, n);
    return 0;
}

static int split_on(struct template_run *r, const struct value *v, const struct value *sep, int64_t most, struct value *out)
{
    struct pieces p = { .r = r };
    const char *s = v->u.s, *end = s + v->n, *at;

    while ((most < 0 || most-- > 0) && (at = template_find(s, (size_t)(end - s), sep, false))) {
        add(&p, s, (size_t)(at - s));
        s = at + sep->n;
    }
    add(&p, s, (size_t)(end - s));
    return pieces_list(&p, out);
}

static int rsplit_on(struct template_run *r, const struct value *v, const struct value *sep, int64_t most, struct value *out)
{
    struct pieces p = { .r = r };
    const char *s = v->u.s, *end = s + v->n, *at;

    while ((most < 0 || most-- > 0) && (at = template_find(s, (size_t)(end - s), sep, true))) {
        add(&p, at + sep->n, (size_t)(end - at) - sep->n);
        end = at;
    }
    add(&p, s, (size_t)(end - s));
    for (size_t i = 0; i < p.n / 2; i++) {
        struct value x = p.v[i];

        p.v[i] = p.v[p.n - 1 - i];
        p.v[p.n - 1 - i] = x;
    }
    return pieces_list(&p, out);
}

static int split(struct template_run *r, const struct call *c, bool from_right, struct value *out)
{
    struct value sep;
    int64_t most;

    if (template_int_arg(r, &c->a[1], "maxsplit", -1, &most) < 0 || template_charge(r, c->self.n / 16) < 0)
        return -1;
    if (c->a[0].kind == V_ABSENT || c->a[0].kind == V_NONE)
        return from_right ? rsplit_space(r, &c->self, most, out) : split_space(r, &c->self, most, out);
    if (template_str_arg(r, &c->a[0], "the separator", &sep) < 0)
        return -1;
    if (!sep.n)
        return template_fail(r, "empty separator");
    if (from_right)
        return rsplit_on(r, &c->self, &sep, most, out);
    return split_on(r, &c->self, &sep, most, out);
}

static int do_split(struct template_run *r, const struct call *c, struct value *out)
{
    return split(r, c, false, out);
}

static int do_rsplit(struct template_run *r, const struct call *c, struct value *out)
{
    return split(r, c, true, out);
}

/* Bytes of the line end at s, or 0. */
static size_t line_end(const char *s, const char *end)
{
    uint32_t cp;
    int n = utf8_decode(s, (size_t)(end - s), &cp);

    if (!n)
        return 0;
    if (cp == '\r' && s + 1 < end && s[1] == '\n')
        return 2;
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 || cp == 0x2029 ? (size_t)n : 0;
}

static int do_splitlines(struct template_run *r, const struct call *c, struct value *out)
{
    struct pieces p = { .r = r };
    const char *s = c->self.u.s, *end = s + c->self.n;
    bool keep = template_truth(&c->a[0]);

    while (s < end) {
        const char *start = s;
        size_t k;

        while (s < end && !line_end(s, end))
            s += template_char(s, end);
        k = s < end ? line_end(s, end) : 0;
        add(&p, start, (size_t)(s - start) + (keep ? k : 0));
        s += k;
    }
    return pieces_list(&p, out);
}

static int partition(struct template_run *r, const struct call *c, bool last, struct value *out)
{
    const char *s = c->self.u.s, *end = s + c->self.n, *at;
    struct value sep, *v = template_values(r, 3);

    if (template_str_arg(r, &c->a[0], "the separator", &sep) < 0 || template_charge(r, c->self.n / 32) < 0)
        return -1;
    if (!sep.n)
        return template_fail(r, "empty separator");
    at = template_find(s, c->self.n, &sep, last);
    v[0] = v[1] = v[2] = template_str("", 0);
    if (at) {
        v[0] = template_str(s, (size_t)(at - s));
        v[1] = sep;
        v[2] = template_str(at + sep.n, (size_t)(end - at) - sep.n);
    } else {
        v[last ? 2 : 0] = c->self;
    }
    *out = template_list(V_TUPLE, v, 3);
    return 0;
}

static int do_partition(struct template_run *r, const struct call *c, struct value *out)
{
    return partition(r, c, false, out);
}

static int do_rpartition(struct template_run *r, const struct call *c, struct value *out)
{
    return partition(r, c, true, out);
}

static int do_join(struct template_run *r, const struct call *c, struct value *out)
{
    const struct value *e;
    size_t n, mark = template_mark(r);

    if (template_elements(r, &c->a[0], &e, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (e[i].kind != V_STRING)
            return template_fail(r, "sequence item %zu: expected str instance, %s found", i, template_kind(&e[i]));
        if (i)
            template_put(r, c->self.u.s, c->self.n);
        template_put(r, e[i].u.s, e[i].n);
        if (template_charge(r, 1 + (c->self.n + e[i].n) / 64) < 0)
            return -1;
    }
    return template_take(r, mark, out);
}

const struct row template_split_methods[] = {
    { "join", do_join, "iterable", 1 << V_STRING },
    { "lstrip", do_lstrip, "chars=", 1 << V_STRING },
    { "partition", do_partition, "sep", 1 << V_STRING },
    { "rpartition", do_rpartition, "sep", 1 << V_STRING },
    { "rsplit", do_rsplit, "sep=,maxsplit=", 1 << V_STRING },
    { "rstrip", do_rstrip, "chars=", 1 << V_STRING },
    { "split", do_split, "sep=,maxsplit=", 1 << V_STRING },
    { "splitlines", do_splitlines, "keepends=", 1 << V_STRING },
    { "strip", do_strip, "chars=", 1 << V_STRING },
    { NULL, NULL, NULL, 0 },
};
