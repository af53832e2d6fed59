/* template_expr.c - tokens to expressions, by Jinja's grammar and precedence. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/template/template_in.h"

static struct node *unary(struct parser *p, bool filters);

struct node *template_node(struct parser *p, enum node_type type)
{
    struct node *n = arena_calloc(&p->t->arena, 1, sizeof *n);

    n->type = (uint8_t)type;
    n->line = p->at->line;
    return n;
}

void *template_syntax(struct parser *p, const char *fmt, ...)
{
    char what[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    err_set(p->err, "%s:%d: %s", p->t->file, p->at->line, what);
    return NULL;
}

bool template_is(const struct parser *p, const char *word)
{
    return (p->at->type == T_NAME || p->at->type == T_OP) && p->at->n == strlen(word) && !memcmp(p->at->s, word, p->at->n);
}

bool template_skip(struct parser *p, const char *word)
{
    bool is = template_is(p, word);

    p->at += is;
    return is;
}

static void *unexpected(struct parser *p, const char *want)
{
    static const char *const what[] = { [T_EOF] = "the end of the template", [T_TEXT] = "text", [T_VAR_BEGIN] = "{{",
                                        [T_VAR_END] = "}}", [T_BLOCK_BEGIN] = "{%", [T_BLOCK_END] = "%}" };
    const struct token *t = p->at;

    if (t->type <= T_BLOCK_END)
        return template_syntax(p, "%s where %s is due", what[t->type], want);
    return template_syntax(p, "'%.*s' where %s is due", (int)(t->n < 80 ? t->n : 80), t->s, want);
}

int template_expect(struct parser *p, const char *word)
{
    if (template_skip(p, word))
        return 0;
    unexpected(p, word);
    return -1;
}

int template_enter(struct parser *p)
{
    if (p->depth++ < TEMPLATE_PARSE_DEPTH)
        return 0;
    template_syntax(p, "nested more than %d deep", TEMPLATE_PARSE_DEPTH);
    return -1;
}

void template_leave(struct parser *p)
{
    p->depth--;
}

static struct node *constant(struct parser *p, struct value v)
{
    struct node *n = template_node(p, N_CONST);

    n->value = v;
    return n;
}

static struct node *named(struct parser *p, enum node_type type)
{
    struct node *n = template_node(p, type);

    n->name = template_name(p->t, p->at->s, p->at->n);
    p->at++;
    return n;
}

/* a behind the last child of n. */
static void append(struct node *n, struct node **last, struct node *a)
{
    *(*last ? &(*last)->next : &n->list) = a;
    *last = a;
    n->n++;
}

static struct node *number(struct parser *p)
{
    const struct token *t = p->at;
    char *s = arena_alloc(&p->t->arena, t->n + 1), *end;
    size_t n = 0;
    struct node *node;

    for (size_t i = 0; i < t->n; i++)
        if (t->s[i] != '_')
            s[n++] = t->s[i];
    s[n] = 0;
    if (t->type == T_FLOAT) {
        node = constant(p, template_float(strtod(s, NULL)));
    } else {
        int base = s[0] != '0' ? 10 : (s[1] | 0x20) == 'x' ? 16 : (s[1] | 0x20) == 'o' ? 8 : (s[1] | 0x20) == 'b' ? 2 : 10;

        errno = 0;
        node = constant(p, template_int(strtoll(base == 10 ? s : s + 2, &end, base)));
        if (errno)
            return template_syntax(p, "%s: an integer beyond 64 bits", s);
    }
    p->at++;
    return node;
}

/* Strings side by side are one. */
static struct node *string(struct parser *p)
{
    const struct token *t = p->at;
    size_t n = 0;
    struct node *node;
    char *s;

    for (; p->at->type == T_STRING; p->at++)
        n += p->at->n;
    s = arena_alloc(&p->t->arena, n + 1);
    node = constant(p, template_str(s, n));
    node->line = t->line;
    for (n = 0; t < p->at; n += t++->n)
        memcpy(s + n, t->s, t->n);
    return node;
}

static struct node *name(struct parser *p)
{
    static const struct {
        const char *name;
        struct value value;
    } constants[] = {
        { "true", { .kind = V_BOOL, .u.i = 1 } },
        { "True", { .kind = V_BOOL, .u.i = 1 } },
        { "false", { .kind = V_BOOL } },
        { "False", { .kind = V_BOOL } },
        { "none", { .kind = V_NONE } },
        { "None", { .kind = V_NONE } },
    };
    struct node *n;

    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (template_skip(p, constants[i].name))
            return constant(p, constants[i].value);
    n = named(p, N_NAME);
    p->macro_flags |= (uint8_t)(n->name == p->t->caller ? MACRO_CALLER : n->name == p->t->varargs ? MACRO_VARARGS
                                : n->name == p->t->kwargs ? MACRO_KWARGS : 0);
    return n;
}

/* [a, b] and {a: b} */
static struct node *brackets(struct parser *p, enum node_type type, const char *close)
{
    struct node *n = template_node(p, type), *last = NULL, *a;

    p->at++;
    while (!template_is(p, close)) {
        if (n->list && template_expect(p, ",") < 0)
            return NULL;
        if (template_is(p, close))
            break;
        if (!(a = template_expression(p)))
            return NULL;
        append(n, &last, a);
        if (type == N_DICT) {
            if (template_expect(p, ":") < 0 || !(a = template_expression(p)))
                return NULL;
            append(n, &last, a);
        }
    }
    p->at++;
    return n;
}

static struct node *primary(struct parser *p)
{
    struct node *n;

    if (p->at->type == T_NAME)
        return name(p);
    if (p->at->type == T_STRING)
        return string(p);
    if (p->at->type == T_INT || p->at->type == T_FLOAT)
        return number(p);
    if (template_is(p, "["))
        return brackets(p, N_LIST, "]");
    if (template_is(p, "{"))
        return brackets(p, N_DICT, "}");
    if (!template_is(p, "("))
        return unexpected(p, "an expression");
    p->at++;
    if (template_is(p, ")")) {
        n = template_node(p, N_TUPLE);
        p->at++;
        return n;
    }
    n = template_tuple(p, true, NULL);
    return n && template_expect(p, ")") == 0 ? n : NULL;
}

/* One of what stands in a[...], comma apart. */
static struct node *subscript(struct parser *p)
{
    struct node *n = template_node(p, N_SLICE), **part[] = { &n->a, &n->b, &n->c };

    for (int i = 0; i < 3; i++) {
        if (!template_is(p, ":") && !template_is(p, "]") && !template_is(p, ",")) {
            if (!(*part[i] = template_expression(p)))
                return NULL;
        } else if (i == 0 && !template_is(p, ":")) {
            return unexpected(p, "an index");
        }
        if (!template_is(p, ":") || i == 2)
            return i == 0 ? n->a : n;
        p->at++;
    }
    return n;
}

static struct node *item(struct parser *p, struct node *a)
{
    struct node *n = template_node(p, N_ITEM), *tuple = NULL, *last = NULL;

    n->a = a;
    p->at++;
    if (!(n->b = subscript(p)))
        return NULL;
    while (template_skip(p, ",")) {
        struct node *more = template_is(p, "]") ? NULL : subscript(p);

        if (!tuple) {
            tuple = template_node(p, N_TUPLE);
            append(tuple, &last, n->b);
            n->b = tuple;
        }
        if (!more)
            return template_is(p, "]") ? template_syntax(p, "an index is due") : NULL;
        append(tuple, &last, more);
    }
    for (struct node *x = tuple ? tuple->list : NULL; x; x = x->next)
        if (x->type == N_SLICE)
            return template_syntax(p, "a slice among several indices");
    return template_expect(p, "]") == 0 ? n : NULL;
}

static struct node *dot(struct parser *p, struct node *a)
{
    struct node *n;

    p->at++;
    if (p->at->type == T_NAME) {
        n = named(p, N_ATTR);
    } else if (p->at->type == T_INT) {
        n = template_node(p, N_ITEM);
        n->b = number(p);
        if (!n->b)
            return NULL;
    } else {
        return unexpected(p, "a name");
    }
    n->a = a;
    return n;
}

/* (a, b, c=d, *e, **f) behind n */
static int arguments(struct parser *p, struct node *n)
{
    struct node *last = NULL;
    bool star = false, starstar = false, keyword = false;

    p->at++;
    while (!template_is(p, ")")) {
        struct node *arg;
        bool ok;

        if (n->list && template_expect(p, ",") < 0)
            return -1;
        if (template_is(p, ")"))
            break;
        if (template_is(p, "*") || template_is(p, "**")) {
            arg = template_node(p, template_is(p, "*") ? N_STAR : N_STARSTAR);
            ok = !starstar && (arg->type == N_STARSTAR || !star);
            *(arg->type == N_STAR ? &star : &starstar) = true;
            p->at++;
        } else if (p->at->type == T_NAME && p->at[1].type == T_OP && p->at[1].n == 1 && *p->at[1].s == '=') {
            arg = named(p, N_KEYWORD);
            ok = !starstar;
            keyword = true;
            p->at++;
        } else {
            arg = template_node(p, N_ARG);
            ok = !star && !starstar && !keyword;
        }
        if (!ok) {
            template_syntax(p, "an argument is out of order");
            return -1;
        }
        if (!(arg->a = template_expression(p)))
            return -1;
        append(n, &last, arg);
    }
    p->at++;
    return 0;
}

static struct node *call(struct parser *p, struct node *a)
{
    struct node *n = template_node(p, N_CALL);

    n->a = a;
    return arguments(p, n) == 0 ? n : NULL;
}

static struct node *postfix(struct parser *p, struct node *n)
{
    while (n) {
        if (template_is(p, "."))
            n = dot(p, n);
        else if (template_is(p, "["))
            n = item(p, n);
        else if (template_is(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}

/* The name of a filter or test, which may hold dots, and its arguments. */
static struct node *filter_name(struct parser *p, enum node_type type)
{
    const char *s = p->at->s;
    struct node *n;
    size_t size;

    if (p->at->type != T_NAME)
        return unexpected(p, "a name");
    n = template_node(p, type);
    size = p->at++->n;
    while (template_is(p, ".") && p->at[1].type == T_NAME) {
        size = (size_t)(p->at[1].s + p->at[1].n - s);
        p->at += 2;
    }
    n->name = template_name(p->t, s, size);
    return n;
}

struct node *template_filtered(struct parser *p, struct node *node, bool inline_first)
{
    while (template_is(p, "|") || inline_first) {
        struct node *n;

        if (!inline_first)
            p->at++;
        inline_first = false;
        if (!(n = filter_name(p, N_FILTER)))
            return NULL;
        n->a = node;
        if (template_is(p, "(") && arguments(p, n) < 0)
            return NULL;
        node = n;
    }
    return node;
}

/* Behind the word "is". */
static struct node *test(struct parser *p, struct node *a)
{
    static const char *const no_argument[] = { "else", "or", "and" };
    bool negated = template_skip(p, "not"), argument;
    struct node *n = filter_name(p, N_TEST), *arg;

    if (!n)
        return NULL;
    n->a = a;
    argument = p->at->type == T_NAME || p->at->type == T_STRING || p->at->type == T_INT || p->at->type == T_FLOAT ||
               template_is(p, "[") || template_is(p, "{");
    for (size_t i = 0; i < sizeof no_argument / sizeof *no_argument; i++)
        argument = argument && !template_is(p, no_argument[i]);
    if (template_is(p, "(")) {
        if (arguments(p, n) < 0)
            return NULL;
    } else if (argument) {
        if (template_is(p, "is"))
            return template_syntax(p, "tests cannot be chained");
        arg = template_node(p, N_ARG);
        if (!(arg->a = postfix(p, primary(p))))
            return NULL;
        n->list = arg;
        n->n = 1;
    }
    if (negated) {
        struct node *not = template_node(p, N_NOT);

        not->a = n;
        return not;
    }
    return n;
}

static struct node *filters_and_tests(struct parser *p, struct node *n)
{
    while (n) {
        if (template_is(p, "|"))
            n = template_filtered(p, n, false);
        else if (template_skip(p, "is"))
            n = test(p, n);
        else if (template_is(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}

static struct node *unary(struct parser *p, bool filters)
{
    enum node_type type = template_is(p, "-") ? N_NEG : template_is(p, "+") ? N_POS : N_CONST;
    struct node *n;

    if (template_enter(p) < 0)
        return NULL;
    if (type != N_CONST) {
        n = template_node(p, type);
        p->at++;
        if (!(n->a = unary(p, false)))
            return NULL;
    } else {
        n = primary(p);
    }
    n = postfix(p, n);
    n = filters ? filters_and_tests(p, n) : n;
    template_leave(p);
    return n;
}

/* Operators of two sides, all left to right, from those that bind least. */
static const struct level {
    struct {
        const char *word;
        enum node_type type;
    } op[4];
} levels[] = {
    { { { "+", N_ADD }, { "-", N_SUB } } },
    { { { "~", N_CONCAT } } },
    { { { "*", N_MUL }, { "/", N_DIV }, { "//", N_FLOORDIV }, { "%", N_MOD } } },
    { { { "**", N_POW } } },
};

static struct node *binary(struct parser *p, size_t level)
{
    const struct level *l = &levels[level];
    struct node *left;

    if (level == sizeof levels / sizeof *levels)
        return unary(p, true);
    left = binary(p, level + 1);
    for (int i = 0; left && i < 4 && l->op[i].word; i++) {
        struct node *n;

        if (!template_is(p, l->op[i].word))
            continue;
        n = template_node(p, l->op[i].type);
        p->at++;
        n->a = left;
        if (!(n->b = binary(p, level + 1)))
            return NULL;
        left = n;
        i = -1;
    }
    return left;
}

static enum node_type compare_type(struct parser *p)
{
    static const struct {
        const char *word;
        enum node_type type;
    } ops[] = { { "==", N_EQ }, { "!=", N_NE }, { "<", N_LT }, { "<=", N_LE }, { ">", N_GT }, { ">=", N_GE }, { "in", N_IN } };

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (template_skip(p, ops[i].word))
            return ops[i].type;
    if (template_is(p, "not") && p->at[1].type == T_NAME && p->at[1].n == 2 && !memcmp(p->at[1].s, "in", 2)) {
        p->at += 2;
        return N_NOT_IN;
    }
    return N_CONST;
}

static struct node *compare(struct parser *p)
{
    struct node *left = binary(p, 0), *n = NULL, *last = NULL;
    enum node_type type;

    while (left && (type = compare_type(p)) != N_CONST) {
        struct node *op = template_node(p, type);

        if (!n) {
            n = template_node(p, N_COMPARE);
            n->a = left;
        }
        if (!(op->a = binary(p, 0)))
            return NULL;
        append(n, &last, op);
    }
    return n ? n : left;
}

static struct node *not(struct parser *p)
{
    struct node *n;

    if (!template_is(p, "not"))
        return compare(p);
    n = template_node(p, N_NOT);
    p->at++;
    if (template_enter(p) < 0 || !(n->a = not(p)))
        return NULL;
    template_leave(p);
    return n;
}

/* The lists of `and` and `or`: each node holds all its sides. */
static struct node *logic(struct parser *p, enum node_type type)
{
    struct node *n, *last = NULL, *first = type == N_OR ? logic(p, N_AND) : not(p);
    const char *word = type == N_OR ? "or" : "and";

    if (!first || !template_is(p, word))
        return first;
    n = template_node(p, type);
    append(n, &last, first);
    while (template_skip(p, word)) {
        struct node *a = type == N_OR ? logic(p, N_AND) : not(p);

        if (!a)
            return NULL;
        append(n, &last, a);
    }
    return n;
}

static struct node *condition(struct parser *p)
{
    struct node *n = logic(p, N_OR);

    while (n && template_is(p, "if")) {
        struct node *cond = template_node(p, N_COND);

        p->at++;
        cond->a = n;
        if (!(cond->b = logic(p, N_OR)))
            return NULL;
        if (template_skip(p, "else") && !(cond->c = template_expression(p)))
            return NULL;
        n = cond;
    }
    return n;
}

struct node *template_expression(struct parser *p)
{
    struct node *n;

    if (template_enter(p) < 0)
        return NULL;
    n = condition(p);
    template_leave(p);
    return n;
}

struct node *template_tuple(struct parser *p, bool cond, const char *end)
{
    struct node *n = cond ? template_expression(p) : logic(p, N_OR), *tuple, *last = NULL;

    if (!n || !template_is(p, ","))
        return n;
    tuple = template_node(p, N_TUPLE);
    append(tuple, &last, n);
    while (template_skip(p, ",")) {
        if (p->at->type == T_VAR_END || p->at->type == T_BLOCK_END || template_is(p, ")") || (end && template_is(p, end)))
            break;
        if (!(n = cond ? template_expression(p) : logic(p, N_OR)))
            return NULL;
        append(tuple, &last, n);
    }
    return tuple;
}
