/* template_container.c - the methods of dicts, lists and loops. */
#include "libcommon/template/template_in.h"

static int do_get(struct template_run *r, const struct call *c, struct value *out)
{
    int rc;
    const struct value *found_value = template_dict_get(r, c->self.u.dict, &c->a[0], &rc);

    *out = found_value ? *found_value : c->a[1].kind == V_ABSENT ? (struct value){ .kind = V_NONE } : c->a[1];
    return rc;
}

static int view(const struct call *c, enum kind kind, struct value *out)
{
    *out = c->self;
    out->kind = (uint8_t)kind;
    return 0;
}

static int do_items(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return view(c, V_ITEMS, out);
}

static int do_keys(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return view(c, V_KEYS, out);
}

static int do_values(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    return view(c, V_VALUES, out);
}

/* Values do not change: a copy is the same. */
static int do_copy(struct template_run *r, const struct call *c, struct value *out)
{
    (void)r;
    *out = c->self;
    return 0;
}

static int count_equal(struct template_run *r, const struct call *c, size_t *first, int64_t *n)
{
    const struct value *e;
    size_t size;

    *n = 0;
    if (template_elements(r, &c->self, &e, &size) < 0)
        return -1;
    for (size_t i = 0; i < size; i++) {
        bool same;

        if (template_equal(r, &e[i], &c->a[0], &same) < 0)
            return -1;
        if (same && !(*n)++)
            *first = i;
    }
    return 0;
}

static int do_list_count(struct template_run *r, const struct call *c, struct value *out)
{
    size_t first;
    int64_t n;

    if (count_equal(r, c, &first, &n) < 0)
        return -1;
    *out = template_int(n);
    return 0;
}

static int do_list_index(struct template_run *r, const struct call *c, struct value *out)
{
    size_t first = 0;
    int64_t n;

    if (count_equal(r, c, &first, &n) < 0)
        return -1;
    *out = template_int((int64_t)first);
    return n ? 0 : template_fail(r, "the value is not in the list");
}

static int do_cycle(struct template_run *r, const struct call *c, struct value *out)
{
    if (!c->args->n)
        return template_fail(r, "no items for cycling given");
    *out = c->args->v[c->self.u.loop->at % (size_t)c->args->n];
    return 0;
}

static int do_changed(struct template_run *r, const struct call *c, struct value *out)
{
    struct loop *l = c->self.u.loop;
    struct value now = template_list(V_TUPLE, c->args->v, (size_t)c->args->n);
    bool same = false;

    if (l->asked && template_equal(r, &l->last, &now, &same) < 0)
        return -1;
    l->asked = true;
    l->last = now;
    *out = template_bool(!same);
    return 0;
}

enum {
    DICT = 1 << V_DICT,
    SEQ = 1 << V_LIST | 1 << V_TUPLE | 1 << V_RANGE,
    LIST = 1 << V_LIST,
    LOOP = 1 << V_LOOP,
};

/* A row without fn is there for Python, so that it hides a key of its name; for templates it is not to be called. */
const struct row template_container_methods[] = {
    { "copy", do_copy, "", DICT | LIST },
    { "fromkeys", NULL, "*", DICT },
    { "get", do_get, "key,default=", DICT },
    { "items", do_items, "", DICT },
    { "keys", do_keys, "", DICT },
    { "values", do_values, "", DICT },
    { "count", do_list_count, "value", SEQ },
    { "index", do_list_index, "value", SEQ },
    { "changed", do_changed, "*", LOOP },
    { "cycle", do_cycle, "*", LOOP },
    /* what would change a dict: 1 << V_ABSENT says so */
    { "clear", NULL, "*", 1 << V_ABSENT },
    { "pop", NULL, "*", 1 << V_ABSENT },
    { "popitem", NULL, "*", 1 << V_ABSENT },
    { "setdefault", NULL, "*", 1 << V_ABSENT },
    { "update", NULL, "*", 1 << V_ABSENT },
    { NULL, NULL, NULL, 0 },
};
