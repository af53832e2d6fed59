/* json.h - a strict JSON reader (RFC 8259), and the escaping that writers need.
 *
 * struct json is a pull parser over bytes in memory: no allocation, no recursion (depth is bounded by
 * JSON_DEPTH), every byte untrusted.  struct json_value is a tree built with it in an arena, for small
 * documents (config.json).  Strict: UTF-8 is checked, no BOM, no trailing commas or garbage, no
 * control characters in strings, lone surrogates are errors.  Duplicate keys: the pull parser shows
 * both; in a tree the last one wins, as in Python.
 */
#ifndef LIBCOMMON_FORMAT_JSON_H
#define LIBCOMMON_FORMAT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/io.h"

#define JSON_DEPTH 512

enum json_type {
    JSON_ERROR = -1,
    JSON_END, /* the document is complete */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

/* A string as it stands between the quotes, still escaped when `escaped`.  Borrowed from the input. */
struct json_raw {
    const char *s;
    size_t n;
    bool escaped;
};

struct json {
    const char *start, *p, *end;
    struct json_raw raw; /* of the last KEY, STRING; of a NUMBER its text */
    int depth, state;
    bool cut; /* UTF-8 goes wrong at end, which is before the end of the data */
    uint64_t kinds[JSON_DEPTH / 64]; /* a bit a level: object or array */
    const char *error;               /* what is wrong, after JSON_ERROR; at p */
};

/* Start on n bytes, which stay the caller's.  The last byte need not be NUL. */
void json_init(struct json *j, const void *data, size_t n);

/* The next event.  After JSON_ERROR or JSON_END it repeats. */
enum json_type json_next(struct json *j);

/* After JSON_KEY, or where a value is due: consume that whole value; -1 on error. */
int json_skip(struct json *j);

/* "name: byte OFFSET: what" (line too when the text has more than one); returns -1. */
int json_error(const struct json *j, const char *name, struct err *err);

/* Does the last KEY or STRING equal s? */
bool json_is(const struct json_raw *r, const char *s);

/* Unescape into out, which has room for r->n bytes; returns the length.  Never fails on a raw string
 * that json_next() accepted. */
size_t json_unescape(const struct json_raw *r, char *out);

/* The last NUMBER: as a double; as an integer, false when it has a fraction, an exponent or no room. */
double json_double(const struct json_raw *r);
bool json_int64(const struct json_raw *r, int64_t *out);

/* Where does the string that begins at p (behind the quote) need attention: the offset of the first
 * quote, backslash or byte below 0x20, or n.  The fast scan of JSONL; SIMD beside a portable twin. */
size_t json_scan(const char *p, size_t n);
size_t json_scan_portable(const char *p, size_t n);

struct json_value {
    enum json_type type; /* OBJECT, ARRAY, STRING, NUMBER, TRUE, FALSE, NULL */
    const char *key;     /* of an object's member, NUL-ended, may hold NULs; else NULL */
    size_t key_len;
    const char *str; /* STRING: unescaped; NUMBER: its text; NUL-ended */
    size_t len;
    double num;
    struct json_value *child, *next; /* first member or element; next sibling */
    int n;                           /* number of children */
};

/* Parse a whole document into a tree that lives in the arena.  NULL on error. */
struct json_value *json_tree(struct arena *a, const void *data, size_t n, const char *name, struct err *err);

/* Member of an object by name (the last one), or NULL; v may be NULL or of another type. */
const struct json_value *json_get(const struct json_value *v, const char *key);
/* Element i of an array, or NULL. */
const struct json_value *json_at(const struct json_value *v, int i);

/* Typed reads of a member: absent or null gives dflt (0); another type or range is an error (-1) whose
 * message names the key and the value's text.  name is the file's. */
int json_get_int(const struct json_value *v, const char *key, int64_t dflt, int64_t *out, const char *name, struct err *err);
int json_get_double(const struct json_value *v, const char *key, double dflt, double *out, const char *name, struct err *err);
int json_get_bool(const struct json_value *v, const char *key, bool dflt, bool *out, const char *name, struct err *err);
/* *out is borrowed from the tree. */
int json_get_str(const struct json_value *v, const char *key, const char *dflt, const char **out, const char *name, struct err *err);

/* Bytes (valid UTF-8) as a quoted JSON string, non-ASCII as it is, to out; its length.  out NULL: only that. */
size_t json_quote(const char *s, size_t n, char *out);
/* The same to a file. */
int json_put_string(struct io_out *o, const char *s, size_t n, struct err *err);

/* Write a tree: two blanks a level, a newline at the end; numbers as they were spelled. */
int json_put_value(struct io_out *o, const struct json_value *v, struct err *err);

/* What a document, or one a line, holds (report.h): the members of the outermost object, of the first
 * line's; the number of lines that are not blank.  All of it is checked. */
struct report;
int json_report(const void *data, size_t n, const char *name, struct report *r, struct err *err);
int json_report_lines(const void *data, size_t n, const char *name, struct report *r, struct err *err);

/* What a file is: one document, one a line, or neither.  What is named .json or .jsonl, and what begins with '{' and on
 * the same line '"' or '}', may be damaged; else all of it has to be right, for texts begin with brackets too. */
enum json_form { JSON_NO_FORM, JSON_DOCUMENT, JSON_LINES };
enum json_form json_form(const void *data, size_t n, const char *name);

/* Does the outermost object have such a member?  What comes behind it is not looked at. */
bool json_has_key(const void *data, size_t n, const char *key);

#endif
