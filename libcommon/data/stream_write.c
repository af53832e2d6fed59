/* The writer: records are gathered into blocks of at most BLOCK_BYTES of tokens, whose borders depend
 * on the records alone. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/data/stream_wire.h"

enum {
    BLOCK_BYTES = 1 << 20,
    BLOCK_RECORDS = 1 << 16, /* as many records or segments fill a block, too */
    MAX_SEGMENTS = 1 << 27,  /* of one record: they stand in one block */
};

struct stream_writer {
    struct io_out *out;
    struct stream_header h;
    size_t item;     /* bytes a token */
    uint64_t cap;    /* tokens a block */
    uint32_t limit;  /* tokens are below it; 0: no check */
    uint8_t *tokens; /* [cap * item] */
    uint8_t *loss;   /* [cap / 8] */
    uint32_t *len;   /* [BLOCK_RECORDS] */
    uint32_t *nseg;  /* [BLOCK_RECORDS] */
    uint32_t *seg;   /* [seg_cap] */
    size_t n_seg, seg_cap;
    uint32_t n_records;
    uint64_t n_tokens;
    bool continues; /* the block's first record began in an earlier one */
    struct stream_totals totals;
    uint32_t chain;
};

struct piece {
    const void *p;
    uint64_t n;
};

static const uint8_t zeros[8];

/* A block of these pieces, zeros behind each up to a multiple of 8 bytes, but not behind piece `open`,
 * which forms one column with the next. */
static int put_block(struct stream_writer *w, struct stream_wire_block *b, const struct piece *pieces, int n, int open,
                     struct err *err)
{
    size_t pad[8], column = 0;

    for (int i = 0; i < n; i++) {
        column += pieces[i].n;
        pad[i] = i == open ? 0 : stream_pad8(column) - column;
        b->payload_len += pieces[i].n + pad[i];
        column = i == open ? column : 0;
    }
    if (!b->raw_len)
        b->raw_len = b->payload_len;
    b->crc = hash_crc32c(0, b, sizeof *b);
    for (int i = 0; i < n; i++)
        b->crc = hash_crc32c(hash_crc32c(b->crc, pieces[i].p, pieces[i].n), zeros, pad[i]);
    w->chain = hash_crc32c(w->chain, &b->crc, 4);
    w->totals.blocks++;
    w->totals.bytes += b->raw_len;
    if (io_put(w->out, b, sizeof *b, err) < 0)
        return -1;
    for (int i = 0; i < n; i++)
        if (io_put(w->out, pieces[i].p, pieces[i].n, err) < 0 || io_put(w->out, zeros, pad[i], err) < 0)
            return -1;
    return 0;
}

static int flush(struct stream_writer *w, bool continued, struct err *err)
{
    struct stream_wire_block b = { .tag = "DBLK", .n_records = w->n_records, .n_tokens = w->n_tokens };
    struct piece pieces[5] = { { w->len, 4 * (uint64_t)w->n_records }, { w->tokens, w->n_tokens * w->item } };
    int n = 2, open = -1;

    if (w->n_records == 0)
        return 0;
    if (w->h.flags & STREAM_LOSS)
        pieces[n++] = (struct piece){ w->loss, (w->n_tokens + 7) / 8 };
    if (w->h.flags & STREAM_SEGMENTS) {
        open = n;
        pieces[n++] = (struct piece){ w->nseg, 4 * (uint64_t)w->n_records };
        pieces[n++] = (struct piece){ w->seg, 4 * (uint64_t)w->n_seg };
    }
    b.flags = (uint8_t)((w->continues ? STREAM_CONTINUES : 0) | (continued ? STREAM_CONTINUED : 0));
    if (put_block(w, &b, pieces, n, open, err) < 0)
        return -1;
    w->continues = continued;
    w->n_records = 0;
    w->n_tokens = w->n_seg = 0;
    return 0;
}

struct stream_writer *stream_writer_new(struct io_out *out, const struct stream_header *h, struct err *err)
{
    struct stream_writer *w;
    size_t n;
    uint8_t *bytes = stream_header_pack(h, &n, err);
    int rc;

    if (!bytes)
        return NULL;
    rc = io_put(out, bytes, n, err);
    free(bytes);
    if (rc < 0)
        return NULL;
    w = xcalloc(1, sizeof *w);
    w->out = out;
    w->h = *h;
    w->h.text = NULL;
    w->item = stream_item_size(h);
    w->cap = BLOCK_BYTES / w->item;
    w->limit = h->vocab_size;
    if (h->dtype == STREAM_U16 && (w->limit == 0 || w->limit > UINT16_MAX + 1))
        w->limit = UINT16_MAX + 1;
    w->tokens = xmalloc(BLOCK_BYTES);
    w->loss = xmalloc(w->cap / 8);
    w->len = xmalloc(BLOCK_RECORDS * sizeof *w->len);
    w->nseg = xmalloc(BLOCK_RECORDS * sizeof *w->nseg);
    return w;
}

static int check(const struct stream_writer *w, const struct stream_record *rec, struct err *err)
{
    uint64_t sum = 0, record = w->totals.records;

    if (w->h.kind == STREAM_ROWS && rec->n != w->h.row_len)
        return err_set(err, "row %" PRIu64 " has %" PRIu64 " tokens, not %" PRIu32, record, rec->n, w->h.row_len);
    if (!(w->h.flags & STREAM_LOSS) != !rec->loss && rec->n)
        return err_set(err, "record %" PRIu64 " comes %s a loss mask", record, rec->loss ? "with" : "without");
    if (!(w->h.flags & STREAM_SEGMENTS))
        return 0;
    if (rec->n_seg > MAX_SEGMENTS)
        return err_set(err, "record %" PRIu64 " has %" PRIu32 " segments: at most %d", record, rec->n_seg, MAX_SEGMENTS);
    for (uint32_t i = 0; i < rec->n_seg; i++)
        sum += rec->seg[i];
    if (sum != rec->n)
        return err_set(err, "record %" PRIu64 ": segments of %" PRIu64 " tokens in a record of %" PRIu64, record, sum,
                       rec->n);
    return 0;
}

static int bad_token(const struct stream_writer *w, uint64_t at, int32_t token, struct err *err)
{
    return err_set(err, "record %" PRIu64 ", token %" PRIu64 ": %" PRId32 " is not within 0..%" PRIu32,
                   w->totals.records, at, token, w->limit - 1);
}

/* n tokens of the record from index `at` on, into the block. */
static int put_tokens(struct stream_writer *w, const void *native, const int32_t *wide, uint64_t at, uint64_t n,
                      struct err *err)
{
    void *to = w->tokens + w->n_tokens * w->item;
    enum stream_dtype dtype = wide ? STREAM_I32 : w->h.dtype;
    const void *from = wide ? (const void *)(wide + at) : (const char *)native + at * w->item;
    uint64_t bad = stream_find_bad(from, n, dtype, w->limit);

    if (bad < n)
        return bad_token(w, at + bad, dtype == STREAM_U16 ? ((const uint16_t *)from)[bad] : ((const int32_t *)from)[bad],
                         err);
    if (wide && w->h.dtype == STREAM_U16)
        for (uint64_t i = 0; i < n; i++)
            ((uint16_t *)to)[i] = (uint16_t)wide[at + i];
    else if (n)
        memcpy(to, from, n * w->item);
    return 0;
}

static void put_loss(struct stream_writer *w, const uint8_t *loss, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t bit = w->n_tokens + i;

        if (bit % 8 == 0)
            w->loss[bit / 8] = 0;
        w->loss[bit / 8] |= (uint8_t)((loss[i] != 0) << bit % 8);
    }
}

static int put_record(struct stream_writer *w, const void *native, const int32_t *wide, const struct stream_record *rec,
                      struct err *err)
{
    uint64_t at = 0;

    if (check(w, rec, err) < 0)
        return -1;
    for (;;) {
        uint64_t n = rec->n - at, room = w->cap - w->n_tokens;

        n = n < room ? n : room;
        if (put_tokens(w, native, wide, at, n, err) < 0)
            return -1;
        if (rec->loss)
            put_loss(w, rec->loss + at, n);
        w->len[w->n_records] = (uint32_t)n;
        w->nseg[w->n_records++] = 0;
        w->n_tokens += n;
        at += n;
        if (at == rec->n)
            break;
        if (flush(w, true, err) < 0)
            return -1;
    }
    w->totals.records++;
    w->totals.tokens += rec->n;
    if (w->h.flags & STREAM_SEGMENTS) {
        w->nseg[w->n_records - 1] = rec->n_seg;
        mem_grow(&w->seg, &w->seg_cap, w->n_seg + rec->n_seg, sizeof *w->seg);
        for (uint32_t i = 0; i < rec->n_seg; i++)
            w->seg[w->n_seg++] = rec->seg[i];
    }
    if (w->n_tokens == w->cap || w->n_records == BLOCK_RECORDS || w->n_seg >= BLOCK_RECORDS)
        return flush(w, false, err);
    return 0;
}

int stream_write(struct stream_writer *w, const struct stream_record *rec, struct err *err)
{
    return put_record(w, NULL, rec->tokens, rec, err);
}

int stream_write_native(struct stream_writer *w, const void *tokens, const struct stream_record *rec, struct err *err)
{
    return put_record(w, tokens, NULL, rec, err);
}

static void release(struct stream_writer *w)
{
    free(w->tokens);
    free(w->loss);
    free(w->len);
    free(w->nseg);
    free(w->seg);
    free(w);
}

int stream_end(struct stream_writer *w, struct err *err)
{
    int rc = flush(w, false, err);

    if (rc == 0) {
        struct stream_wire_done done = { w->totals.blocks, w->totals.records, w->totals.tokens, w->totals.bytes,
                                         w->chain };
        struct stream_wire_block b = { .tag = "DONE" };

        rc = put_block(w, &b, &(struct piece){ &done, sizeof done }, 1, -1, err);
    }
    release(w);
    return rc;
}

void stream_abort(struct stream_writer *w, const char *reason)
{
    struct stream_wire_block b = { .tag = "ABRT", .raw_len = strlen(reason) };
    struct err ignored; /* there is an error already: the reason */

    if (!w->out->failed && flush(w, false, &ignored) == 0 &&
        put_block(w, &b, &(struct piece){ reason, b.raw_len }, 1, -1, &ignored) == 0)
        io_flush(w->out, &ignored);
    release(w);
}
