/* A tree as text, the way Python's json.dump(indent=2) has it. */
#include <string.h>

#include "libcommon/format/json.h"

static int put_line(struct io_out *o, int depth, struct err *err)
{
    if (io_put(o, "\n", 1, err) < 0)
        return -1;
    for (int i = 0; i < depth; i++)
        if (io_put(o, "  ", 2, err) < 0)
            return -1;
    return 0;
}

static int put_value(struct io_out *o, const struct json_value *v, int depth, struct err *err)
{
    static const char *const words[] = { [JSON_TRUE] = "true", [JSON_FALSE] = "false", [JSON_NULL] = "null" };
    bool object = v->type == JSON_OBJECT;

    if (v->type == JSON_STRING)
        return json_put_string(o, v->str, v->len, err);
    if (v->type == JSON_NUMBER)
        return io_put(o, v->str, v->len, err);
    if (!object && v->type != JSON_ARRAY)
        return io_put(o, words[v->type], strlen(words[v->type]), err);
    if (io_put(o, object ? "{" : "[", 1, err) < 0)
        return -1;
    for (const struct json_value *e = v->child; e; e = e->next)
        if (put_line(o, depth + 1, err) < 0 ||
            (object && (json_put_string(o, e->key, e->key_len, err) < 0 || io_put(o, ": ", 2, err) < 0)) ||
            put_value(o, e, depth + 1, err) < 0 || (e->next && io_put(o, ",", 1, err) < 0))
            return -1;
    if (v->child && put_line(o, depth, err) < 0)
        return -1;
    return io_put(o, object ? "}" : "]", 1, err);
}

int json_put_value(struct io_out *o, const struct json_value *v, struct err *err)
{
    return put_value(o, v, 0, err) < 0 ? -1 : io_put(o, "\n", 1, err);
}
