/* mkstream MB - a stream of documents of MB million bytes of uint16 tokens on standard output: lengths
 * log-normal about 600 (as FineWeb's), ids of a 50257 vocabulary. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/rng.h"
#include "libcommon/data/stream.h"

int main(int argc, char **argv)
{
    enum { MOST = 1 << 20 };
    static int32_t tokens[MOST];
    struct stream_header h = { .dtype = STREAM_U16, .vocab_size = 50257, .bos = STREAM_NONE, .eod = 50256, .pad = STREAM_NONE };
    uint64_t left = argc > 1 ? strtoull(argv[1], NULL, 10) * 500000 : 0;
    struct stream_writer *w;
    struct io_out out;
    struct err err;

    if (io_create(&out, NULL, true, &err) < 0 || !(w = stream_writer_new(&out, &h, &err)))
        die("%s", err.msg);
    for (uint64_t i = 0; i < MOST; i++)
        tokens[i] = (int32_t)(rng_u64(1, 1, i) % 50257);
    for (uint64_t i = 0; left; i++) {
        double n = exp(6.37 + 1.1 * rng_normal(2, 2, i));
        struct stream_record rec = { .n = n < 1 ? 1 : n > MOST / 2 ? MOST / 2 : (uint64_t)n };

        rec.n = rec.n < left ? rec.n : left;
        rec.tokens = tokens + i % (MOST / 2);
        if (stream_write(w, &rec, &err) < 0)
            die("%s", err.msg);
        left -= rec.n;
    }
    if (stream_end(w, &err) < 0 || io_commit(&out, &err) < 0)
        die("%s", err.msg);
    return 0;
}
