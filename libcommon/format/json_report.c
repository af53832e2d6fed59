#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* The lines that are not blank; -1: *j is where *line is no JSON. */
static int64_t count_lines(struct json *j, const char *s, size_t n, uint64_t *line)
{
    const char *end = s + n, *eol;
    int64_t records = 0;

    for (*line = 1; s < end; s = eol + 1, ++*line) {
        eol = memchr(s, '\n', (size_t)(end - s));
        eol = eol ? eol : end;
        if (is_blank(s, (size_t)(eol - s)))
            continue;
        json_init(j, s, (size_t)(eol - s));
        if (json_skip(j) < 0 || json_next(j) == JSON_ERROR)
            return -1;
        records++;
    }
    return records;
}

int json_report_lines(const void *data, size_t n, const char *name, struct report *r, struct err *err)
{
    const char *s = data, *end = s + n, *eol;
    uint64_t line;
    struct json j;
    int64_t records = count_lines(&j, s, n, &line);

    if (records < 0)
        return json_error(&j, report_printf(r, "%s:%" PRIu64, name, line), err);
    for (bool shown = false; s < end && !shown; s = eol + 1) {
        eol = memchr(s, '\n', (size_t)(end - s));
        eol = eol ? eol : end;
        shown = !is_blank(s, (size_t)(eol - s));
        if (shown)
            put_members(r, s, (size_t)(eol - s));
    }
    report_number(r, "records", (uint64_t)records);
    return 0;
}

static size_t skip_blanks(const char *s, size_t n, size_t at)
{
    while (at < n && (s[at] == ' ' || s[at] == '\t' || s[at] == '\r' || s[at] == '\n'))
        at++;
    return at;
}

static bool ends(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);

    return n >= k && strcasecmp(name + n - k, suffix) == 0;
}

/* Can what begins at `at` be nothing else, damaged or not: by its name, or by its first bytes? */
static bool is_meant(const char *s, size_t n, size_t at, const char *name)
{
    if (ends(name, ".json") || ends(name, ".jsonl"))
        return true;
    if (s[at++] != '{')
        return false;
    while (at < n && (s[at] == ' ' || s[at] == '\t'))
        at++;
    return at < n && (s[at] == '"' || s[at] == '}');
}

enum json_form json_form(const void *data, size_t n, const char *name)
{
    const char *s = data, *nl = n ? memchr(s, '\n', n) : NULL;
    size_t at = skip_blanks(s, n, 0), first = nl ? (size_t)(nl - s) : n;
    bool lines;
    struct json j;
    uint64_t line;

    if (at == n || (s[at] != '{' && s[at] != '['))
        return JSON_NO_FORM;
    json_init(&j, s, first);
    lines = json_skip(&j) == 0 && json_next(&j) == JSON_END && skip_blanks(s, n, first) < n;
    if (is_meant(s, n, at, name))
        return lines ? JSON_LINES : JSON_DOCUMENT;
    if (lines)
        return count_lines(&j, s, n, &line) < 0 ? JSON_NO_FORM : JSON_LINES;
    json_init(&j, s, n);
    return json_skip(&j) == 0 && json_next(&j) == JSON_END ? JSON_DOCUMENT : JSON_NO_FORM;
}

bool json_has_key(const void *data, size_t n, const char *key)
{
    struct json j;

    json_init(&j, data, n);
    if (json_next(&j) != JSON_OBJECT)
        return false;
    while (json_next(&j) == JSON_KEY) {
        if (json_is(&j.raw, key))
            return true;
        if (json_skip(&j) < 0)
            break;
    }
    return false;
}
