/* UTF-8 validation by table lookups on nibbles: J. Keiser, D. Lemire, "Validating UTF-8 in less than
 * one instruction per byte", 2021. */
#include "libcommon/base/utf8.h"

#include <stdbool.h>

#include "libcommon/base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define V __m256i

/* What is wrong with a pair of bytes, if all three of its lookups agree. */
enum {
    TOO_SHORT = 1,    /* a lead byte is followed by no continuation */
    TOO_LONG = 2,     /* ASCII is followed by a continuation */
    OVERLONG_3 = 4,   /* e0 80..9f */
    TOO_LARGE = 8,    /* f4 90..bf, f5.. */
    SURROGATE = 16,   /* ed a0..bf */
    OVERLONG_2 = 32,  /* c0, c1 */
    TOO_LARGE_2 = 64, /* f5.. with 80..8f; with a lead f0: overlong */
    TWO_CONTS = 128,  /* two continuations, right only within 3 and 4 bytes */
    CARRY = TOO_SHORT | TOO_LONG | TWO_CONTS,
};

#define LOOKUP(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))

/* x moved up by k bytes, the last of prev put in front. */
#define SHIFTED(x, prev, k) _mm256_alignr_epi8(x, _mm256_permute2x128_si256(prev, x, 0x21), 16 - (k))

AVX2 static inline V high_nibble(V x)
{
    return _mm256_and_si256(_mm256_srli_epi16(x, 4), _mm256_set1_epi8(15));
}

/* Bytes that are wrong (nonzero) in x, which follows prev. */
AVX2 static inline V wrong(V x, V prev)
{
    const V first_high = LOOKUP(TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
                                TOO_LONG, (char)TWO_CONTS, (char)TWO_CONTS, (char)TWO_CONTS,
                                (char)TWO_CONTS, TOO_SHORT | OVERLONG_2, TOO_SHORT,
                                TOO_SHORT | OVERLONG_3 | SURROGATE,
                                TOO_SHORT | TOO_LARGE | TOO_LARGE_2);
    const char large = (char)(CARRY | TOO_LARGE | TOO_LARGE_2);
    const V first_low =
        LOOKUP((char)(CARRY | OVERLONG_3 | OVERLONG_2 | TOO_LARGE_2), (char)(CARRY | OVERLONG_2),
               (char)CARRY, (char)CARRY, (char)(CARRY | TOO_LARGE), large, large, large, large, large,
               large, large, large, (char)(large | SURROGATE), large, large);
    const V second_high =
        LOOKUP(TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
               (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE_2),
               (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | OVERLONG_3 | TOO_LARGE),
               (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE),
               (char)(TOO_LONG | OVERLONG_2 | TWO_CONTS | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT,
               TOO_SHORT, TOO_SHORT);
    V one = SHIFTED(x, prev, 1);
    V low = _mm256_and_si256(one, _mm256_set1_epi8(15));
    V pair = _mm256_and_si256(
        _mm256_and_si256(_mm256_shuffle_epi8(first_high, high_nibble(one)), _mm256_shuffle_epi8(first_low, low)),
        _mm256_shuffle_epi8(second_high, high_nibble(x)));
    /* the third byte of a lead e0.. and the fourth of f0.. must be continuations: TWO_CONTS there */
    V third = _mm256_subs_epu8(SHIFTED(x, prev, 2), _mm256_set1_epi8((char)(0xe0 - 0x80)));
    V fourth = _mm256_subs_epu8(SHIFTED(x, prev, 3), _mm256_set1_epi8((char)(0xf0 - 0x80)));
    V must = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));

    return _mm256_xor_si256(must, pair);
}

/* How many bytes, a multiple of 64, hold nothing wrong but perhaps a sequence cut at their end. */
AVX2 static size_t valid_blocks(const uint8_t *s, size_t n)
{
    V prev = _mm256_setzero_si256();
    bool open = false; /* the bytes before are not all ASCII */
    size_t i = 0;

    for (; n - i >= 64; i += 64) {
        V a = _mm256_loadu_si256((const V *)(const void *)(s + i));
        V b = _mm256_loadu_si256((const V *)(const void *)(s + i + 32));
        bool ascii = !_mm256_movemask_epi8(_mm256_or_si256(a, b));

        if (!ascii || open) {
            V e = _mm256_or_si256(wrong(a, prev), wrong(b, a));

            if (!_mm256_testz_si256(e, e))
                break;
        }
        open = !ascii;
        prev = b;
    }
    return i;
}
#endif

size_t utf8_valid(const void *p, size_t n)
{
    size_t i = 0;

    if (!n)
        return 0; /* p may be NULL */
#if defined(__x86_64__)
    const uint8_t *s = p;

    if (n >= 64 && cpu_tier() >= CPU_AVX2)
        i = valid_blocks(s, n);
    /* back to the start of the sequence that i may stand in: it is valid so far */
    for (int k = 0; k < 4 && i && (s[i - 1] & 0x80); k++)
        if ((s[--i] & 0xc0) == 0xc0)
            break;
#endif
    return i + utf8_valid_portable((const uint8_t *)p + i, n - i);
}
