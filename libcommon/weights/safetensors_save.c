#include <inttypes.h>
#include <stdio.h>
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

/* A header as it grows. */
struct text {
    char *s;
    size_t n, cap;
};

static void add(struct text *x, const char *s, size_t n)
{
    mem_grow(&x->s, &x->cap, x->n + n + 1, 1);
    memcpy(x->s + x->n, s, n);
    x->n += n;
}

static void add_string(struct text *x, const char *s)
{
    size_t n = strlen(s);

    mem_grow(&x->s, &x->cap, x->n + json_quote(s, n, NULL) + 1, 1);
    x->n += json_quote(s, n, x->s + x->n);
}

static void add_number(struct text *x, uint64_t n)
{
    char s[24];

    add(x, s, (size_t)snprintf(s, sizeof s, "%" PRIu64, n));
}

static void add_meta(struct text *x, const struct safetensors_meta *meta, int n)
{
    struct safetensors_meta *sorted = xmalloc(((size_t)n + 1) * sizeof *sorted);

    if (n) {
        memcpy(sorted, meta, (size_t)n * sizeof *sorted);
        qsort(sorted, (size_t)n, sizeof *sorted, by_key);
    }
    add(x, "\"__metadata__\":{", 16);
    for (int i = 0; i < n; i++) {
        add(x, ",", i > 0);
        add_string(x, sorted[i].key);
        add(x, ":", 1);
        add_string(x, sorted[i].value);
    }
    add(x, "}", 1);
    free(sorted);
}

static void add_entry(struct text *x, const struct tensor *t, uint64_t begin)
{
    const char *dtype = dtype_table[t->dtype].name;

    add_string(x, t->name);
    add(x, ":{\"dtype\":\"", 11);
    add(x, dtype, strlen(dtype));
    add(x, "\",\"shape\":[", 11);
    for (int i = 0; i < t->rank; i++) {
        add(x, ",", i > 0);
        add_number(x, (uint64_t)t->shape[i]);
    }
    add(x, "],\"data_offsets\":[", 18);
    add_number(x, begin);
    add(x, ",", 1);
    add_number(x, begin + t->size);
    add(x, "]}", 2);
}

static char *make_header(struct tensor *const *t, int n, const struct safetensors_meta *meta, int n_meta, size_t *size)
{
    struct text x = { 0 };
    uint64_t begin = 0;

    add(&x, "{", 1);
    if (meta)
        add_meta(&x, meta, n_meta);
    for (int i = 0; i < n; i++) {
        add(&x, ",", i || meta);
        add_entry(&x, t[i], begin);
        begin += t[i]->size;
    }
    add(&x, "}", 1);
    add(&x, "       ", (8 - x.n % 8) % 8);
    *size = x.n;
    return x.s;
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

static struct tensor **pointers(struct tensor *t, int n)
{
    struct tensor **p = xmalloc(((size_t)n + 1) * sizeof *p);

    for (int i = 0; i < n; i++)
        p[i] = &t[i];
    return p;
}

static int write_file(const char *path, const char *header, size_t size, struct tensor *const *order, int n,
                      int (*put)(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err), void *ctx,
                      struct err *err)
{
    struct safetensors_writer w = { .due = 0 };
    uint8_t le[8];
    int rc;

    for (int i = 0; i < 8; i++)
        le[i] = (uint8_t)((uint64_t)size >> 8 * i);
    rc = io_create(&w.out, path, true, err) < 0 || io_put(&w.out, le, 8, err) < 0 || io_put(&w.out, header, size, err) < 0 ? -1 : 0;
    for (int i = 0; i < n && rc == 0; i++) {
        w.due = order[i]->size;
        rc = put(ctx, &w, order[i], err);
        if (rc == 0 && w.due)
            rc = err_set(err, "%s: tensor %.200s: %llu bytes are missing", path, order[i]->name, (unsigned long long)w.due);
    }
    if (rc == 0)
        return io_commit(&w.out, err);
    io_abort(&w.out);
    return -1;
}

int safetensors_save(const char *path, struct tensor *t, int n, const struct safetensors_meta *meta, int n_meta,
                     int (*put)(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err), void *ctx,
                     struct err *err)
{
    struct tensor **order = pointers(t, n);
    char *header = NULL;
    size_t size;
    int rc = arrange(order, n, path, err);

    if (rc == 0) {
        header = make_header(order, n, meta, n_meta, &size);
        rc = write_file(path, header, size, order, n, put, ctx, err);
    }
    free(header);
    free(order);
    return rc;
}

char *safetensors_header(struct tensor *t, int n, const struct safetensors_meta *meta, int n_meta, size_t *size, struct err *err)
{
    struct tensor **order = pointers(t, n);
    char *header = arrange(order, n, "header", err) < 0 ? NULL : make_header(order, n, meta, n_meta, size);

    free(order);
    return header;
}

/* A tensor and where the header has it. */
struct placed {
    struct tensor *t;
    int64_t begin;
};

static int by_begin(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->t->size < y->t->size ? -1 : x->t->size > y->t->size;
}

static bool is_number(const struct json_value *v, int64_t n)
{
    char s[32];

    return v && v->type == JSON_NUMBER && v->len == (size_t)snprintf(s, sizeof s, "%lld", (long long)n) && memcmp(v->str, s, v->len) == 0;
}

/* Does a header have the tensor so?  Where, to *begin. */
static bool describes(const struct json_value *header, const struct tensor *t, int64_t *begin)
{
    const struct json_value *v = json_get(header, t->name), *dtype = json_get(v, "dtype"), *shape = json_get(v, "shape");
    const struct json_value *offsets = json_get(v, "data_offsets"), *first = json_at(offsets, 0);
    struct json_raw raw;

    if (!dtype || dtype->type != JSON_STRING || dtype_by_name(dtype->str, dtype->len) != (int)t->dtype || !shape ||
        shape->type != JSON_ARRAY || shape->n != t->rank || !first || first->type != JSON_NUMBER)
        return false;
    for (int i = 0; i < t->rank; i++)
        if (!is_number(json_at(shape, i), t->shape[i]))
            return false;
    raw = (struct json_raw){ .s = first->str, .n = first->len };
    return json_int64(&raw, begin) && *begin >= 0 && *begin < INT64_MAX - (int64_t)t->size &&
           is_number(json_at(offsets, 1), *begin + (int64_t)t->size);
}

/* The tensors in the order of a header that has them, all of them and nothing else. */
static bool follow(const struct json_value *header, struct tensor **order, int n)
{
    struct placed *p = xmalloc(((size_t)n + 1) * sizeof *p);
    bool rc = header && header->type == JSON_OBJECT && header->n == n + (json_get(header, "__metadata__") != NULL);
    int64_t end = 0;

    for (int i = 0; i < n && rc; i++) {
        p[i].t = order[i];
        rc = describes(header, order[i], &p[i].begin);
    }
    if (rc)
        qsort(p, (size_t)n, sizeof *p, by_begin);
    for (int i = 0; i < n && rc; i++) {
        rc = p[i].begin == end;
        end += (int64_t)p[i].t->size;
        order[i] = p[i].t;
    }
    free(p);
    return rc;
}

int safetensors_save_as(const char *path, const char *header, size_t size, struct tensor *t, int n,
                        int (*put)(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err), void *ctx,
                        struct err *err)
{
    struct tensor **order = pointers(t, n);
    struct arena arena;
    int rc = arrange(order, n, path, err);

    arena_init(&arena);
    if (rc == 0 && !follow(json_tree(&arena, header, size, path, err), order, n))
        rc = 1;
    if (rc == 0)
        rc = write_file(path, header, size, order, n, put, ctx, err);
    arena_release(&arena);
    free(order);
    return rc;
}
