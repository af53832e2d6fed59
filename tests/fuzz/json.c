/* Bytes as JSON: the pull parser, json_skip() and the tree agree, strings unescape to UTF-8, the scan
 * and its twin agree. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/format/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_string(const struct json_raw *r)
{
    char *out = malloc(r->n + 1);
    size_t n;

    check(out != NULL);
    n = json_unescape(r, out);
    check(n <= r->n && utf8_valid(out, n) == n);
    out[n] = 0;
    check(json_is(r, out) == (strlen(out) == n));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json j, skip;
    struct arena a;
    struct err err;
    enum json_type t;
    int64_t v;

    json_init(&j, data, size);
    while ((t = json_next(&j)) > JSON_END) {
        check(j.p <= j.end);
        if (t == JSON_KEY || t == JSON_STRING)
            check_string(&j.raw);
        if (t == JSON_NUMBER && json_int64(&j.raw, &v))
            check(json_double(&j.raw) == (double)v);
    }
    if (t == JSON_ERROR)
        json_error(&j, "fuzz", &err);
    json_init(&skip, data, size);
    check((json_skip(&skip) == 0 && json_next(&skip) == JSON_END) == (t == JSON_END));
    arena_init(&a);
    check((json_tree(&a, data, size, "fuzz", &err) != NULL) == (t == JSON_END));
    arena_release(&a);
    check(json_scan((const char *)data, size) == json_scan_portable((const char *)data, size));
    check(utf8_valid(data, size) == utf8_valid_portable(data, size));
    return 0;
}
