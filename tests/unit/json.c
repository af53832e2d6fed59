/* json: the grammar of RFC 8259, case by case and by the whole of JSONTestSuite. */
#include "libcommon/format/json.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"

/* What the parser says of n bytes, in exactly sized memory: a letter an event, '!' for an error. */
static const char *events(const void *data, size_t n)
{
    static char out[64];
    static const char letters[] = "{}[]ks0TFN"; /* as enum json_type counts */
    char *exact = xmalloc(n + !n);
    struct json j;
    size_t used = 0;
    enum json_type t;

    if (n)
        memcpy(exact, data, n);
    json_init(&j, exact, n);
    while ((t = json_next(&j)) > JSON_END)
        if (used < sizeof out - 2)
            out[used++] = letters[t - JSON_OBJECT];
    if (t == JSON_ERROR)
        out[used++] = '!';
    out[used] = 0;
    if (json_next(&j) != t) /* the last one repeats */
        snprintf(out, sizeof out, "no end");
    free(exact);
    return out;
}

static void test_events(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "", "!" },
        { " 1\n", "0" },
        { "{}", "{}" },
        { "[ ]", "[]" },
        { "{\"a\":[1,-2.5e+3,true,false,null,\"x\"],\"b\":{}}", "{k[00TFNs]k{}}" },
        { "[1,]", "[0!" },
        { "[,1]", "[!" },
        { "[1 2]", "[0!" },
        { "[1}", "[0!" },
        { "{\"a\":1,}", "{k0!" },
        { "{\"a\" 1}", "{!" },
        { "{a:1}", "{!" },
        { "{\"a\":}", "{k!" },
        { "1 2", "0!" },
        { "[1]]", "[0]!" },
        { "]", "!" },
        { "tru", "!" },
        { "truee", "T!" },
        { "-", "!" },
        { "01", "0!" },
        { "1.", "!" },
        { ".5", "!" },
        { "1e", "!" },
        { "1e+", "!" },
        { "+1", "!" },
        { "\"\\u12g4\"", "!" },
        { "\"\\ud800\"", "!" },
        { "\"\\ud800\\u0041\"", "!" },
        { "\"\\udc00\"", "!" },
        { "\"\\ud83d\\ude00\"", "s" },
        { "\"a\nb\"", "!" },
        { "\"a", "!" },
        { "\"a\\", "!" },
        { "\"\xc3\"", "!" },
        { "\"\xed\xa0\x80\"", "!" },
        { "\"ok\" \xff", "s!" },
        { "\xef\xbb\xbf{}", "!" },
        { "\f1", "!" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = events(rows[i].in, strlen(rows[i].in));

        OKF(strcmp(got, rows[i].out) == 0, "%s: %s, wanted %s", rows[i].in, got, rows[i].out);
    }
    OK(strcmp(events("1\0", 2), "0!") == 0);
}

static void test_errors(void)
{
    static const struct {
        const char *in, *msg;
    } rows[] = {
        { "[1,", "f: byte 3: unexpected end" },
        { "{\"a\":tru}", "f: byte 5: expected a value" },
        { "{\n\"a\":\n1 2}", "f:3: byte 9: expected ',' or '}'" },
        { "[\"x\xff\"]", "f: byte 3: invalid UTF-8" },
        { "\"\x01\"", "f: byte 1: control character in a string" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json j;
        struct err err;

        json_init(&j, rows[i].in, strlen(rows[i].in));
        while (json_next(&j) > JSON_END)
            ;
        json_error(&j, "f", &err);
        OKF(strcmp(err.msg, rows[i].msg) == 0, "%s", err.msg);
    }
}

/* Deep nesting: 512 levels are read, one more is refused, and a bomb costs nothing. */
static void test_depth(void)
{
    size_t n = 1 << 20;
    char *s = xmalloc(n);
    struct arena a;
    struct err err;

    for (int k = 0; k < 2; k++) {
        size_t deep = JSON_DEPTH + (size_t)k;
        struct json_value *v;

        memset(s, '[', deep);
        memset(s + deep, ']', deep);
        arena_init(&a);
        v = json_tree(&a, s, 2 * deep, "deep", &err);
        OK((v == NULL) == (k == 1));
        for (size_t d = 1; d < deep && v; d++)
            v = v->child;
        OK(k || (v && !v->child));
        arena_release(&a);
    }
    memset(s, '[', n);
    OK(strchr(events(s, n), '!') != NULL);
    for (size_t i = 0; i < n; i++)
        s[i] = "{\"\":"[i % 4];
    OK(strchr(events(s, n), '!') != NULL);
    free(s);
}

static void test_strings(void)
{
    static const struct {
        const char *in, *out;
        size_t n;
    } rows[] = {
        { "\"\"", "", 0 },
        { "\"plain\"", "plain", 5 },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8 },
        { "\"a\\u0000b\"", "a\0b", 3 },
        { "\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00z\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 11 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json j;
        char out[64];

        json_init(&j, rows[i].in, strlen(rows[i].in));
        OK(json_next(&j) == JSON_STRING);
        OK(json_unescape(&j.raw, out) == rows[i].n && memcmp(out, rows[i].out, rows[i].n) == 0);
    }
    OK(json_is(&(struct json_raw){ "te\\u0078t", 9, true }, "text"));
    OK(!json_is(&(struct json_raw){ "te\\u0078t", 9, true }, "texts"));
    OK(json_is(&(struct json_raw){ "text", 4, false }, "text"));
    OK(!json_is(&(struct json_raw){ "text", 4, false }, "tex"));
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        bool fits;
        int64_t i;
        double d;
    } rows[] = {
        { "0", true, 0, 0 },
        { "-0", true, 0, -0.0 },
        { "9223372036854775807", true, INT64_MAX, 9223372036854775807.0 },
        { "-9223372036854775808", true, INT64_MIN, -9223372036854775808.0 },
        { "9223372036854775808", false, 0, 9223372036854775808.0 },
        { "-9223372036854775809", false, 0, -9223372036854775809.0 },
        { "1.0", false, 0, 1 },
        { "1e3", false, 0, 1000 },
        { "0.1", false, 0, 0.1 },
        { "5e-324", false, 0, 5e-324 },
        { "1e400", false, 0, HUGE_VAL },
        { "0.1000000000000000055511151231257827021181583404541015625000000000000001", false, 0, 0.1 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_raw r = { rows[i].text, strlen(rows[i].text), false };
        int64_t v = 77;
        double d = json_double(&r);

        OK(json_int64(&r, &v) == rows[i].fits && v == (rows[i].fits ? rows[i].i : 77));
        OKF(memcmp(&d, &rows[i].d, 8) == 0, "%s: %.17g", rows[i].text, d);
    }
}

static void test_tree(void)
{
    static const char text[] = "{\"a\":1,\"b\":[10,[],{\"c\":\"\\u20ac\"},null],\"a\":2.5,\"s\":\"x\",\"t\":true,\"z\":null,\"e\":{}}";
    struct arena a;
    struct err err;
    const struct json_value *v, *b;
    const char *s;
    int64_t i;
    double d;
    bool flag;

    arena_init(&a);
    v = json_tree(&a, text, sizeof text - 1, "c.json", &err);
    b = json_get(v, "b");
    OK(v && v->n == 7 && b && b->n == 4);
    OK(json_at(b, 0)->num == 10 && json_at(b, 1)->n == 0 && !json_at(b, 4) && !json_at(b, -1));
    OK(strcmp(json_get(json_at(b, 2), "c")->str, "\xe2\x82\xac") == 0);
    OK(json_at(b, 3)->type == JSON_NULL);
    OK(!json_get(v, "none") && !json_get(b, "a") && !json_get(NULL, "a"));
    OK(json_get_double(v, "a", 0, &d, "c.json", &err) == 0 && d == 2.5);
    OK(json_get_int(v, "a", 0, &i, "c.json", &err) == -1);
    OK(strcmp(err.msg, "c.json: a is 2.5, not a 64-bit integer") == 0);
    OK(json_get_int(v, "s", 0, &i, "c.json", &err) == -1);
    OK(strcmp(err.msg, "c.json: s is \"x\", not a 64-bit integer") == 0);
    OK(json_get_bool(v, "e", 0, &flag, "c.json", &err) == -1);
    OK(strcmp(err.msg, "c.json: e is an object, not true or false") == 0);
    OK(json_get_bool(v, "t", false, &flag, "c.json", &err) == 0 && flag);
    OK(json_get_str(v, "s", NULL, &s, "c.json", &err) == 0 && strcmp(s, "x") == 0);
    OK(json_get_int(v, "z", 7, &i, "c.json", &err) == 0 && i == 7);
    OK(json_get_str(v, "none", "d", &s, "c.json", &err) == 0 && strcmp(s, "d") == 0);
    OK(!json_tree(&a, "{\"a\":1", 6, "c.json", &err) && strstr(err.msg, "c.json: byte 6"));
    arena_release(&a);
}

static void test_skip(void)
{
    static const char text[] = "{\"a\":{\"b\":[1,{\"c\":[]}]},\"d\":[],\"e\":5}";
    struct json j;

    json_init(&j, text, sizeof text - 1);
    OK(json_next(&j) == JSON_OBJECT && json_next(&j) == JSON_KEY && json_skip(&j) == 0);
    OK(json_next(&j) == JSON_KEY && json_is(&j.raw, "d") && json_skip(&j) == 0);
    OK(json_next(&j) == JSON_KEY && json_is(&j.raw, "e") && json_skip(&j) == 0);
    OK(json_next(&j) == JSON_OBJECT_END && json_next(&j) == JSON_END);
    json_init(&j, "[[1,2],[}", 9);
    OK(json_next(&j) == JSON_ARRAY && json_skip(&j) == 0 && json_skip(&j) == -1);
}

/* What json_skip() takes many at a time is right or wrong where json_next() says so. */
static void test_skip_rows(void)
{
    static const struct {
        const char *text;
        int wrong; /* at this byte; -1: nowhere */
    } rows[] = {
        { "[1,2.5,3e1,-1,\"x\",null,[2,3],4 , 5 ]", -1 },
        { "{\"a\":1,\"b\" : 20 ,\"c\":\"\",\"d\":{\"e\":0,\"f\":[]},\"g\":1}", -1 },
        { "[0,10,0]", -1 },
        { "[1,2,01]", 6 },
        { "[1,2,3.]", 7 },
        { "[1,2,3e]", 7 },
        { "[1,-]", 4 },
        { "[1,2,]", 5 },
        { "[1,2", 4 },
        { "[1,\"a\\x\"]", 5 },
        { "[1,\"a\1\"]", 5 },
        { "{\"a\":1,\"b\"2}", 10 },
        { "{\"a\":1,b:2}", 7 },
        { "{\"a\":1,\"b\":2]", 12 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json j;
        int rc;

        json_init(&j, rows[i].text, strlen(rows[i].text));
        rc = json_skip(&j);
        if (rows[i].wrong < 0)
            OK(rc == 0 && json_next(&j) == JSON_END);
        else
            OK(rc < 0 && j.p - j.start == rows[i].wrong);
    }
}

/* Where each special byte stands, at every offset and length around the vector widths. */
static void test_scan(void)
{
    char buf[256];
    int same = 1;

    for (size_t n = 0; n <= 200; n++) {
        memset(buf, 'a', sizeof buf);
        buf[n] = '"';
        same &= json_scan(buf, n) == n && json_scan(buf, n + 1) == n;
    }
    OK(same);
    for (int c = 0; c < 256; c++) {
        int stops = c < 0x20 || c == '"' || c == '\\';

        for (size_t at = 0; at < 140; at += 7) {
            memset(buf, 0xc3, sizeof buf);
            buf[at] = (char)c;
            same &= json_scan(buf, 140) == (stops ? at : 140);
            same &= json_scan_portable(buf, 140) == (stops ? at : 140);
        }
    }
    OK(same);
    for (uint64_t k = 0; k < 20000; k++) {
        size_t n = (size_t)(rng_u64(3, k, 0) % sizeof buf), from = n ? (size_t)(rng_u64(3, k, 1) % n) : 0;

        for (size_t i = 0; i < n; i++)
            buf[i] = (char)(rng_u64(4, k, i / 8) >> 8 * (i % 8) | (i % 61 ? 0x60 : 0));
        same &= json_scan(buf + from, n - from) == json_scan_portable(buf + from, n - from);
    }
    OK(same);
}

static void test_put(void)
{
    static const char in[] = "q\" b\\ /\b\f\n\r\t\x01\x1f\x7f \xe2\x82\xac";
    static const char want[] = "\"q\\\" b\\\\ /\\b\\f\\n\\r\\t\\u0001\\u001f\x7f \xe2\x82\xac\"";
    struct io_out o;
    struct io_map m;
    struct err err;

    OK(io_create(&o, "put.json", false, &err) == 0 && json_put_string(&o, in, sizeof in - 1, &err) == 0 &&
       io_commit(&o, &err) == 0);
    OK(io_map(&m, "put.json", &err) == 0 && m.size == sizeof want - 1 && memcmp(m.data, want, m.size) == 0);
    io_unmap(&m);
}

static void test_suite(void)
{
    char path[8192];
    const char *dir = tap_shared("data/suites/JSONTestSuite/test_parsing");
    DIR *d = dir ? opendir(dir) : NULL;
    struct dirent *e;
    int n = 0;

    if (!d) {
        SKIP("JSONTestSuite", "../shared is absent");
        return;
    }
    while ((e = readdir(d))) {
        struct io_map m;
        struct err err;
        struct arena a;
        bool good;

        if (!strstr(e->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (io_map(&m, path, &err) < 0)
            continue;
        good = !strchr(events(m.data, m.size), '!');
        arena_init(&a);
        OKF(e->d_name[0] == 'i' || good == (e->d_name[0] == 'y'), "%s: %s", e->d_name, good ? "read" : "refused");
        OK((json_tree(&a, m.data, m.size, path, &err) != NULL) == good);
        arena_release(&a);
        io_unmap(&m);
        n++;
    }
    closedir(d);
    OKF(n >= 318, "%d files", n);
}

int main(void)
{
    test_events();
    test_errors();
    test_depth();
    test_strings();
    test_numbers();
    test_tree();
    test_skip();
    test_skip_rows();
    test_scan();
    test_put();
    test_suite();
    return tap_done();
}
