/* template_case.c - upper, lower and title case, by simple folding and the mappings that are longer than one. */
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/template/template_in.h"
#include "libcommon/text/unicode.h"

enum { UP, DOWN };

/* What folding does not give: capitals of more than one letter (Unicode's SpecialCasing), and those that have none of
 * their own kind. */
static const struct special {
    uint32_t cp, to[3];
} upper[] = {
    { 0xdf, { 0x53, 0x53 } }, { 0x131, { 0x49 } }, { 0x149, { 0x2bc, 0x4e } }, { 0x19b, { 0x19b } },
    { 0x1f0, { 0x4a, 0x30c } }, { 0x264, { 0x264 } }, { 0x390, { 0x399, 0x308, 0x301 } },
    { 0x3b0, { 0x3a5, 0x308, 0x301 } }, { 0x587, { 0x535, 0x552 } }, { 0x1e96, { 0x48, 0x331 } },
    { 0x1e97, { 0x54, 0x308 } }, { 0x1e98, { 0x57, 0x30a } }, { 0x1e99, { 0x59, 0x30a } },
    { 0x1e9a, { 0x41, 0x2be } }, { 0x1f50, { 0x3a5, 0x313 } }, { 0x1f52, { 0x3a5, 0x313, 0x300 } },
    { 0x1f54, { 0x3a5, 0x313, 0x301 } }, { 0x1f56, { 0x3a5, 0x313, 0x342 } }, { 0x1f80, { 0x1f08, 0x399 } },
    { 0x1f81, { 0x1f09, 0x399 } }, { 0x1f82, { 0x1f0a, 0x399 } }, { 0x1f83, { 0x1f0b, 0x399 } },
    { 0x1f84, { 0x1f0c, 0x399 } }, { 0x1f85, { 0x1f0d, 0x399 } }, { 0x1f86, { 0x1f0e, 0x399 } },
    { 0x1f87, { 0x1f0f, 0x399 } }, { 0x1f88, { 0x1f08, 0x399 } }, { 0x1f89, { 0x1f09, 0x399 } },
    { 0x1f8a, { 0x1f0a, 0x399 } }, { 0x1f8b, { 0x1f0b, 0x399 } }, { 0x1f8c, { 0x1f0c, 0x399 } },
    { 0x1f8d, { 0x1f0d, 0x399 } }, { 0x1f8e, { 0x1f0e, 0x399 } }, { 0x1f8f, { 0x1f0f, 0x399 } },
    { 0x1f90, { 0x1f28, 0x399 } }, { 0x1f91, { 0x1f29, 0x399 } }, { 0x1f92, { 0x1f2a, 0x399 } },
    { 0x1f93, { 0x1f2b, 0x399 } }, { 0x1f94, { 0x1f2c, 0x399 } }, { 0x1f95, { 0x1f2d, 0x399 } },
    { 0x1f96, { 0x1f2e, 0x399 } }, { 0x1f97, { 0x1f2f, 0x399 } }, { 0x1f98, { 0x1f28, 0x399 } },
    { 0x1f99, { 0x1f29, 0x399 } }, { 0x1f9a, { 0x1f2a, 0x399 } }, { 0x1f9b, { 0x1f2b, 0x399 } },
    { 0x1f9c, { 0x1f2c, 0x399 } }, { 0x1f9d, { 0x1f2d, 0x399 } }, { 0x1f9e, { 0x1f2e, 0x399 } },
    { 0x1f9f, { 0x1f2f, 0x399 } }, { 0x1fa0, { 0x1f68, 0x399 } }, { 0x1fa1, { 0x1f69, 0x399 } },
    { 0x1fa2, { 0x1f6a, 0x399 } }, { 0x1fa3, { 0x1f6b, 0x399 } }, { 0x1fa4, { 0x1f6c, 0x399 } },
    { 0x1fa5, { 0x1f6d, 0x399 } }, { 0x1fa6, { 0x1f6e, 0x399 } }, { 0x1fa7, { 0x1f6f, 0x399 } },
    { 0x1fa8, { 0x1f68, 0x399 } }, { 0x1fa9, { 0x1f69, 0x399 } }, { 0x1faa, { 0x1f6a, 0x399 } },
    { 0x1fab, { 0x1f6b, 0x399 } }, { 0x1fac, { 0x1f6c, 0x399 } }, { 0x1fad, { 0x1f6d, 0x399 } },
    { 0x1fae, { 0x1f6e, 0x399 } }, { 0x1faf, { 0x1f6f, 0x399 } }, { 0x1fb2, { 0x1fba, 0x399 } },
    { 0x1fb3, { 0x391, 0x399 } }, { 0x1fb4, { 0x386, 0x399 } }, { 0x1fb6, { 0x391, 0x342 } },
    { 0x1fb7, { 0x391, 0x342, 0x399 } }, { 0x1fbc, { 0x391, 0x399 } }, { 0x1fc2, { 0x1fca, 0x399 } },
    { 0x1fc3, { 0x397, 0x399 } }, { 0x1fc4, { 0x389, 0x399 } }, { 0x1fc6, { 0x397, 0x342 } },
    { 0x1fc7, { 0x397, 0x342, 0x399 } }, { 0x1fcc, { 0x397, 0x399 } }, { 0x1fd2, { 0x399, 0x308, 0x300 } },
    { 0x1fd3, { 0x399, 0x308, 0x301 } }, { 0x1fd6, { 0x399, 0x342 } }, { 0x1fd7, { 0x399, 0x308, 0x342 } },
    { 0x1fe2, { 0x3a5, 0x308, 0x300 } }, { 0x1fe3, { 0x3a5, 0x308, 0x301 } }, { 0x1fe4, { 0x3a1, 0x313 } },
    { 0x1fe6, { 0x3a5, 0x342 } }, { 0x1fe7, { 0x3a5, 0x308, 0x342 } }, { 0x1ff2, { 0x1ffa, 0x399 } },
    { 0x1ff3, { 0x3a9, 0x399 } }, { 0x1ff4, { 0x38f, 0x399 } }, { 0x1ff6, { 0x3a9, 0x342 } },
    { 0x1ff7, { 0x3a9, 0x342, 0x399 } }, { 0x1ffc, { 0x3a9, 0x399 } }, { 0xfb00, { 0x46, 0x46 } },
    { 0xfb01, { 0x46, 0x49 } }, { 0xfb02, { 0x46, 0x4c } }, { 0xfb03, { 0x46, 0x46, 0x49 } },
    { 0xfb04, { 0x46, 0x46, 0x4c } }, { 0xfb05, { 0x53, 0x54 } }, { 0xfb06, { 0x53, 0x54 } },
    { 0xfb13, { 0x544, 0x546 } }, { 0xfb14, { 0x544, 0x535 } }, { 0xfb15, { 0x544, 0x53b } },
    { 0xfb16, { 0x54e, 0x546 } }, { 0xfb17, { 0x544, 0x53d } },
};

static const struct special lower[] = {
    { 0x130, { 0x69, 0x307 } }, { 0x39c, { 0x3bc } }, { 0x3a3, { 0x3c3 } }, { 0xa64a, { 0xa64b } },
};

/* The lowest code point of the class that differs from cp in case only; cp where there is none. */
static uint32_t fold_to(uint32_t cp, enum unicode_category want)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t c = unicode_fold(cp); c != cp; c = unicode_fold(c))
        if (unicode_category(c) == want && c < best)
            best = c;
    return best == UINT32_MAX ? cp : best;
}

/* Numbers and symbols with case (Roman numerals, circled letters): capitals come first. */
static uint32_t fold_symbol(uint32_t cp, int to)
{
    uint32_t other = unicode_fold(cp);

    return unicode_category(cp) < UNICODE_NUMBER || (to == UP) == (cp < other) ? cp : other;
}

static uint32_t map(uint32_t cp, int to)
{
    enum unicode_category c = unicode_category(cp);

    if (to == UP)
        return c == UNICODE_LL || c == UNICODE_LT || c == UNICODE_MARK || c == UNICODE_LM ? fold_to(cp, UNICODE_LU) : fold_symbol(cp, UP);
    return c == UNICODE_LU || c == UNICODE_LT ? fold_to(cp, UNICODE_LL) : fold_symbol(cp, DOWN);
}

static bool cased(uint32_t cp)
{
    enum unicode_category c = unicode_category(cp);

    return c == UNICODE_LU || c == UNICODE_LL || c == UNICODE_LT;
}

static void put(struct template_run *r, uint32_t cp)
{
    char s[4];

    template_put(r, s, (size_t)utf8_encode(cp, s));
}

static const struct special *special(const struct special *v, size_t n, uint32_t cp)
{
    size_t low = 0;

    while (n > low) {
        size_t mid = low + (n - low) / 2;

        if (v[mid].cp < cp)
            low = mid + 1;
        else
            n = mid;
    }
    return v + low;
}

/* In upper or lower case; title: of several letters only the first is a capital. */
static void put_mapped(struct template_run *r, uint32_t cp, int to, bool title)
{
    const struct special *table = to == UP ? upper : lower;
    size_t n = to == UP ? sizeof upper / sizeof *upper : sizeof lower / sizeof *lower;
    const struct special *s = special(table, n, cp);

    if (s == table + n || s->cp != cp) {
        put(r, map(cp, to));
        return;
    }
    put(r, s->to[0]);
    for (int i = 1; i < 3 && s->to[i]; i++)
        put(r, title ? map(s->to[i], DOWN) : s->to[i]);
}

/* The sigma at p ends a word: a letter in front, none behind. */
static bool final_sigma(const char *start, const char *p, const char *end)
{
    const char *before = p;
    uint32_t cp;

    if (p == start)
        return false;
    do
        before--;
    while (before > start && (*before & 0xc0) == 0x80);
    utf8_decode(before, (size_t)(p - before), &cp);
    return cased(cp) && (!utf8_decode(p + 2, (size_t)(end - p - 2), &cp) || !cased(cp));
}

static bool breaks_word(uint32_t cp)
{
    return template_space(cp) || (cp < 128 && cp && strchr("-({[<", (int)cp));
}

int template_case(struct template_run *r, const struct value *v, enum template_case how, struct value *out)
{
    const char *p = v->u.s, *end = p + v->n;
    size_t mark = template_mark(r);
    bool start = true;

    while (p < end) {
        uint32_t cp = 0;
        int n = utf8_decode(p, (size_t)(end - p), &cp), to = how == TEMPLATE_UPPER ? UP : DOWN;

        if (how == TEMPLATE_SWAP)
            to = map(cp, DOWN) == cp && unicode_category(cp) != UNICODE_LU ? UP : DOWN;
        else if (how != TEMPLATE_UPPER && how != TEMPLATE_LOWER && start)
            to = UP;
        if (to == DOWN && cp == 0x3a3 && final_sigma(v->u.s, p, end))
            put(r, 0x3c2);
        else
            put_mapped(r, cp, to, how == TEMPLATE_CAPITAL || how == TEMPLATE_WORDS);
        start = how == TEMPLATE_TITLE ? breaks_word(cp) : how == TEMPLATE_WORDS && !cased(cp);
        p += n;
    }
    return template_take(r, mark, out);
}

bool template_has_case(const struct value *v, enum template_case how)
{
    const char *p = v->u.s, *end = p + v->n;
    bool any = false;

    while (p < end) {
        uint32_t cp = 0;

        p += utf8_decode(p, (size_t)(end - p), &cp);
        if (unicode_category(cp) == (how == TEMPLATE_LOWER ? UNICODE_LU : UNICODE_LL) || unicode_category(cp) == UNICODE_LT)
            return false;
        any = any || cased(cp);
    }
    return any;
}
