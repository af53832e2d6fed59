#include "libcommon/template/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

struct chat {
    struct arena arena;
    const struct json_value *base; /* variables of every conversation */
    struct template *plain, *tools; /* may be one; either may be NULL, not both */
};

static const char *const special[] = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" };

/* A file of the directory as bytes; 0: there is none. */
static int read_part(const char *dir, const char *name, char **path, struct io_map *map, struct err *err)
{
    size_t size = strlen(dir) + strlen(name) + 2;

    *path = xmalloc(size);
    snprintf(*path, size, "%s/%s", dir, name);
    *map = (struct io_map){ 0 };
    if (access(*path, F_OK) != 0)
        return 0;
    return io_map(map, *path, err) < 0 ? -1 : 1;
}

/* One as a JSON document: 1; 0: it is not there. */
static int read_json(struct chat *c, const char *dir, const char *name, const struct json_value **v, struct err *err)
{
    struct io_map map;
    char *path;
    int rc = read_part(dir, name, &path, &map, err);

    *v = NULL;
    if (rc == 1) {
        *v = json_tree(&c->arena, map.data, map.size, path, err);
        rc = *v ? 1 : -1;
    }
    io_unmap(&map);
    free(path);
    return rc;
}

static int read_jinja(struct chat *c, const char *dir, struct err *err)
{
    struct io_map map;
    char *path;
    int rc = read_part(dir, "chat_template.jinja", &path, &map, err);

    if (rc == 1) {
        c->plain = c->tools = template_new((const char *)map.data, map.size, path, err);
        rc = c->plain ? 1 : -1;
    }
    io_unmap(&map);
    free(path);
    return rc;
}

static struct template *named(const struct json_value *v, const char *file, const char *name, struct err *err)
{
    char place[512];

    snprintf(place, sizeof place, "%s: chat_template%s%s", file, *name ? " " : "", name);
    if (v && v->type == JSON_STRING)
        return template_new(v->str, v->len, place, err);
    err_set(err, "%s: not a string", place);
    return NULL;
}

/* The value of chat_template: 1 where there is one. */
static int take_templates(struct chat *c, const struct json_value *v, const char *file, struct err *err)
{
    if (!v || v->type == JSON_NULL)
        return 0;
    if (v->type != JSON_ARRAY) {
        c->plain = c->tools = named(v, file, "", err);
        return c->plain ? 1 : -1;
    }
    for (const struct json_value *t = v->child; t; t = t->next) {
        const struct json_value *name = json_get(t, "name");
        bool tools = name && name->type == JSON_STRING && !strcmp(name->str, "tool_use");
        struct template **to = tools ? &c->tools : &c->plain;

        if (*to || (!tools && (!name || name->type != JSON_STRING || strcmp(name->str, "default"))))
            continue;
        if (!(*to = named(json_get(t, "template"), file, name->str, err)))
            return -1;
    }
    if (!c->plain)
        return err_set(err, "%s: chat_template: none of them is named default", file);
    if (!c->tools)
        c->tools = c->plain;
    return 1;
}

/* The text of a special token: a string, or an object with its content. */
static const struct json_value *token_text(const struct json_value *config, const char *key)
{
    const struct json_value *v = json_get(config, key);

    v = v && v->type == JSON_OBJECT ? json_get(v, "content") : v;
    return v && v->type == JSON_STRING ? v : NULL;
}

static void add_member(struct chat *c, struct json_value *object, const char *key, const struct json_value *like)
{
    struct json_value *v = arena_alloc(&c->arena, sizeof *v);

    *v = *like;
    v->key = key;
    v->key_len = strlen(key);
    v->next = object->child;
    object->child = v;
    object->n++;
}

static void set_base(struct chat *c, const struct json_value *config)
{
    struct json_value *base = arena_calloc(&c->arena, 1, sizeof *base);

    base->type = JSON_OBJECT;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        const struct json_value *v = token_text(config, special[i]);

        if (v)
            add_member(c, base, special[i], v);
    }
    add_member(c, base, "tools", &(struct json_value){ .type = JSON_NULL });
    add_member(c, base, "documents", &(struct json_value){ .type = JSON_NULL });
    add_member(c, base, "add_generation_prompt", &(struct json_value){ .type = JSON_TRUE });
    c->base = base;
}

static int open_in(struct chat *c, const char *dir, struct err *err)
{
    const struct json_value *config, *more;
    int rc;

    if (read_json(c, dir, "tokenizer_config.json", &config, err) < 0)
        return -1;
    set_base(c, config);
    rc = read_jinja(c, dir, err);
    if (rc == 0)
        rc = take_templates(c, json_get(config, "chat_template"), "tokenizer_config.json", err);
    if (rc == 0) {
        if (read_json(c, dir, "chat_template.json", &more, err) < 0)
            return -1;
        rc = take_templates(c, json_get(more, "chat_template"), "chat_template.json", err);
    }
    if (rc == 0)
        return err_set(err, "%s: no chat template is in it: neither chat_template.jinja nor chat_template of tokenizer_config.json", dir);
    return rc < 0 ? -1 : 0;
}

struct chat *chat_open(const char *dir, struct err *err)
{
    struct chat *c = xcalloc(1, sizeof *c);

    arena_init(&c->arena);
    if (open_in(c, dir, err) == 0)
        return c;
    chat_free(c);
    return NULL;
}

void chat_free(struct chat *c)
{
    if (!c)
        return;
    if (c->tools != c->plain)
        template_free(c->tools);
    template_free(c->plain);
    arena_release(&c->arena);
    free(c);
}

int chat_render(const struct chat *c, struct template_run *r, const struct json_value *row, const struct tm *now,
                struct template_result *out, struct err *err)
{
    const struct json_value *vars[] = { row, c->base }, *tools = json_get(row, "tools"), *messages = json_get(row, "messages");
    struct template_input in = { .vars = vars, .n_vars = 2, .now = *now };

    if (!messages || messages->type != JSON_ARRAY)
        return err_set(err, "%s", messages ? "messages: not a list" : "there is no key 'messages'");
    return template_render(tools && tools->type != JSON_NULL ? c->tools : c->plain, r, &in, out, err);
}

int chat_text(const struct chat *c, struct template_run *r, const char *s, size_t n, bool plain, const struct tm *now,
              struct template_result *out, struct err *err)
{
    struct json_value text = { .type = JSON_STRING, .key = "content", .key_len = 7, .str = s, .len = n };
    struct json_value role = { .type = JSON_STRING, .key = "role", .key_len = 4, .str = "user", .len = 4, .next = &text };
    struct json_value message = { .type = JSON_OBJECT, .child = &role, .n = 2 };
    struct json_value messages = { .type = JSON_ARRAY, .key = "messages", .key_len = 8, .child = &message, .n = 1 };
    struct json_value object = { .type = JSON_OBJECT, .child = &messages, .n = 1 };
    const struct json_value *row = &object;
    struct arena a;
    int rc = -1;

    arena_init(&a);
    if (!plain)
        row = json_tree(&a, s, n, "conversation", err);
    if (row)
        rc = chat_render(c, r, row, now, out, err);
    arena_release(&a);
    return rc;
}
