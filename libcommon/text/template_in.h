/* template_in.h - what the files of template.h share.
 *
 *   template_lex.c    text to tokens
 *   template_expr.c   tokens to expressions; template_parse.c to statements
 *   template_value.c  values: memory, dicts, truth, equality, order, iteration, items
 *   template_show.c   values as text: str(), repr(), JSON
 *   template_eval.c   expressions; template_op.c their operators
 *   template_exec.c   statements, macros, loops; template_render()
 *   template_call.c   arguments to the rows below; attributes
 *   template_filter.c template_filter_seq.c template_test.c template_method.c template_global.c   tables of rows
 *   template_case.c   upper and lower case
 *
 * A function that can fail returns -1 with the message in run->err; the line is put in front at the end.
 */
#ifndef LIBCOMMON_TEXT_TEMPLATE_IN_H
#define LIBCOMMON_TEXT_TEMPLATE_IN_H

#include "libcommon/text/template_node.h"

enum { TEMPLATE_DEPTH = 1000, TEMPLATE_VALUE_DEPTH = 600, TEMPLATE_PARAMS = 6 };

/* ---- values of a rendering */

struct pair {
    struct value key, value;
};

struct dict {
    struct pair *v;
    size_t n, cap;
    uint32_t *index; /* place in v + 1, by hash, once there are many */
    size_t n_index;
};

struct range {
    int64_t start, stop, step;
};

/* What Python's generators are: gone through once. */
struct iterator {
    const struct value *v;
    size_t n, at;
};

struct loop {
    const struct value *v;
    size_t n, at;
    int depth;
    const struct node *node;
    struct scope *scope; /* around the loop */
    bool asked;          /* changed(): and the last one's arguments */
    struct value last;
};

struct macro {
    const struct node *node;
    struct scope *scope; /* where it was defined */
};

/* A function, or a method of self. */
struct bound {
    const struct row *row;
    struct value self;
};

struct scope {
    struct scope *up;
    struct binding {
        const struct name *name;
        struct value value;
    } *v;
    int n, cap;
    bool kept; /* a macro may come back to it */
};

struct template_run {
    struct arena arena;
    char *block; /* small allocations come out of it */
    size_t block_left, used, most; /* bytes */
    uint64_t steps;
    bool over; /* beyond most */
    char *text; /* the output, and above it strings being made */
    size_t n, cap;
    struct template_span *spans;
    size_t n_spans, spans_cap;
    const struct template *t;
    const struct template_input *in;
    struct scope *scope, context;
    int depth, line, captures;
    size_t root_n; /* bytes of the output when the outermost capture began */
    struct err *err;
};

/* -1, with a message. */
int template_fail(struct template_run *r, const char *fmt, ...) ERR_PRINTF(2, 3);
/* n steps more: -1 when they, or memory, are used up. */
int template_charge(struct template_run *r, size_t n);
/* Up to 4096 bytes never fail; beyond: NULL when memory is used up, with the message. */
void *template_alloc(struct template_run *r, size_t size);
struct value *template_values(struct template_run *r, size_t n);

static inline struct value template_bool(bool b)
{
    return (struct value){ .kind = V_BOOL, .u.i = b };
}
static inline struct value template_int(int64_t i)
{
    return (struct value){ .kind = V_INT, .u.i = i };
}
static inline struct value template_float(double f)
{
    return (struct value){ .kind = V_FLOAT, .u.f = f };
}
/* Borrows s. */
static inline struct value template_str(const char *s, size_t n)
{
    return (struct value){ .kind = V_STRING, .u.s = s, .n = n };
}
static inline struct value template_list(enum kind kind, const struct value *v, size_t n)
{
    return (struct value){ .kind = (uint8_t)kind, .u.v = v, .n = n };
}
static inline bool template_integer(const struct value *v)
{
    return v->kind == V_INT || v->kind == V_BOOL;
}
static inline bool template_number(const struct value *v)
{
    return template_integer(v) || v->kind == V_FLOAT;
}
static inline double template_double(const struct value *v)
{
    return v->kind == V_FLOAT ? v->u.f : (double)v->u.i;
}

/* A string is made on top of run->text: put behind a mark, then taken off into the pool. */
void template_put(struct template_run *r, const char *s, size_t n);
size_t template_mark(const struct template_run *r);
int template_take(struct template_run *r, size_t mark, struct value *out);

struct value template_undefined(enum kind of, const char *s, size_t n);
int template_undefined_error(struct template_run *r, const struct value *v);
const char *template_kind(const struct value *v); /* Python's name of the type */
bool template_truth(const struct value *v);
/* len(): -1 where it has none, without a message. */
int64_t template_length(const struct value *v);
int template_equal(struct template_run *r, const struct value *a, const struct value *b, bool *out);
/* <0, 0, >0 in *out. */
int template_order(struct template_run *r, const struct value *a, const struct value *b, int *out);
bool template_iterable(const struct value *v);
/* All elements: an iterator's are used up. */
int template_elements(struct template_run *r, const struct value *v, const struct value **out, size_t *n);
int template_iterator(struct template_run *r, const struct value *v, size_t n, struct value *out);
int template_contains(struct template_run *r, const struct value *in, const struct value *v, bool *out);
int template_from_json(struct template_run *r, const struct json_value *j, int depth, struct value *out);
/* Bytes of the code point that begins at s, of a string that ends at end. */
size_t template_char(const char *s, const char *end);
size_t template_chars(const char *s, size_t n);
bool template_space(uint32_t cp); /* Python's str.isspace */
/* Without white space in front (left), behind (right). */
struct value template_strip(struct value v, bool left, bool right);

struct dict *template_dict(struct template_run *r);
int template_dict_set(struct template_run *r, struct dict *d, const struct value *key, const struct value *v);
/* NULL: not there; *rc -1: the key cannot be one. */
struct value *template_dict_get(struct template_run *r, const struct dict *d, const struct value *key, int *rc);

/* str() and repr() on top of run->text; template_string() as a value. */
int template_show(struct template_run *r, const struct value *v, bool repr, int depth);
int template_string(struct template_run *r, const struct value *v, struct value *out);
/* repr() of a double; out has room for 32 bytes; its length. */
size_t template_show_double(double f, char *out);

/* ---- evaluation */

struct args;
struct row;

int template_eval(struct template_run *r, const struct node *n, struct value *out);
int template_item(struct template_run *r, const struct value *v, const struct value *key, struct value *out);
/* v.name: a method, or a key */
int template_attr(struct template_run *r, const struct value *v, const char *name, size_t n, struct value *out);
/* the method, or undefined */
int template_member(struct template_run *r, const struct value *v, const char *name, size_t n, struct value *out);
/* HTML's special characters spelled out; out is safe */
int template_escape(struct template_run *r, const struct value *v, struct value *out);
int template_binary(struct template_run *r, enum node_type op, const struct value *a, const struct value *b, struct value *out);
int template_compare(struct template_run *r, enum node_type op, const struct value *a, const struct value *b, bool *out);
int template_slice(struct template_run *r, const struct value *v, const struct value part[3], struct value *out);
/* template_format.c: format % args, and format.format() */
int template_percent(struct template_run *r, const struct value *format, const struct value *args, struct value *out);
int template_format(struct template_run *r, const struct value *format, const struct args *args, struct value *out);
int template_exec(struct template_run *r, const struct node *list);
enum { EXEC_BREAK = 1, EXEC_CONTINUE };
int template_assign(struct template_run *r, const struct node *target, const struct value *v);
void template_bind(struct template_run *r, struct scope *s, const struct name *name, const struct value *v);
struct scope *template_scope(struct template_run *r, struct scope *up);

struct keyword {
    const char *name;
    size_t n;
    struct value value;
};

struct args {
    struct value *v;
    int n, cap;
    struct keyword *kw;
    int n_kw, kw_cap;
};

struct call {
    struct value self; /* what is filtered or tested; the method's object */
    struct value a[TEMPLATE_PARAMS]; /* by the row's parameters; ABSENT: not given */
    const struct args *args;         /* as they came */
};

/* A filter, test, method or function.  params: "name,name=": those with = may be absent; "*": any, in args. */
struct row {
    const char *name;
    int (*fn)(struct template_run *r, const struct call *c, struct value *out); /* NULL: it is there, but not to be called */
    const char *params;
    uint32_t kinds; /* methods: 1 << kind of self */
};

enum template_table { TEMPLATE_FILTERS, TEMPLATE_TESTS, TEMPLATE_METHODS, TEMPLATE_GLOBALS };
extern const struct row template_filters_table[], template_seq_table[], template_tests_table[],
    template_methods_table[], template_globals_table[];

/* Of a call: evaluate the arguments; add one. */
int template_arguments(struct template_run *r, const struct node *list, struct args *args);
void template_add_keyword(struct template_run *r, struct args *args, const char *name, size_t n, const struct value *v);
/* text through the filters n. */
int template_filter_block(struct template_run *r, const struct node *n, const struct value *text, struct value *out);
const struct row *template_row(enum template_table table, const char *name, size_t n, uint32_t kind);
/* Bind the arguments and call it. */
int template_call_row(struct template_run *r, const struct row *row, const struct value *self, const struct args *args,
                      struct value *out);
/* A filter or test by name. */
int template_call_named(struct template_run *r, enum template_table table, const char *name, size_t n,
                        const struct value *self, const struct args *args, struct value *out);
int template_call(struct template_run *r, const struct value *f, const struct args *args, struct value *out);
int template_call_macro(struct template_run *r, const struct macro *m, const struct args *args, struct value *out);
int template_call_loop(struct template_run *r, struct loop *l, const struct args *args, struct value *out);
/* tojson */
int template_json(struct template_run *r, const struct call *c, struct value *out);
/* The elements in ascending order. */
int template_sorted(struct template_run *r, const struct value *v, const struct value **out, size_t *n);
/* Typed arguments: -1 with a message that names the parameter. */
int template_int_arg(struct template_run *r, const struct value *v, const char *what, int64_t dflt, int64_t *out);
int template_str_arg(struct template_run *r, const struct value *v, const char *what, struct value *out);

/* CAPITAL: the first letter; TITLE: those behind blanks and ( [ { < -, as Jinja's filter; WORDS: those not behind a
 * letter, as str.title(). */
enum template_case { TEMPLATE_UPPER, TEMPLATE_LOWER, TEMPLATE_CAPITAL, TEMPLATE_TITLE, TEMPLATE_WORDS, TEMPLATE_SWAP };
int template_case(struct template_run *r, const struct value *v, enum template_case how, struct value *out);
/* str.isupper, str.islower */
bool template_has_case(const struct value *v, enum template_case how);

#endif
