/* template_test.c - the tests: x is name. */
#include <string.h>

#include "libcommon/template/template_in.h"

static int say(struct value *out, bool yes)
{
    *out = template_bool(yes);
    return 0;
}

/* Tests of the kind alone: a row's fn below asks whether self is one of these. */
static bool is(const struct call *c, uint32_t kinds)
{
    return kinds >> c->self.kind & 1;
}

#define KIND_TEST(name, kinds) \
    static int name(struct template_run *r, const struct call *c, struct value *out) \
    { \
        (void)r; \
        return say(out, is(c, (kinds))); \
    }
KIND_TEST(do_undefined, 1u << V_UNDEFINED)
KIND_TEST(do_defined, ~(1u << V_UNDEFINED))
KIND_TEST(do_none, 1u << V_NONE)
KIND_TEST(do_boolean, 1u << V_BOOL)
KIND_TEST(do_integer, 1u << V_INT | 1u << V_BIG)
KIND_TEST(do_float, 1u << V_FLOAT)
KIND_TEST(do_number, 1u << V_BOOL | 1u << V_INT | 1u << V_BIG | 1u << V_FLOAT)
KIND_TEST(do_string, 1u << V_STRING)
KIND_TEST(do_mapping, 1u << V_DICT)
KIND_TEST(do_sequence, 1u << V_UNDEFINED | 1u << V_STRING | 1u << V_LIST | 1u << V_TUPLE | 1u << V_DICT | 1u << V_RANGE)
KIND_TEST(do_callable, 1u << V_UNDEFINED | 1u << V_MACRO | 1u << V_BOUND | 1u << V_LOOP)

static int do_true(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return say(out, c->self.kind == V_BOOL && c->self.u.i);
}

static int do_false(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return say(out, c->self.kind == V_BOOL && !c->self.u.i);
}

static int do_iterable(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return say(out, template_iterable(&c->self));
}

static int do_escaped(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return say(out, c->self.kind == V_STRING && c->self.safe);
}

/* self % n == rest */
static int modulo(struct template_run *r, const struct call *c, const struct value *n, int64_t rest, struct value *out)
{
    struct value m, want = template_int(rest);
    bool yes;

    if (template_binary(r, N_MOD, &c->self, n, &m) < 0 || template_equal(r, &m, &want, &yes) < 0)
        return -1;
    return say(out, yes);
}

static int do_odd(struct template_run *r, const struct call *c, struct value *out)
{
    return modulo(r, c, &(struct value){ .kind = V_INT, .u.i = 2 }, 1, out);
}

static int do_even(struct template_run *r, const struct call *c, struct value *out)
{
    return modulo(r, c, &(struct value){ .kind = V_INT, .u.i = 2 }, 0, out);
}

static int do_divisibleby(struct template_run *r, const struct call *c, struct value *out)
{
    return modulo(r, c, &c->a[0], 0, out);
}

static int has_case(struct template_run *r, const struct call *c, enum template_case how, struct value *out)
{
    struct value s;

    return template_string(r, &c->self, &s) < 0 ? -1 : say(out, template_has_case(&s, how));
}

static int do_lower(struct template_run *r, const struct call *c, struct value *out)
{
    return has_case(r, c, TEMPLATE_LOWER, out);
}

static int do_upper(struct template_run *r, const struct call *c, struct value *out)
{
    return has_case(r, c, TEMPLATE_UPPER, out);
}

static int named(struct template_run *r, const struct call *c, enum template_table table, struct value *out)
{
    if (c->self.kind == V_LIST || c->self.kind == V_DICT)
        return template_fail(r, "a '%s' is no name", template_kind(&c->self));
    return say(out, c->self.kind == V_STRING && template_row(table, c->self.u.s, c->self.n, 0));
}

static int do_filter(struct template_run *r, const struct call *c, struct value *out)
{
    return named(r, c, TEMPLATE_FILTERS, out);
}

static int do_test(struct template_run *r, const struct call *c, struct value *out)
{
    return named(r, c, TEMPLATE_TESTS, out);
}

/* Identity: of what is one object, or a number or string that Python keeps one of. */
static int do_sameas(struct template_run *r, const struct call *c, struct value *out)
{
    const struct value *a = &c->self, *b = &c->a[0];
    bool yes = a->kind == b->kind;

    if (yes && (template_number(a) || a->kind == V_STRING))
        return template_equal(r, a, b, &yes) < 0 ? -1 : say(out, yes);
    return say(out, yes && (a->kind == V_NONE || (a->u.v == b->u.v && a->n == b->n)));
}

static int compare(struct template_run *r, const struct call *c, enum node_type op, struct value *out)
{
    bool yes;

    return template_compare(r, op, &c->self, &c->a[0], &yes) < 0 ? -1 : say(out, yes);
}

#define COMPARE_TEST(name, op) \
    static int name(struct template_run *r, const struct call *c, struct value *out) \
    { \
        return compare(r, c, (op), out); \
    }
COMPARE_TEST(do_eq, N_EQ)
COMPARE_TEST(do_ne, N_NE)
COMPARE_TEST(do_lt, N_LT)
COMPARE_TEST(do_le, N_LE)
COMPARE_TEST(do_gt, N_GT)
COMPARE_TEST(do_ge, N_GE)
COMPARE_TEST(do_in, N_IN)

const struct row template_tests[] = {
    { "boolean", do_boolean, "", 0 },
    { "callable", do_callable, "", 0 },
    { "defined", do_defined, "", 0 },
    { "divisibleby", do_divisibleby, "num", 0 },
    { "eq", do_eq, "other", 0 },
    { "equalto", do_eq, "other", 0 },
    { "==", do_eq, "other", 0 },
    { "escaped", do_escaped, "", 0 },
    { "even", do_even, "", 0 },
    { "false", do_false, "", 0 },
    { "filter", do_filter, "", 0 },
    { "float", do_float, "", 0 },
    { "ge", do_ge, "other", 0 },
    { ">=", do_ge, "other", 0 },
    { "greaterthan", do_gt, "other", 0 },
    { "gt", do_gt, "other", 0 },
    { ">", do_gt, "other", 0 },
    { "in", do_in, "seq", 0 },
    { "integer", do_integer, "", 0 },
    { "iterable", do_iterable, "", 0 },
    { "le", do_le, "other", 0 },
    { "<=", do_le, "other", 0 },
    { "lessthan", do_lt, "other", 0 },
    { "lower", do_lower, "", 0 },
    { "lt", do_lt, "other", 0 },
    { "<", do_lt, "other", 0 },
    { "mapping", do_mapping, "", 0 },
    { "ne", do_ne, "other", 0 },
    { "!=", do_ne, "other", 0 },
    { "none", do_none, "", 0 },
    { "number", do_number, "", 0 },
    { "odd", do_odd, "", 0 },
    { "sameas", do_sameas, "other", 0 },
    { "sequence", do_sequence, "", 0 },
    { "string", do_string, "", 0 },
    { "test", do_test, "", 0 },
    { "true", do_true, "", 0 },
    { "undefined", do_undefined, "", 0 },
    { "upper", do_upper, "", 0 },
    { NULL, NULL, NULL, 0 },
};
