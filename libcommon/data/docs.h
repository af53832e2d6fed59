/* docs.h - documents of a source through many threads, results in the order of the input.
 *
 * source -> take() on every document, many blocks at once -> write() block by block in order.  A bad document,
 * one that cannot be read or that take() refuses, ends the run once what stands before it is written, or, with
 * .skip, is counted, told to bad() and left out.
 */
#ifndef LIBCOMMON_DATA_DOCS_H
#define LIBCOMMON_DATA_DOCS_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/io.h"
#include "libcommon/data/source.h"

#define DOCS_REPORTED 20 /* bad documents told; the others are only counted */

struct docs {
    struct source *source;
    int jobs;
    bool skip;
    void *ctx;
    size_t work_size; /* of what the caller keeps for a block in flight, zeroed before its first use */
    /* A block begins: empty the work.  Any thread.  NULL: nothing to do. */
    void (*begin)(void *ctx, void *work);
    /* A document into the work, or -1: it is bad; its place is put in front of the message.  Any thread;
     * `thread` is 0..jobs-1. */
    int (*take)(void *ctx, void *work, const struct source_block *b, const struct source_doc *d, int thread,
                struct err *err);
    /* A block's work is done: write it.  One at a time, in order.  NULL: nothing to do. */
    int (*write)(void *ctx, void *work, const struct source_block *b, struct err *err);
    void (*bad)(void *ctx, const char *message); /* in order, too */
    void (*release)(void *work);                 /* what the work holds; the work itself is not the caller's */
    struct io_progress *progress;
    uint64_t done, left_out; /* documents taken, and bad ones; filled by docs_run */
};

/* 0, or -1 with the first error in the order of the input, everything before it written. */
int docs_run(struct docs *d, struct err *err);

#endif
