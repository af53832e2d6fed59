/* Bytes as an .idx, with a .bin of the size that its lengths ask for where that is small. */
#include <stdlib.h>

#include "libcommon/data/index.h"
#include "libcommon/data/sampler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sample(const struct index *x)
{
    struct sampler_options o = { .split = "8,1,1", .sequence_length = 3, .num_samples = 9, .pad = -1, .eod = -1 };
    struct sampler s;
    struct err err;
    int32_t text[4];

    for (o.which = SAMPLER_TRAIN; o.which <= SAMPLER_TEST; o.which++) {
        o.keep_partial = true;
        if (sampler_open(&s, x, &o, &err) < 0)
            continue;
        for (uint64_t k = 0; k < s.n_samples && k < 100; k++)
            sampler_get(&s, k, text, &err);
        sampler_close(&s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct index x;
    struct err err;
    uint8_t *bin;
    int32_t token;
    size_t n;

    if (index_parse(&x, data, size, NULL, 0, "fuzz", &err) == 0 || x.n_tokens == 0 || x.n_tokens > 1 << 16)
        return 0;
    n = x.n_tokens * x.item;
    bin = calloc(1, n);
    if (!bin)
        abort();
    if (index_parse(&x, data, size, bin, n, "fuzz", &err) == 0) {
        for (uint64_t d = 0; d < x.n_documents; d++)
            for (uint64_t i = index_document(&x, d); i < index_document(&x, d + 1); i++)
                if (index_length(&x, i))
                    index_tokens(&x, index_start(&x, i) + index_length(&x, i) - 1, 1, &token, &err);
        sample(&x);
    }
    free(bin);
    return 0;
}
