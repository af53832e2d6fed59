#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/weights/safetensors_file.h"

/* The reference's order: the widest elements first, so that every tensor is aligned. */
static int by_dtype(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;

    if (x->dtype != y->dtype)
        return x->dtype > y->dtype ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct safetensors_meta *)a)->key, ((const struct safetensors_meta *)b)->key);
}

static int put_string(struct io_out *o, const char *s, struct err *err)
{
    return json_put_string(o, s, strlen(s), err);
}

static int put_meta(struct io_out *o, const struct safetensors_meta *meta, int n, struct err *err)
{
    struct safetensors_meta *sorted = xmalloc(((size_t)n + 1) * sizeof *sorted);
    int rc = io_printf(o, err, "\"__metadata__\":{");

    if (n) {
        memcpy(sorted, meta, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, by_key);
    }
    for (int i = 0; i < n && rc == 0; i++)
        if ((i && io_put(o, ",", 1, err) < 0) || put_string(o, sorted[i].key, err) < 0 || io_put(o, ":", 1, err) < 0 ||
            put_string(o, sorted[i].value, err) < 0)
            rc = -1;
    free(sorted);
    return rc < 0 ? -1 : io_put(o, "}", 1, err);
}

static int put_entry(struct io_out *o, const struct tensor *t, uint64_t begin, struct err *err)
{
    if (put_string(o, t->name, err) < 0 || io_printf(o, err, ":{\"dtype\":\"%s\",\"shape\":[", dtype_table[t->dtype].name) < 0)
        return -1;
    for (int i = 0; i < t->rank; i++)
        if (io_printf(o, err, "%s%lld", i ? "," : "", (long long)t->shape[i]) < 0)
            return -1;
    return io_printf(o, err, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)begin, (unsigned long long)begin + t->size);
}

/* Length and header; the length is known when the header is written. */
static int put_header(struct io_out *o, struct tensor **t, int n, const struct safetensors_meta *meta, int n_meta, struct err *err)
{
    uint64_t begin = 0, size;
    uint8_t le[8] = { 0 };

    if (io_put(o, le, 8, err) < 0 || io_put(o, "{", 1, err) < 0 || (meta && put_meta(o, meta, n_meta, err) < 0))
        return -1;
    for (int i = 0; i < n; i++) {
        if (((i || meta) && io_put(o, ",", 1, err) < 0) || put_entry(o, t[i], begin, err) < 0)
            return -1;
        begin += t[i]->size;
    }
    if (io_put(o, "}", 1, err) < 0 || io_put(o, "       ", (8 - o->bytes % 8) % 8, err) < 0)
        return -1;
    size = o->bytes - 8;
    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)(size >> 8 * i);
    return io_patch(o, 0, le, 8, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct tensor *const *)a)->name, (*(const struct tensor *const *)b)->name);
}

/* dtype, shape and size of each agree, no name comes twice; then into the file's order. */
static int arrange(struct tensor **t, int n, const char *path, struct err *err)
{
    qsort(t, (size_t)n, sizeof *t, by_name);
    for (int i = 0; i < n; i++) {
        struct tensor x = *t[i];

        x.file = path;
        if (safetensors_measure(&x, err) < 0)
            return -1;
        if (x.size != t[i]->size || x.count != t[i]->count)
            return err_set(err, "%s: tensor %.200s: %zu bytes for a shape of %zu", path, x.name, t[i]->size, x.size);
        if (i && by_name(&t[i - 1], &t[i]) == 0)
            return err_set(err, "%s: tensor %.200s twice", path, x.name);
    }
    qsort(t, (size_t)n, sizeof *t, by_dtype);
    return 0;
}

int safetensors_put(struct safetensors_writer *w, const void *data, size_t n, struct err *err)
{
    if (n > w->due)
        return err_set(err, "%s: %zu bytes too many for a tensor", w->out.path, n - (size_t)w->due);
    w->due -= n;
    return io_put(&w->out, data, n, err);
}

int safetensors_put_f32(struct safetensors_writer *w, const struct tensor *t, const float *x, size_t n, struct err *err)
{
    enum { CHUNK = 4096 };
    const struct dtype_info *d = &dtype_table[t->dtype];
    char buf[CHUNK * sizeof(float)];

    if (!d->from_f32)
        return err_set(err, "%s: tensor %.200s: cannot write floats as %s", w->out.path, t->name, d->name);
    for (size_t done = 0, k; done < n; done += k) {
        k = n - done < CHUNK ? n - done : CHUNK;
        d->from_f32(buf, x + done, k);
        if (safetensors_put(w, buf, k * (size_t)d->bits / 8, err) < 0)
            return -1;
    }
    return 0;
}

int safetensors_save(const char *path, struct tensor *t, int n, const struct safetensors_meta *meta, int n_meta,
                     int (*put)(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err), void *ctx,
                     struct err *err)
{
    struct safetensors_writer w = { .due = 0 };
    struct tensor **order = xmalloc(((size_t)n + 1) * sizeof *order);
    int rc;

    for (int i = 0; i < n; i++)
        order[i] = &t[i];
    rc = arrange(order, n, path, err) < 0 || io_create(&w.out, path, true, err) < 0 ||
                 put_header(&w.out, order, n, meta, n_meta, err) < 0
             ? -1
             : 0;
    for (int i = 0; i < n && rc == 0; i++) {
        w.due = order[i]->size;
        rc = put(ctx, &w, order[i], err);
        if (rc == 0 && w.due)
            rc = err_set(err, "%s: tensor %.200s: %llu bytes are missing", path, order[i]->name, (unsigned long long)w.due);
    }
    free(order);
    if (rc == 0)
        return io_commit(&w.out, err);
    io_abort(&w.out);
    return -1;
}
