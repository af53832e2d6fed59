/* Patterns and texts: what compiles searches within bounds, its matches ascend and lie on characters. */
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

/* The pattern ends at the first byte 0xff, which valid UTF-8 has not. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = memchr(data, 0xff, size);
    size_t n = cut ? (size_t)(cut - data) : size, text_n = cut ? size - n - 1 : 0;
    const char *text = cut ? (const char *)cut + 1 : "";
    struct err err;
    struct regex *re = regex_new((const char *)data, n, &err);
    struct regex_scan scan = { 0 };
    size_t a, b, last = 0;
    int left = 4;

    if (!re)
        return 0;
    if (text_n > 200)
        text_n = 200;
    if (utf8_valid(text, text_n) == text_n)
        while (left-- && regex_next(re, &scan, text, text_n, &a, &b, &err) == 1) {
            check(a <= b && b <= text_n && a >= last);
            check(on_border(text, text_n, a) && on_border(text, text_n, b));
            last = b;
        }
    regex_free(re);
    return 0;
}
