/* Patterns and texts, in both syntaxes: what compiles searches within bounds, its matches ascend and lie on characters. */
#include "libcommon/text/regex.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static bool on_border(const char *text, size_t n, size_t at)
{
    return at == n || (text[at] & 0xc0) != 0x80;
}

static void check_matches(struct regex *re, const char *text, size_t n)
{
    struct regex_scan scan = { 0 };
    size_t a, b, last = 0;
    struct err err;
    int left = 4;

    while (re && left-- && regex_next(re, &scan, text, n, &a, &b, &err) == 1) {
        check(a <= b && b <= n && a >= last);
        check(on_border(text, n, a) && on_border(text, n, b));
        last = b;
    }
    regex_free(re);
}

/* The pattern ends at the first byte 0xff, which valid UTF-8 has not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memchr(data, 0xff, size);
    size_t n = cut ? (size_t)(cut - data) : size, text_n = cut ? size - n - 1 : 0;
    const char *text = cut ? (const char *)cut + 1 : "";
    struct err err;

    if (text_n > 200)
        text_n = 200;
    if (utf8_valid(text, text_n) < text_n)
        text_n = 0;
    check_matches(regex_new((const char *)data, n, &err), text, text_n);
    check_matches(regex_new_rust((const char *)data, n, &err), text, text_n);
    return 0;
}
