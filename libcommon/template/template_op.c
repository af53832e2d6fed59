/* template_op.c - Python's operators: arithmetic, comparison, %, indices and slices. */
#include "libcommon/template/template_in.h"

#include <math.h>
#include <string.h>

static int no_operator(struct template_run *r, const char *op, const struct value *a, const struct value *b)
{
    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
        return template_undefined_error(r, a->kind == V_UNDEFINED ? a : b);
    return template_fail(r, "unsupported operands of %s: '%s' and '%s'", op, template_kind(a), template_kind(b));
}

static void put_escaped(struct template_run *r, const struct value *v)
{
    static const char from[] = "&<>'\"", *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };

    if (v->safe) {
        template_put(r, v->u.s, v->n);
        return;
    }
    for (size_t i = 0; i < v->n; i++) {
        const char *c = memchr(from, v->u.s[i], sizeof from - 1);

        template_put(r, c ? to[c - from] : v->u.s + i, c ? strlen(to[c - from]) : 1);
    }
}

int template_escape(struct template_run *r, const struct value *v, struct value *out)
{
    size_t mark = template_mark(r);

    put_escaped(r, v);
    if (template_take(r, mark, out) < 0)
        return -1;
    out->safe = true;
    return 0;
}

static int add_strings(struct template_run *r, const struct value *a, const struct value *b, struct value *out)
{
    size_t mark = template_mark(r);
    bool safe = a->safe || b->safe;

    for (int i = 0; i < 2; i++) {
        const struct value *v = i ? b : a;

        if (safe)
            put_escaped(r, v);
        else
            template_put(r, v->u.s, v->n);
    }
    if (template_take(r, mark, out) < 0)
        return -1;
    out->safe = safe;
    return 0;
}

static int add_lists(struct template_run *r, const struct value *a, const struct value *b, struct value *out)
{
    struct value *v = template_values(r, a->n + b->n);

    if (!v || template_charge(r, (a->n + b->n) / 8) < 0)
        return -1;
    if (a->n)
        memcpy(v, a->u.v, a->n * sizeof *v);
    if (b->n)
        memcpy(v + a->n, b->u.v, b->n * sizeof *v);
    *out = template_list(a->kind, v, a->n + b->n);
    return 0;
}

/* A string, list or tuple, n times. */
static int repeat(struct template_run *r, const struct value *a, int64_t n, struct value *out)
{
    size_t size = a->kind == V_STRING ? a->n : a->n * sizeof(struct value), mark = template_mark(r);
    struct value *v;

    if (n <= 0 || !a->n) {
        *out = *a;
        out->n = 0;
        return 0;
    }
    if ((uint64_t)n > r->most / size)
        return template_fail(r, "more than %zu bytes of memory are needed", r->most);
    if (template_charge(r, (size_t)n * size / 64) < 0)
        return -1;
    if (a->kind == V_STRING) {
        for (int64_t i = 0; i < n; i++)
            template_put(r, a->u.s, a->n);
        return template_take(r, mark, out);
    }
    if (!(v = template_values(r, a->n * (size_t)n)))
        return -1;
    for (int64_t i = 0; i < n; i++)
        memcpy(v + (size_t)i * a->n, a->u.v, size);
    *out = template_list(a->kind, v, a->n * (size_t)n);
    return 0;
}

static int power(struct template_run *r, int64_t a, int64_t b, struct value *out)
{
    int64_t x = 1;

    if (b < 0) {
        if (!a)
            return template_fail(r, "0 cannot be raised to a negative power");
        *out = template_float(pow((double)a, (double)b));
        return 0;
    }
    for (; b; b >>= 1) {
        if ((b & 1) && __builtin_mul_overflow(x, a, &x))
            return template_fail(r, "an integer beyond 64 bits");
        if (b > 1 && __builtin_mul_overflow(a, a, &a))
            return template_fail(r, "an integer beyond 64 bits");
    }
    *out = template_int(x);
    return 0;
}

static int integers(struct template_run *r, enum node_type op, int64_t a, int64_t b, struct value *out)
{
    int64_t x = 0;
    bool over = false;

    if ((op == N_DIV || op == N_FLOORDIV || op == N_MOD) && b == 0)
        return template_fail(r, "division by zero");
    switch (op) {
    case N_ADD:
        over = __builtin_add_overflow(a, b, &x);
        break;
    case N_SUB:
        over = __builtin_sub_overflow(a, b, &x);
        break;
    case N_MUL:
        over = __builtin_mul_overflow(a, b, &x);
        break;
    case N_DIV:
        *out = template_float((double)((long double)a / (long double)b));
        return 0;
    case N_FLOORDIV:
        over = a == INT64_MIN && b == -1;
        x = over ? 0 : a / b - (a % b && (a % b < 0) != (b < 0));
        break;
    case N_MOD:
        x = b == -1 ? 0 : a % b;
        x += x && (x < 0) != (b < 0) ? b : 0;
        break;
    default:
        return power(r, a, b, out);
    }
    if (over)
        return template_fail(r, "an integer beyond 64 bits");
    *out = template_int(x);
    return 0;
}

/* As CPython: the remainder takes the divisor's sign, and the quotient fits it. */
static void divide(double a, double b, double *quotient, double *rest)
{
    double mod = fmod(a, b), div = (a - mod) / b;

    if (mod != 0 && (b < 0) != (mod < 0)) {
        mod += b;
        div -= 1;
    } else if (mod == 0) {
        mod = copysign(0, b);
    }
    *quotient = div != 0 ? floor(div) + (div - floor(div) > 0.5) : copysign(0, a / b);
    *rest = mod;
}

static int floats(struct template_run *r, enum node_type op, double a, double b, struct value *out)
{
    double x = 0, rest = 0;

    if ((op == N_DIV || op == N_FLOORDIV || op == N_MOD) && b == 0)
        return template_fail(r, "division by zero");
    if (op == N_POW && a == 0 && b < 0)
        return template_fail(r, "0 cannot be raised to a negative power");
    if (op == N_FLOORDIV || op == N_MOD)
        divide(a, b, &x, &rest);
    x = op == N_ADD ? a + b : op == N_SUB ? a - b : op == N_MUL ? a * b : op == N_DIV ? a / b : op == N_FLOORDIV ? x
        : op == N_MOD ? rest : pow(a, b);
    if (op == N_POW && ((isinf(x) && isfinite(a) && isfinite(b)) || (isnan(x) && !isnan(a) && !isnan(b))))
        return template_fail(r, "a power out of range");
    *out = template_float(x);
    return 0;
}

int template_binary(struct template_run *r, enum node_type op, const struct value *a, const struct value *b, struct value *out)
{
    static const char *const names[] = { [N_ADD] = "+", [N_SUB] = "-", [N_MUL] = "*", [N_DIV] = "/", [N_FLOORDIV] = "//",
                                         [N_MOD] = "%", [N_POW] = "**" };
    bool list_a = a->kind == V_STRING || a->kind == V_LIST || a->kind == V_TUPLE;
    bool list_b = b->kind == V_STRING || b->kind == V_LIST || b->kind == V_TUPLE;

    if (op == N_MOD && a->kind == V_STRING)
        return template_percent(r, a, b, out);
    if (template_integer(a) && template_integer(b))
        return integers(r, op, a->u.i, b->u.i, out);
    if (template_number(a) && template_number(b))
        return floats(r, op, template_double(a), template_double(b), out);
    if (op == N_ADD && a->kind == V_STRING && b->kind == V_STRING)
        return add_strings(r, a, b, out);
    if (op == N_ADD && a->kind == b->kind && list_a)
        return add_lists(r, a, b, out);
    if (op == N_MUL && list_a && template_integer(b))
        return repeat(r, a, b->u.i, out);
    if (op == N_MUL && list_b && template_integer(a))
        return repeat(r, b, a->u.i, out);
    if (op == N_ADD && list_a && b->kind != V_UNDEFINED)
        return template_fail(r, "can only concatenate %s (not \"%s\") to %s", template_kind(a), template_kind(b), template_kind(a));
    return no_operator(r, names[op], a, b);
}

int template_compare(struct template_run *r, enum node_type op, const struct value *a, const struct value *b, bool *out)
{
    int c;

    if (op == N_EQ || op == N_NE) {
        if (template_equal(r, a, b, out) < 0)
            return -1;
        *out ^= op == N_NE;
        return 0;
    }
    if (op == N_IN || op == N_NOT_IN) {
        if (template_contains(r, b, a, out) < 0)
            return -1;
        *out ^= op == N_NOT_IN;
        return 0;
    }
    if (template_order(r, a, b, &c) < 0)
        return -1;
    /* 2: one is not a number */
    *out = c != 2 && (op == N_LT ? c < 0 : op == N_LE ? c <= 0 : op == N_GT ? c > 0 : c >= 0);
    return 0;
}

/* ---- indices */

/* A slice's part: absent and None are *out as it is. */
static int slice_part(struct template_run *r, const struct value *v, int64_t *out)
{
    if (v->kind == V_UNDEFINED)
        return template_undefined_error(r, v);
    if (v->kind != V_ABSENT && v->kind != V_NONE && !template_integer(v))
        return template_fail(r, "slice indices must be integers or None, not %s", template_kind(v));
    if (template_integer(v))
        *out = v->u.i;
    return 0;
}

static int64_t clamp(int64_t i, int64_t n, int64_t low, int64_t high)
{
    i += i < 0 ? n : 0;
    return i < low ? low : i > high ? high : i;
}

static int slice_string(struct template_run *r, const struct value *e, int64_t start, int64_t step, size_t n, struct value *out)
{
    size_t mark = template_mark(r);

    for (size_t i = 0; i < n; i++) {
        const struct value *c = &e[start + (int64_t)i * step];

        template_put(r, c->u.s, c->n);
    }
    return template_take(r, mark, out);
}

/* Where a range stands after i steps; beyond its end it may wrap. */
static int64_t along(const struct range *g, int64_t i)
{
    return (int64_t)((uint64_t)g->start + (uint64_t)i * (uint64_t)g->step);
}

int template_slice(struct template_run *r, const struct value *v, const struct value part[3], struct value *out)
{
    int64_t step = 1, start, stop, n;
    const struct value *e;
    struct value *copy;
    size_t length, count;

    if (slice_part(r, &part[2], &step) < 0)
        return -1;
    if (v->kind == V_UNDEFINED)
        return template_undefined_error(r, v);
    if (v->kind != V_STRING && v->kind != V_LIST && v->kind != V_TUPLE && v->kind != V_RANGE)
        return template_fail(r, "'%s' object cannot be sliced", template_kind(v));
    if (step == 0 || step < -INT32_MAX || step > INT32_MAX)
        return template_fail(r, step ? "a slice step beyond 32 bits" : "slice step cannot be zero");
    if (template_elements(r, v, &e, &length) < 0)
        return -1;
    n = (int64_t)length;
    start = step < 0 ? n - 1 : 0;
    stop = step < 0 ? INT64_MIN : n;
    if (slice_part(r, &part[0], &start) < 0 || slice_part(r, &part[1], &stop) < 0)
        return -1;
    start = clamp(start, n, step < 0 ? -1 : 0, step < 0 ? n - 1 : n);
    stop = stop == INT64_MIN ? -1 : clamp(stop, n, step < 0 ? -1 : 0, step < 0 ? n - 1 : n);
    count = (size_t)(step > 0 ? (stop > start ? (stop - start - 1) / step + 1 : 0) : start > stop ? (start - stop - 1) / -step + 1 : 0);
    if (v->kind == V_STRING)
        return slice_string(r, e, start, step, count, out);
    if (v->kind == V_RANGE) {
        const struct range *g = v->u.range;
        struct range *part_of = template_alloc(r, sizeof *part_of);

        *part_of = (struct range){ along(g, start), along(g, stop), (int64_t)((uint64_t)g->step * (uint64_t)step) };
        *out = (struct value){ .kind = V_RANGE, .u.range = part_of, .n = count };
        return 0;
    }
    if (!(copy = template_values(r, count)))
        return -1;
    for (size_t i = 0; i < count; i++)
        copy[i] = e[start + (int64_t)i * step];
    *out = template_list(v->kind == V_TUPLE ? V_TUPLE : V_LIST, copy, count);
    return template_charge(r, count / 8);
}

/* v[i] of a sequence; false: out of range. */
static bool element(const struct value *v, int64_t i, struct value *out)
{
    int64_t n = template_length(v);

    i += i < 0 ? n : 0;
    if (i < 0 || i >= n)
        return false;
    if (v->kind == V_RANGE) {
        *out = template_int(v->u.range->start + i * v->u.range->step);
    } else if (v->kind == V_STRING) {
        const char *s = v->u.s, *end = s + v->n;

        while (i--)
            s += template_char(s, end);
        *out = template_str(s, template_char(s, end));
    } else {
        *out = v->u.v[i];
    }
    return true;
}

int template_item(struct template_run *r, const struct value *v, const struct value *key, struct value *out)
{
    struct value text;
    int rc = 0;

    if (v->kind == V_UNDEFINED)
        return template_undefined_error(r, v);
    if (v->kind == V_DICT) {
        const struct value *found = key->kind == V_LIST || key->kind == V_DICT ? NULL : template_dict_get(r, v->u.dict, key, &rc);

        if (found)
            *out = *found;
        if (found || rc < 0)
            return rc;
    } else if (template_integer(key) && (v->kind == V_STRING || v->kind == V_LIST || v->kind == V_TUPLE || v->kind == V_RANGE)) {
        if (template_charge(r, v->kind == V_STRING ? v->n / 32 : 0) < 0)
            return -1;
        if (element(v, key->u.i, out))
            return 0;
    }
    if (key->kind == V_STRING)
        return template_member(r, v, key->u.s, key->n, out);
    if (template_number(key) || key->kind == V_NONE) {
        if (template_string(r, key, &text) < 0)
            return -1;
        *out = template_undefined(v->kind, text.u.s, text.n);
    } else {
        *out = template_undefined(v->kind, template_kind(key), strlen(template_kind(key)));
    }
    return 0;
}
