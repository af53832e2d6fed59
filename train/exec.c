#include "train/exec.h"

#include <assert.h>
#include <string.h>

#include "train/rope.h"

void exec_init(struct exec *e, struct model *m, struct par *par, int64_t rows, int64_t max_docs, int64_t positions,
               bool train)
{
    const struct config *c = &m->config;
    struct plan *p = &e->plan;
    int threads = par_threads(par);

    memset(e, 0, sizeof *e);
    plan_make(p, c, rows, max_docs, positions, threads, train);
    arena_reserve(&e->arena, p->total);
    e->stream = arena_alloc(&e->arena, (size_t)(train ? c->layers + 3 : 2) * p->stream);
    e->saved = arena_alloc(&e->arena, (size_t)c->layers * p->layer.saved);
    e->head_saved = arena_alloc(&e->arena, p->head.saved);
    e->embed_saved = arena_alloc(&e->arena, p->embed.saved);
    e->work = arena_alloc(&e->arena, p->layer.scratch);
    e->run = (struct op_run){ .config = c, .model = m, .k = kernel_pick(), .par = par, .tile_rows = p->tile_rows };
    e->run.scratch = arena_alloc(&e->arena, (size_t)threads * KERNEL_SCRATCH);
    e->run.tile = arena_alloc(&e->arena, (size_t)(p->tile_rows * (c->vocab + c->hidden)) * sizeof(float));
    e->run.partial = arena_alloc(&e->arena, (size_t)((rows / OP_NORM_ROWS + 1) * 2 * c->hidden) * sizeof(float));
    e->run.blocks = arena_alloc(&e->arena, (size_t)(2 * (rows / OP_QUERIES + max_docs + 1)) * sizeof(int64_t));
    if (p->rope) {
        e->rope = arena_alloc(&e->arena, p->rope);
        e->rope_positions = positions;
        e->rope_length = c->max_pos;
        rope_fill(c, e->rope_length, positions, e->rope);
        e->run.rope = e->rope;
    }
    assert(e->arena.total == p->total);
}

void exec_release(struct exec *e)
{
    arena_release(&e->arena);
    memset(e, 0, sizeof *e);
}

/* The memory one program works in. */
struct room {
    const struct plan_program *p;
    char *input, *result, *saved, *d_input, *d_result;
};

static struct kernel_mat locate(const struct exec *e, const struct plan_place *at, char *input, char *result, char *saved)
{
    char *base[] = { [PLAN_INPUT] = input, [PLAN_RESULT] = result, [PLAN_SAVED] = saved, [PLAN_SCRATCH] = e->work };

    if (at->where == PLAN_NOWHERE || !base[at->where])
        return (struct kernel_mat){ NULL, 0 };
    return (struct kernel_mat){ (float *)(void *)(base[at->where] + at->offset) + at->col, at->ld };
}

static struct op_args args_of(const struct exec *e, const struct room *m, int i, int layer, bool backward)
{
    const struct arch_row *r = &m->p->program->row[i];
    struct op_args a = { .row = r, .layer = layer };

    for (int k = 0; k < ARCH_OUT && r->out[k]; k++) {
        a.out[k] = locate(e, &m->p->value[r->out[k]], m->input, m->result, m->saved);
        a.out_cols[k] = m->p->cols[r->out[k]];
        if (backward)
            a.d_out[k] = locate(e, &m->p->grad[r->out[k]], m->d_input, m->d_result, NULL);
    }
    for (int k = 0; k < ARCH_IN && r->in[k]; k++) {
        a.in[k] = locate(e, &m->p->value[r->in[k]], m->input, m->result, m->saved);
        a.in_cols[k] = m->p->cols[r->in[k]];
        if (!backward)
            continue;
        a.d_in[k] = locate(e, &m->p->grad[r->in[k]], m->d_input, m->d_result, NULL);
        for (int later = i + 1; later < m->p->program->n; later++)
            for (int q = 0; q < ARCH_IN; q++)
                a.acc[k] |= m->p->program->row[later].in[q] == r->in[k];
    }
    return a;
}

static void forward(struct exec *e, const struct room *m, int layer)
{
    for (int i = 0; i < m->p->program->n; i++) {
        struct op_args a = args_of(e, m, i, layer, false);

        op_table[a.row->op].forward(&e->run, &a);
    }
}

static void backward(struct exec *e, const struct room *m, int layer)
{
    for (int i = m->p->program->n - 1; i >= 0; i--) {
        struct op_args a = args_of(e, m, i, layer, true);

        op_table[a.row->op].backward(&e->run, &a);
        if (e->done)
            e->done(e->done_ctx, layer, i);
    }
}

/* The stream that program number i (0: embedding) writes. */
static char *stream(const struct exec *e, int64_t i)
{
    return e->stream + (size_t)(e->plan.train ? i : i & 1) * e->plan.stream;
}

static char *saved(const struct exec *e, int64_t layer)
{
    return e->saved + (size_t)layer * e->plan.layer.saved;
}

void exec_forward(struct exec *e, int64_t length)
{
    const struct config *c = e->run.config;
    int64_t fit = length > c->max_pos ? length : c->max_pos;
    struct room m = { .p = &e->plan.embed, .result = stream(e, 0), .saved = e->embed_saved };

    if (e->rope && rope_by_length(c) && fit != e->rope_length) {
        e->rope_length = fit;
        rope_fill(c, fit, e->rope_positions, e->rope);
    }
    forward(e, &m, -1);
    for (int64_t l = 0; l < c->layers; l++) {
        m = (struct room){ .p = &e->plan.layer, .input = stream(e, l), .result = stream(e, l + 1), .saved = saved(e, l) };
        forward(e, &m, (int)l);
    }
    m = (struct room){ .p = &e->plan.head, .input = stream(e, c->layers), .saved = e->head_saved };
    forward(e, &m, -1);
}

void exec_backward(struct exec *e)
{
    const struct config *c = e->run.config;
    char *d = e->stream + (size_t)(c->layers + 1) * e->plan.stream, *other = d + e->plan.stream, *swap;
    struct room m = { .p = &e->plan.head, .input = stream(e, c->layers), .saved = e->head_saved, .d_input = d };

    backward(e, &m, -1);
    for (int64_t l = c->layers - 1; l >= 0; l--) {
        m = (struct room){ .p = &e->plan.layer, .input = stream(e, l), .result = stream(e, l + 1),
                           .saved = saved(e, l), .d_input = other, .d_result = d };
        backward(e, &m, (int)l);
        if (!e->plan.layer.grad_in_place) {
            swap = d;
            d = other;
            other = swap;
        }
    }
    m = (struct room){ .p = &e->plan.embed, .result = stream(e, 0), .saved = e->embed_saved, .d_result = d };
    backward(e, &m, -1);
}
