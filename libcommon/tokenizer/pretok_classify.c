/* Which of 64 bytes are letters, digits, white space ...: the only part of the pre-tokenizer in SIMD. */
#include "libcommon/tokenizer/pretok_in.h"

enum { LETTER = 1, NUMBER = 2, WHITE = 4, SPACE = 8, NEWLINE = 16, QUOTE = 32, UPPER = 64, HIGH = 128 };

/* clang-format off */
#define L8 LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER, LETTER
#define U LETTER | UPPER
#define U8 U, U, U, U, U, U, U, U
#define H8 HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH, HIGH
#define H32 H8, H8, H8, H8
static const uint8_t flags[256] = {
    [0x09] = WHITE, WHITE | NEWLINE, WHITE, WHITE, WHITE | NEWLINE, [' '] = WHITE | SPACE, ['\''] = QUOTE,
    ['0'] = NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER,
    ['A'] = U8, U8, U8, U, U, ['a'] = L8, L8, L8, LETTER, LETTER,
    [0x80] = H32, H32, H32, H32,
};
/* clang-format on */

/* Bit k of each of the eight bytes of w, the lowest byte's first. */
static uint64_t plane(uint64_t w, int k)
{
    return ((w >> k & 0x0101010101010101) * 0x0102040810204080) >> 56;
}

static bool begins_ideograph(const uint8_t text[64], int at)
{
    return text[at] - 0xe5u < 5 || (text[at] == 0xe4 && at < 63 && text[at + 1] >= 0xb8);
}

void pretok_classify_portable(const char text[64], struct pretok_masks *m)
{
    *m = (struct pretok_masks){ 0 };
    for (int i = 0; i < 64; i += 8) {
        uint64_t w = 0;

        for (int k = 0; k < 8; k++) {
            w |= (uint64_t)flags[(uint8_t)text[i + k]] << 8 * k;
            m->slash |= (uint64_t)(text[i + k] == '/') << (i + k);
            m->ideograph |= (uint64_t)begins_ideograph((const uint8_t *)text, i + k) << (i + k);
        }
        m->letter |= plane(w, 0) << i;
        m->number |= plane(w, 1) << i;
        m->white |= plane(w, 2) << i;
        m->space |= plane(w, 3) << i;
        m->newline |= plane(w, 4) << i;
        m->quote |= plane(w, 5) << i;
        m->upper |= plane(w, 6) << i;
        m->high |= plane(w, 7) << i;
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2"))) static inline
#define V __m256i

/* Bytes of x from `first` to first + n - 1 (both as unsigned). */
AVX2 V within(V x, int first, int n)
{
    V d = _mm256_sub_epi8(x, _mm256_set1_epi8((char)first));

    return _mm256_cmpeq_epi8(_mm256_min_epu8(d, _mm256_set1_epi8((char)(n - 1))), d);
}

AVX2 uint64_t bits(V low, V high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

AVX2 uint64_t equal(V a, V b, char c)
{
    return bits(_mm256_cmpeq_epi8(a, _mm256_set1_epi8(c)), _mm256_cmpeq_epi8(b, _mm256_set1_epi8(c)));
}

__attribute__((target("avx2"))) void pretok_classify_avx2(const char text[64], struct pretok_masks *m)
{
    const V lower = _mm256_set1_epi8(0x20);
    V a = _mm256_loadu_si256((const V *)(const void *)text);
    V b = _mm256_loadu_si256((const V *)(const void *)(text + 32));

    m->letter = bits(within(_mm256_or_si256(a, lower), 'a', 26), within(_mm256_or_si256(b, lower), 'a', 26));
    m->number = bits(within(a, '0', 10), within(b, '0', 10));
    m->space = equal(a, b, ' ');
    m->white = bits(within(a, 9, 5), within(b, 9, 5)) | m->space;
    m->newline = equal(a, b, '\n') | equal(a, b, '\r');
    m->quote = equal(a, b, '\'');
    m->upper = bits(within(a, 'A', 26), within(b, 'A', 26));
    m->slash = equal(a, b, '/');
    m->high = bits(a, b);
    m->ideograph = bits(within(a, 0xe5, 5), within(b, 0xe5, 5));
    m->ideograph |= equal(a, b, (char)0xe4) & bits(within(a, 0xb8, 0x48), within(b, 0xb8, 0x48)) >> 1;
}

__attribute__((target("avx512f,avx512bw"))) void pretok_classify_avx512(const char text[64], struct pretok_masks *m)
{
    __m512i x = _mm512_loadu_si512(text);
    __m512i letter = _mm512_sub_epi8(_mm512_or_si512(x, _mm512_set1_epi8(0x20)), _mm512_set1_epi8('a'));
    __m512i number = _mm512_sub_epi8(x, _mm512_set1_epi8('0'));
    __m512i control = _mm512_sub_epi8(x, _mm512_set1_epi8(9));

    m->letter = _mm512_cmplt_epu8_mask(letter, _mm512_set1_epi8(26));
    m->number = _mm512_cmplt_epu8_mask(number, _mm512_set1_epi8(10));
    m->space = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(' '));
    m->white = _mm512_cmplt_epu8_mask(control, _mm512_set1_epi8(5)) | m->space;
    m->newline = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\n')) | _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\r'));
    m->quote = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\''));
    m->upper = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, _mm512_set1_epi8('A')), _mm512_set1_epi8(26));
    m->slash = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('/'));
    m->high = _mm512_movepi8_mask(x);
    m->ideograph = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, _mm512_set1_epi8((char)0xe5)), _mm512_set1_epi8(5));
    m->ideograph |= _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8((char)0xe4)) &
                    _mm512_cmpge_epu8_mask(x, _mm512_set1_epi8((char)0xb8)) >> 1;
}
#endif
