#include "train/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "train/op.h"
#include "train/scheme.h"

#define ALIGN_FLOATS 16

static int32_t *slot(const struct model *m, enum arch_param_id id, int layer)
{
    return &m->index[(layer < 0 ? m->config.layers : layer) * P_COUNT + id];
}

static void add_param(struct model *m, enum arch_param_id id, int layer, size_t *cap)
{
    const struct config *c = &m->config;
    const struct arch_param *p = arch_param(c->arch, id);
    struct model_param q = { .id = id, .layer = layer, .offset = m->size, .init = p->init };

    q.rows = arch_dim(c, p->rows);
    q.cols = arch_dim(c, p->cols);
    q.count = q.rows * q.cols;
    q.decay = p->cols != DIM_NONE;
    mem_grow(&m->param, cap, (size_t)m->n_params + 1, sizeof *m->param);
    *slot(m, id, layer) = m->n_params;
    m->param[m->n_params++] = q;
    m->size += q.count;
    m->count += q.count;
}

/* What one row names lies side by side, weights, then their biases. */
static void add_row(struct model *m, const struct arch_row *r, int layer, size_t *cap)
{
    const struct config *c = &m->config;

    for (int biases = 0; biases < 2; biases++) {
        m->size = (m->size + ALIGN_FLOATS - 1) & ~(int64_t)(ALIGN_FLOATS - 1);
        for (int k = 0; k < ARCH_PARAM && r->param[k]; k++) {
            const struct arch_param *p = arch_param(c->arch, r->param[k]);
            enum arch_param_id id = biases ? p->bias : p->id;

            if (id && arch_has(c, id) && *slot(m, id, arch_param(c->arch, id)->layer ? layer : -1) < 0)
                add_param(m, id, arch_param(c->arch, id)->layer ? layer : -1, cap);
        }
    }
}

static void add_program(struct model *m, const struct arch_program *g, int layer, size_t *cap)
{
    for (int i = 0; i < g->n; i++)
        if (!op_table[g->row[i].op].views)
            add_row(m, &g->row[i], layer, cap);
}

/* What files hold: the naming scheme's list, its parts as parameters of this model. */
static void add_tensors(struct model *m)
{
    const struct config *c = &m->config;
    struct scheme_stage all = { 0, c->layers, true, true };
    struct scheme_grid g = { .tp = 1, .vocab = c->vocab };
    struct scheme_list l;

    scheme_walk(&l, c, c->arch->hf, &g, 0, &all);
    m->tensor = xcalloc((size_t)l.n + 1, sizeof *m->tensor);
    for (int i = 0; i < l.n; i++) {
        const struct scheme_tensor *s = &l.tensor[i];
        struct model_tensor *t = &m->tensor[m->n_tensors];

        if (s->absent)
            continue;
        *t = (struct model_tensor){ .name = arena_strndup(&m->tables, s->name, strlen(s->name)), .n = s->n, .rank = s->rank,
                                    .layout = s->transposed ? LAYOUT_TRANSPOSED : LAYOUT_PLAIN,
                                    .shape = { s->shape[0], s->shape[1] }, .count = s->shape[0] * s->shape[1] };
        for (int k = 0; k < s->n; k++)
            t->param[k] = *slot(m, s->part[k].param, s->layer);
        m->n_tensors++;
    }
    scheme_free(&l);
}

int model_init(struct model *m, struct config *c, struct err *err)
{
    const struct arch *a = c->arch;
    size_t params = 0, index;

    (void)err;
    memset(m, 0, sizeof *m);
    m->config = *c;
    memset(c, 0, sizeof *c);
    arena_init(&m->tables);
    index = (size_t)(m->config.layers + 1) * P_COUNT;
    m->index = arena_alloc(&m->tables, index * sizeof *m->index);
    memset(m->index, 0xff, index * sizeof *m->index);
    add_program(m, &a->embed, -1, &params);
    for (int l = 0; l < m->config.layers; l++)
        add_program(m, &a->layer, l, &params);
    add_program(m, &a->head, -1, &params);
    add_tensors(m);
    arena_reserve(&m->arena, (size_t)m->size * sizeof(float) + ARENA_ALIGN);
    m->w = arena_alloc(&m->arena, (size_t)m->size * sizeof(float));
    return 0;
}

int model_open(struct model *m, const char *dir, struct err *err)
{
    struct config c;

    memset(m, 0, sizeof *m);
    if (config_open(&c, dir, err) < 0 || model_init(m, &c, err) < 0)
        return -1;
    if (model_load(m, m->w, dir, err) < 0) {
        model_close(m);
        return -1;
    }
    return 0;
}

void model_close(struct model *m)
{
    config_close(&m->config);
    arena_release(&m->arena);
    arena_release(&m->grads);
    arena_release(&m->tables);
    free(m->param);
    free(m->tensor);
    memset(m, 0, sizeof *m);
}

void model_randomize(struct model *m, uint64_t seed)
{
    double std = m->config.init_std;

    for (int i = 0; i < m->n_params; i++) {
        const struct model_param *p = &m->param[i];
        uint64_t stream = (uint64_t)(p->layer + 1) * P_COUNT + p->id;
        double s = p->init == INIT_RESIDUAL ? std / sqrt(2 * (double)m->config.layers) : std;
        float *w = m->w + p->offset;

        for (int64_t k = 0; k < p->count; k++)
            w[k] = p->init == INIT_ONE    ? 1.0f
                   : p->init == INIT_ZERO ? 0.0f
                                          : (float)(s * rng_normal(seed, stream, (uint64_t)k));
    }
}

static void share_weights(struct model *m, const struct comm *c)
{
    size_t size = (size_t)m->size * sizeof(float);
    struct arena common;
    float *w;

    c->table->reserve(c, &common, size + ARENA_ALIGN, true);
    w = arena_alloc(&common, size);
    if (c->part == 0)
        memcpy(w, m->w, size);
    c->table->meet(c);
    arena_release(&m->arena);
    m->arena = common;
    m->w = w;
}

void model_train(struct model *m, const struct comm *c)
{
    size_t size = (size_t)m->size * sizeof(float);

    if (m->g)
        return;
    c->table->reserve(c, &m->grads, size + ARENA_ALIGN, false);
    m->g = arena_alloc(&m->grads, size);
    if (c->parts > 1)
        share_weights(m, c);
}

struct model_param *model_param(const struct model *m, enum arch_param_id id, int layer)
{
    const struct arch_param *p = id ? arch_param(m->config.arch, id) : NULL;
    int32_t i = p ? *slot(m, id, p->layer ? layer : -1) : -1;

    if (i < 0 && p && p->tied)
        return model_param(m, p->tied, layer);
    return i < 0 ? NULL : &m->param[i];
}

float model_grad_beta(struct model_param *p)
{
    float beta = p->fresh ? 0.0f : 1.0f;

    p->fresh = false;
    return beta;
}

void model_grad_begin(struct model *m)
{
    for (int i = 0; i < m->n_params; i++)
        m->param[i].fresh = true;
}

void model_grad_end(struct model *m, int first, int end)
{
    for (int i = first; i < end; i++)
        if (m->param[i].fresh)
            memset(m->g + m->param[i].offset, 0, (size_t)m->param[i].count * sizeof(float));
}

void model_get(const struct model *m, const struct model_tensor *t, const float *base, float *out)
{
    int64_t at = 0;

    for (int i = 0; i < t->n; i++) {
        const struct model_param *p = &m->param[t->param[i]];
        const float *w = base + p->offset;

        if (t->layout == LAYOUT_PLAIN)
            memcpy(out + at * p->cols, w, (size_t)p->count * sizeof *w);
        else
            for (int64_t r = 0; r < p->rows; r++)
                for (int64_t c = 0; c < p->cols; c++)
                    out[c * t->shape[1] + at + r] = w[r * p->cols + c];
        at += p->rows;
    }
}

void model_put(const struct model *m, const struct model_tensor *t, float *base, const float *in)
{
    int64_t at = 0;

    for (int i = 0; i < t->n; i++) {
        const struct model_param *p = &m->param[t->param[i]];
        float *w = base + p->offset;

        if (t->layout == LAYOUT_PLAIN)
            memcpy(w, in + at * p->cols, (size_t)p->count * sizeof *w);
        else
            for (int64_t r = 0; r < p->rows; r++)
                for (int64_t c = 0; c < p->cols; c++)
                    w[r * p->cols + c] = in[c * t->shape[1] + at + r];
        at += p->rows;
    }
}

static const char *published(const struct model *m, const char *name)
{
    const char *prefix = m->config.arch->hf->prefix;

    return m->no_prefix && strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : name;
}

const char *model_name(const struct model *m, const struct model_tensor *t)
{
    return published(m, t->name);
}

struct saving {
    const struct model *m;
    const float *base;
    float *buf;
};

static int put_tensor(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    struct saving *s = ctx;

    for (int i = 0; i < s->m->n_tensors; i++)
        if (strcmp(model_name(s->m, &s->m->tensor[i]), t->name) == 0) {
            model_get(s->m, &s->m->tensor[i], s->base, s->buf);
            return safetensors_put_f32(w, t, s->buf, (size_t)t->count, err);
        }
    return err_set(err, "%s: no such tensor", t->name);
}

int model_save(const struct model *m, const float *base, const char *path, struct err *err)
{
    static const struct safetensors_meta meta = { "format", "pt" };
    struct tensor *list = xcalloc((size_t)m->n_tensors, sizeof *list);
    struct saving s = { m, base, NULL };
    int64_t largest = 0;
    int rc;

    for (int i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensor[i];

        list[i] = (struct tensor){ .name = model_name(m, t), .dtype = DTYPE_F32, .rank = t->rank };
        list[i].shape[0] = t->shape[0];
        list[i].shape[1] = t->shape[1];
        list[i].count = t->count;
        list[i].size = (size_t)t->count * sizeof(float);
        largest = t->count > largest ? t->count : largest;
    }
    s.buf = xmalloc((size_t)largest * sizeof *s.buf);
    rc = safetensors_save(path, list, m->n_tensors, &meta, 1, put_tensor, &s, err);
    free(s.buf);
    free(list);
    return rc;
}

static bool is_known(const struct model *m, const char *name)
{
    const struct arch_scheme *hf = m->config.arch->hf;

    for (int i = 0; i < m->n_tensors; i++)
        if (strcmp(model_name(m, &m->tensor[i]), name) == 0)
            return true;
    if (scheme_ignores(hf, name))
        return true;
    /* a tied head may be published all the same; transformers, too, uses the embedding then */
    for (int i = 0; i < hf->n_names; i++)
        if (!arch_has(&m->config, hf->names[i].param) && arch_param(m->config.arch, hf->names[i].param)->tied &&
            strcmp(published(m, hf->names[i].name), name) == 0)
            return true;
    return false;
}

static int load_tensor(struct model *m, const struct model_tensor *t, const struct tensor *f, float *base, float *buf,
                       struct err *err)
{
    const struct dtype_info *d = &dtype_table[f->dtype];

    if (f->rank != t->rank || f->shape[0] != t->shape[0] || (t->rank == 2 && f->shape[1] != t->shape[1]))
        return err_set(err, "%s: %s: shape [%lld, %lld] of rank %d, the config asks for [%lld, %lld] of rank %d",
                       f->file, f->name, (long long)f->shape[0], (long long)(f->rank > 1 ? f->shape[1] : 1), f->rank,
                       (long long)t->shape[0], (long long)t->shape[1], t->rank);
    if (!d->to_f32)
        return err_set(err, "%s: %s: cannot read weights of type %s", f->file, f->name, d->name);
    d->to_f32(buf, f->data, (size_t)t->count);
    model_put(m, t, base, buf);
    return 0;
}

int model_load(struct model *m, float *base, const char *path, struct err *err)
{
    struct safetensors st = { 0 };
    const char *prefix = m->config.arch->hf->prefix;
    int64_t largest = 0;
    float *buf;
    int rc = 0;

    if (safetensors_open(&st, path, err) < 0)
        return -1;
    m->no_prefix = prefix != NULL;
    for (int i = 0; i < st.n && prefix; i++)
        if (strncmp(st.tensor[i].name, prefix, strlen(prefix)) == 0)
            m->no_prefix = false;
    for (int i = 0; i < m->n_tensors; i++)
        largest = m->tensor[i].count > largest ? m->tensor[i].count : largest;
    buf = xmalloc((size_t)largest * sizeof *buf);
    for (int i = 0; i < m->n_tensors && rc == 0; i++) {
        const char *name = model_name(m, &m->tensor[i]);
        const struct tensor *f = safetensors_find(&st, name);

        rc = f ? load_tensor(m, &m->tensor[i], f, base, buf, err) : err_set(err, "%s: %s: missing", path, name);
    }
    for (int i = 0; i < st.n && rc == 0; i++)
        if (!is_known(m, st.tensor[i].name))
            rc = err_set(err, "%s: %s: left over, not a tensor of model_type %s", st.tensor[i].file, st.tensor[i].name,
                         m->config.arch->model_type);
    free(buf);
    safetensors_close(&st);
    return rc;
}
