/* vec.c - the kernels that walk rows, in vector extensions. */
#include "train/kernel/vec.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)

static void gemv(int64_t n, int64_t k, const float *w, int64_t ldw, const float *x, const float *bias, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)vec_dot(k, w + i * ldw, x) + (bias ? bias[i] : 0);
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

static double sum_squares(int64_t n, const float *x)
{
    return vec_dot(n, x, x);
}

const struct kernels VEC_TABLE = {
    .name = STRING(VEC_TARGET),
    .gemv = gemv,
    .add = add,
    .add_bias = add_bias,
    .sum_squares = sum_squares,
};
