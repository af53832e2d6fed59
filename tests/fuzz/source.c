/* source: any bytes as a file, listed and read to the end; the first byte chooses the options. */
#include <stdint.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/data/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned how = size ? data[0] : 0;
    struct source_options o = { .from = (int)(how % 3), .lines = how & 4, .replace = how & 8, .max_doc = 100000 };
    struct source_block b = { 0 };
    struct source_doc d;
    struct err err;
    struct source *s;

    if (!size)
        return 0;
    s = source_new_memory(&o, data + 1, size - 1, "input");
    /* a bomb of many members is no finding: stop where a lot has been read */
    for (int blocks = 0; blocks < 1000 && source_read(s, &b, &err) > 0; blocks++) {
        for (int rc; (rc = source_next(&b, &d, &err)) != 0;) {
            char *text;

            if (rc < 0)
                continue;
            text = xmalloc(d.text.n);
            source_text(&d, text);
            free(text);
        }
    }
    source_free(s);
    source_block_free(&b);
    return 0;
}
