/* pretok: pieces by hand, the scanners against the regular expressions, windows against single pieces, SIMD
 * against its twin. */
#include <string.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/rng.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/pretok_in.h"
#include "tests/tap.h"

enum { TEXT = 400, MODELS = 6 };

static const char *const names[MODELS] = { "gpt2", "llama3", "qwen2", "o200k", "tekken", "kimi" };
static struct pretok *known[MODELS], *regex[MODELS];

/* Pieces between bars; one set a pattern. */
static const struct {
    const char *text, *want[MODELS];
} rows[] = {
    { "", { "", "", "", "", "", "" } },
    { "Hello  world",
      { "Hello| | world", "Hello| | world", "Hello| | world",
        "Hello| | world", "Hello| | world", "Hello| | world" } },
    { "don't DON'T",
      { "don|'t| DON|'|T", "don|'t| DON|'T", "don|'t| DON|'T",
        "don't| DON'T", "don|'t| DON|'T", "don't| DON'T" } },
    { "we're 've 'll",
      { "we|'re| '|ve| '|ll", "we|'re| '|ve| '|ll", "we|'re| '|ve| '|ll",
        "we're| '|ve| '|ll", "we|'re| '|ve| '|ll", "we're| '|ve| '|ll" } },
    { "x'\u017f", { "x|'|\u017f", "x|'\u017f", "x|'\u017f", "x'\u017f", "x|'\u017f", "x'\u017f" } },
    { "a1234567b",
      { "a|1234567|b", "a|123|456|7|b", "a|1|2|3|4|5|6|7|b",
        "a|123|456|7|b", "a|1|2|3|4|5|6|7|b", "a|123|456|7|b" } },
    { " 12", { " 12", " |12", " |1|2", " |12", " |1|2", " |12" } },
    { "(foo) [bar]",
      { "(|foo|)| [|bar|]", "(foo|)| [|bar|]", "(foo|)| [|bar|]",
        "(foo|)| [|bar|]", "(foo|)| [|bar|]", "(foo|)| [|bar|]" } },
    { "\tx", { "\t|x", "\tx", "\tx", "\tx", "\tx", "\tx" } },
    { "!!\n\n x", { "!!|\n\n| x", "!!\n\n| x", "!!\n\n| x", "!!\n\n| x", "!!\n\n| x", "!!\n\n| x" } },
    { "a \n \n  b", { "a| \n \n | b", "a| \n \n| | b", "a| \n \n| | b", "a| \n \n| | b", "a| \n \n| | b", "a| \n \n| | b" } },
    { "a \n ", { "a| \n ", "a| \n| ", "a| \n| ", "a| \n| ", "a| \n| ", "a| \n| " } },
    { "a\u3000\u3000b",
      { "a|\u3000|\u3000|b", "a|\u3000|\u3000b", "a|\u3000|\u3000b",
        "a|\u3000|\u3000b", "a|\u3000|\u3000b", "a|\u3000|\u3000b" } },
    { "e\u0301a", { "e|\u0301|a", "e|\u0301a", "e|\u0301a", "e\u0301a", "e\u0301a", "e\u0301a" } },
    { "\u4f60\u597d\u3002",
      { "\u4f60\u597d|\u3002", "\u4f60\u597d|\u3002", "\u4f60\u597d|\u3002",
        "\u4f60\u597d|\u3002", "\u4f60\u597d|\u3002", "\u4f60\u597d|\u3002" } },
    { "\u0661\u0662\u0663\u0664",
      { "\u0661\u0662\u0663\u0664", "\u0661\u0662\u0663|\u0664", "\u0661|\u0662|\u0663|\u0664",
        "\u0661\u0662\u0663|\u0664", "\u0661|\u0662|\u0663|\u0664", "\u0661\u0662\u0663|\u0664" } },
    { "\u4f60\u597dA",
      { "\u4f60\u597dA", "\u4f60\u597dA", "\u4f60\u597dA",
        "\u4f60\u597d|A", "\u4f60\u597d|A", "\u4f60\u597d|A" } },
    { "AB\u4f60C", { "AB\u4f60C", "AB\u4f60C", "AB\u4f60C", "AB\u4f60|C", "AB\u4f60|C", "AB|\u4f60|C" } },
    { "ABCdE", { "ABCdE", "ABCdE", "ABCdE", "ABCd|E", "ABCd|E", "ABCd|E" } },
    { "\u0301AB", { "\u0301|AB", "\u0301AB", "\u0301AB", "\u0301|AB", "\u0301|AB", "\u0301|AB" } },
    { "(AB", { "(|AB", "(AB", "(AB", "(AB", "(AB", "(AB" } },
    { "DON'T'S", { "DON|'|T|'|S", "DON|'T|'S", "DON|'T|'S", "DON'T|'S", "DON|'T|'S", "DON'T|'S" } },
    { "HTTPServer's XMLs",
      { "HTTPServer|'s| XMLs", "HTTPServer|'s| XMLs", "HTTPServer|'s| XMLs",
        "HTTPServer's| XMLs", "HTTPServer|'s| XMLs", "HTTPServer's| XMLs" } },
    { "!!\n//x", { "!!|\n|//|x", "!!\n|//|x", "!!\n|//|x", "!!\n//|x", "!!\n//|x", "!!\n|//|x" } },
    { "a/b/\n/c", { "a|/|b|/|\n|/|c", "a|/b|/\n|/c", "a|/b|/\n|/c", "a|/b|/\n/|c", "a|/b|/\n/|c", "a|/b|/\n|/c" } },
    { "\u00e9\u0301\u00c9",
      { "\u00e9|\u0301|\u00c9", "\u00e9|\u0301\u00c9", "\u00e9|\u0301\u00c9",
        "\u00e9\u0301|\u00c9", "\u00e9\u0301|\u00c9", "\u00e9\u0301|\u00c9" } },
    { "!\ufe0fx \u2764\ufe0f",
      { "!\ufe0f|x| \u2764\ufe0f", "!\ufe0f|x| \u2764\ufe0f", "!\ufe0f|x| \u2764\ufe0f",
        "!\ufe0fx| \u2764\ufe0f", "!\ufe0fx| \u2764\ufe0f", "!\ufe0fx| \u2764\ufe0f" } },
    { "x's\u4f60Ab", { "x|'s|\u4f60Ab", "x|'s|\u4f60Ab", "x|'s|\u4f60Ab", "x's|\u4f60Ab", "x|'s\u4f60|Ab", "x's|\u4f60|Ab" } },
    { "!\u0301!\u0301x",
      { "!\u0301!\u0301|x", "!\u0301!\u0301|x", "!\u0301!\u0301|x",
        "!\u0301|!\u0301x", "!\u0301|!\u0301x", "!\u0301|!\u0301x" } },
    { "\u3007\u4e00\u2e80\u4e2d \u2e801\u30072",
      { "\u3007|\u4e00|\u2e80|\u4e2d| \u2e80|1\u30072", "\u3007|\u4e00|\u2e80\u4e2d| \u2e80|1\u30072", "\u3007|\u4e00|\u2e80\u4e2d| \u2e80|1|\u3007|2",
        "\u3007|\u4e00|\u2e80\u4e2d| \u2e80|1\u30072", "\u3007|\u4e00|\u2e80\u4e2d| \u2e80|1|\u3007|2", "\u3007\u4e00\u2e80\u4e2d| \u2e80|1\u30072" } },
    { "\u01c5a\u02b0B",
      { "\u01c5a\u02b0B", "\u01c5a\u02b0B", "\u01c5a\u02b0B",
        "\u01c5a\u02b0|B", "\u01c5a\u02b0|B", "\u01c5a\u02b0|B" } },
};

static void test_rows(void)
{
    struct err err;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int k = 0; k < MODELS; k++) {
            char got[256] = "";
            size_t n = strlen(rows[i].text), used = 0, next;

            for (size_t at = 0; at < n; at = next) {
                next = pretok_next(known[k], rows[i].text, n, at, &err);
                if (used)
                    got[used++] = '|';
                memcpy(got + used, rows[i].text + at, next - at);
                used += next - at;
            }
            got[used] = 0;
            OKF(strcmp(got, rows[i].want[k]) == 0, "%s: %s", names[k], got);
        }
}

/* Text of kinds that make patterns work: few characters again and again, or of all kinds. */
static size_t make_text(uint64_t round, char *text)
{
    static const char few[][5] = { "a", "B", "'", "s", "'re", "'LL", "1", " ", "  ", "\n", "\r\n", "\t", "!", ".", "\u017f",
                                   "\u0301", "\u3000", "\u00a0", "\u4e2d", "\u0663", "\U0001f600", "\u2028", "\xc2\x85",
                                   "/", "b", "\u01c5", "\u02b0", "\u3007", "\u2e80", "\ufe0f", "\u00c9", "\u00e9", "\u4dff",
                                   "\u4e00", "\u5000", "\u9fff", "\ua000" };
    uint64_t kinds = 2 + rng_u64(1, round, 0) % 16, want = rng_u64(1, round, 1) % (TEXT - 8);
    size_t n = 0;

    for (uint64_t i = 2; n < want; i++) {
        uint64_t r = rng_u64(1, round, i);
        uint32_t cp = (uint32_t)(r >> 20) % (r % 2 ? 0x80 : 0x11000);

        if (round % 4 || r % 3) {
            const char *s = few[rng_u64(2, round, r % kinds) % (sizeof few / sizeof *few)];

            memcpy(text + n, s, strlen(s));
            n += strlen(s);
        } else {
            n += (size_t)utf8_encode(cp >= 0xd800 && cp < 0xe000 ? 0x4e00 : cp, text + n);
        }
    }
    return n;
}

static size_t (*const ends[])(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max) = {
    pretok_ends_portable,
#if defined(__x86_64__)
    pretok_ends_avx2, pretok_ends_avx512,
#endif
};

static void test_random(void)
{
    for (int k = 0; k < MODELS; k++) {
        int single = 1, many = 1;
        long pieces = 0;

        for (uint64_t round = 0; round < 6000; round++) {
            char text[TEXT + 16];
            size_t n = make_text(round, text), end[PRETOK_WINDOW + 8], next, count;
            struct err err;

            for (size_t at = 0; at < n; at = next, pieces++) {
                next = pretok_next(known[k], text, n, at, &err);
                single &= next == pretok_next(regex[k], text, n, at, &err);
            }
            for (int tier = CPU_PORTABLE; tier <= (int)cpu_tier(); tier++)
                for (size_t at = 0; at < n; at = next) {
                    size_t max = PRETOK_WINDOW + round % 8;

                    memset(end, 0, sizeof end); /* no tier finds what the one before it wrote */
                    count = ends[tier](known[k], text, n, at, end, max);
                    many &= count > 0 && count <= max;
                    next = at;
                    for (size_t i = 0; i < count; i++) {
                        many &= end[i] == pretok_next(known[k], text, n, next, &err);
                        next = end[i];
                    }
                    next = next > at ? next : n;
                }
        }
        OKF(single, "%s", names[k]);
        OKF(many, "%s", names[k]);
        OK(pieces > 100000);
    }
}

/* Ideographs are taken for one class. */
static void test_ideographs(void)
{
    for (int k = 0; k < MODELS; k++) {
        int same_class = 1, len;
        char s[4];

        for (uint32_t cp = 0x4e00; cp <= 0x9fff; cp++) {
            utf8_encode(cp, s);
            same_class &= pretok_class(known[k], s, &len) == known[k]->ideograph;
        }
        OKF(same_class, "%s", names[k]);
    }
}

static void test_open(void)
{
    struct err err = { "" };
    struct pretok *p = pretok_open("cl100k_base", 11, &err);

    OK(p && strcmp(pretok_name(p), "llama3") == 0 && strcmp(pretok_pattern(p), pretok_pattern(known[1])) == 0);
    pretok_free(p);
    p = pretok_open("[a", 2, &err);
    OK(!p && err.msg[0]);
    p = pretok_open("\\d+", 3, &err);
    OK(p && !pretok_name(p) && pretok_next(p, "ab12c", 5, 0, &err) == 2 && pretok_next(p, "ab12c", 5, 2, &err) == 4 &&
       pretok_next(p, "ab12c", 5, 4, &err) == 5);
    pretok_free(p);
}

int main(void)
{
    struct err err;

    for (int k = 0; k < MODELS; k++) {
        char group[400];

        known[k] = pretok_open(names[k], strlen(names[k]), &err);
        snprintf(group, sizeof group, "(?:%s)", pretok_pattern(known[k])); /* the same, but not known */
        regex[k] = pretok_open(group, strlen(group), &err);
        OK(pretok_name(known[k]) && regex[k] && !pretok_name(regex[k]));
    }
    test_rows();
    test_random();
    test_ideographs();
    test_open();
    for (int k = 0; k < MODELS; k++) {
        pretok_free(known[k]);
        pretok_free(regex[k]);
    }
    return tap_done();
}
