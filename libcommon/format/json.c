#include "libcommon/format/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

enum state {
    VALUE,        /* a value is due */
    VALUE_OR_END, /* behind '[' */
    KEY,          /* behind ',' in an object */
    KEY_OR_END,   /* behind '{' */
    AFTER,        /* a value is complete */
    DONE,
    FAILED,
};

void json_init(struct json *j, const void *data, size_t n)
{
    size_t valid = utf8_valid(data, n);

    /* the text ends for us where UTF-8 does; fail() tells the two ends apart */
    j->start = j->p = data ? data : "";
    j->end = j->start + valid;
    j->cut = valid < n;
    j->raw = (struct json_raw){ 0 };
    j->depth = 0;
    j->state = VALUE;
    j->error = NULL;
}

static enum json_type fail(struct json *j, const char *at, const char *what)
{
    j->p = at;
    j->state = FAILED;
    j->error = at < j->end ? what : j->cut ? "invalid UTF-8" : "unexpected end";
    return JSON_ERROR;
}

static bool at(const struct json *j, char c)
{
    return j->p < j->end && *j->p == c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct json *j)
{
    const char *p = j->p;

    while (p < j->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    j->p = p;
}

static enum json_type open(struct json *j, bool object)
{
    uint64_t bit = (uint64_t)1 << (j->depth & 63), *word = &j->kinds[j->depth >> 6];

    if (j->depth == JSON_DEPTH) /* kinds[] ends here */
        return fail(j, j->p, "nested too deep (512 levels at most)");
    *word = object ? *word | bit : *word & ~bit;
    j->depth++;
    j->p++;
    j->state = object ? KEY_OR_END : VALUE_OR_END;
    return object ? JSON_OBJECT : JSON_ARRAY;
}

static bool in_object(const struct json *j)
{
    int level = j->depth - 1;

    return j->kinds[level >> 6] >> (level & 63) & 1;
}

static enum json_type close(struct json *j)
{
    bool object = in_object(j);

    j->depth--;
    j->p++;
    j->state = AFTER;
    return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

/* Value of n hexadecimal digits at p, or -1. */
static int32_t hex(const char *p, const char *end, int n)
{
    int32_t v = 0;

    if (end - p < n)
        return -1;
    for (int i = 0; i < n; i++) {
        char c = p[i];
        int d = is_digit(c)            ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* What stands behind a backslash to what it means. */
static const char short_escapes[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t',
};

/* The escape \u at p: as escape(). */
static int32_t unicode_escape(const char *p, const char *end, size_t *len)
{
    int32_t high = hex(p + 2, end, 4), low;

    *len = 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return -1;
    low = hex(p + 8, end, 4);
    *len = 12;
    return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
}

/* The escape at p (its backslash): the code point, *len bytes of it; or -1 where it is not one. */
static inline int32_t escape(const char *p, const char *end, size_t *len)
{
    char value;

    if (end - p < 2)
        return -1;
    value = short_escapes[(unsigned char)p[1]];
    *len = 2;
    return value ? value : p[1] == 'u' ? unicode_escape(p, end, len) : -1;
}

/* json_scan() for what is short, as most strings are: so far, or up to where it needs attention. */
static inline const char *scan_short(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;

    for (int i = 0; i < 2 && end - p >= 8; i++, p += 8) {
        uint64_t w, quote, slash, found;

        memcpy(&w, p, 8);
        quote = w ^ ones * '"';
        slash = w ^ ones * '\\';
        /* exact up to the first */
        found = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((w - ones * 0x20) & ~w)) & high;
        if (found)
            return p + __builtin_ctzll(found) / 8;
    }
    return p + json_scan(p, (size_t)(end - p));
}

/* The string whose opening quote is at j->p, into j->raw. */
static inline bool string(struct json *j)
{
    const char *s = j->p + 1, *p = s;
    bool escaped = false;
    size_t len;

    for (;;) {
        p = scan_short(p, j->end);
        if (p == j->end || (*p != '"' && *p != '\\')) {
            fail(j, p, "control character in a string");
            return false;
        }
        if (*p == '"')
            break;
        if (escape(p, j->end, &len) < 0) {
            fail(j, p, "bad escape, or half of a surrogate pair");
            return false;
        }
        escaped = true;
        p += len;
    }
    j->raw = (struct json_raw){ s, (size_t)(p - s), escaped };
    j->p = p + 1;
    return true;
}

static enum json_type key(struct json *j)
{
    if (!at(j, '"'))
        return fail(j, j->p, "expected a key in quotes");
    if (!string(j))
        return JSON_ERROR;
    skip_space(j);
    if (!at(j, ':'))
        return fail(j, j->p, "expected ':' behind a key");
    j->p++;
    j->state = VALUE;
    return JSON_KEY;
}

/* Past the digits at p, or NULL where there is none. */
static const char *digits(const char *p, const char *end)
{
    const char *s = p;

    while (p < end && is_digit(*p))
        p++;
    return p > s ? p : NULL;
}

static enum json_type number(struct json *j)
{
    const char *s = j->p, *p = s, *end = j->end, *q;

    if (*p == '-')
        p++;
    q = p < end && *p == '0' ? p + 1 : digits(p, end);
    if (q && q < end && *q == '.')
        q = digits(p = q + 1, end);
    if (q && q < end && (*q | 0x20) == 'e') {
        p = q + 1;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        q = digits(p, end);
    }
    if (!q)
        return fail(j, p, "bad number: a digit is missing");
    j->raw = (struct json_raw){ s, (size_t)(q - s), false };
    j->p = q;
    j->state = AFTER;
    return JSON_NUMBER;
}

static enum json_type literal(struct json *j, const char *word, size_t n, enum json_type type)
{
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
        return fail(j, j->p, "expected a value");
    j->p += n;
    j->state = AFTER;
    return type;
}

static enum json_type value(struct json *j)
{
    if (j->p == j->end)
        return fail(j, j->p, NULL);
    switch (*j->p) {
    case '"':
        if (!string(j))
            return JSON_ERROR;
        j->state = AFTER;
        return JSON_STRING;
    case '{':
    case '[':
        return open(j, *j->p == '{');
    case 't':
        return literal(j, "true", 4, JSON_TRUE);
    case 'f':
        return literal(j, "false", 5, JSON_FALSE);
    case 'n':
        return literal(j, "null", 4, JSON_NULL);
    default:
        if (*j->p == '-' || is_digit(*j->p))
            return number(j);
        return fail(j, j->p, "expected a value");
    }
}

enum json_type json_next(struct json *j)
{
    if (j->state >= DONE)
        return j->state == DONE ? JSON_END : JSON_ERROR;
    skip_space(j);
    if (j->state == AFTER && !j->depth) {
        if (j->p < j->end || j->cut)
            return fail(j, j->p, "text behind the value");
        j->state = DONE;
        return JSON_END;
    }
    if (j->state == AFTER) {
        bool object = in_object(j);

        if (at(j, object ? '}' : ']'))
            return close(j);
        if (!at(j, ','))
            return fail(j, j->p, object ? "expected ',' or '}'" : "expected ',' or ']'");
        j->p++;
        skip_space(j);
        return object ? key(j) : value(j);
    }
    if (j->state == KEY_OR_END)
        return at(j, '}') ? close(j) : key(j);
    return j->state == VALUE_OR_END && at(j, ']') ? close(j) : value(j);
}

/* Past the whole number or string at j->p; false: it is something else, or wrong. */
static bool skip_plain(struct json *j)
{
    const char *p = j->p;

    if (at(j, '"'))
        return string(j);
    while (p < j->end && is_digit(*p))
        p++;
    if (p == j->p || p == j->end || *p == '.' || (*p | 0x20) == 'e' || (*j->p == '0' && p > j->p + 1))
        return false;
    j->p = p;
    return true;
}

/* ',' and a plain value behind it, with its key in an object. */
static bool skip_member(struct json *j, bool object)
{
    skip_space(j);
    if (!at(j, ','))
        return false;
    j->p++;
    skip_space(j);
    if (object) {
        if (!at(j, '"') || !string(j))
            return false;
        skip_space(j);
        if (!at(j, ':'))
            return false;
        j->p++;
        skip_space(j);
    }
    return skip_plain(j);
}

/* Behind a value: past those that follow it in its object or array, as far as they are plain. */
static void skip_members(struct json *j)
{
    bool object = in_object(j);
    const char *start;

    do
        start = j->p;
    while (skip_member(j, object));
    if (j->state == AFTER)
        j->p = start;
}

int json_skip(struct json *j)
{
    int depth = j->depth;
    enum json_type t;

    do {
        t = json_next(j);
        if (j->state == AFTER && j->depth > depth)
            skip_members(j);
    } while (t > JSON_END && (j->depth > depth || t == JSON_KEY));
    return t == JSON_ERROR ? -1 : 0;
}

int json_error(const struct json *j, const char *name, struct err *err)
{
    long line = 1;

    for (const char *p = j->start; p < j->p; p++)
        line += *p == '\n';
    if (memchr(j->start, '\n', (size_t)(j->end - j->start)))
        return err_set(err, "%s:%ld: byte %td: %s", name, line, j->p - j->start, j->error);
    return err_set(err, "%s: byte %td: %s", name, j->p - j->start, j->error);
}

/* Copy up to the next backslash, or the end; that place.  As many bytes as are left of the string can be written. */
static inline const char *copy_plain(const char *p, const char *end, char **out)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    char *o = *out;

    for (; end - p >= 8; p += 8, o += 8) {
        uint64_t w, slash, found;

        memcpy(&w, p, 8);
        memcpy(o, &w, 8);
        slash = w ^ ones * '\\';
        found = (slash - ones) & ~slash & high; /* exact up to the first */
        if (found) {
            *out = o + __builtin_ctzll(found) / 8;
            return p + __builtin_ctzll(found) / 8;
        }
    }
    while (p < end && *p != '\\')
        *o++ = *p++;
    *out = o;
    return p;
}

size_t json_unescape(const struct json_raw *r, char *out)
{
    const char *p = r->s, *end = p + r->n;
    char *o = out;
    size_t len;

    if (!r->escaped) {
        if (r->n)
            memcpy(out, r->s, r->n);
        return r->n;
    }
    while ((p = copy_plain(p, end, &o)) < end) {
        int32_t cp = escape(p, end, &len);

        if (cp < 0x80)
            *o++ = (char)cp;
        else
            o += utf8_encode((uint32_t)cp, o);
        p += len;
    }
    return (size_t)(o - out);
}

bool json_is(const struct json_raw *r, const char *s)
{
    size_t n = strlen(s);
    char *text;
    bool same;

    if (!r->escaped)
        return r->n == n && memcmp(r->s, s, n) == 0;
    if (r->n > 6 * n) /* \u0041 is the longest spelling of a byte */
        return false;
    text = xmalloc(r->n);
    same = json_unescape(r, text) == n && memcmp(text, s, n) == 0;
    free(text);
    return same;
}

double json_double(const struct json_raw *r)
{
    char small[64], *text = r->n < sizeof small ? small : xmalloc(r->n + 1);
    double v;

    memcpy(text, r->s, r->n);
    text[r->n] = 0;
    v = strtod(text, NULL);
    if (text != small)
        free(text);
    return v;
}

bool json_int64(const struct json_raw *r, int64_t *out)
{
    bool negative = r->n && r->s[0] == '-';
    int64_t v = 0;

    for (size_t i = negative; i < r->n; i++) {
        int d = r->s[i] - '0';

        if (!is_digit(r->s[i]) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, negative ? -d : d, &v))
            return false;
    }
    *out = v;
    return true;
}

/* Of the bytes that json_scan() stops at, what follows the backslash; 0: "u00" and two digits. */
static const char letters['\\' + 1] = { ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't' };

/* The escape of such a byte; its length, 2 or 6. */
static size_t put_escape(unsigned char c, char *out)
{
    static const char hexdigits[] = "0123456789abcdef";

    if (letters[c]) {
        out[0] = '\\';
        out[1] = letters[c];
        return 2;
    }
    memcpy(out, "\\u00", 4);
    out[4] = hexdigits[c >> 4];
    out[5] = hexdigits[c & 15];
    return 6;
}

/* Length of it with its quotes. */
static size_t quoted_size(const char *s, size_t n)
{
    size_t len = n + 2;

    for (const char *end = s + n; s < end && (s += json_scan(s, (size_t)(end - s))) < end; s++)
        len += letters[(unsigned char)*s] ? 1 : 5;
    return len;
}

size_t json_quote(const char *s, size_t n, char *out)
{
    const char *end = s + n;
    char *o = out;

    if (!out)
        return quoted_size(s, n);
    *o++ = '"';
    while (s < end) {
        size_t run = json_scan(s, (size_t)(end - s));

        o = (char *)memcpy(o, s, run) + run;
        s += run;
        if (s < end)
            o += put_escape((unsigned char)*s++, o);
    }
    *o++ = '"';
    return (size_t)(o - out);
}

int json_put_string(struct io_out *o, const char *s, size_t n, struct err *err)
{
    const char *end = s + n;
    char escape[6];

    if (io_put(o, "\"", 1, err) < 0)
        return -1;
    while (s < end) {
        size_t run = json_scan(s, (size_t)(end - s)), k = s + run < end ? put_escape((unsigned char)s[run], escape) : 0;

        if (io_put(o, s, run, err) < 0 || io_put(o, escape, k, err) < 0)
            return -1;
        s += run + (k > 0);
    }
    return io_put(o, "\"", 1, err);
}
