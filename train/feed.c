#include "train/feed.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

enum { CANCELLED = 2 }; /* rc of a row that was waited for when a signal came */

/* What goes before a row. */
struct label {
    int64_t rc, n_docs;
};

static size_t parcel_size(int64_t length)
{
    size_t n = (size_t)length;

    return sizeof(struct label) + (n + 1) * sizeof(int64_t) + 3 * n * sizeof(int32_t) + n;
}

static void make_parcel(struct feed *f)
{
    size_t n = (size_t)f->length;
    int64_t *doc;

    f->parcel = xcalloc(1, parcel_size(f->length));
    doc = (int64_t *)(void *)(f->parcel + sizeof(struct label));
    f->row = (struct data_row){ .doc = doc, .ids = (int32_t *)(void *)(doc + n + 1) };
    f->row.target = f->row.ids + n;
    f->row.pos = f->row.target + n;
    f->row.loss = (uint8_t *)(f->row.pos + n);
}

int feed_open(struct feed *f, const struct comm *c, const struct data_options *o, struct err *err)
{
    int64_t told[3] = { 0 }; /* by rank 0: does it go, is it a pipe, the length of a row */
    double failed;

    memset(f, 0, sizeof *f);
    f->comm = c;
    if (c->rank == 0 && (f->data = data_open(o, err))) {
        told[0] = 1;
        told[1] = data_count(f->data) < 0;
        told[2] = data_length(f->data);
    }
    c->table->broadcast(c, told, sizeof told);
    if (c->rank && told[0] && !told[1])
        f->data = data_open(o, err);
    f->length = told[2];
    if (told[1] && c->size > 1)
        make_parcel(f);
    failed = !told[0] || (!told[1] && !f->data);
    if (failed == 0)
        err_set(err, "%s: another rank cannot read it", o->path);
    c->table->sum(c, &failed, 1);
    if (failed > 0)
        feed_close(f);
    return failed > 0 ? -1 : 0;
}

void feed_close(struct feed *f)
{
    data_close(f->data);
    free(f->parcel);
    memset(f, 0, sizeof *f);
}

static int get(struct feed *f, uint64_t k, struct data_row *row, struct err *err)
{
    int rc = data_get(f->data, k, row, err);

    return rc < 0 && io_gave_up() ? CANCELLED : rc;
}

/* Rank 0 reads sequences first.. for all ranks; each keeps those that are its own. */
static int hand_on(struct feed *f, struct step *s, uint64_t first, struct err *err)
{
    const struct comm *c = f->comm;
    int64_t each = s->opt.global_batch / c->size, n = f->length;
    struct label *label = (struct label *)(void *)f->parcel;

    label->rc = 1;
    for (int64_t k = 0; k < s->opt.global_batch && label->rc == 1; k++) {
        if (c->rank == 0) {
            label->rc = get(f, first + (uint64_t)k, &f->row, err);
            label->n_docs = f->row.n_docs;
        }
        c->table->broadcast(c, f->parcel, parcel_size(n));
        if (label->rc == 1 && k / each == c->rank) {
            struct data_row to = step_slot(s);

            to.n_docs = label->n_docs;
            memcpy(to.ids, f->row.ids, (size_t)n * sizeof *to.ids);
            memcpy(to.target, f->row.target, (size_t)n * sizeof *to.target);
            memcpy(to.pos, f->row.pos, (size_t)n * sizeof *to.pos);
            memcpy(to.loss, f->row.loss, (size_t)n);
            memcpy(to.doc, f->row.doc, (size_t)(to.n_docs + 1) * sizeof *to.doc);
            step_take(s, &to);
        }
    }
    if (label->rc == CANCELLED)
        step_clear(s);
    return c->rank == 0 && label->rc < 0 ? -1 : 0;
}

static int read_own(struct feed *f, struct step *s, uint64_t first, struct err *err)
{
    int64_t each = s->opt.global_batch / f->comm->size;
    int rc = 1;

    first += (uint64_t)(each * f->comm->rank);
    while (rc == 1 && s->n < each) {
        struct data_row row = step_slot(s);

        rc = get(f, first + (uint64_t)s->n, &row, err);
        if (rc == 1)
            step_take(s, &row);
    }
    if (rc == CANCELLED)
        step_clear(s);
    return rc < 0 ? -1 : 0;
}

int64_t feed_batch(struct feed *f, struct step *s, uint64_t first, struct err *err)
{
    double n;
    int rc;

    step_clear(s);
    rc = f->parcel ? hand_on(f, s, first, err) : read_own(f, s, first, err);
    if (comm_agree(f->comm, rc) < 0)
        return -1;
    n = (double)s->n;
    f->comm->table->sum(f->comm, &n, 1);
    return (int64_t)n;
}
