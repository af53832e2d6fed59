/* ref.c - every kernel as its definition: plain loops, totals in double.  Never optimised: this is what
 * the fast instances are tested against, and its gradients are tested by finite differences. */
#include <math.h>
#include <string.h>

#include "train/kernel/instance.h"

static void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float beta, float *c, int64_t ldc, void *scratch)
{
    (void)scratch;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float *out = c + i * ldc + j;
            double sum = 0;

            for (int64_t l = 0; l < k; l++)
                sum += (double)(ta ? a[l * lda + i] : a[i * lda + l]) * (double)(tb ? b[j * ldb + l] : b[l * ldb + j]);
            sum *= (double)alpha;
            *out = (float)(beta == 0 ? sum : sum + (double)beta * (double)*out);
        }
}

static double dot(int64_t n, const float *a, const float *b)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void gemv(int64_t n, int64_t k, const float *w, int64_t ldw, const float *x, const float *bias, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(dot(k, w + i * ldw, x) + (bias ? (double)bias[i] : 0));
}

static void norm(enum kernel_norm kind, int64_t n, int64_t cols, struct kernel_mat x, const float *w, const float *b,
                 float eps, struct kernel_mat y, float *stats)
{
    for (int64_t i = 0; i < n; i++) {
        const float *in = x.p + i * x.ld;
        float *out = y.p + i * y.ld;
        double mean = 0, var = 0, rstd;

        for (int64_t j = 0; j < cols && kind == KERNEL_LAYER; j++)
            mean += (double)in[j] / (double)cols;
        for (int64_t j = 0; j < cols; j++)
            var += ((double)in[j] - mean) * ((double)in[j] - mean) / (double)cols;
        rstd = 1 / sqrt(var + (double)eps);
        for (int64_t j = 0; j < cols; j++)
            out[j] = (float)(((double)in[j] - mean) * rstd * (double)w[j] + (b ? (double)b[j] : 0));
        stats[2 * i] = (float)mean;
        stats[2 * i + 1] = (float)rstd;
    }
}

/* With h = (x - mean) rstd and g = dy w:  dx = rstd (g - mean(g) - h mean(g h)), mean(g) being 0 for RMS. */
static void norm_grad(enum kernel_norm kind, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                      const float *w, const float *stats, struct kernel_mat dx, bool acc, float *dw, float *db)
{
    for (int64_t j = 0; j < cols; j++) {
        double tw = 0, tb = 0;

        for (int64_t i = 0; i < n; i++) {
            double d = (double)dy.p[i * dy.ld + j];

            tw += d * ((double)x.p[i * x.ld + j] - (double)stats[2 * i]) * (double)stats[2 * i + 1];
            tb += d;
        }
        dw[j] = (float)((double)dw[j] + tw);
        if (db)
            db[j] = (float)((double)db[j] + tb);
    }
    for (int64_t i = 0; i < n; i++) {
        const float *in = x.p + i * x.ld, *d = dy.p + i * dy.ld;
        float *out = dx.p + i * dx.ld;
        double mean = (double)stats[2 * i], rstd = (double)stats[2 * i + 1], mg = 0, mgh = 0;

        for (int64_t j = 0; j < cols; j++) {
            double g = (double)d[j] * (double)w[j];

            mg += kind == KERNEL_LAYER ? g / (double)cols : 0;
            mgh += g * ((double)in[j] - mean) * rstd / (double)cols;
        }
        for (int64_t j = 0; j < cols; j++) {
            double h = ((double)in[j] - mean) * rstd;

            out[j] = (float)((acc ? (double)out[j] : 0) + rstd * ((double)d[j] * (double)w[j] - mg - h * mgh));
        }
    }
}

static void rope(int64_t n, int64_t heads, int64_t d, int64_t rot, struct kernel_mat x, const int32_t *pos,
                 const float *table, bool inverse, struct kernel_mat y)
{
    int64_t half = rot / 2;

    for (int64_t i = 0; i < n; i++)
        for (int64_t h = 0; h < heads; h++) {
            const float *in = x.p + i * x.ld + h * d, *cs = table + pos[i] * rot;
            float *out = y.p + i * y.ld + h * d;

            for (int64_t j = 0; j < half; j++) {
                double c = (double)cs[j], s = (double)cs[half + j] * (inverse ? -1 : 1);
                double x1 = (double)in[j], x2 = (double)in[half + j];

                out[j] = (float)(x1 * c - x2 * s);
                out[half + j] = (float)(x2 * c + x1 * s);
            }
            for (int64_t j = rot; j < d; j++)
                out[j] = in[j];
        }
}

/* sqrt(2/pi) and 0.044715: the tanh form of gelu (Hendrycks & Gimpel 2016). */
static const double gelu_c = 0.79788456080286535588, gelu_a = 0.044715;

static double act_value(enum kernel_act act, double x)
{
    switch (act) {
    case KERNEL_SILU:
        return x / (1 + exp(-x));
    case KERNEL_GELU_TANH:
        return 0.5 * x * (1 + tanh(gelu_c * (x + gelu_a * x * x * x)));
    case KERNEL_GELU_ERF:
        return 0.5 * x * erfc(-x * M_SQRT1_2);
    default:
        return x > 0 ? x : 0;
    }
}

static double act_slope(enum kernel_act act, double x)
{
    double s = 1 / (1 + exp(-x)), t = tanh(gelu_c * (x + gelu_a * x * x * x));

    switch (act) {
    case KERNEL_SILU:
        return s + x * s * (1 - s);
    case KERNEL_GELU_TANH:
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * gelu_c * (1 + 3 * gelu_a * x * x);
    case KERNEL_GELU_ERF:
        return 0.5 * erfc(-x * M_SQRT1_2) + x * exp(-0.5 * x * x) * (0.5 * gelu_c);
    default:
        return x > 0 ? 1 : 0;
    }
}

static void glu(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++) {
            const float *g = x.p + i * x.ld + j;

            y.p[i * y.ld + j] = (float)(act_value(act, (double)g[0]) * (double)g[cols]);
        }
}

static void glu_grad(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                     struct kernel_mat dx)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++) {
            const float *g = x.p + i * x.ld + j;
            float *dg = dx.p + i * dx.ld + j;
            double d = (double)dy.p[i * dy.ld + j], gate = (double)g[0], up = (double)g[cols];

            dg[0] = (float)(d * up * act_slope(act, gate));
            dg[cols] = (float)(d * act_value(act, gate));
        }
}

static void act(enum kernel_act kind, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++)
            y.p[i * y.ld + j] = (float)act_value(kind, (double)x.p[i * x.ld + j]);
}

static void act_grad(enum kernel_act kind, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                     struct kernel_mat dx)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++)
            dx.p[i * dx.ld + j] =
                (float)((double)dy.p[i * dy.ld + j] * act_slope(kind, (double)x.p[i * x.ld + j]));
}

static void add(int64_t n, int64_t cols, struct kernel_mat a, struct kernel_mat b, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++)
            y.p[i * y.ld + j] = a.p[i * a.ld + j] + b.p[i * b.ld + j];
}

static void add_bias(int64_t n, int64_t cols, const float *b, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j++)
            y.p[i * y.ld + j] += b[j];
}

static void col_sum(int64_t n, int64_t cols, struct kernel_mat x, float *sum)
{
    for (int64_t j = 0; j < cols; j++) {
        double total = (double)sum[j];

        for (int64_t i = 0; i < n; i++)
            total += (double)x.p[i * x.ld + j];
        sum[j] = (float)total;
    }
}

static double score(const struct kernel_attend *a, int64_t i, int64_t j)
{
    return (double)a->scale * dot(a->d, a->q.p + i * a->q.ld, a->k.p + j * a->k.ld);
}

static bool visible(const struct kernel_attend *a, int64_t i, int64_t j)
{
    int64_t back = i + a->nk - a->nq - j;

    return back >= 0 && (a->window <= 0 || back < a->window);
}

static void attend(const struct kernels *self, const struct kernel_attend *a, int64_t i0, int64_t i1, void *scratch)
{
    (void)self, (void)scratch;
    for (int64_t i = i0; i < i1; i++) {
        double o[KERNEL_HEAD_DIM] = { 0 }, most = -HUGE_VAL, sum = 0;

        for (int64_t j = 0; j < a->nk; j++)
            if (visible(a, i, j))
                most = fmax(most, score(a, i, j));
        for (int64_t j = 0; j < a->nk; j++)
            if (visible(a, i, j)) {
                double p = exp(score(a, i, j) - most);

                sum += p;
                for (int64_t c = 0; c < a->d; c++)
                    o[c] += p * (double)a->v.p[j * a->v.ld + c];
            }
        for (int64_t c = 0; c < a->d; c++)
            a->o.p[i * a->o.ld + c] = (float)(o[c] / sum);
        if (a->lse)
            a->lse[i * a->lse_ld] = (float)(most + log(sum));
    }
}

/* p and the gradient of the score of query i and key j:  ds = p (do.v - do.o). */
static double score_grad(const struct kernel_attend *a, const struct kernel_attend_grad *g, int64_t i, int64_t j,
                         double *p)
{
    const float *d_o = g->d_o.p + i * g->d_o.ld;

    *p = exp(score(a, i, j) - (double)a->lse[i * a->lse_ld]);
    return *p * (dot(a->d, d_o, a->v.p + j * a->v.ld) - dot(a->d, d_o, a->o.p + i * a->o.ld));
}

static void attend_grad(const struct kernels *self, const struct kernel_attend *a, const struct kernel_attend_grad *g,
                        void *scratch)
{
    double p;

    (void)self, (void)scratch;
    for (int64_t i = 0; i < a->nq; i++) {
        double dq[KERNEL_HEAD_DIM] = { 0 };

        for (int64_t j = 0; j < a->nk; j++)
            if (visible(a, i, j)) {
                double ds = (double)a->scale * score_grad(a, g, i, j, &p);

                for (int64_t c = 0; c < a->d; c++)
                    dq[c] += ds * (double)a->k.p[j * a->k.ld + c];
            }
        for (int64_t c = 0; c < a->d; c++)
            g->dq.p[i * g->dq.ld + c] = (float)dq[c];
    }
    for (int64_t j = 0; j < a->nk; j++) {
        double dk[KERNEL_HEAD_DIM] = { 0 }, dv[KERNEL_HEAD_DIM] = { 0 };
        float *out_k = g->dk.p + j * g->dk.ld, *out_v = g->dv.p + j * g->dv.ld;

        for (int64_t i = 0; i < a->nq; i++)
            if (visible(a, i, j)) {
                double ds = (double)a->scale * score_grad(a, g, i, j, &p);

                for (int64_t c = 0; c < a->d; c++) {
                    dk[c] += ds * (double)a->q.p[i * a->q.ld + c];
                    dv[c] += p * (double)g->d_o.p[i * g->d_o.ld + c];
                }
            }
        for (int64_t c = 0; c < a->d; c++) {
            out_k[c] = (float)(dk[c] + (g->acc_kv ? (double)out_k[c] : 0));
            out_v[c] = (float)(dv[c] + (g->acc_kv ? (double)out_v[c] : 0));
        }
    }
}

static void ce(int64_t n, int64_t cols, struct kernel_mat x, const int32_t *target, const float *dscale, float *loss)
{
    for (int64_t i = 0; i < n; i++) {
        float *row = x.p + i * x.ld;
        double most = -HUGE_VAL, sum = 0, lse;

        for (int64_t j = 0; j < cols; j++)
            most = fmax(most, (double)row[j]);
        for (int64_t j = 0; j < cols; j++)
            sum += exp((double)row[j] - most);
        lse = most + log(sum);
        loss[i] = (float)(lse - (double)row[target[i]]);
        for (int64_t j = 0; j < cols && dscale; j++)
            row[j] = dscale[i] == 0 ? 0
                                    : (float)((exp((double)row[j] - lse) - (j == target[i])) * (double)dscale[i]);
    }
}

static void adamw(const struct kernel_adamw *o, int64_t n, float *p, const float *g, float *m, float *v)
{
    double b1 = (double)o->b1, b2 = (double)o->b2, lr = (double)o->lr;

    for (int64_t i = 0; i < n; i++) {
        double grad = (double)g[i] * (double)o->grad_scale;
        double m1 = b1 * (double)m[i] + (1 - b1) * grad, v1 = b2 * (double)v[i] + (1 - b2) * grad * grad;
        double step = lr / o->bc1 * m1 / (sqrt(v1) / sqrt(o->bc2) + (double)o->eps);

        p[i] = (float)((double)p[i] * (1 - lr * (double)o->weight_decay) - step);
        m[i] = (float)m1;
        v[i] = (float)v1;
    }
}

static double sum_squares(int64_t n, const float *x)
{
    return dot(n, x, x);
}

const struct kernels ref_kernels = {
    .name = "ref",
#define ROW(entry) .entry = entry,
    KERNEL_ENTRIES(ROW)
#undef ROW
};
