#include "train/dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/mem.h"

int dump_open(struct dump *d, const char *dir, const struct step *s, struct err *err)
{
    const struct comm *c = s->opt.comm;
    size_t n = (size_t)(s->opt.global_batch / (c->rank ? c->size : 1) * s->opt.length);

    memset(d, 0, sizeof *d);
    if (c->rank == 0 && mkdir(dir, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: mkdir:", dir);
    d->dir = dir;
    d->logits = xmalloc(n * (size_t)s->m->config.vocab * sizeof *d->logits);
    d->ids = xmalloc(n * sizeof *d->ids);
    return 0;
}

void dump_close(struct dump *d)
{
    free(d->logits);
    free(d->ids);
    memset(d, 0, sizeof *d);
}

void dump_forward(struct dump *d, struct step *s, int64_t t, int64_t n)
{
    const struct comm *c = s->opt.comm;
    size_t tokens = (size_t)(s->n * s->opt.length);

    d->step = t;
    d->n = n;
    for (int64_t i = 0; i < s->n; i++)
        step_logits(s, i, d->logits + i * s->opt.length * s->m->config.vocab);
    memcpy(d->ids, s->ids, tokens * sizeof *d->ids);
    c->table->gather(c, d->ids, tokens * sizeof *d->ids);
    c->table->gather(c, d->logits, tokens * (size_t)s->m->config.vocab * sizeof *d->logits);
}

/* A file's tensors: the fixed ones, then two of each published one. */
enum { INPUT_IDS, LOGITS, LOSS, GRAD_NORM, FIXED };
static const char *const groups[] = { "grad.", "after." };

struct writing {
    const struct dump *d;
    const struct step *s;
    float loss, grad_norm;
    float *buf; /* of the largest published tensor */
    struct arena names;
};

static int put_fixed(const struct writing *w, struct safetensors_writer *out, const struct tensor *t, int which,
                     struct err *err)
{
    const void *data[FIXED] = { [LOGITS] = w->d->logits, [LOSS] = &w->loss, [GRAD_NORM] = &w->grad_norm };

    if (which != INPUT_IDS)
        return safetensors_put(out, data[which], t->size, err);
    for (int64_t i = 0; i < t->count; i++) {
        int64_t id = w->d->ids[i];

        if (safetensors_put(out, &id, sizeof id, err) < 0)
            return -1;
    }
    return 0;
}

static int put(void *ctx, struct safetensors_writer *out, const struct tensor *t, struct err *err)
{
    const struct writing *w = ctx;
    const struct model *m = w->s->m;
    static const char *const fixed[FIXED] = { "input_ids", "logits", "loss", "grad_norm" };

    for (int i = 0; i < FIXED; i++)
        if (strcmp(t->name, fixed[i]) == 0)
            return put_fixed(w, out, t, i, err);
    for (size_t g = 0; g < 2; g++) {
        size_t n = strlen(groups[g]);

        if (strncmp(t->name, groups[g], n) == 0)
            for (int i = 0; i < m->n_tensors; i++)
                if (strcmp(model_name(m, &m->tensor[i]), t->name + n) == 0) {
                    model_get(m, &m->tensor[i], g ? m->w : m->g, w->buf);
                    return safetensors_put(out, w->buf, t->size, err);
                }
    }
    return err_set(err, "%s: no such tensor", t->name);
}

static struct tensor describe(const char *name, enum dtype dtype, int rank, const int64_t *shape)
{
    struct tensor t = { .name = name, .dtype = dtype, .rank = rank, .count = 1 };

    for (int i = 0; i < rank; i++) {
        t.shape[i] = shape[i];
        t.count *= shape[i];
    }
    t.size = (size_t)t.count * (dtype == DTYPE_I64 ? sizeof(int64_t) : sizeof(float));
    return t;
}

int dump_write(const struct dump *d, const struct step *s, double loss, double grad_norm, struct err *err)
{
    const struct model *m = s->m;
    struct writing w = { .d = d, .s = s, .loss = (float)loss, .grad_norm = (float)grad_norm };
    int64_t shape[3] = { d->n, s->opt.length, m->config.vocab }, one = 1, largest = 0;
    struct tensor *list = xcalloc(FIXED + 2 * (size_t)m->n_tensors, sizeof *list);
    int n = 0, rc;
    char path[4096];

    arena_init(&w.names);
    list[n++] = describe("input_ids", DTYPE_I64, 2, shape);
    list[n++] = describe("logits", DTYPE_F32, 3, shape);
    list[n++] = describe("loss", DTYPE_F32, 1, &one);
    list[n++] = describe("grad_norm", DTYPE_F32, 1, &one);
    for (int i = 0; i < m->n_tensors; i++) {
        const struct model_tensor *t = &m->tensor[i];

        largest = t->count > largest ? t->count : largest;
        for (size_t g = 0; g < 2; g++) {
            int size = snprintf(path, sizeof path, "%s%s", groups[g], model_name(m, t));

            list[n++] = describe(arena_strndup(&w.names, path, (size_t)size), DTYPE_F32, t->rank, t->shape);
        }
    }
    w.buf = xmalloc((size_t)largest * sizeof *w.buf);
    rc = snprintf(path, sizeof path, "%s/step_%06lld.safetensors", d->dir, (long long)d->step) < (int)sizeof path
             ? safetensors_save(path, list, n, NULL, 0, put, &w, err)
             : err_set(err, "%.64s...: too long a name", d->dir);
    free(w.buf);
    free(list);
    arena_release(&w.names);
    return rc;
}
