/* template_parse.c - tokens to statements; template_new(). */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/template/template_in.h"

static struct node *body(struct parser *p, const char *const *ends);

const struct name *template_name(struct template *t, const char *s, size_t n)
{
    uint32_t h = 2166136261u;
    struct name *name;

    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    for (name = t->names[h & 255]; name; name = name->next)
        if (name->n == n && memcmp(name->s, s, n) == 0)
            return name;
    name = arena_alloc(&t->arena, sizeof *name);
    *name = (struct name){ arena_strndup(&t->arena, s, n), n, t->names[h & 255] };
    t->names[h & 255] = name;
    return name;
}

/* A name to assign to: not a constant. */
static struct node *target_name(struct parser *p, enum node_type type)
{
    static const char *const constants[] = { "true", "false", "none", "True", "False", "None" };
    struct node *n;

    if (p->at->type != T_NAME)
        return template_syntax(p, "a name is due");
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (template_is(p, constants[i]))
            return template_syntax(p, "cannot assign to '%s'", constants[i]);
    n = template_node(p, type);
    n->name = template_name(p->t, p->at->s, p->at->n);
    p->at++;
    return n;
}

static struct node *targets(struct parser *p, bool namespaces);

static struct node *target(struct parser *p, bool namespaces)
{
    struct node *n;

    if (template_skip(p, "(")) {
        if (template_enter(p) < 0 || !(n = targets(p, namespaces)))
            return NULL;
        template_leave(p);
        return template_expect(p, ")") == 0 ? n : NULL;
    }
    n = target_name(p, N_NAME);
    if (n && namespaces && template_skip(p, ".")) {
        if (p->at->type != T_NAME)
            return template_syntax(p, "a name is due");
        n->type = N_NS;
        n->value = template_str(template_name(p->t, p->at->s, p->at->n)->s, p->at->n);
        p->at++;
    }
    return n;
}

/* a, (b, c) */
static struct node *targets(struct parser *p, bool namespaces)
{
    struct node *first = target(p, namespaces), *n, *last = first;

    if (!first || !template_is(p, ","))
        return first;
    n = template_node(p, N_TUPLE);
    n->list = first;
    n->n = 1;
    while (template_skip(p, ",") && (p->at->type == T_NAME || template_is(p, "(")) && !template_is(p, "in")) {
        if (!(last->next = target(p, namespaces)))
            return NULL;
        last = last->next;
        n->n++;
    }
    return n;
}

static int block_end(struct parser *p)
{
    template_skip(p, ":");
    if (p->at->type != T_BLOCK_END) {
        template_syntax(p, "'%.*s' where %%} is due", (int)(p->at->n < 80 ? p->at->n : 80), p->at->s);
        return -1;
    }
    p->at++;
    return 0;
}

/* From the end of the tag to one of the words, which is the current token then. */
static int statements(struct parser *p, struct node **list, const char *const *ends)
{
    if (template_enter(p) < 0 || block_end(p) < 0)
        return -1;
    *list = body(p, ends);
    template_leave(p);
    return p->err->msg[0] ? -1 : 0;
}

/* The same up to one word, which is consumed. */
static int inner(struct parser *p, struct node **list, const char *end)
{
    if (statements(p, list, (const char *const[]){ end, NULL }) < 0)
        return -1;
    p->at++;
    return 0;
}

static struct node *parse_if(struct parser *p)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct node *n = template_node(p, N_IF);
    int depth = p->depth;

    if (!(n->a = template_tuple(p, false, NULL)) || statements(p, &n->list, ends) < 0)
        return NULL;
    if (template_skip(p, "elif")) {
        /* a chain of elif is depth to the evaluator */
        if (template_enter(p) < 0 || !(n->b = parse_if(p)))
            return NULL;
    } else if (template_skip(p, "else")) {
        if (inner(p, &n->b, "endif") < 0)
            return NULL;
    } else {
        p->at++;
    }
    p->depth = depth;
    return n;
}

static struct node *parse_for(struct parser *p)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    struct node *n = template_node(p, N_FOR);

    if (!(n->params = targets(p, false)) || template_expect(p, "in") < 0 || !(n->b = template_tuple(p, false, "recursive")))
        return NULL;
    if (template_skip(p, "if") && !(n->c = template_expression(p)))
        return NULL;
    n->flags = template_skip(p, "recursive") ? FOR_RECURSIVE : 0;
    if (statements(p, &n->list, ends) < 0)
        return NULL;
    if (template_skip(p, "else"))
        return inner(p, &n->other, "endfor") == 0 ? n : NULL;
    p->at++;
    return n;
}

static struct node *parse_set(struct parser *p)
{
    struct node *n = template_node(p, N_SET), *to = targets(p, true);

    if (!to)
        return NULL;
    n->a = to;
    if (template_skip(p, "="))
        return (n->b = template_tuple(p, true, NULL)) ? n : NULL;
    n->type = N_SET_BLOCK;
    n->b = template_filtered(p, NULL, false);
    return !p->err->msg[0] && inner(p, &n->list, "endset") == 0 ? n : NULL;
}

/* (a, b=1) */
static int signature(struct parser *p, struct node *macro)
{
    struct node *last = NULL;

    if (template_expect(p, "(") < 0)
        return -1;
    while (!template_is(p, ")")) {
        struct node *n;

        if ((last && template_expect(p, ",") < 0) || !(n = target_name(p, N_PARAM)))
            return -1;
        if (template_skip(p, "=")) {
            if (!(n->a = template_expression(p)))
                return -1;
        } else if (last && last->a) {
            template_syntax(p, "a parameter without default behind one that has it");
            return -1;
        }
        *(last ? &last->next : &macro->params) = n;
        last = n;
        macro->n++;
    }
    p->at++;
    return 0;
}

/* The body of a macro, which notes what special names it speaks of; what is around it speaks of them, too. */
static int macro_body(struct parser *p, struct node *macro, const char *end)
{
    uint8_t around = p->macro_flags;

    p->macro_flags = 0;
    if (inner(p, &macro->list, end) < 0)
        return -1;
    macro->flags = p->macro_flags;
    p->macro_flags |= around;
    return 0;
}

static struct node *parse_macro(struct parser *p)
{
    struct node *n = target_name(p, N_MACRO);

    return n && signature(p, n) == 0 && macro_body(p, n, "endmacro") == 0 ? n : NULL;
}

static struct node *parse_call(struct parser *p)
{
    struct node *n = template_node(p, N_CALL_BLOCK);

    n->b = template_node(p, N_MACRO);
    n->b->name = p->t->caller;
    if (template_is(p, "(") && signature(p, n->b) < 0)
        return NULL;
    if (!(n->a = template_expression(p)))
        return NULL;
    if (n->a->type != N_CALL)
        return template_syntax(p, "a call is due");
    return macro_body(p, n->b, "endcall") == 0 ? n : NULL;
}

static struct node *parse_filter(struct parser *p)
{
    struct node *n = template_node(p, N_FILTER_BLOCK);

    n->b = template_filtered(p, NULL, true);
    return n->b && inner(p, &n->list, "endfilter") == 0 ? n : NULL;
}

static struct node *parse_with(struct parser *p)
{
    struct node *n = template_node(p, N_WITH), *last = NULL;

    while (p->at->type != T_BLOCK_END) {
        struct node *set;

        if (last && template_expect(p, ",") < 0)
            return NULL;
        set = template_node(p, N_SET);
        if (!(set->a = targets(p, false)) || template_expect(p, "=") < 0 || !(set->b = template_expression(p)))
            return NULL;
        *(last ? &last->next : &n->params) = set;
        last = set;
    }
    return inner(p, &n->list, "endwith") == 0 ? n : NULL;
}

static struct node *parse_print(struct parser *p)
{
    struct node *n = template_node(p, N_PRINT), *last = NULL;

    while (p->at->type != T_BLOCK_END) {
        struct node *a;

        if ((last && template_expect(p, ",") < 0) || !(a = template_expression(p)))
            return NULL;
        *(last ? &last->next : &n->list) = a;
        last = a;
    }
    return n;
}

/* transformers' mark of what the assistant says: a call block, so names set in it stay in it. */
static struct node *parse_generation(struct parser *p)
{
    struct node *n = template_node(p, N_GENERATION);

    return inner(p, &n->list, "endgeneration") == 0 ? n : NULL;
}

static struct node *parse_break(struct parser *p)
{
    return template_node(p, N_BREAK);
}

static struct node *parse_continue(struct parser *p)
{
    return template_node(p, N_CONTINUE);
}

static const struct {
    const char *word;
    struct node *(*parse)(struct parser *p); /* behind the word */
} tags[] = {
    { "if", parse_if },
    { "for", parse_for },
    { "set", parse_set },
    { "macro", parse_macro },
    { "call", parse_call },
    { "filter", parse_filter },
    { "with", parse_with },
    { "print", parse_print },
    { "generation", parse_generation },
    { "break", parse_break },
    { "continue", parse_continue },
};

/* Behind {%. */
static struct node *statement(struct parser *p)
{
    size_t i = 0, n = sizeof tags / sizeof *tags;
    struct node *node;

    while (i < n && !template_is(p, tags[i].word))
        i++;
    if (i == n || p->at->type != T_NAME)
        return template_syntax(p, "unknown tag '%.*s'", (int)(p->at->n < 80 ? p->at->n : 80), p->at->s);
    p->at++;
    node = tags[i].parse(p);
    return node && block_end(p) == 0 ? node : NULL;
}

static struct node *text(struct parser *p)
{
    struct node *n = template_node(p, N_TEXT);

    n->value = template_str(p->at->s, p->at->n);
    p->at++;
    return n;
}

static struct node *print(struct parser *p)
{
    struct node *n = template_node(p, N_PRINT);

    p->at++;
    if (!(n->list = template_tuple(p, true, NULL)))
        return NULL;
    if (p->at->type != T_VAR_END)
        return template_syntax(p, "'%.*s' where }} is due", (int)(p->at->n < 80 ? p->at->n : 80), p->at->s);
    p->at++;
    return n;
}

/* Up to a tag of one of the words (NULL: to the end of the template).  An error is in p->err->msg. */
static struct node *body(struct parser *p, const char *const *ends)
{
    struct node *first = NULL, **to = &first;

    for (;;) {
        struct node *n;

        if (p->at->type == T_EOF) {
            if (ends)
                template_syntax(p, "the template ends where {%% %s %%} is due", ends[0]);
            return first;
        }
        if (p->at->type == T_BLOCK_BEGIN) {
            p->at++;
            for (int i = 0; ends && ends[i]; i++)
                if (template_is(p, ends[i]))
                    return first;
            n = statement(p);
        } else {
            n = p->at->type == T_TEXT ? text(p) : print(p);
        }
        if (!n)
            return NULL;
        *to = n;
        to = &n->next;
    }
}

struct template *template_new(const char *s, size_t n, const char *name, struct err *err)
{
    struct template *t = xcalloc(1, sizeof *t);
    struct lexed lexed = { 0 };
    struct parser p = { .t = t, .err = err };
    int rc;

    arena_init(&t->arena);
    t->file = xstrdup(name);
    t->loop = template_name(t, "loop", 4);
    t->caller = template_name(t, "caller", 6);
    t->varargs = template_name(t, "varargs", 7);
    t->kwargs = template_name(t, "kwargs", 6);
    err->msg[0] = 0;
    rc = template_lex(t, s, n, &lexed, err);
    if (rc == 0) {
        p.at = lexed.v;
        t->body = body(&p, NULL);
        rc = err->msg[0] ? -1 : 0;
    }
    free(lexed.v);
    if (rc == 0)
        return t;
    template_free(t);
    return NULL;
}

void template_free(struct template *t)
{
    if (!t)
        return;
    arena_release(&t->arena);
    free(t->file);
    free(t);
}
