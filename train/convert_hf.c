/* HF model directories: one file of safetensors, or shards and their index. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"
#include "train/convert_file.h"

enum { MOST_HEADER = 4 << 20 }; /* bytes of an odd header that go with a Megatron checkpoint */
#define SHARD ((uint64_t)5000000000) /* bytes, where nothing else is said: transformers' max_shard_size */

static void walk(const struct convert *c, struct scheme_list *l, bool no_prefix)
{
    struct scheme_stage all = { 0, c->config.layers, true, true };
    struct scheme_grid g = { .tp = 1, .vocab = c->config.vocab, .no_prefix = no_prefix };

    scheme_walk(l, &c->config, c->config.arch->hf, &g, 0, &all);
}

/* A header that another writer would not make is kept, to come back as it was. */
static void keep_header(struct convert *c)
{
    struct err ignored;
    size_t n;
    char *ours = safetensors_header(c->st.tensor, c->st.n, c->meta, c->n_meta, &n, &ignored);

    if (c->st.header_n <= MOST_HEADER && (!ours || n != c->st.header_n || memcmp(ours, c->st.header, n) != 0)) {
        c->header = c->st.header;
        c->header_n = c->st.header_n;
    }
    free(ours);
}

int convert_open_hf(struct convert *c, const char *path, struct err *err)
{
    const char *prefix = c->config.arch->hf->prefix;
    struct convert_file f = { .st = &c->st, .path = path, .prefix = "" };
    int rc;

    if (safetensors_open(&c->st, path, err) < 0)
        return -1;
    c->tp = c->pp = 1;
    c->meta = c->st.meta;
    c->n_meta = c->st.n_meta;
    c->one_file = c->st.n_map == 1;
    if (c->one_file)
        keep_header(c);
    c->no_prefix = prefix != NULL;
    for (int i = 0; i < c->st.n && prefix; i++)
        if (strncmp(c->st.tensor[i].name, prefix, strlen(prefix)) == 0)
            c->no_prefix = false;
    c->list = xcalloc(1, sizeof *c->list);
    c->n_lists = 1;
    walk(c, c->list, c->no_prefix);
    f.used = xcalloc((size_t)c->st.n + 1, sizeof *f.used);
    rc = convert_bind(c, &f, c->list, err) < 0 || convert_bind_rest(c, &f, err) < 0 ? -1 : 0;
    free(f.used);
    return rc;
}

int convert_check_hf(struct convert *c, struct err *err)
{
    struct scheme_list l;
    enum dtype dtype;
    int rc = 0;

    walk(c, &l, c->no_prefix);
    for (int i = 0; i < l.n && rc == 0; i++)
        rc = l.tensor[i].absent ? 0 : convert_dtype(c, &l.tensor[i], &dtype, err);
    scheme_free(&l);
    return rc;
}

/* ---- writing ---- */

struct saving {
    struct convert *c;
    const struct scheme_tensor **t; /* what list[] describes */
    struct tensor *list;
    int n;
    uint64_t total;
};

static int put(void *w, const void *data, size_t n, struct err *err)
{
    return safetensors_put(w, data, n, err);
}

static int put_tensor(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    struct saving *s = ctx;

    return convert_put(s->c, s->t[t - s->list], t->dtype, put, w, err);
}

static int save_file(struct saving *s, const char *dir, const char *name, int first, int end, struct err *err)
{
    const struct convert *c = s->c;
    char *path = tree_join(dir, name);
    int rc = c->header ? safetensors_save_as(path, c->header, c->header_n, s->list + first, end - first, put_tensor, s, err) : 1;

    if (rc > 0)
        rc = safetensors_save(path, s->list + first, end - first, c->meta, c->n_meta, put_tensor, s, err);
    free(path);
    return rc;
}

/* Tensors in order as long as they fit, as huggingface_hub cuts: the end of the shard that begins with tensor i. */
static int shard_end(const struct saving *s, int i, uint64_t most)
{
    uint64_t size = s->list[i].size;

    while (++i < s->n && size + s->list[i].size <= most)
        size += s->list[i].size;
    return i;
}

static int save_index(struct saving *s, const char *dir, const struct json_value *map, struct err *err)
{
    char number[24], *path = tree_join(dir, "model.safetensors.index.json");
    struct json_value size = { .type = JSON_NUMBER, .key = "total_size", .str = number }, root = { .type = JSON_OBJECT };
    struct json_value meta = { .type = JSON_OBJECT, .key = "metadata", .child = &size }, names = *map;
    struct io_out o;
    int rc;

    size.len = (size_t)snprintf(number, sizeof number, "%" PRIu64, s->total);
    size.key_len = strlen(size.key);
    meta.key_len = strlen(meta.key);
    names.key = "weight_map";
    names.key_len = strlen(names.key);
    names.type = JSON_OBJECT;
    root.child = &meta;
    meta.next = &names;
    rc = io_create(&o, path, false, err);
    if (rc == 0)
        rc = json_put_value(&o, &root, err) < 0 ? -1 : io_commit(&o, err);
    if (rc < 0)
        io_abort(&o);
    free(path);
    return rc;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct json_value *)a)->key, ((const struct json_value *)b)->key);
}

static int save_shards(struct saving *s, const char *dir, uint64_t most, struct err *err)
{
    struct json_value *entry = arena_calloc(&s->c->arena, (size_t)s->n, sizeof *entry), map = { .child = entry };
    int n = 0, k = 0, rc = 0;

    for (int i = 0; i < s->n; i = shard_end(s, i, most))
        n++;
    for (int i = 0, end; i < s->n && rc == 0; i = end) {
        char *name = convert_printf(&s->c->arena, "model-%05d-of-%05d.safetensors", ++k, n);

        end = shard_end(s, i, most);
        rc = save_file(s, dir, name, i, end, err);
        for (int t = i; t < end; t++)
            entry[t] = (struct json_value){ .type = JSON_STRING, .key = s->list[t].name, .key_len = strlen(s->list[t].name), .str = name,
                                            .len = strlen(name) };
    }
    qsort(entry, (size_t)s->n, sizeof *entry, by_key);
    for (int t = 1; t < s->n; t++)
        entry[t - 1].next = &entry[t];
    return rc < 0 ? -1 : save_index(s, dir, &map, err);
}

int convert_save_hf(struct convert *c, const char *dir, struct err *err)
{
    struct scheme_list l;
    struct saving s = { .c = c };
    uint64_t most = c->o->max_shard ? (uint64_t)c->o->max_shard : c->one_file ? UINT64_MAX : SHARD;
    int rc;

    walk(c, &l, c->no_prefix);
    s.t = arena_alloc(&c->arena, (size_t)l.n * sizeof *s.t);
    s.list = arena_alloc(&c->arena, (size_t)l.n * sizeof *s.list);
    rc = s.n = convert_describe(c, &l, s.list, s.t, err);
    for (int i = 0; i < s.n; i++)
        s.total += s.list[i].size;
    if (rc >= 0)
        rc = s.total <= most ? save_file(&s, dir, "model.safetensors", 0, s.n, err) : save_shards(&s, dir, most, err);
    scheme_free(&l);
    return rc;
}
