/* The pickle machine: each opcode is a row, its operand's form and what it does to the stack.  Protocols
 * 2 to 5, the opcodes that torch.save() and pickle write; the rest is refused. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/weights/torchzip_file.h"

#define SLAB 64

struct operand {
    uint64_t u; /* a number, or the length of s */
    const uint8_t *s;
    const struct operand *second; /* of two lines */
};

int torchzip_pickle_wrong(struct torchzip_pickle *v, const char *fmt, ...)
{
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_set(v->err, "%s: byte %td: %s", v->name, v->at - v->start, what);
}

struct torchzip_value *torchzip_pickle_new(struct torchzip_pickle *v, enum torchzip_type type)
{
    if (!v->values) {
        v->value = arena_alloc(v->arena, SLAB * sizeof *v->value);
        v->values = SLAB;
    }
    v->values--;
    *v->value = (struct torchzip_value){ .type = type };
    return v->value++;
}

void torchzip_pickle_add(struct torchzip_pickle *v, struct torchzip_value *list, const struct torchzip_value *key,
                         const struct torchzip_value *value)
{
    struct torchzip_entry *e;

    if (!v->entries) {
        v->entry = arena_alloc(v->arena, SLAB * sizeof *v->entry);
        v->entries = SLAB;
    }
    v->entries--;
    e = v->entry++;
    *e = (struct torchzip_entry){ key, value, NULL };
    if (list->list.last)
        list->list.last->next = e;
    else
        list->list.first = e;
    list->list.last = e;
    list->list.n++;
}

static int push(struct torchzip_pickle *v, struct torchzip_value *x)
{
    mem_grow(&v->stack, &v->cap, v->n + 1, sizeof *v->stack);
    v->stack[v->n++] = x;
    return 0;
}

/* Values above the last mark. */
static size_t above(const struct torchzip_pickle *v)
{
    return v->n - (v->n_mark ? v->mark[v->n_mark - 1] : 0);
}

static struct torchzip_value *pop(struct torchzip_pickle *v)
{
    if (!above(v)) {
        torchzip_pickle_wrong(v, "the stack is empty");
        return NULL;
    }
    return v->stack[--v->n];
}

/* The topmost value, which must be of the type. */
static struct torchzip_value *top(struct torchzip_pickle *v, enum torchzip_type type, const char *what)
{
    if (!above(v) || v->stack[v->n - 1]->type != type) {
        torchzip_pickle_wrong(v, "%s is due", what);
        return NULL;
    }
    return v->stack[v->n - 1];
}

/* ---- values ---- */

static int op_none(struct torchzip_pickle *v, const struct operand *o)
{
    (void)o;
    return push(v, torchzip_pickle_new(v, TORCHZIP_NONE));
}

static int op_bool(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *x = torchzip_pickle_new(v, TORCHZIP_BOOL);

    (void)o;
    x->i = *v->at == 0x88;
    return push(v, x);
}

static int op_int(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *x = torchzip_pickle_new(v, TORCHZIP_INT);

    x->i = *v->at == 'J' ? (int32_t)o->u : (int64_t)o->u;
    return push(v, x);
}

static int op_long(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *x = torchzip_pickle_new(v, o->u > 8 ? TORCHZIP_LONG : TORCHZIP_INT);
    uint64_t u = o->u && o->s[o->u - 1] & 0x80 ? UINT64_MAX : 0;

    if (o->u > 8) {
        x->str.s = (const char *)o->s;
        x->str.n = o->u;
        return push(v, x);
    }
    for (size_t i = o->u; i-- > 0;)
        u = u << 8 | o->s[i];
    x->i = (int64_t)u;
    return push(v, x);
}

static int op_float(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *x = torchzip_pickle_new(v, TORCHZIP_FLOAT);
    uint64_t u = __builtin_bswap64(o->u);

    memcpy(&x->f, &u, 8);
    return push(v, x);
}

static int push_bytes(struct torchzip_pickle *v, const struct operand *o, enum torchzip_type type)
{
    struct torchzip_value *x = torchzip_pickle_new(v, type);

    x->str.s = (const char *)o->s;
    x->str.n = o->u;
    return push(v, x);
}

static int op_string(struct torchzip_pickle *v, const struct operand *o)
{
    if (utf8_valid(o->s, o->u) != o->u)
        return torchzip_pickle_wrong(v, "a string is not UTF-8");
    return push_bytes(v, o, TORCHZIP_STRING);
}

static int op_bytes(struct torchzip_pickle *v, const struct operand *o)
{
    return push_bytes(v, o, TORCHZIP_BYTES);
}

/* ---- containers ---- */

static int op_empty(struct torchzip_pickle *v, const struct operand *o)
{
    (void)o;
    return push(v, torchzip_pickle_new(v, *v->at == '}' ? TORCHZIP_DICT : *v->at == ')' ? TORCHZIP_TUPLE : TORCHZIP_LIST));
}

static int op_mark(struct torchzip_pickle *v, const struct operand *o)
{
    (void)o;
    mem_grow(&v->mark, &v->cap_mark, v->n_mark + 1, sizeof *v->mark);
    v->mark[v->n_mark++] = v->n;
    return 0;
}

/* Where the values above the last mark begin, which is taken off. */
static int unmark(struct torchzip_pickle *v, size_t *from)
{
    if (!v->n_mark)
        return torchzip_pickle_wrong(v, "no mark was set");
    *from = v->mark[--v->n_mark];
    return 0;
}

/* The values from `from` on become a container on the stack. */
static int collect(struct torchzip_pickle *v, size_t from, enum torchzip_type type)
{
    struct torchzip_value *x = torchzip_pickle_new(v, type);

    for (size_t i = from; i < v->n; i++)
        torchzip_pickle_add(v, x, NULL, v->stack[i]);
    v->n = from;
    return push(v, x);
}

static int op_tuple(struct torchzip_pickle *v, const struct operand *o)
{
    size_t from = 0;

    (void)o;
    return unmark(v, &from) < 0 ? -1 : collect(v, from, TORCHZIP_TUPLE);
}

static int op_frozenset(struct torchzip_pickle *v, const struct operand *o)
{
    size_t from = 0;

    (void)o;
    return unmark(v, &from) < 0 ? -1 : collect(v, from, TORCHZIP_LIST);
}

static int op_tuple_n(struct torchzip_pickle *v, const struct operand *o)
{
    size_t n = *v->at - 0x84u;

    (void)o;
    if (above(v) < n)
        return torchzip_pickle_wrong(v, "a tuple of %zu of %zu values", n, above(v));
    return collect(v, v->n - n, TORCHZIP_TUPLE);
}

/* Hand the values from `from` on to the list or dictionary beneath. */
static int add_all(struct torchzip_pickle *v, size_t from, enum torchzip_type type)
{
    size_t step = type == TORCHZIP_DICT ? 2 : 1, n = v->n;
    struct torchzip_value *to;

    v->n = from;
    to = top(v, type, step == 2 ? "a dictionary" : "a list");
    if (!to)
        return -1;
    if ((n - from) % step)
        return torchzip_pickle_wrong(v, "a key without a value");
    for (size_t i = from; i < n; i += step) {
        struct torchzip_value *key = step == 2 ? v->stack[i] : NULL;

        if (key && key->type != TORCHZIP_STRING && key->type != TORCHZIP_INT)
            return torchzip_pickle_wrong(v, "a key is neither a string nor an integer");
        torchzip_pickle_add(v, to, key, v->stack[i + step - 1]);
    }
    return 0;
}

static int op_append(struct torchzip_pickle *v, const struct operand *o)
{
    (void)o;
    if (above(v) < 2)
        return torchzip_pickle_wrong(v, "the stack is empty");
    return add_all(v, v->n - 1, TORCHZIP_LIST);
}

static int op_appends(struct torchzip_pickle *v, const struct operand *o)
{
    size_t from = 0;

    (void)o;
    return unmark(v, &from) < 0 ? -1 : add_all(v, from, TORCHZIP_LIST);
}

static int op_setitem(struct torchzip_pickle *v, const struct operand *o)
{
    (void)o;
    if (above(v) < 3)
        return torchzip_pickle_wrong(v, "the stack is empty");
    return add_all(v, v->n - 2, TORCHZIP_DICT);
}

static int op_setitems(struct torchzip_pickle *v, const struct operand *o)
{
    size_t from = 0;

    (void)o;
    return unmark(v, &from) < 0 ? -1 : add_all(v, from, TORCHZIP_DICT);
}

/* ---- the memo ---- */

/* Python numbers what it keeps 0, 1, 2 ...; so must the file, which bounds the memo. */
static int keep(struct torchzip_pickle *v, uint64_t at)
{
    if (!above(v))
        return torchzip_pickle_wrong(v, "the stack is empty");
    if (at > v->n_memo)
        return torchzip_pickle_wrong(v, "memo %" PRIu64 " before %zu", at, v->n_memo);
    mem_grow(&v->memo, &v->cap_memo, v->n_memo + 1, sizeof *v->memo);
    v->memo[at] = v->stack[v->n - 1];
    v->n_memo += at == v->n_memo;
    return 0;
}

static int op_put(struct torchzip_pickle *v, const struct operand *o)
{
    return keep(v, o->u);
}

static int op_memoize(struct torchzip_pickle *v, const struct operand *o)
{
    (void)o;
    return keep(v, v->n_memo);
}

static int op_get(struct torchzip_pickle *v, const struct operand *o)
{
    if (o->u >= v->n_memo)
        return torchzip_pickle_wrong(v, "memo %" PRIu64 " of %zu", o->u, v->n_memo);
    return push(v, v->memo[o->u]);
}

/* ---- what would be code ---- */

static int push_global(struct torchzip_pickle *v, const char *module, size_t module_n, const char *name, size_t name_n)
{
    const struct torchzip_global *g = torchzip_global_find(module, module_n, name, name_n);
    struct torchzip_value *x;

    if (!g)
        return torchzip_pickle_wrong(v, "%.*s.%.*s is not among the globals that are read", module_n < 100 ? (int)module_n : 100,
                                     module, name_n < 100 ? (int)name_n : 100, name);
    x = torchzip_pickle_new(v, g->kind == TORCHZIP_IS_DTYPE ? TORCHZIP_DTYPE : TORCHZIP_GLOBAL);
    if (g->kind == TORCHZIP_IS_DTYPE)
        x->dtype = g->dtype;
    else
        x->global = g;
    return push(v, x);
}

static int op_global(struct torchzip_pickle *v, const struct operand *o)
{
    return push_global(v, (const char *)o->s, o->u, (const char *)o->second->s, o->second->u);
}

static int op_stack_global(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *name, *module;

    (void)o;
    if (!top(v, TORCHZIP_STRING, "a global's name"))
        return -1;
    name = pop(v);
    if (!top(v, TORCHZIP_STRING, "a global's module"))
        return -1;
    module = pop(v);
    return push_global(v, module->str.s, module->str.n, name->str.s, name->str.n);
}

/* REDUCE and NEWOBJ. */
static int op_call(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *args, *f, *x;

    (void)o;
    if (!top(v, TORCHZIP_TUPLE, "a tuple of arguments"))
        return -1;
    args = pop(v);
    if (!top(v, TORCHZIP_GLOBAL, "a global to call"))
        return -1;
    f = pop(v);
    if (!f->global->make)
        return torchzip_pickle_wrong(v, "a call of %s.%s", f->global->module, f->global->name);
    x = f->global->make(v, f->global, args);
    return x ? push(v, x) : -1;
}

/* A Namespace's attributes; of an OrderedDict (a state_dict's _metadata) and of an inert object nothing is kept. */
static int op_build(struct torchzip_pickle *v, const struct operand *o)
{
    struct torchzip_value *state = pop(v), *x;

    (void)o;
    if (!state)
        return -1;
    if (!above(v))
        return torchzip_pickle_wrong(v, "the stack is empty");
    x = v->stack[v->n - 1];
    if (x->type == TORCHZIP_OBJECT)
        return 0;
    if (state->type != TORCHZIP_DICT || (x->type != TORCHZIP_DICT && x->type != TORCHZIP_NAMESPACE))
        return torchzip_pickle_wrong(v, "a state that the object cannot have");
    if (x->type == TORCHZIP_NAMESPACE)
        x->list = state->list; /* shared, so that a state built often takes no memory */
    return 0;
}

/* ('storage', type, key, location, numel), and None in the old form. */
static int op_persid(struct torchzip_pickle *v, const struct operand *o)
{
    static const enum torchzip_type want[] = { TORCHZIP_STRING, TORCHZIP_GLOBAL, TORCHZIP_STRING, TORCHZIP_STRING, TORCHZIP_INT, TORCHZIP_NONE };
    const struct torchzip_value *part[6], *x = top(v, TORCHZIP_TUPLE, "a persistent id");
    const struct torchzip_global *g;
    struct torchzip_storage *s;
    struct torchzip_value *out;
    int n = 0;

    (void)o;
    if (!x)
        return -1;
    for (const struct torchzip_entry *e = pop(v)->list.first; e; e = e->next, n++) {
        if (n == 6 || e->value->type != want[n])
            return torchzip_pickle_wrong(v, "part %d of a persistent id is not a storage's", n);
        part[n] = e->value;
    }
    if (n < 5 || part[0]->str.n != 7 || memcmp(part[0]->str.s, "storage", 7) != 0)
        return torchzip_pickle_wrong(v, "a persistent id is not a storage's");
    g = part[1]->global;
    if (g->kind != TORCHZIP_IS_STORAGE && g->kind != TORCHZIP_IS_UNTYPED)
        return torchzip_pickle_wrong(v, "%s.%s is not a type of storage", g->module, g->name);
    s = arena_calloc(v->arena, 1, sizeof *s);
    *s = (struct torchzip_storage){ part[2]->str.s, part[2]->str.n, part[4]->i, dtype_table[g->dtype].bits / 8,
                                    g->kind == TORCHZIP_IS_UNTYPED, g->dtype, NULL };
    if (s->count < 0 || s->count > INT64_MAX / s->width)
        return torchzip_pickle_wrong(v, "a storage of %" PRId64 " elements", s->count);
    mem_grow(&v->storage, &v->cap_storage, v->n_storage + 1, sizeof *v->storage);
    v->storage[v->n_storage++] = s;
    out = torchzip_pickle_new(v, TORCHZIP_STORAGE);
    out->storage = s;
    return push(v, out);
}

static int op_proto(struct torchzip_pickle *v, const struct operand *o)
{
    if (v->at != v->start || o->u < 2 || o->u > 5)
        return torchzip_pickle_wrong(v, "protocol %" PRIu64 " of 2 to 5", o->u);
    v->protocol = (int)o->u;
    return 0;
}

static int op_frame(struct torchzip_pickle *v, const struct operand *o)
{
    if (o->u > (uint64_t)(v->end - v->p))
        return torchzip_pickle_wrong(v, "a frame of %" PRIu64 " bytes of %td", o->u, v->end - v->p);
    return 0;
}

/* ---- the table ---- */

enum form { ALONE, FIXED, COUNTED, LINES };

static const struct opcode {
    int (*run)(struct torchzip_pickle *v, const struct operand *o);
    enum form form;
    int width; /* bytes of the number, or of the length before COUNTED bytes; little-endian */
} opcodes[256] = {
    ['N'] = { op_none, ALONE, 0 },
    [0x88] = { op_bool, ALONE, 0 },
    [0x89] = { op_bool, ALONE, 0 },
    ['J'] = { op_int, FIXED, 4 },
    ['K'] = { op_int, FIXED, 1 },
    ['M'] = { op_int, FIXED, 2 },
    [0x8a] = { op_long, COUNTED, 1 },
    ['G'] = { op_float, FIXED, 8 },
    ['X'] = { op_string, COUNTED, 4 },
    [0x8c] = { op_string, COUNTED, 1 },
    [0x8d] = { op_string, COUNTED, 8 },
    ['U'] = { op_string, COUNTED, 1 },
    ['T'] = { op_string, COUNTED, 4 },
    ['C'] = { op_bytes, COUNTED, 1 },
    ['B'] = { op_bytes, COUNTED, 4 },
    [0x8e] = { op_bytes, COUNTED, 8 },
    ['}'] = { op_empty, ALONE, 0 },
    [']'] = { op_empty, ALONE, 0 },
    [')'] = { op_empty, ALONE, 0 },
    [0x8f] = { op_empty, ALONE, 0 },
    ['('] = { op_mark, ALONE, 0 },
    ['t'] = { op_tuple, ALONE, 0 },
    [0x85] = { op_tuple_n, ALONE, 0 },
    [0x86] = { op_tuple_n, ALONE, 0 },
    [0x87] = { op_tuple_n, ALONE, 0 },
    [0x91] = { op_frozenset, ALONE, 0 },
    ['a'] = { op_append, ALONE, 0 },
    ['e'] = { op_appends, ALONE, 0 },
    [0x90] = { op_appends, ALONE, 0 },
    ['s'] = { op_setitem, ALONE, 0 },
    ['u'] = { op_setitems, ALONE, 0 },
    ['q'] = { op_put, FIXED, 1 },
    ['r'] = { op_put, FIXED, 4 },
    [0x94] = { op_memoize, ALONE, 0 },
    ['h'] = { op_get, FIXED, 1 },
    ['j'] = { op_get, FIXED, 4 },
    ['c'] = { op_global, LINES, 0 },
    [0x93] = { op_stack_global, ALONE, 0 },
    ['R'] = { op_call, ALONE, 0 },
    [0x81] = { op_call, ALONE, 0 },
    ['b'] = { op_build, ALONE, 0 },
    ['Q'] = { op_persid, ALONE, 0 },
    [0x80] = { op_proto, FIXED, 1 },
    [0x95] = { op_frame, FIXED, 8 },
};

static int read_line(struct torchzip_pickle *v, struct operand *o)
{
    const uint8_t *nl = memchr(v->p, '\n', (size_t)(v->end - v->p));

    if (!nl)
        return torchzip_pickle_wrong(v, "the pickle is cut");
    o->s = v->p;
    o->u = (uint64_t)(nl - v->p);
    v->p = nl + 1;
    return 0;
}

static int read_operand(struct torchzip_pickle *v, const struct opcode *op, struct operand o[2])
{
    if (op->form == LINES) {
        o[0].second = &o[1];
        return read_line(v, &o[0]) < 0 ? -1 : read_line(v, &o[1]);
    }
    if (v->end - v->p < op->width)
        return torchzip_pickle_wrong(v, "the pickle is cut");
    for (int i = op->width; i-- > 0;)
        o->u = o->u << 8 | v->p[i];
    v->p += op->width;
    if (op->form == COUNTED) {
        if (o->u > (uint64_t)(v->end - v->p))
            return torchzip_pickle_wrong(v, "%" PRIu64 " bytes of %td that are left", o->u, v->end - v->p);
        o->s = v->p;
        v->p += o->u;
    }
    return 0;
}

struct torchzip_value *torchzip_pickle_run(struct torchzip_pickle *v)
{
    v->start = v->p;
    v->n = v->n_memo = v->n_mark = 0;
    while (v->p < v->end) {
        const struct opcode *op = &opcodes[*v->p];
        struct operand o[2] = { { 0 } };

        v->at = v->p++;
        if (v->at - v->start >= TORCHZIP_PICKLE) {
            torchzip_pickle_wrong(v, "the pickle is longer than is read");
            return NULL;
        }
        if (*v->at == '.') {
            if (v->n != 1 || v->n_mark)
                torchzip_pickle_wrong(v, "%zu values are left at the end", v->n);
            return v->n == 1 && !v->n_mark ? v->stack[0] : NULL;
        }
        if (!op->run) {
            torchzip_pickle_wrong(v, "opcode 0x%02x is not among those that are read", *v->at);
            return NULL;
        }
        if (read_operand(v, op, o) < 0 || op->run(v, o) < 0)
            return NULL;
    }
    v->at = v->end;
    torchzip_pickle_wrong(v, "the pickle is cut");
    return NULL;
}

void torchzip_pickle_free(struct torchzip_pickle *v)
{
    free(v->stack);
    free(v->memo);
    free(v->mark);
    free(v->storage);
}
