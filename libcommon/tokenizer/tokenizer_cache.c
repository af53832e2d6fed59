#include "libcommon/tokenizer/tokenizer_cache.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"

static void add(struct hash_sha256 *h, const void *data, size_t n)
{
    uint64_t length = data ? n : UINT64_MAX;

    hash_sha256_add(h, &length, sizeof length);
    if (data)
        hash_sha256_add(h, data, n);
}

static void make_key(const struct tokenizer_source *s, uint8_t key[32])
{
    const uint64_t machine[] = { 0x0102030405060708, sizeof(size_t), sizeof(struct tokenizer) };
    const char *name = tokenizer_base_name(s->name);
    struct hash_sha256 h;

    hash_sha256_init(&h);
    add(&h, TOKENIZER_SOURCES, sizeof TOKENIZER_SOURCES);
    add(&h, machine, sizeof machine);
    add(&h, name, strlen(name));
    add(&h, s->pattern, s->pattern ? strlen(s->pattern) : 0);
    add(&h, s->config, s->config_n);
    add(&h, s->merges, s->merges_n);
    add(&h, s->data, s->n);
    hash_sha256_end(&h, key);
}

static void image_rest(struct tokenizer_cached *r, struct image *i)
{
    image_flags(i, &r->spm, 1);
    image_flags(i, &r->given_ids, 1);
    image_flags(i, &r->rust, 1);
    image_field(i, r->row);
    image_field(i, r->json_n);
    image_known(i, &r->json, r->json_n, 1);
    image_field(i, r->config_n);
    image_known(i, &r->config, r->config_n, 1);
    image_field(i, r->fingerprint);
    image_field(i, r->n_tokens);
    image_field(i, r->n_ids);
}

static void find(struct tokenizer_cache *c, const struct tokenizer_source *s)
{
    make_key(s, c->key);
    c->found = cache_find(c->key, &c->entry);
    if (!c->found)
        return;
    c->image.at = c->entry.data;
    c->image.end = c->image.at + c->entry.n;
    image_rest(&c->rest, &c->image);
    c->found = !c->image.bad;
}

static void close_cache(struct tokenizer_cache *c)
{
    if (c->entry.map)
        cache_release(&c->entry);
    free(c->rest.json);
    free(c->rest.config);
    c->rest = (struct tokenizer_cached){ 0 };
    c->found = false;
}

static struct tokenizer *load_found(struct tokenizer_cache *c, const struct tokenizer_source *s)
{
    const struct tokenizer_cached *r = &c->rest;
    struct tokenizer_source kept = {
        .name = s->name, .data = r->json, .n = r->json_n, .config = r->config, .config_n = r->config_n,
        .given_ids = r->given_ids, .rust = r->rust, .cache = c,
    };
    struct err ignored;

    return tokenizer_load_by(r->spm ? tokenizer_load_spm : tokenizer_load, &kept, &ignored);
}

struct tokenizer *tokenizer_parse_cached(const struct tokenizer_source *s, struct err *err)
{
    struct tokenizer_cache c = { 0 };
    struct tokenizer_source own = *s;
    struct tokenizer *t = NULL;

    if (s->n + s->merges_n < TOKENIZER_CACHE_LEAST)
        return tokenizer_parse_source(s, err);
    find(&c, s);
    if (c.found)
        t = load_found(&c, s);
    close_cache(&c);
    own.cache = &c;
    t = t ? t : tokenizer_parse_source(&own, err);
    return t;
}

int tokenizer_cache_take(struct tokenizer_cache *c, struct tokenizer *t, const struct tokenizer_model_row *row)
{
    t->model = row;
    t->n_tokens = c->rest.n_tokens;
    t->n_ids = c->rest.n_ids;
    row->image(&t->model_data, &c->image);
    image_check(&c->image, c->image.at == c->image.end);
    return c->image.bad ? -1 : 0;
}

/* The file without its model. */
static char *cut(const struct tokenizer_source *s, const char *model, size_t model_n, size_t *n)
{
    size_t before = (size_t)(model - (const char *)s->data), behind = s->n - before - model_n;
    char *json = xmalloc(before + 2 + behind);

    memcpy(json, s->data, before);
    memcpy(json + before, "{}", 2);
    memcpy(json + before + 2, model + model_n, behind);
    *n = before + 2 + behind;
    return json;
}

void tokenizer_cache_keep(struct tokenizer_cache *c, const struct tokenizer *t, const struct tokenizer_source *s, const char *model,
                          size_t model_n)
{
    struct tokenizer_cached r = { .spm = !model, .given_ids = s->given_ids, .rust = s->rust, .row = c->rest.row,
                                  .n_tokens = t->n_tokens, .n_ids = t->n_ids };
    void *data = t->model_data;
    struct image i = { 0 };

    if (!t->model->image)
        return;
    memcpy(r.fingerprint, t->info.fingerprint, sizeof r.fingerprint);
    if (model)
        r.json = cut(s, model, model_n, &r.json_n);
    r.config = s->config ? memcpy(xmalloc(s->config_n + 1), s->config, s->config_n) : NULL;
    r.config_n = s->config_n;
    for (int pass = 0; pass < 2; pass++) {
        i = (struct image){ .v = pass ? xmalloc(i.n) : NULL };
        image_rest(&r, &i);
        t->model->image(&data, &i);
    }
    cache_keep(c->key, i.v, i.n);
    free(i.v);
    free(r.json);
    free(r.config);
}
