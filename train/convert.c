/* The one routine: for each run of a destination's tensor, the rectangles of the source that make it. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "train/convert_file.h"

#define PIECE ((size_t)1 << 20) /* bytes put at a time */

char *convert_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    s = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}

/* ---- binding ---- */

/* The tensor of that name: b says where its elements are. */
static const struct tensor *look_up(const struct convert_file *f, const char *name, struct convert_tensor *b)
{
    const struct torchzip_tensor *x;
    const struct tensor *t;
    char path[512];

    if (f->st) {
        t = safetensors_find(f->st, name);
        f->used[t ? t - f->st->tensor : f->st->n] = true;
        b->step[0] = t && t->rank == 2 ? t->shape[1] : 1;
        b->step[1] = 1;
    } else {
        snprintf(path, sizeof path, "%s%s", f->prefix, name);
        x = torchzip_find(f->z, path);
        t = x ? &x->t : NULL;
        f->used[x ? x - f->z->tensor : f->z->n] = true;
        for (int i = 0; i < 2; i++)
            b->step[i] = x && i < x->t.rank ? x->stride[i] : 1;
        b->z = f->z;
        b->record = x ? torchzip_record_of(f->z, x) : NULL;
    }
    if (t) {
        b->data = t->data;
        b->dtype = t->dtype;
        b->name = t->name;
        b->file = f->st ? t->file : f->path;
    }
    return t;
}

static const char *spell_shape(const int64_t *shape, int rank, char out[256])
{
    int n = snprintf(out, 256, "[");

    for (int i = 0; i < rank; i++)
        n += snprintf(out + n, 256 - (size_t)n, "%s%" PRId64, i ? "," : "", shape[i]);
    snprintf(out + n, 256 - (size_t)n, "]");
    return out;
}

static bool is_weight(enum dtype d)
{
    return d == DTYPE_F32 || d == DTYPE_BF16 || d == DTYPE_F16;
}

int convert_bind(struct convert *c, const struct convert_file *f, const struct scheme_list *l, struct err *err)
{
    for (int i = 0; i < l->n; i++) {
        const struct scheme_tensor *t = &l->tensor[i];
        struct convert_tensor b = { .t = t };
        char is[256], due[256];
        const struct tensor *x = look_up(f, t->name, &b);

        if (!x && t->other)
            x = look_up(f, t->other, &b);
        if (!x && t->absent)
            continue;
        if (!x)
            return err_set(err, "%s: tensor %s%s: missing", f->path, f->prefix, t->name);
        if (x->rank != t->rank || x->shape[0] != t->shape[0] || (t->rank == 2 && x->shape[1] != t->shape[1]))
            return err_set(err, "%s: tensor %.200s: shape %s, not %s", b.file, x->name,
                           spell_shape(x->shape, x->rank, is), spell_shape(t->shape, t->rank, due));
        if (!is_weight(x->dtype))
            return err_set(err, "%s: tensor %.200s: elements of type %s: neither F32, BF16 nor F16", b.file, x->name,
                           dtype_table[x->dtype].name);
        mem_grow(&c->tensor, &c->cap, (size_t)c->n + 1, sizeof *c->tensor);
        c->tensor[c->n++] = b;
    }
    return 0;
}

int convert_bind_rest(struct convert *c, const struct convert_file *f, struct err *err)
{
    const struct arch_scheme *s = c->from == CONVERT_HF ? c->config.arch->hf : c->config.arch->megatron;
    int n = f->st ? f->st->n : f->z->n;

    for (int i = 0; i < n; i++) {
        const struct tensor *x = f->st ? &f->st->tensor[i] : &f->z->tensor[i].t;

        if (!f->used[i] && strncmp(x->name, f->prefix, strlen(f->prefix)) == 0 && !scheme_ignores(s, x->name + strlen(f->prefix)))
            return err_set(err, "%s: tensor %.200s: left over, not one of model_type %s", f->st ? x->file : f->path, x->name,
                           c->config.arch->model_type);
    }
    return 0;
}

/* ---- finding and taking ---- */

static int32_t *slot(const struct convert *c, enum arch_param_id param, int layer)
{
    return &c->first[(layer < 0 ? c->config.layers : layer) * P_COUNT + param];
}

static const struct convert_tensor *find(const struct convert *c, enum arch_param_id param, int layer, int64_t row, int64_t col,
                                         struct scheme_place *p)
{
    for (int32_t i = *slot(c, param, layer); i >= 0; i = c->next[i])
        if (scheme_find(c->tensor[i / SCHEME_PARTS].t, param, row, col, p))
            return &c->tensor[i / SCHEME_PARTS];
    return NULL;
}

static const char *element(const struct convert_tensor *b, const struct scheme_place *p)
{
    return b->data + (p->at[0] * b->step[0] + p->at[1] * b->step[1]) * (dtype_table[b->dtype].bits / 8);
}

/* rows x cols from a place on, to out, whose rows are `pitch` elements apart. */
static void take(const struct convert_tensor *b, const struct scheme_place *p, int64_t rows, int64_t cols, char *out, int64_t pitch)
{
    int64_t width = dtype_table[b->dtype].bits / 8, down = b->step[b->t->transposed], right = b->step[!b->t->transposed];
    const char *from = element(b, p);

    for (int64_t r = 0; r < rows; r++, from += down * width, out += pitch * width) {
        if (right == 1)
            memcpy(out, from, (size_t)(cols * width));
        else
            for (int64_t k = 0; k < cols; k++)
                memcpy(out + k * width, from + k * right * width, (size_t)width);
    }
}

/* What is about to be read is what was written: its checksum, at the first touch, when it comes into memory anyway. */
static int check_sum(struct convert *c, const struct convert_tensor *b, struct err *err)
{
    bool *sound = b->record ? &c->sound[b->z - c->zip][b->record - b->z->record] : NULL;

    if (!sound || *sound)
        return 0;
    *sound = true;
    return torchzip_record_check(b->z, b->record, err) < 0 ? err_prefix(err, "tensor %.200s", b->name) : 0;
}

/* Rows [row, row + rows) of a run, from wherever they are, to out. */
static int gather(struct convert *c, const struct scheme_run *run, int64_t row, int64_t rows, char *out, struct err *err)
{
    for (int64_t col = 0, cols = 0; col < run->cols; col += cols)
        for (int64_t r = 0, n; r < rows; r += n) {
            struct scheme_place p;
            const struct convert_tensor *b = find(c, run->param, run->layer, row + r, run->col + col, &p);

            n = p.rows < rows - r ? p.rows : rows - r;
            cols = p.cols < run->cols - col ? p.cols : run->cols - col;
            if (check_sum(c, b, err) < 0)
                return -1;
            take(b, &p, n, cols, out + (r * run->cols + col) * (dtype_table[b->dtype].bits / 8), run->cols);
        }
    return 0;
}

/* ---- the index ---- */

static int64_t batch(const struct scheme_run *run, int width)
{
    int64_t n = (int64_t)PIECE / (run->cols * width);

    return n < 1 ? 1 : n;
}

/* Tensor b holds what others do: the same, to the bit? */
static int check_copy(struct convert *c, const struct convert_tensor *b, struct err *err)
{
    int width = dtype_table[b->dtype].bits / 8;

    for (int64_t i = 0; i < scheme_runs(b->t) - b->t->pad; i++) {
        struct scheme_run run = scheme_run(b->t, i);
        int64_t most = batch(&run, width);

        for (int64_t r = 0, n; r < run.rows; r += n) {
            struct scheme_place p, mine;
            const struct convert_tensor *other = find(c, run.param, run.layer, run.row + r, run.col, &p);
            size_t size;

            n = run.rows - r < most ? run.rows - r : most;
            size = (size_t)(n * run.cols * width);
            for (int k = 0; k < 2; k++)
                mem_grow(&c->s.buf[k], &c->s.buf_cap[k], size, 1);
            scheme_find(b->t, run.param, run.row + r, run.col, &mine);
            n = mine.rows < n ? mine.rows : n;
            if (check_sum(c, b, err) < 0 || (other->dtype == b->dtype && gather(c, &run, run.row + r, n, c->s.buf[1], err) < 0))
                return -1;
            if (other->dtype == b->dtype)
                take(b, &mine, n, run.cols, c->s.buf[0], run.cols);
            if (other->dtype != b->dtype || memcmp(c->s.buf[0], c->s.buf[1], (size_t)(n * run.cols * width)) != 0)
                return err_set(err, "%s: tensor %.200s is a copy of %s: tensor %.200s, and differs from row %" PRId64 " on", b->file, b->name,
                               other->file, other->name, run.row + r);
        }
    }
    return 0;
}

int convert_index(struct convert *c, struct err *err)
{
    size_t slots = (size_t)(c->config.layers + 1) * P_COUNT;

    c->first = xmalloc(slots * sizeof *c->first);
    c->next = xmalloc(((size_t)c->n * SCHEME_PARTS + 1) * sizeof *c->next);
    memset(c->first, 0xff, slots * sizeof *c->first);
    for (int i = 0; i < c->n; i++) {
        const struct convert_tensor *b = &c->tensor[i];
        const struct scheme_part *part = b->t->part;
        struct scheme_place p;

        if (part->rows > 0 && find(c, part->param, b->t->layer, part->row, b->t->col, &p)) {
            if (check_copy(c, b, err) < 0)
                return -1;
            continue;
        }
        for (int k = 0; k < b->t->n && part[k].rows > 0; k++) {
            int32_t *s = slot(c, part[k].param, b->t->layer);

            if (*s >= 0 && c->tensor[*s / SCHEME_PARTS].dtype != b->dtype)
                return err_set(err, "%s: tensor %.200s: %s, and %s: tensor %.200s, which holds other rows of it, %s", b->file, b->name,
                               dtype_table[b->dtype].name, c->tensor[*s / SCHEME_PARTS].file, c->tensor[*s / SCHEME_PARTS].name,
                               dtype_table[c->tensor[*s / SCHEME_PARTS].dtype].name);
            c->next[i * SCHEME_PARTS + k] = *s;
            *s = i * SCHEME_PARTS + k;
        }
    }
    return 0;
}

/* ---- the destination ---- */

int convert_dtype(const struct convert *c, const struct scheme_tensor *t, enum dtype *dtype, struct err *err)
{
    const struct convert_tensor *first = &c->tensor[*slot(c, t->part[0].param, t->layer) / SCHEME_PARTS];

    *dtype = c->o->dtype < 0 ? first->dtype : (enum dtype)c->o->dtype;
    for (int i = 1; i < t->n && c->o->dtype < 0; i++) {
        const struct convert_tensor *b = &c->tensor[*slot(c, t->part[i].param, t->layer) / SCHEME_PARTS];

        if (b->dtype != first->dtype)
            return err_set(err, "%s: tensor %.200s: %s, and %s: tensor %.200s, which go into one, %s: name a --dtype", b->file, b->name,
                           dtype_table[b->dtype].name, first->file, first->name, dtype_table[first->dtype].name);
    }
    return 0;
}

int convert_describe(const struct convert *c, const struct scheme_list *l, struct tensor *t, const struct scheme_tensor **d,
                     struct err *err)
{
    int n = 0;

    for (int i = 0; i < l->n; i++) {
        const struct scheme_tensor *x = &l->tensor[i];

        if (x->absent)
            continue;
        t[n] = (struct tensor){ .name = x->name, .rank = x->rank, .shape = { x->shape[0], x->shape[1] } };
        if (convert_dtype(c, x, &t[n].dtype, err) < 0)
            return -1;
        t[n].count = x->shape[0] * x->shape[1];
        t[n].size = (size_t)t[n].count * (size_t)dtype_table[t[n].dtype].bits / 8;
        d[n++] = x;
    }
    return n;
}

struct sink {
    int (*put)(void *w, const void *data, size_t n, struct err *err);
    void *w;
};

int convert_stopped(const struct convert *c, struct err *err)
{
    return c->o->stop && *c->o->stop ? err_set(err, "stopped by a signal") : 0;
}

/* In pieces, so that a signal is heard. */
static int put(struct convert *c, const struct sink *k, const char *data, size_t n, struct err *err)
{
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < PIECE ? n - at : PIECE;
        if (convert_stopped(c, err) < 0 || k->put(k->w, data + at, some, err) < 0)
            return -1;
        c->bytes += some;
        io_progress(&c->progress, c->tensors, c->bytes);
    }
    return 0;
}

/* n elements of c->s.buf[0] as another type, to c->s.buf[1].  A value that was finite must stay so. */
static int retype(struct convert *c, const struct convert_tensor *b, enum dtype to, size_t n, struct err *err)
{
    const struct dtype_info *d = &dtype_table[to];
    float back[256];

    mem_grow(&c->s.floats, &c->s.floats_cap, n, sizeof *c->s.floats);
    mem_grow(&c->s.buf[1], &c->s.buf_cap[1], n * (size_t)d->bits / 8, 1);
    dtype_table[b->dtype].to_f32(c->s.floats, c->s.buf[0], n);
    d->from_f32(c->s.buf[1], c->s.floats, n);
    for (size_t at = 0, some; at < n; at += some) {
        some = n - at < sizeof back / sizeof *back ? n - at : sizeof back / sizeof *back;
        d->to_f32(back, c->s.buf[1] + at * (size_t)d->bits / 8, some);
        for (size_t i = 0; i < some; i++)
            if (isinf(back[i]) && !isinf(c->s.floats[at + i]))
                return err_set(err, "%s: tensor %.200s: %g is too large for %s", b->file, b->name, (double)c->s.floats[at + i], d->name);
    }
    return 0;
}

/* Rows of a run from `row` on: straight from where they are if they stand there as they are wanted, else through
 * the buffers.  How many were put, or -1. */
static int64_t put_rows(struct convert *c, const struct scheme_run *run, int64_t row, enum dtype dtype, const struct sink *k, struct err *err)
{
    struct scheme_place p;
    const struct convert_tensor *b = find(c, run->param, run->layer, row, run->col, &p);
    int width = dtype_table[b->dtype].bits / 8, out = dtype_table[dtype].bits / 8;
    int64_t n = run->row + run->rows - row, most = batch(run, width), down = b->step[b->t->transposed];
    bool whole = p.cols >= run->cols && b->step[!b->t->transposed] == 1;

    if (b->dtype == dtype && whole && (down == run->cols || p.rows == 1 || n == 1)) {
        n = p.rows < n ? p.rows : n;
        if (check_sum(c, b, err) < 0)
            return -1;
        return put(c, k, element(b, &p), (size_t)(n * run->cols * width), err) < 0 ? -1 : n;
    }
    n = most < n ? most : n;
    mem_grow(&c->s.buf[0], &c->s.buf_cap[0], (size_t)(n * run->cols * width), 1);
    if (gather(c, run, row, n, c->s.buf[0], err) < 0)
        return -1;
    if (b->dtype != dtype && retype(c, b, dtype, (size_t)(n * run->cols), err) < 0)
        return -1;
    return put(c, k, c->s.buf[b->dtype != dtype], (size_t)(n * run->cols * out), err) < 0 ? -1 : n;
}

int convert_put(struct convert *c, const struct scheme_tensor *t, enum dtype dtype,
                int (*to)(void *w, const void *data, size_t n, struct err *err), void *w, struct err *err)
{
    const struct sink k = { to, w };

    for (int64_t i = 0; i < scheme_runs(t); i++) {
        struct scheme_run run = scheme_run(t, i);
        int64_t n;

        for (int64_t row = run.row; row < run.row + run.rows; row += n)
            if ((n = put_rows(c, &run, row, dtype, &k, err)) < 0)
                return -1;
    }
    c->tensors++;
    return 0;
}
