#include "train/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/num.h"

struct file {
    int fd;
    char *path;
};

struct metrics {
    const char *const *column; /* borrowed */
    struct file tsv, events;
    char *buf;
    size_t n, cap; /* what is put together in buf */
};

static void put(struct metrics *m, const void *data, size_t n)
{
    mem_grow(&m->buf, &m->cap, m->n + n, 1);
    memcpy(m->buf + m->n, data, n);
    m->n += n;
}

static int write_out(struct metrics *m, const struct file *f, struct err *err)
{
    int rc = io_write(f->fd, m->buf, m->n);

    m->n = 0;
    return rc < 0 ? err_set(err, "%s: write:", f->path) : 0;
}

/* Protocol buffers: a key is the field's number and how its value is coded. */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION_LOG = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, SESSION_STATUS = 1, SESSION_START = 1 };

static void put_varint(struct metrics *m, uint64_t v)
{
    do {
        uint8_t b = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));

        put(m, &b, 1);
        v >>= 7;
    } while (v);
}

static void put_key(struct metrics *m, unsigned field, unsigned coding)
{
    put_varint(m, field << 3 | coding);
}

static void put_bytes(struct metrics *m, unsigned field, const char *s, size_t n)
{
    put_key(m, field, BYTES);
    put_varint(m, n);
    put(m, s, n);
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;

    while (v >>= 7)
        n++;
    return n;
}

/* Bytes of a Summary.Value with that tag: two keys, the tag's length, a float. */
static size_t value_size(size_t tag)
{
    return 1 + varint_size(tag) + tag + 1 + sizeof(float);
}

static void put_summary(struct metrics *m, const double *values)
{
    size_t size = 0;

    for (int i = 0; m->column[i]; i++) {
        size_t n = value_size(strlen(m->column[i]));

        size += isnan(values[i]) ? 0 : 1 + varint_size(n) + n;
    }
    put_key(m, EVENT_SUMMARY, BYTES);
    put_varint(m, size);
    for (int i = 0; m->column[i]; i++) {
        size_t tag = strlen(m->column[i]);
        float v = (float)values[i];

        if (isnan(values[i]))
            continue;
        put_key(m, SUMMARY_VALUE, BYTES);
        put_varint(m, value_size(tag));
        put_bytes(m, VALUE_TAG, m->column[i], tag);
        put_key(m, VALUE_SIMPLE, FIXED32);
        put(m, &v, sizeof v);
    }
}

/* The bytes before an event are filled in when it is complete. */

static void begin_event(struct metrics *m, double wall, int64_t step)
{
    m->n = 0;
    put(m, &(char[METRICS_HEAD]){ 0 }, METRICS_HEAD);
    put_key(m, EVENT_WALL_TIME, FIXED64);
    put(m, &wall, sizeof wall);
    if (step) { /* zero is not written */
        put_key(m, EVENT_STEP, VARINT);
        put_varint(m, (uint64_t)step);
    }
}

uint32_t metrics_crc(const void *p, size_t n)
{
    uint32_t crc = hash_crc32c(0, p, n);

    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static int end_event(struct metrics *m, struct err *err)
{
    uint64_t n = m->n - METRICS_HEAD;
    uint32_t crc;

    memcpy(m->buf, &n, 8);
    crc = metrics_crc(m->buf, 8);
    memcpy(m->buf + 8, &crc, 4);
    crc = metrics_crc(m->buf + METRICS_HEAD, n);
    put(m, &crc, 4);
    return write_out(m, &m->events, err);
}

/* A name that no other has, and that sorts behind the earlier ones: the seconds of now, or later. */
static int open_events(struct metrics *m, const char *out, int64_t resume_step, struct err *err)
{
    static const char version[] = "brain.Event:2", start[] = { SESSION_STATUS << 3 | VARINT, SESSION_START };
    size_t size = strlen(out) + 64;
    time_t now = time(NULL), t = now;

    m->events.path = xmalloc(size);
    do {
        snprintf(m->events.path, size, "%s/events.out.tfevents.%010lld.lmpipe", out, (long long)t++);
        m->events.fd = open(m->events.path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    } while (m->events.fd < 0 && errno == EEXIST);
    if (m->events.fd < 0)
        return err_set(err, "%s:", m->events.path);
    begin_event(m, (double)now, 0);
    put_bytes(m, EVENT_FILE_VERSION, version, sizeof version - 1);
    if (end_event(m, err) < 0)
        return -1;
    /* has TensorBoard forget what earlier files say of the steps from here on */
    begin_event(m, (double)now, resume_step + 1);
    put_bytes(m, EVENT_SESSION_LOG, start, sizeof start);
    return end_event(m, err);
}

/* The step that a line begins with; -1: none. */
static int64_t line_step(const char *p, const char *nl)
{
    int64_t step = 0;
    const char *s = p;

    for (; s < nl && *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(step, 10, &step) || __builtin_add_overflow(step, *s - '0', &step))
            return -1;
    return s > p && (s == nl || *s == '\t') ? step : -1;
}

/* How many bytes of the n are of steps up to `last`; m->buf is the header line. */
static int64_t kept(const struct metrics *m, const char *text, size_t n, int64_t last, struct err *err)
{
    const char *p = text, *end = text + n, *nl;

    if (n < m->n || memcmp(text, m->buf, m->n) != 0)
        return err_set(err, "%s: its columns are not those of this run: %.*s", m->tsv.path, (int)m->n - 1, m->buf);
    p += m->n;
    for (int64_t line = 2; p < end && (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1, line++) {
        int64_t step = line_step(p, nl);

        if (step < 0)
            return err_set(err, "%s: line %" PRId64 ": does not begin with a step", m->tsv.path, line);
        if (step > last)
            break;
    }
    return p - text;
}

static int open_tsv(struct metrics *m, const char *out, int64_t resume_step, struct err *err)
{
    size_t size = strlen(out) + sizeof "/metrics.tsv";
    struct io_map map;
    int64_t keep = 0;

    m->tsv.path = xmalloc(size);
    snprintf(m->tsv.path, size, "%s/metrics.tsv", out);
    put(m, "step", 4);
    for (int i = 0; m->column[i]; i++) {
        put(m, "\t", 1);
        put(m, m->column[i], strlen(m->column[i]));
    }
    put(m, "\n", 1);
    if (resume_step > 0 && access(m->tsv.path, F_OK) == 0) {
        if (io_map(&map, m->tsv.path, err) < 0)
            return -1;
        keep = map.size ? kept(m, (const char *)map.data, map.size, resume_step, err) : 0;
        io_unmap(&map);
        if (keep < 0)
            return -1;
    }
    m->tsv.fd = open(m->tsv.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (m->tsv.fd < 0 || ftruncate(m->tsv.fd, keep) < 0)
        return err_set(err, "%s:", m->tsv.path);
    return keep ? 0 : write_out(m, &m->tsv, err);
}

static void release(struct metrics *m)
{
    if (m->tsv.fd >= 0)
        close(m->tsv.fd);
    if (m->events.fd >= 0)
        close(m->events.fd);
    free(m->tsv.path);
    free(m->events.path);
    free(m->buf);
    free(m);
}

struct metrics *metrics_open(const char *out, const char *const *columns, int64_t resume_step, struct err *err)
{
    struct metrics *m = xcalloc(1, sizeof *m);

    m->column = columns;
    m->tsv.fd = m->events.fd = -1;
    if (open_tsv(m, out, resume_step, err) < 0 || open_events(m, out, resume_step, err) < 0) {
        release(m);
        return NULL;
    }
    return m;
}

/* A NaN is an empty field. */
static void put_number(struct metrics *m, double v)
{
    char text[NUM_ROOM];

    put(m, "\t", 1);
    if (!isnan(v))
        put(m, text, (size_t)num_format(text, v));
}

int metrics_put(struct metrics *m, int64_t step, const double *values, double wall, struct err *err)
{
    char text[24];

    m->n = 0;
    put(m, text, (size_t)snprintf(text, sizeof text, "%" PRId64, step));
    for (int i = 0; m->column[i]; i++)
        put_number(m, values[i]);
    put(m, "\n", 1);
    if (write_out(m, &m->tsv, err) < 0)
        return -1;
    begin_event(m, wall, step);
    put_summary(m, values);
    return end_event(m, err);
}

int metrics_close(struct metrics *m, struct err *err)
{
    const struct file *files[2] = { &m->tsv, &m->events };
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++)
        if (fsync(files[i]->fd) < 0 && errno != EINVAL)
            rc = err_set(err, "%s: fsync:", files[i]->path);
    release(m);
    return rc;
}
