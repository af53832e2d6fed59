/* template_method.c - the methods of strings, but for those of template_split.c. */
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/template/template_in.h"
#include "libcommon/text/unicode.h"

static int say(struct value *out, bool yes)
{
    *out = template_bool(yes);
    return 0;
}

const char *template_find(const char *s, size_t n, const struct value *what, bool last)
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

static int do_replace(struct template_run *r, const struct call *c, struct value *out)
{
    const char *s = c->self.u.s, *end = s + c->self.n, *at;
    struct value from, to;
    int64_t most;
    size_t mark = template_mark(r);

    if (template_str_arg(r, &c->a[0], "what to replace", &from) < 0 || template_str_arg(r, &c->a[1], "the replacement", &to) < 0 ||
        template_int_arg(r, &c->a[2], "count", -1, &most) < 0 || template_charge(r, c->self.n / 32) < 0)
        return -1;
    while ((most < 0 || most-- > 0) && (at = template_find(s, (size_t)(end - s), &from, false))) {
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
    at = first == SIZE_MAX ? NULL : template_find(s.u.s, s.n, &what, last);
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
        for (; (at = template_find(p, (size_t)(end - p), &what, false)); n++)
            p = at + what.n;
    *out = template_int(n);
    return 0;
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

/* A row without fn is there for Python, so that it hides a key of its name; for templates it is not to be called. */
const struct row template_methods[] = {
    { "capitalize", do_capitalize, "", 1 << V_STRING },
    { "center", do_center, "width,fillchar=", 1 << V_STRING },
    { "count", do_count, "sub,start=,end=", 1 << V_STRING },
    { "encode", NULL, "*", 1 << V_STRING },
    { "endswith", do_endswith, "suffix,start=,end=", 1 << V_STRING },
    { "expandtabs", NULL, "*", 1 << V_STRING },
    { "find", do_find, "sub,start=,end=", 1 << V_STRING },
    { "format", do_format, "*", 1 << V_STRING },
    { "format_map", NULL, "*", 1 << V_STRING },
    { "index", do_index, "sub,start=,end=", 1 << V_STRING },
    { "isalnum", do_isalnum, "", 1 << V_STRING },
    { "isalpha", do_isalpha, "", 1 << V_STRING },
    { "isascii", do_isascii, "", 1 << V_STRING },
    { "isdecimal", do_isdigit, "", 1 << V_STRING },
    { "isdigit", do_isdigit, "", 1 << V_STRING },
    { "isidentifier", NULL, "*", 1 << V_STRING },
    { "islower", do_islower, "", 1 << V_STRING },
    { "isnumeric", do_isdigit, "", 1 << V_STRING },
    { "isprintable", NULL, "*", 1 << V_STRING },
    { "isspace", do_isspace, "", 1 << V_STRING },
    { "istitle", NULL, "*", 1 << V_STRING },
    { "isupper", do_isupper, "", 1 << V_STRING },
    { "ljust", do_ljust, "width,fillchar=", 1 << V_STRING },
    { "lower", do_lower, "", 1 << V_STRING },
    { "maketrans", NULL, "*", 1 << V_STRING },
    { "removeprefix", do_removeprefix, "prefix", 1 << V_STRING },
    { "removesuffix", do_removesuffix, "suffix", 1 << V_STRING },
    { "replace", do_replace, "old,new,count=", 1 << V_STRING },
    { "rfind", do_rfind, "sub,start=,end=", 1 << V_STRING },
    { "rindex", do_rindex, "sub,start=,end=", 1 << V_STRING },
    { "rjust", do_rjust, "width,fillchar=", 1 << V_STRING },
    { "startswith", do_startswith, "prefix,start=,end=", 1 << V_STRING },
    { "swapcase", do_swapcase, "", 1 << V_STRING },
    { "title", do_title, "", 1 << V_STRING },
    { "translate", NULL, "*", 1 << V_STRING },
    { "upper", do_upper, "", 1 << V_STRING },
    { "zfill", do_zfill, "width", 1 << V_STRING },
    { NULL, NULL, NULL, 0 },
};
