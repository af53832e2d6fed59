#include "libcommon/tokenizer/pretok.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/pretok_in.h"
#include "libcommon/text/regex.h"
#include "libcommon/text/unicode.h"

enum pretok_class pretok_class(const struct pretok *p, const char *text, int *len)
{
    const uint8_t *s = (const uint8_t *)text;
    uint32_t cp = s[0];

    if (cp < 0x80) {
        *len = 1;
    } else if (cp < 0xe0) {
        *len = 2;
        cp = (cp & 0x1f) << 6 | (s[1] & 0x3f);
    } else if (cp < 0xf0) {
        *len = 3;
        cp = (cp & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    } else {
        *len = 4;
        cp = (cp & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
    }
    return p->class[p->page[cp >> 8] << 8 | (cp & 255)];
}

#define SET(class) (1u << (class))

/* Past the characters of those classes from `at` on, `most` of them at most (0: all). */
static size_t run_of(const struct pretok *p, const char *text, size_t n, size_t at, unsigned set, int most)
{
    int len;

    for (int count = 0; at < n && (!most || count < most); count++) {
        if (!(set >> pretok_class(p, text + at, &len) & 1))
            break;
        at += (size_t)len;
    }
    return at;
}

static size_t run(const struct pretok *p, const char *text, size_t n, size_t at, enum pretok_class class, int most)
{
    return run_of(p, text, n, at, SET(class), most);
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Past the contraction whose quote stands at `at`, or 0. */
static size_t contraction(const char *text, size_t n, size_t at, bool fold)
{
    char a, b = 0;

    if (text[at] != '\'' || n - at < 2)
        return 0;
    a = fold ? lower(text[at + 1]) : text[at + 1];
    if (memchr("stmd", a, 4))
        return at + 2;
    if (n - at < 3)
        return 0;
    b = fold ? lower(text[at + 2]) : text[at + 2];
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return at + 3;
    return fold && memcmp(text + at + 1, "\xc5\xbf", 2) == 0 ? at + 3 : 0; /* U+017F folds to s */
}

/* \s+(?!\S)|\s+ on the white space [at, end). */
static size_t white(const char *text, size_t n, size_t at, size_t end)
{
    size_t last = end;

    if (end == n)
        return end;
    do
        last--;
    while (((uint8_t)text[last] & 0xc0) == 0x80);
    return last > at ? last : end;
}

static size_t next_gpt2(const struct pretok *p, const char *text, size_t n, size_t at)
{
    size_t end = contraction(text, n, at, false), from = at;
    enum pretok_class class;
    int len;

    if (end)
        return end;
    class = pretok_class(p, text + at, &len);
    if (text[at] == ' ' && at + 1 < n)
        class = pretok_class(p, text + ++from, &len);
    if (class != PRETOK_SPACE)
        return run(p, text, n, from, class, 0);
    return white(text, n, at, run(p, text, n, from, class, 0));
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ at `at`, where white space is. */
static size_t newline_white(const struct pretok *p, const char *text, size_t n, size_t at)
{
    size_t end = run(p, text, n, at, PRETOK_SPACE, 0), newline = end;

    while (newline > at && !is_newline(text[newline - 1]))
        newline--;
    return newline > at ? newline : white(text, n, at, end);
}

static size_t next_llama3(const struct pretok *p, const char *text, size_t n, size_t at)
{
    size_t end = contraction(text, n, at, true), behind;
    enum pretok_class class, next = PRETOK_SPACE;
    int len, next_len;

    if (end)
        return end;
    class = pretok_class(p, text + at, &len);
    if (class == PRETOK_LETTER || class == PRETOK_NUMBER)
        return run(p, text, n, at, class, class == PRETOK_NUMBER ? p->known->digits : 0);
    behind = at + (size_t)len;
    if (behind < n)
        next = pretok_class(p, text + behind, &next_len);
    if (next == PRETOK_LETTER && !is_newline(text[at]))
        return run(p, text, n, behind, next, 0);
    if (class == PRETOK_OTHER || (text[at] == ' ' && next == PRETOK_OTHER)) {
        end = run(p, text, n, class == PRETOK_OTHER ? at : behind, PRETOK_OTHER, 0);
        while (end < n && is_newline(text[end]))
            end++;
        return end;
    }
    return newline_white(p, text, n, at);
}

/* Behind U*W+ at `at`, or 0: U upper-case letters, W lower-case ones, both: those without case, and marks.  Behind U* into
 * *upper. */
static size_t cased_word(const struct pretok *p, const char *text, size_t n, size_t at, size_t *upper)
{
    const unsigned both = SET(PRETOK_LETTER) | SET(PRETOK_MARK);
    size_t last = 0;
    int len;

    for (; at < n; at += (size_t)len) {
        enum pretok_class class = pretok_class(p, text + at, &len);

        if (class == PRETOK_LOWER)
            return run_of(p, text, n, at, both | SET(PRETOK_LOWER), 0);
        if (class != PRETOK_UPPER && !(both >> class & 1))
            break;
        if (class != PRETOK_UPPER)
            last = at + (size_t)len;
    }
    *upper = at;
    return last;
}

static size_t cased_short(const struct pretok *p, const char *text, size_t n, size_t end)
{
    size_t behind = p->known->contracts && end < n ? contraction(text, n, end, true) : 0;

    return behind ? behind : end;
}

static size_t next_cased(const struct pretok *p, const char *text, size_t n, size_t at)
{
    const unsigned han = SET(PRETOK_HAN) | SET(PRETOK_HAN_NUMBER) | SET(PRETOK_HAN_OTHER);
    const unsigned letters = SET(PRETOK_LETTER) | SET(PRETOK_MARK) | SET(PRETOK_UPPER) | SET(PRETOK_LOWER);
    const unsigned others = SET(PRETOK_OTHER) | SET(PRETOK_MARK) | SET(PRETOK_HAN_OTHER);
    int len, next_len;
    enum pretok_class class = pretok_class(p, text + at, &len), next = PRETOK_SPACE;
    size_t behind = at + (size_t)len, end = 0, upper = behind, own = at;

    if (class == PRETOK_NUMBER)
        return run_of(p, text, n, at, SET(class) | SET(PRETOK_HAN_NUMBER), p->known->digits);
    if (han >> class & 1)
        return run_of(p, text, n, at, han, 0);
    if (((others | SET(PRETOK_SPACE)) >> class & 1) && !is_newline(text[at]))
        end = cased_word(p, text, n, behind, &upper);
    if (!end && (letters >> class & 1))
        end = cased_word(p, text, n, at, &own);
    if (!end && upper > behind)
        end = upper;
    if (!end && own > at)
        end = own;
    if (end)
        return cased_short(p, text, n, end);
    if (text[at] == ' ' && behind < n)
        next = pretok_class(p, text + behind, &next_len);
    if (class == PRETOK_SPACE && !(others >> next & 1))
        return newline_white(p, text, n, at);
    end = run_of(p, text, n, behind, others, 0);
    while (end < n && (is_newline(text[end]) || (p->known->slash && text[end] == '/')))
        end++;
    return end;
}

#define WHITE "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LLAMA3(digits) SHORT "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" WHITE
#define CASED(upper, lower, short, digits, tail) \
    "[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" short "|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower "*" short "|" digits \
    "| ?[^\\s\\p{L}\\p{N}]+" tail "*|" WHITE
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define UPPER_NOT_HAN "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define LOWER_NOT_HAN "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"

static const struct pretok_known known[] = {
    { .name = "gpt2", .other_name = "r50k_base",
      .pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      .next = next_gpt2, .kind = PRETOK_GPT2 },
    { .name = "llama3", .other_name = "cl100k_base", .pattern = LLAMA3("\\p{N}{1,3}"),
      .next = next_llama3, .kind = PRETOK_LLAMA3, .digits = 3 },
    { .name = "qwen2", .pattern = LLAMA3("\\p{N}"), .next = next_llama3, .kind = PRETOK_LLAMA3, .digits = 1 },
    { .name = "o200k", .other_name = "o200k_base", .pattern = CASED(UPPER, LOWER, SHORT "?", "\\p{N}{1,3}", "[\\r\\n/]"),
      .next = next_cased, .kind = PRETOK_CASED, .digits = 3, .cased = true, .contracts = true, .slash = true },
    { .name = "tekken", .pattern = CASED(UPPER, LOWER, "", "\\p{N}", "[\\r\\n/]"),
      .next = next_cased, .kind = PRETOK_CASED, .digits = 1, .cased = true, .slash = true },
    { .name = "kimi", .other_name = "kimi-k2",
      .pattern = "[\\p{Han}]+|" CASED(UPPER_NOT_HAN, LOWER_NOT_HAN, SHORT "?", "\\p{N}{1,3}", "[\\r\\n]"),
      .next = next_cased, .kind = PRETOK_CASED, .digits = 3, .cased = true, .han = true, .contracts = true },
};

/* Is it that expression?  A carriage return or newline in it may stand for its escape. */
static bool same_pattern(const char *known_one, const char *pattern, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_newline(pattern[i])) {
            if (known_one[0] != '\\' || known_one[1] != (pattern[i] == '\n' ? 'n' : 'r'))
                return false;
            known_one += 2;
        } else if (!pattern[i] || *known_one++ != pattern[i]) {
            return false;
        }
    return !*known_one;
}

static const struct pretok_known *find(const char *pattern, size_t n)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *names[] = { known[i].name, known[i].other_name, known[i].pattern };

        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (names[k] && same_pattern(names[k], pattern, n))
                return &known[i];
    }
    return NULL;
}

const char *pretok_expression(const char *name)
{
    const struct pretok_known *k = find(name, strlen(name));

    return k ? k->pattern : NULL;
}

bool pretok_is_known(const char *pattern, size_t n)
{
    return find(pattern, n) != NULL;
}

/* The class of a code point by its record. */
static uint8_t class_of(const struct pretok_known *k, unsigned record)
{
    static const uint8_t classes[2][UNICODE_GENERAL + 1] = {
        { [UNICODE_GC_LU] = PRETOK_LETTER, [UNICODE_GC_LL] = PRETOK_LETTER, [UNICODE_GC_LT] = PRETOK_LETTER,
          [UNICODE_GC_LM] = PRETOK_LETTER, [UNICODE_GC_LO] = PRETOK_LETTER, [UNICODE_ND] = PRETOK_NUMBER,
          [UNICODE_NL] = PRETOK_NUMBER, [UNICODE_NO] = PRETOK_NUMBER },
        { [UNICODE_GC_LU] = PRETOK_UPPER, [UNICODE_GC_LL] = PRETOK_LOWER, [UNICODE_GC_LT] = PRETOK_UPPER,
          [UNICODE_GC_LM] = PRETOK_LETTER, [UNICODE_GC_LO] = PRETOK_LETTER, [UNICODE_ND] = PRETOK_NUMBER,
          [UNICODE_NL] = PRETOK_NUMBER, [UNICODE_NO] = PRETOK_NUMBER, [UNICODE_MN] = PRETOK_MARK,
          [UNICODE_MC] = PRETOK_MARK, [UNICODE_ME] = PRETOK_MARK },
    };

    return record & UNICODE_SPACE ? PRETOK_SPACE : classes[k->cased][record & UNICODE_GENERAL];
}

/* The page of 256 code points from `first` on, those of Han told apart. */
static void make_page(const struct pretok *p, uint32_t first, const uint32_t (*han)[2], size_t n_han, uint8_t page[256])
{
    static const uint8_t of_han[] = { [PRETOK_OTHER] = PRETOK_HAN_OTHER, [PRETOK_LETTER] = PRETOK_HAN,
                                      [PRETOK_NUMBER] = PRETOK_HAN_NUMBER, [PRETOK_MARK] = PRETOK_HAN_OTHER };

    for (uint32_t i = 0; i < 256; i++)
        page[i] = class_of(p->known, unicode_record(first + i));
    for (size_t k = 0; k < n_han; k++)
        for (uint32_t i = 0; i < 256 && han[k][0] < first + 256 && han[k][1] >= first; i++)
            if (first + i >= han[k][0] && first + i <= han[k][1])
                page[i] = of_han[page[i]];
}

/* Two-stage table of classes; equal pages are kept once. */
static void make_classes(struct pretok *p)
{
    uint16_t same[256] = { 0 }; /* 1 + the first block of 1024 code points with that top index */
    uint8_t page[256];
    size_t pages = 0, k, n_han = 0;
    uint32_t (*han)[2] = p->known->han ? unicode_ranges("Han", 3, &n_han) : NULL;

    p->class = xmalloc((size_t)256 * 256);
    for (uint32_t first = 0; first < UNICODE_END; first += 256) {
        uint16_t *block = &same[unicode_top[first >> 10]];

        if (!han && *block && *block != (first >> 10) + 1) {
            p->page[first / 256] = p->page[(*block - 1) * 4 + (first >> 8 & 3)];
            continue;
        }
        *block = (uint16_t)((first >> 10) + 1);
        make_page(p, first, (const uint32_t (*)[2])han, n_han, page);
        for (k = 0; k < pages && memcmp(p->class + k * 256, page, 256) != 0; k++)
            ;
        if (k == pages)
            memcpy(p->class + 256 * pages++, page, 256);
        p->page[first / 256] = (uint8_t)k;
    }
    free(han);
}

struct pretok *pretok_open(const char *pattern, size_t n, struct err *err)
{
    struct pretok *p = xcalloc(1, sizeof *p);

    p->known = find(pattern, n);
    if (!p->known) {
        p->pattern = memcpy(xcalloc(n + 1, 1), pattern, n);
        p->regex = regex_new(pattern, n, err);
        if (p->regex)
            return p;
        pretok_free(p);
        return NULL;
    }
    p->pattern = xstrdup(p->known->pattern);
    make_classes(p);
    p->ideograph = p->class[p->page[0x4e] << 8];
    p->ends = pretok_ends_portable;
#if defined(__x86_64__)
    if (cpu_tier() >= CPU_AVX512)
        p->ends = pretok_ends_avx512;
    else if (cpu_tier() >= CPU_AVX2)
        p->ends = pretok_ends_avx2;
#endif
    return p;
}

void pretok_free(struct pretok *p)
{
    if (!p)
        return;
    regex_free(p->regex);
    free(p->pattern);
    free(p->class);
    free(p);
}

const char *pretok_name(const struct pretok *p)
{
    return p->known ? p->known->name : NULL;
}

const char *pretok_pattern(const struct pretok *p)
{
    return p->pattern;
}

/* To the next match, or over it where it stands at `at`; an empty match cuts, but not where a piece begins. */
static size_t next_regex(const struct pretok *p, const char *text, size_t n, size_t at, struct err *err)
{
    size_t begin, end, from = at + 1;
    int rc = regex_search(p->regex, text, n, at, &begin, &end, err);

    if (rc == 1 && end == at) {
        while (from < n && ((uint8_t)text[from] & 0xc0) == 0x80)
            from++;
        rc = from < n ? regex_search(p->regex, text, n, from, &begin, &end, err) : 0;
    }
    if (rc <= 0)
        return rc < 0 ? PRETOK_ERROR : n;
    return begin > at ? begin : end;
}

size_t pretok_next(const struct pretok *p, const char *text, size_t n, size_t at, struct err *err)
{
    return p->known ? p->known->next(p, text, n, at) : next_regex(p, text, n, at, err);
}

size_t pretok_ends(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max,
                   struct err *err)
{
    size_t k = 0;

    if (p->known)
        return p->ends(p, text, n, at, end, max);
    for (; at < n && k < max; at = end[k++]) {
        end[k] = next_regex(p, text, n, at, err);
        if (end[k] == PRETOK_ERROR)
            return PRETOK_ERROR;
    }
    return k;
}
