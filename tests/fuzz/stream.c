/* Bytes as a token stream, by blocks and by records: both agree on where it ends. */
#include <stdlib.h>

#include "libcommon/data/stream.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream_totals a = { 0 }, b = { 0 };

    if (walk(data, size, 0, &a) != walk(data, size, 1, &b) || a.records != b.records)
        abort();
    return 0;
}
