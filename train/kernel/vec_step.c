/* vec_step.c - the ends of a step: cross entropy with its gradient, and the optimiser. */
#include <math.h>

#include "train/kernel/vec.h"

/* Sum of exp(x - most); with `keep` the terms replace x. */
static double exp_sum(int64_t n, float *x, float most, bool keep)
{
    double total = 0;

    for (int64_t at = 0; at < n; at += VEC_BLOCK) {
        int64_t end = at + VEC_BLOCK < n ? at + VEC_BLOCK : n;
        vf sum = { 0 };

        for (int64_t j = at; j < end; j += VEC_LEN) {
            vf e = vec_exp(vec_load(x + j, end - j) - most);

            sum += vec_first(e, end - j, 0);
            if (keep)
                vec_store(x + j, e, end - j);
        }
        total += (double)vec_sum(sum);
    }
    return total;
}

void VEC_NAME(ce)(int64_t n, int64_t cols, struct kernel_mat x, const int32_t *target, const float *dscale, float *loss)
{
    for (int64_t i = 0; i < n; i++) {
        float *row = x.p + i * x.ld, most = vec_largest(cols, row), hit = row[target[i]], scale = dscale ? dscale[i] : 0;
        double sum = exp_sum(cols, row, most, scale != 0);

        loss[i] = (float)((double)most + log(sum) - (double)hit);
        if (!dscale)
            continue;
        if (scale == 0) {
            memset(row, 0, (size_t)cols * sizeof *row);
            continue;
        }
        for (int64_t j = 0; j < cols; j += VEC_LEN)
            vec_store(row + j, vec_load(row + j, cols - j) * (float)((double)scale / sum), cols - j);
        row[target[i]] -= scale;
    }
}

void VEC_NAME(adamw)(const struct kernel_adamw *o, int64_t n, float *p, const float *g, float *m, float *v)
{
    const float b1 = o->b1, b2 = o->b2, a1 = (float)(1 - (double)b1), a2 = (float)(1 - (double)b2);
    const float keep = (float)(1 - (double)o->lr * (double)o->weight_decay), step = (float)((double)o->lr / o->bc1);
    const float root = (float)(1 / sqrt(o->bc2)), eps = o->eps, scale = o->grad_scale;

    for (int64_t j = 0; j < n; j += VEC_LEN) {
        vf grad = vec_load(g + j, n - j) * scale;
        vf m1 = b1 * vec_load(m + j, n - j) + a1 * grad, v1 = b2 * vec_load(v + j, n - j) + a2 * grad * grad;

        vec_store(p + j, vec_load(p + j, n - j) * keep - step * m1 / (vec_sqrt(v1) * root + eps), n - j);
        vec_store(m + j, m1, n - j);
        vec_store(v + j, v1, n - j);
    }
}
