/* Every entry of every kernel instance against ref, on shapes that fill no vector evenly; ref's gradients
 * against central finite differences of ref's forward. */
#include "train/kernel/kernel.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"
#include "train/kernel/instance.h"

enum { POOL = 1 << 23, OUTS = 4 };

/* Arguments of one call, drawn from the seed; what the kernel writes is listed in out. */
struct call {
    float *pool;
    size_t used;
    uint64_t seed;
    void *scratch;
    struct {
        float *p;
        size_t n;
    } out[OUTS];
    int n_out;
};

struct shape {
    int64_t n, cols, pad; /* rows, columns, ld - columns */
};

/* Rows of a width each; 1 and 3 fill no vector, 16 fills any, 1061 is longer than a block of totals. */
static const struct shape shapes[] = {
    { 1, 1, 0 }, { 2, 3, 5 }, { 3, 16, 0 }, { 5, 37, 3 }, { 1, 64, 64 }, { 70, 8, 1 }, { 33, 129, 0 }, { 4, 1061, 7 },
};

static float *floats(struct call *c, size_t n, double scale)
{
    float *p = c->pool + c->used;

    c->used += (n + 15) & ~(size_t)15;
    assert(c->used <= POOL);
    c->seed++;
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(scale * rng_normal(c->seed, 7, i));
    return p;
}

static struct kernel_mat matrix(struct call *c, int64_t n, int64_t cols, int64_t pad, double scale)
{
    return (struct kernel_mat){ floats(c, (size_t)(n * (cols + pad)), scale), cols + pad };
}

static void writes(struct call *c, float *p, size_t n)
{
    c->out[c->n_out].p = p;
    c->out[c->n_out++].n = n;
}

static struct kernel_mat result(struct call *c, int64_t n, int64_t cols, int64_t pad)
{
    struct kernel_mat m = matrix(c, n, cols, pad, 1);

    writes(c, m.p, (size_t)(n * m.ld));
    return m;
}

static void run_gemm(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    int64_t m = s->n, n = s->cols, depth = 1 + (s->cols * 7 + s->n) % 300;
    bool ta = variant & 1, tb = variant >> 1 & 1;
    static const float betas[] = { 0, 1, -0.5f };
    struct kernel_mat a = matrix(c, ta ? depth : m, ta ? m : depth, s->pad, 1);
    struct kernel_mat b = matrix(c, tb ? n : depth, tb ? depth : n, s->pad, 1), out = result(c, m, n, s->pad);

    if (variant / 4 == 0)
        out.p[0] = NAN; /* beta 0 does not read it */
    k->gemm(ta, tb, m, n, depth, variant / 4 == 2 ? 0.25f : 1, a.p, a.ld, b.p, b.ld, betas[variant / 4], out.p, out.ld,
            c->scratch);
}

static void run_gemv(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat w = matrix(c, s->n, s->cols, s->pad, 1);
    float *x = floats(c, (size_t)s->cols, 1), *b = floats(c, (size_t)s->n, 1), *y = floats(c, (size_t)s->n, 1);

    writes(c, y, (size_t)s->n);
    k->gemv(s->n, s->cols, w.p, w.ld, x, variant ? b : NULL, y);
}

/* Variants: kind, a mean far from 0, tiny values, a NaN in the first row. */
static void run_norm(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    enum kernel_norm kind = variant & 1 ? KERNEL_LAYER : KERNEL_RMS;
    struct kernel_mat x = matrix(c, s->n, s->cols, s->pad, variant / 2 == 2 ? 1e-4 : 1), y;
    float *w = floats(c, (size_t)s->cols, 1), *b = floats(c, (size_t)s->cols, 1), *stats = floats(c, 2 * (size_t)s->n, 1);

    y = result(c, s->n, s->cols, s->pad);
    writes(c, stats, 2 * (size_t)s->n);
    for (int64_t i = 0; variant / 2 == 1 && i < s->n * x.ld; i++)
        x.p[i] += 10;
    if (variant / 2 == 3)
        x.p[s->cols / 2] = NAN;
    k->norm(kind, s->n, s->cols, x, w, kind == KERNEL_LAYER ? b : NULL, 1e-5f, y, stats);
}

static void run_norm_grad(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    enum kernel_norm kind = variant & 1 ? KERNEL_LAYER : KERNEL_RMS;
    struct kernel_mat x = matrix(c, s->n, s->cols, s->pad, 1), y = matrix(c, s->n, s->cols, 0, 1);
    struct kernel_mat dy = matrix(c, s->n, s->cols, s->pad, 1), dx = result(c, s->n, s->cols, s->pad);
    float *w = floats(c, (size_t)s->cols, 1), *stats = floats(c, 2 * (size_t)s->n, 1);
    float *dw = floats(c, (size_t)s->cols, 1), *db = floats(c, (size_t)s->cols, 1);

    if (variant >> 1 & 1)
        dx.p[0] = NAN; /* overwritten */
    writes(c, dw, (size_t)s->cols);
    writes(c, db, (size_t)s->cols);
    ref_kernels.norm(kind, s->n, s->cols, x, w, NULL, 1e-5f, y, stats);
    k->norm_grad(kind, s->n, s->cols, dy, x, w, stats, dx, !(variant >> 1 & 1), dw, kind == KERNEL_LAYER ? db : NULL);
}

/* Variants: inverse, in place, half of each head left alone. */
static void run_rope(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    int64_t heads = s->n % 3 + 1, d = 2 * s->cols, rot = variant & 4 ? s->cols / 2 * 2 : d;
    struct kernel_mat x = matrix(c, s->n, heads * d, s->pad, 1), y = result(c, s->n, heads * d, s->pad);
    float *table = floats(c, (size_t)(s->n * rot), 1);
    int32_t pos[128];

    for (int64_t i = 0; i < s->n; i++)
        pos[i] = (int32_t)((i * 5) % s->n);
    if (variant & 2)
        memcpy(y.p, x.p, (size_t)(s->n * x.ld) * sizeof *x.p);
    k->rope(s->n, heads, d, rot, variant & 2 ? y : x, pos, table, variant & 1, y);
}

/* Values of every size a float has, and the ends. */
static void wide(struct kernel_mat x, int64_t n)
{
    static const float ends[] = { 0, -0.0f, 1e-30f, -1e-30f, 30, -30, 88, -88, 104, -104, 1e10f, -1e10f, INFINITY };

    for (int64_t i = 0; i < n; i++) {
        x.p[i] *= 4;
        if (i % 5 == 0)
            x.p[i] = ends[i / 5 % 13];
    }
}

static void run_glu(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat x = matrix(c, s->n, 2 * s->cols, s->pad, 2), y = result(c, s->n, s->cols, s->pad);

    k->glu((enum kernel_act)variant, s->n, s->cols, x, y);
}

static void run_glu_grad(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat x = matrix(c, s->n, 2 * s->cols, s->pad, 2), dy = matrix(c, s->n, s->cols, s->pad, 1);

    k->glu_grad((enum kernel_act)variant, s->n, s->cols, dy, x, result(c, s->n, 2 * s->cols, s->pad));
}

static void run_act(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat x = matrix(c, s->n, s->cols, s->pad, 1), y = result(c, s->n, s->cols, s->pad);

    wide(x, s->n * x.ld);
    k->act((enum kernel_act)variant, s->n, s->cols, x, y);
}

static void run_act_grad(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat x = matrix(c, s->n, s->cols, s->pad, 2), dy = matrix(c, s->n, s->cols, s->pad, 1);

    k->act_grad((enum kernel_act)variant, s->n, s->cols, dy, x, result(c, s->n, s->cols, s->pad));
}

static void run_add(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat a = matrix(c, s->n, s->cols, s->pad, 1), b = matrix(c, s->n, s->cols, 0, 1);
    struct kernel_mat y = result(c, s->n, s->cols, s->pad);

    k->add(s->n, s->cols, variant ? y : a, b, y);
}

static void run_add_bias(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    float *b = floats(c, (size_t)s->cols, 1);

    (void)variant;
    k->add_bias(s->n, s->cols, b, result(c, s->n, s->cols, s->pad));
}

static void run_col_sum(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat x = matrix(c, s->n, s->cols, s->pad, 1);
    float *sum = floats(c, (size_t)s->cols, 1);

    (void)variant;
    writes(c, sum, (size_t)s->cols);
    k->col_sum(s->n, s->cols, x, sum);
}

/* Shapes of attention: a row each; the first queries of a long head stand far from its keys' ends. */
static const struct {
    int64_t nq, nk, d, window;
    double size; /* of q: 30 makes some scores hundreds */
} heads[] = {
    { 1, 1, 1, 0, 1 },       { 1, 77, 64, 0, 1 },    { 1, 300, 20, 50, 1 },  { 5, 5, 3, 0, 1 },
    { 7, 40, 48, 0, 1 },     { 64, 64, 64, 0, 1 },   { 65, 65, 32, 1, 1 },   { 200, 200, 64, 33, 1 },
    { 131, 259, 80, 0, 1 },  { 300, 300, 128, 0, 1 }, { 150, 150, 16, 64, 30 }, { 130, 130, 64, 0, 30 },
    { 9, 9, 512, 0, 1 },     { 70, 333, 24, 100, 1 }, { 1, 515, 128, 0, 1 },
};
enum { HEADS = sizeof heads / sizeof *heads };

static struct kernel_attend head(struct call *c, int h, int64_t pad)
{
    struct kernel_attend a = { .nq = heads[h].nq, .nk = heads[h].nk, .d = heads[h].d, .window = heads[h].window };

    a.scale = (float)(1 / sqrt((double)a.d));
    a.q = matrix(c, a.nq, a.d, pad, heads[h].size);
    a.k = matrix(c, a.nk, a.d, pad, 1);
    a.v = matrix(c, a.nk, a.d, pad, 1);
    a.o = matrix(c, a.nq, a.d, pad, 1);
    a.lse_ld = 1 + pad;
    a.lse = floats(c, (size_t)(a.nq * a.lse_ld), 1);
    return a;
}

static void run_attend(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_attend a = head(c, variant, s->pad);
    int64_t cut = a.nq * 2 / 3;

    writes(c, a.o.p, (size_t)(a.nq * a.o.ld));
    if (s->pad)
        writes(c, a.lse, (size_t)(a.nq * a.lse_ld));
    else
        a.lse = NULL;
    k->attend(k, &a, 0, cut, c->scratch);
    k->attend(k, &a, cut, a.nq, c->scratch);
}

static void run_attend_grad(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_attend a = head(c, variant, s->pad);
    struct kernel_attend_grad g = { .d_o = matrix(c, a.nq, a.d, s->pad, 1), .acc_kv = s->pad > 0 };

    g.dq = result(c, a.nq, a.d, s->pad);
    g.dk = result(c, a.nk, a.d, s->pad);
    g.dv = result(c, a.nk, a.d, s->pad);
    if (!g.acc_kv)
        g.dq.p[0] = g.dk.p[0] = g.dv.p[0] = NAN; /* overwritten */
    ref_kernels.attend(&ref_kernels, &a, 0, a.nq, c->scratch);
    k->attend_grad(k, &a, &g, c->scratch);
}

/* Variants: with the gradient; huge logits; a NaN in the first row, and minus infinity. */
static void run_ce(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_mat x = matrix(c, s->n, s->cols, s->pad, variant / 2 == 1 ? 1e4 : 3);
    float *dscale = floats(c, (size_t)s->n, 1), *loss = floats(c, (size_t)s->n, 1);
    int32_t target[128];

    writes(c, x.p, (size_t)(s->n * x.ld));
    writes(c, loss, (size_t)s->n);
    for (int64_t i = 0; i < s->n; i++)
        target[i] = (int32_t)(rng_u64(3, 3, (uint64_t)i) % (uint64_t)s->cols);
    if (variant / 2 == 2) {
        x.p[s->cols / 2] = NAN;
        for (int64_t i = 1; i < s->n && s->cols > 1; i++)
            x.p[i * x.ld + (target[i] + 1) % s->cols] = -INFINITY;
    }
    dscale[s->n / 2] = s->n > 1 ? 0 : dscale[0];
    k->ce(s->n, s->cols, x, target, variant & 1 ? dscale : NULL, loss);
}

static void run_adamw(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    struct kernel_adamw o = { 1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.37f, 1 - pow(0.9, variant + 1), 1 - pow(0.95, variant + 1) };
    size_t n = (size_t)(s->n * s->cols);
    float *p = floats(c, n, 1), *g = floats(c, n, 1), *m = floats(c, n, 0.1), *v = floats(c, n, 0.1);

    for (size_t i = 0; i < n; i++)
        v[i] = i % 7 ? v[i] * v[i] : 0;
    if (variant == 2)
        memset(g, 0, n * sizeof *g);
    writes(c, p, n);
    writes(c, m, n);
    writes(c, v, n);
    k->adamw(&o, (int64_t)n, p, g, m, v);
}

static void run_sum_squares(const struct kernels *k, struct call *c, const struct shape *s, int variant)
{
    size_t n = (size_t)(s->n * s->cols);
    float *x = floats(c, n, variant ? 1e-3 : 1), *sum = floats(c, 1, 1);

    writes(c, sum, 1);
    *sum = (float)k->sum_squares((int64_t)n, x);
}

/* Tolerances are relative to the value plus the output's root mean square, or plus the size of the terms
 * that cancel in it where one is given; a float holds 6e-8. */
#define ROW(entry, variants, tol, terms) { #entry, offsetof(struct kernels, entry), run_##entry, variants, tol, terms }
static const struct {
    const char *name;
    size_t at;
    void (*run)(const struct kernels *k, struct call *c, const struct shape *s, int variant);
    int variants;
    double tol, terms;
} tests[] = {
    ROW(gemm, 12, 2e-6, 0),            /* float totals over up to 300 products */
    ROW(gemv, 2, 3e-6, 0),             /* float totals within blocks; one value alone may cancel */
    ROW(norm, 8, 3e-6, 0),             /* x - mean cancels where the mean is 10 */
    ROW(norm_grad, 4, 2e-6, 1),        /* dy w, and its projection that is taken away */
    ROW(rope, 8, 3e-7, 0),             /* two products and a sum */
    ROW(glu, 4, 2e-6, 0),              /* exp within a few ulp */
    ROW(glu_grad, 4, 2e-6, 0),         /* the same */
    ROW(act, 4, 2e-6, 0),              /* the same */
    ROW(act_grad, 4, 2e-6, 0),         /* the same */
    ROW(add, 2, 0, 0),                 /* one rounding, the same */
    ROW(add_bias, 1, 0, 0),            /* the same */
    ROW(col_sum, 1, 1e-6, 0),          /* float totals over up to 70 rows */
    ROW(attend, HEADS, 2e-5, 0),       /* a score of 200 rounds by 1e-5, which its exp multiplies */
    ROW(attend_grad, HEADS, 1e-4, 1),  /* the same, times q; do.v - do.o is 0 where one key is seen */
    ROW(ce, 6, 2e-6, 1),               /* the loss: a logarithm and a logit */
    ROW(adamw, 3, 5e-7, 0),            /* a handful of roundings */
    ROW(sum_squares, 2, 1e-6, 0),      /* float totals within blocks */
};
#undef ROW
#define ROW(entry) +1
enum { N_TESTS = sizeof tests / sizeof *tests, N_ENTRIES = 0 KERNEL_ENTRIES(ROW) };
#undef ROW
static_assert((int)N_TESTS == (int)N_ENTRIES, "every entry of struct kernels has a row here");

static void call(const struct kernels *k, struct call *c, int test, const struct shape *s, int variant)
{
    c->used = 0;
    c->seed = (uint64_t)(test * 1000 + variant);
    c->n_out = 0;
    tests[test].run(k, c, s, variant);
}

/* Worst difference of got from want, in units of |want| + rms(want) or terms; NaN and infinities must agree. */
static double worst(const float *got, const float *want, size_t n, double terms)
{
    double square = 0, most = 0;
    size_t finite = 0;

    for (size_t i = 0; i < n; i++)
        if (isfinite(want[i]) && fabsf(want[i]) < 1e9f) {
            square += (double)want[i] * (double)want[i];
            finite++;
        }
    square = fmax(finite ? sqrt(square / (double)finite) : 0, terms);
    for (size_t i = 0; i < n; i++) {
        double diff = fabs((double)got[i] - (double)want[i]) / (fabs((double)want[i]) + square);

        if (isfinite(want[i]) ? !isfinite(got[i]) : !(isnan(want[i]) && isnan(got[i])) && got[i] != want[i])
            return HUGE_VAL;
        if (isfinite(want[i]) && got[i] != want[i] && diff > most)
            most = diff;
    }
    return most;
}

static void test_entry(const struct kernels *k, int test, struct call *c, float *want)
{
    double most = 0;
    size_t bad_shape = 0;
    int bad_variant = 0, bad_out = 0;

    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int variant = 0; variant < tests[test].variants; variant++) {
            size_t at = 0;

            if (tests[test].variants == HEADS && s != 2 && s != 3)
                continue; /* heads have shapes of their own */
            call(&ref_kernels, c, test, &shapes[s], variant);
            for (int o = 0; o < c->n_out; at += c->out[o++].n)
                memcpy(want + at, c->out[o].p, c->out[o].n * sizeof *want);
            call(k, c, test, &shapes[s], variant);
            at = 0;
            for (int o = 0; o < c->n_out; at += c->out[o++].n) {
                double d = worst(c->out[o].p, want + at, c->out[o].n, tests[test].terms);

                if (d > most) {
                    most = d;
                    bad_shape = s;
                    bad_variant = variant;
                    bad_out = o;
                }
            }
        }
    OKF(most <= tests[test].tol, "%s %s: off by %.2g of %.2g at shape %zu, variant %d, output %d", k->name,
        tests[test].name, most, tests[test].tol, bad_shape, bad_variant, bad_out);
}

/* Finite differences.  The loss is a fixed random combination of the outputs of ref's forward. */
struct diff {
    enum kernel_norm norm;
    enum kernel_act act;
    int64_t n, cols;
    struct kernel_mat x, y;
    float *w, *b, *stats, *mix, *dscale;
    const int32_t *target;
    struct kernel_attend a;
};

static double mixed(const float *y, const float *mix, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)y[i] * (double)mix[i];
    return sum;
}

static double norm_loss(const struct diff *d)
{
    ref_kernels.norm(d->norm, d->n, d->cols, d->x, d->w, d->norm == KERNEL_LAYER ? d->b : NULL, 1e-5f, d->y, d->stats);
    return mixed(d->y.p, d->mix, d->n * d->cols);
}

static double glu_loss(const struct diff *d)
{
    ref_kernels.glu(d->act, d->n, d->cols, d->x, d->y);
    return mixed(d->y.p, d->mix, d->n * d->cols);
}

static double act_loss(const struct diff *d)
{
    ref_kernels.act(d->act, d->n, d->cols, d->x, d->y);
    return mixed(d->y.p, d->mix, d->n * d->cols);
}

static double attend_loss(const struct diff *d)
{
    ref_kernels.attend(&ref_kernels, &d->a, 0, d->a.nq, NULL);
    return mixed(d->a.o.p, d->mix, d->a.nq * d->a.d);
}

static double ce_loss(const struct diff *d)
{
    ref_kernels.ce(d->n, d->cols, d->x, d->target, NULL, d->y.p);
    return mixed(d->y.p, d->dscale, d->n);
}

/* h^2 of the third derivative and 6e-8 / h of rounding are both below 1e-3 at h = 2^-6. */
static void check(const char *what, double (*loss)(const struct diff *d), const struct diff *d, float *x, int64_t n,
                  const float *grad, const float *before)
{
    const float h = 0x1p-6f;
    double most = 0, square = 0;

    for (int64_t i = 0; i < n; i++) {
        double g = (double)grad[i] - (before ? (double)before[i] : 0), up, down;
        float x0 = x[i];

        x[i] = x0 + h;
        up = loss(d);
        x[i] = x0 - h;
        down = loss(d);
        x[i] = x0;
        square += g * g / (double)n;
        most = fmax(most, fabs((up - down) / (2 * (double)h) - g));
    }
    OKF(most <= 2e-3 * (1 + sqrt(square)), "%s: off by %g of %g", what, most, sqrt(square));
}

static void diff_norm(struct call *c, enum kernel_norm kind)
{
    struct diff d = { .norm = kind, .n = 3, .cols = 7 };
    struct kernel_mat dx;
    float *dw, *db, before[2][7];

    d.x = matrix(c, 3, 7, 0, 2);
    d.y = matrix(c, 3, 7, 0, 1);
    d.w = floats(c, 7, 1);
    d.b = floats(c, 7, 1);
    d.stats = floats(c, 6, 1);
    d.mix = floats(c, 21, 1);
    dx = matrix(c, 3, 7, 0, 1);
    dw = floats(c, 7, 1);
    db = floats(c, 7, 1);
    memcpy(before[0], dw, sizeof before[0]);
    memcpy(before[1], db, sizeof before[1]);
    norm_loss(&d);
    ref_kernels.norm_grad(kind, 3, 7, (struct kernel_mat){ d.mix, 7 }, d.x, d.w, d.stats, dx, false, dw,
                          kind == KERNEL_LAYER ? db : NULL);
    check("norm dx", norm_loss, &d, d.x.p, 21, dx.p, NULL);
    check("norm dw", norm_loss, &d, d.w, 7, dw, before[0]);
    if (kind == KERNEL_LAYER)
        check("norm db", norm_loss, &d, d.b, 7, db, before[1]);
}

static void diff_act(struct call *c, enum kernel_act act)
{
    struct diff d = { .act = act, .n = 4, .cols = 5 };
    struct kernel_mat dx = matrix(c, 4, 10, 0, 1);

    d.x = matrix(c, 4, 10, 0, 2);
    d.y = matrix(c, 4, 5, 0, 1);
    d.mix = floats(c, 20, 1);
    for (int i = 0; i < 40; i++)
        d.x.p[i] += fabsf(d.x.p[i]) < 0.1f ? 0.3f : 0; /* relu has no slope at 0 */
    ref_kernels.glu_grad(act, 4, 5, (struct kernel_mat){ d.mix, 5 }, d.x, dx);
    check("glu dx", glu_loss, &d, d.x.p, 40, dx.p, NULL);
    d.x.ld = 5;
    dx.ld = 5;
    ref_kernels.act_grad(act, 4, 5, (struct kernel_mat){ d.mix, 5 }, d.x, dx);
    check("act dx", act_loss, &d, d.x.p, 20, dx.p, NULL);
}

static void diff_attend(struct call *c, int64_t nq, int64_t nk, int64_t window)
{
    enum { D = 5 };
    struct diff d = { .a = { .nq = nq, .nk = nk, .d = D, .scale = 0.4f, .window = window, .lse_ld = 1 } };
    struct kernel_attend_grad g = { .acc_kv = false };

    d.a.q = matrix(c, nq, D, 0, 1);
    d.a.k = matrix(c, nk, D, 0, 1);
    d.a.v = matrix(c, nk, D, 0, 1);
    d.a.o = matrix(c, nq, D, 0, 1);
    d.a.lse = floats(c, (size_t)nq, 1);
    d.mix = floats(c, (size_t)nq * D, 1);
    g.d_o = (struct kernel_mat){ d.mix, D };
    g.dq = matrix(c, nq, D, 0, 1);
    g.dk = matrix(c, nk, D, 0, 1);
    g.dv = matrix(c, nk, D, 0, 1);
    attend_loss(&d);
    ref_kernels.attend_grad(&ref_kernels, &d.a, &g, NULL);
    check("attend dq", attend_loss, &d, d.a.q.p, nq * D, g.dq.p, NULL);
    check("attend dk", attend_loss, &d, d.a.k.p, nk * D, g.dk.p, NULL);
    check("attend dv", attend_loss, &d, d.a.v.p, nk * D, g.dv.p, NULL);
}

static void diff_ce(struct call *c)
{
    static const int32_t target[] = { 2, 0, 8 };
    struct diff d = { .n = 3, .cols = 9, .target = target };
    float *loss = floats(c, 3, 1);
    struct kernel_mat grad = matrix(c, 3, 9, 0, 1);

    d.x = matrix(c, 3, 9, 0, 2);
    d.y = matrix(c, 3, 1, 0, 1);
    d.dscale = floats(c, 3, 1);
    memcpy(grad.p, d.x.p, 27 * sizeof *grad.p);
    ref_kernels.ce(3, 9, grad, target, d.dscale, loss);
    check("ce dx", ce_loss, &d, d.x.p, 27, grad.p, NULL);
}

int main(void)
{
    struct call c = { .pool = xmalloc(POOL * sizeof(float)), .scratch = aligned_alloc(64, KERNEL_SCRATCH) };
    float *want = xmalloc(POOL * sizeof(float));
    const struct kernels *const *all = kernel_all();

    for (int t = 0; t < N_TESTS; t++)
        OK(tests[t].at == offsetof(struct kernels, gemm) + (size_t)t * sizeof(void (*)(void)));
    for (int i = 1; all[i]; i++)
        for (int t = 0; t < N_TESTS; t++)
            test_entry(all[i], t, &c, want);
    c.used = 0;
    diff_norm(&c, KERNEL_RMS);
    diff_norm(&c, KERNEL_LAYER);
    for (int act = KERNEL_SILU; act <= KERNEL_RELU; act++)
        diff_act(&c, (enum kernel_act)act);
    diff_attend(&c, 6, 6, 0);
    diff_attend(&c, 6, 6, 3);
    diff_attend(&c, 3, 7, 0);
    diff_ce(&c);
    free(want);
    free(c.scratch);
    free(c.pool);
    return tap_done();
}
