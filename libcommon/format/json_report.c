#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/format/json.h"
#include "libcommon/format/report.h"

#define SHOWN 80 /* bytes of a string or number at most */

/* The members of the outermost object, of text that is known to be right: scalars with their value. */
static void put_members(struct report *r, const char *s, size_t n)
{
    static const char *const words[] = {
        [JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_TRUE] = "true", [JSON_FALSE] = "false", [JSON_NULL] = "null",
    };
    struct json j;
    char *text = xmalloc(n + 1);

    json_init(&j, s, n);
    json_next(&j);
    while (json_next(&j) == JSON_KEY) {
        struct json value = j;
        size_t len = json_unescape(&j.raw, text);
        enum json_type t = json_next(&value);
        size_t shown = utf8_valid(value.raw.s, value.raw.n < SHOWN ? value.raw.n : SHOWN);

        if (t == JSON_STRING || t == JSON_NUMBER)
            report_pair(r, "member", text, len,
                        report_printf(r, "%.*s%s", (int)shown, value.raw.s, value.raw.n > SHOWN ? "..." : ""));
        else
            report_pair(r, "member", text, len, words[t]);
        json_skip(&j);
    }
    free(text);
}

int json_report(const void *data, size_t n, const char *name, struct report *r, struct err *err)
{
    struct json j;

    json_init(&j, data, n);
    if (json_skip(&j) < 0 || json_next(&j) == JSON_ERROR)
        return json_error(&j, name, err);
    put_members(r, data, n);
    return 0;
}

static bool is_blank(const char *s, size_t n)
{
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        n--;
    return !n;
}

int json_report_lines(const void *data, size_t n, const char *name, struct report *r, struct err *err)
{
    const char *s = data, *end = s + n, *eol;
    uint64_t line = 1, records = 0;

    for (; s < end; s = eol + 1, line++) {
        struct json j;

        eol = memchr(s, '\n', (size_t)(end - s));
        eol = eol ? eol : end;
        if (is_blank(s, (size_t)(eol - s)))
            continue;
        json_init(&j, s, (size_t)(eol - s));
        if (json_skip(&j) < 0 || json_next(&j) == JSON_ERROR)
            return json_error(&j, report_printf(r, "%s:%" PRIu64, name, line), err);
        if (!records++)
            put_members(r, s, (size_t)(eol - s));
    }
    report_number(r, "records", records);
    return 0;
}
