/* dtype.h - element types of weights in files, one row each: name, size, conversion to and from float. */
#ifndef LIBCOMMON_WEIGHTS_DTYPE_H
#define LIBCOMMON_WEIGHTS_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

/* Order of the safetensors specification, which sorts by it (ref: safetensors tensor.rs). */
enum dtype {
    DTYPE_BOOL, DTYPE_F4, DTYPE_F6_E2M3, DTYPE_F6_E3M2, DTYPE_U8, DTYPE_I8, DTYPE_F8_E5M2, DTYPE_F8_E4M3,
    DTYPE_F8_E8M0, DTYPE_F8_E4M3FNUZ, DTYPE_F8_E5M2FNUZ, DTYPE_I16, DTYPE_U16, DTYPE_F16, DTYPE_BF16, DTYPE_I32,
    DTYPE_U32, DTYPE_F32, DTYPE_C64, DTYPE_F64, DTYPE_I64, DTYPE_U64, DTYPE_COUNT
};

struct dtype_info {
    const char *name; /* as safetensors writes it */
    int bits;
    /* n elements, little-endian, unaligned; NULL where no program needs it yet.  from_f32 rounds to
     * nearest even. */
    void (*to_f32)(float *dst, const void *src, size_t n);
    void (*from_f32)(void *dst, const float *src, size_t n);
};

extern const struct dtype_info dtype_table[DTYPE_COUNT];

/* By safetensors name (n bytes), or -1. */
int dtype_by_name(const char *s, size_t n);

#endif
