/* vec.c - the kernels that walk rows, in vector extensions. */
#include <math.h>

#include "train/kernel/vec.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)

/* Rows shorter than this are in a near cache, four at a time; longer ones stream from memory best alone. */
enum { SHORT = 256 };

static void gemv(int64_t n, int64_t k, const float *w, int64_t ldw, const float *x, const float *bias, float *y)
{
    int64_t i = 0;

    for (; i + 4 <= n && k <= SHORT; i += 4) {
        const float *row = w + i * ldw;
        vf sum[4] = { { 0 } };
        v4 out;

        for (int64_t j = 0; j < k; j += VEC_LEN) {
            vf v = vec_load(x + j, k - j);

            for (int r = 0; r < 4; r++)
                sum[r] += v * vec_load(row + r * ldw + j, k - j);
        }
        out = vec_sum4(sum[0], sum[1], sum[2], sum[3]);
        *(v4_any *)(y + i) = bias ? out + *(const v4_any *)(bias + i) : out;
    }
    for (; i < n; i++)
        y[i] = (float)vec_dot(k, w + i * ldw, x) + (bias ? bias[i] : 0);
}

/* Sum of x[j] - from, or of its square. */
static double row_sum(int64_t n, const float *x, float from, bool square)
{
    double total = 0;

    for (int64_t at = 0; at < n; at += VEC_BLOCK) {
        int64_t end = at + VEC_BLOCK < n ? at + VEC_BLOCK : n;
        vf sum = { 0 };

        for (int64_t j = at; j < end; j += VEC_LEN) {
            vf h = vec_first(vec_load(x + j, end - j) - from, end - j, 0);

            sum += square ? h * h : h;
        }
        total += (double)vec_sum(sum);
    }
    return total;
}

static void norm(enum kernel_norm kind, int64_t n, int64_t cols, struct kernel_mat x, const float *w, const float *b,
                 float eps, struct kernel_mat y, float *stats)
{
    for (int64_t i = 0; i < n; i++) {
        const float *in = x.p + i * x.ld;
        float *out = y.p + i * y.ld;
        float mean = kind == KERNEL_LAYER ? (float)(row_sum(cols, in, 0, false) / (double)cols) : 0, rstd;

        rstd = (float)(1 / sqrt(row_sum(cols, in, mean, true) / (double)cols + (double)eps));
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            vf h = (vec_load(in + j, cols - j) - mean) * rstd * vec_load(w + j, cols - j);

            vec_store(out + j, b ? h + vec_load(b + j, cols - j) : h, cols - j);
        }
        stats[2 * i] = mean;
        stats[2 * i + 1] = rstd;
    }
}

/* Means of g = dy w and of g h over a row, h = (x - mean) rstd; and dw += dy h, db += dy. */
static void norm_sums(int64_t cols, const float *dy, const float *x, const float *w, const float *stats, float *dw,
                      float *db, float mean[2])
{
    double total[2] = { 0 };

    for (int64_t at = 0; at < cols; at += VEC_BLOCK) {
        int64_t end = at + VEC_BLOCK < cols ? at + VEC_BLOCK : cols;
        vf sum[2] = { { 0 } };

        for (int64_t j = at; j < end; j += VEC_LEN) {
            vf d = vec_load(dy + j, end - j), h = (vec_load(x + j, end - j) - stats[0]) * stats[1];
            vf g = d * vec_load(w + j, end - j);

            sum[0] += g; /* d and so g are 0 past the end */
            sum[1] += g * h;
            vec_store(dw + j, vec_load(dw + j, end - j) + d * h, end - j);
            if (db)
                vec_store(db + j, vec_load(db + j, end - j) + d, end - j);
        }
        total[0] += (double)vec_sum(sum[0]);
        total[1] += (double)vec_sum(sum[1]);
    }
    mean[0] = (float)(total[0] / (double)cols);
    mean[1] = (float)(total[1] / (double)cols);
}

static void norm_grad(enum kernel_norm kind, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                      const float *w, const float *stats, struct kernel_mat dx, bool acc, float *dw, float *db)
{
    for (int64_t i = 0; i < n; i++, stats += 2) {
        const float *in = x.p + i * x.ld, *d = dy.p + i * dy.ld;
        float *out = dx.p + i * dx.ld, mean[2];

        norm_sums(cols, d, in, w, stats, dw, db, mean);
        if (kind == KERNEL_RMS)
            mean[0] = 0;
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            vf h = (vec_load(in + j, cols - j) - stats[0]) * stats[1];
            vf g = stats[1] * (vec_load(d + j, cols - j) * vec_load(w + j, cols - j) - mean[0] - h * mean[1]);

            vec_store(out + j, acc ? vec_load(out + j, cols - j) + g : g, cols - j);
        }
    }
}

static void rope(int64_t n, int64_t heads, int64_t d, int64_t rot, struct kernel_mat x, const int32_t *pos,
                 const float *table, bool inverse, struct kernel_mat y)
{
    int64_t half = rot / 2;
    float sign = inverse ? -1 : 1;

    for (int64_t i = 0; i < n; i++)
        for (int64_t h = 0; h < heads; h++) {
            const float *in = x.p + i * x.ld + h * d, *cs = table + pos[i] * rot;
            float *out = y.p + i * y.ld + h * d;

            for (int64_t j = 0; j < half; j += VEC_LEN) {
                vf c = vec_load(cs + j, half - j), s = sign * vec_load(cs + half + j, half - j);
                vf x1 = vec_load(in + j, half - j), x2 = vec_load(in + half + j, half - j);

                vec_store(out + j, x1 * c - x2 * s, half - j);
                vec_store(out + half + j, x2 * c + x1 * s, half - j);
            }
            if (rot < d && in != out)
                memcpy(out + rot, in + rot, (size_t)(d - rot) * sizeof *out);
        }
}

static void add(int64_t n, int64_t cols, struct kernel_mat a, struct kernel_mat b, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j += VEC_LEN)
            vec_store(y.p + i * y.ld + j,
                      vec_load(a.p + i * a.ld + j, cols - j) + vec_load(b.p + i * b.ld + j, cols - j), cols - j);
}

static void add_bias(int64_t n, int64_t cols, const float *b, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            float *out = y.p + i * y.ld + j;

            vec_store(out, vec_load(out, cols - j) + vec_load(b + j, cols - j), cols - j);
        }
}

enum { SUM_ROWS = 64 };

/* In floats over 64 rows, whose totals are then added. */
static void col_sum(int64_t n, int64_t cols, struct kernel_mat x, float *sum)
{
    for (int64_t j = 0; j < cols; j += VEC_LEN) {
        vf total = vec_load(sum + j, cols - j);

        for (int64_t at = 0; at < n; at += SUM_ROWS) {
            int64_t end = at + SUM_ROWS < n ? at + SUM_ROWS : n;
            vf part = { 0 };

            for (int64_t i = at; i < end; i++)
                part += vec_load(x.p + i * x.ld + j, cols - j);
            total += part;
        }
        vec_store(sum + j, total, cols - j);
    }
}

static double sum_squares(int64_t n, const float *x)
{
    return vec_dot(n, x, x);
}

int64_t VEC_NAME(fma)(int64_t n)
{
    enum { CHAINS = 12 };
    volatile float sink, factor = 0.999f; /* unknown to compilers: gcc saw that 1 x 0.999 + 0.001 = 1 and left that chain out */
    vf sum[CHAINS], by = vec_splat(factor), plus = vec_splat(0.001f);

    for (int c = 0; c < CHAINS; c++)
        sum[c] = vec_splat((float)c);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < CHAINS; c++)
            sum[c] = sum[c] * by + plus;
    for (int c = 1; c < CHAINS; c++)
        sum[0] += sum[c];
    sink = vec_sum(sum[0]);
    (void)sink;
    return n * CHAINS * VEC_LEN * 2;
}

const struct kernels VEC_TABLE = {
    .name = STRING(VEC_TARGET),
    .gemm = VEC_NAME(gemm),
    .gemv = gemv,
    .norm = norm,
    .norm_grad = norm_grad,
    .rope = rope,
    .glu = VEC_NAME(glu),
    .glu_grad = VEC_NAME(glu_grad),
    .act = VEC_NAME(act),
    .act_grad = VEC_NAME(act_grad),
    .add = add,
    .add_bias = add_bias,
    .col_sum = col_sum,
    .attend = VEC_NAME(attend),
    .attend_grad = VEC_NAME(attend_grad),
    .ce = VEC_NAME(ce),
    .adamw = VEC_NAME(adamw),
    .sum_squares = sum_squares,
};
