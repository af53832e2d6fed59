/* Bytes as a token stream, by blocks and by records: both agree on where it ends; a stream of rows also
 * row by row from its end, which gives the same.  Then the same with
 * its checksums made right, so that what lies behind them is reached. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/data/stream_rows.h"
#include "libcommon/data/stream_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int walk(const uint8_t *data, size_t size, int records, struct stream_totals *t)
{
    struct err err;
    struct stream_reader *r = stream_open_memory(data, size, "fuzz", false, &err);
    struct stream_record rec;
    struct stream_block b;
    uint64_t tokens = 0;
    int rc;

    if (!r)
        return -1;
    do {
        rc = records ? stream_read(r, &rec, &err) : stream_read_block(r, &b, &err);
        if (rc == 1)
            tokens += records ? rec.n : b.n_tokens;
    } while (rc == 1);
    *t = *stream_totals(r);
    if (rc == 0 && tokens != t->tokens)
        abort();
    stream_close(r);
    return rc;
}

/* The same rows, whichever way: when all can be read one after the other. */
static void by_rows(const uint8_t *data, size_t size, bool good)
{
    struct err err;
    struct stream_reader *r = stream_open_memory(data, size, "fuzz", false, &err);
    struct stream_rows *rows;
    struct stream_record a, b;
    uint64_t n, sum = 0, want = 0;

    if (r && stream_header(r)->kind != STREAM_ROWS) {
        stream_close(r);
        return;
    }
    rows = r ? stream_rows_new(r, &err) : NULL;
    if (!rows)
        return;
    n = stream_rows_count(rows);
    for (uint64_t k = n; k > 0 && k + 1000 > n; k--) {
        if (stream_rows_get(rows, k - 1, &a, &err) < 0) {
            if (good)
                abort();
            break;
        }
        sum += (uint32_t)a.tokens[a.n - 1] + a.n_seg + (a.n_seg ? a.seg[a.n_seg - 1] : 0) + (a.loss ? a.loss[a.n - 1] : 0);
    }
    stream_rows_free(rows);
    if (!good || n > 1000)
        return;
    r = stream_open_memory(data, size, "fuzz", false, &err);
    while (stream_read(r, &b, &err) == 1)
        want += (uint32_t)b.tokens[b.n - 1] + b.n_seg + (b.n_seg ? b.seg[b.n_seg - 1] : 0) + (b.loss ? b.loss[b.n - 1] : 0);
    stream_close(r);
    if (sum != want)
        abort();
}

static void seal(uint8_t *p, size_t size)
{
    struct stream_wire_header h;
    struct stream_wire_block b;
    uint32_t crc, chain = 0;
    uint64_t wide;

    if (size < sizeof h)
        return;
    memcpy(&h, p, sizeof h);
    if (h.header_len < sizeof h + 8 || h.header_len > size)
        return;
    crc = hash_crc32c(0, p, h.header_len - 4);
    memcpy(p + h.header_len - 4, &crc, 4);
    for (size_t at = h.header_len; size - at >= sizeof b; at += sizeof b + b.payload_len) {
        memcpy(&b, p + at, sizeof b);
        if (b.payload_len > size - at - sizeof b)
            return;
        if (memcmp(b.tag, "DONE", 4) == 0 && b.payload_len == sizeof(struct stream_wire_done)) {
            wide = chain;
            memcpy(p + at + sizeof b + 32, &wide, 8);
        }
        b.crc = 0;
        b.crc = hash_crc32c(hash_crc32c(0, &b, sizeof b), p + at + sizeof b, b.payload_len);
        memcpy(p + at, &b, sizeof b);
        chain = hash_crc32c(chain, &b.crc, 4);
    }
}

static void both(const uint8_t *data, size_t size)
{
    struct stream_totals a = { 0 }, b = { 0 };
    int rc = walk(data, size, 0, &a);

    if (rc != walk(data, size, 1, &b) || a.records != b.records)
        abort();
    by_rows(data, size, rc == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    both(data, size);
    seal(copy, size);
    both(copy, size);
    free(copy);
    return 0;
}
