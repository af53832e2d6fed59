#include "train/optim.h"

#include <math.h>
#include <string.h>

enum { SLICE = 1 << 16 };

static long count_slices(const struct model *m)
{
    long n = 0;

    for (int i = 0; i < m->n_params; i++)
        n += (long)((m->param[i].count + SLICE - 1) / SLICE);
    return n;
}

void optim_init(struct optim *o, struct model *m, const struct comm *c, const struct optim_options *opt)
{
    size_t moments = (size_t)m->size * sizeof(float);
    long n = count_slices(m), at = 0;

    memset(o, 0, sizeof *o);
    o->m = m;
    o->comm = c;
    o->k = kernel_pick();
    o->opt = *opt;
    o->n_slices = n;
    o->first = n * c->part / c->parts;
    o->end = n * (c->part + 1) / c->parts;
    c->table->reserve(c, &o->arena, 2 * moments + (size_t)n * sizeof *o->partial + 4 * ARENA_ALIGN, true);
    o->exp_avg = arena_alloc(&o->arena, moments);
    o->exp_avg_sq = arena_alloc(&o->arena, moments);
    o->partial = arena_alloc(&o->arena, (size_t)n * sizeof *o->partial);
    arena_init(&o->tables);
    o->slice = arena_alloc(&o->tables, (size_t)n * sizeof *o->slice);
    for (int i = 0; i < m->n_params; i++) {
        const struct model_param *p = &m->param[i];

        for (int64_t k = 0; k < p->count; k += SLICE)
            o->slice[at++] = (struct optim_slice){ p->offset + k, k + SLICE < p->count ? SLICE : p->count - k, p->decay };
    }
}

void optim_release(struct optim *o)
{
    arena_release(&o->arena);
    arena_release(&o->tables);
    memset(o, 0, sizeof *o);
}

static void norm_slice(void *ctx, long i, int thread)
{
    struct optim *o = ctx;

    (void)thread;
    i += o->first;
    o->partial[i] = o->k->sum_squares(o->slice[i].n, o->m->g + o->slice[i].begin);
}

double optim_norm(struct optim *o, struct par *par)
{
    double sum = 0;

    par_for(par, o->end - o->first, norm_slice, o);
    o->comm->table->meet(o->comm);
    for (long i = 0; i < o->n_slices; i++)
        sum += o->partial[i];
    return sqrt(sum);
}

struct update {
    struct optim *o;
    struct kernel_adamw k[2]; /* without and with weight decay */
};

static void step_slice(void *ctx, long i, int thread)
{
    const struct update *u = ctx;
    const struct optim_slice *s = &u->o->slice[u->o->first + i];
    struct model *m = u->o->m;

    (void)thread;
    u->o->k->adamw(&u->k[s->decay], s->n, m->w + s->begin, m->g + s->begin, u->o->exp_avg + s->begin,
                   u->o->exp_avg_sq + s->begin);
}

void optim_step(struct optim *o, struct par *par, int64_t t, double lr, double norm)
{
    double scale = o->opt.clip > 0 ? o->opt.clip / (norm + 1e-6) : 1;
    struct update u = { .o = o };

    for (int decay = 0; decay < 2; decay++)
        u.k[decay] = (struct kernel_adamw){
            .lr = (float)lr,
            .b1 = (float)o->opt.beta1,
            .b2 = (float)o->opt.beta2,
            .eps = (float)o->opt.eps,
            .weight_decay = decay ? (float)o->opt.weight_decay : 0,
            .grad_scale = scale < 1 ? (float)scale : 1,
            .bc1 = 1 - pow(o->opt.beta1, (double)t),
            .bc2 = 1 - pow(o->opt.beta2, (double)t),
        };
    par_for(par, o->end - o->first, step_slice, &u);
    o->comm->table->meet(o->comm);
}
