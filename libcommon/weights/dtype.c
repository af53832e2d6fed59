#include "libcommon/weights/dtype.h"

#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t w;

    memcpy(&w, &f, 4);
    return w;
}

static float float_of(uint32_t w)
{
    float f;

    memcpy(&f, &w, 4);
    return f;
}

/* Both half conversions without a branch, so that compilers vectorise them: M. Dukhan's FP16 library. */
static float half_to_float(uint16_t h)
{
    uint32_t w = (uint32_t)h << 16, sign = w & 0x80000000u, twice = w + w;
    float normal = float_of((twice >> 4) + (0xe0u << 23)) * 0x1p-112f;
    float subnormal = float_of((twice >> 17) | (126u << 23)) - 0.5f;

    return float_of(sign | (twice < 1u << 27 ? bits_of(subnormal) : bits_of(normal)));
}

static uint16_t half_of_float(float f)
{
    uint32_t w = bits_of(f), twice = w + w, bias = twice & 0xff000000u, r, nan;
    /* too large becomes infinite, then rounds at the place that adding the bias puts the last bit */
    float base = float_of(w & 0x7fffffffu) * 0x1p112f * 0x1p-110f;

    bias = bias < 0x71000000u ? 0x71000000u : bias;
    r = bits_of(float_of((bias >> 1) + 0x07800000u) + base);
    r = (r >> 13 & 0x7c00u) + (r & 0x0fffu);
    nan = 0x7e00u | (w >> 13 & 0x1ffu);
    return (uint16_t)((w >> 16 & 0x8000u) | (twice > 0xff000000u ? nan : r));
}

static uint16_t bf16_of_float(float f)
{
    uint32_t w = bits_of(f), rounded = (w + 0x7fffu + (w >> 16 & 1)) >> 16, nan = w >> 16 | 0x40u;

    return (uint16_t)((w & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

static void f16_to_f32(float *dst, const void *src, size_t n)
{
    const char *s = src;

    for (size_t i = 0; i < n; i++) {
        uint16_t h;

        memcpy(&h, s + 2 * i, 2);
        dst[i] = half_to_float(h);
    }
}

static void f16_from_f32(void *dst, const float *src, size_t n)
{
    char *d = dst;

    for (size_t i = 0; i < n; i++) {
        uint16_t h = half_of_float(src[i]);

        memcpy(d + 2 * i, &h, 2);
    }
}

static void bf16_to_f32(float *dst, const void *src, size_t n)
{
    const char *s = src;

    for (size_t i = 0; i < n; i++) {
        uint16_t h;

        memcpy(&h, s + 2 * i, 2);
        dst[i] = float_of((uint32_t)h << 16);
    }
}

static void bf16_from_f32(void *dst, const float *src, size_t n)
{
    char *d = dst;

    for (size_t i = 0; i < n; i++) {
        uint16_t h = bf16_of_float(src[i]);

        memcpy(d + 2 * i, &h, 2);
    }
}

static void f32_to_f32(float *dst, const void *src, size_t n)
{
    if (n)
        memcpy(dst, src, 4 * n);
}

static void f32_from_f32(void *dst, const float *src, size_t n)
{
    if (n)
        memcpy(dst, src, 4 * n);
}

static void f64_to_f32(float *dst, const void *src, size_t n)
{
    const char *s = src;

    for (size_t i = 0; i < n; i++) {
        double d;

        memcpy(&d, s + 8 * i, 8);
        dst[i] = (float)d;
    }
}

const struct dtype_info dtype_table[DTYPE_COUNT] = {
    [DTYPE_BOOL] = { "BOOL", 8, NULL, NULL },
    [DTYPE_F4] = { "F4", 4, NULL, NULL },
    [DTYPE_F6_E2M3] = { "F6_E2M3", 6, NULL, NULL },
    [DTYPE_F6_E3M2] = { "F6_E3M2", 6, NULL, NULL },
    [DTYPE_U8] = { "U8", 8, NULL, NULL },
    [DTYPE_I8] = { "I8", 8, NULL, NULL },
    [DTYPE_F8_E5M2] = { "F8_E5M2", 8, NULL, NULL },
    [DTYPE_F8_E4M3] = { "F8_E4M3", 8, NULL, NULL },
    [DTYPE_F8_E8M0] = { "F8_E8M0", 8, NULL, NULL },
    [DTYPE_F8_E4M3FNUZ] = { "F8_E4M3FNUZ", 8, NULL, NULL },
    [DTYPE_F8_E5M2FNUZ] = { "F8_E5M2FNUZ", 8, NULL, NULL },
    [DTYPE_I16] = { "I16", 16, NULL, NULL },
    [DTYPE_U16] = { "U16", 16, NULL, NULL },
    [DTYPE_F16] = { "F16", 16, f16_to_f32, f16_from_f32 },
    [DTYPE_BF16] = { "BF16", 16, bf16_to_f32, bf16_from_f32 },
    [DTYPE_I32] = { "I32", 32, NULL, NULL },
    [DTYPE_U32] = { "U32", 32, NULL, NULL },
    [DTYPE_F32] = { "F32", 32, f32_to_f32, f32_from_f32 },
    [DTYPE_C64] = { "C64", 64, NULL, NULL },
    [DTYPE_F64] = { "F64", 64, f64_to_f32, NULL },
    [DTYPE_I64] = { "I64", 64, NULL, NULL },
    [DTYPE_U64] = { "U64", 64, NULL, NULL },
};

int dtype_by_name(const char *s, size_t n)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strlen(dtype_table[i].name) == n && memcmp(dtype_table[i].name, s, n) == 0)
            return i;
    return -1;
}
