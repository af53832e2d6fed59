/* op_head.c - the head and the cross entropy, a tile of tokens at a time: logits of a tile, loss and
 * their gradient in place, then the tile's share of dx and dW.  Logits are never stored whole (unless
 * asked for), and no product is computed twice, which tiles of the vocabulary would need. */
#include <assert.h>
#include <string.h>

#include "train/model.h"
#include "train/op.h"

void op_head_shape(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)c;
    (void)r;
    (void)in;
    (void)out;
}

struct tile {
    struct op_run *run;
    int64_t at, n;      /* head rows [at, at + n) */
    int64_t grain;
    const float *x;     /* [n, hidden] */
    int64_t ldx;
    bool grad;
};

static void ce_slice(void *ctx, long i, int thread)
{
    const struct tile *t = ctx;
    struct op_run *run = t->run;
    int64_t v = run->config->vocab, r0 = i * t->grain, n = r0 + t->grain < t->n ? t->grain : t->n - r0;
    int64_t row = t->at + r0;
    struct kernel_mat x = { run->tile + r0 * v, v };

    (void)thread;
    if (run->logits)
        memcpy(run->logits + row * v, x.p, (size_t)(n * v) * sizeof(float));
    if (run->target)
        run->k->ce(n, v, x, run->target + row, t->grad ? run->dscale + row : NULL, run->loss + row);
}

/* Logits of one tile, and what is asked for of them. */
static void run_tile(struct tile *t, const struct op_args *a)
{
    struct op_run *run = t->run;
    int64_t v = run->config->vocab, hidden = a->in_cols[0];
    const struct model_param *w = model_param(run->model, a->row->param[0], -1);

    if (run->head_row) { /* rows picked from here and there: side by side behind the logits */
        float *x = run->tile + run->tile_rows * v;

        for (int64_t i = 0; i < t->n; i++)
            memcpy(x + i * hidden, a->in[0].p + run->head_row[t->at + i] * a->in[0].ld, (size_t)hidden * sizeof *x);
        t->x = x;
        t->ldx = hidden;
    } else {
        t->x = a->in[0].p + t->at * a->in[0].ld;
        t->ldx = a->in[0].ld;
    }
    op_multiply(run, (struct op_product){ .tb = true, .m = t->n, .n = v, .depth = hidden, .a = t->x, .lda = t->ldx,
                                          .b = run->model->w + w->offset, .ldb = hidden, .c = run->tile, .ldc = v });
    t->grain = op_grain(v);
    par_for(run->par, (t->n + t->grain - 1) / t->grain, ce_slice, t);
}

static void tiles(struct op_run *run, const struct op_args *a, bool grad)
{
    int64_t rows = run->head_row ? run->n_head_rows : run->rows, v = run->config->vocab, hidden = a->in_cols[0];
    struct model_param *w = model_param(run->model, a->row->param[0], -1);

    for (int64_t at = 0; at < rows; at += run->tile_rows) {
        struct tile t = { .run = run, .at = at, .grad = grad };

        t.n = at + run->tile_rows < rows ? run->tile_rows : rows - at;
        run_tile(&t, a);
        if (!grad)
            continue;
        op_multiply(run, (struct op_product){ .m = t.n, .n = hidden, .depth = v, .a = run->tile, .lda = v,
                                              .b = run->model->w + w->offset, .ldb = hidden,
                                              .c = a->d_in[0].p + at * a->d_in[0].ld, .ldc = a->d_in[0].ld });
        op_multiply(run, (struct op_product){ .ta = true, .m = v, .n = hidden, .depth = t.n, .a = run->tile, .lda = v,
                                              .b = t.x, .ldb = t.ldx, .beta = model_grad_beta(w),
                                              .c = run->model->g + w->offset, .ldc = hidden });
    }
}

/* Training does both at once, in backward. */
void op_head_forward(struct op_run *run, const struct op_args *a)
{
    if (!run->dscale)
        tiles(run, a, false);
}

void op_head_backward(struct op_run *run, const struct op_args *a)
{
    assert(!run->head_row); /* dx has all rows */
    tiles(run, a, true);
}
