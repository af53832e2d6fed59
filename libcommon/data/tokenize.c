#include "libcommon/data/tokenize.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/ids.h"

#define SPARE ((size_t)64 << 20) /* a buffer above it served one large document */

void tokenize_header(const struct tokenize_options *o, const struct tokenizer_info *info, struct stream_header *h)
{
    h->vocab_size = o->limit;
    h->dtype = o->limit <= 65536 ? STREAM_U16 : STREAM_I32;
    h->bos = o->n_prefix ? o->prefix[0] : STREAM_NONE;
    h->eod = o->n_suffix && o->eod == TOKENIZER_NONE ? o->suffix[o->n_suffix - 1] : o->eod;
    h->pad = info->pad;
    memcpy(h->fingerprint, info->fingerprint, sizeof h->fingerprint);
    /* only a document without a sequence needs the column */
    h->flags = o->empty == TOKENIZE_BOUNDARY && !o->n_prefix && !o->n_suffix ? STREAM_SEGMENTS : 0;
}

int tokenize_check(const struct stream_header *h, const char *name, const struct tokenizer_info *info, const char *tokenizer,
                   struct err *err)
{
    static const uint8_t unknown[sizeof h->fingerprint];

    if (memcmp(h->fingerprint, unknown, sizeof unknown) == 0)
        return 0;
    if (memcmp(h->fingerprint, info->fingerprint, sizeof unknown) != 0)
        return err_set(err, "%s: made with another tokenizer than %s", name, tokenizer);
    if (h->vocab_size && h->vocab_size != info->vocab_size)
        return err_set(err, "%s: made with another tokenizer than %s: of %u tokens, not %u", name, tokenizer, h->vocab_size,
                       info->vocab_size);
    return 0;
}

void tokenize_init(struct tokenize *t, const struct tokenize_options *o)
{
    *t = (struct tokenize){ .o = o, .encoder = o->tokenizer && !o->ids ? tokenizer_encoder_new(o->tokenizer) : NULL };
}

static void release_buffers(struct tokenize *t)
{
    free(t->ids.v);
    free(t->kept.v);
    free(t->text);
    t->ids = (struct tokenizer_ids){ 0 };
    t->text = NULL;
    t->text_cap = 0;
}

void tokenize_release(struct tokenize *t)
{
    tokenizer_encoder_free(t->encoder);
    release_buffers(t);
}

static void begin(struct tokenize *t)
{
    if (t->ids.cap > SPARE / sizeof *t->ids.v || t->text_cap > SPARE)
        release_buffers(t);
    t->ids.n = t->text_n = 0;
}

/* Put v in front of, or behind, the ids from `at` on. */
static void insert(struct tokenizer_ids *ids, size_t at, const uint32_t *v, int n)
{
    size_t k = (size_t)n;

    if (!n)
        return;
    mem_grow(&ids->v, &ids->cap, ids->n + k, sizeof *ids->v);
    memmove(ids->v + at + k, ids->v + at, (ids->n - at) * sizeof *v);
    memcpy(ids->v + at, v, k * sizeof *v);
    ids->n += k;
}

static int take_ids(struct tokenize *t, const char *line, size_t n, struct err *err)
{
    begin(t);
    return ids_parse(line, n, t->o->limit, &t->ids.v, &t->ids.n, &t->ids.cap, err);
}

static int take_text(struct tokenize *t, const struct source_doc *d, size_t *n, struct err *err)
{
    const char *text = d->text.s;

    begin(t);
    *n = d->text.n;
    if (d->json && d->text.escaped) {
        mem_grow(&t->text, &t->text_cap, *n + 1, 1);
        *n = source_text(d, t->text);
        text = t->text;
    }
    return tokenizer_encode(t->encoder, text, *n, (enum tokenizer_special)t->o->special, &t->ids, err);
}

int tokenize_doc(struct tokenize *t, const struct source_doc *d, struct err *err)
{
    const struct tokenize_options *o = t->o;
    size_t n = 0;
    int rc = o->ids ? take_ids(t, d->text.s, d->text.n, err) : take_text(t, d, &n, err);

    if (rc < 0)
        return -1;
    if (!n && !(o->ids && t->ids.n) && o->empty == TOKENIZE_DROP)
        return 0;
    insert(&t->ids, 0, o->prefix, o->n_prefix);
    insert(&t->ids, t->ids.n, o->suffix, o->n_suffix);
    t->none = !t->ids.n && o->empty != TOKENIZE_EOD;
    insert(&t->ids, t->ids.n, &o->eod, !t->none && o->eod != TOKENIZER_NONE);
    return 1;
}

static int check(struct tokenize *t, struct err *err)
{
    size_t n = t->text_n, good = utf8_valid(t->text, n);

    if (good == n)
        return 0;
    if (!t->o->replace)
        return err_set(err, "byte %zu of the text: invalid UTF-8: 0x%02x", good, (unsigned)(uint8_t)t->text[good]);
    mem_grow(&t->text, &t->text_cap, 4 * n, 1);
    memmove(t->text + 3 * n, t->text, n);
    t->text_n = utf8_repair(t->text + 3 * n, n, t->text); /* writes at most 3 bytes for one that it has read */
    return 0;
}

int tokenize_text(struct tokenize *t, const uint32_t *v, size_t n, struct err *err)
{
    const struct tokenize_options *o = t->o;
    struct tokenizer_text text = { t->text, 0, t->text_cap };
    bool ill = false;
    size_t len;

    t->kept.n = 0;
    for (size_t i = 0; i < n; i++) {
        const char *bytes = tokenizer_bytes(o->tokenizer, v[i], &len);
        bool special = bytes && tokenizer_is_special(o->tokenizer, v[i]);

        if (!bytes)
            return err_set(err, "token %zu: the vocabulary has no id %d", i, (int)v[i]);
        if (special && o->special == TOKENIZER_SPECIAL_ERROR)
            return err_set(err, "token %zu: special token '%.*s'", i, (int)(len < 100 ? len : 100), bytes);
        if (!special || o->special != TOKENIZER_SPECIAL_NONE)
            insert(&t->kept, t->kept.n, &v[i], 1);
    }
    tokenizer_decode(o->tokenizer, t->kept.v, t->kept.n, &text, &ill);
    t->text = text.v;
    t->text_n = text.n;
    t->text_cap = text.cap;
    if (ill && !o->replace)
        return err_set(err, "bytes of the text that are no character");
    return check(t, err);
}

int tokenize_ids_text(struct tokenize *t, const char *line, size_t n, struct err *err)
{
    return take_ids(t, line, n, err) < 0 ? -1 : tokenize_text(t, t->ids.v, t->ids.n, err);
}
