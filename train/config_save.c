#include <string.h>

#include "train/arch.h"
#include "train/config.h"

/* A copy of *v behind the members linked so far; returns where the next one goes. */
static struct json_value **link_copy(struct arena *a, struct json_value **at, const struct json_value *v)
{
    struct json_value *copy = arena_alloc(a, sizeof *copy);

    *copy = *v;
    copy->next = NULL;
    *at = copy;
    return &copy->next;
}

static struct json_value string(const char *key, const char *s)
{
    return (struct json_value){ .type = JSON_STRING, .key = key, .key_len = key ? strlen(key) : 0, .str = s, .len = strlen(s) };
}

static bool is_dtype(const struct json_value *v)
{
    return strcmp(v->key, "dtype") == 0 || strcmp(v->key, "torch_dtype") == 0;
}

int config_save(const struct config *c, const char *dtype, const char *path, struct err *err)
{
    struct json_value root = *c->json, **at = &root.child, classes = { .type = JSON_ARRAY, .key = "architectures" };
    struct json_value class = string(NULL, c->arch->class_name), type;
    bool typed = false;
    struct arena a;
    struct io_out o;
    int rc;

    arena_init(&a);
    for (const struct json_value *v = c->json->child; v; v = v->next) {
        type = string(v->key, dtype);
        typed = typed || is_dtype(v);
        at = link_copy(&a, at, is_dtype(v) ? &type : v);
    }
    if (!typed) { /* transformers 4 and 5 read this one */
        type = string("torch_dtype", dtype);
        at = link_copy(&a, at, &type);
    }
    classes.key_len = strlen(classes.key);
    classes.child = &class;
    if (!json_get(c->json, "architectures"))
        link_copy(&a, at, &classes);
    rc = io_create(&o, path, false, err);
    if (rc == 0)
        rc = json_put_value(&o, &root, err) < 0 ? -1 : io_commit(&o, err);
    if (rc < 0)
        io_abort(&o);
    arena_release(&a);
    return rc;
}
