/* Models from images that were changed: what loads can be asked and released, and says nothing out of bounds.
 *
 * The first byte says which model; a length, where the image is cut off, and places with what is put there follow, four
 * bytes each.  The checksum of cache.h would not let these through. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/image.h"
#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/tokenizer_in.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTE_LEVEL "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"

static const char *const files[] = {
    "{" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3,\"abc\":4,\"\\u0120\":5},\"merges\":[\"a b\",\"ab c\"]}}",
    "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"c\",\"end_of_word_suffix\":\"b\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"c\":3,\"abb\":4,\"\\u4e2d\":7},"
    "\"merges\":[\"a b\",\"ab b\"]}}",
    "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1],[\"b\",-2],[\"ab\",-2.5],[\"abc\",-3],[\"\\u4e2d\",-4]]}}",
    /* ModelProtos: unigram, BPE */
    "\x0a\x05\x0a\x01u\x18\x02\x0a\x08\x0a\x01" "a\x15\x00\x00\x80\xbf\x0a\x09\x0a\x02" "ab\x15\x00\x00\x00\xc0\x0a\x08\x0a\x01" "b\x15\x00\x00\x80\xbf",
    "\x0a\x05\x0a\x01u\x18\x02\x0a\x08\x0a\x01" "a\x15\x00\x00\x80\xbf\x0a\x09\x0a\x02" "ab\x15\x00\x00\x00\xc0\x0a\x08\x0a\x01" "b\x15\x00\x00\x80\xbf"
    "\x12\x02\x18\x02",
};

enum { FILES = sizeof files / sizeof *files };

static struct model {
    const struct tokenizer_model_row *row;
    struct image image;
} models[FILES];

/* The models of those files, as images. */
static void make_models(void)
{
    static const size_t lengths[] = { [3] = 38, [4] = 42 }; /* what has a NUL */

    for (int k = 0; k < FILES; k++) {
        size_t n = k < 3 ? strlen(files[k]) : lengths[k];
        struct err err = { "" };
        struct tokenizer *t = tokenizer_parse(files[k], n, NULL, 0, "seed", &err);

        if (!t)
            die("%s", err.msg);
        for (int pass = 0; pass < 2; pass++) {
            models[k].image = (struct image){ .v = pass ? xmalloc(models[k].image.n) : NULL };
            t->model->image(&t->model_data, &models[k].image);
        }
        models[k].row = t->model;
        tokenizer_free(t);
    }
}

static void ask(const struct tokenizer_model_row *row, void *model)
{
    bool bytes;
    size_t n;

    for (uint32_t id = 0; id < 10; id++) {
        const char *s = row->token(model, id, &n, &bytes);
        if (s)
            row->id(model, s, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct model *m;
    void *model = NULL;
    struct image i;
    char *bytes;
    size_t n;

    if (!models[0].row)
        make_models();
    if (size < 4)
        return 0;
    m = &models[data[0] % FILES];
    n = m->image.n;
    if (data[1])
        n = n * data[1] / 256;
    bytes = xmalloc(n + 1);
    memcpy(bytes, m->image.v, n);
    for (data += 2, size -= 2; size >= 4 && n; data += 4, size -= 4)
        bytes[((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % n] = (char)data[3];
    i = (struct image){ .at = bytes, .end = bytes + n };
    m->row->image(&model, &i);
    if (!i.bad)
        ask(m->row, model);
    m->row->release(model);
    free(bytes);
    return 0;
}
