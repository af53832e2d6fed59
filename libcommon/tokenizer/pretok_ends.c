/* Where pieces begin, for 64 bytes at once: the patterns as algebra on masks.
 *
 * A window begins where a piece begins, so nothing before it matters (no pattern looks back).  What it
 * cannot decide, because that depends on bytes behind it, it leaves out: the next window begins at the last
 * start found.  Every byte of a character has the character's class.
 *
 * In names: p is "the byte before is", n "the next byte is".
 */
#include <string.h>

#include "libcommon/tokenizer/pretok_in.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Classes of 64 bytes, a bit a byte, the first byte in the lowest; only of ASCII but for `high` and `ideograph`. */
struct masks {
    uint64_t letter, number, white; /* A-Za-z; 0-9; 09-0d and 20 */
    uint64_t space, newline, quote; /* 20; 0a and 0d; 27 */
    uint64_t upper, slash, high;    /* A-Z; 2f; 80-ff */
    uint64_t ideograph;             /* first bytes of U+4E00 to U+9FFF: e4 before b8-ff; e5-e9 */
};

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
static inline uint64_t plane(uint64_t w, int k)
{
    return ((w >> k & 0x0101010101010101) * 0x0102040810204080) >> 56;
}

static inline bool begins_ideograph(const uint8_t text[64], int at)
{
    return text[at] - 0xe5u < 5 || (text[at] == 0xe4 && at < 63 && text[at + 1] >= 0xb8);
}

static inline void classify_portable(const char text[64], struct masks *m)
{
    *m = (struct masks){ 0 };
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
#define AVX2 __attribute__((target("avx2"))) static inline

/* Bytes of x from `first` to first + n - 1 (both as unsigned). */
AVX2 __m256i within(__m256i x, int first, int n)
{
    __m256i d = _mm256_sub_epi8(x, _mm256_set1_epi8((char)first));

    return _mm256_cmpeq_epi8(_mm256_min_epu8(d, _mm256_set1_epi8((char)(n - 1))), d);
}

AVX2 uint64_t bits(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

AVX2 uint64_t equal(__m256i a, __m256i b, char c)
{
    return bits(_mm256_cmpeq_epi8(a, _mm256_set1_epi8(c)), _mm256_cmpeq_epi8(b, _mm256_set1_epi8(c)));
}

AVX2 void classify_avx2(const char text[64], struct masks *m)
{
    const __m256i lower = _mm256_set1_epi8(0x20);
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)text);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(text + 32));

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

__attribute__((target("avx512f,avx512bw"))) static inline void classify_avx512(const char text[64], struct masks *m)
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

struct window {
    uint64_t letter, number, other, white; /* of all characters; every known byte has one, or is Han */
    uint64_t upper, lower, han;            /* letters with a case, where it counts; then marks are letters */
    uint64_t inner;                        /* bytes within a character, behind its first */
    int n;                                 /* bytes known; whole characters */
};

static uint64_t first_bits(int n)
{
    return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
}

/* Add the ideographs, which are all of one class. */
static void add_ideographs(struct window *w, uint64_t first, enum pretok_class class)
{
    uint64_t inner = first << 1 | first << 2;

    *(class == PRETOK_HAN ? &w->han : &w->letter) |= first | inner;
    w->inner |= inner;
}

/* Where all of it is ASCII; the window is known to its end. */
static inline struct window ascii(const struct masks *m, int n, const bool cased)
{
    uint64_t known = first_bits(n), letter = m->letter & known, upper = m->upper & known;
    struct window w = { .letter = letter, .number = m->number & known, .white = m->white & known, .n = n };

    if (cased) {
        w.upper = upper;
        w.lower = letter & ~upper;
    }
    w.other = known & ~(w.letter | w.number | w.white);
    return w;
}

/* Add what is not ASCII.  cased: by the classes that tell cases apart; before a mark behind punctuation, and before Han
 * that is no letter, nothing is known any more: they go with what is before them, or do not. */
__attribute__((noinline)) static struct window mixed(const struct pretok *p, const struct masks *m, const char *text, int n, bool cased)
{
    struct window w = { .letter = m->letter, .number = m->number, .white = m->white, .n = n };
    uint64_t ideograph = n < 3 ? 0 : m->ideograph & first_bits(n - 2);
    uint64_t high = m->high & first_bits(n) & ~(ideograph | ideograph << 1 | ideograph << 2);

    add_ideographs(&w, ideograph, p->ideograph);
    if (cased) {
        w.upper = m->upper;
        w.lower = m->letter & ~m->upper;
    }
    while (high) {
        int at = __builtin_ctzll(high), len;
        uint64_t all, before;
        enum pretok_class class = PRETOK_OTHER;
        uint8_t c = (uint8_t)text[at];

        len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (at + len > n) {
            w.n = at;
            break;
        }
        class = pretok_class(p, text + at, &len);
        all = first_bits(len) << at;
        if (cased && class > PRETOK_SPACE) {
            before = (w.letter | w.number | w.white | w.han) << 1 | 1;
            if (class > PRETOK_HAN || (class == PRETOK_MARK && !(before >> at & 1))) {
                w.n = at;
                break;
            }
            w.upper |= class == PRETOK_UPPER ? all : 0;
            w.lower |= class == PRETOK_LOWER ? all : 0;
            w.han |= class == PRETOK_HAN ? all : 0;
            class = class == PRETOK_HAN ? class : PRETOK_LETTER;
        }
        w.letter |= class == PRETOK_LETTER ? all : 0;
        w.number |= class == PRETOK_NUMBER ? all : 0;
        w.white |= class == PRETOK_SPACE ? all : 0;
        w.inner |= all & (all << 1);
        high &= ~all;
    }
    w.letter &= first_bits(w.n);
    w.number &= first_bits(w.n);
    w.white &= first_bits(w.n);
    w.upper &= first_bits(w.n);
    w.lower &= first_bits(w.n);
    w.han &= first_bits(w.n);
    w.inner &= first_bits(w.n);
    w.other = first_bits(w.n) & ~(w.letter | w.number | w.white | w.han);
    return w;
}

static inline struct window classes(const struct pretok *p, const struct masks *m, const char *text, int n, const bool cased)
{
    struct masks copy; /* so that those of ASCII stay in registers */

    if (!(m->high & first_bits(n)))
        return ascii(m, n, cased);
    copy = *m;
    return mixed(p, &copy, text, n, cased);
}

/* The first bytes of the characters of which bits stands at the last bytes; white space has 3 at most. */
static uint64_t to_first(uint64_t bits, uint64_t inner)
{
    for (int i = 0; i < 2 && (bits & inner); i++)
        bits = (bits & ~inner) | (bits & inner) >> 1;
    return bits;
}

/* Length of the contraction 's 't 're 've 'm 'll 'd at s, of which three bytes can be read, or 0.
 * fold: in either case, and with U+017F, which folds to s. */
static int contraction(const char *s, bool fold)
{
    char a = fold && s[1] >= 'A' && s[1] <= 'Z' ? (char)(s[1] | 0x20) : s[1];
    char b = fold && s[2] >= 'A' && s[2] <= 'Z' ? (char)(s[2] | 0x20) : s[2];

    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return 3;
    return fold && (uint8_t)a == 0xc5 && (uint8_t)b == 0xbf ? 3 : 0;
}

/* A quote that begins a piece takes the letters of a contraction with it. */
static uint64_t contractions(uint64_t starts, uint64_t quotes, const char *text, int n, bool fold)
{
    for (quotes &= starts; quotes; quotes &= quotes - 1) {
        int at = __builtin_ctzll(quotes), len;

        if (at + 3 > n)
            return starts & first_bits(at + 1);
        len = contraction(text + at, fold);
        if (!len)
            continue;
        starts &= ~(first_bits(len - 1) << (at + 1));
        if (at + len < 64)
            starts |= (uint64_t)1 << (at + len);
    }
    return starts;
}

/* Bits of the valid_n bytes that surely begin a piece, given that the first does.  So the next two. */
static inline uint64_t starts_gpt2(const struct pretok *p, const struct masks *m, const char *text, int valid_n)
{
    struct window w = classes(p, m, text, valid_n, false);
    uint64_t known = first_bits(w.n), space = m->space & known, p_space = space << 1;
    uint64_t last_white = w.white & ~(w.white >> 1) & (known >> 1);
    uint64_t starts = (w.letter & ~(w.letter << 1)) | (w.number & ~(w.number << 1)) | (w.other & ~(w.other << 1));

    starts &= ~p_space;
    starts |= (w.white & ~(w.white << 1)) | to_first(last_white, w.inner);
    return contractions(starts, m->quote & known, text, w.n, false);
}

/* Pieces of numbers: every `most` characters from where a run begins. */
static uint64_t number_starts(const struct window *w, int most)
{
    uint64_t first = w->number & ~(w->number << 1), all = first;
    int count = 0;

    if (most == 1)
        return w->number & ~w->inner;
    if (!(w->number & w->inner)) {
        uint64_t inside = w->number & w->number << 1 & w->number << 2; /* two before are numbers, too */

        for (first = first << 3 & inside; first; first = first << 3 & inside)
            all |= first;
        return all;
    }
    for (uint64_t chars = w->number & ~w->inner; chars; chars &= chars - 1) {
        uint64_t bit = chars & -chars;

        count = bit & first ? 0 : (count + 1) % most;
        all |= count ? 0 : bit;
    }
    return all;
}

/* White space without the newlines that belong to punctuation before them: \s*[\r\n]+ ends behind the last
 * newline of a run, \s+(?!\S) before its last character. */
static uint64_t white_starts(const struct window *w, uint64_t white, uint64_t newline)
{
    uint64_t blank = white & ~newline, known = first_bits(w->n);
    uint64_t behind = blank & newline << 1; /* a newline: of those in a run only the last counts */
    uint64_t last = blank & ~(white >> 1) & (known >> 1);

    if ((blank + behind) & newline)
        for (uint64_t b = behind; b; b &= b - 1) {
            uint64_t bit = b & -b;

            if ((blank + bit) & ~blank & newline)
                behind &= ~bit;
        }
    return (white & ~(white << 1)) | behind | to_first(last, w->inner);
}

/* Without those in a run of white space that goes on behind the window, perhaps to another newline. */
static uint64_t before_white(const struct window *w, uint64_t white, uint64_t starts)
{
    uint64_t before = first_bits(w->n) & ~white;

    if (!w->n || !(white >> (w->n - 1) & 1))
        return starts;
    return starts & (before ? first_bits(65 - __builtin_clzll(before)) : 1);
}

static inline uint64_t starts_llama3(const struct pretok *p, const struct masks *m, const char *text, int valid_n)
{
    struct window w = classes(p, m, text, valid_n, false);
    uint64_t known = first_bits(w.n), newline = m->newline & known, space = m->space & known;
    uint64_t taken = newline & ~(newline + (newline & w.other << 1)); /* by punctuation before them */
    uint64_t white = w.white & ~taken, blank = white & ~newline;
    uint64_t other = w.other & ~(w.other << 1) & ~(space << 1), single = other, starts;

    for (int i = 0; i < 3 && w.inner; i++)
        single |= single << 1 & w.inner; /* all bytes of the first character */
    starts = w.letter & ~(w.letter << 1) & ~(blank << 1) & ~(single << 1);
    starts |= other | number_starts(&w, p->known->digits) | white_starts(&w, white, newline & ~taken);
    starts = contractions(starts, m->quote & other, text, w.n, true);
    return before_white(&w, white, starts);
}

/* Where a run of letters begins another piece, U*W+ or U+W*: U are upper-case letters and those without case, W lower-case
 * and those without.  At an upper-case letter whose last letter with a case before it is lower-case; and, as a word takes
 * all up to the last letter that is in W, at those upper-case letters that end the run, if one without case is before. */
static uint64_t case_starts(const struct window *w, uint64_t starts)
{
    uint64_t both = w->letter & ~(w->upper | w->lower), low = w->lower << 1;
    uint64_t behind = (both + (low & both)) & ~both; /* a run of both that is behind a lower-case letter */

    starts |= w->upper & (low | behind);
    for (uint64_t begin = w->upper & both << 1; begin; begin &= begin - 1) {
        int at = __builtin_ctzll(begin), end = at + __builtin_ctzll(~(w->upper >> at));

        if (end >= w->n)
            return starts & first_bits(at);
        starts |= w->letter >> end & 1 ? 0 : begin & -begin;
    }
    return starts;
}

/* A word takes the contraction behind it. */
static uint64_t word_contractions(const struct window *w, uint64_t starts, uint64_t quotes, const char *text)
{
    uint64_t both = w->letter & ~(w->upper | w->lower);
    int end = 0;

    for (quotes &= w->letter << 1 & first_bits(w->n); quotes; quotes &= quotes - 1) {
        int at = __builtin_ctzll(quotes), len;

        if (at == end)
            continue; /* behind one: it begins a word */
        if (at + 3 > w->n)
            return starts & first_bits(at);
        len = contraction(text + at, true);
        if (!len)
            continue;
        end = at + len;
        starts &= ~(first_bits(len) << at);
        if (end < 64)
            starts |= (uint64_t)1 << end;
        if (end < 64 && both >> end & 1) /* case_starts() took the contraction's letters for the word's */
            return starts & first_bits(end + 1);
    }
    return starts;
}

/* What punctuation takes behind it: a run of the tail's characters from its first newline that other characters are before
 * (slashes are both). */
static uint64_t tails(uint64_t tail, uint64_t newline, uint64_t other)
{
    uint64_t begin = newline & other << 1, taken = 0;

    while (begin) {
        uint64_t first = begin & -begin;

        taken |= tail & ~(tail + first) & ~(first - 1);
        begin &= ~taken;
    }
    return taken;
}

static inline uint64_t starts_cased(const struct pretok *p, const struct masks *m, const char *text, int valid_n)
{
    const struct pretok_known *k = p->known;
    struct window w = classes(p, m, text, valid_n, true);
    uint64_t known = first_bits(w.n), newline = m->newline & known, space = m->space & known;
    uint64_t tail = newline | (k->slash ? m->slash & known : 0);
    uint64_t taken = tails(tail, newline, w.other);
    uint64_t white = w.white & ~taken, blank = white & ~newline, others = w.other & ~taken;
    uint64_t other = others & ~(others << 1) & ~(space << 1), single = other, starts;

    for (int i = 0; i < 3 && w.inner; i++)
        single |= single << 1 & w.inner; /* all bytes of the first character */
    starts = w.letter & ~(w.letter << 1) & ~(blank << 1) & ~(single << 1);
    starts |= other | (w.han & ~(w.han << 1)) | number_starts(&w, k->digits) | white_starts(&w, white, newline & ~taken);
    starts = case_starts(&w, starts);
    if (k->contracts)
        starts = word_contractions(&w, starts, m->quote, text);
    return before_white(&w, white, starts);
}

/* at + the place of each bit of `starts` but the lowest into end[]; how many; up to 64 may be written. */
static inline size_t put_ends(uint64_t starts, size_t at, size_t *end)
{
    size_t n;

    starts &= ~(uint64_t)1;
    n = (size_t)__builtin_popcountll(starts);
    for (size_t k = 0; k < n; k += 8)
        for (int i = 0; i < 8; i++, starts &= starts - 1)
            end[k + i] = at + (size_t)__builtin_ctzll(starts | (uint64_t)1 << 63);
    return n;
}

typedef void classify_fn(const char text[64], struct masks *m);
typedef size_t put_fn(uint64_t starts, size_t at, size_t *end);

/* pretok_ends() of a known pattern; into the function of each tier. */
__attribute__((always_inline)) static inline size_t ends(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end,
                                                         size_t max, classify_fn *classify, put_fn *put)
{
    const enum pretok_kind kind = p->known->kind;
    size_t k = 0;

    while (at < n && k + PRETOK_WINDOW <= max) {
        int valid_n = n - at < 64 ? (int)(n - at) : 64;
        const char *window = text + at;
        struct masks m;
        char tail[64];
        uint64_t starts;
        size_t found;

        if (valid_n < 64) {
            memset(tail, 0, sizeof tail);
            window = memcpy(tail, window, (size_t)valid_n);
        }
        classify(window, &m);
        starts = kind == PRETOK_GPT2 ? starts_gpt2(p, &m, window, valid_n)
                 : kind == PRETOK_LLAMA3 ? starts_llama3(p, &m, window, valid_n)
                                         : starts_cased(p, &m, window, valid_n);
        found = put(starts, at, end + k);
        if (!found) /* nothing is sure within the window */
            end[k + found++] = p->known->next(p, text, n, at);
        k += found;
        at = end[k - 1];
    }
    return k;
}

size_t pretok_ends_portable(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max)
{
    return ends(p, text, n, at, end, max, classify_portable, put_ends);
}

#if defined(__x86_64__)
__attribute__((target("avx2,bmi,bmi2,popcnt"))) size_t pretok_ends_avx2(const struct pretok *p, const char *text, size_t n,
                                                                        size_t at, size_t *end, size_t max)
{
    return ends(p, text, n, at, end, max, classify_avx2, put_ends);
}

#define AVX512 __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi2")))

/* The places of the bits as bytes, then eight of them at a time. */
AVX512 static inline size_t put_ends_avx512(uint64_t starts, size_t at, size_t *end)
{
    static const uint8_t count[64] = {
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
        32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    };
    uint8_t place[64];
    size_t n;

    starts &= ~(uint64_t)1;
    n = (size_t)__builtin_popcountll(starts);
    _mm512_storeu_si512(place, _mm512_maskz_compress_epi8(starts, _mm512_loadu_si512(count)));
    for (size_t k = 0; k < n; k += 8) {
        __m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)(place + k));

        _mm512_storeu_si512(end + k, _mm512_add_epi64(_mm512_cvtepu8_epi64(eight), _mm512_set1_epi64((long long)at)));
    }
    return n;
}

AVX512 size_t pretok_ends_avx512(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max)
{
    return ends(p, text, n, at, end, max, classify_avx512, put_ends_avx512);
}
#endif
