/* All rows are of one length, so that the first token of each block says which rows stand in it. */
#include "libcommon/data/stream_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libcommon/base/mem.h"
#include "libcommon/data/stream_wire.h"

#define TOUCHED_MOST ((uint64_t)64 << 20)

struct stream_rows {
    struct stream_reader *r;
    uint64_t row_len, n_tokens;
    struct block {
        uint64_t at, first; /* byte; number of its first token */
    } *block;
    size_t n, cap;
    uint8_t *checked; /* a bit a block */
    int32_t *tok;     /* [row_len] */
    uint8_t *loss;    /* [row_len] */
    uint64_t touched; /* bytes since pages were given back */
};

static int add_block(struct stream_rows *s, const struct stream_block *b, uint64_t at, struct err *err)
{
    struct err why;

    if (b->continues != (s->n_tokens % s->row_len != 0)) {
        err_set(&why, "a row %s behind %" PRIu64 " of its %" PRIu64 " tokens", b->continues ? "goes on" : "ends",
                s->n_tokens % s->row_len, s->row_len);
        return stream_fail(s->r, at, &why, err);
    }
    if (!b->n_tokens)
        return 0;
    mem_grow(&s->block, &s->cap, s->n + 1, sizeof *s->block);
    s->block[s->n++] = (struct block){ at, s->n_tokens };
    s->n_tokens += b->n_tokens;
    return 0;
}

struct stream_rows *stream_rows_new(struct stream_reader *r, struct err *err)
{
    struct stream_rows *s = xcalloc(1, sizeof *s);
    struct stream_block b;
    struct err why;
    uint64_t at;
    int rc;

    s->r = r;
    s->row_len = stream_header(r)->row_len;
    stream_advise(r, MADV_RANDOM);
    while ((rc = stream_skim(r, &b, &at, err)) == 1)
        if (add_block(s, &b, at, err) < 0) {
            rc = -1;
            break;
        }
    if (rc == 0 && (s->n_tokens % s->row_len || stream_rows_count(s) != stream_totals(r)->records)) {
        err_set(&why, "%" PRIu64 " tokens in %" PRIu64 " rows of %" PRIu64, s->n_tokens, stream_totals(r)->records,
                s->row_len);
        rc = stream_fail(r, at, &why, err);
    }
    if (rc < 0) {
        stream_rows_free(s);
        return NULL;
    }
    stream_advise(r, MADV_NORMAL);
    if (s->n) {
        s->checked = xcalloc(s->n / 8 + 1, 1);
        s->tok = xmalloc(s->row_len * sizeof *s->tok);
        s->loss = xmalloc(s->row_len);
    }
    return s;
}

void stream_rows_free(struct stream_rows *s)
{
    if (!s)
        return;
    stream_close(s->r);
    free(s->block);
    free(s->checked);
    free(s->tok);
    free(s->loss);
    free(s);
}

uint64_t stream_rows_count(const struct stream_rows *s)
{
    return s->n_tokens / s->row_len;
}

/* The last block that begins at or before a token. */
static size_t find(const struct stream_rows *s, uint64_t token)
{
    size_t lo = 0, hi = s->n;

    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;

        if (s->block[mid].first <= token)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static int block(struct stream_rows *s, size_t i, struct stream_block *b, struct err *err)
{
    bool first = !(s->checked[i / 8] >> i % 8 & 1);
    const struct block *k = &s->block[i];

    if (stream_block_at(s->r, k->at, first, k->first % s->row_len, b, err) < 0)
        return -1;
    s->checked[i / 8] |= (uint8_t)(1 << i % 8);
    s->touched += first ? b->n_tokens * sizeof *s->tok : s->row_len * sizeof *s->tok + b->n_records * sizeof *b->nseg;
    return 0;
}

/* n tokens from `from` of the block on, to `to` of the row. */
static void gather(struct stream_rows *s, const struct stream_block *b, uint64_t from, uint64_t to, uint64_t n)
{
    if (stream_header(s->r)->dtype == STREAM_U16)
        for (uint64_t i = 0; i < n; i++)
            s->tok[to + i] = ((const uint16_t *)b->tokens)[from + i];
    else
        memcpy(s->tok + to, (const int32_t *)b->tokens + from, n * sizeof *s->tok);
    if (b->loss_bits)
        for (uint64_t i = 0; i < n; i++)
            s->loss[to + i] = b->loss_bits[(from + i) / 8] >> (from + i) % 8 & 1;
}

int stream_rows_get(struct stream_rows *s, uint64_t k, struct stream_record *rec, struct err *err)
{
    uint64_t at = k * s->row_len, have = 0;
    size_t i = find(s, at);
    struct stream_block b;

    if (s->touched > TOUCHED_MOST) {
        stream_advise(s->r, MADV_DONTNEED);
        s->touched = 0;
    }
    for (;; i++) {
        uint64_t from = at + have - s->block[i].first, n;

        if (block(s, i, &b, err) < 0)
            return -1;
        n = b.n_tokens - from < s->row_len - have ? b.n_tokens - from : s->row_len - have;
        gather(s, &b, from, have, n);
        have += n;
        if (have == s->row_len)
            break;
    }
    *rec = (struct stream_record){ .tokens = s->tok, .n = s->row_len, .loss = b.loss_bits ? s->loss : NULL };
    if (b.nseg) {
        uint64_t record = k - s->block[i].first / s->row_len;

        rec->n_seg = b.nseg[record];
        rec->seg = b.seglen;
        for (uint64_t j = 0; j < record; j++)
            rec->seg += b.nseg[j];
    }
    return 0;
}
