#include "train/data.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "libcommon/data/stream_rows.h"

struct data {
    struct data_options o; /* path and split are owned */
    const struct data_kind *kind;
    int64_t length, count;
    struct index x; /* .bin/.idx */
    struct sampler s;
    int32_t *text; /* [length + 1] */
    struct stream_rows *rows; /* owns the reader */
    struct stream_reader *r;  /* the pipe, or that of rows */
    uint64_t next;            /* row that the pipe gives next */
    bool ended;               /* it has */
    uint64_t at;              /* sample or row that was got last, for messages */
};

/* What a path may name. */
struct data_kind {
    const char *name;
    int order;       /* where none is asked for */
    unsigned orders; /* 1 << each that goes with it */
    int (*open)(struct data *d, struct err *err);
    /* Sequence k; below count, where that is known.  1, 0 the end, -1. */
    int (*get)(struct data *d, uint64_t k, struct data_row *row, struct err *err);
};

static const char *const orders[] = { "megatron", "shuffle", "sequential" };

static int open_index(struct data *d, struct err *err)
{
    struct sampler_options o = {
        .split = d->o.split ? d->o.split : "1",
        .which = d->o.split ? d->o.which : SAMPLER_TRAIN,
        .sequence_length = (uint32_t)d->o.length,
        .num_samples = d->o.samples,
        .seed = (uint32_t)d->o.seed,
        .pad = -1,
        .eod = -1,
    };

    if (d->o.length < 1 || d->o.length > UINT32_MAX)
        return err_set(err, "%s: seq_length %" PRId64 " is not within 1..%" PRIu32 " (a .bin/.idx has none of its own)",
                       d->o.path, d->o.length, UINT32_MAX);
    if (d->o.seed > UINT32_MAX)
        return err_set(err, "%s: seed %" PRIu64 " is above the %" PRIu32 " of Megatron's sample order", d->o.path,
                       d->o.seed, UINT32_MAX);
    if (index_open(&d->x, d->o.path, err) < 0)
        return -1;
    if (sampler_open(&d->s, &d->x, &o, err) < 0)
        return err_prefix(err, "%s", d->o.path);
    d->length = d->o.length;
    d->count = (int64_t)d->s.n_samples;
    d->text = xmalloc(((size_t)d->length + 1) * sizeof *d->text);
    return 0;
}

static int get_index(struct data *d, uint64_t k, struct data_row *row, struct err *err)
{
    if (k >= (uint64_t)d->count)
        return err_set(err, "%s: sample %" PRIu64 ": there are %" PRId64, d->o.path, k, d->count);
    if (sampler_train(&d->s, k, d->text, row->target, row->loss, row->pos, err) < 0)
        return err_prefix(err, "%s: sample %" PRIu64, d->o.path, k);
    memcpy(row->ids, d->text, (size_t)d->length * sizeof *row->ids);
    row->doc[0] = 0;
    row->doc[1] = d->length;
    row->n_docs = 1;
    return 1;
}

/* d->r is open: does it hold rows, and of the length wanted? */
static int check_stream(struct data *d, struct err *err)
{
    const struct stream_header *h = stream_header(d->r);

    if (h->kind != STREAM_ROWS)
        return err_set(err, "%s: a stream of documents: pack it into rows first (lmpack)", io_name(d->o.path));
    if (d->o.length && d->o.length != h->row_len)
        return err_set(err, "%s: rows of %" PRIu32 " tokens, seq_length is %" PRId64, io_name(d->o.path), h->row_len, d->o.length);
    if (d->o.vocab && h->vocab_size > (uint64_t)d->o.vocab)
        return err_set(err, "%s: ids of a vocabulary of %" PRIu32 ", the model has %" PRId64, io_name(d->o.path), h->vocab_size,
                       d->o.vocab);
    d->length = h->row_len;
    return 0;
}

static int open_rows(struct data *d, struct err *err)
{
    if (check_stream(d, err) < 0)
        return -1;
    d->rows = stream_rows_new(d->r, err);
    if (!d->rows) {
        d->r = NULL;
        return -1;
    }
    d->count = (int64_t)stream_rows_count(d->rows);
    return d->count ? 0 : err_set(err, "%s: there are no rows in it", d->o.path);
}

/* A row's pieces become documents, which end without a loss. */
static void put_documents(const struct stream_record *rec, struct data_row *row)
{
    const uint32_t whole = (uint32_t)rec->n, *seg = rec->seg ? rec->seg : &whole;
    uint32_t n = rec->seg ? rec->n_seg : 1;
    int64_t at = 0;

    row->n_docs = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!seg[i])
            continue;
        row->doc[row->n_docs++] = at;
        for (uint32_t k = 0; k < seg[i]; k++)
            row->pos[at++] = (int32_t)k;
        row->loss[at - 1] = 0;
    }
    row->doc[row->n_docs] = at;
}

static void put_row(const struct stream_record *rec, struct data_row *row)
{
    size_t last = rec->n - 1;

    memcpy(row->ids, rec->tokens, rec->n * sizeof *row->ids);
    memcpy(row->target, rec->tokens + 1, last * sizeof *row->target);
    row->target[last] = 0;
    if (rec->loss)
        memcpy(row->loss, rec->loss + 1, last);
    else
        memset(row->loss, 1, last);
    put_documents(rec, row);
}

static int get_rows(struct data *d, uint64_t k, struct data_row *row, struct err *err)
{
    uint64_t n = (uint64_t)d->count, at = k % n;
    struct stream_record rec;

    if (d->o.order == DATA_SHUFFLE)
        at = rng_permute(d->o.seed, DATA_STREAM + k / n, n, at);
    d->at = at;
    if (stream_rows_get(d->rows, at, &rec, err) < 0)
        return -1;
    put_row(&rec, row);
    return 1;
}

static int open_pipe(struct data *d, struct err *err)
{
    d->count = -1;
    return check_stream(d, err);
}

static int get_pipe(struct data *d, uint64_t k, struct data_row *row, struct err *err)
{
    struct stream_record rec;
    int rc;

    if (d->ended)
        return 0;
    if (k < d->next || (d->next && k > d->next))
        return err_set(err, "%s: row %" PRIu64 " of a pipe that is at row %" PRIu64, io_name(d->o.path), k, d->next);
    do {
        rc = stream_read(d->r, &rec, err);
        d->ended = rc == 0;
        if (rc <= 0)
            return rc;
    } while (d->next++ < k);
    put_row(&rec, row);
    return 1;
}

static const struct data_kind kind_index = { ".bin/.idx", DATA_MEGATRON, 1 << DATA_MEGATRON, open_index, get_index };
static const struct data_kind kind_rows = { "a stream file", DATA_SHUFFLE, 1 << DATA_SHUFFLE | 1 << DATA_SEQUENTIAL,
                                            open_rows, get_rows };
static const struct data_kind kind_pipe = { "a pipe", DATA_SEQUENTIAL, 1 << DATA_SEQUENTIAL, open_pipe, get_pipe };

static bool is_prefix(const char *path)
{
    size_t size = strlen(path) + sizeof ".idx";
    char *idx = xmalloc(size);
    struct stat st;
    bool exists;

    snprintf(idx, size, "%s.idx", path);
    exists = stat(idx, &st) == 0;
    free(idx);
    return exists;
}

static const struct data_kind *find_kind(struct data *d, struct err *err)
{
    struct stat st;

    if (strcmp(d->o.path, "-") != 0 && (stat(d->o.path, &st) < 0 || S_ISDIR(st.st_mode))) {
        if (is_prefix(d->o.path))
            return &kind_index;
        err_set(err, "%s: neither a file nor a prefix with an .idx", d->o.path);
        return NULL;
    }
    d->r = stream_open(d->o.path, false, err);
    return !d->r ? NULL : stream_mapped(d->r) ? &kind_rows : &kind_pipe;
}

static int open_data(struct data *d, struct err *err)
{
    d->kind = find_kind(d, err);
    if (!d->kind)
        return -1;
    if (d->o.order == DATA_BY_KIND)
        d->o.order = d->kind->order;
    if (!(d->kind->orders >> d->o.order & 1))
        return err_set(err, "%s: data_order %s does not go with %s", io_name(d->o.path), orders[d->o.order], d->kind->name);
    return d->kind->open(d, err);
}

struct data *data_open(const struct data_options *o, struct err *err)
{
    struct data *d = xcalloc(1, sizeof *d);

    d->o = *o;
    d->o.path = xstrdup(o->path);
    d->o.split = o->split ? xstrdup(o->split) : NULL;
    if (open_data(d, err) < 0) {
        data_close(d);
        return NULL;
    }
    return d;
}

void data_close(struct data *d)
{
    if (!d)
        return;
    sampler_close(&d->s);
    index_close(&d->x);
    if (d->rows)
        stream_rows_free(d->rows);
    else
        stream_close(d->r);
    free(d->text);
    free((void *)(uintptr_t)d->o.path);
    free((void *)(uintptr_t)d->o.split);
    free(d);
}

int64_t data_length(const struct data *d)
{
    return d->length;
}

int64_t data_count(const struct data *d)
{
    return d->count;
}

bool data_has_splits(const struct data *d)
{
    return d->kind == &kind_index;
}

const struct stream_header *data_stream(const struct data *d)
{
    return d->r ? stream_header(d->r) : NULL;
}

/* Index of the first of n tokens that is not in [0, vocab), or n. */
static int64_t find_bad(const int32_t *v, int64_t n, int64_t vocab)
{
    uint32_t top = (uint32_t)vocab, bad = 0;
    int64_t i = 0;

    for (int64_t k = 0; k < n; k++)
        bad |= (uint32_t)v[k] >= top;
    while (bad && (uint32_t)v[i] < top)
        i++;
    return bad ? i : n;
}

int data_get(struct data *d, uint64_t k, struct data_row *row, struct err *err)
{
    const int32_t *arrays[2] = { row->ids, row->target };
    int rc;

    if (d->o.once && d->count >= 0 && k >= (uint64_t)d->count)
        return 0;
    d->at = k;
    rc = d->kind->get(d, k, row, err);
    if (rc <= 0)
        return rc;
    for (int a = 0; a < 2; a++) {
        int64_t at = find_bad(arrays[a], d->length, d->o.vocab);

        if (at < d->length)
            return err_set(err, "%s: %s %" PRIu64 ", token %" PRId64 ": %" PRId32 " is not within the model's 0..%" PRId64,
                           io_name(d->o.path), d->r ? "row" : "sample", d->at, at + a, arrays[a][at], d->o.vocab - 1);
    }
    return 1;
}
