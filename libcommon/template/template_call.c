/* template_call.c - from a name and arguments to a row of the tables, as Python binds them. */
#include <string.h>

#include "libcommon/template/template_in.h"

static const struct row *in_table(const struct row *table, const char *name, size_t n, uint32_t kind)
{
    for (; table->name; table++)
        if ((!kind || (table->kinds & kind)) && strlen(table->name) == n && memcmp(table->name, name, n) == 0)
            return table;
    return NULL;
}

const struct row *template_row(enum template_table table, const char *name, size_t n, uint32_t kind)
{
    static const struct row *const tables[][4] = {
        [TEMPLATE_FILTERS] = { template_filters, template_seq_filters },
        [TEMPLATE_TESTS] = { template_tests },
        [TEMPLATE_METHODS] = { template_methods, template_split_methods, template_container_methods },
        [TEMPLATE_GLOBALS] = { template_globals },
    };
    const struct row *row = NULL;

    for (int i = 0; !row && tables[table][i]; i++)
        row = in_table(tables[table][i], name, n, kind);
    return row;
}

/* The place of a parameter in "a,b=,c=", or -1; n_params: how many there are. */
static int param_place(const char *params, const char *name, size_t n)
{
    for (int i = 0; *params; i++) {
        size_t len = strcspn(params, ",="), rest = strcspn(params, ",");

        if (len == n && memcmp(params, name, n) == 0)
            return i;
        params += rest + (params[rest] == ',');
    }
    return -1;
}

/* Every parameter without = is there; at most as many positions as parameters. */
static int check_params(struct template_run *r, const struct row *row, const struct call *c)
{
    const char *p = row->params;
    int i = 0;

    for (; *p; i++) {
        size_t len = strcspn(p, ",="), rest = strcspn(p, ",");

        if (c->a[i].kind == V_ABSENT && p[len] != '=')
            return template_fail(r, "%s: the argument '%.*s' is missing", row->name, (int)len, p);
        p += rest + (p[rest] == ',');
    }
    if (c->args->n > i)
        return template_fail(r, "%s: %d arguments where %d are due at most", row->name, c->args->n, i);
    return 0;
}

int template_call_row(struct template_run *r, const struct row *row, const struct value *self, const struct args *args,
                      struct value *out)
{
    struct call c = { .self = *self, .args = args };
    int rc;

    if (!row->fn)
        return template_fail(r, "%s() is not supported", row->name);
    if (row->params[0] != '*') {
        for (int i = 0; i < args->n && i < TEMPLATE_PARAMS; i++)
            c.a[i] = args->v[i];
        for (int i = 0; i < args->n_kw; i++) {
            int at = param_place(row->params, args->kw[i].name, args->kw[i].n);

            if (at < 0 || at < args->n)
                return template_fail(r, "%s: an unexpected argument '%.*s'", row->name,
                                     (int)(args->kw[i].n < 80 ? args->kw[i].n : 80), args->kw[i].name);
            c.a[at] = args->kw[i].value;
        }
        if (check_params(r, row, &c) < 0)
            return -1;
    }
    if (template_charge(r, 1) < 0)
        return -1;
    if (r->depth >= TEMPLATE_DEPTH)
        return template_fail(r, "nested more than %d deep", TEMPLATE_DEPTH);
    r->depth++;
    rc = row->fn(r, &c, out);
    r->depth--;
    return rc < 0 ? -1 : template_charge(r, 0);
}

int template_call_named(struct template_run *r, enum template_table table, const char *name, size_t n,
                        const struct value *self, const struct args *args, struct value *out)
{
    const struct row *row = template_row(table, name, n, 0);

    if (!row)
        return template_fail(r, "no %s named '%.*s'", table == TEMPLATE_TESTS ? "test" : "filter", (int)(n < 80 ? n : 80), name);
    return template_call_row(r, row, self, args, out);
}

int template_call(struct template_run *r, const struct value *f, const struct args *args, struct value *out)
{
    switch (f->kind) {
    case V_BOUND:
        return template_call_row(r, f->u.bound->row, &f->u.bound->self, args, out);
    case V_MACRO:
        return template_call_macro(r, f->u.macro, args, out);
    case V_LOOP:
        return template_call_loop(r, f->u.loop, args, out);
    case V_UNDEFINED:
        return template_undefined_error(r, f);
    default:
        return template_fail(r, "'%s' object is not callable", template_kind(f));
    }
}

int template_int_arg(struct template_run *r, const struct value *v, const char *what, int64_t dflt, int64_t *out)
{
    *out = dflt;
    if (v->kind == V_ABSENT)
        return 0;
    if (v->kind == V_UNDEFINED)
        return template_undefined_error(r, v);
    if (!template_integer(v))
        return template_fail(r, "%s must be an integer, not %s", what, template_kind(v));
    *out = v->u.i;
    return 0;
}

int template_str_arg(struct template_run *r, const struct value *v, const char *what, struct value *out)
{
    if (v->kind == V_UNDEFINED)
        return template_undefined_error(r, v);
    if (v->kind != V_STRING)
        return template_fail(r, "%s must be a string, not %s", what, template_kind(v));
    *out = *v;
    return 0;
}

static int64_t edge(const struct value *v, size_t at)
{
    return (int64_t)(at < v->u.loop->n ? at : SIZE_MAX);
}

/* The members of loop that are not functions. */
static bool loop_member(const struct value *v, const char *name, struct value *out)
{
    const struct loop *l = v->u.loop;
    int64_t before = edge(v, l->at - 1), after = edge(v, l->at + 1);
    const struct {
        const char *name;
        struct value value;
    } members[] = {
        { "index", template_int((int64_t)l->at + 1) },
        { "index0", template_int((int64_t)l->at) },
        { "revindex", template_int((int64_t)(l->n - l->at)) },
        { "revindex0", template_int((int64_t)(l->n - l->at) - 1) },
        { "first", template_bool(l->at == 0) },
        { "last", template_bool(l->at + 1 == l->n) },
        { "length", template_int((int64_t)l->n) },
        { "depth", template_int(l->depth + 1) },
        { "depth0", template_int(l->depth) },
        { "previtem", before < 0 ? template_undefined(V_LOOP, "previtem", 8) : l->v[before] },
        { "nextitem", after < 0 ? template_undefined(V_LOOP, "nextitem", 8) : l->v[after] },
    };

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (strcmp(members[i].name, name) == 0) {
            *out = members[i].value;
            return true;
        }
    return false;
}

int template_member(struct template_run *r, const struct value *v, const char *name, size_t n, struct value *out)
{
    const struct row *row = template_row(TEMPLATE_METHODS, name, n, 1u << v->kind);
    struct value key = template_str(name, n);
    const struct value *found;
    int rc = 0;

    *out = template_undefined(v->kind, name, n);
    if (v->kind == V_NAMESPACE && n && *name != '_' && (found = template_dict_get(r, v->u.dict, &key, &rc)))
        *out = *found;
    else if (v->kind == V_LOOP && loop_member(v, name, out))
        return 0;
    else if (row) {
        struct bound *b = template_alloc(r, sizeof *b);

        *b = (struct bound){ row, *v };
        *out = (struct value){ .kind = V_BOUND, .u.bound = b };
    }
    return rc;
}

/* Python's own: never a key, and not for templates. */
static bool dunder(const char *name, size_t n)
{
    return n > 4 && !memcmp(name, "__", 2) && !memcmp(name + n - 2, "__", 2);
}

int template_attr(struct template_run *r, const struct value *v, const char *name, size_t n, struct value *out)
{
    struct value key = template_str(name, n);
    const struct value *found;
    int rc = 0;

    if (v->kind == V_UNDEFINED)
        return template_undefined_error(r, v);
    if (template_member(r, v, name, n, out) < 0)
        return -1;
    if (out->kind != V_UNDEFINED || v->kind != V_DICT || dunder(name, n))
        return 0;
    /* what changes a dict is there, though out of bounds: such a key does not show */
    if (template_row(TEMPLATE_METHODS, name, n, 1u << V_ABSENT))
        return 0;
    if ((found = template_dict_get(r, v->u.dict, &key, &rc)))
        *out = *found;
    return rc;
}
