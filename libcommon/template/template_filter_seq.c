/* template_filter_seq.c - the filters of sequences and mappings. */
#include <string.h>

#include "libcommon/template/template_in.h"

struct keyed {
    struct value key, value;
};

/* What a filter looks at of each element: nothing taken off, or the path "a.b.0" of it. */
struct getter {
    struct value path, dflt; /* ABSENT: none */
    bool ignore_case;
};

static int one_part(struct template_run *r, const char *s, size_t n, const struct value *dflt, struct value *v)
{
    struct value key = template_str(s, n), item = *v;
    int64_t i = 0;
    bool number = n > 0 && n < 18;

    for (size_t k = 0; number && k < n; k++) {
        number = s[k] >= '0' && s[k] <= '9';
        i = i * 10 + (s[k] - '0');
    }
    if (number)
        key = template_int(i);
    if (template_item(r, &item, &key, v) < 0)
        return -1;
    if (v->kind == V_UNDEFINED && dflt->kind != V_ABSENT && dflt->kind != V_NONE)
        *v = *dflt;
    return 0;
}

/* Along s[0..n), dots between. */
static int follow(struct template_run *r, const char *s, size_t n, const struct getter *g, const struct value *v, struct value *out)
{
    *out = *v;
    for (size_t at = 0; at <= n;) {
        const char *dot = memchr(s + at, '.', n - at);
        size_t len = dot ? (size_t)(dot - s) - at : n - at;

        if (one_part(r, s + at, len, &g->dflt, out) < 0)
            return -1;
        at += len + 1;
    }
    return 0;
}

static int get(struct template_run *r, const struct getter *g, const struct value *v, struct value *out)
{
    struct value lower;

    *out = *v;
    if (g->path.kind == V_STRING) {
        if (follow(r, g->path.u.s, g->path.n, g, v, out) < 0)
            return -1;
    } else if (g->path.kind != V_ABSENT && g->path.kind != V_NONE) {
        if (template_item(r, v, &g->path, out) < 0)
            return -1;
    }
    if (g->ignore_case && out->kind == V_STRING) {
        if (template_case(r, out, TEMPLATE_LOWER, &lower) < 0)
            return -1;
        *out = lower;
    }
    return 0;
}

/* The keys of sort: a list, one for each path between commas. */
static int get_list(struct template_run *r, const struct getter *g, const struct value *v, struct value *out)
{
    const char *s = g->path.u.s;
    size_t n = 1, to = 0, at = 0;
    struct value *keys;

    for (size_t i = 0; g->path.kind == V_STRING && i < g->path.n; i++)
        n += s[i] == ',';
    if (!(keys = template_values(r, n)))
        return -1;
    for (; to < n; to++) {
        struct getter one = *g;

        if (g->path.kind == V_STRING) {
            const char *comma = memchr(s + at, ',', g->path.n - at);

            one.path = template_str(s + at, comma ? (size_t)(comma - s) - at : g->path.n - at);
            at += one.path.n + 1;
        }
        if (get(r, &one, v, &keys[to]) < 0)
            return -1;
    }
    *out = template_list(V_LIST, keys, n);
    return 0;
}

static int merge(struct template_run *r, const struct keyed *a, size_t mid, size_t n, bool reverse, struct keyed *to)
{
    size_t i = 0, j = mid;

    while (i < mid || j < n) {
        int c = -1;

        if (i < mid && j < n &&
            (reverse ? template_order(r, &a[i].key, &a[j].key, &c) : template_order(r, &a[j].key, &a[i].key, &c)) < 0)
            return -1;
        *to++ = i < mid && (j == n || c >= 0) ? a[i++] : a[j++];
    }
    return 0;
}

/* Stable, as Python's sorted(). */
static int sort(struct template_run *r, struct keyed **v, size_t n, bool reverse)
{
    struct keyed *other = template_alloc(r, n * sizeof *other);

    if (!other)
        return -1;
    for (size_t width = 1; width < n; width *= 2) {
        struct keyed *from = *v;

        for (size_t i = 0; i < n; i += 2 * width) {
            size_t end = n - i < 2 * width ? n - i : 2 * width;

            if (merge(r, from + i, end < width ? end : width, end, reverse, other + i) < 0)
                return -1;
        }
        *v = other;
        other = from;
    }
    return 0;
}

static int keyed_elements(struct template_run *r, const struct value *v, struct keyed **out, size_t *n)
{
    const struct value *e;
    struct keyed *k;

    if (template_elements(r, v, &e, n) < 0 || !(*out = k = template_alloc(r, *n * sizeof *k)))
        return -1;
    for (size_t i = 0; i < *n; i++)
        k[i].value = k[i].key = e[i];
    return template_charge(r, *n);
}

static int values_of(struct template_run *r, const struct keyed *k, size_t n, struct value *out)
{
    struct value *v = template_values(r, n);

    if (!v)
        return -1;
    for (size_t i = 0; i < n; i++)
        v[i] = k[i].value;
    *out = template_list(V_LIST, v, n);
    return 0;
}

int template_sorted(struct template_run *r, const struct value *v, const struct value **out, size_t *n)
{
    struct keyed *k;
    struct value list;

    if (keyed_elements(r, v, &k, n) < 0 || sort(r, &k, *n, false) < 0 || values_of(r, k, *n, &list) < 0)
        return -1;
    *out = list.u.v;
    return 0;
}

static int do_sort(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { .path = c->a[2], .ignore_case = !template_truth(&c->a[1]) };
    struct keyed *k;
    size_t n;

    if (keyed_elements(r, &c->self, &k, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (get_list(r, &g, &k[i].value, &k[i].key) < 0)
            return -1;
    return sort(r, &k, n, template_truth(&c->a[0])) < 0 ? -1 : values_of(r, k, n, out);
}

static int do_dictsort(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { .ignore_case = !template_truth(&c->a[0]) };
    struct value items = c->self, by = template_str("key", 3);
    struct keyed *k;
    size_t n;
    bool by_value;

    if (c->self.kind != V_DICT)
        return c->self.kind == V_UNDEFINED ? template_undefined_error(r, &c->self)
                                           : template_fail(r, "'%s' object has no items", template_kind(&c->self));
    if (c->a[1].kind != V_ABSENT && template_str_arg(r, &c->a[1], "by", &by) < 0)
        return -1;
    by_value = by.n == 5 && !memcmp(by.u.s, "value", 5);
    if (!by_value && (by.n != 3 || memcmp(by.u.s, "key", 3)))
        return template_fail(r, "You can only sort by either \"key\" or \"value\"");
    items.kind = V_ITEMS;
    if (keyed_elements(r, &items, &k, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (get(r, &g, &k[i].value.u.v[by_value], &k[i].key) < 0)
            return -1;
    return sort(r, &k, n, template_truth(&c->a[2])) < 0 ? -1 : values_of(r, k, n, out);
}

static int extreme(struct template_run *r, const struct call *c, int sign, struct value *out)
{
    struct getter g = { .path = c->a[1], .ignore_case = !template_truth(&c->a[0]) };
    struct keyed *k;
    size_t n, best = 0;

    if (keyed_elements(r, &c->self, &k, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int order = 0;

        if (get(r, &g, &k[i].value, &k[i].key) < 0 || (i && template_order(r, &k[i].key, &k[best].key, &order) < 0))
            return -1;
        if (order != 2 && order * sign > 0)
            best = i;
    }
    *out = n ? k[best].value : template_undefined(V_ABSENT, "an element of an empty sequence", 31);
    return 0;
}

static int do_min(struct template_run *r, const struct call *c, struct value *out)
{
    return extreme(r, c, -1, out);
}

static int do_max(struct template_run *r, const struct call *c, struct value *out)
{
    return extreme(r, c, 1, out);
}

static int do_groupby(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { c->a[0], c->a[1], !template_truth(&c->a[2]) }, real = { c->a[0], c->a[1], false };
    struct keyed *k;
    struct value *groups;
    size_t n, to = 0;

    if (keyed_elements(r, &c->self, &k, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (get(r, &g, &k[i].value, &k[i].key) < 0)
            return -1;
    if (sort(r, &k, n, false) < 0 || !(groups = template_values(r, n)))
        return -1;
    for (size_t i = 0, end; i < n; i = end) {
        struct value *both = template_values(r, 2);
        bool same = true;

        for (end = i + 1; end < n && same; end += same)
            if (template_equal(r, &k[i].key, &k[end].key, &same) < 0)
                return -1;
        if (get(r, &real, &k[i].value, &both[0]) < 0 || values_of(r, k + i, end - i, &both[1]) < 0)
            return -1;
        groups[to++] = template_list(V_TUPLE, both, 2);
    }
    *out = template_list(V_LIST, groups, to);
    return 0;
}

static int do_unique(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { .path = c->a[1], .ignore_case = !template_truth(&c->a[0]) };
    struct dict *seen = template_dict(r);
    struct value list;
    struct keyed *k;
    size_t n, to = 0;

    if (keyed_elements(r, &c->self, &k, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        size_t before = seen->n;

        if (get(r, &g, &k[i].value, &k[i].key) < 0 || template_dict_set(r, seen, &k[i].key, &k[i].key) < 0)
            return -1;
        if (seen->n > before)
            k[to++].value = k[i].value;
    }
    return values_of(r, k, to, &list) < 0 ? -1 : template_iterator(r, list.u.v, to, out);
}

static int do_first(struct template_run *r, const struct call *c, struct value *out)
{
    const struct value *e;
    size_t n;

    if (template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    if (c->self.kind == V_ITERATOR && n)
        c->self.u.iterator->at -= n - 1;
    *out = n ? e[0] : template_undefined(V_ABSENT, "the first of an empty sequence", 30);
    return 0;
}

static int do_last(struct template_run *r, const struct call *c, struct value *out)
{
    const struct value *e;
    size_t n;

    if (c->self.kind == V_ITERATOR)
        return template_fail(r, "'generator' object is not reversible");
    if (template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    *out = n ? e[n - 1] : template_undefined(V_ABSENT, "the last of an empty sequence", 29);
    return 0;
}

static int do_list(struct template_run *r, const struct call *c, struct value *out)
{
    const struct value *e;
    size_t n;

    if (template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    *out = template_list(V_LIST, e, n);
    return 0;
}

static int do_items(struct template_run *r, const struct call *c, struct value *out)
{
    struct value items = c->self;
    const struct value *e;
    size_t n;

    items.kind = c->self.kind == V_UNDEFINED ? V_UNDEFINED : V_ITEMS;
    if (c->self.kind != V_DICT && c->self.kind != V_UNDEFINED)
        return template_fail(r, "can only get item pairs from a mapping");
    return template_elements(r, &items, &e, &n) < 0 ? -1 : template_iterator(r, e, n, out);
}

static int do_join(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { .path = c->a[1] };
    struct value d = template_str("", 0), v;
    const struct value *e;
    size_t n, mark;

    if (c->a[0].kind != V_ABSENT && template_string(r, &c->a[0], &d) < 0)
        return -1;
    if (template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    mark = template_mark(r);
    for (size_t i = 0; i < n; i++) {
        if (i)
            template_put(r, d.u.s, d.n);
        if (template_charge(r, 1 + d.n / 64) < 0 || get(r, &g, &e[i], &v) < 0 || template_show(r, &v, false, 0) < 0)
            return -1;
    }
    return template_take(r, mark, out);
}

static int do_reverse(struct template_run *r, const struct call *c, struct value *out)
{
    struct value part[3] = { { 0 }, { 0 }, template_int(-1) }, list = c->self;

    if (c->self.kind == V_STRING)
        return template_slice(r, &c->self, part, out);
    if (template_elements(r, &c->self, &list.u.v, &list.n) < 0)
        return -1;
    list.kind = V_LIST;
    if (template_slice(r, &list, part, out) < 0)
        return -1;
    return c->self.kind == V_ITERATOR ? 0 : template_iterator(r, out->u.v, out->n, out);
}

static int do_sum(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { .path = c->a[0] };
    struct value sum = c->a[1].kind == V_ABSENT ? template_int(0) : c->a[1], v;
    const struct value *e;
    size_t n;

    if (sum.kind == V_STRING)
        return template_fail(r, "sum() can't sum strings");
    if (template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct value a = sum;

        if (template_charge(r, 1) < 0 || get(r, &g, &e[i], &v) < 0 || template_binary(r, N_ADD, &a, &v, &sum) < 0)
            return -1;
    }
    *out = sum;
    return 0;
}

/* One group: elements of e, then `fill` of fill_with. */
static int group(struct template_run *r, const struct value *e, size_t n, const struct value *with, size_t fill, struct value *out)
{
    struct value *v = template_values(r, n + fill);

    if (!v)
        return -1;
    if (n)
        memcpy(v, e, n * sizeof *v);
    for (size_t i = 0; i < fill; i++)
        v[n + i] = *with;
    *out = template_list(V_LIST, v, n + fill);
    return template_charge(r, 1 + (n + fill) / 8);
}

static int do_batch(struct template_run *r, const struct call *c, struct value *out)
{
    bool fill = c->a[1].kind != V_ABSENT && c->a[1].kind != V_NONE;
    const struct value *e;
    struct value *groups;
    size_t n, to = 0;
    int64_t count;

    if (template_int_arg(r, &c->a[0], "linecount", 0, &count) < 0 || template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    if (count < 1)
        return template_fail(r, "a linecount of %lld", (long long)count);
    if (!(groups = template_values(r, n / (size_t)count + 1)))
        return -1;
    for (size_t i = 0; i < n; i += (size_t)count) {
        size_t here = n - i < (size_t)count ? n - i : (size_t)count;

        if (group(r, e + i, here, &c->a[1], fill ? (size_t)count - here : 0, &groups[to++]) < 0)
            return -1;
    }
    return template_iterator(r, groups, to, out);
}

static int do_slice(struct template_run *r, const struct call *c, struct value *out)
{
    bool fill = c->a[1].kind != V_ABSENT && c->a[1].kind != V_NONE;
    const struct value *e;
    struct value *groups;
    size_t n, count, at = 0;
    int64_t slices;

    if (template_int_arg(r, &c->a[0], "slices", 0, &slices) < 0 || template_elements(r, &c->self, &e, &n) < 0)
        return -1;
    if (slices < 1)
        return template_fail(r, "a number of slices of %lld", (long long)slices);
    count = (size_t)slices;
    if (!(groups = template_values(r, count)))
        return -1;
    for (size_t i = 0; i < count; i++) {
        size_t here = n / count + (i < n % count);

        if (group(r, e + at, here, &c->a[1], fill && i >= n % count, &groups[i]) < 0)
            return -1;
        at += here;
    }
    return template_iterator(r, groups, count, out);
}

/* The arguments without the first `skip`. */
static struct args rest(const struct args *args, int skip)
{
    struct args a = *args;

    a.v += skip;
    a.n -= skip;
    return a;
}

static int map_attribute(struct template_run *r, const struct call *c, struct getter *g)
{
    for (int i = 0; i < c->args->n_kw; i++) {
        const struct keyword *k = &c->args->kw[i];

        if (k->n == 9 && !memcmp(k->name, "attribute", 9))
            g->path = k->value;
        else if (k->n == 7 && !memcmp(k->name, "default", 7))
            g->dflt = k->value;
        else
            return template_fail(r, "map: an unexpected argument '%.*s'", (int)(k->n < 80 ? k->n : 80), k->name);
    }
    return g->path.kind == V_ABSENT ? template_fail(r, "map requires a filter argument") : 0;
}

static int do_map(struct template_run *r, const struct call *c, struct value *out)
{
    struct getter g = { .path = { 0 } };
    struct args args = { 0 };
    struct value name = { 0 };
    struct keyed *k;
    struct value *v;
    size_t n;

    if (!template_truth(&c->self))
        return template_iterator(r, NULL, 0, out);
    if (!c->args->n) {
        if (map_attribute(r, c, &g) < 0)
            return -1;
    } else {
        if (template_str_arg(r, &c->args->v[0], "the filter's name", &name) < 0)
            return -1;
        args = rest(c->args, 1);
    }
    if (keyed_elements(r, &c->self, &k, &n) < 0 || !(v = template_values(r, n)))
        return -1;
    for (size_t i = 0; i < n; i++)
        if ((name.kind ? template_call_named(r, TEMPLATE_FILTERS, name.u.s, name.n, &k[i].value, &args, &v[i])
                       : get(r, &g, &k[i].value, &v[i])) < 0)
            return -1;
    return template_iterator(r, v, n, out);
}

/* Those for which a test (or truth) of the element, or of its attribute, is `want`. */
static int choose(struct template_run *r, const struct call *c, bool want, bool attr, struct value *out)
{
    struct getter g = { .path = { 0 } };
    struct value name = { 0 }, list, key, yes;
    struct args args = { 0 };
    struct keyed *k;
    size_t n, to = 0;

    if (!template_truth(&c->self))
        return template_iterator(r, NULL, 0, out);
    if (attr && !c->args->n)
        return template_fail(r, "Missing parameter for attribute name");
    if (attr)
        g.path = c->args->v[0];
    if (c->args->n > attr) {
        if (template_str_arg(r, &c->args->v[attr], "the test's name", &name) < 0)
            return -1;
        args = rest(c->args, attr + 1);
    }
    if (keyed_elements(r, &c->self, &k, &n) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (get(r, &g, &k[i].value, &key) < 0)
            return -1;
        yes = key;
        if (name.kind && template_call_named(r, TEMPLATE_TESTS, name.u.s, name.n, &key, &args, &yes) < 0)
            return -1;
        if (template_truth(&yes) == want)
            k[to++].value = k[i].value;
    }
    return values_of(r, k, to, &list) < 0 ? -1 : template_iterator(r, list.u.v, to, out);
}

static int do_select(struct template_run *r, const struct call *c, struct value *out)
{
    return choose(r, c, true, false, out);
}

static int do_reject(struct template_run *r, const struct call *c, struct value *out)
{
    return choose(r, c, false, false, out);
}

static int do_selectattr(struct template_run *r, const struct call *c, struct value *out)
{
    return choose(r, c, true, true, out);
}

static int do_rejectattr(struct template_run *r, const struct call *c, struct value *out)
{
    return choose(r, c, false, true, out);
}

const struct row template_seq_filters[] = {
    { "batch", do_batch, "linecount,fill_with=", 0 },
    { "dictsort", do_dictsort, "case_sensitive=,by=,reverse=", 0 },
    { "first", do_first, "", 0 },
    { "groupby", do_groupby, "attribute,default=,case_sensitive=", 0 },
    { "items", do_items, "", 0 },
    { "join", do_join, "d=,attribute=", 0 },
    { "last", do_last, "", 0 },
    { "list", do_list, "", 0 },
    { "map", do_map, "*", 0 },
    { "max", do_max, "case_sensitive=,attribute=", 0 },
    { "min", do_min, "case_sensitive=,attribute=", 0 },
    { "reject", do_reject, "*", 0 },
    { "rejectattr", do_rejectattr, "*", 0 },
    { "reverse", do_reverse, "", 0 },
    { "select", do_select, "*", 0 },
    { "selectattr", do_selectattr, "*", 0 },
    { "slice", do_slice, "slices,fill_with=", 0 },
    { "sort", do_sort, "reverse=,case_sensitive=,attribute=", 0 },
    { "sum", do_sum, "attribute=,start=", 0 },
    { "unique", do_unique, "case_sensitive=,attribute=", 0 },
    { NULL, NULL, NULL, 0 },
};
