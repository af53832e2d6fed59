/* Bytes as a safetensors file, as one whose header's length is made right (the header ends at the
 * first NUL), and as an index. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

static void parse(const uint8_t *data, size_t size)
{
    struct safetensors s;
    struct err err;
    size_t total = 0;

    if (safetensors_parse(&s, data, size, "fuzz", &err) < 0)
        return;
    for (int i = 0; i < s.n; i++) {
        const struct tensor *t = &s.tensor[i];
        const uint8_t *b = t->data;

        check(safetensors_find(&s, t->name) == t);
        check(b >= data + 8 && b + t->size <= data + size);
        total += t->size;
    }
    check(total <= size - 8);
    safetensors_close(&s);
}

static void parse_sealed(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, 0, size);
    size_t n = nul ? (size_t)(nul - data) : size;
    uint8_t *b = malloc(size + 8);

    check(b != NULL);
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)((uint64_t)n >> 8 * i);
    memcpy(b + 8, data, size);
    parse(b, size + 8);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors_index x;
    struct err err;

    parse(data, size);
    if (size)
        parse_sealed(data, size);
    if (safetensors_index_parse(&x, data, size, "fuzz", &err) == 0) {
        for (int i = 0; i < x.n; i++)
            check(!strchr(x.entry[i].file, '/') && x.entry[i].file[0]);
        check(x.n_files <= x.n);
        safetensors_index_free(&x);
    }
    return 0;
}
