/* template_value.c - values as Python has them: memory, dicts, truth, equality, order, iteration. */
#include "libcommon/text/template_in.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

enum { BLOCK = 16384, SMALL = 4096, INDEXED = 16 };

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
    if (n > r->most - r->n || r->over) {
        r->over = true;
        return;
    }
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

    return c ? c : (a->n > b->n) - (a->n < b->n);
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
        bool whole = v->kind <= V_TUPLE;
        const struct iterator *it = v->u.iterator;
        const struct loop *l = v->u.loop;

        *out = whole ? v->u.v : v->kind == V_LOOP ? l->v + l->n : it->v + it->at;
        *n = whole ? v->n : v->kind == V_LOOP ? 0 : it->n - it->at;
        if (v->kind == V_ITERATOR)
            v->u.iterator->at = it->n;
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
