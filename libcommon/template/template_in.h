/* template_in.h - what the files of template.h share.
 *
 *   template_lex.c    text to tokens
 *   template_expr.c   tokens to expressions; template_parse.c to statements
 *   template_value.c  values: memory, truth, equality, order, iteration; template_dict.c dicts, JSON to values
 *   template_show.c   values as text: str(), repr(); template_json.c JSON; template_format.c % and format()
 *   template_eval.c   expressions; template_op.c their operators
 *   template_exec.c   statements, macros, loops; template_render()
 *   template_call.c   arguments to the rows below; attributes
 *   template_filter.c template_filter_seq.c template_test.c template_method.c template_split.c template_container.c
 *   template_global.c tables of rows: filters, tests, methods, functions
 *   template_case.c   upper and lower case
 *
 * A function that can fail returns -1 with the message in run->err; the line is put in front at the end.
 */
#ifndef LIBCOMMON_TEMPLATE_TEMPLATE_IN_H
#define LIBCOMMON_TEMPLATE_TEMPLATE_IN_H

#include "libcommon/template/template_value.h"

enum { TEMPLATE_PARAMS = 6 };

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
extern const struct row template_filters[], template_seq_filters[], template_tests[], template_methods[], template_split_methods[],
    template_container_methods[], template_globals[];

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
/* The first or last place of what in s[0..n), or NULL. */
const char *template_find(const char *s, size_t n, const struct value *what, bool last);
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
