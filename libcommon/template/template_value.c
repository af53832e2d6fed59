/* template_value.c - values as Python has them: memory, truth, equality, order, iteration. */
#include "libcommon/template/template_in.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

enum { BLOCK = 16384, SMALL = 4096 };

int template_fail(struct template_run *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(r->err->msg, sizeof r->err->msg, fmt, ap);
    va_end(ap);
    return -1;
}

int template_charge(struct template_run *r, size_t n)
{
    if (r->over)
        return template_fail(r, "more than %zu bytes of memory are needed", r->most);
    if (r->steps <= n)
        return template_fail(r, "it takes too many steps");
    r->steps -= n;
    return 0;
}

void *template_alloc(struct template_run *r, size_t size)
{
    char *p;

    if (size > SIZE_MAX / 4 || size > r->most - r->used) {
        r->over = true;
        if (size > SMALL) {
            template_charge(r, 0);
            return NULL;
        }
    }
    size = (size + 15) & ~(size_t)15;
    r->used += r->over ? 0 : size;
    if (size > SMALL)
        return arena_alloc(&r->arena, size);
    if (r->block_left < size) {
        r->block = arena_alloc(&r->arena, BLOCK);
        r->block_left = BLOCK;
    }
    p = r->block;
    r->block += size;
    r->block_left -= size;
    return p;
}

struct value *template_values(struct template_run *r, size_t n)
{
    return template_alloc(r, n > SIZE_MAX / sizeof(struct value) ? SIZE_MAX : n * sizeof(struct value));
}

void template_put(struct template_run *r, const char *s, size_t n)
{
    r->over = r->over || n > r->most - r->n;
    if (r->over || !n)
        return;
    mem_grow(&r->text, &r->cap, r->n + n, 1);
    memcpy(r->text + r->n, s, n);
    r->n += n;
}

size_t template_mark(const struct template_run *r)
{
    return r->n;
}

int template_take(struct template_run *r, size_t mark, struct value *out)
{
    size_t n = r->n - mark;
    char *s;

    r->n = mark;
    if (template_charge(r, n / 64 + 1) < 0 || !(s = template_alloc(r, n)))
        return -1;
    memcpy(s, n ? r->text + mark : "", n);
    *out = template_str(s, n);
    return 0;
}

struct value template_undefined(enum kind of, const char *s, size_t n)
{
    return (struct value){ .kind = V_UNDEFINED, .of = (uint8_t)of, .u.s = s, .n = n };
}

static const char *const kinds[] = {
    [V_ABSENT] = "nothing", [V_UNDEFINED] = "Undefined", [V_NONE] = "NoneType", [V_BOOL] = "bool", [V_INT] = "int",
    [V_FLOAT] = "float", [V_BIG] = "int", [V_STRING] = "str", [V_LIST] = "list", [V_TUPLE] = "tuple", [V_DICT] = "dict",
    [V_KEYS] = "dict_keys", [V_VALUES] = "dict_values", [V_ITEMS] = "dict_items", [V_RANGE] = "range",
    [V_ITERATOR] = "generator", [V_NAMESPACE] = "Namespace", [V_LOOP] = "LoopContext", [V_MACRO] = "Macro",
    [V_BOUND] = "function",
};

const char *template_kind(const struct value *v)
{
    return kinds[v->kind];
}

int template_undefined_error(struct template_run *r, const struct value *v)
{
    int n = (int)(v->n < 200 ? v->n : 200);

    if (v->of == V_ABSENT)
        return template_fail(r, "'%.*s' is undefined", n, v->u.s);
    return template_fail(r, "'%s' has no attribute '%.*s'", kinds[v->of], n, v->u.s);
}

int64_t template_length(const struct value *v)
{
    switch (v->kind) {
    case V_UNDEFINED:
        return 0;
    case V_STRING:
        return (int64_t)template_chars(v->u.s, v->n);
    case V_LIST:
    case V_TUPLE:
    case V_RANGE:
        return (int64_t)v->n;
    case V_DICT:
    case V_KEYS:
    case V_VALUES:
    case V_ITEMS:
        return (int64_t)v->u.dict->n;
    case V_LOOP:
        return (int64_t)v->u.loop->n;
    default:
        return -1;
    }
}

bool template_truth(const struct value *v)
{
    switch (v->kind) {
    case V_ABSENT:
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
    case V_INT:
        return v->u.i != 0;
    case V_FLOAT:
        return v->u.f != 0;
    case V_STRING:
        return v->n != 0;
    default:
        return template_length(v) != 0;
    }
}

static int compare_numbers(const struct value *a, const struct value *b)
{
    if (template_integer(a) && template_integer(b))
        return (a->u.i > b->u.i) - (a->u.i < b->u.i);

    long double x = a->kind == V_FLOAT ? (long double)a->u.f : (long double)a->u.i;
    long double y = b->kind == V_FLOAT ? (long double)b->u.f : (long double)b->u.i;

    return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

static int compare_strings(const struct value *a, const struct value *b)
{
    int c = memcmp(a->u.s, b->u.s, a->n < b->n ? a->n : b->n);

    return c ? (c > 0) - (c < 0) : (a->n > b->n) - (a->n < b->n);
}

static int deeper(struct template_run *r)
{
    if (r->depth >= TEMPLATE_DEPTH)
        return template_fail(r, "nested more than %d deep", TEMPLATE_DEPTH);
    r->depth++;
    return template_charge(r, 1);
}

static int equal_lists(struct template_run *r, const struct value *a, const struct value *b, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++)
        if (template_equal(r, &a->u.v[i], &b->u.v[i], out) < 0)
            return -1;
    return 0;
}

static int equal_dicts(struct template_run *r, const struct dict *a, const struct dict *b, bool *out)
{
    int rc;

    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        const struct value *other = template_dict_get(r, b, &a->v[i].key, &rc);

        *out = other != NULL;
        if (rc < 0 || (other && template_equal(r, &a->v[i].value, other, out) < 0))
            return -1;
    }
    return 0;
}

static int equal(struct template_run *r, const struct value *a, const struct value *b, bool *out)
{
    if (template_number(a) && template_number(b)) {
        *out = compare_numbers(a, b) == 0;
        return 0;
    }
    *out = false;
    if (a->kind != b->kind)
        return 0;
    switch (a->kind) {
    case V_UNDEFINED:
    case V_NONE:
        *out = true;
        return 0;
    case V_BIG:
    case V_STRING:
        *out = a->n == b->n && memcmp(a->u.s, b->u.s, a->n) == 0;
        return template_charge(r, a->n / 256);
    case V_LIST:
    case V_TUPLE:
        return equal_lists(r, a, b, out);
    case V_DICT:
        return equal_dicts(r, a->u.dict, b->u.dict, out);
    case V_RANGE:
        *out = a->n == b->n && (!a->n || (a->u.range->start == b->u.range->start && (a->n == 1 || a->u.range->step == b->u.range->step)));
        return 0;
    default:
        *out = a->u.v == b->u.v;
        return 0;
    }
}

int template_equal(struct template_run *r, const struct value *a, const struct value *b, bool *out)
{
    int rc = deeper(r);

    if (rc == 0)
        rc = equal(r, a, b, out);
    r->depth--;
    return rc;
}

static int order_lists(struct template_run *r, const struct value *a, const struct value *b, int *out)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        bool same;

        if (template_equal(r, &a->u.v[i], &b->u.v[i], &same) < 0)
            return -1;
        if (!same)
            return template_order(r, &a->u.v[i], &b->u.v[i], out);
    }
    *out = (a->n > b->n) - (a->n < b->n);
    return 0;
}

int template_order(struct template_run *r, const struct value *a, const struct value *b, int *out)
{
    int rc;

    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
        return template_undefined_error(r, a->kind == V_UNDEFINED ? a : b);
    if (template_number(a) && template_number(b)) {
        *out = compare_numbers(a, b);
        return 0;
    }
    if (a->kind == V_STRING && b->kind == V_STRING) {
        *out = compare_strings(a, b);
        return template_charge(r, a->n / 256 + 1);
    }
    if (a->kind != b->kind || (a->kind != V_LIST && a->kind != V_TUPLE))
        return template_fail(r, "'%s' and '%s' have no order", template_kind(a), template_kind(b));
    rc = deeper(r);
    if (rc == 0)
        rc = order_lists(r, a, b, out);
    r->depth--;
    return rc;
}

bool template_iterable(const struct value *v)
{
    return v->kind == V_ITERATOR || v->kind == V_UNDEFINED || template_length(v) >= 0;
}

int template_iterator(struct template_run *r, const struct value *v, size_t n, struct value *out)
{
    struct iterator *it = template_alloc(r, sizeof *it);

    *it = (struct iterator){ v, n, 0 };
    *out = (struct value){ .kind = V_ITERATOR, .u.iterator = it };
    return 0;
}

static void pair_value(struct template_run *r, const struct value *v, const struct pair *p, struct value *out)
{
    struct value *both;

    if (v->kind == V_VALUES) {
        *out = p->value;
    } else if (v->kind == V_ITEMS) {
        both = template_values(r, 2);
        both[0] = p->key;
        both[1] = p->value;
        *out = template_list(V_TUPLE, both, 2);
    } else {
        *out = p->key;
    }
}

int template_elements(struct template_run *r, const struct value *v, const struct value **out, size_t *n)
{
    int64_t length = template_length(v);
    struct value *e;

    if (v->kind == V_LIST || v->kind == V_TUPLE || v->kind == V_ITERATOR || v->kind == V_LOOP) {
        static const struct value none;
        struct iterator *it = v->u.iterator;

        *n = v->kind <= V_TUPLE ? v->n : v->kind == V_LOOP ? 0 : it->n - it->at;
        *out = !*n ? &none : v->kind <= V_TUPLE ? v->u.v : it->v + it->at;
        if (v->kind == V_ITERATOR)
            it->at = it->n;
        return 0;
    }
    if (length < 0)
        return template_fail(r, "'%s' object is not iterable", template_kind(v));
    *n = (size_t)length;
    *out = e = template_values(r, *n);
    if (!e || template_charge(r, *n / 8) < 0)
        return -1;
    if (v->kind == V_STRING) {
        const char *s = v->u.s, *end = s + v->n;

        for (size_t k; s < end; s += k)
            *e++ = template_str(s, k = template_char(s, end));
    } else if (v->kind == V_RANGE) {
        for (size_t i = 0; i < *n; i++)
            e[i] = template_int(v->u.range->start + (int64_t)i * v->u.range->step);
    } else {
        for (size_t i = 0; i < *n; i++)
            pair_value(r, v, &v->u.dict->v[i], &e[i]);
    }
    return 0;
}

int template_contains(struct template_run *r, const struct value *in, const struct value *v, bool *out)
{
    const struct value *e;
    size_t n;
    int rc;

    if (in->kind == V_STRING) {
        if (v->kind != V_STRING)
            return v->kind == V_UNDEFINED ? template_undefined_error(r, v)
                                          : template_fail(r, "'in <string>' requires string as left operand, not %s", template_kind(v));
        *out = !v->n || memmem(in->u.s, in->n, v->u.s, v->n);
        return template_charge(r, in->n / 32);
    }
    if (in->kind == V_DICT || in->kind == V_KEYS) {
        *out = template_dict_get(r, in->u.dict, v, &rc) != NULL;
        return rc;
    }
    if (!template_iterable(in))
        return template_fail(r, "argument of type '%s' is not iterable", template_kind(in));
    if (template_elements(r, in, &e, &n) < 0)
        return -1;
    *out = false;
    for (size_t i = 0; i < n && !*out; i++) {
        if (template_equal(r, &e[i], v, out) < 0)
            return -1;
        if (*out && in->kind == V_ITERATOR)
            in->u.iterator->at -= n - i - 1;
    }
    return 0;
}

size_t template_char(const char *s, const char *end)
{
    size_t n = 1;

    while (s + n < end && (s[n] & 0xc0) == 0x80)
        n++;
    return n;
}

size_t template_chars(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += (s[i] & 0xc0) != 0x80;
    return count;
}

bool template_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

struct value template_strip(struct value v, bool left, bool right)
{
    uint32_t cp;
    int n;

    while (left && (n = utf8_decode(v.u.s, v.n, &cp)) && template_space(cp)) {
        v.u.s += n;
        v.n -= (size_t)n;
    }
    while (right && v.n) {
        size_t at = v.n - 1;

        while (at && (v.u.s[at] & 0xc0) == 0x80)
            at--;
        utf8_decode(v.u.s + at, v.n - at, &cp);
        if (!template_space(cp))
            break;
        v.n = at;
    }
    return v;
}
