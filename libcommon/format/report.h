/* report.h - what a program found out: keys and values, printed as lines or as a JSON object.
 *
 * A struct report owns copies of all it is given; zero it first.  Values may be any bytes: control
 * characters are printed as \xNN in lines, what is not UTF-8 is U+FFFD in JSON.
 */
#ifndef LIBCOMMON_FORMAT_REPORT_H
#define LIBCOMMON_FORMAT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/io.h"

struct report {
    struct report_field {
        const char *key, *text, *json; /* key: a word that outlives the report */
        bool many;                     /* in JSON an array, with its neighbours of the same key */
    } *field;
    size_t n, cap;
    struct arena arena;
};

void report_string(struct report *r, const char *key, const char *s);
void report_number(struct report *r, const char *key, uint64_t v);
/* One of many values of n bytes; report_json() leaves them unquoted where they are JSON themselves. */
void report_item(struct report *r, const char *key, const char *s, size_t n);
void report_json(struct report *r, const char *key, const char *s, size_t n);
/* One of many pairs: "a b", in JSON ["a","b"].  a has n bytes. */
void report_pair(struct report *r, const char *key, const char *a, size_t n, const char *b);

/* The number of lines of a text, which must be UTF-8: else -1, with its place. */
int report_text(struct report *r, const void *text, size_t n, const char *name, struct err *err);

/* Strings that live as long as the report. */
const char *report_printf(struct report *r, const char *fmt, ...) ERR_PRINTF(2, 3);
const char *report_hex(struct report *r, const uint8_t *p, size_t n);

/* Lines "key<TAB>value", or one line with an object. */
int report_write(const struct report *r, bool json, struct io_out *o, struct err *err);
void report_release(struct report *r);

#endif
