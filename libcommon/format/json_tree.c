#include <math.h>
#include <string.h>

#include "libcommon/format/json.h"

#define NODES 32 /* allocated at a time */

struct builder {
    struct arena *a;
    struct json j;
    char *text; /* rest of a block of n + 1 bytes: no string is longer than its quoted spelling */
    struct json_value *node;
    int n_nodes;
    struct json_value *parent[JSON_DEPTH + 1], *last[JSON_DEPTH + 1]; /* by depth */
    const char *key;
    size_t key_len;
};

static const char *keep(struct builder *b, size_t *len)
{
    char *s = b->text;

    *len = json_unescape(&b->j.raw, s);
    s[*len] = 0;
    b->text += *len + 1;
    return s;
}

/* A node for the value just read, linked behind the last child at the depth it stands at. */
static struct json_value *add(struct builder *b, enum json_type type, int depth)
{
    struct json_value *v, *up = b->parent[depth];

    if (!b->n_nodes) {
        b->node = arena_calloc(b->a, NODES, sizeof *b->node);
        b->n_nodes = NODES;
    }
    b->n_nodes--;
    v = b->node++;
    v->type = type;
    v->key = b->key;
    v->key_len = b->key_len;
    b->key = NULL;
    b->key_len = 0;
    if (up) {
        *(b->last[depth] ? &b->last[depth]->next : &up->child) = v;
        up->n++;
    }
    b->last[depth] = v;
    return v;
}

/* One event into the tree; false at the end. */
static bool take(struct builder *b, enum json_type type, struct json_value **root)
{
    int depth = b->j.depth;
    struct json_value *v;

    if (type <= JSON_END)
        return false;
    if (type == JSON_OBJECT_END || type == JSON_ARRAY_END)
        return true;
    if (type == JSON_KEY) {
        b->key = keep(b, &b->key_len);
        return true;
    }
    v = add(b, type, depth - (type == JSON_OBJECT || type == JSON_ARRAY));
    if (!*root)
        *root = v;
    if (type == JSON_STRING || type == JSON_NUMBER)
        v->str = keep(b, &v->len);
    if (type == JSON_NUMBER)
        v->num = json_double(&b->j.raw);
    b->parent[depth] = type == JSON_OBJECT || type == JSON_ARRAY ? v : b->parent[depth];
    if (type == JSON_OBJECT || type == JSON_ARRAY)
        b->last[depth] = NULL;
    return true;
}

struct json_value *json_tree(struct arena *a, const void *data, size_t n, const char *name, struct err *err)
{
    struct json_value *root = NULL;
    struct builder b = { .a = a, .text = arena_alloc(a, n + 1) };
    enum json_type t;

    json_init(&b.j, data, n);
    do
        t = json_next(&b.j);
    while (take(&b, t, &root));
    if (t == JSON_ERROR) {
        json_error(&b.j, name, err);
        return NULL;
    }
    return root;
}

const struct json_value *json_get(const struct json_value *v, const char *key)
{
    const struct json_value *found = NULL;
    size_t n = strlen(key);

    if (!v || v->type != JSON_OBJECT)
        return NULL;
    for (const struct json_value *c = v->child; c; c = c->next)
        if (c->key_len == n && memcmp(c->key, key, n) == 0)
            found = c;
    return found;
}

const struct json_value *json_at(const struct json_value *v, int i)
{
    const struct json_value *c = v && v->type == JSON_ARRAY && i >= 0 ? v->child : NULL;

    for (; c && i; i--)
        c = c->next;
    return c;
}

/* The member, where it is there and not null. */
static const struct json_value *member(const struct json_value *v, const char *key)
{
    const struct json_value *m = json_get(v, key);

    return m && m->type != JSON_NULL ? m : NULL;
}

static int wrong(const struct json_value *m, const char *key, const char *want, const char *name, struct err *err)
{
    static const char *const kinds[] = { [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
                                         [JSON_TRUE] = "true", [JSON_FALSE] = "false" };

    if (m->type == JSON_STRING)
        return err_set(err, "%s: %s is \"%.200s\", not %s", name, key, m->str, want);
    return err_set(err, "%s: %s is %.200s, not %s", name, key, m->type == JSON_NUMBER ? m->str : kinds[m->type], want);
}

int json_get_int(const struct json_value *v, const char *key, int64_t dflt, int64_t *out, const char *name, struct err *err)
{
    const struct json_value *m = member(v, key);

    *out = dflt;
    if (m && (m->type != JSON_NUMBER || !json_int64(&(struct json_raw){ m->str, m->len, false }, out)))
        return wrong(m, key, "a 64-bit integer", name, err);
    return 0;
}

int json_get_double(const struct json_value *v, const char *key, double dflt, double *out, const char *name, struct err *err)
{
    const struct json_value *m = member(v, key);

    *out = m ? m->num : dflt;
    if (m && (m->type != JSON_NUMBER || !isfinite(m->num)))
        return wrong(m, key, "a finite number", name, err);
    return 0;
}

int json_get_bool(const struct json_value *v, const char *key, bool dflt, bool *out, const char *name, struct err *err)
{
    const struct json_value *m = member(v, key);

    *out = m ? m->type == JSON_TRUE : dflt;
    if (m && m->type != JSON_TRUE && m->type != JSON_FALSE)
        return wrong(m, key, "true or false", name, err);
    return 0;
}

int json_get_str(const struct json_value *v, const char *key, const char *dflt, const char **out, const char *name, struct err *err)
{
    const struct json_value *m = member(v, key);

    *out = m && m->type == JSON_STRING ? m->str : dflt;
    if (m && m->type != JSON_STRING)
        return wrong(m, key, "a string", name, err);
    return 0;
}
