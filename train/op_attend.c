/* op_attend.c - attention over the documents of a micro-batch.  Queries of one head and document are
 * cut into blocks for forward; backward runs one key head with all its query heads a slice, so that
 * the order of additions to its gradients is fixed. */
#include <math.h>
#include <string.h>

#include "train/op.h"

struct job {
    struct op_run *run;
    const struct op_args *a;
};

void op_attend_shape(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)r;
    out[0] = in[0];
    out[1] = c->heads;
}

double op_attend_flops(const struct config *c, const struct arch_row *r, double context)
{
    (void)r;
    return 4 * (double)(c->heads * c->head_dim) * context;
}

static struct kernel_mat at(struct kernel_mat m, int64_t row, int64_t col)
{
    return (struct kernel_mat){ m.p + row * m.ld + col, m.ld };
}

static struct kernel_attend head_of(const struct op_run *run, const struct op_args *a, int64_t doc, int64_t h)
{
    const struct config *c = run->config;
    int64_t r0 = run->doc[doc], d = c->head_dim, kh = h / (c->heads / c->kv_heads);
    struct kernel_attend k = { .nq = run->doc[doc + 1] - r0, .d = d, .scale = (float)(1 / sqrt((double)d)) };

    k.nk = k.nq;
    k.q = at(a->in[0], r0, h * d);
    k.k = at(a->in[1], r0, kh * d);
    k.v = at(a->in[2], r0, kh * d);
    k.o = at(a->out[0], r0, h * d);
    if (a->out[1].p) {
        k.lse = a->out[1].p + r0 * a->out[1].ld + h;
        k.lse_ld = a->out[1].ld;
    }
    k.window = c->windowed[a->layer] ? c->window : 0;
    if (run->cache) {
        const struct op_cache *s = run->cache;
        int64_t width = c->kv_heads * d, first = (int64_t)s->slot[doc] * s->capacity;

        k.nk = s->past[doc] + k.nq;
        k.k = (struct kernel_mat){ s->k[a->layer] + first * width + kh * d, width };
        k.v = (struct kernel_mat){ s->v[a->layer] + first * width + kh * d, width };
    }
    return k;
}

static void store_cache(struct op_run *run, const struct op_args *a)
{
    const struct op_cache *s = run->cache;
    int64_t width = a->in_cols[1];

    for (int64_t doc = 0; doc < run->n_docs; doc++)
        for (int64_t r = run->doc[doc]; r < run->doc[doc + 1]; r++) {
            int64_t row = (int64_t)s->slot[doc] * s->capacity + s->past[doc] + r - run->doc[doc];

            memcpy(s->k[a->layer] + row * width, a->in[1].p + r * a->in[1].ld, (size_t)width * sizeof(float));
            memcpy(s->v[a->layer] + row * width, a->in[2].p + r * a->in[2].ld, (size_t)width * sizeof(float));
        }
}

static void forward_slice(void *ctx, long i, int thread)
{
    const struct job *j = ctx;
    int64_t heads = j->run->config->heads, block = i / heads, h = i % heads;
    int64_t doc = j->run->blocks[2 * block], i0 = j->run->blocks[2 * block + 1];
    struct kernel_attend k = head_of(j->run, j->a, doc, h);
    int64_t i1 = i0 + OP_QUERIES < k.nq ? i0 + OP_QUERIES : k.nq;

    j->run->k->attend(j->run->k, &k, i0, i1, j->run->scratch + (size_t)thread * KERNEL_SCRATCH);
}

void op_attend_forward(struct op_run *run, const struct op_args *a)
{
    struct job j = { run, a };
    int64_t n = 0;

    if (run->cache)
        store_cache(run, a);
    for (int64_t doc = 0; doc < run->n_docs; doc++)
        for (int64_t i = 0; i < run->doc[doc + 1] - run->doc[doc]; i += OP_QUERIES) {
            run->blocks[2 * n] = doc;
            run->blocks[2 * n++ + 1] = i;
        }
    par_for(run->par, n * run->config->heads, forward_slice, &j);
}

static void backward_slice(void *ctx, long i, int thread)
{
    const struct job *j = ctx;
    const struct config *c = j->run->config;
    int64_t group = c->heads / c->kv_heads, doc = i / c->kv_heads, kh = i % c->kv_heads, d = c->head_dim;
    int64_t r0 = j->run->doc[doc];

    for (int64_t h = kh * group; h < (kh + 1) * group; h++) {
        struct kernel_attend k = head_of(j->run, j->a, doc, h);
        struct kernel_attend_grad g = { .d_o = at(j->a->d_out[0], r0, h * d), .dq = at(j->a->d_in[0], r0, h * d),
                                        .dk = at(j->a->d_in[1], r0, kh * d), .dv = at(j->a->d_in[2], r0, kh * d),
                                        .acc_kv = h > kh * group };

        j->run->k->attend_grad(j->run->k, &k, &g, j->run->scratch + (size_t)thread * KERNEL_SCRATCH);
    }
}

void op_attend_backward(struct op_run *run, const struct op_args *a)
{
    struct job j = { run, a };

    par_for(run->par, run->n_docs * run->config->kv_heads, backward_slice, &j);
}
