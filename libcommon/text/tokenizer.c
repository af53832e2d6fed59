#include "libcommon/text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/text/spm.h"
#include "libcommon/text/tokenizer_load.h"

struct tokenizer *tokenizer_parse(const void *json, size_t n, const void *config, size_t config_n, const char *name,
                                  struct err *err)
{
    struct tokenizer *t = xcalloc(1, sizeof *t);
    bool spm = spm_sniff(json, n);

    arena_init(&t->arena);
    if ((spm ? tokenizer_load_spm : tokenizer_load)(t, json, n, config, config_n, name, err) < 0) {
        tokenizer_free(t);
        return NULL;
    }
    return t;
}

const char *tokenizer_file(const char *path, char *name, size_t n)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer.model", "spiece.model" };
    struct stat st;

    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        snprintf(name, n, "%s", path);
        return name;
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, n, "%s/%s", path, names[i]);
        if (stat(name, &st) == 0)
            return name;
    }
    snprintf(name, n, "%s/%s", path, names[0]); /* which is told to be missing */
    return name;
}

struct tokenizer *tokenizer_open(const char *path, struct err *err)
{
    struct io_map json = { 0 }, config = { 0 };
    struct tokenizer *t = NULL;
    struct stat st;
    size_t n = strlen(path) + 32;
    char *name = xmalloc(n), *config_name = xmalloc(n);
    bool has_config;

    tokenizer_file(path, name, n);
    snprintf(config_name, n, "%s/tokenizer_config.json", path);
    has_config = stat(config_name, &st) == 0;
    if (io_map(&json, name, err) == 0 && (!has_config || io_map(&config, config_name, err) == 0))
        t = tokenizer_parse(json.data, json.size, has_config ? config.data : NULL, config.size, name, err);
    io_unmap(&json);
    io_unmap(&config);
    free(name);
    free(config_name);
    return t;
}

static void release(struct tokenizer_steps *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].row->release)
            list->v[i].row->release(list->v[i].args);
    free(list->v);
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    if (t->model)
        t->model->release(t->model_data);
    release(&t->normalizer);
    release(&t->pretokenizer);
    release(&t->decoder);
    for (size_t i = 0; i < sizeof t->described / sizeof *t->described; i++)
        free(t->described[i].v);
    if (t->decoded)
        tokenizer_strings_release(t->decoded);
    free(t->decoded);
    free(t->added);
    arena_release(&t->arena);
    free(t);
}

const struct tokenizer_info *tokenizer_info(const struct tokenizer *t)
{
    return &t->info;
}

uint32_t tokenizer_id(const struct tokenizer *t, const char *s, size_t n)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].n == n && memcmp(t->added[i].content, s, n) == 0)
            return t->added[i].id;
    return t->model->id(t->model_data, s, n);
}

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id)
{
    const struct tokenizer_added *a = tokenizer_added_token(t, id);

    return a && a->special && a->n == a->shown_n && memcmp(a->content, a->shown, a->n) == 0;
}
