/* Bytes as a GGUF file: what it gives lies within them. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/format/gguf.h"
#include "libcommon/format/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

static void check_within(struct gguf_string s, const uint8_t *data, size_t size)
{
    const char *start = (const char *)data;

    check(s.s >= start && s.s <= start + size && s.n <= (size_t)(start + size - s.s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf g;
    struct err err;
    struct report r = { 0 };
    double sum = 0;

    if (gguf_parse(&g, data, size, "fuzz", &err) < 0)
        return 0;
    for (size_t i = 0; i < g.n_pairs; i++) {
        const struct gguf_pair *p = &g.pair[i];
        size_t at = 0;

        check_within(p->key, data, size);
        for (uint64_t k = 0; k < p->n; k++)
            if (p->of == GGUF_STRING)
                check_within(gguf_next_string(&g, p, &at), data, size);
            else
                sum += gguf_number(p, k);
    }
    for (size_t i = 0; i < g.n_tensors; i++)
        check_within(g.tensor[i].name, data, size);
    check(sum > 0 || !(sum > 0));
    gguf_report(&g, &r);
    report_release(&r);
    gguf_release(&g);
    return 0;
}
