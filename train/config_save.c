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

static const char *const dtype_keys[] = { "dtype", "torch_dtype" };

static bool is_dtype(const struct json_value *v)
{
    return strcmp(v->key, dtype_keys[0]) == 0 || strcmp(v->key, dtype_keys[1]) == 0;
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

int config_retype(const void *json, size_t n, const char *dtype, const char *path, struct err *err)
{
    const char *from = json; /* not copied yet */
    struct io_out o;
    struct json j;
    int rc = io_create(&o, path, false, err);

    json_init(&j, json, n);
    if (rc == 0 && json_next(&j) != JSON_OBJECT)
        rc = j.error ? json_error(&j, path, err) : err_set(err, "%s: not a JSON object", path);
    while (rc == 0 && json_next(&j) == JSON_KEY) {
        bool named = json_is(&j.raw, dtype_keys[0]) || json_is(&j.raw, dtype_keys[1]);
        const char *value = j.p;

        while (value < j.end && (*value == ' ' || *value == '\t' || *value == '\r' || *value == '\n'))
            value++;
        if (json_skip(&j) < 0)
            break;
        if (!named)
            continue;
        if (io_put(&o, from, (size_t)(value - from), err) < 0 || io_printf(&o, err, "\"%s\"", dtype) < 0)
            rc = -1;
        from = j.p;
    }
    if (rc == 0 && j.error)
        rc = json_error(&j, path, err);
    if (rc == 0)
        rc = io_put(&o, from, (size_t)((const char *)json + n - from), err) < 0 ? -1 : io_commit(&o, err);
    if (rc < 0)
        io_abort(&o);
    return rc;
}
