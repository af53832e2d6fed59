/* instance.h - what kernel.c chooses from.  An instance fills the entries it is good at. */
#ifndef TRAIN_KERNEL_INSTANCE_H
#define TRAIN_KERNEL_INSTANCE_H

#include "train/kernel/kernel.h"

/* Every entry of struct kernels, in its order. */
#define KERNEL_ENTRIES(ROW) \
    ROW(gemm) \
    ROW(gemv) \
    ROW(norm) \
    ROW(norm_grad) \
    ROW(rope) \
    ROW(glu) \
    ROW(glu_grad) \
    ROW(act) \
    ROW(act_grad) \
    ROW(add) \
    ROW(add_bias) \
    ROW(col_sum) \
    ROW(attend) \
    ROW(attend_grad) \
    ROW(ce) \
    ROW(adamw) \
    ROW(sum_squares)

extern const struct kernels ref_kernels; /* all of them */
/* vec*.c of each instruction set */
extern const struct kernels vec_portable, vec_avx2, vec_avx512;

/* n multiply-adds of a vector on each of several independent sums: the operations done. */
int64_t vec_fma_portable(int64_t n), vec_fma_avx2(int64_t n), vec_fma_avx512(int64_t n);

#endif
