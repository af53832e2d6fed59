/* vec_gemm.c - C = alpha op(A) op(B) + beta C in the order of Goto & van de Geijn (2008): a block of B is
 * packed for the last level of cache, one of A for L2, both in strips as wide as a tile of C; a tile of
 * ROWS x COLS is summed in registers along the whole depth of the blocks. */
#include <assert.h>

#include "train/kernel/vec.h"

#if VEC_BYTES == 64
enum { ROWS = 12 }; /* x 2 vectors: 24 of 32 registers */
#else
enum { ROWS = 6 }; /* 12 of 16 */
#endif
enum { COLS = 2 * VEC_LEN, LINE = 16, DEPTH = 512, ROOM_A = 144 * DEPTH, ROOM_B = 1536 * DEPTH };
static_assert((ROOM_A + ROOM_B) * sizeof(float) <= KERNEL_GEMM_SCRATCH, "scratch of gemm");

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Size of the parts when n is cut into equal ones of at most `most`, whole steps each but for the last. */
static int64_t part(int64_t n, int64_t most, int64_t step)
{
    int64_t parts;

    most = most / step * step;
    parts = (n + most - 1) / most;
    return parts > 1 ? ((n + parts - 1) / parts + step - 1) / step * step : n;
}

/* out[p][0..3] = x[0..3][p], p < 4. */
static inline void transpose4(const float *x, int64_t line, float *out, int width)
{
    v4 a = *(const v4_any *)x, b = *(const v4_any *)(x + line), c = *(const v4_any *)(x + 2 * line),
       d = *(const v4_any *)(x + 3 * line);
    v4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    v4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);

    *(v4_any *)out = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    *(v4_any *)(out + width) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    *(v4_any *)(out + 2 * width) = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5);
    *(v4_any *)(out + 3 * width) = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
}

/* Strips of `width` lines of a matrix, k elements each, to out[strip][k][width]; lines past n are 0.
 * Where `along`, elements of a line lie side by side, lines ld apart; else the other way round. */
static inline void pack(int64_t n, int64_t k, int width, const float *x, int64_t ld, bool along, float *out)
{
    enum { BAND = 8 }; /* as many rows as L1 has ways: they may lie a multiple of 4096 bytes apart */
    int64_t whole = n / width * width, line = along ? ld : 1, step = along ? 1 : ld;

    for (int64_t p0 = 0; p0 < k && !along; p0 += BAND) /* all strips of some rows, while these are in L1 */
        for (int64_t at = 0; at < whole; at += width)
            for (int64_t p = p0; p < least(p0 + BAND, k); p++) {
                __builtin_prefetch(x + at + (p + BAND) * ld);
                for (int i = 0; i < width; i += 4) {
                    int from = i + 4 <= width ? i : width - 4;

                    *(v4_any *)(out + at * k + p * width + from) = *(const v4_any *)(x + at + from + p * ld);
                }
            }
    for (int64_t at = 0; at < whole && along; at += width) {
        float *to = out + at * k;
        int64_t even = k / 4 * 4;

        for (int64_t p0 = 0; p0 < even; p0 += LINE) /* a cache line of four lines at a time, for the same reason */
            for (int i = 0; i < width; i += 4) {
                int from = i + 4 <= width ? i : width - 4;

                for (int64_t p = p0; p < least(p0 + LINE, even); p += 4)
                    transpose4(x + (at + from) * ld + p, ld, to + p * width + from, width);
            }
        for (int64_t p = even; p < k; p++)
            for (int i = 0; i < width; i++)
                to[p * width + i] = x[(at + i) * ld + p];
    }
    for (int64_t p = 0; p < k && whole < n; p++)
        for (int64_t i = 0; i < width; i++)
            out[whole * k + p * width + i] = whole + i < n ? x[(whole + i) * line + p * step] : 0;
}

/* One step down the strips: a column of A by a row of B. */
static inline void outer_product(const float *a, const float *b, vf sum[ROWS][2])
{
    vf b0 = *(const vf_any *)b, b1 = *(const vf_any *)(b + VEC_LEN);

    for (int i = 0; i < ROWS; i++) {
        sum[i][0] += a[i] * b0;
        sum[i][1] += a[i] * b1;
    }
}

/* Sums of a tile from packed strips.  Meanwhile k elements from `ahead` on, which later tiles will read, are
 * fetched nearer, a cache line of 16 at a time. */
static inline void tile_sums(int64_t k, const float *a, const float *b, const float *ahead, vf sum[ROWS][2])
{
    int64_t p = 0;

    for (int i = 0; i < ROWS; i++)
        sum[i][0] = sum[i][1] = (vf){ 0 };
    for (; p + LINE <= k; p += LINE) {
        __builtin_prefetch(ahead + p, 0, 2);
#pragma GCC unroll 4
        for (int q = 0; q < LINE; q++, a += ROWS, b += COLS)
            outer_product(a, b, sum);
    }
    for (; p < k; p++, a += ROWS, b += COLS)
        outer_product(a, b, sum);
}

static inline void whole_tile(int64_t k, const float *a, const float *b, const float *ahead, float alpha, float beta,
                              float *c, int64_t ldc)
{
    vf sum[ROWS][2];

    for (int i = 0; i < ROWS; i++) {
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + COLS - 1, 1);
    }
    tile_sums(k, a, b, ahead, sum);
    for (int i = 0; i < ROWS; i++, c += ldc) {
        vf_any *out = (vf_any *)c;

        if (beta == 0) {
            out[0] = alpha * sum[i][0];
            out[1] = alpha * sum[i][1];
        } else {
            out[0] = alpha * sum[i][0] + beta * out[0];
            out[1] = alpha * sum[i][1] + beta * out[1];
        }
    }
}

static __attribute__((noinline)) void edge_tile(int64_t k, const float *a, const float *b, float alpha, float beta,
                                                float *c, int64_t ldc, int64_t rows, int64_t cols)
{
    vf sum[ROWS][2];

    tile_sums(k, a, b, b, sum);
    for (int64_t i = 0; i < rows; i++, c += ldc)
        for (int64_t j = 0; j < cols; j++) {
            float y = alpha * sum[i][j / VEC_LEN][j % VEC_LEN];

            c[j] = beta == 0 ? y : y + beta * c[j];
        }
}

enum { FEW = 4 };

/* n <= FEW rows of A against all rows of B, each of which is read once. */
static void few_rows(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                     int64_t ldb, float beta, float *c, int64_t ldc)
{
    const float *x[FEW];

    for (int i = 0; i < FEW; i++)
        x[i] = a + (i < m ? i : 0) * lda;
    for (int64_t j = 0; j < n; j++, b += ldb) {
        vf sum[FEW][2];

        for (int i = 0; i < FEW; i++)
            sum[i][0] = sum[i][1] = (vf){ 0 };
        for (int64_t p = 0; p < k; p += COLS) {
            vf w0 = vec_load(b + p, k - p), w1 = k - p > VEC_LEN ? vec_load(b + p + VEC_LEN, k - p - VEC_LEN) : (vf){ 0 };

            for (int i = 0; i < FEW; i++) {
                sum[i][0] += w0 * vec_load(x[i] + p, k - p);
                if (k - p > VEC_LEN)
                    sum[i][1] += w1 * vec_load(x[i] + p + VEC_LEN, k - p - VEC_LEN);
            }
        }
        for (int64_t i = 0; i < m; i++) {
            float y = alpha * vec_sum(sum[i][0] + sum[i][1]);

            c[i * ldc + j] = beta == 0 ? y : y + beta * c[i * ldc + j];
        }
    }
}

void VEC_NAME(gemm)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                    const float *b, int64_t ldb, float beta, float *c, int64_t ldc, void *scratch)
{
    float *pa = scratch, *pb = pa + ROOM_A;
    int64_t deep = part(k, DEPTH, 4), wide = part(n, ROOM_B / deep, COLS), high = part(m, ROOM_A / deep, ROWS);

    if (!ta && tb && m <= KERNEL_FEW_ROWS) {
        for (int64_t i = 0; i < m; i += FEW)
            few_rows(least(FEW, m - i), n, k, alpha, a + i * lda, lda, b, ldb, beta, c + i * ldc, ldc);
        return;
    }
    for (int64_t j0 = 0; j0 < n; j0 += wide)
        for (int64_t p0 = 0; p0 < k; p0 += deep) {
            int64_t nc = least(wide, n - j0), kc = least(deep, k - p0);
            float keep = p0 == 0 ? beta : 1;

            pack(nc, kc, COLS, tb ? b + j0 * ldb + p0 : b + p0 * ldb + j0, ldb, tb, pb);
            for (int64_t i0 = 0; i0 < m; i0 += high) {
                int64_t mc = least(high, m - i0);

                pack(mc, kc, ROWS, ta ? a + p0 * lda + i0 : a + i0 * lda + p0, lda, !ta, pa);
                for (int64_t j = 0; j < nc; j += COLS)
                    for (int64_t i = 0; i < mc; i += ROWS) {
                        float *out = c + (i0 + i) * ldc + j0 + j;

                        if (mc - i >= ROWS && nc - j >= COLS)
                            whole_tile(kc, pa + i * kc, pb + j * kc, pb + (j + COLS + i / ROWS) * kc, alpha, keep, out, ldc);
                        else
                            edge_tile(kc, pa + i * kc, pb + j * kc, alpha, keep, out, ldc, least(ROWS, mc - i),
                                      least(COLS, nc - j));
                    }
            }
        }
}
