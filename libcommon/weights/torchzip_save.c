/* The zip form, written.  The pickle stands first, as torch has it: all sizes are known from the shapes, so
 * the tensors stream through; their checksums stand behind each and in the directory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/weights/safetensors_file.h"
#include "libcommon/weights/torchzip_file.h"

#define ALIGN 64
#define MAX32 0xffffffffu

/* ---- the pickle ---- */

struct emit {
    uint8_t *b;
    size_t n, cap;
    const struct torchzip_tensor **tensor; /* in order; each storage's key is its index */
    size_t n_tensors, cap_tensors;
    const char *path;
    struct err *err;
};

static void put_bytes(struct emit *e, const void *p, size_t n)
{
    mem_grow(&e->b, &e->cap, e->n + n, 1);
    if (n)
        memcpy(e->b + e->n, p, n);
    e->n += n;
}

static void put_op(struct emit *e, int op)
{
    uint8_t b = (uint8_t)op;

    put_bytes(e, &b, 1);
}

/* An opcode and a little-endian number. */
static void put_number(struct emit *e, int op, uint64_t u, int width)
{
    put_op(e, op);
    for (int i = 0; i < width; i++)
        put_op(e, (int)(u >> 8 * i & 0xff));
}

static void put_int(struct emit *e, int64_t i)
{
    if (i >= 0 && i < 1 << 16)
        put_number(e, i < 256 ? 'K' : 'M', (uint64_t)i, i < 256 ? 1 : 2);
    else if (i == (int32_t)i)
        put_number(e, 'J', (uint32_t)i, 4);
    else {
        put_number(e, 0x8a, 8, 1);
        put_bytes(e, &i, 8);
    }
}

static void put_string(struct emit *e, const char *s, size_t n)
{
    put_number(e, 'X', n, 4);
    put_bytes(e, s, n);
}

static void put_global(struct emit *e, const char *module, const char *name)
{
    put_op(e, 'c');
    put_bytes(e, module, strlen(module));
    put_op(e, '\n');
    put_bytes(e, name, strlen(name));
    put_op(e, '\n');
}

static void put_ints(struct emit *e, const int64_t *v, int n)
{
    put_op(e, '(');
    for (int i = 0; i < n; i++)
        put_int(e, v[i]);
    put_op(e, 't');
}

/* _rebuild_tensor_v2(('storage', type, key, 'cpu', numel), 0, size, stride, False, OrderedDict()); where torch
 * has no typed storage _v3 of an untyped one, and the type. */
static int put_tensor(struct emit *e, const struct torchzip_tensor *x)
{
    const struct tensor *t = &x->t;
    const struct torchzip_global *type = torchzip_global_of(t->dtype, TORCHZIP_IS_DTYPE);
    const struct torchzip_global *storage = torchzip_global_of(t->dtype, TORCHZIP_IS_STORAGE);
    struct tensor measured = *t;
    int64_t stride[SAFETENSORS_RANK], step = 1;
    char key[24];

    if (!type)
        return err_set(e->err, "%s: tensor %.200s: torch has no %s", e->path, t->name, dtype_table[t->dtype].name);
    measured.file = e->path;
    if (safetensors_measure(&measured, e->err) < 0)
        return -1;
    if (measured.size != t->size || measured.count != t->count)
        return err_set(e->err, "%s: tensor %.200s: %zu bytes for a shape of %zu", e->path, t->name, t->size, measured.size);
    for (int i = t->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= t->shape[i] > 0 ? t->shape[i] : 1;
    }
    put_global(e, "torch._utils", storage ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    put_op(e, '(');
    put_op(e, '(');
    put_string(e, "storage", 7);
    put_global(e, storage ? storage->module : "torch.storage", storage ? storage->name : "UntypedStorage");
    put_string(e, key, (size_t)snprintf(key, sizeof key, "%zu", e->n_tensors));
    put_string(e, "cpu", 3);
    put_int(e, storage ? t->count : (int64_t)t->size);
    put_op(e, 't');
    put_op(e, 'Q');
    put_int(e, 0);
    put_ints(e, t->shape, t->rank);
    put_ints(e, stride, t->rank);
    put_op(e, 0x89);
    put_global(e, "collections", "OrderedDict");
    put_op(e, ')');
    put_op(e, 'R');
    if (!storage)
        put_global(e, type->module, type->name);
    put_op(e, 't');
    put_op(e, 'R');
    mem_grow(&e->tensor, &e->cap_tensors, e->n_tensors + 1, sizeof *e->tensor);
    e->tensor[e->n_tensors++] = x;
    return 0;
}

static int put_value(struct emit *e, const struct torchzip_value *v, int depth);

static int put_entries(struct emit *e, const struct torchzip_value *v, int depth)
{
    if (depth == TORCHZIP_DEPTH)
        return err_set(e->err, "%s: values nested too deep", e->path);
    put_op(e, '(');
    for (const struct torchzip_entry *x = v->list.first; x; x = x->next)
        if ((x->key && put_value(e, x->key, depth + 1) < 0) || put_value(e, x->value, depth + 1) < 0)
            return -1;
    return 0;
}

static int put_container(struct emit *e, const struct torchzip_value *v, int depth)
{
    static const struct {
        const char *before, *behind;
    } form[] = {
        [TORCHZIP_LIST] = { "]", "e" },
        [TORCHZIP_TUPLE] = { "", "t" },
        [TORCHZIP_DICT] = { "}", "u" },
        [TORCHZIP_NAMESPACE] = { "cargparse\nNamespace\n)\x81}", "ub" },
    };

    put_bytes(e, form[v->type].before, strlen(form[v->type].before));
    if (put_entries(e, v, depth) < 0)
        return -1;
    put_bytes(e, form[v->type].behind, strlen(form[v->type].behind));
    return 0;
}

static int put_value(struct emit *e, const struct torchzip_value *v, int depth)
{
    const struct torchzip_global *g;
    uint64_t u;

    switch (v->type) {
    case TORCHZIP_NONE: put_op(e, 'N'); return 0;
    case TORCHZIP_BOOL: put_op(e, v->i ? 0x88 : 0x89); return 0;
    case TORCHZIP_INT: put_int(e, v->i); return 0;
    case TORCHZIP_FLOAT:
        memcpy(&u, &v->f, 8);
        put_number(e, 'G', __builtin_bswap64(u), 8);
        return 0;
    case TORCHZIP_STRING: put_string(e, v->str.s, v->str.n); return 0;
    case TORCHZIP_DTYPE:
        g = torchzip_global_of(v->dtype, TORCHZIP_IS_DTYPE);
        if (!g)
            return err_set(e->err, "%s: torch has no %s", e->path, dtype_table[v->dtype].name);
        put_global(e, g->module, g->name);
        return 0;
    case TORCHZIP_LIST:
    case TORCHZIP_TUPLE:
    case TORCHZIP_DICT:
    case TORCHZIP_NAMESPACE: return put_container(e, v, depth);
    case TORCHZIP_TENSOR: return put_tensor(e, v->tensor);
    default: return err_set(e->err, "%s: a value that is not written: neither plain nor a tensor", e->path);
    }
}

/* ---- records ---- */

/* Numbers of 1 to 8 bytes, little-endian, side by side. */
struct field {
    uint64_t v;
    int width;
};

static int put_fields(struct torchzip_writer *w, const struct field *f, size_t n, struct err *err)
{
    uint8_t b[128], *p = b;

    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < f[i].width; k++)
            *p++ = (uint8_t)(f[i].v >> 8 * k);
    return io_put(&w->out, b, (size_t)(p - b), err);
}

#define PUT_FIELDS(w, err, ...) \
    put_fields(w, (const struct field[]){ __VA_ARGS__ }, sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field), err)

static int put_name(struct torchzip_writer *w, const char *name, struct err *err)
{
    return io_put(&w->out, w->root, w->root_n, err) < 0 || io_put(&w->out, "/", 1, err) < 0 ? -1 : io_put(&w->out, name, strlen(name), err);
}

/* The record's header, so padded by an extra field of Zs that its data stand on a multiple of 64. */
static int begin(struct torchzip_writer *w, const char *name, uint64_t size, struct err *err)
{
    static const char pad[ALIGN + 1] = "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ";
    struct torchzip_written *r;
    size_t name_n = w->root_n + 1 + strlen(name);
    int wide = size >= MAX32 ? 20 : 0, zs;

    mem_grow(&w->record, &w->cap, w->n + 1, sizeof *w->record);
    r = &w->record[w->n++];
    *r = (struct torchzip_written){ .header = w->out.bytes, .size = size };
    snprintf(r->name, sizeof r->name, "%s", name);
    w->due = size;
    zs = (int)(-(r->header + 30 + name_n + (uint64_t)wide + 4) % ALIGN);
    if (PUT_FIELDS(w, err, { 0x04034b50, 4 }, { wide ? 45 : 0, 2 }, { 0x0808, 2 }, { 0, 2 }, { 0, 4 }, { 0, 4 },
                   { wide ? MAX32 : 0, 4 }, { wide ? MAX32 : 0, 4 }, { name_n, 2 }, { (uint64_t)(wide + 4 + zs), 2 }) < 0 ||
        put_name(w, name, err) < 0 || (wide && PUT_FIELDS(w, err, { 1, 2 }, { 16, 2 }, { 0, 8 }, { 0, 8 }) < 0) ||
        PUT_FIELDS(w, err, { 0x4246, 2 }, { (uint64_t)zs, 2 }) < 0)
        return -1;
    return io_put(&w->out, pad, (size_t)zs, err);
}

int torchzip_put(struct torchzip_writer *w, const void *data, size_t n, struct err *err)
{
    struct torchzip_written *r = &w->record[w->n - 1];

    if (n > w->due)
        return err_set(err, "%s: %zu bytes too many for record %s", w->out.path, n - (size_t)w->due, r->name);
    w->due -= n;
    r->crc = hash_crc32(r->crc, data, n);
    return io_put(&w->out, data, n, err);
}

/* The record's checksum and sizes, behind its data. */
static int end(struct torchzip_writer *w, struct err *err)
{
    const struct torchzip_written *r = &w->record[w->n - 1];
    int width = r->size >= MAX32 ? 8 : 4;

    if (w->due)
        return err_set(err, "%s: record %s: %" PRIu64 " bytes are missing", w->out.path, r->name, w->due);
    return PUT_FIELDS(w, err, { 0x08074b50, 4 }, { r->crc, 4 }, { r->size, width }, { r->size, width });
}

static int put_record(struct torchzip_writer *w, const char *name, const void *data, size_t n, struct err *err)
{
    return begin(w, name, n, err) < 0 || torchzip_put(w, data, n, err) < 0 ? -1 : end(w, err);
}

static int put_entry(struct torchzip_writer *w, const struct torchzip_written *r, struct err *err)
{
    bool wide = r->size >= MAX32, far = r->header >= MAX32;
    uint64_t size = wide ? MAX32 : r->size, extra = wide * 16 + far * 8;

    if (PUT_FIELDS(w, err, { 0x02014b50, 4 }, { 0, 2 }, { wide || far ? 45 : 0, 2 }, { 0x0808, 2 }, { 0, 2 }, { 0, 4 },
                   { r->crc, 4 }, { size, 4 }, { size, 4 }, { w->root_n + 1 + strlen(r->name), 2 }, { extra ? extra + 4 : 0, 2 },
                   { 0, 8 }, { 0, 2 }, { far ? MAX32 : r->header, 4 }) < 0 ||
        put_name(w, r->name, err) < 0)
        return -1;
    return extra ? PUT_FIELDS(w, err, { 1, 2 }, { extra, 2 }, { r->size, wide ? 8 : 0 }, { r->size, wide ? 8 : 0 }, { r->header, far ? 8 : 0 }) : 0;
}

static int put_directory(struct torchzip_writer *w, struct err *err)
{
    uint64_t at = w->out.bytes, stop, size;
    uint64_t n = w->n < 0xffff ? w->n : 0xffff;

    for (size_t i = 0; i < w->n; i++)
        if (put_entry(w, &w->record[i], err) < 0)
            return -1;
    stop = w->out.bytes;
    size = stop - at;
    return PUT_FIELDS(w, err, { 0x06064b50, 4 }, { 44, 8 }, { 0x031e, 2 }, { 45, 2 }, { 0, 8 }, { w->n, 8 }, { w->n, 8 }, { size, 8 },
                      { at, 8 }, { 0x07064b50, 4 }, { 0, 4 }, { stop, 8 }, { 1, 4 }, { 0x06054b50, 4 }, { 0, 4 }, { n, 2 }, { n, 2 },
                      { size < MAX32 ? size : MAX32, 4 }, { at < MAX32 ? at : MAX32, 4 }, { 0, 2 });
}

/* torch's is 20 digits of the records' names and 20 of their checksums; so is this one, by another hash. */
static int put_id(struct torchzip_writer *w, struct err *err)
{
    uint64_t names = 0, data = 0;
    char id[48];
    int n;

    for (size_t i = 0; i < w->n; i++) {
        names = hash_mix64(names ^ hash_crc32c(0, w->record[i].name, strlen(w->record[i].name)));
        data = hash_mix64(data ^ w->record[i].crc);
    }
    n = snprintf(id, sizeof id, "%020" PRIu64 "%020" PRIu64, names, data);
    return put_record(w, ".data/serialization_id", id, (size_t)n, err);
}

/* ---- the file ---- */

static int put_file(struct torchzip_writer *w, const struct emit *e,
                    int (*put)(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err), void *ctx,
                    struct err *err)
{
    if (put_record(w, "data.pkl", e->b, e->n, err) < 0 || put_record(w, ".format_version", "1", 1, err) < 0 ||
        put_record(w, ".storage_alignment", "64", 2, err) < 0 || put_record(w, "byteorder", "little", 6, err) < 0)
        return -1;
    for (size_t i = 0; i < e->n_tensors; i++) {
        char name[32];

        snprintf(name, sizeof name, "data/%zu", i);
        if (begin(w, name, e->tensor[i]->t.size, err) < 0 || put(ctx, w, e->tensor[i], err) < 0 || end(w, err) < 0)
            return -1;
    }
    return put_record(w, "version", "3\n", 2, err) < 0 || put_id(w, err) < 0 ? -1 : put_directory(w, err);
}

int torchzip_save(const char *path, const struct torchzip_value *root,
                  int (*put)(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err), void *ctx,
                  struct err *err)
{
    struct torchzip_writer w = { .root = strrchr(path, '/') ? strrchr(path, '/') + 1 : path };
    struct emit e = { .path = path, .err = err };
    const char *dot = strrchr(w.root, '.');
    int rc;

    w.root_n = dot && dot > w.root ? (size_t)(dot - w.root) : strlen(w.root);
    put_number(&e, 0x80, 2, 1);
    rc = put_value(&e, root, 0);
    put_op(&e, '.');
    if (rc == 0)
        rc = io_create(&w.out, path, true, err);
    if (rc == 0)
        rc = put_file(&w, &e, put, ctx, err);
    free(e.b);
    free(e.tensor);
    free(w.record);
    if (rc == 0)
        return io_commit(&w.out, err);
    io_abort(&w.out);
    return -1;
}
