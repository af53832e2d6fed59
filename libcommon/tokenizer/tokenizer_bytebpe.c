/* Byte-level BPE of tokenizer.json: bpe.h behind a model row. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/report.h"
#include "libcommon/tokenizer/bpe.h"
#include "libcommon/tokenizer/tokenizer_load.h"

static int add(void *model, const char *s, size_t n, uint64_t id, struct err *err)
{
    return bpe_add(model, s, n, id, err);
}

static int index_all(void *model, struct err *err)
{
    return bpe_index(model, err);
}

static int add_merge(void *model, const char *left, size_t left_n, const char *right, size_t right_n, struct err *err)
{
    return bpe_add_merge(model, left, left_n, right, right_n, err);
}

static int add_merges(void *model, struct merges_pair *p, size_t n, struct err *err)
{
    return bpe_add_merges(model, p, n, err);
}

static int parse(struct tokenizer_loader *l, const char *json, size_t n)
{
    struct tokenizer_bpe file = { .add = add, .index = index_all, .add_merge = add_merge,
                                  .add_merges = add_merges };
    struct bpe *b;

    if (!tokenizer_byte_level(l->t))
        return 1;
    if (tokenizer_bpe_open(l, json, n, &file) < 0)
        return -1;
    if (file.byte_fallback || file.prefix_n || file.suffix_n)
        return 1;
    l->t->model_data = file.model = b = xcalloc(1, sizeof *b);
    b->whole = file.whole;
    if (tokenizer_bpe_load(l, &file) < 0)
        return -1;
    bpe_finish(b);
    l->t->n_tokens = b->n;
    l->t->n_ids = b->n_ids;
    return 0;
}

/* The ranks beside the file. */
static int parse_ranks(struct tokenizer_loader *l, const char *json, size_t n)
{
    struct bpe *b;

    (void)json;
    (void)n;
    if (!l->source->ranks)
        return 1;
    l->t->model_data = b = xcalloc(1, sizeof *b);
    b->whole = true;
    if (tokenizer_read_ranks(l, b) < 0)
        return -1;
    bpe_finish(b);
    l->t->n_tokens = b->n;
    l->t->n_ids = b->n_ids;
    return 0;
}

static void release(void *model)
{
    if (model)
        bpe_release(model);
    free(model);
}

static void image(void **model, struct image *i)
{
    *model = *model ? *model : xcalloc(1, sizeof(struct bpe));
    bpe_image(*model, i);
}

static void *scratch_new(const void *model)
{
    (void)model;
    return xcalloc(1, sizeof(struct bpe_scratch));
}

static void scratch_free(void *scratch)
{
    bpe_scratch_release(scratch);
    free(scratch);
}

static int encode(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    uint8_t missing;
    size_t k;

    if (n > UINT32_MAX - 1)
        return err_set(err, "a word of %zu bytes", n);
    mem_grow(&out->v, &out->cap, out->n + n, sizeof *out->v);
    k = bpe_encode(model, scratch, s, n, out->v + out->n, &missing);
    if (!k)
        return err_set(err, "the vocabulary has no token for the byte 0x%02x", (unsigned)missing);
    out->n += k;
    return 0;
}

static uint32_t id_of(const void *model, const char *s, size_t n)
{
    return bpe_id(model, s, n);
}

static const char *token(const void *model, uint32_t id, size_t *n, bool *bytes)
{
    bool plain;
    const char *s = bpe_token(model, id, n, &plain);

    *bytes = !plain;
    return s;
}

static void report(const void *model, struct report *r)
{
    report_number(r, "merges", ((const struct bpe *)model)->merges.n);
}

#define ROW(name, reader) \
    { .type = name, .description = "byte-level BPE", .takes_bytes = true, .parse = reader, .release = release, .image = image, \
      .scratch_new = scratch_new, .scratch_free = scratch_free, .encode = encode, .id = id_of, .token = token, .report = report }

const struct tokenizer_model_row tokenizer_byte_bpe = ROW("BPE", parse), tokenizer_rank_bpe = ROW("ranks", parse_ranks);
