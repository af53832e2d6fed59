/* The zip directory: everything torch writes, and nothing else.  No compression, no encryption, one disk. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/weights/torchzip_file.h"

enum { END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30, COMMENT = 65535 };
#define MAX32 0xffffffffu

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

struct directory {
    uint64_t at, size, count;
};

/* The end record stands before a comment that reaches the end of the file. */
static const uint8_t *find_end(const struct torchzip *z)
{
    for (size_t i = 0; i <= COMMENT && END + i <= z->size; i++) {
        const uint8_t *p = z->data + z->size - END - i;

        if (memcmp(p, "PK\5\6", 4) == 0 && number(p + 20, 2) == i)
            return p;
    }
    return NULL;
}

static int find_directory(const struct torchzip *z, struct directory *d, struct err *err)
{
    const uint8_t *end = find_end(z), *wide;
    uint64_t at, stop;

    if (!end)
        return err_set(err, "%s: byte %zu: the zip has no end record: a cut file", z->name, z->size);
    *d = (struct directory){ number(end + 16, 4), number(end + 12, 4), number(end + 10, 2) };
    stop = (uint64_t)(end - z->data);
    if (number(end + 4, 2) || number(end + 6, 2))
        return err_set(err, "%s: byte %llu: a zip of several disks", z->name, (unsigned long long)stop);
    if (stop >= LOCATOR && memcmp(end - LOCATOR, "PK\6\7", 4) == 0) {
        at = number(end - LOCATOR + 8, 8);
        stop -= LOCATOR;
        if (at > stop || stop - at < END64 || memcmp(z->data + at, "PK\6\6", 4) != 0)
            return err_set(err, "%s: byte %llu: no zip64 end record at %llu", z->name, (unsigned long long)stop,
                           (unsigned long long)at);
        wide = z->data + at;
        stop = at;
        if ((d->at != MAX32 && d->at != number(wide + 48, 8)) || (d->size != MAX32 && d->size != number(wide + 40, 8)) ||
            (d->count != 0xffff && d->count != number(wide + 32, 8)))
            return err_set(err, "%s: byte %llu: the zip's two end records disagree", z->name, (unsigned long long)at);
        *d = (struct directory){ number(wide + 48, 8), number(wide + 40, 8), number(wide + 32, 8) };
    }
    if (d->at > stop || d->size > stop - d->at || d->count > d->size / CENTRAL)
        return err_set(err, "%s: byte %llu: a directory of %llu records in %llu bytes at %llu", z->name, (unsigned long long)stop,
                       (unsigned long long)d->count, (unsigned long long)d->size, (unsigned long long)d->at);
    return 0;
}

/* Sizes and place that did not fit 32 bits stand in extra field 1, in this order. */
static int wide_fields(const uint8_t *x, size_t n, uint64_t *field[3])
{
    bool any = false;

    for (int i = 0; i < 3; i++)
        any |= *field[i] == MAX32;
    for (size_t len; any && n >= 4; x += 4 + len, n -= 4 + len) {
        len = number(x + 2, 2);
        if (len > n - 4)
            return -1;
        if (number(x, 2) != 1)
            continue;
        for (size_t i = 0, at = 0; i < 3; i++)
            if (*field[i] == MAX32) {
                if (at + 8 > len)
                    return -1;
                *field[i] = number(x + 4 + at, 8);
                at += 8;
            }
        return 0;
    }
    return any ? -1 : 0;
}

static bool safe_name(const char *s, size_t n)
{
    return n && s[0] != '/' && memchr(s, '/', n) && !memchr(s, 0, n) && !memmem(s, n, "..", 2);
}

/* The record's own header agrees, and its data end before the directory. */
static int place(const struct torchzip *z, struct torchzip_record *r, const struct directory *d, struct err *err)
{
    const uint8_t *h = z->data + r->header;
    uint64_t room = r->header <= d->at ? d->at - r->header : 0, head;

    if (room < LOCAL || memcmp(h, "PK\3\4", 4) != 0)
        return err_set(err, "%s: byte %llu: no header of record %.*s is there", z->name, (unsigned long long)r->header,
                       (int)r->name_n, r->name);
    head = LOCAL + number(h + 26, 2) + number(h + 28, 2);
    if (head > room || number(h + 26, 2) != r->name_n || memcmp(h + LOCAL, r->name, r->name_n) != 0)
        return err_set(err, "%s: byte %llu: the header of record %.*s has another name", z->name, (unsigned long long)r->header,
                       (int)r->name_n, r->name);
    if (r->size > room - head)
        return err_set(err, "%s: byte %llu: record %.*s has %llu bytes, %llu are there", z->name, (unsigned long long)r->header,
                       (int)r->name_n, r->name, (unsigned long long)r->size, (unsigned long long)(room - head));
    r->offset = r->header + head;
    return 0;
}

/* One entry of the directory; its length, or -1. */
static int64_t read_entry(const struct torchzip *z, struct torchzip_record *r, const struct directory *d, uint64_t at, struct err *err)
{
    const uint8_t *p = z->data + at;
    uint64_t left = d->at + d->size - at, name_n, extra_n, whole = 0, packed;
    uint64_t *wide[3] = { &r->size, &packed, &r->header };

    if (left >= CENTRAL)
        whole = CENTRAL + number(p + 28, 2) + number(p + 30, 2) + number(p + 32, 2);
    if (left < CENTRAL || memcmp(p, "PK\1\2", 4) != 0 || whole > left)
        return err_set(err, "%s: byte %llu: no entry of the zip's directory is there", z->name, (unsigned long long)at);
    name_n = number(p + 28, 2);
    extra_n = number(p + 30, 2);
    *r = (struct torchzip_record){ .name = (const char *)p + CENTRAL,
                                   .name_n = name_n,
                                   .size = number(p + 24, 4),
                                   .header = number(p + 42, 4),
                                   .crc = (uint32_t)number(p + 16, 4) };
    packed = number(p + 20, 4);
    if (!safe_name(r->name, r->name_n))
        return err_set(err, "%s: byte %llu: record \"%.*s\" is not ROOT/NAME", z->name, (unsigned long long)at,
                       name_n < 200 ? (int)name_n : 200, r->name);
    if (number(p + 8, 2) & 1 || number(p + 10, 2) != 0)
        return err_set(err, "%s: byte %llu: record %.*s is compressed or encrypted", z->name, (unsigned long long)at, (int)name_n, r->name);
    if (wide_fields(p + CENTRAL + name_n, extra_n, wide) < 0 || packed != r->size)
        return err_set(err, "%s: byte %llu: record %.*s: its sizes are not told", z->name, (unsigned long long)at, (int)name_n, r->name);
    return place(z, r, d, err) < 0 ? -1 : (int64_t)whole;
}

static int by_name(const void *a, const void *b)
{
    const struct torchzip_record *x = a, *y = b;
    int order = memcmp(x->name, y->name, x->name_n < y->name_n ? x->name_n : y->name_n);

    return order ? order : (x->name_n > y->name_n) - (x->name_n < y->name_n);
}

static int by_place(const void *a, const void *b)
{
    const struct torchzip_record *x = a, *y = b;

    return (x->header > y->header) - (x->header < y->header);
}

/* No bytes are in two records, no name comes twice, all lie below one root. */
static int check_records(struct torchzip *z, struct err *err)
{
    struct torchzip_record *r = z->record;
    size_t root = (size_t)((const char *)memchr(r->name, '/', r->name_n) - r->name) + 1;

    qsort(r, (size_t)z->n_records, sizeof *r, by_place);
    for (int i = 1; i < z->n_records; i++)
        if (r[i].header < r[i - 1].offset + r[i - 1].size)
            return err_set(err, "%s: byte %llu: record %.*s lies within another", z->name, (unsigned long long)r[i].header,
                           (int)r[i].name_n, r[i].name);
    qsort(r, (size_t)z->n_records, sizeof *r, by_name);
    for (int i = 1; i < z->n_records; i++) {
        if (by_name(&r[i - 1], &r[i]) == 0)
            return err_set(err, "%s: record %.*s twice", z->name, (int)r[i].name_n, r[i].name);
        if (r[i].name_n < root || memcmp(r[i].name, r[0].name, root) != 0)
            return err_set(err, "%s: records %.*s and %.*s are of two roots", z->name, (int)r[0].name_n, r[0].name,
                           (int)r[i].name_n, r[i].name);
    }
    return 0;
}

int torchzip_records(struct torchzip *z, struct err *err)
{
    struct directory d = { 0 };
    uint64_t at;

    if (find_directory(z, &d, err) < 0)
        return -1;
    if (!d.count)
        return err_set(err, "%s: an empty zip", z->name);
    z->record = arena_calloc(&z->arena, d.count, sizeof *z->record);
    at = d.at;
    for (uint64_t i = 0; i < d.count; i++) {
        int64_t n = read_entry(z, &z->record[i], &d, at, err);

        if (n < 0)
            return -1;
        at += (uint64_t)n;
        z->n_records++;
    }
    if (at != d.at + d.size)
        return err_set(err, "%s: byte %llu: more than the %llu records of the directory", z->name, (unsigned long long)at,
                       (unsigned long long)d.count);
    return check_records(z, err);
}

const struct torchzip_record *torchzip_record(const struct torchzip *z, const char *name, size_t n)
{
    const char *first = z->record[0].name;
    size_t root = (size_t)((const char *)memchr(first, '/', z->record[0].name_n) - first) + 1;
    int low = 0, high = z->n_records - 1;

    while (low <= high) {
        int mid = low + (high - low) / 2;
        const struct torchzip_record *r = &z->record[mid];
        size_t rest = r->name_n - root;
        int order = memcmp(name, r->name + root, n < rest ? n : rest);

        if (!order && n == rest)
            return r;
        if (order < 0 || (!order && n < rest))
            high = mid - 1;
        else
            low = mid + 1;
    }
    return NULL;
}

int torchzip_record_check(const struct torchzip *z, const struct torchzip_record *r, struct err *err)
{
    uint32_t crc = hash_crc32(0, z->data + r->offset, r->size);

    if (r->crc && crc != r->crc)
        return err_set(err, "%s: byte %llu: record %.*s: checksum %08x, %08x is due", z->name, (unsigned long long)r->offset,
                       (int)r->name_n, r->name, (unsigned)crc, (unsigned)r->crc);
    return 0;
}
