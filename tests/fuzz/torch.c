/* Bytes as a torch file, and as what follows the first three pickles of the old form. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/format/report.h"
#include "libcommon/weights/torchzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

static void parse(const uint8_t *data, size_t size)
{
    enum { SOME = 512 };
    struct torchzip z;
    struct report r = { 0 };
    struct err err;
    char *out;

    if (torchzip_parse(&z, data, size, "fuzz", &err) < 0)
        return;
    out = malloc(SOME * 8);
    check(out != NULL);
    for (int i = 0; i < z.n; i++) {
        const struct torchzip_tensor *t = &z.tensor[i];
        int64_t n = t->t.count < SOME ? t->t.count : SOME;

        check(torchzip_find(&z, t->t.name) == t);
        torchzip_read(t, 0, n, out);
        torchzip_read(t, t->t.count - n, n, out);
    }
    free(out);
    if (size < 4096)
        torchzip_report(data, size, "fuzz", true, &r, &err);
    report_release(&r);
    torchzip_close(&z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                                  "\x80\2M\xe9\3."
                                  "\x80\2}X\x0d\0\0\0little_endian\x88s.";
    uint8_t *b = malloc(sizeof head - 1 + size);

    check(b != NULL);
    parse(data, size);
    memcpy(b, head, sizeof head - 1);
    if (size)
        memcpy(b + sizeof head - 1, data, size);
    parse(b, sizeof head - 1 + size);
    free(b);
    return 0;
}
