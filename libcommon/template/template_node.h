/* template_node.h - the compiled template: what the lexer, the parser and the evaluator share. */
#ifndef LIBCOMMON_TEMPLATE_TEMPLATE_NODE_H
#define LIBCOMMON_TEMPLATE_TEMPLATE_NODE_H

#include <stdbool.h>

#include "libcommon/base/arena.h"
#include "libcommon/template/template.h"

enum { TEMPLATE_PARSE_DEPTH = 100 };

enum token_type { T_EOF, T_TEXT, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_STRING, T_INT, T_FLOAT, T_OP };

struct token {
    enum token_type type;
    int line;
    const char *s; /* text, name, spelling; a string's characters, unescaped */
    size_t n;
};

enum node_type {
    /* expressions */
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT /* key, value, ... */, N_NOT, N_NEG, N_POS, N_AND, N_OR,
    N_ADD, N_SUB, N_MUL, N_DIV, N_FLOORDIV, N_MOD, N_POW,
    N_CONCAT, /* list */
    N_COMPARE, /* a, list of N_EQ .. N_NOT_IN with a */
    N_EQ, N_NE, N_LT, N_LE, N_GT, N_GE, N_IN, N_NOT_IN,
    N_COND,  /* a if b else c (NULL) */
    N_ATTR,  /* a.name */
    N_ITEM,  /* a[b] */
    N_SLICE, /* b of N_ITEM: a:b:c, each may be NULL */
    N_CALL,  /* a(list of arguments) */
    N_FILTER, N_TEST, /* a|name(list); a NULL: the block's text */
    N_ARG, N_KEYWORD, N_STAR, N_STARSTAR, /* arguments: a, name */
    /* statements */
    N_TEXT,
    N_PRINT,       /* list */
    N_IF,          /* a, list, b: list of the else */
    N_FOR,         /* target a in b if c: list, other */
    N_SET,         /* a = b */
    N_SET_BLOCK,   /* a = list, b: filter or NULL */
    N_NS,          /* target name.text */
    N_MACRO,       /* name(params) list */
    N_PARAM,       /* name, a: its default or NULL */
    N_CALL_BLOCK,  /* a: N_CALL, b: N_MACRO, the caller */
    N_FILTER_BLOCK, /* b, list */
    N_WITH,        /* params: N_SET; list */
    N_GENERATION,  /* list */
    N_BREAK, N_CONTINUE,
};

/* A name of the template; equal names are one struct. */
struct name {
    const char *s; /* NUL-ended */
    size_t n;
    struct name *next; /* of its hash */
};

enum { MACRO_CALLER = 1, MACRO_VARARGS = 2, MACRO_KWARGS = 4, FOR_RECURSIVE = 1 };

enum kind {
    V_ABSENT, V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_FLOAT, V_BIG, V_STRING, V_LIST, V_TUPLE, V_DICT, V_KEYS, V_VALUES,
    V_ITEMS, V_RANGE, V_ITERATOR, V_NAMESPACE, V_LOOP, V_MACRO, V_BOUND,
};

struct value {
    uint8_t kind;
    uint8_t of;  /* UNDEFINED: kind of what has no member s; V_ABSENT: a variable s */
    bool safe;   /* STRING: markupsafe's */
    size_t n;    /* STRING, BIG, UNDEFINED: bytes; LIST, TUPLE, RANGE: elements */
    union {
        int64_t i; /* INT, BOOL */
        double f;
        const char *s; /* STRING; digits of BIG, an integer beyond 64 bits that can only be shown */
        const struct value *v;
        struct dict *dict; /* DICT, KEYS, VALUES, ITEMS, NAMESPACE */
        const struct range *range;
        struct iterator *iterator;
        struct loop *loop;
        const struct macro *macro;
        const struct bound *bound;
    } u;
};

struct node {
    uint8_t type, flags;
    int line, n; /* n: length of the list */
    const struct name *name;
    struct node *a, *b, *c;
    struct node *list, *next; /* list: first child; next: the next sibling */
    struct node *params, *other;
    struct value value; /* CONST, TEXT (a string) */
};

struct template {
    struct arena arena;
    char *file;
    struct node *body; /* list */
    struct name *names[256];
    const struct name *loop, *caller, *varargs, *kwargs;
};

struct lexed {
    struct token *v;
    size_t n;
};

/* In the template's arena.  -1: err says "NAME:LINE: what". */
int template_lex(struct template *t, const char *text, size_t n, struct lexed *out, struct err *err);
const struct name *template_name(struct template *t, const char *s, size_t n);

struct parser {
    struct template *t;
    const struct token *at;
    int depth;
    uint8_t macro_flags; /* MACRO_...: mentioned in what is parsed */
    struct err *err;
};

/* All of template_expr.c: NULL, or -1, on error. */
struct node *template_node(struct parser *p, enum node_type type);
void *template_syntax(struct parser *p, const char *fmt, ...) ERR_PRINTF(2, 3);
bool template_is(const struct parser *p, const char *word); /* a name or operator? */
bool template_skip(struct parser *p, const char *word);
int template_expect(struct parser *p, const char *word);
int template_enter(struct parser *p); /* one deeper; template_leave() it */
void template_leave(struct parser *p);
struct node *template_expression(struct parser *p);
/* a, b, ... without parentheses; end: a name that ends it, or NULL; cond: may the elements be a if b? */
struct node *template_tuple(struct parser *p, bool cond, const char *end);
/* |a|b of node, or filters behind the word filter (inline_first) */
struct node *template_filtered(struct parser *p, struct node *node, bool inline_first);
struct node *template_statements(struct parser *p, int *error); /* template_parse.c */

#endif
