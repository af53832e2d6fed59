/* source_in.h - private to source_*.c: streams of bytes upon one another.  A file or memory lies below, a
 * filter (decompression) or a member of an archive upon it.  Each can be peeked into without loss, which
 * is how kinds are found.
 */
#ifndef LIBCOMMON_DATA_SOURCE_IN_H
#define LIBCOMMON_DATA_SOURCE_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

#define SOURCE_PEEK 4096
#define SOURCE_NAME 512 /* longest name in a message, so that what is wrong fits behind it */

struct source_in {
    /* Up to n >= 1 bytes: how many; 0 at the end, -1 on error. */
    int64_t (*fill)(struct source_in *in, void *buf, size_t n, struct err *err);
    /* As lseek(2), or NULL. */
    int64_t (*seek)(struct source_in *in, int64_t offset, int whence);
    void (*close)(struct source_in *in); /* frees it and what lies below it and is its own */
    const char *name;                    /* for messages; borrowed */
    uint64_t offset;                     /* bytes given out, what was only peeked at left out */
    size_t held_at, held_n;
    uint8_t held[SOURCE_PEEK];
};

/* NULL on error.  path "-" is standard input; *size its bytes, 0 when not known. */
struct source_in *source_in_open(const char *path, uint64_t *size, struct err *err);
struct source_in *source_in_memory(const void *data, size_t n, const char *name);
void source_in_close(struct source_in *in); /* NULL is fine */

/* Up to n bytes: how many, 0 at the end, -1 on error. */
int64_t source_in_read(struct source_in *in, void *buf, size_t n, struct err *err);
/* The next bytes, left where they are: *p and how many, SOURCE_PEEK of them or all there are; -1 on error. */
int64_t source_in_peek(struct source_in *in, const uint8_t **p, struct err *err);
/* Seek and forget what is held; -1 where that cannot be. */
int64_t source_in_seek(struct source_in *in, int64_t offset, int whence);

/* Put the decompressor upon *in that its first bytes ask for; *in is replaced where there is one, and the
 * new one owns the old.  1: so done; 0: not compressed; -1: error. */
int source_filter(struct source_in **in, bool long_window, struct err *err);
/* Is this the beginning of compressed data, and of which kind?  NULL: of none. */
const char *source_filter_name(const uint8_t *p, size_t n);

struct source_archive;

/* The kind of archive that begins so, or NULL. */
const char *source_archive_name(const uint8_t *p, size_t n);
/* Read `in`, which begins as an archive and stays the caller's, as one.  NULL on error. */
struct source_archive *source_archive_open(struct source_in *in, struct err *err);
void source_archive_close(struct source_archive *a);
/* 1: the next regular member, its name (borrowed, bytes as they are) and its data; both end with the next
 * call; 0: the end, checked to be the archive's own; -1: error. */
int source_archive_next(struct source_archive *a, const char **name, struct source_in **data, struct err *err);

#endif
