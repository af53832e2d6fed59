/* Bytes as a token stream, by blocks and by records: both agree on where it ends.  Then the same with
 * its checksums made right, so that what lies behind them is reached. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
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

    if (walk(data, size, 0, &a) != walk(data, size, 1, &b) || a.records != b.records)
        abort();
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
