/* The reader: bytes from a mapping, from memory or from a descriptor; then blocks; then records. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/data/stream_wire.h"

enum { STEP = 1 << 20 }; /* a buffer grows as bytes come, not as a length claims */

struct stream_reader {
    char *name;
    bool force;
    int fd; /* -1: bytes in memory */
    struct io_map map;
    const uint8_t *mem;
    uint64_t size; /* of mem */
    uint8_t *buf;  /* what fetch() hands out from a descriptor */
    size_t buf_cap;
    uint64_t at; /* offset of the next byte */
    struct stream_header h;
    struct stream_totals total, own; /* of all streams so far; of the one being read */
    uint32_t chain;
    bool done;           /* behind a DONE block */
    bool open;           /* the last block's last record goes on */
    uint64_t open_tokens; /* of that record so far */
    /* stream_read(): the block, and where the next record stands in it */
    struct stream_block b;
    uint32_t next;
    uint64_t tok_at, seg_at;
    int32_t *tok;
    uint8_t *loss;
    size_t tok_cap, loss_cap;
};

int stream_fail(const struct stream_reader *r, uint64_t at, const struct err *why, struct err *err)
{
    return err_set(err, "%s: byte %" PRIu64 ": %s", r->name, at, why->msg);
}

/* Hand out the next n bytes, 8-byte aligned, valid until the next call (for good, from memory that is
 * aligned).  Fewer at the end of input: their number is returned. */
static int64_t fetch(struct stream_reader *r, uint64_t n, const uint8_t **p, struct err *err)
{
    uint64_t have = 0;

    if (r->fd < 0) {
        have = n < r->size - r->at ? n : r->size - r->at;
        *p = r->mem + r->at;
        if ((uintptr_t)*p % 8) {
            mem_grow(&r->buf, &r->buf_cap, have + 8, 1);
            memcpy(r->buf, *p, have);
            *p = r->buf;
        }
    } else {
        while (have < n) {
            size_t want = n - have < STEP ? n - have : STEP;
            int64_t got;

            mem_grow(&r->buf, &r->buf_cap, have + want, 1);
            got = io_read(r->fd, r->buf + have, want);
            if (got < 0)
                return err_set(err, "%s: byte %" PRIu64 ": read: %s", r->name, r->at + have, strerror(errno));
            have += (uint64_t)got;
            if ((size_t)got < want)
                break;
        }
        *p = r->buf;
    }
    r->at += have;
    return (int64_t)have;
}

/* All n bytes or an error. */
static int need(struct stream_reader *r, uint64_t n, const char *what, const uint8_t **p, struct err *err)
{
    int64_t got = fetch(r, n, p, err);

    if (got < 0)
        return -1;
    if ((uint64_t)got < n)
        return err_set(err, "%s: byte %" PRIu64 ": truncated stream: %s needs %" PRIu64 " more bytes", r->name, r->at,
                       what, n - (uint64_t)got);
    return 0;
}

/* A header, when `first` (bytes of it, fetched already) are its fixed part. */
static int read_header(struct stream_reader *r, const uint8_t *first, struct stream_header *h, struct err *err)
{
    struct stream_wire_header w;
    uint64_t start = r->at - sizeof w;
    const uint8_t *rest;
    struct err why;
    size_t n;
    uint8_t *all;
    int rc;

    memcpy(&w, first, sizeof w);
    n = stream_header_len(&w, &why);
    if (!n)
        return stream_fail(r, start, &why, err);
    if (need(r, n - sizeof w, "the header", &rest, err) < 0)
        return -1;
    all = xmalloc(n);
    memcpy(all, &w, sizeof w);
    memcpy(all + sizeof w, rest, n - sizeof w);
    rc = stream_header_parse(h, all, n, &why);
    free(all);
    return rc < 0 ? stream_fail(r, start, &why, err) : 0;
}

/* The fixed part of a header: 1, 0 when input has ended, -1. */
static int fetch_header(struct stream_reader *r, const uint8_t **p, const char *not_one, struct err *err)
{
    uint64_t start = r->at;
    int64_t got = fetch(r, sizeof(struct stream_wire_header), p, err);

    if (got <= 0)
        return (int)got;
    if (memcmp(*p, STREAM_MAGIC, (size_t)got < 4 ? (size_t)got : 4) != 0)
        return err_set(err, "%s: byte %" PRIu64 ": %s", r->name, start, not_one);
    if ((size_t)got < sizeof(struct stream_wire_header))
        return err_set(err, "%s: byte %" PRIu64 ": truncated stream: ends inside a header", r->name, r->at);
    return 1;
}

static struct stream_reader *start(struct stream_reader *r, struct err *err)
{
    const uint8_t *p;
    int rc = fetch_header(r, &p, "not a token stream", err);

    if (rc == 0)
        err_set(err, "%s: byte 0: truncated stream: there is nothing", r->name);
    if (rc <= 0 || read_header(r, p, &r->h, err) < 0) {
        stream_close(r);
        return NULL;
    }
    return r;
}

static struct stream_reader *reader(const char *name, bool force)
{
    struct stream_reader *r = xcalloc(1, sizeof *r);

    r->name = xstrdup(name);
    r->force = force;
    r->fd = -1;
    return r;
}

struct stream_reader *stream_open_memory(const void *data, size_t n, const char *name, bool force, struct err *err)
{
    struct stream_reader *r = reader(name, force);

    r->mem = data;
    r->size = n;
    return start(r, err);
}

struct stream_reader *stream_open(const char *path, bool force, struct err *err)
{
    bool std = strcmp(path, "-") == 0;
    struct stream_reader *r = reader(io_name(path), force);
    struct stat st;

    r->fd = std ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st) < 0) {
        err_set(err, "%s:", io_name(path));
        stream_close(r);
        return NULL;
    }
    if (S_ISFIFO(st.st_mode))
        fcntl(r->fd, F_SETPIPE_SZ, STEP); /* fewer switches between the programs; may be refused */
    if (!std && S_ISREG(st.st_mode) && st.st_size > 0) {
        close(r->fd);
        r->fd = -1;
        if (io_map(&r->map, path, err) < 0) {
            stream_close(r);
            return NULL;
        }
        r->mem = r->map.data;
        r->size = r->map.size;
        stream_advise(r, MADV_SEQUENTIAL);
    }
    return start(r, err);
}

void stream_close(struct stream_reader *r)
{
    if (!r)
        return;
    if (r->fd > 0)
        close(r->fd);
    io_unmap(&r->map);
    free(r->name);
    free(r->buf);
    free(r->h.text);
    free(r->tok);
    free(r->loss);
    free(r);
}

const struct stream_header *stream_header(const struct stream_reader *r)
{
    return &r->h;
}

const struct stream_totals *stream_totals(const struct stream_reader *r)
{
    return &r->total;
}

bool stream_mapped(const struct stream_reader *r)
{
    return r->map.mapped;
}

/* Behind DONE: 0 at the end, 1 when a stream follows that may. */
static int next_stream(struct stream_reader *r, struct err *err)
{
    uint64_t start = r->at;
    struct stream_header h;
    const char *differs = NULL;
    const uint8_t *p;
    int rc = fetch_header(r, &p, "what follows the end of the stream is not a stream", err);

    if (rc <= 0)
        return rc;
    if (read_header(r, p, &h, err) < 0)
        return -1;
    free(h.text);
    differs = stream_differs(&r->h, &h, r->force);
    if (differs)
        return err_set(err, "%s: byte %" PRIu64 ": a stream follows whose %s differs from the first one's", r->name,
                       start, differs);
    r->own = (struct stream_totals){ 0 };
    r->chain = 0;
    r->done = false;
    return 1;
}

/* The payload at p, behind the 40 bytes *w of its header; not looked at. */
static int take_payload(struct stream_reader *r, const struct stream_wire_block *w, const uint8_t **p, struct err *err)
{
    uint64_t at = r->at - sizeof *w;

    if (w->payload_len > STREAM_BLOCK_MAX || w->payload_len % 8)
        return err_set(err, "%s: byte %" PRIu64 ": damaged block (payload of %" PRIu64 " bytes)", r->name, at,
                       w->payload_len);
    return need(r, w->payload_len, "a block", p, err);
}

static int check_payload(const struct stream_reader *r, struct stream_wire_block *w, const uint8_t *p, struct err *err)
{
    uint64_t at = r->at - w->payload_len - sizeof *w;
    uint32_t want = w->crc, crc;

    w->crc = 0;
    crc = hash_crc32c(hash_crc32c(0, w, sizeof *w), p, w->payload_len);
    w->crc = want;
    if (crc != want)
        return err_set(err, "%s: byte %" PRIu64 ": damaged block (CRC-32C is %08" PRIx32 ", not %08" PRIx32 ")", r->name,
                       at, crc, want);
    if (w->reserved)
        return err_set(err, "%s: byte %" PRIu64 ": reserved field of a block is %u", r->name, at, w->reserved);
    if (w->codec)
        return err_set(err, "%s: byte %" PRIu64 ": codec %u is not supported", r->name, at, w->codec);
    if (w->payload_len != stream_pad8(w->raw_len) || w->raw_len > w->payload_len)
        return err_set(err, "%s: byte %" PRIu64 ": payload of %" PRIu64 " bytes for %" PRIu64 " raw ones", r->name, at,
                       w->payload_len, w->raw_len);
    return 0;
}

static bool all_zero(const uint8_t *p, uint64_t n)
{
    uint8_t any = 0;

    for (uint64_t i = 0; i < n; i++)
        any |= p[i];
    return !any;
}

/* Take a column of n bytes and its padding off [*p, end); NULL when it is not there or not zero-padded. */
static const void *column(const uint8_t **p, const uint8_t *end, uint64_t n)
{
    const uint8_t *c = *p;

    if (n > STREAM_BLOCK_MAX || stream_pad8(n) > (uint64_t)(end - c) || !all_zero(c + n, stream_pad8(n) - n))
        return NULL;
    *p += stream_pad8(n);
    return c;
}

/* A block as its header has it, without columns. */
static struct stream_block headed(const struct stream_wire_block *w)
{
    return (struct stream_block){
        .n_records = w->n_records,
        .n_tokens = w->n_tokens,
        .continues = w->flags & STREAM_CONTINUES,
        .continued = w->flags & STREAM_CONTINUED,
    };
}

/* Cut the payload into its columns; -1 without a message of place. */
static int cut_columns(const struct stream_reader *r, const struct stream_wire_block *w, const uint8_t *p,
                       struct stream_block *b, struct err *why)
{
    const uint8_t *end = p + w->raw_len;

    *b = headed(w);
    if (w->flags & ~(STREAM_CONTINUES | STREAM_CONTINUED))
        return err_set(why, "flags 0x%x of a block are not known", w->flags);
    b->len = column(&p, end, 4 * (uint64_t)w->n_records);
    if (!b->len)
        return err_set(why, "no room for the lengths of %" PRIu32 " records in the block", w->n_records);
    b->tokens = w->n_tokens > STREAM_BLOCK_MAX ? NULL : column(&p, end, w->n_tokens * stream_item_size(&r->h));
    if (!b->tokens)
        return err_set(why, "no room for %" PRIu64 " tokens in the block", w->n_tokens);
    if (r->h.flags & STREAM_LOSS) {
        b->loss_bits = column(&p, end, (w->n_tokens + 7) / 8);
        if (!b->loss_bits || (w->n_tokens % 8 && b->loss_bits[w->n_tokens / 8] >> w->n_tokens % 8))
            return err_set(why, "bad loss mask of %" PRIu64 " tokens", w->n_tokens);
    }
    if (r->h.flags & STREAM_SEGMENTS) {
        if ((uint64_t)(end - p) < 4 * (uint64_t)w->n_records)
            return err_set(why, "no room for the segments of %" PRIu32 " records in the block", w->n_records);
        b->nseg = (const void *)p;
        b->seglen = b->nseg + w->n_records;
        for (uint32_t i = 0; i < w->n_records; i++)
            b->n_seglen += b->nseg[i];
        if (!column(&p, end, 4 * (w->n_records + b->n_seglen)))
            return err_set(why, "no room for %" PRIu64 " segments in the block", b->n_seglen);
    }
    if (p != end)
        return err_set(why, "%" PRIu64 " bytes behind the columns of the block", (uint64_t)(end - p));
    return 0;
}

/* Record i of the block ends here and has n tokens in all. */
static int check_record(const struct stream_reader *r, const struct stream_block *b, uint32_t i, const uint32_t *seg,
                        uint64_t n, struct err *why)
{
    uint64_t sum = 0;

    if (r->h.kind == STREAM_ROWS && n != r->h.row_len)
        return err_set(why, "a row of %" PRIu64 " tokens, not %" PRIu32, n, r->h.row_len);
    if (!b->nseg)
        return 0;
    for (uint32_t k = 0; k < b->nseg[i]; k++)
        sum += seg[k];
    if (sum != n)
        return err_set(why, "segments of %" PRIu64 " tokens in a record of %" PRIu64, sum, n);
    return 0;
}

static int check_begin(const struct stream_reader *r, const struct stream_block *b, struct err *why)
{
    if (b->continues != r->open)
        return err_set(why, r->open ? "a record that should go on does not" : "a record goes on that has not begun");
    return 0;
}

static int check_records(struct stream_reader *r, const struct stream_block *b, struct err *why)
{
    uint64_t tokens = 0, bad;
    const uint32_t *seg = b->seglen;

    if (check_begin(r, b, why) < 0)
        return -1;
    if (!b->n_records && (b->continues || b->continued))
        return err_set(why, "a block without records that goes on");
    for (uint32_t i = 0; i < b->n_records; i++) {
        tokens += b->len[i];
        r->open_tokens += b->len[i];
        if (b->continued && i == b->n_records - 1) {
            if (b->nseg && b->nseg[i])
                return err_set(why, "segments stand before the end of their record");
            break;
        }
        if (check_record(r, b, i, seg, r->open_tokens, why) < 0)
            return -1;
        if (b->nseg)
            seg += b->nseg[i];
        r->open_tokens = 0;
    }
    if (tokens != b->n_tokens)
        return err_set(why, "records of %" PRIu64 " tokens in a block of %" PRIu64, tokens, b->n_tokens);
    bad = stream_find_bad(b->tokens, b->n_tokens, r->h.dtype, r->h.vocab_size);
    if (bad < b->n_tokens)
        return err_set(why, "token %" PRIu64 " of the block is %" PRId64 ", not within 0..%" PRIu32, bad,
                       r->h.dtype == STREAM_U16 ? (int64_t)((const uint16_t *)b->tokens)[bad]
                                                : (int64_t)((const int32_t *)b->tokens)[bad],
                       r->h.vocab_size - 1);
    r->open = b->continued;
    return 0;
}

static bool is_data(const struct stream_wire_block *w)
{
    return memcmp(w->tag, "DBLK", 4) == 0;
}

static void count(struct stream_totals *t, const struct stream_wire_block *w)
{
    t->blocks++;
    t->bytes += w->raw_len;
    if (is_data(w)) {
        t->tokens += w->n_tokens;
        t->records += w->n_records - (w->flags & STREAM_CONTINUED ? 1 : 0);
    }
}

static int check_done(const struct stream_reader *r, const struct stream_wire_block *w, const uint8_t *p,
                      struct err *why)
{
    struct stream_wire_done d;

    if (w->raw_len != sizeof d || w->flags || w->n_records || w->n_tokens)
        return err_set(why, "a bad DONE block");
    if (r->open)
        return err_set(why, "the stream ends inside a record");
    memcpy(&d, p, sizeof d);
    if (d.chain != r->chain)
        return err_set(why, "blocks are missing or out of order (chain is %08" PRIx32 ", not %08" PRIx64 ")", r->chain,
                       d.chain);
    if (d.blocks != r->own.blocks || d.records != r->own.records || d.tokens != r->own.tokens || d.bytes != r->own.bytes)
        return err_set(why,
                       "read %" PRIu64 " blocks, %" PRIu64 " records, %" PRIu64 " tokens, %" PRIu64
                       " bytes; DONE says %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64,
                       r->own.blocks, r->own.records, r->own.tokens, r->own.bytes, d.blocks, d.records, d.tokens, d.bytes);
    return 0;
}

/* What the header alone tells of a block of rows. */
static int skim_block(struct stream_reader *r, const struct stream_wire_block *w, struct stream_block *b, struct err *why)
{
    *b = headed(w);
    if (w->n_tokens > w->payload_len / stream_item_size(&r->h))
        return err_set(why, "no room for %" PRIu64 " tokens in the block", w->n_tokens);
    if (check_begin(r, b, why) < 0)
        return -1;
    r->open = b->continued;
    r->open_tokens = b->continued ? (r->open_tokens + b->n_tokens) % r->h.row_len : 0;
    return 1;
}

/* One block of any kind: 1 a DBLK, 0 another, -1 an error; r->done is set behind DONE.  skim: of a DBLK
 * with tokens only the header is read. */
static int one_block(struct stream_reader *r, struct stream_block *b, bool skim, struct err *err)
{
    struct stream_wire_block w;
    uint64_t at = r->at;
    const uint8_t *p;
    struct err why;
    int rc = 0;

    if (need(r, sizeof w, "a block header (there is no DONE block yet)", &p, err) < 0)
        return -1;
    memcpy(&w, p, sizeof w);
    skim = skim && is_data(&w) && w.n_tokens > 0;
    if (take_payload(r, &w, &p, err) < 0 || (!skim && check_payload(r, &w, p, err) < 0))
        return -1;
    if (skim) {
        rc = skim_block(r, &w, b, &why);
    } else if (memcmp(w.tag, "DONE", 4) == 0) {
        rc = check_done(r, &w, p, &why);
        r->done = true;
    } else if (is_data(&w)) {
        rc = cut_columns(r, &w, p, b, &why) < 0 || check_records(r, b, &why) < 0 ? -1 : 1;
    } else if (memcmp(w.tag, "ABRT", 4) == 0) {
        int n = w.raw_len < 400 ? (int)w.raw_len : 400;

        rc = err_set(&why, "the stream's producer failed: %.*s", n, (const char *)p);
    } else if (w.tag[0] < 'a' || w.tag[0] > 'z') {
        rc = err_set(&why, "block type '%.4s' is not known", w.tag);
    }
    if (rc < 0)
        return stream_fail(r, at, &why, err);
    if (!r->done) {
        r->chain = hash_crc32c(r->chain, &w.crc, 4);
        count(&r->own, &w);
        count(&r->total, &w);
    }
    return rc;
}

int stream_read_block(struct stream_reader *r, struct stream_block *b, struct err *err)
{
    int rc;

    do {
        io_map_passed(&r->map, r->at);
        if (r->done && (rc = next_stream(r, err)) <= 0)
            return rc;
        rc = one_block(r, b, false, err);
    } while (rc == 0);
    return rc;
}

int stream_skim(struct stream_reader *r, struct stream_block *b, uint64_t *at, struct err *err)
{
    int rc;

    do {
        if (r->done && (rc = next_stream(r, err)) <= 0)
            return rc;
        *at = r->at;
        rc = one_block(r, b, true, err);
    } while (rc == 0);
    return rc;
}

int stream_block_at(struct stream_reader *r, uint64_t at, bool check, uint64_t before, struct stream_block *b, struct err *err)
{
    struct stream_wire_block w;
    const uint8_t *p;
    struct err why;

    r->at = at;
    if (need(r, sizeof w, "a block header", &p, err) < 0)
        return -1;
    memcpy(&w, p, sizeof w);
    if (take_payload(r, &w, &p, err) < 0 || (check && check_payload(r, &w, p, err) < 0))
        return -1;
    r->open = w.flags & STREAM_CONTINUES;
    r->open_tokens = before;
    if (cut_columns(r, &w, p, b, &why) < 0 || (check && check_records(r, b, &why) < 0))
        return stream_fail(r, at, &why, err);
    return 0;
}

void stream_advise(struct stream_reader *r, int advice)
{
    if (r->map.mapped)
        madvise((void *)(uintptr_t)r->mem, r->size, advice);
}

/* Append a part of n tokens, which begins at r->tok_at in the block, behind `have` of its record. */
static void gather(struct stream_reader *r, uint64_t have, uint64_t n)
{
    mem_grow(&r->tok, &r->tok_cap, have + n, sizeof *r->tok);
    if (r->h.dtype == STREAM_U16) {
        const uint16_t *t = (const uint16_t *)r->b.tokens + r->tok_at;

        for (uint64_t i = 0; i < n; i++)
            r->tok[have + i] = t[i];
    } else if (n) {
        memcpy(r->tok + have, (const int32_t *)r->b.tokens + r->tok_at, n * sizeof *r->tok);
    }
    if (!r->b.loss_bits)
        return;
    mem_grow(&r->loss, &r->loss_cap, have + n, 1);
    for (uint64_t i = 0; i < n; i++)
        r->loss[have + i] = r->b.loss_bits[(r->tok_at + i) / 8] >> (r->tok_at + i) % 8 & 1;
}

int stream_read(struct stream_reader *r, struct stream_record *rec, struct err *err)
{
    uint64_t have = 0;

    *rec = (struct stream_record){ 0 };
    for (;;) {
        bool last;
        uint64_t n;
        int rc;

        while (r->next == r->b.n_records) {
            if ((rc = stream_read_block(r, &r->b, err)) <= 0) {
                r->b.n_records = r->next = 0;
                return rc;
            }
            r->next = 0;
            r->tok_at = r->seg_at = 0;
        }
        n = r->b.len[r->next];
        last = r->next == r->b.n_records - 1 && r->b.continued;
        if (have == 0 && !last && r->h.dtype == STREAM_I32 && !r->b.loss_bits) {
            rec->tokens = (const int32_t *)r->b.tokens + r->tok_at;
        } else {
            gather(r, have, n);
            rec->tokens = r->tok;
        }
        have += n;
        r->tok_at += n;
        if (last) {
            r->next++;
            continue;
        }
        rec->n = have;
        rec->loss = r->b.loss_bits ? r->loss : NULL;
        if (r->b.nseg) {
            rec->n_seg = r->b.nseg[r->next];
            rec->seg = r->b.seglen + r->seg_at;
            r->seg_at += rec->n_seg;
        }
        r->next++;
        return 1;
    }
}
