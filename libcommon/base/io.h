/* io.h - files: mapped or read whole, written durably; progress on a terminal.
 *
 * Output appears whole or not at all: io_create() opens ".NAME.PID.tmp" in the same directory,
 * io_commit() flushes, fsyncs, renames and fsyncs the directory.  Temporaries are removed when the
 * program dies or is ended by SIGINT, SIGTERM or SIGHUP (io_init).  Standard output is the path NULL
 * or "-": it is checked at io_commit() too.
 */
#ifndef LIBCOMMON_BASE_IO_H
#define LIBCOMMON_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

/* Install the handlers that remove temporaries; opt_parse() calls it. */
void io_init(void);

struct io_map {
    const uint8_t *data; /* borrowed until io_unmap */
    size_t size;
    bool mapped; /* else on the heap (a pipe, "-") */
    uint64_t passed; /* pages before it were given back */
};

/* A file mapped read-only, or a pipe read to its end.  "-" is standard input.  On failure *m is
 * zeroed, which io_unmap() accepts; dies where memory is exhausted. */
int io_map(struct io_map *m, const char *path, struct err *err);
void io_unmap(struct io_map *m);
/* A reader that goes forward is at byte `at`: give back the pages far behind it, so that a large
 * mapping does not fill this process's memory.  They come again when touched. */
void io_map_passed(struct io_map *m, uint64_t at);

/* read(2) until n bytes or the end, through EINTR and short reads: bytes read, or -1 with errno. */
int64_t io_read(int fd, void *buf, size_t n);
/* From now on io_read() waits for bytes only until stop() is true, as a signal may make it: -1 with ECANCELED. */
void io_heed(bool (*stop)(void));
/* Did it give up so? */
bool io_gave_up(void);
/* write(2) until all is written: 0, or -1 with errno. */
int io_write(int fd, const void *buf, size_t n);

struct io_out {
    int fd;
    char *path, *tmp; /* NULL for standard output */
    char *buf;        /* 1 MiB */
    size_t used;
    uint64_t bytes;   /* written so far, buffered ones included */
    uint64_t started; /* up to there the disk has been told to write */
    bool failed;      /* an error was reported; later calls fail without another message */
};

/* binary: refuse a terminal. */
int io_create(struct io_out *o, const char *path, bool binary, struct err *err);
int io_put(struct io_out *o, const void *data, size_t n, struct err *err);
int io_printf(struct io_out *o, struct err *err, const char *fmt, ...) ERR_PRINTF(3, 4);
/* Hand what is buffered to the kernel (an interactive line, say). */
int io_flush(struct io_out *o, struct err *err);
/* Overwrite n bytes at an earlier offset of a file. */
int io_patch(struct io_out *o, uint64_t at, const void *data, size_t n, struct err *err);
/* Flush and fsync but do not rename: for pairs of files; then io_rename() each. */
int io_finish(struct io_out *o, struct err *err);
/* Rename to the final name; the directory is the caller's to fsync (io_sync_dir). */
int io_rename(struct io_out *o, struct err *err);
/* io_finish + io_rename + io_sync_dir. */
int io_commit(struct io_out *o, struct err *err);
/* Remove the temporary; safe after failure, after io_commit and on a zeroed struct. */
void io_abort(struct io_out *o);

/* fsync the directory that holds path. */
int io_sync_dir(const char *path, struct err *err);
/* Do the two paths name one existing file? */
bool io_same_file(const char *a, const char *b);
/* Write a whole small file durably. */
int io_save(const char *path, const void *data, size_t n, struct err *err);

/* A progress line on stderr, redrawn at most 5 times a second, only where stderr is a terminal and
 * quiet is false.  total 0: unknown. */
struct io_progress {
    const char *unit; /* what is counted: "docs", "rows" */
    uint64_t total_bytes;
    double start, last;
    bool on, drawn;
};

void io_progress_start(struct io_progress *p, const char *unit, uint64_t total_bytes, bool quiet);
void io_progress(struct io_progress *p, uint64_t count, uint64_t bytes);
void io_progress_end(struct io_progress *p);

/* How messages call the input: "-" is "standard input", a path is itself. */
const char *io_name(const char *path);

/* Monotonic seconds. */
double io_now(void);

#endif
