/* Text to ids: added tokens, normalisation, pieces, and of each piece its ids from the cache or by merging. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/nfc.h"
#include "libcommon/text/tokenizer_in.h"
#include "libcommon/text/unicode.h"
#include "libcommon/text/wordcache.h"

#define PIECES 256 /* cut, then looked up, at a time */

struct tokenizer_encoder {
    const struct tokenizer *t;
    struct wordcache cache;
    struct bpe_scratch scratch;
    char *normal; /* a segment in its normal form */
    size_t normal_cap;
    /* of one batch */
    size_t end[PIECES];
    uint64_t low[PIECES], high[PIECES], hash[PIECES];
    /* of one call */
    enum tokenizer_special special;
    struct tokenizer_ids *out;
    struct err *err;
};

struct tokenizer_encoder *tokenizer_encoder_new(const struct tokenizer *t)
{
    struct tokenizer_encoder *e = xcalloc(1, sizeof *e);

    e->t = t;
    wordcache_init(&e->cache);
    return e;
}

void tokenizer_encoder_free(struct tokenizer_encoder *e)
{
    if (!e)
        return;
    wordcache_release(&e->cache);
    bpe_scratch_release(&e->scratch);
    free(e->normal);
    free(e);
}

/* Append the ids of a piece, merged anew; their number, 0 on error. */
static size_t merge(struct tokenizer_encoder *e, const char *s, size_t n)
{
    struct tokenizer_ids *out = e->out;
    uint8_t missing;
    size_t k;

    if (n > UINT32_MAX - 1) {
        err_set(e->err, "a word of %zu bytes", n);
        return 0;
    }
    mem_grow(&out->v, &out->cap, out->n + n, sizeof *out->v);
    k = bpe_encode(&e->t->bpe, &e->scratch, s, n, out->v + out->n, &missing);
    if (!k)
        err_set(e->err, "the vocabulary has no token for the byte 0x%02x", (unsigned)missing);
    out->n += k;
    return k;
}

static int long_piece(struct tokenizer_encoder *e, const char *s, size_t n)
{
    struct tokenizer_ids *out = e->out;
    uint64_t hash;
    const uint32_t *ids;
    size_t k;

    if (n > WORDCACHE_LONGEST)
        return merge(e, s, n) ? 0 : -1;
    hash = hash_bytes(s, n, 0);
    ids = wordcache_find_long(&e->cache, s, n, hash, &k);
    if (ids) {
        mem_grow(&out->v, &out->cap, out->n + k, sizeof *out->v);
        memcpy(out->v + out->n, ids, k * sizeof *ids);
        out->n += k;
        return 0;
    }
    k = merge(e, s, n);
    if (!k)
        return -1;
    wordcache_add_long(&e->cache, s, n, hash, out->v + out->n - k, k);
    return 0;
}

/* The bytes of a piece, zero padded, and its length, of s, of which 16 bytes can be read. */
static inline void load_key(const char *s, size_t len, uint64_t *low, uint64_t *high)
{
    static const uint8_t ones[32] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    uint64_t mask[2];

    memcpy(mask, ones + 16 - len, 16);
    memcpy(low, s, 8);
    memcpy(high, s + 8, 8);
    *low &= mask[0];
    *high = (*high & mask[1]) | (uint64_t)len << 56;
}

/* The keys of the first k pieces of the batch, of which the first begins at `at`; 0 for a long one. */
static void make_keys(struct tokenizer_encoder *e, const char *text, size_t n, size_t at, size_t k)
{
    const struct wordcache_entry *entry = e->cache.entry;
    int shift = e->cache.shift;

    for (size_t i = 0; i < k; i++) {
        size_t end = e->end[i], len = end - at;
        uint64_t low = 0, high = 0, hash;

        if (len <= WORDCACHE_SHORT) {
            if (n - at >= 16) {
                load_key(text + at, len, &low, &high);
            } else {
                char s[16] = { 0 };

                load_key(memcpy(s, text + at, len), len, &low, &high);
            }
        }
        hash = wordcache_hash(low, high);
        __builtin_prefetch(&entry[hash >> shift]);
        e->low[i] = low;
        e->high[i] = high;
        e->hash[i] = hash;
        at = end;
    }
}

/* Append the ids of a cached piece. */
static void put(struct tokenizer_encoder *e, const struct wordcache_entry *entry)
{
    const uint32_t *ids = entry->n <= 3 ? entry->id : e->cache.more + entry->id[0];

    memcpy(e->out->v + e->out->n, ids, entry->n * sizeof *ids);
    e->out->n += entry->n;
}

/* Piece i of the batch, of at most WORDCACHE_SHORT bytes, wherever it is. */
static int short_piece(struct tokenizer_encoder *e, const char *s, size_t i)
{
    const struct wordcache_entry *entry = e->cache.entry;
    size_t at = (size_t)(e->hash[i] >> e->cache.shift), n = 0;
    uint64_t low = e->low[i], high = e->high[i];

    while (n < 4 && (entry[at ^ n].low != low || entry[at ^ n].high != high))
        n++;
    if (n < 4) {
        put(e, &entry[at ^ n]);
        return 0;
    }
    n = merge(e, s, (size_t)(high >> 56));
    if (!n)
        return -1;
    wordcache_add(&e->cache, low, high, e->out->v + e->out->n - n, n);
    return 0;
}

/* The first of the pieces [i, k) of the batch that does not stand at its first place in the cache with at most
 * three ids; the ids of those before it are appended. */
static size_t encode_hits(struct tokenizer_encoder *e, size_t i, size_t k)
{
    const struct wordcache_entry *entries = e->cache.entry;
    uint32_t *v = e->out->v + e->out->n;
    int shift = e->cache.shift;

    for (; i < k; i++) {
        const struct wordcache_entry *entry = &entries[e->hash[i] >> shift];

        if (entry->low != e->low[i] || entry->high != e->high[i] || entry->n - 1 >= 3)
            break;
        memcpy(v, entry->id, sizeof entry->id); /* three, of which n count */
        v += entry->n;
    }
    e->out->n = (size_t)(v - e->out->v);
    return i;
}

/* The k pieces of the batch, of which the first begins at `at`. */
static int encode_batch(struct tokenizer_encoder *e, const char *text, size_t at, size_t k)
{
    struct tokenizer_ids *out = e->out;

    for (size_t i = 0; i < k; i++) {
        size_t start;

        if (out->cap - out->n < 3 * (k - i) + WORDCACHE_SHORT)
            mem_grow(&out->v, &out->cap, out->n + 3 * (k - i) + WORDCACHE_SHORT, sizeof *out->v);
        i = encode_hits(e, i, k);
        if (i == k)
            break;
        start = i ? e->end[i - 1] : at;
        if ((e->high[i] ? short_piece(e, text + start, i) : long_piece(e, text + start, e->end[i] - start)) < 0)
            return -1;
    }
    return 0;
}

/* A segment in its normal form without added tokens. */
static int encode_pieces(struct tokenizer_encoder *e, const char *text, size_t n)
{
    for (size_t at = 0, k; at < n; at = e->end[k - 1]) {
        k = pretok_ends(e->t->pretok, text, n, at, e->end, PIECES, e->err);
        if (k == PRETOK_ERROR)
            return -1;
        make_keys(e, text, n, at, k);
        if (encode_batch(e, text, at, k) < 0)
            return -1;
    }
    return 0;
}

/* The character that ends at s + n, or begins there. */
static uint32_t char_before(const char *s, size_t n)
{
    uint32_t cp = 0;
    size_t k = n;

    while (k && ((uint8_t)s[--k] & 0xc0) == 0x80)
        ;
    utf8_decode(s + k, n - k, &cp);
    return cp;
}

/* \w of the regex crate. */
static bool is_word(uint32_t cp)
{
    return unicode_word(cp) || cp == 0x200c || cp == 0x200d;
}

static bool is_single_word(const char *text, size_t n, size_t from, size_t to)
{
    uint32_t cp = 0;

    if (from && is_word(char_before(text, from)))
        return false;
    return to == n || !utf8_decode(text + to, n - to, &cp) || !is_word(cp);
}

/* Take the white space around a token as its flags say, but not what comes before `low`. */
static void strip(const struct tokenizer_added *a, const char *text, size_t n, size_t low, size_t *from, size_t *to)
{
    uint32_t cp = 0;

    while (a->lstrip && *from > low && unicode_space(char_before(text, *from)))
        do
            --*from;
        while (((uint8_t)text[*from] & 0xc0) == 0x80);
    while (a->rstrip && *to < n) {
        int len = utf8_decode(text + *to, n - *to, &cp);

        if (!len || !unicode_space(cp))
            break;
        *to += (size_t)len;
    }
}

/* Split at the tokens of a set: raw ones in the text, then normal ones in each normalised segment. */
static int encode_split(struct tokenizer_encoder *e, const struct tokenizer_set *set, const char *text, size_t n,
                        int (*rest)(struct tokenizer_encoder *e, const char *text, size_t n))
{
    const struct tokenizer_pattern *p;
    size_t done = 0, at = 0, end;

    if (e->special == TOKENIZER_SPECIAL_NONE && !set->plain)
        return rest(e, text, n);
    for (; (p = tokenizer_find(set, text, n, at, &at)) != NULL; at = end) {
        size_t from = at, to = end = at + p->n;

        if (p->token->special && e->special == TOKENIZER_SPECIAL_NONE)
            continue;
        if (p->token->single_word && !is_single_word(text, n, from, to))
            continue;
        if (p->token->special && e->special == TOKENIZER_SPECIAL_ERROR)
            return err_set(e->err, "special token '%.100s' in the text", p->token->content);
        strip(p->token, text, n, done, &from, &to);
        if (done < from && rest(e, text + done, from - done) < 0)
            return -1;
        mem_grow(&e->out->v, &e->out->cap, e->out->n + 1, sizeof *e->out->v);
        e->out->v[e->out->n++] = p->token->id;
        done = to;
    }
    return done < n ? rest(e, text + done, n - done) : 0;
}

static int encode_raw(struct tokenizer_encoder *e, const char *text, size_t n)
{
    if (e->t->nfc && nfc_check(text, n) < n) {
        n = nfc_normalise(text, n, &e->normal, &e->normal_cap);
        text = e->normal;
    }
    return encode_split(e, &e->t->normal, text, n, encode_pieces);
}

int tokenizer_encode(struct tokenizer_encoder *e, const char *text, size_t n, enum tokenizer_special special,
                     struct tokenizer_ids *out, struct err *err)
{
    size_t valid = utf8_valid(text, n), before = out->n;

    if (valid < n)
        return err_set(err, "byte %zu: invalid UTF-8: 0x%02x", valid, (unsigned)(uint8_t)text[valid]);
    e->special = special;
    e->out = out;
    e->err = err;
    if (encode_split(e, &e->t->raw, text, n, encode_raw) == 0)
        return 0;
    out->n = before;
    return -1;
}
