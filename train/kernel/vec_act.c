/* vec_act.c - activations and gated activations.  Each is x times a weight between 0 and 1: a
 * distribution function (logistic, normal) or a step. */
#include "train/kernel/vec.h"

/* A distribution function at x, what it lacks to 1 (both to full relative precision), and its density. */
struct part {
    vf below, above, density;
};

static vf flip(vf x)
{
    return (vf)((vi)x ^ INT32_MIN);
}

static vf magnitude(vf x)
{
    return (vf)((vi)x & INT32_MAX);
}

static struct part of_tails(vf x, vf small, vf large, vf density)
{
    vi right = x > 0;

    return (struct part){ vec_pick(right, large, small), vec_pick(right, small, large), density };
}

static struct part logistic(vf x)
{
    vf e = vec_exp(flip(magnitude(x))), large = 1 / (1 + e), small = e * large;

    return of_tails(x, small, large, small * large);
}

/* erfc(z) = exp(-z^2) t p(t), t = 1 / (1 + z/2), z >= 0; p by least squares of the relative error at 400
 * Chebyshev nodes of 0 <= z <= 10, which it meets within 5e-8. */
static struct part normal(vf x)
{
    static const float p[] = { 0.2820823491f, 0.2824538350f, 0.2424793839f, 0.2053604275f, -0.0333990194f,
                               0.2885151505f, -0.4968295693f, 0.2894461155f, -0.0601087064f };
    const float root_half = 0.70710678f, density_0 = 0.39894228f;
    vf t = 1 / (1 + 0.5f * root_half * magnitude(x)), e = vec_exp(-0.5f * x * x), sum = vec_splat(p[8]), small;

    for (int i = 7; i >= 0; i--)
        sum = sum * t + p[i];
    small = 0.5f * e * t * sum;
    return of_tails(x, small, 1 - small, density_0 * e);
}

/* sqrt(2/pi) (x + 0.044715 x^3), twice: gelu's tanh form is x times the logistic function of it. */
static const float tanh_a = 1.5957691216f, tanh_b = 0.044715f;

/* The activation of x, and its slope. */
static inline void value_slope(enum kernel_act act, vf x, vf *value, vf *slope)
{
    struct part p;

    switch (act) {
    case KERNEL_SILU:
        p = logistic(x);
        break;
    case KERNEL_GELU_TANH:
        p = logistic(tanh_a * (x + tanh_b * x * x * x));
        p.density *= tanh_a * (1 + 3 * tanh_b * x * x);
        break;
    case KERNEL_GELU_ERF:
        p = normal(x);
        break;
    default:
        *value = vec_pick(x > 0, x, (vf){ 0 });
        *slope = vec_pick(x > 0, vec_splat(1), (vf){ 0 });
        return;
    }
    *value = x * p.below;
    *slope = p.below + x * p.density;
}

void VEC_NAME(glu)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            const float *g = x.p + i * x.ld + j;
            vf value, slope;

            value_slope(act, vec_load(g, cols - j), &value, &slope);
            vec_store(y.p + i * y.ld + j, value * vec_load(g + cols, cols - j), cols - j);
        }
}

void VEC_NAME(glu_grad)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                        struct kernel_mat dx)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            const float *g = x.p + i * x.ld + j;
            float *dg = dx.p + i * dx.ld + j;
            vf d = vec_load(dy.p + i * dy.ld + j, cols - j), up = vec_load(g + cols, cols - j), value, slope;

            value_slope(act, vec_load(g, cols - j), &value, &slope);
            vec_store(dg, d * up * slope, cols - j);
            vec_store(dg + cols, d * value, cols - j);
        }
}

void VEC_NAME(act)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            vf value, slope;

            value_slope(act, vec_load(x.p + i * x.ld + j, cols - j), &value, &slope);
            vec_store(y.p + i * y.ld + j, value, cols - j);
        }
}

void VEC_NAME(act_grad)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                        struct kernel_mat dx)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < cols; j += VEC_LEN) {
            vf value, slope;

            value_slope(act, vec_load(x.p + i * x.ld + j, cols - j), &value, &slope);
            vec_store(dx.p + i * dx.ld + j, slope * vec_load(dy.p + i * dy.ld + j, cols - j), cols - j);
        }
}
