#include "libcommon/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/mem.h"

#define BUFFER ((size_t)1 << 20)
#define DISK_STEP ((uint64_t)8 << 20)
#define PASSED_STEP ((uint64_t)16 << 20)
#define MAX_TMP 64

/* Names of live temporaries, for the signal handler: slots are published last and cleared first. */
static const char *volatile tmp_names[MAX_TMP];

static void remove_tmps(void)
{
    for (int i = 0; i < MAX_TMP; i++)
        if (tmp_names[i])
            unlink(tmp_names[i]);
}

static void on_signal(int sig)
{
    remove_tmps();
    signal(sig, SIG_DFL);
    raise(sig);
}

void io_init(void)
{
    static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ };

    err_die_hook = remove_tmps;
    atexit(remove_tmps); /* libraries may call exit(): libarchive does */
    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        if (signal(sigs[i], SIG_IGN) != SIG_IGN)
            signal(sigs[i], on_signal);
    /* descriptors 0-2 closed by the caller must not be handed to a data file; what stands there instead is
     * open the wrong way round, so that using it is an error still */
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            die("cannot open /dev/null:");
}

static void remember(char *tmp)
{
    for (int i = 0; i < MAX_TMP; i++)
        if (!tmp_names[i]) {
            tmp_names[i] = tmp;
            return;
        }
    die("more than %d files being written", MAX_TMP);
}

static void forget(const char *tmp)
{
    for (int i = 0; i < MAX_TMP; i++)
        if (tmp_names[i] == tmp)
            tmp_names[i] = NULL;
}

static bool (*heeded)(void);
static bool gave_up;

void io_heed(bool (*stop)(void))
{
    heeded = stop;
}

bool io_gave_up(void)
{
    return gave_up;
}

/* A signal may come before poll() waits: it looks again five times a second. */
static bool has_bytes(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    while (heeded && poll(&p, 1, 200) <= 0)
        if (heeded()) {
            gave_up = true;
            errno = ECANCELED;
            return false;
        }
    return true;
}

int64_t io_read(int fd, void *buf, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = has_bytes(fd) ? read(fd, (char *)buf + done, n - done) : -1;

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (int64_t)done;
}

int io_write(int fd, const void *buf, size_t n)
{
    const char *p = buf;

    while (n) {
        ssize_t r = write(fd, p, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        p += r;
        n -= (size_t)r;
    }
    return 0;
}

const char *io_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int read_all(struct io_map *m, int fd, const char *path, struct err *err)
{
    char *buf = NULL;
    size_t cap = 0, n = 0;
    int64_t r;

    do {
        mem_grow(&buf, &cap, n + BUFFER, 1);
        r = io_read(fd, buf + n, cap - n);
        if (r < 0) {
            free(buf);
            return err_set(err, "%s:", path);
        }
        n += (size_t)r;
    } while (r > 0);
    *m = (struct io_map){ .data = (uint8_t *)buf, .size = n };
    return 0;
}

int io_map(struct io_map *m, const char *path, struct err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *p;
    int rc;

    memset(m, 0, sizeof *m);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_set(err, "%s:", io_name(path));
        if (fd > 0)
            close(fd);
        return -1;
    }
    if (S_ISREG(st.st_mode) && st.st_size > 0 && !is_stdin) {
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED && errno == ENOMEM)
            die("out of memory: %lld bytes of %s", (long long)st.st_size, path);
        rc = p == MAP_FAILED ? err_set(err, "%s: map:", path) : 0;
        if (rc == 0)
            *m = (struct io_map){ .data = p, .size = (size_t)st.st_size, .mapped = true };
    } else {
        rc = read_all(m, fd, io_name(path), err);
    }
    if (!is_stdin)
        close(fd);
    return rc;
}

void io_unmap(struct io_map *m)
{
    if (m->mapped)
        munmap((void *)(uintptr_t)m->data, m->size);
    else
        free((void *)(uintptr_t)m->data);
    memset(m, 0, sizeof *m);
}

void io_map_passed(struct io_map *m, uint64_t at)
{
    uint64_t upto = at / PASSED_STEP * PASSED_STEP;

    if (!m->mapped || upto < m->passed + 2 * PASSED_STEP)
        return;
    upto -= PASSED_STEP;
    madvise((void *)(uintptr_t)(m->data + m->passed), upto - m->passed, MADV_DONTNEED);
    m->passed = upto;
}

static const char *name_of(const struct io_out *o)
{
    return o->path ? o->path : "standard output";
}

int io_create(struct io_out *o, const char *path, bool binary, struct err *err)
{
    const char *slash;
    size_t dir;
    struct stat st;

    memset(o, 0, sizeof *o);
    o->fd = 1;
    if (!path || strcmp(path, "-") == 0) {
        if (binary && isatty(1))
            return err_set(err, "standard output is a terminal: binary output needs -o FILE or a pipe");
        fcntl(1, F_SETPIPE_SZ, (int)BUFFER); /* best effort: a pipe holds 64 KiB else */
        o->buf = xmalloc(BUFFER);
        return 0;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return err_set(err, "%s: is a directory", path);
    slash = strrchr(path, '/');
    dir = slash ? (size_t)(slash + 1 - path) : 0;
    if (!path[dir])
        return err_set(err, "%s: not a file name", path);
    o->path = xstrdup(path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { /* /dev/full, a FIFO: written in place */
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        size_t size = strlen(path) + 32;

        o->tmp = xmalloc(size);
        snprintf(o->tmp, size, "%.*s.%s.%ld.tmp", (int)dir, path, path + dir, (long)getpid());
        remember(o->tmp);
        o->fd = open(o->tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    if (o->fd < 0) {
        err_set(err, "%s:", path);
        io_abort(o);
        return -1;
    }
    o->buf = xmalloc(BUFFER);
    return 0;
}

static int failed(struct io_out *o, const char *what, struct err *err)
{
    o->failed = true;
    return err_set(err, "%s: %s:", name_of(o), what);
}

/* Let the disk begin on what is written, so that the fsync at the end has little left to wait for. */
static void start_disk(struct io_out *o)
{
    uint64_t written = o->bytes - o->used;

    if (o->tmp && written >= o->started + DISK_STEP) {
        sync_file_range(o->fd, (off_t)o->started, (off_t)(written - o->started), SYNC_FILE_RANGE_WRITE);
        o->started = written;
    }
}

int io_flush(struct io_out *o, struct err *err)
{
    if (o->failed)
        return err_set(err, "%s: an earlier write failed", name_of(o));
    if (io_write(o->fd, o->buf, o->used) < 0)
        return failed(o, "write", err);
    o->used = 0;
    start_disk(o);
    return 0;
}

int io_put(struct io_out *o, const void *data, size_t n, struct err *err)
{
    if (o->used + n > BUFFER && io_flush(o, err) < 0)
        return -1;
    o->bytes += n;
    if (n >= BUFFER) {
        if (o->failed || io_write(o->fd, data, n) < 0)
            return failed(o, "write", err);
        start_disk(o);
        return 0;
    }
    if (n)
        memcpy(o->buf + o->used, data, n);
    o->used += n;
    return 0;
}

int io_printf(struct io_out *o, struct err *err, const char *fmt, ...)
{
    char small[512], *text = small;
    va_list ap;
    int n, rc;

    va_start(ap, fmt);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0)
        return err_set(err, "%s: cannot format", name_of(o));
    if ((size_t)n >= sizeof small) {
        text = xmalloc((size_t)n + 1);
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    rc = io_put(o, text, (size_t)n, err);
    if (text != small)
        free(text);
    return rc;
}

int io_patch(struct io_out *o, uint64_t at, const void *data, size_t n, struct err *err)
{
    const char *p = data;

    if (io_flush(o, err) < 0)
        return -1;
    while (n) {
        ssize_t r = pwrite(o->fd, p, n, (off_t)at);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return failed(o, "write", err);
        p += r;
        at += (uint64_t)r;
        n -= (size_t)r;
    }
    return 0;
}

static int sync_fd(int fd)
{
    int rc;

    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc;
}

int io_finish(struct io_out *o, struct err *err)
{
    if (io_flush(o, err) < 0)
        return -1;
    free(o->buf);
    o->buf = NULL;
    if (o->tmp && sync_fd(o->fd) < 0)
        return failed(o, "fsync", err);
    if (close(o->fd) < 0 && errno != EINTR)
        return failed(o, "close", err);
    o->fd = -1;
    return 0;
}

int io_rename(struct io_out *o, struct err *err)
{
    if (o->tmp) {
        if (rename(o->tmp, o->path) < 0)
            return failed(o, "rename", err);
        forget(o->tmp);
        free(o->tmp);
        o->tmp = NULL;
    }
    return 0;
}

int io_commit(struct io_out *o, struct err *err)
{
    bool durable = o->tmp != NULL;

    if (io_finish(o, err) < 0 || io_rename(o, err) < 0 ||
        (durable && io_sync_dir(o->path, err) < 0)) {
        io_abort(o);
        return -1;
    }
    io_abort(o);
    return 0;
}

void io_abort(struct io_out *o)
{
    if (o->path && o->fd > 0)
        close(o->fd);
    if (o->tmp) {
        unlink(o->tmp);
        forget(o->tmp);
    }
    free(o->tmp);
    free(o->path);
    free(o->buf);
    memset(o, 0, sizeof *o);
    o->failed = true;
}

int io_sync_dir(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    char *dir = xmalloc(n + 2);
    int fd, rc = 0;

    memcpy(dir, path, n);
    dir[n] = 0;
    if (!n)
        strcpy(dir, slash ? "/" : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (sync_fd(fd) < 0 && errno != EINVAL))
        rc = err_set(err, "%s: fsync:", dir);
    if (fd >= 0)
        close(fd);
    free(dir);
    return rc;
}

bool io_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

int io_save(const char *path, const void *data, size_t n, struct err *err)
{
    struct io_out o;

    if (io_create(&o, path, false, err) < 0)
        return -1;
    if (io_put(&o, data, n, err) < 0) {
        io_abort(&o);
        return -1;
    }
    return io_commit(&o, err);
}

double io_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void io_progress_start(struct io_progress *p, const char *unit, uint64_t total_bytes, bool quiet)
{
    *p = (struct io_progress){ .unit = unit, .total_bytes = total_bytes };
    p->on = !quiet && isatty(2);
    p->start = p->last = io_now();
}

void io_progress(struct io_progress *p, uint64_t count, uint64_t bytes)
{
    double now, t;

    if (!p->on || (now = io_now()) - p->last < 0.2)
        return;
    p->last = now;
    p->drawn = true;
    t = now - p->start;
    fprintf(stderr, "\r%llu %s, %.1f MB/s", (unsigned long long)count, p->unit, (double)bytes / t / 1e6);
    if (p->total_bytes && bytes)
        fprintf(stderr, ", %.0f %%, %.0f s left ", 100 * (double)bytes / (double)p->total_bytes,
                bytes < p->total_bytes ? t * ((double)p->total_bytes / (double)bytes - 1) : 0);
    fputs("\033[K", stderr);
}

void io_progress_end(struct io_progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}
