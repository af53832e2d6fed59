/* kernel.h - the arithmetic of training and generation: one table of functions, several instances.
 *
 * ref.c fills every entry with plain loops in double totals and is never optimised; it is what the
 * others are tested against.  vec*.c (vector extensions, compiled once per instruction set)
 * replace what they do faster; an entry they leave NULL stays ref's.  kernel_pick() chooses
 * once, by cpu_tier().
 *
 * Every function works on one slice, in one thread, and allocates nothing; train/op.c cuts the slices
 * by shape alone and runs them on the pool, so results do not depend on the number of threads.
 * Matrices are row-major; ld is the distance between rows in elements; rows are tokens.  "acc": add to
 * what stands in the output instead of overwriting it.
 */
#ifndef TRAIN_KERNEL_KERNEL_H
#define TRAIN_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_norm { KERNEL_RMS, KERNEL_LAYER };
enum kernel_act { KERNEL_SILU, KERNEL_GELU_TANH, KERNEL_GELU_ERF, KERNEL_RELU };

/* A view of a matrix; owned by somebody else. */
struct kernel_mat {
    float *p;
    int64_t ld;
};

/* One head of one document (packed rows hold several): nq queries, nk keys, query i standing at key
 * position i + nk - nq.  Key j is visible to query i when 0 <= pos(i) - j, and < window where window > 0.
 * (Later, as fields: softcap, ALiBi slope, sink, a width of v that differs from d.) */
struct kernel_attend {
    int64_t nq, nk, d;
    struct kernel_mat q, k, v, o; /* [nq, d] [nk, d] [nk, d] [nq, d] */
    float *lse;                   /* [nq] with stride lse_ld: log of the sum of exp(score) */
    int64_t lse_ld;
    float scale;
    int64_t window;
};

/* Gradients of a kernel_attend; dq is overwritten, dk and dv too unless acc_kv (the further query heads
 * that share a key head). */
struct kernel_attend_grad {
    struct kernel_mat d_o, dq, dk, dv;
    bool acc_kv;
};

/* Coefficients of one AdamW step (torch.optim.AdamW's algebra; Loshchilov & Hutter 2019):
 * m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; p = p (1 - lr wd) - lr / bc1 * m / (sqrt(v) / sqrt(bc2) + eps),
 * g = grad * grad_scale, bcN = 1 - bN^t. */
struct kernel_adamw {
    float lr, b1, b2, eps, weight_decay, grad_scale;
    double bc1, bc2;
};

/* Scratch in bytes that gemm, and that attend and attend_grad (gemm's included) need from the caller, 64-byte
 * aligned, per thread. */
#define KERNEL_GEMM_SCRATCH ((size_t)7 << 19)
#define KERNEL_FEW_ROWS 8
#define KERNEL_SCRATCH ((size_t)4 << 20)
/* Largest head dimension the attention kernels take. */
#define KERNEL_HEAD_DIM 512

struct kernels {
    const char *name;

    /* C[m,n] = alpha op(A) op(B) + beta C; op(X) is X, or its transpose where ta / tb.  op(A) is [m,k].
     * beta 0 does not read C.  With alpha 1 and beta 0 or 1 the bits of an element do not depend on m, n and where
     * in C it stands; but up to KERNEL_FEW_ROWS rows may be added up in another order than more. */
    void (*gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float beta, float *c, int64_t ldc, void *scratch);

    /* y[n] = W[n,k] x[k] (+ bias): one token, memory-bound; W is [n, k]; bias may be NULL. */
    void (*gemv)(int64_t n, int64_t k, const float *w, int64_t ldw, const float *x, const float *bias, float *y);

    /* y = (x - mean) * rstd * w + b over each of n rows of `cols`; RMS: mean is 0 and b NULL.
     * stats[n][2] = mean, rstd.  eps is inside the root. */
    void (*norm)(enum kernel_norm kind, int64_t n, int64_t cols, struct kernel_mat x, const float *w, const float *b,
                 float eps, struct kernel_mat y, float *stats);
    /* dx (acc or not); dw[cols] and db[cols] (NULL for RMS) are added to. */
    void (*norm_grad)(enum kernel_norm kind, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                      const float *w, const float *stats, struct kernel_mat dx, bool acc, float *dw, float *db);

    /* Rotate halves: of each of `heads` heads of width d in each of n rows, pairs (i, i + rot/2), i < rot/2,
     * by the angle of the row's position: x1' = x1 c - x2 s, x2' = x2 c + x1 s; columns past rot are
     * copied.  table[pos][rot] holds rot/2 cosines, then rot/2 sines.  inverse: by the negative angle.
     * y may be x. */
    void (*rope)(int64_t n, int64_t heads, int64_t d, int64_t rot, struct kernel_mat x, const int32_t *pos,
                 const float *table, bool inverse, struct kernel_mat y);

    /* y = act(g) * u where x = [g | u], 2 x cols wide. */
    void (*glu)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y);
    void (*glu_grad)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                     struct kernel_mat dx);
    void (*act)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat x, struct kernel_mat y);
    void (*act_grad)(enum kernel_act act, int64_t n, int64_t cols, struct kernel_mat dy, struct kernel_mat x,
                     struct kernel_mat dx);

    /* y = a + b (y may be either); y += b[cols] in every row; sum[cols] += column sums of x. */
    void (*add)(int64_t n, int64_t cols, struct kernel_mat a, struct kernel_mat b, struct kernel_mat y);
    void (*add_bias)(int64_t n, int64_t cols, const float *b, struct kernel_mat y);
    void (*col_sum)(int64_t n, int64_t cols, struct kernel_mat x, float *sum);

    /* Queries [i0, i1) of a head, online softmax over tiles of keys; memory does not depend on nk.
     * k is the instance itself (its gemm serves the tiles).  lse may be NULL. */
    void (*attend)(const struct kernels *k, const struct kernel_attend *a, int64_t i0, int64_t i1, void *scratch);
    /* All queries of a head: dq, and this head's part of dk, dv.  Needs o and lse of the forward. */
    void (*attend_grad)(const struct kernels *k, const struct kernel_attend *a, const struct kernel_attend_grad *g,
                        void *scratch);

    /* Cross entropy of n rows of logits x[n][cols] against target[n] (in [0, cols)): loss[i] = lse - x[target].
     * With dscale not NULL x becomes the gradient: (softmax - onehot) * dscale[i]; a row with dscale 0
     * becomes zeros. */
    void (*ce)(int64_t n, int64_t cols, struct kernel_mat x, const int32_t *target, const float *dscale, float *loss);

    /* One parameter tensor, n elements; master weights fp32. */
    void (*adamw)(const struct kernel_adamw *o, int64_t n, float *p, const float *g, float *m, float *v);
    /* Sum of squares, in double totals of fixed order. */
    double (*sum_squares)(int64_t n, const float *x);
};

/* The instance for this machine (LMPIPE_CPU lowers it). */
const struct kernels *kernel_pick(void);
/* All that this machine can run, ref first, NULL at the end: for tests. */
const struct kernels *const *kernel_all(void);
/* Floating-point operations a second of fused multiply-adds in this thread now, by this machine's
 * instance; takes some 10 ms.  What a training step is a share of. */
double kernel_peak(void);

#endif
