/* Documents out of a block: the half of source.h that runs on many threads. */
#include <stdio.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/source.h"
#include "libcommon/data/source_in.h"

/* The code unit of the escape \uXXXX at p, or -1. */
static int code_unit(const char *p, const char *end)
{
    int v = 0;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdefABCDEF", *d = p[i] ? strchr(digits, p[i]) : NULL;

        if (!d)
            return -1;
        v = v * 16 + (int)(d - digits < 16 ? d - digits : d - digits - 6);
    }
    return v;
}

/* Make each escaped half of a surrogate pair without the other \ufffd. */
static void repair_surrogates(char *p, size_t n)
{
    char *end = p + n;

    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        int unit = code_unit(p, end), next = unit >= 0 ? code_unit(p + 6, end) : -1;

        if (unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
            p += 12;
            continue;
        }
        if (unit >= 0xd800 && unit <= 0xdfff)
            memcpy(p + 2, "fffd", 4);
        p += unit >= 0 ? 6 : 2;
        if (p > end)
            return;
    }
}

static const char *repaired(struct source_block *b, const char *p, size_t *n)
{
    mem_grow(&b->fixed, &b->fixed_cap, 3 * *n + 1, 1);
    *n = utf8_repair(p, *n, b->fixed);
    return b->fixed;
}

/* Check the text in d, or mend it.  line: its number, or 0. */
static int check_text(struct source_block *b, struct source_doc *d, uint64_t line, struct err *err)
{
    size_t good = utf8_valid(d->text.s, d->text.n);
    char place[32] = "";

    if (good == d->text.n)
        return 1;
    if (line)
        snprintf(place, sizeof place, ":%llu", (unsigned long long)line);
    if (!b->options->replace)
        return err_set(err, "%s%s: byte %zu: invalid UTF-8: 0x%02x", b->name, place, good,
                       (unsigned)(uint8_t)d->text.s[good]);
    d->text.s = repaired(b, d->text.s, &d->text.n);
    return 1;
}

/* Finish the value that json_next() returned t for. */
static enum json_type finish(struct json *j, enum json_type t)
{
    int depth = j->depth - 1;

    if (t != JSON_OBJECT && t != JSON_ARRAY)
        return t;
    do
        t = json_next(j);
    while (t > JSON_END && j->depth > depth);
    return t;
}

static const char no_object[] = "not an object with a string at key";

/* The object of one line.  j is left where an error is; 1, or 0 with *what wrong, NULL for j's own. */
static int parse_object(struct json *j, const struct source_options *o, struct source_doc *d, const char **what)
{
    const char *key = o->key;
    enum json_type t = json_next(j), wrong = JSON_ERROR;
    bool found = false;

    *what = t == JSON_OBJECT ? NULL : no_object;
    if (t != JSON_OBJECT)
        return 0;
    while ((t = json_next(j)) == JSON_KEY) {
        bool is_text = json_is(&j->raw, key), is_id = !is_text && json_is(&j->raw, "id");

        t = json_next(j);
        if (is_text) {
            found = true;
            wrong = t;
        }
        if (t == JSON_STRING && is_text)
            d->text = j->raw;
        else if (is_id)
            d->id = t == JSON_STRING ? j->raw : (struct json_raw){ 0 };
        if (finish(j, t) == JSON_ERROR)
            return 0;
    }
    if (t == JSON_ERROR || json_next(j) != JSON_END)
        return 0;
    if (o->records && wrong != JSON_STRING)
        d->text.s = NULL;
    if ((found && wrong == JSON_STRING) || o->records)
        return 1;
    *what = found ? "not a string: the value of key" : "there is no key";
    return 0;
}

static int json_line(struct source_block *b, struct source_doc *d, struct err *err)
{
    const char *key = b->options->key, *what;
    char place[SOURCE_NAME + 32];
    bool mended = !b->options->replace;
    struct json j;

    for (;;) {
        json_init(&j, d->line, d->line_len);
        if (parse_object(&j, b->options, d, &what))
            return 1;
        if (what || mended)
            break;
        d->line = repaired(b, d->line, &d->line_len);
        repair_surrogates(b->fixed, d->line_len);
        mended = true;
    }
    snprintf(place, sizeof place, "%s:%llu", b->name, (unsigned long long)b->at_line);
    if (!what)
        return json_error(&j, place, err);
    return err_set(err, "%s: %s '%s'%s", place, what, key,
                   what == no_object && b->at_line == 1 ? ": not JSONL; --from txt reads plain text" : "");
}

static bool all_blank(const char *p, size_t n)
{
    while (n && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++, n--;
    return n == 0;
}

static int next_line(struct source_block *b, struct source_doc *d, struct err *err)
{
    while (b->at < b->size) {
        const char *p = b->data + b->at, *nl = memchr(p, '\n', b->size - b->at);
        size_t n = nl ? (size_t)(nl - p) : b->size - b->at;
        int rc = 0;

        b->at += n + 1;
        if (n > b->options->max_doc) {
            rc = err_set(err, "%s: line %llu is above the %llu bytes of --max-doc", b->name,
                         (unsigned long long)b->at_line, (unsigned long long)b->options->max_doc);
        } else if (b->kind == SOURCE_BLOCK_JSONL && !all_blank(p, n)) {
            *d = (struct source_doc){ .json = true, .line = p, .line_len = n };
            rc = json_line(b, d, err);
        } else if (b->kind == SOURCE_BLOCK_LINES) {
            d->text = (struct json_raw){ p, n && nl && p[n - 1] == '\r' ? n - 1 : n, false };
            if (b->options->newline)
                d->text.n = n + !!nl;
            rc = check_text(b, d, b->at_line, err);
        }
        b->at_line++;
        if (rc)
            return rc;
    }
    return 0;
}

int source_next(struct source_block *b, struct source_doc *d, struct err *err)
{
    if (b->kind == SOURCE_BLOCK_JSONL)
        return next_line(b, d, err);
    *d = (struct source_doc){ .id = { b->id, b->id ? strlen(b->id) : 0, false } };
    if (b->kind == SOURCE_BLOCK_LINES)
        return next_line(b, d, err);
    if (b->at)
        return 0;
    b->at = 1;
    if (b->kind == SOURCE_BLOCK_BAD) {
        *err = b->bad;
        return -1;
    }
    d->text = (struct json_raw){ b->data, b->size, false };
    return check_text(b, d, 0, err);
}

size_t source_text(const struct source_doc *d, char *out)
{
    return json_unescape(&d->text, out);
}
