#include "libcommon/base/utf8.h"

#include <string.h>

int utf8_decode(const void *p, size_t n, uint32_t *cp)
{
    const uint8_t *s = p;
    uint8_t c = n ? s[0] : 0xff;
    uint32_t v;

    if (c < 0x80) {
        *cp = c;
        return 1;
    }
    if (c < 0xc2 || n < 2 || (s[1] & 0xc0) != 0x80)
        return 0;
    if (c < 0xe0) {
        *cp = (c & 0x1fu) << 6 | (s[1] & 0x3fu);
        return 2;
    }
    if (n < 3 || (s[2] & 0xc0) != 0x80)
        return 0;
    if (c < 0xf0) {
        v = (c & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
        *cp = v;
        return v >= 0x800 && (v < 0xd800 || v > 0xdfff) ? 3 : 0;
    }
    if (n < 4 || (s[3] & 0xc0) != 0x80)
        return 0;
    v = (c & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu);
    *cp = v;
    return c <= 0xf4 && v >= 0x10000 && v <= 0x10ffff ? 4 : 0;
}

size_t utf8_ill_formed(const void *p, size_t n, bool *cut)
{
    const uint8_t *s = p;
    uint8_t c = s[0], low = 0x80, high = 0xbf;
    size_t want = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xc2 && c <= 0xdf ? 2 : 1, i;

    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    for (i = 1; i < want && i < n && s[i] >= low && s[i] <= high; i++) {
        low = 0x80;
        high = 0xbf;
    }
    if (cut)
        *cut = i == n && i < want;
    return i;
}

int utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

size_t utf8_valid_portable(const void *p, size_t n)
{
    const uint8_t *s = p;
    size_t i = 0;

    while (i < n) {
        uint32_t cp;
        int len;

        for (uint64_t w; n - i >= 8; i += 8) { /* eight ASCII bytes at a time */
            memcpy(&w, s + i, 8);
            if (w & 0x8080808080808080u)
                break;
        }
        while (i < n && s[i] < 0x80)
            i++;
        while (i < n && s[i] >= 0x80) {
            len = utf8_decode(s + i, n - i, &cp);
            if (!len)
                return i;
            i += (size_t)len;
        }
    }
    return n;
}

size_t utf8_repair(const char *p, size_t n, char *out)
{
    size_t at = 0, used = 0;

    for (;;) {
        size_t good = utf8_valid(p + at, n - at);

        memcpy(out + used, p + at, good);
        used += good;
        at += good;
        if (at == n)
            return used;
        memcpy(out + used, "\xef\xbf\xbd", 3);
        used += 3;
        at += utf8_ill_formed(p + at, n - at, NULL);
    }
}
