/* BPE over characters of tokenizer.json: charbpe.h behind a model row. */
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/report.h"
#include "libcommon/tokenizer/charbpe.h"
#include "libcommon/tokenizer/tokenizer_load.h"

static int add(void *model, const char *s, size_t n, uint64_t id, struct err *err)
{
    return charbpe_add(model, s, n, id, err);
}

static int index_all(void *model, struct err *err)
{
    return charbpe_index(model, err);
}

static int add_merge(void *model, const char *left, size_t left_n, const char *right, size_t right_n, struct err *err)
{
    return charbpe_add_merge(model, left, left_n, right, right_n, err);
}

static int add_merges(void *model, struct merges_pair *p, size_t n, struct err *err)
{
    return charbpe_add_merges(model, p, n, err);
}

static int parse(struct tokenizer_loader *l, const char *json, size_t n)
{
    struct tokenizer_bpe file = { .add = add, .index = index_all, .add_merge = add_merge,
                                  .add_merges = add_merges };
    struct charbpe *b;

    if (tokenizer_bpe_open(l, json, n, &file) < 0)
        return -1;
    l->t->model_data = file.model = b = xcalloc(1, sizeof *b);
    b->byte_fallback = file.byte_fallback;
    b->fuse_unk = file.fuse_unk;
    b->has_unk = file.has_unk;
    b->whole = file.whole;
    b->unk = file.unk;
    b->unk_n = file.unk_n;
    b->prefix = file.prefix;
    b->prefix_n = file.prefix_n;
    b->suffix = file.suffix;
    b->suffix_n = file.suffix_n;
    if (tokenizer_bpe_load(l, &file) < 0)
        return -1;
    charbpe_finish(b);
    l->t->n_tokens = b->words.n;
    l->t->n_ids = b->words.n_ids;
    return 0;
}

static void release(void *model)
{
    if (model)
        charbpe_release(model);
    free(model);
}

static void image(void **model, struct image *i)
{
    *model = *model ? *model : xcalloc(1, sizeof(struct charbpe));
    charbpe_image(*model, i);
}

static void *scratch_new(const void *model)
{
    (void)model;
    return xcalloc(1, sizeof(struct charbpe_scratch));
}

static void scratch_free(void *scratch)
{
    charbpe_scratch_release(scratch);
    free(scratch);
}

static const struct border *border(const void *model)
{
    const struct charbpe *b = model;

    return b->cuttable ? &b->border : NULL;
}

static int encode(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    size_t room = charbpe_room(model, n), k;

    if (n > UINT32_MAX / 2 || room > UINT32_MAX - 1)
        return err_set(err, "a word of %zu bytes", n);
    mem_grow(&out->v, &out->cap, out->n + room, sizeof *out->v);
    k = charbpe_encode(model, scratch, s, n, out->v + out->n, err);
    if (k == CHARBPE_ERROR)
        return -1;
    out->n += k;
    return 0;
}

static uint32_t id_of(const void *model, const char *s, size_t n)
{
    return lexicon_find(&((const struct charbpe *)model)->words, s, n);
}

static const char *token(const void *model, uint32_t id, size_t *n, bool *bytes)
{
    *bytes = false;
    return lexicon_string(&((const struct charbpe *)model)->words, id, n);
}

static void report(const void *model, struct report *r)
{
    report_number(r, "merges", ((const struct charbpe *)model)->merges.n);
}

const struct tokenizer_model_row tokenizer_char_bpe = {
    .type = "BPE",
    .description = "BPE over characters",
    .parse = parse,
    .release = release,
    .image = image,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .border = border,
    .encode = encode,
    .id = id_of,
    .token = token,
    .report = report,
};
