/* template_exec.c - statements, macros and loops; template_render(). */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/template/template_in.h"

struct scope *template_scope(struct template_run *r, struct scope *up)
{
    struct scope *s = template_alloc(r, sizeof *s);

    *s = (struct scope){ .up = up };
    return s;
}

void template_bind(struct template_run *r, struct scope *s, const struct name *name, const struct value *v)
{
    for (int i = 0; i < s->n; i++)
        if (s->v[i].name == name) {
            s->v[i].value = *v;
            return;
        }
    if (s->n == s->cap) {
        int cap = s->cap ? s->cap * 2 : 4;
        struct binding *more = template_alloc(r, (size_t)cap * sizeof *more);

        if (!more)
            return;
        if (s->n)
            memcpy(more, s->v, (size_t)s->n * sizeof *more);
        s->v = more;
        s->cap = cap;
    }
    s->v[s->n++] = (struct binding){ name, *v };
}

static int assign_namespace(struct template_run *r, const struct node *target, const struct value *v)
{
    struct node name = { .type = N_NAME, .name = target->name, .line = target->line };
    struct value ns, key = target->value;

    if (template_eval(r, &name, &ns) < 0)
        return -1;
    if (ns.kind != V_NAMESPACE)
        return template_fail(r, "cannot assign attribute on non-namespace object");
    return template_dict_set(r, ns.u.dict, &key, v);
}

int template_assign(struct template_run *r, const struct node *target, const struct value *v)
{
    const struct value *e;
    size_t n, i = 0;

    if (target->type == N_NAME) {
        template_bind(r, r->scope, target->name, v);
        return 0;
    }
    if (target->type == N_NS)
        return assign_namespace(r, target, v);
    if (template_elements(r, v, &e, &n) < 0)
        return -1;
    if (n != (size_t)target->n)
        return template_fail(r, "%zu values to unpack, %d expected", n, target->n);
    for (const struct node *c = target->list; c; c = c->next)
        if (template_assign(r, c, &e[i++]) < 0)
            return -1;
    return 0;
}

/* What the statements print, taken off the output. */
static int capture(struct template_run *r, const struct node *list, struct value *out)
{
    size_t mark = template_mark(r);
    int rc;

    if (!r->captures++)
        r->root_n = mark;
    rc = template_exec(r, list);
    r->captures--;
    if (rc > 0)
        rc = template_fail(r, "break or continue outside a loop");
    return rc < 0 ? -1 : template_take(r, mark, out);
}

/* The same in a scope of its own. */
static int capture_scoped(struct template_run *r, const struct node *list, struct value *out)
{
    struct scope *s = r->scope;
    int rc;

    r->scope = template_scope(r, s);
    rc = capture(r, list, out);
    r->scope = s;
    return rc;
}

/* ---- loops */

/* The elements for which the loop's condition holds. */
static int filter(struct template_run *r, const struct node *n, struct scope *around, struct loop *l)
{
    struct value *kept = template_values(r, l->n), yes;
    size_t to = 0;
    int rc = kept ? 0 : -1;

    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        r->scope = template_scope(r, around);
        rc = template_assign(r, n->params, &l->v[i]) < 0 || template_eval(r, n->c, &yes) < 0 ? -1 : 0;
        if (rc == 0 && template_truth(&yes))
            kept[to++] = l->v[i];
    }
    l->v = kept;
    l->n = to;
    r->scope = around;
    return rc;
}

/* The loop over its elements, in scopes within l->scope.  The else is for a loop of which no round came to its end, be it that there
 * was none: continue and break pass over what Jinja2 knows it by. */
static int run_loop(struct template_run *r, struct loop *l)
{
    const struct node *n = l->node;
    struct value loop = { .kind = V_LOOP, .u.loop = l };
    struct scope *s = template_scope(r, l->scope), *before = r->scope;
    bool ended = false;
    int rc = 0;

    for (l->at = 0; rc >= 0 && rc != EXEC_BREAK && l->at < l->n; l->at++) {
        if (s->kept)
            s = template_scope(r, l->scope);
        s->n = 0;
        r->scope = s;
        template_bind(r, s, r->t->loop, &loop);
        rc = template_assign(r, n->params, &l->v[l->at]) < 0 ? -1 : template_exec(r, n->list);
        ended |= rc == 0;
    }
    if (rc >= 0 && !ended && n->other) {
        r->scope = template_scope(r, l->scope);
        rc = template_exec(r, n->other);
    } else if (rc > 0) {
        rc = 0;
    }
    r->scope = before;
    return rc;
}

static int start_loop(struct template_run *r, const struct node *n, const struct value *over, int depth, struct scope *scope)
{
    struct loop *l = template_alloc(r, sizeof *l);

    *l = (struct loop){ .depth = depth, .node = n, .scope = scope };
    if (template_elements(r, over, &l->v, &l->n) < 0 || (n->c && filter(r, n, scope, l) < 0))
        return -1;
    return run_loop(r, l);
}

static int exec_for(struct template_run *r, const struct node *n)
{
    struct value over;

    if (template_eval(r, n->b, &over) < 0)
        return -1;
    return start_loop(r, n, &over, 0, r->scope);
}

/* loop(children) of a recursive loop */
int template_call_loop(struct template_run *r, struct loop *l, const struct args *args, struct value *out)
{
    size_t mark = template_mark(r);
    int rc;

    if (!(l->node->flags & FOR_RECURSIVE) || args->n != 1 || args->n_kw)
        return template_fail(r, "the loop is not recursive, or its argument is not one");
    if (r->depth >= TEMPLATE_DEPTH)
        return template_fail(r, "nested more than %d deep", TEMPLATE_DEPTH);
    r->depth++;
    if (!r->captures++)
        r->root_n = mark;
    rc = start_loop(r, l->node, &args->v[0], l->depth + 1, l->scope);
    r->captures--;
    r->depth--;
    return rc < 0 ? -1 : template_take(r, mark, out);
}

/* ---- macros */

static void keep_scopes(struct scope *s)
{
    for (; s && !s->kept; s = s->up)
        s->kept = true;
}

static struct value new_macro(struct template_run *r, const struct node *n)
{
    struct macro *m = template_alloc(r, sizeof *m);

    *m = (struct macro){ n, r->scope };
    keep_scopes(r->scope);
    return (struct value){ .kind = V_MACRO, .u.macro = m };
}

/* Take a keyword out of the arguments. */
static bool take_keyword(struct args *args, const struct name *name, struct value *out)
{
    for (int i = 0; i < args->n_kw; i++)
        if (args->kw[i].n == name->n && memcmp(args->kw[i].name, name->s, name->n) == 0) {
            *out = args->kw[i].value;
            args->kw[i] = args->kw[--args->n_kw];
            return true;
        }
    return false;
}

/* What is left over goes to caller, varargs, kwargs where the macro speaks of them. */
static int bind_rest(struct template_run *r, const struct node *n, struct args *args)
{
    struct value v;
    struct dict *d;
    int extra = args->n > n->n ? args->n - n->n : 0;

    if (n->flags & MACRO_CALLER) {
        if (!take_keyword(args, r->t->caller, &v))
            v = template_undefined(V_ABSENT, "caller", 6);
        template_bind(r, r->scope, r->t->caller, &v);
    }
    if (n->flags & MACRO_KWARGS) {
        d = template_dict(r);
        for (int i = 0; i < args->n_kw; i++) {
            struct value key = template_str(args->kw[i].name, args->kw[i].n);

            if (template_dict_set(r, d, &key, &args->kw[i].value) < 0)
                return -1;
        }
        v = (struct value){ .kind = V_DICT, .u.dict = d };
        template_bind(r, r->scope, r->t->kwargs, &v);
    } else if (args->n_kw) {
        return template_fail(r, "macro '%s' takes no keyword argument '%.*s'", n->name->s,
                             (int)(args->kw[0].n < 80 ? args->kw[0].n : 80), args->kw[0].name);
    }
    if (n->flags & MACRO_VARARGS) {
        v = template_list(V_TUPLE, extra ? args->v + n->n : NULL, (size_t)extra);
        template_bind(r, r->scope, r->t->varargs, &v);
    } else if (extra) {
        return template_fail(r, "macro '%s' takes not more than %d arguments", n->name->s, n->n);
    }
    return 0;
}

static int bind_params(struct template_run *r, const struct node *n, struct args *args)
{
    bool missing[256];
    int i = 0;

    if (n->n > (int)sizeof missing)
        return template_fail(r, "macro '%s' has more than %zu parameters", n->name->s, sizeof missing);
    for (const struct node *p = n->params; p; p = p->next, i++) {
        struct value v = { 0 };

        missing[i] = i >= args->n && !take_keyword(args, p->name, &v);
        if (i < args->n)
            v = args->v[i];
        if (missing[i])
            v = template_undefined(V_ABSENT, p->name->s, p->name->n);
        template_bind(r, r->scope, p->name, &v);
    }
    if (bind_rest(r, n, args) < 0)
        return -1;
    i = 0;
    for (const struct node *p = n->params; p; p = p->next, i++) {
        struct value v;

        if (!missing[i] || !p->a)
            continue;
        if (template_eval(r, p->a, &v) < 0)
            return -1;
        template_bind(r, r->scope, p->name, &v);
    }
    return 0;
}

int template_call_macro(struct template_run *r, const struct macro *m, const struct args *given, struct value *out)
{
    struct scope *before = r->scope;
    struct args args = *given;
    int rc;

    if (r->depth >= TEMPLATE_DEPTH)
        return template_fail(r, "nested more than %d deep", TEMPLATE_DEPTH);
    if (args.n_kw) {
        /* taken out one by one: a copy */
        args.kw = template_alloc(r, (size_t)args.n_kw * sizeof *args.kw);
        if (!args.kw)
            return -1;
        memcpy(args.kw, given->kw, (size_t)args.n_kw * sizeof *args.kw);
    }
    r->depth++;
    r->scope = template_scope(r, m->scope);
    rc = bind_params(r, m->node, &args) < 0 ? -1 : capture(r, m->node->list, out);
    r->scope = before;
    r->depth--;
    return rc;
}

static int exec_call_block(struct template_run *r, const struct node *n)
{
    struct args args = { 0 };
    struct value f, out, caller = new_macro(r, n->b);

    if (template_eval(r, n->a->a, &f) < 0 || template_arguments(r, n->a->list, &args) < 0)
        return -1;
    template_add_keyword(r, &args, "caller", 6, &caller);
    r->line = n->line;
    return template_call(r, &f, &args, &out) < 0 ? -1 : template_show(r, &out, false, 0);
}

/* ---- the other statements */

static int exec_print(struct template_run *r, const struct node *n)
{
    for (const struct node *c = n->list; c; c = c->next) {
        struct value v;

        if (template_eval(r, c, &v) < 0)
            return -1;
        r->line = n->line;
        if (template_show(r, &v, false, 0) < 0)
            return -1;
    }
    return 0;
}

static int exec_set_block(struct template_run *r, const struct node *n)
{
    struct value v;

    if (capture_scoped(r, n->list, &v) < 0 || (n->b && template_filter_block(r, n->b, &v, &v) < 0))
        return -1;
    return template_assign(r, n->a, &v);
}

static int exec_filter_block(struct template_run *r, const struct node *n)
{
    struct value v;

    if (capture_scoped(r, n->list, &v) < 0 || template_filter_block(r, n->b, &v, &v) < 0)
        return -1;
    return template_show(r, &v, false, 0);
}

static int exec_with(struct template_run *r, const struct node *n)
{
    struct scope *before = r->scope, *s = template_scope(r, before);
    int rc = 0;

    for (const struct node *c = n->params; c && rc >= 0; c = c->next) {
        struct value v;

        rc = template_eval(r, c->b, &v); /* in the scope around */
        r->scope = s;
        if (rc == 0)
            rc = template_assign(r, c->a, &v);
        r->scope = before;
    }
    r->scope = s;
    if (rc == 0)
        rc = template_exec(r, n->list);
    r->scope = before;
    return rc;
}

static int exec_generation(struct template_run *r, const struct node *n)
{
    struct value v;
    size_t start = r->captures ? r->root_n : r->n;

    if (capture_scoped(r, n->list, &v) < 0)
        return -1;
    mem_grow(&r->spans, &r->spans_cap, r->n_spans + 1, sizeof *r->spans);
    r->spans[r->n_spans++] = (struct template_span){ start, start + v.n };
    template_put(r, v.u.s, v.n);
    return 0;
}

static int exec(struct template_run *r, const struct node *n)
{
    struct value v;

    r->line = n->line;
    switch (n->type) {
    case N_TEXT:
        template_put(r, n->value.u.s, n->value.n);
        return template_charge(r, n->value.n / 64 + 1);
    case N_PRINT:
        return exec_print(r, n);
    case N_IF:
        if (template_eval(r, n->a, &v) < 0)
            return -1;
        return template_exec(r, template_truth(&v) ? n->list : n->b);
    case N_FOR:
        return exec_for(r, n);
    case N_SET:
        return template_eval(r, n->b, &v) < 0 ? -1 : template_assign(r, n->a, &v);
    case N_SET_BLOCK:
        return exec_set_block(r, n);
    case N_MACRO:
        v = new_macro(r, n);
        template_bind(r, r->scope, n->name, &v);
        return 0;
    case N_CALL_BLOCK:
        return exec_call_block(r, n);
    case N_FILTER_BLOCK:
        return exec_filter_block(r, n);
    case N_WITH:
        return exec_with(r, n);
    case N_GENERATION:
        return exec_generation(r, n);
    default:
        return n->type == N_BREAK ? EXEC_BREAK : EXEC_CONTINUE;
    }
}

int template_exec(struct template_run *r, const struct node *list)
{
    int rc = 0;

    if (r->depth >= TEMPLATE_DEPTH)
        return template_fail(r, "nested more than %d deep", TEMPLATE_DEPTH);
    r->depth++;
    for (const struct node *n = list; n && !rc; n = n->next)
        rc = template_charge(r, 1) < 0 ? -1 : exec(r, n);
    r->depth--;
    return rc;
}

struct template_run *template_run_new(void)
{
    struct template_run *r = xcalloc(1, sizeof *r);

    arena_init(&r->arena);
    return r;
}

void template_run_free(struct template_run *r)
{
    if (!r)
        return;
    arena_release(&r->arena);
    free(r->text);
    free(r->spans);
    free(r);
}

int template_render(const struct template *t, struct template_run *r, const struct template_input *in,
                    struct template_result *out, struct err *err)
{
    int rc;

    arena_reset(&r->arena);
    *r = (struct template_run){ .arena = r->arena, .text = r->text, .cap = r->cap, .spans = r->spans, .spans_cap = r->spans_cap,
                                .most = in->memory ? in->memory : (size_t)256 << 20,
                                .steps = in->steps ? in->steps : 100000000, .t = t, .in = in, .err = err };
    r->scope = template_scope(r, &r->context);
    rc = template_exec(r, t->body);
    if (rc > 0)
        rc = template_fail(r, "break or continue outside a loop");
    if (rc == 0)
        rc = template_charge(r, 0);
    if (rc < 0)
        return err_prefix(err, "%s:%d", t->file, r->line);
    *out = (struct template_result){ r->text, r->n, r->spans, r->n_spans };
    return 0;
}
