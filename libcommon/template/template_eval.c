/* template_eval.c - expressions. */
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/template/template_in.h"

/* A name: of a scope, then of the variables, then a function. */
static int lookup(struct template_run *r, const struct name *name, struct value *out)
{
    const struct row *row;

    for (struct scope *s = r->scope; s; s = s->up)
        for (int i = s->n; i-- > 0;)
            if (s->v[i].name == name) {
                *out = s->v[i].value;
                return 0;
            }
    for (int i = 0; i < r->in->n_vars; i++) {
        const struct json_value *j = json_get(r->in->vars[i], name->s);

        if (j) {
            if (template_from_json(r, j, 0, out) < 0)
                return -1;
            template_bind(r, &r->context, name, out);
            return 0;
        }
    }
    row = template_row(TEMPLATE_GLOBALS, name->s, name->n, 0);
    *out = template_undefined(V_ABSENT, name->s, name->n);
    if (row) {
        struct bound *b = template_alloc(r, sizeof *b);

        *b = (struct bound){ row, { 0 } };
        *out = (struct value){ .kind = V_BOUND, .u.bound = b };
    }
    return 0;
}

static int eval_list(struct template_run *r, const struct node *n, struct value *out)
{
    struct value *v = template_values(r, (size_t)n->n);
    size_t i = 0;

    if (!v)
        return -1;
    for (const struct node *c = n->list; c; c = c->next)
        if (template_eval(r, c, &v[i++]) < 0)
            return -1;
    *out = template_list(n->type == N_LIST ? V_LIST : V_TUPLE, v, i);
    return 0;
}

static int eval_dict(struct template_run *r, const struct node *n, struct value *out)
{
    struct dict *d = template_dict(r);

    for (const struct node *c = n->list; c; c = c->next->next) {
        struct value key, v;

        if (template_eval(r, c, &key) < 0 || template_eval(r, c->next, &v) < 0 || template_dict_set(r, d, &key, &v) < 0)
            return -1;
    }
    *out = (struct value){ .kind = V_DICT, .u.dict = d };
    return 0;
}

/* The first side that decides, or the last. */
static int eval_logic(struct template_run *r, const struct node *n, struct value *out)
{
    for (const struct node *c = n->list; c; c = c->next) {
        if (template_eval(r, c, out) < 0)
            return -1;
        if (template_truth(out) == (n->type == N_OR))
            return 0;
    }
    return 0;
}

static int eval_concat(struct template_run *r, const struct node *n, struct value *out)
{
    struct value v[2];
    size_t mark;

    if (template_eval(r, n->a, &v[0]) < 0 || template_eval(r, n->b, &v[1]) < 0)
        return -1;
    mark = template_mark(r);
    for (int i = 0; i < 2; i++)
        if (template_show(r, &v[i], false, 0) < 0)
            return -1;
    return template_take(r, mark, out);
}

static int eval_compare(struct template_run *r, const struct node *n, struct value *out)
{
    struct value left, right;
    bool yes = true;

    if (template_eval(r, n->a, &left) < 0)
        return -1;
    for (const struct node *c = n->list; c && yes; c = c->next) {
        if (template_eval(r, c->a, &right) < 0)
            return -1;
        r->line = c->line;
        if (template_compare(r, c->type, &left, &right, &yes) < 0)
            return -1;
        left = right;
    }
    *out = template_bool(yes);
    return 0;
}

static int eval_sign(struct template_run *r, const struct node *n, struct value *out)
{
    if (template_eval(r, n->a, out) < 0)
        return -1;
    if (out->kind == V_UNDEFINED)
        return template_undefined_error(r, out);
    if (!template_number(out))
        return template_fail(r, "bad operand type for unary %c: '%s'", n->type == N_NEG ? '-' : '+', template_kind(out));
    if (out->kind == V_FLOAT)
        out->u.f = n->type == N_NEG ? -out->u.f : out->u.f;
    else if (n->type == N_NEG && out->u.i == INT64_MIN)
        return template_fail(r, "an integer beyond 64 bits");
    else
        *out = template_int(n->type == N_NEG ? -out->u.i : out->u.i);
    return 0;
}

static int eval_item(struct template_run *r, const struct node *n, struct value *out)
{
    struct value v, key, part[3] = { { 0 } };
    const struct node *s = n->b, *parts[3] = { s->a, s->b, s->c };

    if (template_eval(r, n->a, &v) < 0)
        return -1;
    if (s->type != N_SLICE) {
        if (template_eval(r, s, &key) < 0)
            return -1;
        r->line = n->line;
        return template_item(r, &v, &key, out);
    }
    for (int i = 0; i < 3; i++)
        if (parts[i] && template_eval(r, parts[i], &part[i]) < 0)
            return -1;
    r->line = n->line;
    return template_slice(r, &v, part, out);
}

static void add_arg(struct template_run *r, struct args *args, const struct value *v)
{
    if (args->n == args->cap) {
        int cap = args->cap ? args->cap * 2 : 4;
        struct value *more = template_values(r, (size_t)cap);

        if (!more)
            return;
        if (args->n)
            memcpy(more, args->v, (size_t)args->n * sizeof *more);
        args->v = more;
        args->cap = cap;
    }
    args->v[args->n++] = *v;
}

void template_add_keyword(struct template_run *r, struct args *args, const char *name, size_t n, const struct value *v)
{
    if (args->n_kw == args->kw_cap) {
        int cap = args->kw_cap ? args->kw_cap * 2 : 4;
        struct keyword *more = template_alloc(r, (size_t)cap * sizeof *more);

        if (!more)
            return;
        if (args->n_kw)
            memcpy(more, args->kw, (size_t)args->n_kw * sizeof *more);
        args->kw = more;
        args->kw_cap = cap;
    }
    args->kw[args->n_kw++] = (struct keyword){ name, n, *v };
}

static int add_all(struct template_run *r, struct args *args, const struct node *arg, const struct value *v)
{
    const struct value *e;
    size_t n;

    if (arg->type == N_STAR) {
        if (template_elements(r, v, &e, &n) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            add_arg(r, args, &e[i]);
        return template_charge(r, n);
    }
    if (v->kind != V_DICT)
        return template_fail(r, "the argument behind ** must be a mapping, not %s", template_kind(v));
    for (size_t i = 0; i < v->u.dict->n; i++) {
        const struct pair *p = &v->u.dict->v[i];

        if (p->key.kind != V_STRING)
            return template_fail(r, "keywords must be strings");
        template_add_keyword(r, args, p->key.u.s, p->key.n, &p->value);
    }
    return template_charge(r, v->u.dict->n);
}

int template_arguments(struct template_run *r, const struct node *list, struct args *args)
{
    for (const struct node *arg = list; arg; arg = arg->next) {
        struct value v;

        if (template_eval(r, arg->a, &v) < 0)
            return -1;
        if (arg->type == N_ARG)
            add_arg(r, args, &v);
        else if (arg->type == N_KEYWORD)
            template_add_keyword(r, args, arg->name->s, arg->name->n, &v);
        else if (add_all(r, args, arg, &v) < 0)
            return -1;
    }
    return template_charge(r, 1);
}

static int eval_call(struct template_run *r, const struct node *n, struct value *out)
{
    struct args args = { 0 };
    struct value f;

    if (template_eval(r, n->a, &f) < 0 || template_arguments(r, n->list, &args) < 0)
        return -1;
    r->line = n->line;
    return template_call(r, &f, &args, out);
}

/* A filter or test. */
static int eval_filter(struct template_run *r, const struct node *n, struct value *out)
{
    struct args args = { 0 };
    struct value self;

    if (template_eval(r, n->a, &self) < 0 || template_arguments(r, n->list, &args) < 0)
        return -1;
    r->line = n->line;
    return template_call_named(r, n->type == N_FILTER ? TEMPLATE_FILTERS : TEMPLATE_TESTS, n->name->s, n->name->n, &self, &args, out);
}

int template_filter_block(struct template_run *r, const struct node *n, const struct value *text, struct value *out)
{
    struct args args = { 0 };
    struct value self = *text;

    if (n->a && template_filter_block(r, n->a, text, &self) < 0)
        return -1;
    if (template_arguments(r, n->list, &args) < 0)
        return -1;
    r->line = n->line;
    return template_call_named(r, TEMPLATE_FILTERS, n->name->s, n->name->n, &self, &args, out);
}

static int eval(struct template_run *r, const struct node *n, struct value *out)
{
    struct value a, b;

    switch (n->type) {
    case N_CONST:
        *out = n->value;
        return 0;
    case N_NAME:
        return lookup(r, n->name, out);
    case N_LIST:
    case N_TUPLE:
        return eval_list(r, n, out);
    case N_DICT:
        return eval_dict(r, n, out);
    case N_NOT:
        if (template_eval(r, n->a, &a) < 0)
            return -1;
        *out = template_bool(!template_truth(&a));
        return 0;
    case N_NEG:
    case N_POS:
        return eval_sign(r, n, out);
    case N_AND:
    case N_OR:
        return eval_logic(r, n, out);
    case N_CONCAT:
        return eval_concat(r, n, out);
    case N_COMPARE:
        return eval_compare(r, n, out);
    case N_COND:
        if (template_eval(r, n->b, &a) < 0)
            return -1;
        *out = template_undefined(V_ABSENT, "an if without else", 18);
        return template_truth(&a) ? template_eval(r, n->a, out) : n->c ? template_eval(r, n->c, out) : 0;
    case N_ATTR:
        if (template_eval(r, n->a, &a) < 0)
            return -1;
        r->line = n->line;
        return template_attr(r, &a, n->name->s, n->name->n, out);
    case N_ITEM:
        return eval_item(r, n, out);
    case N_CALL:
        return eval_call(r, n, out);
    case N_FILTER:
    case N_TEST:
        return eval_filter(r, n, out);
    default:
        if (template_eval(r, n->a, &a) < 0 || template_eval(r, n->b, &b) < 0)
            return -1;
        r->line = n->line;
        return template_binary(r, n->type, &a, &b, out);
    }
}

int template_eval(struct template_run *r, const struct node *n, struct value *out)
{
    int rc;

    r->line = n->line;
    if (template_charge(r, 1) < 0)
        return -1;
    if (r->depth >= TEMPLATE_DEPTH)
        return template_fail(r, "nested more than %d deep", TEMPLATE_DEPTH);
    r->depth++;
    rc = eval(r, n, out);
    r->depth--;
    return rc;
}
