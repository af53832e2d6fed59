/* Bytes as what a tokenizer is opened with, eight bytes 0xff between: the file's name, its bytes, the merges beside it,
 * tokenizer_config.json, a pattern (of the three none where it is empty), a text.  What loads encodes to ids in range, the
 * same from the cache, and decodes. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/tokenizer/tokenizer_load.h"
#include "tests/fuzz/json_mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_text(const struct tokenizer *t, const char *text, size_t n)
{
    struct tokenizer_encoder *e = tokenizer_encoder_new(t);
    struct tokenizer_ids ids = { 0 };
    struct tokenizer_text back = { 0 };
    struct err err;
    size_t len, first;
    bool ill = false;

    for (int special = TOKENIZER_SPECIAL_NONE; special <= TOKENIZER_SPECIAL_PARSE; special++) {
        ids.n = 0;
        if (tokenizer_encode(e, text, n, (enum tokenizer_special)special, &ids, &err) < 0)
            continue;
        first = ids.n;
        check(tokenizer_encode(e, text, n, (enum tokenizer_special)special, &ids, &err) == 0 && ids.n == 2 * first);
        for (size_t i = 0; i < first; i++)
            check(ids.v[i] == ids.v[first + i] && ids.v[i] < tokenizer_info(t)->vocab_size && tokenizer_bytes(t, ids.v[i], &len));
        tokenizer_decode(t, ids.v, ids.n, &back, &ill);
    }
    free(ids.v);
    free(back.v);
    tokenizer_encoder_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { NAME, FILE_BYTES, MERGES, CONFIG, PATTERN, TEXT, PARTS };
    static const uint8_t cut[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    struct {
        const uint8_t *s;
        size_t n;
    } part[PARTS] = { 0 };
    char name[64] = "", pattern[200] = "";
    struct tokenizer_source s = { .name = name };
    struct tokenizer *t;
    struct err err;

    for (int i = 0; i < PARTS && size; i++) {
        const uint8_t *end = i + 1 < PARTS ? memmem(data, size, cut, 8) : NULL;

        part[i].s = data;
        part[i].n = end ? (size_t)(end - data) : size;
        data += end ? part[i].n + 8 : size;
        size -= end ? part[i].n + 8 : size;
    }
    memcpy(name, part[NAME].n ? part[NAME].s : cut, part[NAME].n < 63 ? part[NAME].n : 63);
    memcpy(pattern, part[PATTERN].n ? part[PATTERN].s : cut, part[PATTERN].n < 199 ? part[PATTERN].n : 199);
    s.data = part[FILE_BYTES].n ? (const void *)part[FILE_BYTES].s : "";
    s.n = part[FILE_BYTES].n;
    s.merges = part[MERGES].n ? part[MERGES].s : NULL;
    s.merges_n = part[MERGES].n;
    s.config = part[CONFIG].n ? part[CONFIG].s : NULL;
    s.config_n = part[CONFIG].n;
    s.pattern = *pattern ? pattern : NULL;
    t = tokenizer_parse_source(&s, &err);
    if (t)
        check_text(t, part[TEXT].n ? (const char *)part[TEXT].s : "", part[TEXT].n < 2000 ? part[TEXT].n : 2000);
    tokenizer_free(t);
    return 0;
}
