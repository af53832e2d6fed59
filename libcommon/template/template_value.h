/* template_value.h - the values of a rendering, its memory and its state. */
#ifndef LIBCOMMON_TEMPLATE_TEMPLATE_VALUE_H
#define LIBCOMMON_TEMPLATE_TEMPLATE_VALUE_H

#include "libcommon/template/template_node.h"

enum { TEMPLATE_DEPTH = 1000, TEMPLATE_VALUE_DEPTH = 600 };

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
/* -1, 0, 1 in *out; 2: one is not a number. */
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

#endif
