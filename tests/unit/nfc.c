/* nfc: examples of the Unicode standard and its annex 15, Unicode 9.0's limits, long runs. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/nfc.h"
#include "libcommon/text/nfc_table.h"
#include "tests/tap.h"

static const struct {
    const char *text, *want;
} rows[] = {
    { "", "" },
    { "plain, \xc3\xa9t\xc3\xa9", "plain, \xc3\xa9t\xc3\xa9" },
    { "e\u0301", "\u00e9" },
    { "x\u0301e\u0301\u0301y", "x\u0301\u00e9\u0301y" },
    { "\u212b", "\u00c5" },                     /* a singleton */
    { "\u2126", "\u03a9" },
    { "\uf900", "\u8c48" },
    { "\U0002f800", "\u4e3d" },
    { "\u1e69", "\u1e69" },
    { "s\u0323\u0307", "\u1e69" },              /* twice composed */
    { "s\u0307\u0323", "\u1e69" },              /* put in order first */
    { "\u1e0b\u0323", "\u1e0d\u0307" },         /* taken apart, put in order, composed otherwise */
    { "q\u0307\u0323", "q\u0323\u0307" },
    { "\u0958", "\u0915\u093c" },               /* excluded from composition */
    { "\u0928\u093c", "\u0929" },
    { "\u0344", "\u0308\u0301" },
    { "\u1100\u1161", "\uac00" },
    { "\u1100\u1161\u11a8", "\uac01" },
    { "\uac00\u11a8", "\uac01" },
    { "\uac01\u11a8", "\uac01\u11a8" },
    { "\uac00\u11a7", "\uac00\u11a7" },         /* T_BASE itself is no trailing consonant */
    { "\u0b47\u0b3e", "\u0b4b" },               /* the second one has class 0 */
    { "\u0b47\u0300\u0b3e", "\u0b47\u0300\u0b3e" }, /* and is blocked */
    { "a\u0327\u0301", "\u00e1\u0327" },        /* 0301 is not blocked by the lower class of 0327 */
    { "a\u0301\u0328", "\u0105\u0301" },
    { "\U0001d15e", "\U0001d157\U0001d165" },
    { "\u0301a", "\u0301a" },
    { "\u0301\u0323", "\u0323\u0301" },
    { "a\u1df6\u0323", "a\u1df6\u0323" },       /* a mark of Unicode 10: class 0 here */
    { "\U000105d2\u0307", "\U000105d2\u0307" }, /* Todhri, Unicode 16 */
};

static char *out;
static size_t cap;

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].text), got = nfc_normalise(rows[i].text, n, &out, &cap);
        char two[64];

        OKF(got == strlen(rows[i].want) && (!got || memcmp(out, rows[i].want, got) == 0), "row %zu: %.*s", i, (int)got, out);
        OKF(nfc_check(rows[i].text, n) <= n && (strcmp(rows[i].text, rows[i].want) == 0 || nfc_check(rows[i].text, n) < n),
            "row %zu", i);
        snprintf(two, sizeof two, "0123456q%s", rows[i].text);
        got = nfc_normalise(two, strlen(two), &out, &cap);
        OKF(got == 8 + strlen(rows[i].want) && memcmp(out + 8, rows[i].want, got - 8) == 0, "row %zu behind text", i);
    }
}

/* The normal form is normal, of any text. */
static void test_idempotent(void)
{
    static const uint32_t bases[] = { 0x41, 0x300, 0x323, 0x900, 0x930, 0xb47, 0xb3e, 0x1100, 0x1161, 0x11a8, 0xac00, 0x1e00, 0x4e00 };
    int same = 1, changed = 0;

    for (uint64_t round = 0; round < 20000; round++) {
        char text[4 * 64], *again = NULL;
        size_t n = 0, once, twice, again_cap = 0;

        for (uint64_t i = 0; i < rng_u64(1, round, 99) % 64; i++) {
            uint64_t r = rng_u64(1, round, i);

            n += (size_t)utf8_encode(bases[r % (sizeof bases / sizeof *bases)] + (uint32_t)(r >> 32) % 24, text + n);
        }
        once = nfc_normalise(text, n, &out, &cap);
        changed += once != n || memcmp(out, text, n) != 0;
        twice = nfc_normalise(out, once, &again, &again_cap);
        same &= once == twice && (!once || memcmp(out, again, once) == 0) && utf8_valid(out, once) == once;
        free(again);
    }
    OK(same);
    OKF(changed > 5000, "%d", changed);
}

/* What nfc_check() takes by its first byte alone: U+0000 to U+02FF, U+4000 to U+9FFF. */
static void test_safe_bytes(void)
{
    int apart = 1;

    for (int i = 0; i < nfc_n_unsafe; i++)
        apart &= nfc_unsafe[i][0] >= 0x300 && (nfc_unsafe[i][1] < 0x4000 || nfc_unsafe[i][0] > 0x9fff);
    OK(apart && nfc_n_unsafe > 100);
}

/* A million marks behind one letter: in order, and in time. */
static void test_long(void)
{
    enum { MARKS = 1000000 };
    char *text = malloc(2 * MARKS + 1);
    size_t n = 1;
    int good = 1;

    text[0] = 'q';
    for (int i = 0; i < MARKS; i++)
        n += (size_t)utf8_encode(i % 2 ? 0x323 : 0x307, text + n);
    OK(nfc_normalise(text, n, &out, &cap) == n);
    for (size_t i = 0; i < MARKS; i++)
        good &= memcmp(out + 1 + 2 * i, i < MARKS / 2 ? "\u0323" : "\u0307", 2) == 0;
    OK(good);
    free(text);
}

int main(void)
{
    test_rows();
    test_idempotent();
    test_safe_bytes();
    test_long();
    free(out);
    return tap_done();
}
