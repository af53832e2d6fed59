/* blas.c - gemm by OpenBLAS.  Its own threads are off: with them its bits depend on their number
 * (most shapes under its AVX2 kernels), so train/op.c cuts the products and the pool runs the slices. */
#include <assert.h>
#include <cblas.h>
#include <limits.h>

#include "train/kernel/instance.h"

static void gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    assert(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX && ldc <= INT_MAX);
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void blas_init(void)
{
    openblas_set_num_threads(1);
}

const struct kernels blas_kernels = { .name = "blas", .gemm = gemm };
