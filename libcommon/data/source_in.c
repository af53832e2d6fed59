#include "libcommon/data/source_in.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

struct file {
    struct source_in in;
    int fd;
};

struct memory {
    struct source_in in;
    const uint8_t *data;
    size_t n, at;
};

static int64_t file_fill(struct source_in *in, void *buf, size_t n, struct err *err)
{
    struct file *f = (struct file *)in;
    ssize_t r;

    do
        r = read(f->fd, buf, n);
    while (r < 0 && errno == EINTR);
    return r < 0 ? err_set(err, "%.*s: byte %llu: read:", SOURCE_NAME, in->name, (unsigned long long)in->offset) : r;
}

static int64_t file_seek(struct source_in *in, int64_t offset, int whence)
{
    return lseek(((struct file *)in)->fd, offset, whence);
}

static void file_close(struct source_in *in)
{
    struct file *f = (struct file *)in;

    if (f->fd != 0)
        close(f->fd);
    free(f);
}

struct source_in *source_in_open(const char *path, uint64_t *size, struct err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    struct file *f;
    struct stat st;

    *size = 0;
    if (fd < 0) {
        err_set(err, "%.*s:", SOURCE_NAME, path);
        return NULL;
    }
    f = xcalloc(1, sizeof *f);
    f->fd = fd;
    f->in = (struct source_in){ .fill = file_fill, .close = file_close, .name = io_name(path) };
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *size = (uint64_t)st.st_size;
        /* standard input may stand behind its beginning, which libarchive's offsets do not know */
        if (lseek(fd, 0, SEEK_CUR) == 0)
            f->in.seek = file_seek;
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    return &f->in;
}

static int64_t memory_fill(struct source_in *in, void *buf, size_t n, struct err *err)
{
    struct memory *m = (struct memory *)in;

    (void)err;
    if (n > m->n - m->at)
        n = m->n - m->at;
    if (n)
        memcpy(buf, m->data + m->at, n);
    m->at += n;
    return (int64_t)n;
}

static int64_t memory_seek(struct source_in *in, int64_t offset, int whence)
{
    struct memory *m = (struct memory *)in;
    int64_t base = whence == SEEK_SET ? 0 : (int64_t)(whence == SEEK_CUR ? m->at : m->n), to;

    if (__builtin_add_overflow(base, offset, &to) || to < 0 || to > (int64_t)m->n)
        return -1;
    m->at = (size_t)to;
    return to;
}

static void memory_close(struct source_in *in)
{
    free(in);
}

struct source_in *source_in_memory(const void *data, size_t n, const char *name)
{
    struct memory *m = xcalloc(1, sizeof *m);

    m->in = (struct source_in){ .fill = memory_fill, .seek = memory_seek, .close = memory_close, .name = name };
    m->data = data;
    m->n = n;
    return &m->in;
}

void source_in_close(struct source_in *in)
{
    if (in)
        in->close(in);
}

int64_t source_in_read(struct source_in *in, void *buf, size_t n, struct err *err)
{
    int64_t got;

    if (in->held_at < in->held_n) {
        got = (int64_t)(in->held_n - in->held_at);
        if ((size_t)got > n)
            got = (int64_t)n;
        memcpy(buf, in->held + in->held_at, (size_t)got);
        in->held_at += (size_t)got;
    } else {
        got = in->fill(in, buf, n, err);
    }
    if (got > 0)
        in->offset += (uint64_t)got;
    return got;
}

int64_t source_in_peek(struct source_in *in, const uint8_t **p, struct err *err)
{
    memmove(in->held, in->held + in->held_at, in->held_n - in->held_at);
    in->held_n -= in->held_at;
    in->held_at = 0;
    while (in->held_n < sizeof in->held) {
        int64_t got = in->fill(in, in->held + in->held_n, sizeof in->held - in->held_n, err);

        if (got < 0)
            return -1;
        if (got == 0)
            break;
        in->held_n += (size_t)got;
    }
    *p = in->held;
    return (int64_t)in->held_n;
}

int64_t source_in_seek(struct source_in *in, int64_t offset, int whence)
{
    int64_t at;

    if (!in->seek)
        return -1;
    if (whence == SEEK_CUR)
        offset -= (int64_t)(in->held_n - in->held_at);
    at = in->seek(in, offset, whence);
    if (at < 0)
        return -1;
    in->held_at = in->held_n = 0;
    in->offset = (uint64_t)at;
    return at;
}
