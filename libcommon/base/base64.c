#include "libcommon/base/base64.h"

#include <stdbool.h>
#include <stdint.h>

/* 1 + the value of a character, or 0. */
static const uint8_t sextet[256] = {
    ['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['/'] = 64,
};

size_t base64_decode(const char *s, size_t n, char *out)
{
    const uint8_t *c = (const uint8_t *)s;
    size_t len = 0, pad = 0;

    while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
        pad++;
    if (n % 4)
        return BASE64_BAD;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t v = 0;

        for (int k = 0; k < 4; k++) {
            bool padding = i + (size_t)k >= n - pad;

            if (!padding && !sextet[c[i + (size_t)k]])
                return BASE64_BAD;
            v = v << 6 | (padding ? 0 : sextet[c[i + (size_t)k]] - 1u);
        }
        out[len++] = (char)(v >> 16);
        out[len++] = (char)(v >> 8);
        out[len++] = (char)v;
    }
    return len - pad;
}
