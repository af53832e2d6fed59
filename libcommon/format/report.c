#include "libcommon/format/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/format/json.h"

const char *report_printf(struct report *r, const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    s = arena_calloc(&r->arena, n < 0 ? 1 : (size_t)n + 1, 1);
    va_start(ap, fmt);
    if (n > 0)
        vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

const char *report_hex(struct report *r, const uint8_t *p, size_t n)
{
    char *s = arena_calloc(&r->arena, 2, n + 1);

    for (size_t i = 0; i < n; i++)
        snprintf(s + 2 * i, 3, "%02x", p[i]);
    return s;
}

/* A quoted JSON string of any bytes: what is not UTF-8 becomes U+FFFD. */
static const char *quote(struct report *r, const char *s, size_t n)
{
    char *out = arena_alloc(&r->arena, 6 * n + 3), *o = out;

    *o++ = '"';
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        int len = utf8_decode(s + i, n - i, &cp);

        if (!len)
            cp = 0xfffd;
        if (cp == '"' || cp == '\\')
            *o++ = '\\';
        o += cp < 0x20 ? snprintf(o, 7, "\\u%04x", cp) : utf8_encode(cp, o);
        i += (size_t)(len ? len : 1);
    }
    memcpy(o, "\"", 2);
    return out;
}

static void put(struct report *r, struct report_field f)
{
    mem_grow(&r->field, &r->cap, r->n + 1, sizeof f);
    r->field[r->n++] = f;
}

void report_string(struct report *r, const char *key, const char *s)
{
    put(r, (struct report_field){ key, report_printf(r, "%s", s), quote(r, s, strlen(s)), false });
}

void report_number(struct report *r, const char *key, uint64_t v)
{
    const char *s = report_printf(r, "%" PRIu64, v);

    put(r, (struct report_field){ key, s, s, false });
}

void report_json(struct report *r, const char *key, const char *s, size_t n)
{
    const char *text = arena_strndup(&r->arena, s, n);
    struct json j;

    json_init(&j, s, n);
    put(r, (struct report_field){ key, text, json_skip(&j) == 0 && json_next(&j) == JSON_END ? text : quote(r, s, n), true });
}

void report_item(struct report *r, const char *key, const char *s, size_t n)
{
    put(r, (struct report_field){ key, arena_strndup(&r->arena, s, n), quote(r, s, n), true });
}

void report_pair(struct report *r, const char *key, const char *a, size_t n, const char *b)
{
    put(r, (struct report_field){ key, report_printf(r, "%.*s %s", (int)n, a, b),
                                 report_printf(r, "[%s,%s]", quote(r, a, n), quote(r, b, strlen(b))), true });
}

int report_text(struct report *r, const void *text, size_t n, const char *name, struct err *err)
{
    const char *s = text, *end = s + n;
    size_t valid = utf8_valid(text, n);
    uint64_t lines = 0;

    if (valid < n)
        return err_set(err, "%s: byte %zu: invalid UTF-8 (%02x)", name, valid, (unsigned)(uint8_t)s[valid]);
    for (; s < end; lines++) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));

        s = nl ? nl + 1 : end;
    }
    report_number(r, "lines", lines);
    return 0;
}

static int write_text(struct io_out *o, const char *s, struct err *err)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == 0x7f ? io_printf(o, err, "\\x%02x", c) < 0 : io_put(o, s, 1, err) < 0)
            return -1;
    }
    return 0;
}

static int write_lines(const struct report *r, struct io_out *o, struct err *err)
{
    for (size_t i = 0; i < r->n; i++)
        if (io_printf(o, err, "%s\t", r->field[i].key) < 0 || write_text(o, r->field[i].text, err) < 0 ||
            io_put(o, "\n", 1, err) < 0)
            return -1;
    return 0;
}

static int write_object(const struct report *r, struct io_out *o, struct err *err)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct report_field *f = &r->field[i];
        bool begins = !f->many || !i || strcmp(f->key, f[-1].key) != 0;
        bool ends = f->many && (i + 1 == r->n || strcmp(f->key, f[1].key) != 0);

        if (io_put(o, i ? "," : "{", 1, err) < 0 ||
            (begins && io_printf(o, err, "\"%s\":%s", f->key, f->many ? "[" : "") < 0) ||
            io_put(o, f->json, strlen(f->json), err) < 0 || (ends && io_put(o, "]", 1, err) < 0))
            return -1;
    }
    return io_put(o, "}\n", 2, err);
}

int report_write(const struct report *r, bool json, struct io_out *o, struct err *err)
{
    return json ? write_object(r, o, err) : write_lines(r, o, err);
}

void report_release(struct report *r)
{
    free(r->field);
    arena_release(&r->arena);
    memset(r, 0, sizeof *r);
}
