/* vec.h - what the vec*.c files share: a vector of floats as wide as the target's registers, in the
 * vector extensions of gcc and clang.  Each file is compiled once per VEC_TARGET (see the Makefile).
 *
 * A row of any length is walked as `for (j = 0; j < cols; j += VEC_LEN)` with `cols - j` handed to
 * vec_load and vec_store, which touch no more than that many elements.
 */
#ifndef TRAIN_KERNEL_VEC_H
#define TRAIN_KERNEL_VEC_H

#include <stdint.h>
#include <string.h>

#include "train/kernel/instance.h"

#define VEC_PASTE_(a, b) a##_##b
#define VEC_PASTE(a, b) VEC_PASTE_(a, b)
#define VEC_NAME(x) VEC_PASTE(vec_##x, VEC_TARGET) /* a symbol of this target */
#define VEC_TABLE VEC_PASTE(vec, VEC_TARGET)

#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
#define VEC_LEN (VEC_BYTES / 4)
/* Floats are added up over so many elements, then their total goes into a double. */
#define VEC_BLOCK (VEC_LEN * 64)

typedef float vf __attribute__((vector_size(VEC_BYTES)));
typedef int32_t vi __attribute__((vector_size(VEC_BYTES)));
typedef uint32_t vu __attribute__((vector_size(VEC_BYTES))); /* wraps around */
typedef float v4 __attribute__((vector_size(16)));
typedef float v4_any __attribute__((vector_size(16), aligned(4), may_alias));
typedef float vf_any __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));

/* Entries that files beside vec.c define. */
void VEC_NAME(gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                    const float *b, int64_t ldb, float beta, float *c, int64_t ldc, void *scratch);
void VEC_NAME(glu)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y);
void VEC_NAME(glu_grad)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                        struct kernel_mat dx);
void VEC_NAME(act)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y);
void VEC_NAME(act_grad)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                        struct kernel_mat dx);
void VEC_NAME(attend)(const struct kernels *k, const struct kernel_attend *a, int64_t i0, int64_t i1, void *scratch);
void VEC_NAME(attend_grad)(const struct kernels *k, const struct kernel_attend *a, const struct kernel_attend_grad *g,
                           void *scratch);
void VEC_NAME(ce)(int64_t n, int64_t cols, struct kernel_mat x, const int32_t *target, const float *dscale,
                  float *loss);
void VEC_NAME(adamw)(const struct kernel_adamw *o, int64_t n, float *p, const float *g, float *m, float *v);

/* n may be more than a vector; what lies past n is 0. */
static inline vf vec_load(const float *p, int64_t n)
{
    vf x = { 0 };

    if (n >= VEC_LEN)
        return *(const vf_any *)p;
    memcpy(&x, p, (size_t)n * sizeof *p);
    return x;
}

static inline void vec_store(float *p, vf x, int64_t n)
{
    if (n >= VEC_LEN)
        *(vf_any *)p = x;
    else
        memcpy(p, &x, (size_t)n * sizeof *p);
}

static inline vf vec_splat(float s)
{
    return s - (vf){ 0 };
}

/* x with what stands past its first n lanes replaced by `rest`. */
static inline vf vec_first(vf x, int64_t n, float rest)
{
    for (int64_t i = n; i < VEC_LEN; i++)
        x[i] = rest;
    return x;
}

static inline vf vec_sqrt(vf x)
{
    float a[VEC_LEN];

    memcpy(a, &x, sizeof a);
    for (int i = 0; i < VEC_LEN; i++)
        a[i] = __builtin_sqrtf(a[i]);
    memcpy(&x, a, sizeof a);
    return x;
}

/* a where the mask is all ones, b where it is 0. */
static inline vf vec_pick(vi mask, vf a, vf b)
{
    return (vf)((mask & (vi)a) | (~mask & (vi)b));
}

static inline vf vec_max(vf a, vf b)
{
    return vec_pick(a > b, a, b);
}

static inline float vec_sum(vf x)
{
    v4 q[VEC_LEN / 4];

    memcpy(q, &x, sizeof x);
    for (int w = VEC_LEN / 8; w > 0; w /= 2)
        for (int i = 0; i < w; i++)
            q[i] += q[i + w];
    return (q[0][0] + q[0][2]) + (q[0][1] + q[0][3]);
}

/* The sums of four vectors. */
static inline v4 vec_sum4(vf a, vf b, vf c, vf d)
{
    vf in[4] = { a, b, c, d };
    v4 q[4];

    for (int r = 0; r < 4; r++) {
        v4 part[VEC_LEN / 4];

        memcpy(part, &in[r], sizeof part);
        for (int w = VEC_LEN / 8; w > 0; w /= 2)
            for (int i = 0; i < w; i++)
                part[i] += part[i + w];
        q[r] = part[0];
    }
    q[0] = __builtin_shufflevector(q[0], q[1], 0, 4, 1, 5) + __builtin_shufflevector(q[0], q[1], 2, 6, 3, 7);
    q[2] = __builtin_shufflevector(q[2], q[3], 0, 4, 1, 5) + __builtin_shufflevector(q[2], q[3], 2, 6, 3, 7);
    return __builtin_shufflevector(q[0], q[2], 0, 1, 4, 5) + __builtin_shufflevector(q[0], q[2], 2, 3, 6, 7);
}

static inline float vec_most(vf x)
{
    float most = x[0];

    for (int i = 1; i < VEC_LEN; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

/* The largest of n elements; -infinity of none. */
static inline float vec_largest(int64_t n, const float *x)
{
    vf most = vec_splat(-__builtin_inff());

    for (int64_t j = 0; j < n; j += VEC_LEN)
        most = vec_max(most, vec_first(vec_load(x + j, n - j), n - j, -__builtin_inff()));
    return vec_most(most);
}

/* e^x within 2 ulp where the result is a normal number; 0 below, infinity above, NaN for NaN.
 * x = n ln 2 + r, |r| <= ln 2 / 2; the polynomial of e^r and the two parts of ln 2 are Cephes' (expf). */
static inline vf vec_exp(vf x)
{
    const float shift = 0x1.8p23f; /* adding it rounds to an integer, held in the low bits */
    vf t = x * 0x1.715476p+0f + shift, n = t - shift;
    vf r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;

    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    p = (vf)((vu)p + ((vu)t << 23));
    p = vec_pick(x < -87.336540f, (vf){ 0 }, p);
    p = vec_pick(x > 88.722839f, vec_splat(__builtin_inff()), p);
    return vec_pick(x == x, p, x);
}

/* Sum of a[i] b[i] over n elements. */
static inline double vec_dot(int64_t n, const float *a, const float *b)
{
    double total = 0;

    for (; n > 0; n -= VEC_BLOCK, a += VEC_BLOCK, b += VEC_BLOCK) {
        int64_t m = n < VEC_BLOCK ? n : VEC_BLOCK, j = 0;
        vf s[4] = { { 0 } };

        for (; j + 4 * VEC_LEN <= m; j += 4 * VEC_LEN)
            for (int c = 0; c < 4; c++)
                s[c] += *(const vf_any *)(a + j + c * VEC_LEN) * *(const vf_any *)(b + j + c * VEC_LEN);
        for (; j < m; j += VEC_LEN)
            s[0] += vec_load(a + j, m - j) * vec_load(b + j, m - j);
        total += (double)vec_sum((s[0] + s[1]) + (s[2] + s[3]));
    }
    return total;
}

#endif
