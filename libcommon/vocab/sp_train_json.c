/* sp_train_json.c - a vocabulary of SentencePiece's kind as HF's tokenizer.json: the normaliser does what
 * SentencePiece does before it looks for pieces, and nothing is cut. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/vocab/sp_train_in.h"

struct merge {
    uint32_t left, right;
};

static int put_base64(struct io_out *out, const char *s, size_t n, struct err *err)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = xmalloc(n / 3 * 4 + 4);
    size_t k = 0;
    int rc;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)(uint8_t)s[i] << 16;

        v |= i + 1 < n ? (uint32_t)(uint8_t)s[i + 1] << 8 : 0;
        v |= i + 2 < n ? (uint8_t)s[i + 2] : 0;
        text[k++] = digit[v >> 18];
        text[k++] = digit[v >> 12 & 63];
        text[k++] = i + 1 < n ? digit[v >> 6 & 63] : '=';
        text[k++] = i + 2 < n ? digit[v & 63] : '=';
    }
    rc = io_put(out, text, k, err);
    free(text);
    return rc;
}

static int put_added(const struct sp_train *t, struct io_out *out, struct err *err)
{
    const char *comma = "\n";

    for (size_t i = 0; i < t->n_pieces; i++) {
        const struct sp_piece *p = &t->piece[i];

        if (p->type == SP_NORMAL || p->type == SP_BYTE)
            continue;
        if (io_printf(out, err, "%s    {\"id\": %zu, \"content\": ", comma, i) < 0 ||
            json_put_string(out, p->s, p->n, err) < 0 ||
            io_printf(out, err,
                      ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": %s}",
                      p->type == SP_USER_DEFINED ? "false" : "true") < 0)
            return -1;
        comma = ",\n";
    }
    return io_printf(out, err, "\n  ]");
}

static int put_normalizer(const struct sp_train *t, struct io_out *out, struct err *err)
{
    if (io_printf(out, err, "{\"type\": \"Sequence\", \"normalizers\": [\n") < 0)
        return -1;
    if (t->map_size && (io_printf(out, err, "    {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"") < 0 ||
                        put_base64(out, t->map_blob, t->map_size, err) < 0 || io_printf(out, err, "\"},\n") < 0))
        return -1;
    if (t->o->remove_extra_whitespaces &&
        io_printf(out, err,
                  "    {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"\\\\A +| +\\\\z\"}, \"content\": \"\"},\n"
                  "    {\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \" \"},\n") < 0)
        return -1;
    if (t->o->add_dummy_prefix && io_printf(out, err, "    {\"type\": \"Prepend\", \"prepend\": \"" SP_SPACE "\"},\n") < 0)
        return -1;
    return io_printf(out, err,
                     "    {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"" SP_SPACE "\"}\n  ]}");
}

static int put_decoder(const struct sp_train *t, struct io_out *out, struct err *err)
{
    return io_printf(out, err,
                     "{\"type\": \"Sequence\", \"decoders\": [\n"
                     "    {\"type\": \"Replace\", \"pattern\": {\"String\": \"" SP_SPACE "\"}, \"content\": \" \"},\n"
                     "%s    {\"type\": \"Fuse\"}%s\n  ]}",
                     t->o->byte_fallback ? "    {\"type\": \"ByteFallback\"},\n" : "",
                     t->o->add_dummy_prefix ? ",\n    {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}" : "");
}

/* Unigram: pieces with their scores. */
static int put_unigram(const struct sp_train *t, struct io_out *out, struct err *err)
{
    if (io_printf(out, err, "{\"type\": \"Unigram\", \"unk_id\": %d, \"byte_fallback\": %s, \"vocab\": [\n", (int)t->o->id[SP_UNK],
                  t->o->byte_fallback ? "true" : "false") < 0)
        return -1;
    for (size_t i = 0; i < t->n_pieces; i++)
        if (io_printf(out, err, "    [") < 0 || json_put_string(out, t->piece[i].s, t->piece[i].n, err) < 0 ||
            io_printf(out, err, ", %.17g]%s\n", (double)t->piece[i].score, i + 1 < t->n_pieces ? "," : "") < 0)
            return -1;
    return io_printf(out, err, "  ]}");
}

/* BPE: two pieces that spell a third merge, in the order of the thirds. */

struct ranked {
    float score;
    uint32_t id;
};

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return x->score > y->score ? -1 : x->score < y->score ? 1 : x->id < y->id ? -1 : x->id > y->id;
}

static int by_left(const void *a, const void *b)
{
    const struct merge *x = a, *y = b;

    return x->left < y->left ? -1 : x->left > y->left;
}

static int put_splits(const struct sp_train *t, const struct trie *pieces, uint32_t id, bool *any, struct io_out *out,
                      struct err *err)
{
    const struct sp_piece *p = &t->piece[id];
    struct merge split[4 * 512];
    size_t n = 0;

    for (uint32_t at = 1; at < p->n; at++) {
        uint32_t left, right;

        if (((uint8_t)p->s[at] & 0xc0) == 0x80)
            continue;
        if (trie_longest(pieces, p->s, at, &left) == at && trie_longest(pieces, p->s + at, p->n - at, &right) == p->n - at)
            split[n++] = (struct merge){ left, right };
    }
    qsort(split, n, sizeof *split, by_left);
    for (size_t i = 0; i < n; i++, *any = true) {
        const struct sp_piece *l = &t->piece[split[i].left], *r = &t->piece[split[i].right];

        if (io_printf(out, err, "%s    [", *any ? ",\n" : "") < 0 || json_put_string(out, l->s, l->n, err) < 0 ||
            io_printf(out, err, ", ") < 0 || json_put_string(out, r->s, r->n, err) < 0 || io_printf(out, err, "]") < 0)
            return -1;
    }
    return 0;
}

static int put_merges(const struct sp_train *t, struct io_out *out, struct err *err)
{
    struct trie_key *key = xmalloc(t->n_pieces * sizeof *key);
    struct ranked *order = xmalloc(t->n_pieces * sizeof *order);
    struct trie pieces;
    bool any = false;
    size_t n = 0;
    int rc = 0;

    for (uint32_t i = 0; i < t->n_pieces; i++)
        if (t->piece[i].type == SP_NORMAL) {
            order[n] = (struct ranked){ t->piece[i].score, i };
            key[n++] = (struct trie_key){ t->piece[i].s, t->piece[i].n, i };
        }
    trie_build(&pieces, key, n);
    qsort(order, n, sizeof *order, by_score);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = put_splits(t, &pieces, order[i].id, &any, out, err);
    trie_release(&pieces);
    free(key);
    free(order);
    return rc;
}

static int put_bpe(const struct sp_train *t, struct io_out *out, struct err *err)
{
    const struct sp_piece *unk = &t->piece[t->o->id[SP_UNK]];

    if (io_printf(out, err, "{\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ") < 0 ||
        json_put_string(out, unk->s, unk->n, err) < 0 ||
        io_printf(out, err,
                  ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": true, "
                  "\"byte_fallback\": %s, \"ignore_merges\": false, \"vocab\": {\n",
                  t->o->byte_fallback ? "true" : "false") < 0)
        return -1;
    for (size_t i = 0; i < t->n_pieces; i++)
        if (io_printf(out, err, "    ") < 0 || json_put_string(out, t->piece[i].s, t->piece[i].n, err) < 0 ||
            io_printf(out, err, ": %zu%s\n", i, i + 1 < t->n_pieces ? "," : "") < 0)
            return -1;
    if (io_printf(out, err, "  }, \"merges\": [\n") < 0 || put_merges(t, out, err) < 0)
        return -1;
    return io_printf(out, err, "\n  ]}");
}

int sp_train_write_json(const struct sp_train *t, struct io_out *out, struct err *err)
{
    if (io_printf(out, err, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [") < 0 ||
        put_added(t, out, err) < 0 || io_printf(out, err, ",\n  \"normalizer\": ") < 0 || put_normalizer(t, out, err) < 0 ||
        io_printf(out, err, ",\n  \"pre_tokenizer\": null,\n  \"post_processor\": null,\n  \"decoder\": ") < 0 ||
        put_decoder(t, out, err) < 0 || io_printf(out, err, ",\n  \"model\": ") < 0 ||
        (t->o->unigram ? put_unigram(t, out, err) : put_bpe(t, out, err)) < 0)
        return -1;
    return io_printf(out, err, "\n}\n");
}
