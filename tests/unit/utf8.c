/* utf8: every code point, every wrong sequence of table 3-7, SIMD against the portable twin, and the
 * published suite utf8tests. */
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/rng.h"
#include "libcommon/base/utf8.h"
#include "tests/tap.h"

/* Table 3-7 of the Unicode standard, written out: the length of the well-formed sequence at s, or 0. */
static int by_table(const uint8_t *s)
{
    static const struct {
        uint8_t first, last, lo, hi, len;
    } rows[] = {
        { 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
        { 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (s[0] < rows[i].first || s[0] > rows[i].last)
            continue;
        if (rows[i].len > 1 && (s[1] < rows[i].lo || s[1] > rows[i].hi))
            return 0;
        for (int k = 2; k < rows[i].len; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return rows[i].len;
    }
    return 0;
}

static void test_code_points(void)
{
    int good = 1;

    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        char b[4];
        uint32_t back = 0;
        int n;

        if (cp >= 0xd800 && cp < 0xe000)
            continue;
        n = utf8_encode(cp, b);
        good &= n == (cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        good &= utf8_decode(b, (size_t)n, &back) == n && back == cp;
        good &= n == 1 || utf8_decode(b, (size_t)n - 1, &back) == 0;
        good &= utf8_valid(b, (size_t)n) == (size_t)n && utf8_valid(b, (size_t)n - 1) == 0;
    }
    OK(good);
    OK(utf8_valid("", 0) == 0);
    OK(utf8_decode("", 0, &(uint32_t){ 0 }) == 0);
}

/* Every pair of first bytes with third and fourth on the edges, at all places across a block's end. */
static void test_sequences(void)
{
    static const uint8_t edge[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff };
    enum { EDGES = sizeof edge };
    uint8_t buf[192];
    int decode = 1, valid = 1;

    for (uint32_t i = 0; i < 65536u * EDGES * EDGES; i++) {
        uint8_t s[4] = { (uint8_t)(i >> 8), (uint8_t)i, edge[(i >> 16) % EDGES], edge[(i >> 16) / EDGES] };
        uint32_t cp;

        if (s[0] < 0x80)
            continue;
        decode &= utf8_decode(s, 4, &cp) == by_table(s);
    }
    OK(decode);
    for (uint32_t i = 0x8000; i < 65536; i++)
        for (size_t at = 60; at < 65; at++) {
            uint8_t s[4] = { (uint8_t)(i >> 8), (uint8_t)i, edge[i % EDGES], edge[i / 7 % EDGES] };

            memset(buf, 'a', sizeof buf);
            memcpy(buf + at, s, 4);
            valid &= utf8_valid(buf, sizeof buf) == utf8_valid_portable(buf, sizeof buf);
            valid &= (utf8_valid(buf, sizeof buf) == at) == (by_table(s) == 0);
        }
    OK(valid);
}

/* Random valid text with a byte changed: both twins name the same offset. */
static void test_twins(void)
{
    enum { SIZE = 1000 };
    char buf[SIZE + 4];
    int same = 1, faults = 0;

    for (uint64_t round = 0; round < 20000; round++) {
        size_t n = 0, at;
        uint64_t r = rng_u64(1, round, 0);
        size_t want = (size_t)(r % SIZE);

        for (uint64_t i = 1; n < want; i++) {
            uint64_t x = rng_u64(1, round, i);
            uint32_t cp = (uint32_t)(x >> 8) & ((x & 7) < (r >> 32 & 7) ? 0x7f : (x & 8) ? 0xffff : 0xfffff);

            n += (size_t)utf8_encode(cp >= 0xd800 && cp < 0xe000 ? 0x20ac : cp, buf + n);
        }
        if (utf8_valid(buf, n) != n || utf8_valid_portable(buf, n) != n)
            same = 0;
        if (!n)
            continue;
        at = (size_t)(rng_u64(2, round, 0) % n);
        buf[at] = (char)rng_u64(2, round, 1);
        same &= utf8_valid(buf, n) == utf8_valid_portable(buf, n);
        faults += utf8_valid(buf, n) < n;
    }
    OK(same);
    OK(faults > 5000);
}

/* utf8tests.bin: lines "number:valid:bytes" and "number:invalid:bytes". */
static void test_suite(void)
{
    const char *path = tap_shared("data/suites/utf8tests/utf8tests.bin");
    struct io_map m;
    struct err err;
    int ran = 0;

    if (!path || io_map(&m, path, &err) < 0) {
        SKIP("utf8tests.bin", "../shared is absent");
        return;
    }
    for (const char *p = (const char *)m.data, *end = p + m.size, *eol; p < end; p = eol + 1) {
        const char *kind, *text;
        size_t n;

        eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol : end;
        kind = memchr(p, ':', (size_t)(eol - p));
        text = kind ? memchr(kind + 1, ':', (size_t)(eol - kind - 1)) : NULL;
        if (!text)
            continue;
        n = (size_t)(eol - text - 1);
        OKF((utf8_valid(text + 1, n) == n) == (kind[1] == 'v'), "%.*s", (int)(text - p), p);
        ran++;
    }
    io_unmap(&m);
    OK(ran > 50);
}

int main(void)
{
    test_code_points();
    test_sequences();
    test_twins();
    test_suite();
    return tap_done();
}
