#include "train/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "train/arch.h"
#include "train/kernel/kernel.h"

static const struct {
    const char *name;
    enum kernel_act act;
} acts[] = {
    { "silu", KERNEL_SILU },          { "swish", KERNEL_SILU },
    { "gelu", KERNEL_GELU_ERF },      { "gelu_new", KERNEL_GELU_TANH },
    { "gelu_pytorch_tanh", KERNEL_GELU_TANH }, { "relu", KERNEL_RELU },
};

static const char *const rope_names[] = { "none", "default", "linear", "dynamic", "llama3", "yarn" };

static int read_act(struct config *c, const struct config_key *k, const char *name, struct err *err)
{
    const char *s;

    *(int64_t *)(void *)((char *)c + k->offset) = (int64_t)k->dflt;
    if (json_get_str(c->json, k->name, NULL, &s, name, err) < 0)
        return -1;
    if (!s)
        return 0;
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(acts[i].name, s) == 0) {
            *(int64_t *)(void *)((char *)c + k->offset) = acts[i].act;
            return 0;
        }
    return err_set(err, "%s: %s: no such activation: '%s'", name, k->name, s);
}

/* A value other than the one that is implemented. */
static int refuse(const struct json_value *v, const struct config_key *k, const char *name, struct err *err)
{
    if (!v || v->type == JSON_NULL || (v->type == JSON_NUMBER && v->num == k->dflt) ||
        (v->type == JSON_TRUE && k->dflt == 1) || (v->type == JSON_FALSE && k->dflt == 0))
        return 0;
    return err_set(err, "%s: %s: %s is not supported", name, k->name,
                   v->type == JSON_TRUE ? "true" : v->type == JSON_FALSE ? "false" : v->str ? v->str : "what it says");
}

/* Of every family. */
static const struct config_key common_keys[] = {
    { "quantization_config", CONFIG_FIXED, 0, false, -1 },
    { "partial_rotary_factor", CONFIG_FIXED, 0, false, 1 },
    { NULL, CONFIG_INT, 0, false, 0 },
};

static int read_key(struct config *c, const struct config_key *k, const char *name, struct err *err)
{
    const struct json_value *v = json_get(c->json, k->name);
    bool flag;

    if (k->required && (!v || v->type == JSON_NULL))
        return err_set(err, "%s: '%s' is missing", name, k->name);
    switch (k->kind) {
    case CONFIG_INT:
        return json_get_int(c->json, k->name, (int64_t)k->dflt, (int64_t *)(void *)((char *)c + k->offset), name, err);
    case CONFIG_REAL:
        return json_get_double(c->json, k->name, k->dflt, (double *)(void *)((char *)c + k->offset), name, err);
    case CONFIG_ACT:
        return read_act(c, k, name, err);
    case CONFIG_FIXED:
        return refuse(v, k, name, err);
    case CONFIG_FLAG:
        break;
    }
    if (json_get_bool(c->json, k->name, k->dflt != 0, &flag, name, err) < 0)
        return -1;
    c->bits = flag ? c->bits | (unsigned)k->offset : c->bits & ~(unsigned)k->offset;
    return 0;
}

/* What a scaling cannot do without. */
static const struct {
    int type;
    const char *key;
} rope_needs[] = {
    { ROPE_LINEAR, "factor" },
    { ROPE_DYNAMIC, "factor" },
    { ROPE_YARN, "factor" },
    { ROPE_LLAMA3, "factor" },
    { ROPE_LLAMA3, "low_freq_factor" },
    { ROPE_LLAMA3, "high_freq_factor" },
    { ROPE_LLAMA3, "original_max_position_embeddings" },
};

static int check_rope(const struct json_value *s, int64_t type, const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof rope_needs / sizeof *rope_needs; i++)
        if (rope_needs[i].type == type && !json_get(s, rope_needs[i].key))
            return err_set(err, "%s: rope_scaling: '%s' is missing", name, rope_needs[i].key);
    return 0;
}

static int read_rope(struct config *c, const char *name, struct err *err)
{
    const struct json_value *v5 = json_get(c->json, "rope_parameters");
    const struct json_value *s = v5 ? v5 : json_get(c->json, "rope_scaling");
    struct config_rope_scaling *r = &c->rope;
    const char *type;

    r->type = ROPE_DEFAULT;
    if (json_get_double(v5 ? v5 : c->json, "rope_theta", 10000, &r->theta, name, err) < 0)
        return -1;
    if (!(r->theta > 0))
        return err_set(err, "%s: rope_theta %g is not above 0", name, r->theta);
    if (!s || s->type == JSON_NULL)
        return 0;
    if (s->type != JSON_OBJECT)
        return err_set(err, "%s: rope_scaling is not an object", name);
    if (json_get_str(s, "rope_type", NULL, &type, name, err) < 0 ||
        (!type && json_get_str(s, "type", "default", &type, name, err) < 0))
        return -1;
    for (r->type = ROPE_YARN; r->type > ROPE_NONE && strcmp(rope_names[r->type], type) != 0;)
        r->type--;
    if (r->type == ROPE_NONE)
        return err_set(err, "%s: no such rope scaling: '%s'", name, type);
    if (check_rope(s, r->type, name, err) < 0 || json_get_double(s, "factor", 1, &r->factor, name, err) < 0 ||
        json_get_double(s, "low_freq_factor", 1, &r->low, name, err) < 0 ||
        json_get_double(s, "high_freq_factor", 4, &r->high, name, err) < 0 ||
        json_get_double(s, "beta_fast", 32, &r->beta_fast, name, err) < 0 ||
        json_get_double(s, "beta_slow", 1, &r->beta_slow, name, err) < 0 ||
        json_get_double(s, "attention_factor", 0, &r->attention_factor, name, err) < 0 ||
        json_get_bool(s, "truncate", true, &r->truncate, name, err) < 0 ||
        json_get_int(s, "original_max_position_embeddings", c->max_pos, &r->original, name, err) < 0)
        return -1;
    if (!(r->factor > 0) || r->original < 1 || !(r->high > r->low) || !(r->beta_fast > 0) || !(r->beta_slow > 0))
        return err_set(err, "%s: rope_scaling has values out of range", name);
    return 0;
}

static int read_windows(struct config *c, const char *name, struct err *err)
{
    const struct json_value *types = json_get(c->json, "layer_types"), *t;

    c->windowed = arena_calloc(&c->arena, (size_t)c->layers, sizeof *c->windowed);
    for (int64_t l = 0; l < c->layers; l++)
        c->windowed[l] = c->window > 0 && l >= c->window_from;
    if (!types || types->type == JSON_NULL)
        return 0;
    if (types->type != JSON_ARRAY || types->n != c->layers)
        return err_set(err, "%s: layer_types does not name %lld layers", name, (long long)c->layers);
    t = types->child;
    for (int64_t l = 0; l < c->layers; l++, t = t->next) {
        if (t->type != JSON_STRING || (strcmp(t->str, "sliding_attention") != 0 && strcmp(t->str, "full_attention") != 0))
            return err_set(err, "%s: layer_types[%lld]: no such kind of layer: '%s'", name, (long long)l,
                           t->str ? t->str : "?");
        c->windowed[l] = c->window > 0 && t->str[0] == 's';
    }
    return 0;
}

/* eos_token_id: a number or several; where the file says nothing, c stays as it is. */
static int read_eos(struct config *c, const struct json_value *json, const char *name, struct err *err)
{
    const struct json_value *e = json_get(json, "eos_token_id");
    int64_t n = 0;

    if (!e || e->type == JSON_NULL)
        return 0;
    if (e->type != JSON_ARRAY) {
        if (json_get_int(json, "eos_token_id", -1, &c->eos[0], name, err) < 0)
            return -1;
        c->n_eos = c->eos[0] >= 0;
        return 0;
    }
    for (e = e->child; e; e = e->next) {
        if (e->type != JSON_NUMBER || !(e->num >= 0) || e->num > INT32_MAX || n == CONFIG_EOS)
            return err_set(err, "%s: eos_token_id: not a list of up to %d ids", name, CONFIG_EOS);
        c->eos[n++] = (int64_t)e->num;
    }
    c->n_eos = n;
    return 0;
}

static int read_ids(struct config *c, const char *name, struct err *err)
{
    if (json_get_int(c->json, "bos_token_id", -1, &c->bos, name, err) < 0 ||
        json_get_int(c->json, "pad_token_id", -1, &c->pad, name, err) < 0)
        return -1;
    return read_eos(c, c->json, name, err);
}

/* Sizes that later arithmetic multiplies must stay far from overflow. */
static int check(const struct config *c, const char *name, struct err *err)
{
    const struct {
        const char *what;
        int64_t value, least, most;
    } rows[] = {
        { "vocabulary size", c->vocab, 1, 1 << 24 },      { "hidden size", c->hidden, 1, 1 << 20 },
        { "number of layers", c->layers, 1, 1 << 14 },    { "number of heads", c->heads, 1, 1 << 14 },
        { "number of key heads", c->kv_heads, 1, 1 << 14 }, { "head dimension", c->head_dim, 1, KERNEL_HEAD_DIM },
        { "intermediate size", c->ffn, 1, 1 << 22 },      { "number of positions", c->max_pos, 1, 1 << 28 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].value < rows[i].least || rows[i].value > rows[i].most)
            return err_set(err, "%s: %s: %lld is not within %lld..%lld", name, rows[i].what, (long long)rows[i].value,
                           (long long)rows[i].least, (long long)rows[i].most);
    if (c->heads % c->kv_heads)
        return err_set(err, "%s: %lld heads do not divide into %lld key heads", name, (long long)c->heads,
                       (long long)c->kv_heads);
    if (c->rope.type != ROPE_NONE && c->head_dim % 2)
        return err_set(err, "%s: head dimension %lld is odd", name, (long long)c->head_dim);
    if (!(c->norm_eps > 0) || !(c->norm_eps < 1) || !(c->init_std >= 0))
        return err_set(err, "%s: epsilon %g or initializer_range %g out of range", name, c->norm_eps, c->init_std);
    return 0;
}

static int unknown_type(const char *name, const char *type, struct err *err)
{
    char known[200] = "";
    size_t n = 0;

    for (int i = 0; arch_all[i] && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", arch_all[i]->model_type);
    return err_set(err, "%s: no such model_type: '%.100s': known are %s", name, type, known);
}

static int fill(struct config *c, const char *name, struct err *err)
{
    const char *type;
    const struct config_key *tables[3], *k;

    if (json_get_str(c->json, "model_type", NULL, &type, name, err) < 0)
        return -1;
    if (!type)
        return err_set(err, "%s: 'model_type' is missing", name);
    c->arch = arch_find(type);
    if (!c->arch)
        return unknown_type(name, type, err);
    tables[0] = c->arch->keys;
    tables[1] = c->arch->more_keys;
    tables[2] = common_keys;
    for (int t = 0; t < 3; t++)
        for (k = tables[t]; k && k->name; k++)
            if (read_key(c, k, name, err) < 0)
                return -1;
    c->bits |= c->bits & CONFIG_TIED ? 0 : CONFIG_UNTIED;
    if (!c->kv_heads)
        c->kv_heads = c->heads;
    if (!c->head_dim && c->heads > 0) {
        if (c->hidden % c->heads)
            return err_set(err, "%s: hidden size %lld does not divide into %lld heads", name, (long long)c->hidden,
                           (long long)c->heads);
        c->head_dim = c->hidden / c->heads;
    }
    if (read_rope(c, name, err) < 0 || read_ids(c, name, err) < 0)
        return -1;
    if (c->arch->finish)
        c->arch->finish(c);
    if (check(c, name, err) < 0)
        return -1;
    return read_windows(c, name, err);
}

int config_parse(struct config *c, const void *json, size_t n, const char *name, struct err *err)
{
    memset(c, 0, sizeof *c);
    arena_init(&c->arena);
    c->json = json_tree(&c->arena, json, n, name, err);
    if (!c->json || (c->json->type != JSON_OBJECT && err_set(err, "%s: not a JSON object", name) < 0) ||
        fill(c, name, err) < 0) {
        config_close(c);
        return -1;
    }
    return 0;
}

/* generation_config.json, where there is one: what ends a generation. */
static int read_generation(struct config *c, const char *dir, struct err *err)
{
    size_t size = strlen(dir) + sizeof "/generation_config.json";
    char *file = xmalloc(size);
    const struct json_value *json;
    struct io_map m;
    int rc = 0;

    snprintf(file, size, "%s/generation_config.json", dir);
    if (access(file, F_OK) == 0) {
        rc = io_map(&m, file, err);
        if (rc == 0) {
            json = json_tree(&c->arena, m.data, m.size, file, err);
            rc = json ? read_eos(c, json, file, err) : -1;
            io_unmap(&m);
        }
    }
    free(file);
    return rc;
}

int config_open(struct config *c, const char *path, struct err *err)
{
    struct stat st;
    struct io_map m;
    size_t size = strlen(path) + sizeof "/config.json";
    char *file = xmalloc(size);
    bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int rc;

    snprintf(file, size, "%s%s", path, dir ? "/config.json" : "");
    memset(c, 0, sizeof *c);
    rc = io_map(&m, file, err);
    if (rc == 0) {
        rc = config_parse(c, m.data, m.size, file, err);
        io_unmap(&m);
    }
    if (rc == 0 && dir && read_generation(c, path, err) < 0) {
        config_close(c);
        rc = -1;
    }
    free(file);
    return rc;
}

void config_close(struct config *c)
{
    arena_release(&c->arena);
    memset(c, 0, sizeof *c);
}

bool config_is_eos(const struct config *c, int64_t id)
{
    for (int64_t i = 0; i < c->n_eos; i++)
        if (c->eos[i] == id)
            return true;
    return false;
}
