#include "train/op.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "train/model.h"

/* Slices.  Their bounds depend on shapes only. */

int64_t op_grain(int64_t cols)
{
    int64_t n = 16384 / (cols > 0 ? cols : 1);

    return n < 1 ? 1 : n;
}

/* A row-wise op: fn runs on rows [r0, r1). */
struct rows_job {
    struct op_run *run;
    const struct op_args *a;
    int64_t grain, n;
    void (*fn)(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1);
};

static void rows_slice(void *ctx, long i, int thread)
{
    const struct rows_job *j = ctx;
    int64_t r0 = i * j->grain, r1 = r0 + j->grain < j->n ? r0 + j->grain : j->n;

    (void)thread;
    j->fn(j->run, j->a, r0, r1);
}

static void by_rows(struct op_run *run, const struct op_args *a, int64_t cols,
                    void (*fn)(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1))
{
    struct rows_job j = { run, a, op_grain(cols), run->rows, fn };

    par_for(run->par, (j.n + j.grain - 1) / j.grain, rows_slice, &j);
}

static struct kernel_mat from_row(struct kernel_mat m, int64_t r)
{
    return (struct kernel_mat){ m.p + r * m.ld, m.ld };
}

enum { GEMV_FLOATS = 1 << 15 };

/* One row against the transpose of B: rows of B, read once. */
static void vector_slice(void *ctx, long i, int thread)
{
    const struct op_product *p = ctx;
    int64_t c = i * p->cols, n = p->n - c < p->cols ? p->n - c : p->cols;

    (void)thread;
    p->k->gemv(n, p->depth, p->b + c * p->ldb, p->ldb, p->a, NULL, p->c + c);
}

static void product_slice(void *ctx, long i, int thread)
{
    const struct op_product *p = ctx;
    int64_t across = (p->n + p->cols - 1) / p->cols, r = i / across * p->rows, c = i % across * p->cols;
    int64_t m = p->m - r < p->rows ? p->m - r : p->rows, n = p->n - c < p->cols ? p->n - c : p->cols;

    p->k->gemm(p->ta, p->tb, m, n, p->depth, 1, p->a + r * (p->ta ? 1 : p->lda), p->lda,
               p->b + c * (p->tb ? p->ldb : 1), p->ldb, p->beta, p->c + r * p->ldc + c, p->ldc,
               p->scratch + (size_t)thread * KERNEL_SCRATCH);
}

/* One of `parts` parts of n, whole tiles of any kernel. */
static int64_t part_of(int64_t n, int64_t parts, int64_t tile)
{
    return ((n + parts - 1) / parts + tile - 1) / tile * tile;
}

/* A grid of pieces, one a thread: each packs m + n lines of its operands and computes m x n results, so the
 * fewer and the nearer to square the better; none of less than 8 million operations, moving an element counting
 * as 64.  The number of threads may decide because gemm adds up an element in one order wherever it stands. */
void op_multiply(struct op_run *run, struct op_product p)
{
    enum { TILE_ROWS = 12, TILE_COLS = 32 };
    double moved = (double)(p.m + p.n) * (double)p.depth + (double)p.m * (double)p.n, best = HUGE_VAL;
    double flops = 2.0 * (double)p.m * (double)p.n * (double)p.depth + 64 * moved;
    int64_t pieces = (int64_t)fmax(1, fmin(par_threads(run->par), flops / 8e6));

    p.k = run->k;
    p.scratch = run->scratch;
    if (p.m == 1 && !p.ta && p.tb && p.beta == 0) {
        p.cols = p.depth < GEMV_FLOATS ? GEMV_FLOATS / p.depth : 1;
        par_for(run->par, (p.n + p.cols - 1) / p.cols, vector_slice, &p);
        return;
    }
    for (int64_t down = 1; down <= pieces; down++) {
        int64_t rows = part_of(p.m, down, TILE_ROWS), cols = part_of(p.n, pieces / down, TILE_COLS);
        double cost = 1 / (double)rows + 1 / (double)cols;

        if (cost < best && pieces % down == 0 &&
            (rows >= p.m || p.m % rows == 0 || p.m % rows > KERNEL_FEW_ROWS)) {
            best = cost;
            p.rows = rows;
            p.cols = cols;
        }
    }
    par_for(run->par, ((p.m + p.rows - 1) / p.rows) * ((p.n + p.cols - 1) / p.cols), product_slice, &p);
}

/* EMBED: x = table[id] (+ positions[pos]). */

static const float *weights(const struct op_run *run, const struct op_args *a, int i, struct model_param **p)
{
    *p = model_param(run->model, a->row->param[i], a->layer);
    return *p ? run->model->w + (*p)->offset : NULL;
}

static float *gradient(const struct op_run *run, const struct model_param *p)
{
    return run->model->g + p->offset;
}

static void shape_embed(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)r;
    (void)in;
    out[0] = c->hidden;
}

static void embed_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    struct model_param *p;
    int64_t cols = a->out_cols[0];

    for (int i = 0; i < 2; i++) {
        const float *table = weights(run, a, i, &p);

        for (int64_t r = r0; table && r < r1; r++) {
            float *y = a->out[0].p + r * a->out[0].ld;
            const float *x = table + (i ? run->pos[r] : run->ids[r]) * cols;

            for (int64_t c = 0; c < cols; c++)
                y[c] = i ? y[c] + x[c] : x[c];
        }
    }
}

static void embed_forward(struct op_run *run, const struct op_args *a)
{
    by_rows(run, a, a->out_cols[0], embed_rows);
}

enum { EMBED_COLS = 64 };

/* Columns [c0, c0 + 64) of the tables' gradients, tokens in order: no two slices write one place. */
static void embed_grad_slice(void *ctx, long i, int thread)
{
    const struct rows_job *j = ctx;
    const struct op_args *a = j->a;
    int64_t c0 = i * EMBED_COLS, cols = a->out_cols[0], c1 = c0 + EMBED_COLS < cols ? c0 + EMBED_COLS : cols;

    (void)thread;
    for (int t = 0; t < 2; t++) {
        struct model_param *p = model_param(j->run->model, a->row->param[t], a->layer);
        const int32_t *index = t ? j->run->pos : j->run->ids;

        for (int64_t r = 0; p && r < j->run->rows; r++) {
            float *g = gradient(j->run, p) + index[r] * cols;
            const float *d = a->d_out[0].p + r * a->d_out[0].ld;

            for (int64_t c = c0; c < c1; c++)
                g[c] += d[c];
        }
    }
}

enum { ZERO_PIECE = 1 << 18 };

struct zero_job {
    float *p;
    int64_t n;
};

static void zero_slice(void *ctx, long i, int thread)
{
    const struct zero_job *z = ctx;
    int64_t at = (int64_t)i * ZERO_PIECE, n = z->n - at < ZERO_PIECE ? z->n - at : ZERO_PIECE;

    (void)thread;
    memset(z->p + at, 0, (size_t)n * sizeof *z->p);
}

static void embed_backward(struct op_run *run, const struct op_args *a)
{
    struct rows_job j = { .run = run, .a = a };

    for (int t = 0; t < 2; t++) {
        struct model_param *p = model_param(run->model, a->row->param[t], a->layer);

        if (p && model_grad_beta(p) == 0) {
            struct zero_job z = { gradient(run, p), p->count };

            par_for(run->par, (p->count + ZERO_PIECE - 1) / ZERO_PIECE, zero_slice, &z);
        }
    }
    par_for(run->par, (a->out_cols[0] + EMBED_COLS - 1) / EMBED_COLS, embed_grad_slice, &j);
}

/* NORM */

static void shape_norm(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)c;
    (void)r;
    out[0] = in[0];
    out[1] = 2;
}

static const float *norm_bias(const struct op_run *run, const struct op_args *a, struct model_param **p)
{
    const struct arch_param *w = arch_param(run->config->arch, a->row->param[0]);

    *p = model_param(run->model, w->bias, a->layer);
    return *p ? run->model->w + (*p)->offset : NULL;
}

static void norm_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    struct model_param *p, *pb;
    const float *w = weights(run, a, 0, &p), *b = norm_bias(run, a, &pb);

    run->k->norm((enum kernel_norm)a->row->arg, r1 - r0, a->in_cols[0], from_row(a->in[0], r0), w, b,
                 (float)run->config->norm_eps, from_row(a->out[0], r0), a->out[1].p + 2 * r0);
}

static void norm_forward(struct op_run *run, const struct op_args *a)
{
    by_rows(run, a, a->in_cols[0], norm_rows);
}

static void norm_grad_slice(void *ctx, long i, int thread)
{
    const struct rows_job *j = ctx;
    const struct op_args *a = j->a;
    struct model_param *p, *pb;
    const float *w = weights(j->run, a, 0, &p);
    int64_t cols = a->in_cols[0], r0 = i * OP_NORM_ROWS;
    int64_t n = r0 + OP_NORM_ROWS < j->run->rows ? OP_NORM_ROWS : j->run->rows - r0;
    float *dw = j->run->partial + i * 2 * cols, *db = norm_bias(j->run, a, &pb) ? dw + cols : NULL;

    (void)thread;
    memset(dw, 0, (size_t)(2 * cols) * sizeof *dw);
    j->run->k->norm_grad((enum kernel_norm)a->row->arg, n, cols, from_row(a->d_out[0], r0), from_row(a->in[0], r0), w,
                         a->out[1].p + 2 * r0, from_row(a->d_in[0], r0), a->acc[0], dw, db);
}

static void norm_backward(struct op_run *run, const struct op_args *a)
{
    struct rows_job j = { .run = run, .a = a };
    int64_t slices = (run->rows + OP_NORM_ROWS - 1) / OP_NORM_ROWS, cols = a->in_cols[0];
    struct model_param *p[2];

    weights(run, a, 0, &p[0]);
    norm_bias(run, a, &p[1]);
    par_for(run->par, slices, norm_grad_slice, &j);
    for (int t = 0; t < 2 && p[t]; t++) {
        float *g = gradient(run, p[t]), beta = model_grad_beta(p[t]);

        for (int64_t c = 0; c < cols; c++) {
            float sum = beta != 0 ? g[c] : 0;

            for (int64_t s = 0; s < slices; s++)
                sum += run->partial[(2 * s + t) * cols + c];
            g[c] = sum;
        }
    }
}

/* LINEAR: y = x Wt + b; W is one or several parameters lying side by side. */

static void shape_linear(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)in;
    out[0] = 0;
    for (int k = 0; k < ARCH_PARAM && r->param[k]; k++)
        out[0] += arch_dim(c, arch_param(c->arch, r->param[k])->rows);
}

struct linear {
    struct model_param *w, *b; /* the first of each group */
    int64_t n, k;
};

static struct linear linear_of(const struct op_run *run, const struct op_args *a)
{
    struct linear l = { .w = model_param(run->model, a->row->param[0], a->layer) };
    enum arch_param_id bias = arch_param(run->config->arch, a->row->param[0])->bias;

    l.b = bias ? model_param(run->model, bias, a->layer) : NULL;
    l.n = a->out_cols[0];
    l.k = a->in_cols[0];
    return l;
}

struct bias_job {
    struct op_run *run;
    const struct op_args *a;
    struct linear l;
};

enum { BIAS_COLS = 256 };

static void bias_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    struct linear l = linear_of(run, a);

    run->k->add_bias(r1 - r0, l.n, run->model->w + l.b->offset, from_row(a->out[0], r0));
}

static void linear_forward(struct op_run *run, const struct op_args *a)
{
    struct linear l = linear_of(run, a);

    op_multiply(run, (struct op_product){ .tb = true, .m = run->rows, .n = l.n, .depth = l.k, .a = a->in[0].p,
                                          .lda = a->in[0].ld, .b = run->model->w + l.w->offset, .ldb = l.k,
                                          .c = a->out[0].p, .ldc = a->out[0].ld });
    if (l.b)
        by_rows(run, a, l.n, bias_rows);
}

static void bias_grad_slice(void *ctx, long i, int thread)
{
    const struct bias_job *j = ctx;
    int64_t c0 = i * BIAS_COLS, n = c0 + BIAS_COLS < j->l.n ? BIAS_COLS : j->l.n - c0;
    struct kernel_mat d = { j->a->d_out[0].p + c0, j->a->d_out[0].ld };

    (void)thread;
    j->run->k->col_sum(j->run->rows, n, d, gradient(j->run, j->l.b) + c0);
}

/* The whole group's state of gradient is its first member's. */
static float group_beta(const struct op_run *run, const struct op_args *a, bool bias)
{
    float beta = 1;

    for (int k = ARCH_PARAM - 1; k >= 0; k--) {
        enum arch_param_id id = a->row->param[k];

        if (id && bias)
            id = arch_param(run->config->arch, id)->bias;
        if (id && model_param(run->model, id, a->layer))
            beta = model_grad_beta(model_param(run->model, id, a->layer));
    }
    return beta;
}

static void linear_backward(struct op_run *run, const struct op_args *a)
{
    struct bias_job j = { run, a, linear_of(run, a) };
    struct linear l = j.l;

    if (a->d_in[0].p)
        op_multiply(run, (struct op_product){ .m = run->rows, .n = l.k, .depth = l.n, .a = a->d_out[0].p, .lda = a->d_out[0].ld,
                                        .b = run->model->w + l.w->offset, .ldb = l.k, .beta = a->acc[0] ? 1 : 0,
                                        .c = a->d_in[0].p, .ldc = a->d_in[0].ld });
    op_multiply(run, (struct op_product){ .ta = true, .m = l.n, .n = l.k, .depth = run->rows, .a = a->d_out[0].p,
                                    .lda = a->d_out[0].ld, .b = a->in[0].p, .ldb = a->in[0].ld,
                                    .beta = group_beta(run, a, false), .c = gradient(run, l.w), .ldc = l.k });
    if (l.b) {
        if (group_beta(run, a, true) == 0)
            memset(gradient(run, l.b), 0, (size_t)l.n * sizeof(float));
        par_for(run->par, (l.n + BIAS_COLS - 1) / BIAS_COLS, bias_grad_slice, &j);
    }
}

static double flops_linear(const struct config *c, const struct arch_row *r, double context)
{
    double n = 0;

    (void)context;
    for (int k = 0; k < ARCH_PARAM && r->param[k]; k++) {
        const struct arch_param *p = arch_param(c->arch, r->param[k]);

        n += 2.0 * (double)arch_dim(c, p->rows) * (double)arch_dim(c, p->cols);
    }
    return n;
}

/* SPLIT: views, by the rows of the parameters named. */

static void shape_split(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)in;
    for (int k = 0; k < ARCH_OUT && r->out[k]; k++)
        out[k] = arch_dim(c, arch_param(c->arch, r->param[k])->rows);
}

static void nothing(struct op_run *run, const struct op_args *a)
{
    (void)run;
    (void)a;
}

/* ROPE, GLU, ACT, ADD: row by row. */

static void shape_same(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)c;
    (void)r;
    out[0] = in[0];
}

static void rope_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    int64_t d = run->config->head_dim;

    run->k->rope(r1 - r0, a->in_cols[0] / d, d, d, from_row(a->in[0], r0), run->pos + r0, run->rope, false,
                 from_row(a->out[0], r0));
}

static void rope_grad_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    int64_t d = run->config->head_dim;

    run->k->rope(r1 - r0, a->in_cols[0] / d, d, d, from_row(a->d_out[0], r0), run->pos + r0, run->rope, true,
                 from_row(a->d_in[0], r0));
}

static void rope_forward(struct op_run *run, const struct op_args *a)
{
    by_rows(run, a, a->in_cols[0], rope_rows);
}

static void rope_backward(struct op_run *run, const struct op_args *a)
{
    assert(!a->acc[0]);
    by_rows(run, a, a->in_cols[0], rope_grad_rows);
}

static void shape_glu(const struct config *c, const struct arch_row *r, const int64_t *in, int64_t *out)
{
    (void)c;
    (void)r;
    out[0] = in[0] / 2;
}

static void glu_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    run->k->glu((enum kernel_act)run->config->act, r1 - r0, a->out_cols[0], from_row(a->in[0], r0),
                from_row(a->out[0], r0));
}

static void glu_grad_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    run->k->glu_grad((enum kernel_act)run->config->act, r1 - r0, a->out_cols[0], from_row(a->d_out[0], r0),
                     from_row(a->in[0], r0), from_row(a->d_in[0], r0));
}

static void act_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    run->k->act((enum kernel_act)run->config->act, r1 - r0, a->out_cols[0], from_row(a->in[0], r0),
                from_row(a->out[0], r0));
}

static void act_grad_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    run->k->act_grad((enum kernel_act)run->config->act, r1 - r0, a->out_cols[0], from_row(a->d_out[0], r0),
                     from_row(a->in[0], r0), from_row(a->d_in[0], r0));
}

static void glu_forward(struct op_run *run, const struct op_args *a)
{
    by_rows(run, a, a->in_cols[0], glu_rows);
}

static void glu_backward(struct op_run *run, const struct op_args *a)
{
    assert(!a->acc[0]);
    by_rows(run, a, a->in_cols[0], glu_grad_rows);
}

static void act_forward(struct op_run *run, const struct op_args *a)
{
    by_rows(run, a, a->in_cols[0], act_rows);
}

static void act_backward(struct op_run *run, const struct op_args *a)
{
    assert(!a->acc[0]);
    by_rows(run, a, a->in_cols[0], act_grad_rows);
}

static void add_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    run->k->add(r1 - r0, a->out_cols[0], from_row(a->in[0], r0), from_row(a->in[1], r0), from_row(a->out[0], r0));
}

static void add_forward(struct op_run *run, const struct op_args *a)
{
    by_rows(run, a, a->in_cols[0], add_rows);
}

/* The gradient of a sum is each term's; mostly it stands in one place for all (plan.c). */
static void add_grad_rows(struct op_run *run, const struct op_args *a, int64_t r0, int64_t r1)
{
    for (int i = 0; i < 2; i++) {
        if (a->d_in[i].p == a->d_out[0].p)
            continue;
        for (int64_t r = r0; r < r1; r++) {
            const float *d = a->d_out[0].p + r * a->d_out[0].ld;
            float *g = a->d_in[i].p + r * a->d_in[i].ld;

            for (int64_t c = 0; c < a->out_cols[0]; c++)
                g[c] = a->acc[i] ? g[c] + d[c] : d[c];
        }
    }
    (void)run;
}

static void add_backward(struct op_run *run, const struct op_args *a)
{
    if (a->d_in[0].p != a->d_out[0].p || a->d_in[1].p != a->d_out[0].p)
        by_rows(run, a, a->in_cols[0], add_grad_rows);
}

/* clang-format off */
#define KEEP_IN(i) (unsigned)(OP_KEEP_IN << (i))
#define KEEP_OUT(i) (unsigned)(OP_KEEP_OUT << (i))
const struct op op_table[OP_COUNT] = {
    [OP_NONE]     = { .name = "none" },
    [OP_EMBED]    = { "embed", shape_embed, embed_forward, embed_backward, .keeps = 0 },
    [OP_NORM]     = { "norm", shape_norm, norm_forward, norm_backward, KEEP_IN(0) | KEEP_OUT(1), .aux = true },
    [OP_LINEAR]   = { "linear", shape_linear, linear_forward, linear_backward, KEEP_IN(0), .flops = flops_linear },
    [OP_SPLIT]    = { "split", shape_split, nothing, nothing, 0, .views = true },
    [OP_ROPE]     = { "rope", shape_same, rope_forward, rope_backward, 0, .in_place = true, .grad_shares = true },
    [OP_ATTEND]   = { "attend", op_attend_shape, op_attend_forward, op_attend_backward,
                      KEEP_IN(0) | KEEP_IN(1) | KEEP_IN(2) | KEEP_OUT(0) | KEEP_OUT(1), .aux = true,
                      .flops = op_attend_flops },
    [OP_GLU]      = { "glu", shape_glu, glu_forward, glu_backward, .keeps = KEEP_IN(0) },
    [OP_ACT]      = { "act", shape_same, act_forward, act_backward, .keeps = KEEP_IN(0) },
    [OP_ADD]      = { "add", shape_same, add_forward, add_backward, 0, .in_place = true, .grad_shares = true },
    [OP_HEADLOSS] = { "headloss", op_head_shape, op_head_forward, op_head_backward, KEEP_IN(0), .flops = flops_linear },
};
/* clang-format on */
