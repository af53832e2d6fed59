#include "libcommon/weights/torchzip.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/weights/torchzip_file.h"

static const uint8_t magic[10] = { 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 }; /* an integer */
#define VERSION 1001 /* of the old form */

bool torchzip_is(const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t n = size > 30 ? p[26] | (size_t)p[27] << 8 : 0;

    if (size < 30)
        return false;
    if (memcmp(p, "PK\3\4", 4) == 0)
        return n > 9 && n <= size - 30 && memcmp(p + 30 + n - 9, "/data.pkl", 9) == 0;
    return p[0] == 0x80 && (memcmp(p + 4, magic, 10) == 0 || memcmp(p + 13, magic, 10) == 0);
}

/* ---- the walk over the tree ---- */

static int too_much(struct torchzip_walk *w, const char *what)
{
    return err_set(w->err, "%s: %.200s: %s", w->name, w->path, what);
}

/* Put the entry's key, or its index, behind the path. */
static int extend(struct torchzip_walk *w, const struct torchzip_entry *e, int64_t i)
{
    char number[32];
    const char *s = number, *dot = e->key && w->n ? "." : "";
    size_t n;

    if (e->key && e->key->type == TORCHZIP_STRING) {
        s = e->key->str.s;
        n = e->key->str.n;
        if (memchr(s, 0, n))
            return too_much(w, "a key below holds a NUL character");
    } else {
        n = (size_t)snprintf(number, sizeof number, e->key ? "%" PRId64 : "[%" PRId64 "]", e->key ? e->key->i : i);
    }
    if (w->n + n + 1 > TORCHZIP_PATH)
        return too_much(w, "a name below is too long");
    w->n += (size_t)snprintf(w->path + w->n, sizeof w->path - w->n, "%s%.*s", dot, (int)n, s);
    return 0;
}

static int walk(struct torchzip_walk *w, const struct torchzip_value *v, int depth)
{
    bool container = v->type == TORCHZIP_LIST || v->type == TORCHZIP_TUPLE || v->type == TORCHZIP_DICT || v->type == TORCHZIP_NAMESPACE;
    size_t n = w->n;
    int64_t i = 0;

    if (!w->most--)
        return too_much(w, "more values than the pickle is long");
    if (!container)
        return w->leaf(w, v);
    if (depth == TORCHZIP_DEPTH)
        return too_much(w, "nested too deep");
    for (const struct torchzip_entry *e = v->list.first; e; e = e->next) {
        if (extend(w, e, i++) < 0 || walk(w, e->value, depth + 1) < 0)
            return -1;
        w->n = n;
        w->path[n] = 0;
    }
    return 0;
}

int torchzip_walk(struct torchzip_walk *w, const struct torchzip_value *v)
{
    w->n = 0;
    w->path[0] = 0;
    return walk(w, v, 0);
}

/* ---- tensors ---- */

struct found {
    struct torchzip *z;
    size_t cap, most;
};

static int add_tensor(struct torchzip_walk *w, const struct torchzip_value *v)
{
    struct found *f = w->ctx;
    struct torchzip *z = f->z;
    struct torchzip_tensor *t;

    if (v->type != TORCHZIP_TENSOR)
        return 0;
    if ((size_t)z->n == f->most)
        return too_much(w, "more tensors than the pickle has room for");
    mem_grow(&z->tensor, &f->cap, (size_t)z->n + 1, sizeof *z->tensor);
    t = v->tensor;
    t->t.name = arena_strndup(&z->arena, w->path, w->n);
    t->t.file = z->name;
    t->t.data = t->storage->data + (t->t.count ? t->offset * (dtype_table[t->t.dtype].bits / 8) : 0);
    z->tensor[z->n++] = *t;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct torchzip_tensor *)a)->t.name, ((const struct torchzip_tensor *)b)->t.name);
}

static int add_tensors(struct torchzip *z, size_t pickle_size, struct err *err)
{
    struct found f = { z, 0, pickle_size / 8 + 1 };
    struct torchzip_walk w = { .leaf = add_tensor, .ctx = &f, .name = z->name, .most = 2 * pickle_size, .err = err };

    if (torchzip_walk(&w, z->root) < 0)
        return -1;
    if (z->n)
        qsort(z->tensor, (size_t)z->n, sizeof *z->tensor, by_name);
    for (int i = 1; i < z->n; i++)
        if (by_name(&z->tensor[i - 1], &z->tensor[i]) == 0)
            return err_set(err, "%s: tensor %.200s twice", z->name, z->tensor[i].t.name);
    return 0;
}

/* ---- storages ---- */

static int by_key(const void *a, const void *b)
{
    const struct torchzip_storage *x = *(struct torchzip_storage *const *)a, *y = *(struct torchzip_storage *const *)b;
    int order = memcmp(x->key, y->key, x->key_n < y->key_n ? x->key_n : y->key_n);

    return order ? order : (x->key_n > y->key_n) - (x->key_n < y->key_n);
}

/* Into the order of their keys; how many they are, each named once or more. */
static int sort_storages(struct torchzip_pickle *v)
{
    int n = 0;

    if (v->n_storage)
        qsort(v->storage, v->n_storage, sizeof *v->storage, by_key);
    for (size_t i = 0; i < v->n_storage; i++)
        n += i == 0 || by_key(&v->storage[i - 1], &v->storage[i]) != 0;
    return n;
}

/* ---- the zip form ---- */

static const struct torchzip_record *record_of(const struct torchzip *z, const struct torchzip_storage *s, char name[64])
{
    int n = snprintf(name, 64, "data/%.*s", s->key_n < 40 ? (int)s->key_n : 40, s->key);

    return s->key_n < 40 ? torchzip_record(z, name, (size_t)n) : NULL;
}

static int find_storages(struct torchzip *z, const struct torchzip_pickle *v, struct err *err)
{
    for (size_t i = 0; i < v->n_storage; i++) {
        struct torchzip_storage *s = v->storage[i];
        char name[64];
        const struct torchzip_record *r = record_of(z, s, name);

        if (!r)
            return err_set(err, "%s: record %s is missing", z->name, name);
        if (r->size != (uint64_t)s->count * (uint64_t)s->width)
            return err_set(err, "%s: record %s has %" PRIu64 " bytes, not %" PRId64 " of %d", z->name, name, r->size, s->count, s->width);
        s->data = z->data + r->offset;
    }
    return 0;
}

static int parse_zip(struct torchzip *z, struct torchzip_pickle *v, struct err *err)
{
    const struct torchzip_record *r, *order;
    char *name;

    if (torchzip_records(z, err) < 0)
        return -1;
    r = torchzip_record(z, "data.pkl", 8);
    order = torchzip_record(z, "byteorder", 9);
    if (!r)
        return err_set(err, "%s: a zip without data.pkl: not torch's", z->name);
    if (order && (order->size != 6 || memcmp(z->data + order->offset, "little", 6) != 0))
        return err_set(err, "%s: byte %" PRIu64 ": its byte order is not little", z->name, order->offset);
    if (torchzip_record_check(z, r, err) < 0)
        return -1;
    name = arena_alloc(&z->arena, strlen(z->name) + 16);
    snprintf(name, strlen(z->name) + 16, "%s: data.pkl", z->name);
    v->name = name;
    v->p = z->data + r->offset;
    v->end = v->p + r->size;
    z->root = torchzip_pickle_run(v);
    if (!z->root)
        return -1;
    if (v->p != v->end)
        return err_set(err, "%s: byte %td: bytes behind the pickle", name, v->p - v->start);
    z->n_storages = sort_storages(v);
    return find_storages(z, v, err) < 0 ? -1 : add_tensors(z, r->size, err);
}

/* ---- the old form ---- */

/* Behind the list of keys, for each: the number of elements in 8 bytes, and the elements. */
static int read_storages(struct torchzip *z, struct torchzip_pickle *v, const struct torchzip_value *keys, struct err *err)
{
    struct torchzip_storage key, *want = &key, **s = v->storage;

    for (const struct torchzip_entry *e = keys->list.first; e; e = e->next) {
        uint64_t count = 0, left = (uint64_t)(v->end - v->p);
        struct torchzip_storage **at;
        int width;

        if (e->value->type != TORCHZIP_STRING)
            return err_set(err, "%s: a storage's key is not a string", z->name);
        key = (struct torchzip_storage){ .key = e->value->str.s, .key_n = e->value->str.n };
        at = v->n_storage ? bsearch(&want, s, v->n_storage, sizeof *s, by_key) : NULL;
        for (int i = 7; i >= 0 && left >= 8; i--)
            count = count << 8 | v->p[i];
        if (!at || left < 8 || count != (uint64_t)(*at)->count || count * (uint64_t)(*at)->width > left - 8)
            return err_set(err, "%s: byte %td: no storage %.*s of %" PRId64 " elements is there", z->name, v->p - z->data,
                           key.key_n < 40 ? (int)key.key_n : 40, key.key, at ? (*at)->count : 0);
        width = (*at)->width;
        while (at > s && by_key(&at[-1], &want) == 0)
            at--;
        for (; at < s + v->n_storage && by_key(at, &want) == 0; at++) {
            if ((*at)->data || (uint64_t)(*at)->count != count || (*at)->width != width)
                return err_set(err, "%s: byte %td: storage %.*s twice", z->name, v->p - z->data, key.key_n < 40 ? (int)key.key_n : 40, key.key);
            (*at)->data = v->p + 8;
        }
        v->p += 8 + count * (uint64_t)width;
    }
    for (size_t i = 0; i < v->n_storage; i++)
        if (!s[i]->data)
            return err_set(err, "%s: storage %.*s is missing", z->name, s[i]->key_n < 40 ? (int)s[i]->key_n : 40, s[i]->key);
    if (v->p != v->end)
        return err_set(err, "%s: byte %td: bytes behind the last storage", z->name, v->p - z->data);
    return 0;
}

/* Five pickles: magic, version, about the machine, the object, the keys of its storages. */
static int parse_old(struct torchzip *z, struct torchzip_pickle *v, struct err *err)
{
    const struct torchzip_value *x, *little;
    size_t size;

    v->name = z->name;
    v->p = z->data;
    v->end = z->data + z->size;
    x = torchzip_pickle_run(v);
    if (!x)
        return -1;
    if (x->type != TORCHZIP_LONG || x->str.n != sizeof magic || memcmp(x->str.s, magic, sizeof magic) != 0)
        return err_set(err, "%s: a pickle, but not torch's", z->name);
    x = torchzip_pickle_run(v);
    if (!x)
        return -1;
    if (x->type != TORCHZIP_INT || x->i != VERSION)
        return err_set(err, "%s: byte %td: another version than %d", z->name, v->p - z->data, VERSION);
    x = torchzip_pickle_run(v);
    if (!x)
        return -1;
    little = torchzip_get(x, "little_endian");
    if (!little || little->type != TORCHZIP_BOOL || !little->i)
        return err_set(err, "%s: byte %td: its byte order is not little", z->name, v->p - z->data);
    z->root = torchzip_pickle_run(v);
    if (!z->root)
        return -1;
    z->protocol = v->protocol;
    size = (size_t)(v->p - v->start);
    x = torchzip_pickle_run(v);
    if (!x)
        return -1;
    if (x->type != TORCHZIP_LIST)
        return err_set(err, "%s: byte %td: no list of storages", z->name, v->p - z->data);
    z->n_storages = sort_storages(v);
    return read_storages(z, v, x, err) < 0 ? -1 : add_tensors(z, size, err);
}

/* ---- the interface ---- */

int torchzip_parse(struct torchzip *z, const void *data, size_t size, const char *name, struct err *err)
{
    struct torchzip_pickle v = { .arena = &z->arena, .err = err };
    const uint8_t *p = data;
    int rc;

    memset(z, 0, sizeof *z);
    arena_init(&z->arena);
    z->data = data;
    z->size = size;
    z->name = name;
    z->zip = size >= 4 && memcmp(p, "PK\3\4", 4) == 0;
    if (!z->zip && !(size >= 2 && p[0] == 0x80))
        rc = err_set(err, "%s: byte 0: neither a zip nor a pickle", name);
    else
        rc = z->zip ? parse_zip(z, &v, err) : parse_old(z, &v, err);
    z->protocol = v.protocol;
    torchzip_pickle_free(&v);
    if (rc < 0)
        torchzip_close(z);
    return rc;
}

int torchzip_open(struct torchzip *z, const char *path, struct err *err)
{
    struct io_map m;

    memset(z, 0, sizeof *z);
    if (io_map(&m, path, err) < 0)
        return -1;
    if (torchzip_parse(z, m.data, m.size, path, err) < 0) {
        io_unmap(&m);
        return -1;
    }
    z->map = m;
    return 0;
}

void torchzip_close(struct torchzip *z)
{
    free(z->tensor);
    arena_release(&z->arena);
    io_unmap(&z->map);
    memset(z, 0, sizeof *z);
}

int torchzip_verify(const struct torchzip *z, struct err *err)
{
    for (int i = 0; i < z->n_records; i++)
        if (torchzip_record_check(z, &z->record[i], err) < 0)
            return -1;
    return 0;
}

const struct torchzip_record *torchzip_record_of(const struct torchzip *z, const struct torchzip_tensor *t)
{
    char name[64];

    return z->zip ? record_of(z, t->storage, name) : NULL;
}

const struct torchzip_tensor *torchzip_find(const struct torchzip *z, const char *name)
{
    struct torchzip_tensor key = { .t.name = name };

    return z->n ? bsearch(&key, z->tensor, (size_t)z->n, sizeof *z->tensor, by_name) : NULL;
}

const struct torchzip_value *torchzip_get(const struct torchzip_value *v, const char *key)
{
    const struct torchzip_value *found = NULL;
    size_t n = strlen(key);

    if (!v || (v->type != TORCHZIP_DICT && v->type != TORCHZIP_NAMESPACE))
        return NULL;
    for (const struct torchzip_entry *e = v->list.first; e; e = e->next)
        if (e->key->type == TORCHZIP_STRING && e->key->str.n == n && memcmp(e->key->str.s, key, n) == 0)
            found = e->value;
    return found;
}

void torchzip_read(const struct torchzip_tensor *t, int64_t at, int64_t n, void *out)
{
    size_t width = (size_t)dtype_table[t->t.dtype].bits / 8;
    int64_t run = 1; /* elements side by side in the storage */
    int outer = t->t.rank;
    char *o = out;

    while (outer > 0 && (t->stride[outer - 1] == run || t->t.shape[outer - 1] == 1))
        run *= t->t.shape[--outer];
    for (int64_t k; n > 0; at += k, n -= k, o += (size_t)k * width) {
        int64_t row = at / run, from = at % run;

        k = run - from < n ? run - from : n;
        for (int d = outer; d-- > 0; row /= t->t.shape[d])
            from += row % t->t.shape[d] * t->stride[d];
        memcpy(o, (const char *)t->t.data + (size_t)from * width, (size_t)k * width);
    }
}
