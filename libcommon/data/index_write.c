/* The writer.  Lengths go to the .idx as they come; the boundaries of documents, which stand behind
 * the pointers, to a temporary of their own; the pointers are made at the end from the lengths. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/data/index.h"

enum { HEAD = 34, CHUNK = 1 << 16 };

struct index_writer {
    struct io_out bin, idx, docs;
    unsigned dtype;
    uint64_t n_sequences, n_documents, n_tokens, put_tokens;
    int32_t *wide; /* [CHUNK] */
    uint8_t *narrow; /* [CHUNK * 8] */
};

static int create(struct io_out *o, const char *prefix, const char *suffix, struct err *err)
{
    size_t size = strlen(prefix) + strlen(suffix) + 1;
    char *path = xmalloc(size);
    int rc;

    snprintf(path, size, "%s%s", prefix, suffix);
    rc = io_create(o, path, true, err);
    if (rc == 0 && !o->tmp) {
        rc = err_set(err, "%s: not a regular file", path);
        io_abort(o);
    }
    free(path);
    return rc;
}

struct index_writer *index_writer_new(const char *prefix, unsigned dtype, struct err *err)
{
    static const uint8_t head[HEAD];
    struct index_writer *w = xcalloc(1, sizeof *w);
    uint64_t zero = 0;

    w->dtype = dtype;
    w->wide = xmalloc(CHUNK * sizeof *w->wide);
    w->narrow = xmalloc(CHUNK * (size_t)8);
    if (create(&w->bin, prefix, ".bin", err) < 0 || create(&w->idx, prefix, ".idx", err) < 0 ||
        create(&w->docs, prefix, ".idx.documents", err) < 0 || io_put(&w->idx, head, sizeof head, err) < 0 ||
        io_put(&w->docs, &zero, 8, err) < 0) {
        index_abort(w);
        return NULL;
    }
    return w;
}

void index_abort(struct index_writer *w)
{
    if (!w)
        return;
    io_abort(&w->bin);
    io_abort(&w->idx);
    io_abort(&w->docs);
    free(w->wide);
    free(w->narrow);
    free(w);
}

/* Two's complement cuts the same for signed and unsigned. */
static void narrow(uint8_t *to, size_t size, const int32_t *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t x = v[i];

        memcpy(to + i * size, &x, size);
    }
}

static int convert(struct index_writer *w, const void *tokens, size_t n, unsigned from, struct err *err)
{
    const struct index_type *t = index_type(w->dtype);

    for (size_t i = 0; i < n; i++)
        w->wide[i] = from == INDEX_U16 ? ((const uint16_t *)tokens)[i] : ((const int32_t *)tokens)[i];
    for (size_t i = 0; i < n; i++)
        if (w->wide[i] < t->min || w->wide[i] > t->max)
            return err_set(err, "%s: token %" PRIu64 " is %" PRId32 ": not within the %" PRId64 "..%" PRId64 " of %s",
                           w->bin.path, w->put_tokens + i, w->wide[i], t->min, t->max, t->name);
    narrow(w->narrow, t->size, w->wide, n);
    return io_put(&w->bin, w->narrow, n * t->size, err);
}

int index_put_tokens(struct index_writer *w, const void *tokens, uint64_t n, unsigned from, struct err *err)
{
    const uint8_t *p = tokens;
    size_t item = index_type(from)->size;

    if (from == w->dtype) {
        w->put_tokens += n;
        return io_put(&w->bin, tokens, n * item, err);
    }
    for (uint64_t done = 0; done < n;) {
        size_t part = n - done < CHUNK ? (size_t)(n - done) : CHUNK;

        if (convert(w, p + done * item, part, from, err) < 0)
            return -1;
        done += part;
        w->put_tokens += part;
    }
    return 0;
}

int index_put_sequence(struct index_writer *w, uint64_t length, struct err *err)
{
    uint32_t v = (uint32_t)length;

    if (length > INT32_MAX)
        return err_set(err, "sequence %" PRIu64 " has %" PRIu64 " tokens: the index holds at most %d", w->n_sequences,
                       length, INT32_MAX);
    w->n_sequences++;
    w->n_tokens += length;
    return io_put(&w->idx, &v, 4, err);
}

int index_put_document(struct index_writer *w, struct err *err)
{
    w->n_documents++;
    return io_put(&w->docs, &w->n_sequences, 8, err);
}

/* Read n bytes at an offset of a temporary that has been flushed. */
static int read_back(const struct io_out *o, void *buf, size_t n, uint64_t at, struct err *err)
{
    char *p = buf;

    while (n) {
        ssize_t r = pread(o->fd, p, n, (off_t)at);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return err_set(err, "%s: read back: %s", o->path, r ? strerror(errno) : "it is shorter than written");
        p += r;
        n -= (size_t)r;
        at += (uint64_t)r;
    }
    return 0;
}

static int put_pointers(struct index_writer *w, struct err *err)
{
    size_t item = index_type(w->dtype)->size;
    uint64_t at = 0;
    uint32_t *len = (uint32_t *)w->wide;

    if (io_flush(&w->idx, err) < 0)
        return -1;
    for (uint64_t done = 0; done < w->n_sequences;) {
        size_t n = w->n_sequences - done < CHUNK ? (size_t)(w->n_sequences - done) : CHUNK;

        if (read_back(&w->idx, len, 4 * n, HEAD + 4 * done, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++) {
            memcpy(w->narrow + 8 * i, &at, 8);
            at += (uint64_t)len[i] * item;
        }
        if (io_put(&w->idx, w->narrow, 8 * n, err) < 0)
            return -1;
        done += n;
    }
    return 0;
}

static int put_documents(struct index_writer *w, struct err *err)
{
    uint64_t total = 8 * (w->n_documents + 1);

    if (io_flush(&w->docs, err) < 0)
        return -1;
    for (uint64_t done = 0; done < total;) {
        size_t n = total - done < 8 * CHUNK ? (size_t)(total - done) : 8 * (size_t)CHUNK;

        if (read_back(&w->docs, w->narrow, n, done, err) < 0 || io_put(&w->idx, w->narrow, n, err) < 0)
            return -1;
        done += n;
    }
    return 0;
}

static int put_head(struct index_writer *w, struct err *err)
{
    uint8_t head[HEAD] = "MMIDIDX";
    uint64_t v[3] = { 1, w->n_sequences, w->n_documents + 1 };

    memcpy(head + 9, &v[0], 8);
    head[17] = (uint8_t)w->dtype;
    memcpy(head + 18, &v[1], 16);
    return io_patch(&w->idx, 0, head, sizeof head, err);
}

/* A new .bin must never lie beside an old .idx, whenever we are killed. */
static int replace(struct index_writer *w, struct err *err)
{
    if (io_finish(&w->bin, err) < 0 || io_finish(&w->idx, err) < 0)
        return -1;
    if (unlink(w->idx.path) < 0 && errno != ENOENT)
        return err_set(err, "%s: unlink:", w->idx.path);
    if (io_sync_dir(w->idx.path, err) < 0 || io_rename(&w->bin, err) < 0 || io_rename(&w->idx, err) < 0)
        return -1;
    return io_sync_dir(w->idx.path, err);
}

int index_commit(struct index_writer *w, struct err *err)
{
    int rc = 0;

    if (w->put_tokens != w->n_tokens)
        rc = err_set(err, "%s: sequences of %" PRIu64 " tokens, but %" PRIu64 " tokens", w->bin.path, w->n_tokens,
                     w->put_tokens);
    if (rc < 0 || put_pointers(w, err) < 0 || put_documents(w, err) < 0 || put_head(w, err) < 0 || replace(w, err) < 0)
        rc = -1;
    index_abort(w); /* what has been renamed stays */
    return rc;
}
