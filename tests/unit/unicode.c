/* Properties of every code point, against the tables that HF tokenizers' regular expressions gave; case. */
#include "libcommon/text/unicode.h"

#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static uint8_t in[UNICODE_END];

/* Mark the members of a file of ranges, "0041..005A" or "00AA" a line; how many. */
static long load(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[64];
    long n = 0;

    memset(in, 0, sizeof in);
    while (f && fgets(line, sizeof line, f)) {
        char *dots = strstr(line, "..");
        unsigned long a = strtoul(line, NULL, 16), b = dots ? strtoul(dots + 2, NULL, 16) : a;

        for (; a <= b && b < UNICODE_END; a++, n++)
            in[a] = 1;
    }
    if (f)
        fclose(f);
    return n;
}

/* Code points of which a property by ranges differs from what is marked; they must be ascending and apart. */
static long ranges_differ(const char *name)
{
    size_t n;
    uint32_t(*r)[2] = unicode_ranges(name, strlen(name), &n), at = 0;
    long bad = r ? 0 : -1;

    for (size_t i = 0; i < n; i++) {
        bad += i && r[i][0] <= r[i - 1][1] + 1;
        for (; at < r[i][0]; at++)
            bad += in[at];
        for (; at <= r[i][1]; at++)
            bad += !in[at];
    }
    for (; at < UNICODE_END; at++)
        bad += in[at];
    free(r);
    return bad;
}

static bool is_category(uint32_t cp, const char *file)
{
    static const char *const names[] = { "C", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "P", "S", "Z" };

    if (!strcmp(file, "s"))
        return unicode_space(cp);
    if (!strcmp(file, "L"))
        return unicode_letter(cp);
    if (!strcmp(file, "N") && !unicode_number(cp))
        return false;
    return !strcmp(names[unicode_category(cp)], file);
}

static void test_reference(void)
{
    static const struct {
        const char *file, *name;
        bool category;
    } t[] = {
        { "C", "C", true },   { "L", "L", true },   { "M", "Mark", true }, { "N", "N", true },   { "P", "punct", true },
        { "S", "S", true },   { "Z", "Z", true },   { "Lu", "Lu", true },  { "Ll", "Lowercase_Letter", true },
        { "Lt", "Lt", true }, { "Lm", "Lm", true }, { "Lo", "lo", true },  { "s", "White_Space", true },
        { "d", "Nd", false }, { "Han", "Han", false },
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char path[128];
        const char *p;
        long bad = 0;

        snprintf(path, sizeof path, "data/tokenizers/unicode/hf-tokenizers-0.23.2-onig.%s.txt", t[i].file);
        p = tap_shared(path);
        if (!p) {
            SKIP(t[i].file, "../shared is absent");
            continue;
        }
        OK(load(p) > 0);
        /* the file knows scalar values only */
        if (!strcmp(t[i].file, "C"))
            memset(in + 0xd800, 1, 0x800);
        for (uint32_t cp = 0; t[i].category && cp < UNICODE_END; cp++)
            bad += in[cp] != is_category(cp, t[i].file);
        OKF(!bad, "%s: %ld code points differ", t[i].file, bad);
        bad = ranges_differ(t[i].name);
        OKF(!bad, "%s: %ld code points differ in ranges", t[i].name, bad);
    }
}

static long count(const char *name)
{
    size_t n;
    uint32_t(*r)[2] = unicode_ranges(name, strlen(name), &n);
    long all = r ? 0 : -1;

    for (size_t i = 0; i < n; i++)
        all += r[i][1] - r[i][0] + 1;
    free(r);
    return all;
}

/* Totals that Oniguruma 6.9.10 gives over the scalar values, surrogates (Cs) added where they belong. */
static void test_counts(void)
{
    static const struct {
        const char *name;
        long n;
    } t[] = {
        { "L", 141028 }, { "M", 2501 }, { "N", 1911 }, { "P", 855 }, { "S", 8514 }, { "Z", 19 }, { "C", 957236 + 2048 },
        { "Lu", 1858 }, { "Ll", 2258 }, { "Lt", 31 }, { "Lm", 404 }, { "Lo", 136477 }, { "Han", 99030 }, { "Nd", 760 },
        { "w h-i_t E sPACE", 25 }, { "Alphabetic", 142759 }, { "alnum", 143519 }, { "blank", 18 }, { "cntrl", 65 },
        { "graph", 292447 }, { "print", 292464 }, { "lower", 2569 }, { "upper", 1978 }, { "xdigit", 22 },
        { "Any", 0x110000 }, { "ASCII", 128 }, { "Assigned", 292531 + 2048 }, { "LC", 4147 }, { "Hiragana", 381 },
        { "Cs", 2048 }, { "Greek", 518 }, { "word", 144665 }, { "", -1 }, { "Lx", -1 }, { "Script=Han", -1 },
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        OKF(count(t[i].name) == t[i].n, "%s: %ld of %ld", t[i].name, count(t[i].name), t[i].n);
}

static void test_values(void)
{
    OK(unicode_category('A') == UNICODE_LU && unicode_category('_') == UNICODE_PUNCT);
    OK(unicode_category(0x1c5) == UNICODE_LT && unicode_category(0x2b0) == UNICODE_LM);
    OK(unicode_category(0x301) == UNICODE_MARK && unicode_category('+') == UNICODE_SYMBOL);
    /* new in 16.0: Garay; new in 17.0: CJK extension J */
    OK(unicode_category(0x10d40) == UNICODE_NUMBER && !unicode_letter(0x323b0));
    OK(unicode_category(0xd800) == UNICODE_OTHER && unicode_category(0xe000) == UNICODE_OTHER);
    OK(unicode_category(0x110000) == UNICODE_OTHER && unicode_category(UINT32_MAX) == UNICODE_OTHER);
    OK(unicode_space(0x85) && unicode_space(0x3000) && !unicode_space(0x1c) && !unicode_space(0x180e));
    OK(unicode_word('_') && unicode_word(0x301) && !unicode_word('-') && !unicode_word(0xb2));
    OK(!unicode_space(0x200b) && !unicode_space(0xfeff) && !unicode_letter(UINT32_MAX) && !unicode_space(UINT32_MAX));
}

static void test_case(void)
{
    long alone = 0, open = 0;

    OK(unicode_fold('a') == 'A' && unicode_fold('A') == 'a' && unicode_fold('1') == '1');
    /* S s U+017F; K k U+212A; the three of U+01C4; theta has four */
    OK(unicode_fold('S') == 's' && unicode_fold('s') == 0x17f && unicode_fold(0x17f) == 'S');
    OK(unicode_fold('K') == 'k' && unicode_fold('k') == 0x212a && unicode_fold(0x212a) == 'K');
    OK(unicode_fold(0x1c4) == 0x1c5 && unicode_fold(0x1c5) == 0x1c6 && unicode_fold(0x1c6) == 0x1c4);
    OK(unicode_fold(0x398) == 0x3b8 && unicode_fold(0x3d1) == 0x3f4 && unicode_fold(0x3f4) == 0x398);
    OK(unicode_fold(0x131) == 0x131 && unicode_fold(0x10ffff) == 0x10ffff && unicode_fold(UINT32_MAX) == UINT32_MAX);
    for (uint32_t cp = 0; cp < UNICODE_END; cp++) {
        uint32_t c = unicode_fold(cp);
        int steps = 1;

        alone += c == cp;
        for (; c != cp && steps < 5; steps++)
            c = unicode_fold(c);
        open += c != cp;
    }
    OKF(open == 0, "%ld orbits do not close", open);
    OK(alone < UNICODE_END - 2800);
}

int main(void)
{
    test_reference();
    test_counts();
    test_values();
    test_case();
    return tap_done();
}
