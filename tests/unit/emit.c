/* Text as it is generated: the same whatever the cuts, whole characters, stop strings over the cuts. */
#include "libcommon/text/emit.h"

#include <string.h>

#include "libcommon/base/utf8.h"
#include "tests/tap.h"

#define BAD "\xef\xbf\xbd"

static const struct {
    const char *in, *stop[3], *out;
} rows[] = {
    { "", { NULL }, "" },
    { "plain", { NULL }, "plain" },
    { "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82!", { NULL }, "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82!" },
    { "a\xff\xfe z", { NULL }, "a" BAD BAD " z" },
    { "a\xe2\x82z", { NULL }, "a" BAD "z" },
    { "a\xe2\x82", { NULL }, "a" BAD },         /* ends within a character */
    { "\xf0\x9f\x99", { NULL }, BAD },
    { "\xed\xa0\x80", { NULL }, BAD BAD BAD },  /* a surrogate */
    { "\xc0\xaf", { NULL }, BAD BAD },
    { "one.two", { "." }, "one" },
    { "one\n\ntwo", { "\n\n" }, "one" },
    { "one\ntwo", { "\n\n" }, "one\ntwo" },
    { "one\n", { "\n\n" }, "one\n" },           /* begun, never ended */
    { "aaab", { "aab" }, "a" },
    { "ababac", { "abac" }, "ab" },
    { "xQ: END", { "END", "Q:" }, "x" },        /* the first in the text */
    { "stop", { "stop" }, "" },
    { "a\xe2\x82" "END", { "END" }, "a" BAD },
    { "a\xe2\x82\xac\xc3\xa9", { "\xc3\xa9" }, "a\xe2\x82\xac" },
    { "a\xc3\xa8", { "\xc3\xa9" }, "a\xc3\xa8" }, /* shares the first byte */
};

static void check(size_t i, size_t first, size_t step)
{
    struct emit e = { .stop = rows[i].stop };
    size_t n = strlen(rows[i].in), at = 0, want = strlen(rows[i].out);
    int whole = 1;

    while (rows[i].stop[e.n_stop])
        e.n_stop++;
    emit_add(&e, "zz\xe2", 3); /* another sequence before */
    emit_clear(&e);
    while (at < n) {
        size_t piece = at == 0 && first ? first : step;

        piece = piece < n - at ? piece : n - at;
        emit_add(&e, rows[i].in + at, piece);
        whole &= utf8_valid(e.out, e.n_out) == e.n_out;
        whole &= e.n_out <= want && memcmp(e.out ? e.out : "", rows[i].out, e.n_out) == 0;
        at += piece;
    }
    emit_end(&e);
    OKF(whole && e.n_out == want && memcmp(e.out ? e.out : "", rows[i].out, want) == 0,
        "row %zu, cut at %zu, then by %zu: %.*s", i, first, step, (int)e.n_out, e.out);
    emit_release(&e);
}

/* A text that can no longer become a stop string is not held back. */
static void test_prompt(void)
{
    static const char *const stop[] = { "\n\nQ" };
    struct emit e = { .stop = stop, .n_stop = 1 };

    emit_add(&e, "a\n", 2);
    OK(e.n_out == 1);
    emit_add(&e, "b", 1);
    OK(e.n_out == 3);
    emit_add(&e, "\xe2\x82", 2);
    OK(e.n_out == 3);
    emit_add(&e, "\xac", 1);
    OK(e.n_out == 6 && !e.stopped);
    emit_release(&e);
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].in);

        check(i, 0, n ? n : 1);
        check(i, 0, 1);
        check(i, 0, 2);
        for (size_t first = 1; first < n; first++)
            check(i, first, n);
    }
    test_prompt();
    return tap_done();
}
