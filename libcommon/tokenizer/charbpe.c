#include "libcommon/tokenizer/charbpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

void charbpe_release(struct charbpe *b)
{
    lexicon_release(&b->words);
    merges_release(&b->merges);
    charids_release(&b->chars);
    free(b->affix);
    b->affix = NULL;
}

int charbpe_add(struct charbpe *b, const char *s, size_t n, uint64_t id, struct err *err)
{
    return lexicon_add(&b->words, s, n, id, MERGES_MAX_ID, err);
}

int charbpe_index(struct charbpe *b, struct err *err)
{
    if (lexicon_index(&b->words, err) < 0)
        return -1;
    b->unk_id = b->has_unk ? lexicon_find(&b->words, b->unk, b->unk_n) : CHARBPE_NONE;
    b->low = UINT32_MAX;
    for (unsigned c = 0; c < 256; c++) {
        char s[8];

        snprintf(s, sizeof s, "<0x%02X>", c);
        b->byte_id[c] = b->byte_fallback ? lexicon_find(&b->words, s, 6) : CHARBPE_NONE;
        if (b->byte_id[c] == CHARBPE_NONE)
            continue;
        b->low = b->byte_id[c] < b->low ? b->byte_id[c] : b->low;
        b->high = b->byte_id[c] > b->high ? b->byte_id[c] : b->high;
    }
    for (size_t i = 0; i < b->words.n; i++) {
        const struct lexicon_item *t = &b->words.item[i];
        const char *s = b->words.bytes + t->at;
        uint32_t cp;

        if (t->len > b->prefix_n && memcmp(s, b->prefix, b->prefix_n) == 0 &&
            utf8_decode(s + b->prefix_n, t->len - b->prefix_n, &cp) == (int)(t->len - b->prefix_n))
            charids_set(&b->chars, cp, t->id);
    }
    b->border.fold = true; /* a text may come with spaces for U+2581 */
    b->cuttable = !b->prefix_n && !b->suffix_n && !b->whole;
    for (int c = 0; c < 256; c++) /* else unknown ones become one over a border */
        b->cuttable &= b->byte_id[c] != CHARBPE_NONE;
    return 0;
}

/* Tokens that stand for text that they do not spell. */
static bool is_stand_in(const struct charbpe *b, uint32_t id)
{
    if (id == b->unk_id)
        return true;
    for (int c = 0; c < 256 && id >= b->low && id <= b->high; c++)
        if (b->byte_id[c] == id)
            return true;
    return false;
}

int charbpe_add_merges(struct charbpe *b, struct merges_pair *p, size_t n, struct err *err)
{
    if (n > MERGES_MOST - b->merges.n)
        return err_set(err, "more than %u merges", MERGES_MOST);
    for (size_t i = 0; i < n && b->cuttable; i++) {
        size_t len;
        const char *s = lexicon_string(&b->words, p[i].index, &len);

        b->cuttable = !is_stand_in(b, p[i].left) && !is_stand_in(b, p[i].right);
        if (b->cuttable)
            border_add(&b->border, s, len);
    }
    merges_add_all(&b->merges, p, n);
    return 0;
}

int charbpe_add_merge(struct charbpe *b, const char *left, size_t left_n, const char *right, size_t right_n,
                      struct err *err)
{
    size_t skip = b->prefix_n && right_n >= b->prefix_n ? b->prefix_n : 0, n = left_n + right_n - skip;
    char *both = xmalloc(n + 1);
    struct merges_pair p = { lexicon_find(&b->words, left, left_n), lexicon_find(&b->words, right, right_n), 0 };
    int rc;

    memcpy(both, left, left_n);
    memcpy(both + left_n, right + skip, right_n - skip);
    p.index = lexicon_find(&b->words, both, n);
    free(both);
    if (p.left != LEXICON_NONE && p.right != LEXICON_NONE && p.index != LEXICON_NONE)
        rc = charbpe_add_merges(b, &p, 1, err);
    else
        rc = err_set(err, "merge %zu: '%.*s' + '%.*s' is not in the vocabulary", b->merges.n,
                     (int)(left_n < 100 ? left_n : 100), left, (int)(right_n < 100 ? right_n : 100), right);
    return rc;
}

void charbpe_finish(struct charbpe *b)
{
    char *affix = xmalloc(b->prefix_n + b->suffix_n + 1);
    uint32_t id[128];

    memcpy(affix, b->prefix, b->prefix_n);
    memcpy(affix + b->prefix_n, b->suffix, b->suffix_n);
    b->affix = affix;
    b->prefix = affix;
    b->suffix = affix + b->prefix_n;
    merges_finish(&b->merges);
    for (uint32_t c = 0; c < 128; c++)
        id[c] = charids_get(&b->chars, c);
    merges_table(&b->merges, id, b->ascii);
}

void charbpe_image(struct charbpe *b, struct image *i)
{
    size_t affix_n = b->prefix_n + b->suffix_n;

    image_flags(i, &b->byte_fallback, 1);
    image_flags(i, &b->fuse_unk, 1);
    image_flags(i, &b->has_unk, 1);
    image_flags(i, &b->whole, 1);
    image_flags(i, &b->cuttable, 1);
    image_field(i, b->prefix_n);
    image_field(i, b->suffix_n);
    image_array(i, &b->affix, &affix_n, 1);
    image_field(i, b->unk_id);
    image_field(i, b->byte_id);
    image_field(i, b->low);
    image_field(i, b->high);
    image_field(i, b->ascii);
    border_image(&b->border, i);
    lexicon_image(&b->words, i);
    merges_image(&b->merges, i);
    charids_image(&b->chars, i);
    b->prefix = b->affix;
    image_check(i, b->prefix_n <= affix_n && b->suffix_n == affix_n - b->prefix_n);
    b->suffix = b->affix + (i->bad ? 0 : b->prefix_n);
    for (size_t k = 0; k < sizeof b->ascii / sizeof *b->ascii; k++)
        image_check(i, b->ascii[k] == MERGES_NONE || b->ascii[k] < b->merges.n);
}

void charbpe_scratch_release(struct charbpe_scratch *s)
{
    free(s->first);
    free(s->text);
    merges_scratch_release(&s->merges);
    *s = (struct charbpe_scratch){ 0 };
}

size_t charbpe_room(const struct charbpe *b, size_t n)
{
    return n * (b->prefix_n + 1) + b->suffix_n + 1;
}

/* What is still to be put: an unknown token. */
struct symbols {
    const struct charbpe *b;
    uint32_t *out;
    size_t n;
    bool pending;
};

static void flush(struct symbols *s)
{
    if (s->pending)
        s->out[s->n++] = s->b->unk_id;
    s->pending = false;
}

/* A character as it is looked up, which has no token.  The bytes of one go before an unknown token that is pending,
 * as in the reference. */
static int put_missing(struct symbols *s, const char *c, size_t n, struct err *err)
{
    const struct charbpe *b = s->b;
    bool bytes = b->byte_fallback;

    for (size_t i = 0; i < n && bytes; i++)
        bytes = b->byte_id[(uint8_t)c[i]] != CHARBPE_NONE;
    if (bytes) {
        for (size_t i = 0; i < n; i++)
            s->out[s->n++] = b->byte_id[(uint8_t)c[i]];
        return 0;
    }
    if (!b->has_unk)
        return 0;
    if (b->unk_id == CHARBPE_NONE)
        return err_set(err, "the vocabulary has no token for '%.*s', and not the unknown token", (int)n, c);
    if (!b->fuse_unk)
        flush(s);
    s->pending = true;
    return 0;
}

/* The id of the character at the beginning or the end of a piece, by its spelling, which is put into *text. */
static uint32_t affixed(const struct charbpe *b, const char *c, size_t n, bool first, bool last, char *text, size_t *text_n)
{
    size_t used = 0;

    memcpy(text, b->prefix, first ? 0 : b->prefix_n);
    used += first ? 0 : b->prefix_n;
    memcpy(text + used, c, n);
    used += n;
    memcpy(text + used, b->suffix, last ? b->suffix_n : 0);
    used += last ? b->suffix_n : 0;
    *text_n = used;
    return lexicon_find(&b->words, text, used);
}

static size_t split(const struct charbpe *b, struct charbpe_scratch *s, const char *piece, size_t n, uint32_t *out,
                    struct err *err)
{
    struct symbols sy = { .b = b, .out = out };
    bool affixes = b->prefix_n || b->suffix_n;

    if (affixes)
        mem_grow(&s->text, &s->text_cap, b->prefix_n + b->suffix_n + 4, 1);
    for (size_t at = 0; at < n;) {
        uint32_t cp = 0, id;
        size_t len = (size_t)utf8_decode(piece + at, n - at, &cp), spelled_n = len;
        const char *spelled = piece + at;

        if (!affixes) {
            id = charids_get(&b->chars, cp);
        } else {
            id = affixed(b, piece + at, len, at == 0, at + len == n, s->text, &spelled_n);
            spelled = s->text;
        }
        at += len;
        if (id != CHARBPE_NONE) {
            flush(&sy);
            out[sy.n++] = id;
        } else if (put_missing(&sy, spelled, spelled_n, err) < 0) {
            return CHARBPE_ERROR;
        }
    }
    flush(&sy);
    return sy.n;
}

/* Pairs of ASCII characters, which are most of them in most pieces, have a table. */
static const uint32_t *first_merges(const struct charbpe *b, struct charbpe_scratch *s, const char *piece, size_t n,
                                    const uint32_t *id, size_t n_ids)
{
    if (n != n_ids || b->prefix_n || b->suffix_n)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)piece[i] >= 128 || charids_get(&b->chars, (uint8_t)piece[i]) != id[i])
            return NULL;
    mem_grow(&s->first, &s->first_cap, n, sizeof *s->first);
    for (size_t i = 0; i + 1 < n; i++)
        s->first[i] = b->ascii[(uint32_t)piece[i] << 7 | (uint32_t)piece[i + 1]];
    return s->first;
}

size_t charbpe_encode(const struct charbpe *b, struct charbpe_scratch *s, const char *piece, size_t n, uint32_t *out,
                      struct err *err)
{
    uint32_t whole = b->whole ? lexicon_find(&b->words, piece, n) : LEXICON_NONE;
    size_t k;

    if (whole != LEXICON_NONE) {
        *out = whole;
        return 1;
    }
    k = split(b, s, piece, n, out, err);
    if (k == CHARBPE_ERROR)
        return k;
    return merges_run(&b->merges, &s->merges, out, k, first_merges(b, s, piece, n, out, k));
}
