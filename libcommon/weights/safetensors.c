#include "libcommon/weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/weights/safetensors_file.h"

#define MAX_HEADER 100000000 /* the reference's limit */

struct parser {
    struct safetensors *s;
    struct json j;
    char *text; /* rest of room for every string of the header, each with a NUL */
    const char *name;
    const uint8_t *data; /* behind the header */
    uint64_t data_size;
    size_t cap; /* of s->tensor */
    struct err *err;
};

static int wrong(struct parser *p, const char *what)
{
    return err_set(p->err, "%s: byte %td of the header: %s", p->name, p->j.p - p->j.start, what);
}

/* The next event must be `want`. */
static int expect(struct parser *p, enum json_type want, const char *what)
{
    enum json_type t = json_next(&p->j);

    if (t == JSON_ERROR)
        return wrong(p, p->j.error);
    return t == want ? 0 : wrong(p, what);
}

/* The string just read, NUL-ended in the arena; NULL when it holds a NUL itself. */
static const char *keep(struct parser *p)
{
    char *s = p->text;
    size_t n = json_unescape(&p->j.raw, s);

    s[n] = 0;
    p->text += n + 1;
    return memchr(s, 0, n) ? NULL : s;
}

static int parse_meta(struct parser *p)
{
    struct safetensors *s = p->s;
    struct safetensors_meta *meta = NULL;
    size_t cap = 0, n = 0;
    enum json_type t;

    if (expect(p, JSON_OBJECT, "__metadata__ is not an object") < 0)
        return -1;
    while ((t = json_next(&p->j)) == JSON_KEY) {
        mem_grow(&meta, &cap, n + 1, sizeof *meta);
        meta[n].key = keep(p);
        if (expect(p, JSON_STRING, "a value of __metadata__ is not a string") < 0)
            break;
        meta[n].value = keep(p);
        if (!meta[n].key || !meta[n].value) {
            wrong(p, "__metadata__ holds a NUL character");
            break;
        }
        n++;
    }
    if (t == JSON_OBJECT_END && !s->n_map) { /* the first file's */
        s->meta = arena_alloc(&s->arena, n * sizeof *meta);
        s->n_meta = (int)n;
        if (n)
            memcpy(s->meta, meta, n * sizeof *meta);
    }
    free(meta);
    if (t == JSON_ERROR)
        wrong(p, p->j.error);
    return t == JSON_OBJECT_END ? 0 : -1;
}

/* An array of `least` to `most` integers >= 0; how many, or -1. */
static int parse_ints(struct parser *p, int64_t *v, int least, int most, const char *what)
{
    enum json_type t;
    int n = 0;

    if (expect(p, JSON_ARRAY, what) < 0)
        return -1;
    while ((t = json_next(&p->j)) == JSON_NUMBER) {
        if (n == most || !json_int64(&p->j.raw, &v[n]) || v[n] < 0)
            return wrong(p, what);
        n++;
    }
    if (t != JSON_ARRAY_END || n < least)
        return wrong(p, t == JSON_ERROR ? p->j.error : what);
    return n;
}

/* Elements and bytes of a shape, every product checked. */
int safetensors_measure(struct tensor *t, struct err *err)
{
    int64_t bits;

    t->count = 1;
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return err_set(err, "%s: tensor %.200s: its shape overflows", t->file, t->name);
    if (__builtin_mul_overflow(t->count, dtype_table[t->dtype].bits, &bits))
        return err_set(err, "%s: tensor %.200s: its shape overflows", t->file, t->name);
    if (bits % 8)
        return err_set(err, "%s: tensor %.200s: %lld bits are not whole bytes", t->file, t->name, (long long)bits);
    t->size = (size_t)(bits / 8);
    return 0;
}

/* dtype, shape and offsets agree with each other and with the data. */
static int place(struct parser *p, struct tensor *t, const int64_t off[2])
{
    if (off[0] > off[1] || (uint64_t)off[1] > p->data_size)
        return err_set(p->err, "%s: tensor %.200s: data_offsets [%lld, %lld] of %llu bytes", p->name, t->name,
                       (long long)off[0], (long long)off[1], (unsigned long long)p->data_size);
    if (safetensors_measure(t, p->err) < 0)
        return -1;
    if ((uint64_t)(off[1] - off[0]) != t->size)
        return err_set(p->err, "%s: tensor %.200s: %lld bytes of data for a shape of %zu", p->name, t->name,
                       (long long)(off[1] - off[0]), t->size);
    t->data = p->data + off[0];
    return 0;
}

static int parse_dtype(struct parser *p, struct tensor *t)
{
    int dtype;

    if (expect(p, JSON_STRING, "dtype is not a string") < 0)
        return -1;
    dtype = dtype_by_name(p->j.raw.s, p->j.raw.n);
    if (dtype < 0)
        return err_set(p->err, "%s: tensor %.200s: unknown dtype \"%.*s\"", p->name, t->name,
                       p->j.raw.n < 40 ? (int)p->j.raw.n : 40, p->j.raw.s);
    t->dtype = (enum dtype)dtype;
    return 0;
}

static int parse_tensor(struct parser *p, struct tensor *t)
{
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    int64_t off[2];
    int seen = 0;
    enum json_type type;

    if (expect(p, JSON_OBJECT, "a tensor is not an object") < 0)
        return -1;
    while ((type = json_next(&p->j)) == JSON_KEY) {
        int field = json_is(&p->j.raw, "dtype")          ? DTYPE
                    : json_is(&p->j.raw, "shape")        ? SHAPE
                    : json_is(&p->j.raw, "data_offsets") ? OFFSETS
                                                         : 0;

        if (seen & field)
            return wrong(p, "a field twice");
        seen |= field;
        if (!field && json_skip(&p->j) < 0) /* unknown fields are for later versions */
            return wrong(p, p->j.error);
        if (field == DTYPE && parse_dtype(p, t) < 0)
            return -1;
        if (field == SHAPE &&
            (t->rank = parse_ints(p, t->shape, 0, SAFETENSORS_RANK, "shape is not at most 8 integers >= 0")) < 0)
            return -1;
        if (field == OFFSETS && parse_ints(p, off, 2, 2, "data_offsets are not two integers >= 0") < 0)
            return -1;
    }
    if (type != JSON_OBJECT_END)
        return wrong(p, p->j.error);
    if (seen != (DTYPE | SHAPE | OFFSETS))
        return wrong(p, "a tensor without dtype, shape or data_offsets");
    return place(p, t, off);
}

static int parse_header(struct parser *p)
{
    struct safetensors *s = p->s;
    bool meta = false;
    enum json_type t;

    if (expect(p, JSON_OBJECT, "not an object") < 0)
        return -1;
    while ((t = json_next(&p->j)) == JSON_KEY) {
        if (json_is(&p->j.raw, "__metadata__")) {
            if (meta)
                return wrong(p, "__metadata__ twice");
            meta = true;
            if (parse_meta(p) < 0)
                return -1;
            continue;
        }
        mem_grow(&s->tensor, &p->cap, (size_t)s->n + 1, sizeof *s->tensor);
        s->tensor[s->n] = (struct tensor){ .name = keep(p), .file = p->name };
        if (!s->tensor[s->n].name)
            return wrong(p, "a tensor's name holds a NUL character");
        if (parse_tensor(p, &s->tensor[s->n]) < 0)
            return -1;
        s->n++;
    }
    if (t != JSON_OBJECT_END || json_next(&p->j) != JSON_END)
        return wrong(p, p->j.error);
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;

    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

/* The tensors from `first` on cover the data: no hole, no overlap, nothing behind. */
static int check_cover(struct parser *p, int first)
{
    size_t n = (size_t)(p->s->n - first);
    struct tensor *t = n ? p->s->tensor + first : NULL;
    uint64_t end = 0;

    if (n)
        qsort(t, n, sizeof *t, by_place);
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = (uint64_t)((const uint8_t *)t[i].data - p->data);

        if (begin != end)
            return err_set(p->err, "%s: tensor %.200s begins at byte %llu of the data, not at %llu: %s", p->name, t[i].name,
                           (unsigned long long)begin, (unsigned long long)end, begin < end ? "an overlap" : "a hole");
        end = begin + t[i].size;
    }
    if (end != p->data_size)
        return err_set(p->err, "%s: the tensors end at byte %llu of %llu of the data", p->name, (unsigned long long)end,
                       (unsigned long long)p->data_size);
    return 0;
}

int safetensors_add(struct safetensors *s, const void *data, size_t size, const char *name, struct err *err)
{
    struct parser p = { .s = s, .name = name, .cap = (size_t)s->n, .err = err };
    const uint8_t *b = data;
    uint64_t n = 0;
    int first = s->n;

    if (size < 8)
        return err_set(err, "%s: %zu bytes are too few for a safetensors file", name, size);
    for (int i = 7; i >= 0; i--)
        n = n << 8 | b[i];
    if (n > MAX_HEADER)
        return err_set(err, "%s: byte 0: a header of %llu bytes, %d at most", name, (unsigned long long)n, MAX_HEADER);
    if (n > size - 8)
        return err_set(err, "%s: byte 0: a header of %llu bytes in a file of %zu", name, (unsigned long long)n, size);
    p.data = b + 8 + n;
    p.data_size = size - 8 - n;
    p.text = arena_alloc(&s->arena, n + 1);
    s->header = (const char *)b + 8;
    s->header_n = n;
    json_init(&p.j, b + 8, n);
    if (parse_header(&p) < 0)
        return -1;
    return check_cover(&p, first);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

int safetensors_sort(struct safetensors *s, struct err *err)
{
    struct tensor *t = s->tensor;

    if (s->n)
        qsort(t, (size_t)s->n, sizeof *t, by_name);
    for (int i = 1; i < s->n; i++)
        if (by_name(t + i - 1, t + i) == 0)
            return t[i - 1].file == t[i].file
                       ? err_set(err, "%s: tensor %.200s twice", t[i].file, t[i].name)
                       : err_set(err, "%s: tensor %.200s stands in %s too", t[i].file, t[i].name, t[i - 1].file);
    return 0;
}

/* The header's length, its upper bytes 0; then JSON, perhaps behind blanks. */
bool safetensors_is(const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t at = 8;

    while (at < size && at < 4096 && p[at] && strchr(" \t\r\n", p[at]))
        at++;
    return size > at && memcmp(p + 4, "\0\0\0\0", 4) == 0 && p[at] == '{';
}

int safetensors_parse(struct safetensors *s, const void *data, size_t size, const char *name, struct err *err)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena);
    name = arena_strndup(&s->arena, name, strlen(name));
    if (safetensors_add(s, data, size, name, err) < 0 || safetensors_sort(s, err) < 0) {
        safetensors_close(s);
        return -1;
    }
    return 0;
}

void safetensors_close(struct safetensors *s)
{
    for (int i = 0; i < s->n_map; i++)
        io_unmap(&s->map[i]);
    free(s->map);
    free(s->tensor);
    arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    struct tensor key = { .name = name };

    return s->n ? bsearch(&key, s->tensor, (size_t)s->n, sizeof key, by_name) : NULL;
}
