/* template_method.c - the methods of strings, lists, dicts and loops. */
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/text/template_in.h"
#include "libcommon/text/unicode.h"

static int say(struct value *out, bool yes)
{
    *out = template_bool(yes);
    return 0;
}

static const char *find_in(const char *s, size_t n, const struct value *what, bool last)
{
    const char *found = NULL;

    if (what->n > n)
        return NULL;
    if (!last)
        return what->n ? memmem(s, n, what->u.s, what->n) : s;
    for (const char *p = s + n - what->n; p >= s && !found; p--)
        if (memcmp(p, what->u.s, what->n) == 0)
            found = p;
    return found;
}

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
            add(&p, start, template_strip(template_str(s, (size_t)(end - s)), false, true).n);
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
    joined = template_strip(*v, true, true);
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

    while ((most < 0 || most-- > 0) && (at = find_in(s, (size_t)(end - s), sep, false))) {
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

    while ((most < 0 || most-- > 0) && (at = find_in(s, (size_t)(end - s), sep, true))) {
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
    at = find_in(s, c->self.n, &sep, last);
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

static int do_replace(struct template_run *r, const struct call *c, struct value *out)
{
    const char *s = c->self.u.s, *end = s + c->self.n, *at;
    struct value from, to;
    int64_t most;
    size_t mark = template_mark(r);

    if (template_str_arg(r, &c->a[0], "what to replace", &from) < 0 || template_str_arg(r, &c->a[1], "the replacement", &to) < 0 ||
        template_int_arg(r, &c->a[2], "count", -1, &most) < 0 || template_charge(r, c->self.n / 32) < 0)
        return -1;
    while ((most < 0 || most-- > 0) && (at = find_in(s, (size_t)(end - s), &from, false))) {
        template_put(r, s, (size_t)(at - s));
        template_put(r, to.u.s, to.n);
        if (template_charge(r, 1 + to.n / 64) < 0)
            return -1;
        s = at + from.n;
        if (!from.n && s == end)
            return template_take(r, mark, out);
        if (!from.n) {
            size_t k = template_char(s, end);

            template_put(r, s, k);
            s += k;
        }
    }
    template_put(r, s, (size_t)(end - s));
    return template_take(r, mark, out);
}

/* The part of a string between two indices of characters (a[1], a[2]). */
static int window(struct template_run *r, const struct call *c, struct value *out, size_t *first)
{
    struct value part[3] = { c->a[1], c->a[2], { 0 } };
    int64_t n, start;

    *first = 0;
    *out = c->self;
    if (part[0].kind == V_ABSENT && part[1].kind == V_ABSENT)
        return 0;
    if (template_slice(r, &c->self, part, out) < 0)
        return -1;
    n = template_length(&c->self);
    start = template_integer(&part[0]) ? part[0].u.i : 0;
    start += start < 0 ? n : 0;
    *first = start < 0 ? 0 : (size_t)start;
    if (start > n)
        *first = SIZE_MAX;
    return 0;
}

static int ends(struct template_run *r, const struct call *c, bool at_end, struct value *out)
{
    const struct value *e = &c->a[0];
    size_t n = 1, first;
    struct value s, affix;

    if (e->kind == V_TUPLE) {
        n = e->n;
        e = e->u.v;
    }
    if (window(r, c, &s, &first) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (template_str_arg(r, &e[i], at_end ? "endswith's argument" : "startswith's argument", &affix) < 0)
            return -1;
        if (first != SIZE_MAX && affix.n <= s.n && memcmp(s.u.s + (at_end ? s.n - affix.n : 0), affix.u.s, affix.n) == 0)
            return say(out, true);
    }
    return say(out, false);
}

static int do_startswith(struct template_run *r, const struct call *c, struct value *out)
{
    return ends(r, c, false, out);
}

static int do_endswith(struct template_run *r, const struct call *c, struct value *out)
{
    return ends(r, c, true, out);
}

static int remove_affix(struct template_run *r, const struct call *c, bool at_end, struct value *out)
{
    struct value affix;

    if (template_str_arg(r, &c->a[0], "the affix", &affix) < 0)
        return -1;
    *out = c->self;
    if (affix.n <= out->n && memcmp(out->u.s + (at_end ? out->n - affix.n : 0), affix.u.s, affix.n) == 0) {
        out->u.s += at_end ? 0 : affix.n;
        out->n -= affix.n;
    }
    return 0;
}

static int do_removeprefix(struct template_run *r, const struct call *c, struct value *out)
{
    return remove_affix(r, c, false, out);
}

static int do_removesuffix(struct template_run *r, const struct call *c, struct value *out)
{
    return remove_affix(r, c, true, out);
}

/* Index of a character, or -1. */
static int find(struct template_run *r, const struct call *c, bool last, struct value *out)
{
    struct value s, what;
    const char *at;
    size_t first;

    if (template_str_arg(r, &c->a[0], "what to find", &what) < 0 || window(r, c, &s, &first) < 0 || template_charge(r, c->self.n / 32) < 0)
        return -1;
    at = first == SIZE_MAX ? NULL : find_in(s.u.s, s.n, &what, last);
    *out = template_int(at ? (int64_t)(template_chars(s.u.s, (size_t)(at - s.u.s)) + first) : -1);
    return 0;
}

static int do_find(struct template_run *r, const struct call *c, struct value *out)
{
    return find(r, c, false, out);
}

static int do_rfind(struct template_run *r, const struct call *c, struct value *out)
{
    return find(r, c, true, out);
}

static int found(struct template_run *r, const struct call *c, bool last, struct value *out)
{
    if (find(r, c, last, out) < 0)
        return -1;
    return out->u.i < 0 ? template_fail(r, "substring not found") : 0;
}

static int do_index(struct template_run *r, const struct call *c, struct value *out)
{
    return found(r, c, false, out);
}

static int do_rindex(struct template_run *r, const struct call *c, struct value *out)
{
    return found(r, c, true, out);
}

static int do_count(struct template_run *r, const struct call *c, struct value *out)
{
    struct value s, what;
    const char *p, *end, *at;
    int64_t n = 0;
    size_t first;

    if (template_str_arg(r, &c->a[0], "what to count", &what) < 0 || window(r, c, &s, &first) < 0 || template_charge(r, c->self.n / 32) < 0)
        return -1;
    p = s.u.s;
    end = p + s.n;
    if (first == SIZE_MAX)
        n = 0;
    else if (!what.n)
        n = (int64_t)template_chars(s.u.s, s.n) + 1;
    else
        for (; (at = find_in(p, (size_t)(end - p), &what, false)); n++)
            p = at + what.n;
    *out = template_int(n);
    return 0;
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

static int do_format(struct template_run *r, const struct call *c, struct value *out)
{
    return template_format(r, &c->self, c->args, out);
}

static int do_upper(struct template_run *r, const struct call *c, struct value *out)
{
    return template_case(r, &c->self, TEMPLATE_UPPER, out);
}

static int do_lower(struct template_run *r, const struct call *c, struct value *out)
{
    return template_case(r, &c->self, TEMPLATE_LOWER, out);
}

static int do_capitalize(struct template_run *r, const struct call *c, struct value *out)
{
    return template_case(r, &c->self, TEMPLATE_CAPITAL, out);
}

static int do_title(struct template_run *r, const struct call *c, struct value *out)
{
    return template_case(r, &c->self, TEMPLATE_WORDS, out);
}

static int do_swapcase(struct template_run *r, const struct call *c, struct value *out)
{
    return template_case(r, &c->self, TEMPLATE_SWAP, out);
}

static int do_isupper(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return say(out, template_has_case(&c->self, TEMPLATE_UPPER));
}

static int do_islower(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return say(out, template_has_case(&c->self, TEMPLATE_LOWER));
}

static bool is_digit(uint32_t cp)
{
    return (unicode_record(cp) & UNICODE_GENERAL) == UNICODE_ND || cp == 0xb2 || cp == 0xb3 || cp == 0xb9;
}

static bool is_letter(uint32_t cp)
{
    return unicode_letter(cp);
}

static bool is_alnum(uint32_t cp)
{
    return unicode_letter(cp) || unicode_number(cp);
}

static bool is_ascii(uint32_t cp)
{
    return cp < 128;
}

/* Are all characters so?  Of none: no, but for isascii(). */
static int all(const struct call *c, bool (*so)(uint32_t), struct value *out)
{
    const char *p = c->self.u.s, *end = p + c->self.n;
    bool yes = p < end || so == is_ascii;

    while (yes && p < end) {
        uint32_t cp = 0;

        p += utf8_decode(p, (size_t)(end - p), &cp);
        yes = so(cp);
    }
    return say(out, yes);
}

#define ALL_METHOD(name, so) \
    static int name(struct template_run *r, const struct call *c, struct value *out) \
    { \
        (void)r; \
        return all(c, (so), out); \
    }
ALL_METHOD(do_isalnum, is_alnum)
ALL_METHOD(do_isalpha, is_letter)
ALL_METHOD(do_isascii, is_ascii)
ALL_METHOD(do_isdigit, is_digit)
ALL_METHOD(do_isspace, template_space)

/* In a field of a[0] characters, filled with a[1]: share / 2 of the room goes in front. */
static int pad(struct template_run *r, const struct call *c, int share, struct value *out)
{
    struct value fill = template_str(" ", 1);
    size_t mark = template_mark(r);
    int64_t width, room, left;

    if (template_int_arg(r, &c->a[0], "width", 0, &width) < 0 ||
        (c->a[1].kind != V_ABSENT && template_str_arg(r, &c->a[1], "the fill character", &fill) < 0))
        return -1;
    if (template_chars(fill.u.s, fill.n) != 1)
        return template_fail(r, "the fill character must be exactly one character long");
    room = width - template_length(&c->self);
    if (room <= 0) {
        *out = c->self;
        return 0;
    }
    if ((uint64_t)room > r->most || template_charge(r, (size_t)room / 8) < 0)
        return template_fail(r, "more than %zu bytes of memory are needed", r->most);
    /* as CPython's center: of an odd room the larger half goes behind, but in front where the width is odd */
    left = share == 1 ? room / 2 + (room & width & 1) : share ? room : 0;
    for (int64_t i = 0; i < room; i++) {
        if (i == left)
            template_put(r, c->self.u.s, c->self.n);
        template_put(r, fill.u.s, fill.n);
    }
    if (left == room)
        template_put(r, c->self.u.s, c->self.n);
    return template_take(r, mark, out);
}

static int do_center(struct template_run *r, const struct call *c, struct value *out)
{
    return pad(r, c, 1, out);
}

static int do_ljust(struct template_run *r, const struct call *c, struct value *out)
{
    return pad(r, c, 0, out);
}

static int do_rjust(struct template_run *r, const struct call *c, struct value *out)
{
    return pad(r, c, 2, out);
}

static int do_zfill(struct template_run *r, const struct call *c, struct value *out)
{
    bool sign = c->self.n && (c->self.u.s[0] == '-' || c->self.u.s[0] == '+');
    struct call field = *c;
    struct value digits;
    size_t mark;

    if (template_int_arg(r, &c->a[0], "width", 0, &field.a[0].u.i) < 0)
        return -1;
    field.self.u.s += sign;
    field.self.n -= sign;
    field.a[0] = template_int(field.a[0].u.i - sign);
    field.a[1] = template_str("0", 1);
    if (pad(r, &field, 2, &digits) < 0)
        return -1;
    mark = template_mark(r);
    template_put(r, c->self.u.s, sign);
    template_put(r, digits.u.s, digits.n);
    return template_take(r, mark, out);
}

/* ---- dicts, lists, loops */

static int do_get(struct template_run *r, const struct call *c, struct value *out)
{
    int rc;
    const struct value *found_value = template_dict_get(r, c->self.u.dict, &c->a[0], &rc);

    *out = found_value ? *found_value : c->a[1].kind == V_ABSENT ? (struct value){ .kind = V_NONE } : c->a[1];
    return rc;
}

static int view(const struct call *c, enum kind kind, struct value *out)
{
    *out = c->self;
    out->kind = (uint8_t)kind;
    return 0;
}

static int do_items(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return view(c, V_ITEMS, out);
}

static int do_keys(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return view(c, V_KEYS, out);
}

static int do_values(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return view(c, V_VALUES, out);
}

/* Values do not change: a copy is the same. */
static int do_copy(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    *out = c->self;
    return 0;
}

static int count_equal(struct template_run *r, const struct call *c, size_t *first, int64_t *n)
{
    const struct value *e;
    size_t size;

    *n = 0;
    if (template_elements(r, &c->self, &e, &size) < 0)
        return -1;
    for (size_t i = 0; i < size; i++) {
        bool same;

        if (template_equal(r, &e[i], &c->a[0], &same) < 0)
            return -1;
        if (same && !(*n)++)
            *first = i;
    }
    return 0;
}

static int do_list_count(struct template_run *r, const struct call *c, struct value *out)
{
    size_t first;
    int64_t n;

    if (count_equal(r, c, &first, &n) < 0)
        return -1;
    *out = template_int(n);
    return 0;
}

static int do_list_index(struct template_run *r, const struct call *c, struct value *out)
{
    size_t first = 0;
    int64_t n;

    if (count_equal(r, c, &first, &n) < 0)
        return -1;
    *out = template_int((int64_t)first);
    return n ? 0 : template_fail(r, "the value is not in the list");
}

static int do_cycle(struct template_run *r, const struct call *c, struct value *out)
{
    if (!c->args->n)
        return template_fail(r, "no items for cycling given");
    *out = c->args->v[c->self.u.loop->at % (size_t)c->args->n];
    return 0;
}

static int do_changed(struct template_run *r, const struct call *c, struct value *out)
{
    struct loop *l = c->self.u.loop;
    struct value now = template_list(V_TUPLE, c->args->v, (size_t)c->args->n);
    bool same = false;

    if (l->asked && template_equal(r, &l->last, &now, &same) < 0)
        return -1;
    l->asked = true;
    l->last = now;
    return say(out, !same);
}

enum {
    STR = 1 << V_STRING,
    DICT = 1 << V_DICT,
    SEQ = 1 << V_LIST | 1 << V_TUPLE | 1 << V_RANGE,
    LIST = 1 << V_LIST,
    LOOP = 1 << V_LOOP,
};

/* A row without fn is there for Python, so that it hides a key of its name; for templates it is not to be called. */
const struct row template_methods_table[] = {
    { "capitalize", do_capitalize, "", STR },
    { "casefold", do_lower, "", STR },
    { "center", do_center, "width,fillchar=", STR },
    { "count", do_count, "sub,start=,end=", STR },
    { "encode", NULL, "*", STR },
    { "endswith", do_endswith, "suffix,start=,end=", STR },
    { "expandtabs", NULL, "*", STR },
    { "find", do_find, "sub,start=,end=", STR },
    { "format", do_format, "*", STR },
    { "format_map", NULL, "*", STR },
    { "index", do_index, "sub,start=,end=", STR },
    { "isalnum", do_isalnum, "", STR },
    { "isalpha", do_isalpha, "", STR },
    { "isascii", do_isascii, "", STR },
    { "isdecimal", do_isdigit, "", STR },
    { "isdigit", do_isdigit, "", STR },
    { "isidentifier", NULL, "*", STR },
    { "islower", do_islower, "", STR },
    { "isnumeric", do_isdigit, "", STR },
    { "isprintable", NULL, "*", STR },
    { "isspace", do_isspace, "", STR },
    { "istitle", NULL, "*", STR },
    { "isupper", do_isupper, "", STR },
    { "join", do_join, "iterable", STR },
    { "ljust", do_ljust, "width,fillchar=", STR },
    { "lower", do_lower, "", STR },
    { "lstrip", do_lstrip, "chars=", STR },
    { "maketrans", NULL, "*", STR },
    { "partition", do_partition, "sep", STR },
    { "removeprefix", do_removeprefix, "prefix", STR },
    { "removesuffix", do_removesuffix, "suffix", STR },
    { "replace", do_replace, "old,new,count=", STR },
    { "rfind", do_rfind, "sub,start=,end=", STR },
    { "rindex", do_rindex, "sub,start=,end=", STR },
    { "rjust", do_rjust, "width,fillchar=", STR },
    { "rpartition", do_rpartition, "sep", STR },
    { "rsplit", do_rsplit, "sep=,maxsplit=", STR },
    { "rstrip", do_rstrip, "chars=", STR },
    { "split", do_split, "sep=,maxsplit=", STR },
    { "splitlines", do_splitlines, "keepends=", STR },
    { "startswith", do_startswith, "prefix,start=,end=", STR },
    { "strip", do_strip, "chars=", STR },
    { "swapcase", do_swapcase, "", STR },
    { "title", do_title, "", STR },
    { "translate", NULL, "*", STR },
    { "upper", do_upper, "", STR },
    { "zfill", do_zfill, "width", STR },
    { "copy", do_copy, "", DICT | LIST },
    { "fromkeys", NULL, "*", DICT },
    { "get", do_get, "key,default=", DICT },
    { "items", do_items, "", DICT },
    { "keys", do_keys, "", DICT },
    { "values", do_values, "", DICT },
    { "count", do_list_count, "value", SEQ },
    { "index", do_list_index, "value", SEQ },
    { "changed", do_changed, "*", LOOP },
    { "cycle", do_cycle, "*", LOOP },
    /* what would change a dict: 1 << V_ABSENT says so */
    { "clear", NULL, "*", 1 << V_ABSENT },
    { "pop", NULL, "*", 1 << V_ABSENT },
    { "popitem", NULL, "*", 1 << V_ABSENT },
    { "setdefault", NULL, "*", 1 << V_ABSENT },
    { "update", NULL, "*", 1 << V_ABSENT },
    { NULL, NULL, NULL, 0 },
};
