#include "libcommon/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

#define CUTS (2 * BPE_LONGEST) /* looked up together */
#define PAIRS 65536            /* of bytes */

/* The byte that a character of the byte alphabet stands for, or -1: 33-126, 161-172 and 174-255 for
 * themselves, U+0100 and on for the others in order. */
static int alphabet_byte(uint32_t cp)
{
    if (cp >= 0x100 && cp < 0x100 + 68) {
        uint32_t k = cp - 0x100;

        return (int)(k < 33 ? k : k < 67 ? k - 33 + 127 : 173);
    }
    return (cp >= 33 && cp <= 126) || (cp >= 161 && cp <= 255 && cp != 173) ? (int)cp : -1;
}

uint32_t bpe_letter(uint8_t byte)
{
    if (alphabet_byte(byte) == byte)
        return byte;
    return 0x100 + (byte < 33 ? byte : byte < 161 ? byte - 127u + 33 : 67);
}

size_t bpe_unspell(const char *s, size_t n, char *out, bool *plain)
{
    size_t used = 0;
    uint32_t cp;

    *plain = true;
    for (size_t at = 0; at < n; used++) {
        int len = 1, byte = (uint8_t)s[at];

        if (byte - 33u >= 94) { /* no ASCII letter that stands for itself */
            len = utf8_decode(s + at, n - at, &cp);
            byte = len ? alphabet_byte(cp) : -1;
        }
        if (byte < 0) {
            memcpy(out, s, n);
            return n;
        }
        out[used] = (char)byte;
        at += (size_t)len;
    }
    *plain = false;
    return used;
}

void bpe_release(struct bpe *b)
{
    lexicon_release(&b->made);
    lexicon_release(&b->plain);
    free(b->byte_merge);
    free(b->cut);
    merges_release(&b->merges);
    *b = (struct bpe){ 0 };
}

int bpe_add_bytes(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err)
{
    if (!n)
        return err_set(err, "a token of no bytes");
    b->n++;
    return lexicon_add(&b->made, s, n, id, BPE_MAX_ID, err);
}

int bpe_add(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err)
{
    char small[256], *bytes = n <= sizeof small ? small : xmalloc(n);
    bool plain;
    size_t len = bpe_unspell(s, n, bytes, &plain);
    int rc = lexicon_add(plain ? &b->plain : &b->made, bytes, len, id, BPE_MAX_ID, err);

    if (bytes != small)
        free(bytes);
    b->n += rc == 0;
    return rc;
}

int bpe_index(struct bpe *b, struct err *err)
{
    size_t n;

    if (lexicon_index(&b->made, err) < 0 || lexicon_index(&b->plain, err) < 0)
        return -1;
    for (size_t i = 0; i < b->plain.n; i++)
        if (lexicon_string(&b->made, b->plain.item[i].id, &n))
            return err_set(err, "two tokens have the id %u", b->plain.item[i].id);
    b->n_ids = b->made.n_ids > b->plain.n_ids ? b->made.n_ids : b->plain.n_ids;
    for (int c = 0; c < 256; c++)
        b->byte_id[c] = lexicon_find(&b->made, &(char){ (char)c }, 1);
    return 0;
}

uint32_t bpe_id(const struct bpe *b, const char *s, size_t n)
{
    char small[256], *bytes = n <= sizeof small ? small : xmalloc(n);
    bool plain;
    size_t len = bpe_unspell(s, n, bytes, &plain);
    const struct lexicon *l = plain ? &b->plain : &b->made;
    uint32_t id = l->slot ? lexicon_find(l, bytes, len) : BPE_NONE;

    if (bytes != small)
        free(bytes);
    return id;
}

const char *bpe_token(const struct bpe *b, uint32_t id, size_t *n, bool *plain)
{
    const char *s = lexicon_string(&b->made, id, n);

    *plain = !s;
    return s ? s : lexicon_string(&b->plain, id, n);
}

int bpe_add_merge(struct bpe *b, const char *left, size_t left_n, const char *right, size_t right_n, struct err *err)
{
    const char *part[3] = { left, right };
    size_t len[3] = { left_n, right_n, left_n + right_n };
    uint32_t id[3];
    char *both = xmalloc(len[2] + 1);
    int bad = -1;

    memcpy(both, left, left_n);
    memcpy(both + left_n, right, right_n);
    part[2] = both;
    for (int i = 0; i < 3; i++) {
        id[i] = bpe_id(b, part[i], len[i]);
        if (bad < 0 && id[i] == BPE_NONE)
            bad = i;
    }
    if (bad >= 0)
        err_set(err, "merge %zu: '%.*s' is not in the vocabulary", b->merges.n, (int)(len[bad] < 100 ? len[bad] : 100),
                part[bad]);
    free(both);
    if (bad >= 0)
        return -1;
    if (b->merges.n == MERGES_MOST)
        return err_set(err, "more than %u merges", MERGES_MOST);
    merges_pair(&b->merges, id[0], id[1], merges_add(&b->merges, id[2]));
    return 0;
}

int bpe_add_merges(struct bpe *b, struct merges_pair *p, size_t n, struct err *err)
{
    if (n > MERGES_MOST - b->merges.n)
        return err_set(err, "more than %u merges", MERGES_MOST);
    merges_add_all(&b->merges, p, n);
    return 0;
}

/* Tokens cut in two, some at a time. */
struct cuts {
    struct lexicon_query left[CUTS], right[CUTS];
    struct merges_pair half[CUTS], *pair;
    size_t n, n_pairs, cap;
};

/* The pairs of the cuts: where the left part is a token, the right one is looked for. */
static void find_cuts(const struct bpe *b, struct cuts *c)
{
    size_t n = 0;

    lexicon_find_all(&b->made, c->left, c->n);
    for (size_t i = 0; i < c->n; i++) {
        if (c->left[i].id == LEXICON_NONE)
            continue;
        c->right[n] = c->right[i];
        c->half[n] = c->half[i];
        c->half[n++].left = c->left[i].id;
    }
    lexicon_find_all(&b->made, c->right, n);
    mem_grow(&c->pair, &c->cap, c->n_pairs + n, sizeof *c->pair);
    for (size_t i = 0; i < n; i++) {
        c->half[i].right = c->right[i].id;
        if (c->right[i].id != LEXICON_NONE)
            c->pair[c->n_pairs++] = c->half[i];
    }
    c->n = 0;
}

int bpe_merge_all(struct bpe *b, struct err *err)
{
    struct cuts *c;

    if (b->n > MERGES_MOST)
        return err_set(err, "more than %u merges", MERGES_MOST);
    for (size_t i = 0; i < b->made.n; i++)
        if (b->made.item[i].len > BPE_LONGEST)
            return err_set(err, "the token with the id %u has %u bytes, more than %d", b->made.item[i].id, b->made.item[i].len,
                           BPE_LONGEST);
    c = xcalloc(1, sizeof *c);
    for (uint32_t id = 0; id < b->n_ids; id++) {
        size_t n = 0;
        const char *s = lexicon_string(&b->made, id, &n);
        uint32_t index;

        if (!s || n < 2)
            continue;
        if (c->n + n > CUTS)
            find_cuts(b, c);
        index = merges_add(&b->merges, id);
        for (size_t cut = 1; cut < n; cut++, c->n++) {
            c->left[c->n] = (struct lexicon_query){ .s = s, .n = cut };
            c->right[c->n] = (struct lexicon_query){ .s = s + cut, .n = n - cut };
            c->half[c->n] = (struct merges_pair){ .index = index };
        }
    }
    find_cuts(b, c);
    merges_pairs(&b->merges, c->pair, c->n_pairs);
    free(c->pair);
    free(c);
    return 0;
}

void bpe_finish(struct bpe *b)
{
    merges_finish(&b->merges);
    b->cut = xcalloc(1, sizeof *b->cut);
    for (size_t i = 0; i < b->made.n; i++)
        bytecut_add(b->cut, b->made.bytes + b->made.item[i].at, b->made.item[i].len);
    b->byte_merge = xmalloc(PAIRS * sizeof *b->byte_merge);
    for (int left = 0; left < 256; left++)
        for (int right = 0; right < 256; right++) {
            bool both = b->byte_id[left] != BPE_NONE && b->byte_id[right] != BPE_NONE;

            b->byte_merge[left << 8 | right] =
                both ? merges_find(&b->merges, b->byte_id[left], b->byte_id[right]) : MERGES_NONE;
        }
}

void bpe_image(struct bpe *b, struct image *i)
{
    lexicon_image(&b->made, i);
    lexicon_image(&b->plain, i);
    merges_image(&b->merges, i);
    image_field(i, b->n);
    image_field(i, b->n_ids);
    image_field(i, b->byte_id);
    image_flags(i, &b->whole, 1);
    image_known(i, &b->byte_merge, PAIRS, sizeof *b->byte_merge);
    image_known(i, &b->cut, 1, sizeof *b->cut);
    image_check(i, b->byte_merge && b->cut && b->n_ids == (b->made.n_ids > b->plain.n_ids ? b->made.n_ids : b->plain.n_ids));
    for (size_t k = 0; k < PAIRS && image_loads(i) && !i->bad; k++)
        image_check(i, b->byte_merge[k] == MERGES_NONE || b->byte_merge[k] < b->merges.n);
}

/* The ids of a part, or of a piece that is not cut. */
static size_t encode_part(const struct bpe *b, struct bpe_scratch *s, const char *part, size_t n, uint32_t *out,
                          uint8_t *missing)
{
    uint32_t *id = out, first[MERGES_SHORT];
    const uint8_t *byte = (const uint8_t *)part;

    if (n > MERGES_SHORT) {
        mem_grow(&s->id, &s->id_cap, n, sizeof *s->id);
        id = s->id;
    }
    for (size_t i = 0; i < n; i++) {
        *missing = byte[i];
        id[i] = b->byte_id[*missing];
        if (id[i] == BPE_NONE)
            return 0;
    }
    if (n <= MERGES_SHORT) {
        for (size_t i = 0; i + 1 < n; i++)
            first[i] = b->byte_merge[byte[i] << 8 | byte[i + 1]];
        return merges_run(&b->merges, &s->merges, id, n, first);
    }
    n = merges_run(&b->merges, &s->merges, id, n, NULL);
    memcpy(out, id, n * sizeof *out);
    if (s->id_cap > 1 << 20) { /* of one long piece */
        free(s->id);
        s->id = NULL;
        s->id_cap = 0;
        merges_scratch_release(&s->merges);
    }
    return n;
}

/* The same of a short part, from the cache where it is there; `room` bytes of it can be read. */
static size_t encode_known(const struct bpe *b, struct bpe_scratch *s, const char *part, size_t n, size_t room,
                           uint32_t *out, uint8_t *missing)
{
    const struct wordcache_entry *e;
    uint64_t low, high;
    size_t k;

    if (!s->parts.entry)
        wordcache_init(&s->parts);
    wordcache_key(part, n, room, &low, &high);
    e = wordcache_find(&s->parts, low, high);
    if (e) {
        memcpy(out, wordcache_ids(&s->parts, e), e->n * sizeof *out);
        return e->n;
    }
    k = encode_part(b, s, part, n, out, missing);
    if (k)
        wordcache_add(&s->parts, low, high, out, k);
    return k;
}

size_t bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out, uint8_t *missing)
{
    uint32_t whole = b->whole ? lexicon_find(&b->made, piece, n) : BPE_NONE;
    size_t end = n >= 6 && whole == BPE_NONE ? bytecut_end(b->cut, piece, n, 0) : n, used = 0;

    if (whole != BPE_NONE) {
        *out = whole;
        return 1;
    }
    if (end == n)
        return encode_part(b, s, piece, n, out, missing);
    for (size_t at = 0; at < n; at = end) {
        size_t k, len;

        end = at ? bytecut_end(b->cut, piece, n, at) : end;
        len = end - at;
        k = len <= WORDCACHE_SHORT ? encode_known(b, s, piece + at, len, n - at, out + used, missing)
                                   : encode_part(b, s, piece + at, len, out + used, missing);
        if (!k)
            return 0;
        used += k;
    }
    return used;
}

void bpe_scratch_release(struct bpe_scratch *s)
{
    free(s->id);
    merges_scratch_release(&s->merges);
    wordcache_release(&s->parts);
    *s = (struct bpe_scratch){ 0 };
}
