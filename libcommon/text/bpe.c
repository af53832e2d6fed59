#include "libcommon/text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

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
        int len = utf8_decode(s + at, n - at, &cp), byte = len ? alphabet_byte(cp) : -1;

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
    free(b->bytes);
    free(b->token);
    free(b->made.slot);
    free(b->plain.slot);
    free(b->index);
    free(b->byte_merge);
    merges_release(&b->merges);
    *b = (struct bpe){ 0 };
}

/* A token without its n bytes, for which there is room behind b->bytes_n; NULL on error. */
static struct bpe_token *add(struct bpe *b, size_t n, uint64_t id, struct err *err)
{
    struct bpe_token *t = NULL;

    if (id > BPE_MAX_ID) {
        err_set(err, "id %llu is above %u", (unsigned long long)id, BPE_MAX_ID);
        return NULL;
    }
    if (n > UINT32_MAX) {
        err_set(err, "a token of %zu bytes", n);
        return NULL;
    }
    mem_grow(&b->bytes, &b->bytes_cap, b->bytes_n + n, 1);
    mem_grow(&b->token, &b->cap, b->n + 1, sizeof *b->token);
    t = &b->token[b->n++];
    *t = (struct bpe_token){ .at = b->bytes_n, .id = (uint32_t)id };
    return t;
}

int bpe_add(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err)
{
    struct bpe_token *t = add(b, n, id, err);

    if (!t)
        return -1;
    t->len = (uint32_t)bpe_unspell(s, n, b->bytes + b->bytes_n, &t->plain);
    b->bytes_n += t->len;
    return 0;
}

int bpe_add_bytes(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err)
{
    struct bpe_token *t = n ? add(b, n, id, err) : NULL;

    if (!t)
        return n ? -1 : err_set(err, "a token of no bytes");
    memcpy(b->bytes + b->bytes_n, s, n);
    t->len = (uint32_t)n;
    b->bytes_n += n;
    return 0;
}

static bool same(const struct bpe *b, const struct bpe_token *t, const char *s, size_t n)
{
    return t->len == n && memcmp(b->bytes + t->at, s, n) == 0;
}

/* The slot of these bytes, of which the hash is given, or the empty one where they would stand. */
static uint32_t *slot_at(const struct bpe *b, const struct bpe_table *t, const char *s, size_t n, uint64_t hash)
{
    size_t mask = ((size_t)1 << t->bits) - 1, i = (size_t)hash & mask;

    while (t->slot[i] && !same(b, &b->token[t->slot[i] - 1], s, n))
        i = (i + 1) & mask;
    return &t->slot[i];
}

static uint32_t *slot(const struct bpe *b, const struct bpe_table *t, const char *s, size_t n)
{
    return slot_at(b, t, s, n, hash_bytes(s, n, 0));
}

static void make_table(struct bpe_table *t, size_t n)
{
    for (t->bits = 4; (size_t)1 << t->bits < 2 * n; t->bits++)
        ;
    t->slot = xcalloc((size_t)1 << t->bits, sizeof *t->slot);
}

int bpe_index(struct bpe *b, struct err *err)
{
    size_t plain = 0;

    for (size_t i = 0; i < b->n; i++) {
        plain += b->token[i].plain;
        if (b->token[i].id >= b->n_ids)
            b->n_ids = b->token[i].id + 1;
    }
    make_table(&b->made, b->n - plain);
    make_table(&b->plain, plain);
    b->index = xcalloc(b->n_ids + 1, sizeof *b->index);
    for (size_t i = 0; i < b->n; i++) {
        const struct bpe_token *t = &b->token[i];
        uint32_t *s = slot(b, t->plain ? &b->plain : &b->made, b->bytes + t->at, t->len);

        if (*s)
            return err_set(err, "ids %u and %u have one token", b->token[*s - 1].id, t->id);
        if (b->index[t->id])
            return err_set(err, "two tokens have the id %u", t->id);
        *s = b->index[t->id] = (uint32_t)i + 1;
    }
    for (int c = 0; c < 256; c++) {
        uint32_t *s = slot(b, &b->made, &(char){ (char)c }, 1);

        b->byte_id[c] = *s ? b->token[*s - 1].id : BPE_NONE;
    }
    return 0;
}

static uint32_t find(const struct bpe *b, const char *bytes, size_t n, bool plain)
{
    const struct bpe_table *t = plain ? &b->plain : &b->made;
    uint32_t at = t->slot ? *slot(b, t, bytes, n) : 0;

    return at ? b->token[at - 1].id : BPE_NONE;
}

uint32_t bpe_id(const struct bpe *b, const char *s, size_t n)
{
    char small[256], *bytes = n <= sizeof small ? small : xmalloc(n);
    bool plain;
    size_t len = bpe_unspell(s, n, bytes, &plain);
    uint32_t id = find(b, bytes, len, plain);

    if (bytes != small)
        free(bytes);
    return id;
}

const struct bpe_token *bpe_token(const struct bpe *b, uint32_t id)
{
    return id < b->n_ids && b->index[id] ? &b->token[b->index[id] - 1] : NULL;
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

/* A bit for the top of every token's hash, sixteen times as many as tokens: most strings that are none are known by it. */
struct filter {
    uint64_t *bit;
    int shift;
};

static struct filter make_filter(const struct bpe *b)
{
    struct filter f = { .shift = 64 - 6 };

    while (f.shift > 32 && (uint64_t)1 << (64 - f.shift) < 16 * (uint64_t)b->n)
        f.shift--;
    f.bit = xcalloc((size_t)1 << (64 - f.shift - 6), sizeof *f.bit);
    for (size_t i = 0; i < b->n; i++) {
        uint64_t h = hash_bytes(b->bytes + b->token[i].at, b->token[i].len, 0) >> f.shift;

        f.bit[h >> 6] |= (uint64_t)1 << (h & 63);
    }
    return f;
}

static uint32_t find_filtered(const struct bpe *b, const struct filter *f, const char *s, size_t n)
{
    uint64_t hash = hash_bytes(s, n, 0), h = hash >> f->shift;
    uint32_t at = f->bit[h >> 6] >> (h & 63) & 1 ? *slot_at(b, &b->made, s, n, hash) : 0;

    return at ? b->token[at - 1].id : BPE_NONE;
}

int bpe_merge_all(struct bpe *b, struct err *err)
{
    struct merges_pair *pair = NULL;
    struct filter f;
    size_t n = 0, cap = 0;

    if (b->n > MERGES_MOST)
        return err_set(err, "more than %u merges", MERGES_MOST);
    for (size_t i = 0; i < b->n; i++)
        if (b->token[i].len > BPE_LONGEST)
            return err_set(err, "the token with the id %u has %u bytes, more than %d", b->token[i].id, b->token[i].len, BPE_LONGEST);
    f = make_filter(b);
    for (uint32_t id = 0; id < b->n_ids; id++) {
        const struct bpe_token *t = bpe_token(b, id);
        const char *s = b->bytes + (t ? t->at : 0);
        uint32_t index;

        if (!t || t->len < 2)
            continue;
        index = merges_add(&b->merges, id);
        mem_grow(&pair, &cap, n + t->len, sizeof *pair);
        for (uint32_t cut = 1; cut < t->len; cut++) {
            uint32_t left = find_filtered(b, &f, s, cut);
            uint32_t right = left == BPE_NONE ? left : find_filtered(b, &f, s + cut, t->len - cut);

            if (right != BPE_NONE)
                pair[n++] = (struct merges_pair){ left, right, index };
        }
    }
    merges_pairs(&b->merges, pair, n);
    free(pair);
    free(f.bit);
    return 0;
}

void bpe_finish(struct bpe *b)
{
    merges_finish(&b->merges);
    b->byte_merge = xmalloc(65536 * sizeof *b->byte_merge);
    for (int left = 0; left < 256; left++)
        for (int right = 0; right < 256; right++) {
            bool both = b->byte_id[left] != BPE_NONE && b->byte_id[right] != BPE_NONE;

            b->byte_merge[left << 8 | right] =
                both ? merges_find(&b->merges, b->byte_id[left], b->byte_id[right]) : MERGES_NONE;
        }
}

size_t bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out, uint8_t *missing)
{
    uint32_t whole = b->whole ? find(b, piece, n, false) : BPE_NONE, *id = out, first[MERGES_SHORT];
    const uint8_t *byte = (const uint8_t *)piece;

    if (whole != BPE_NONE) {
        *out = whole;
        return 1;
    }
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
    if (s->id_cap > 1 << 20) /* of one long piece */
        bpe_scratch_release(s);
    return n;
}

void bpe_scratch_release(struct bpe_scratch *s)
{
    free(s->id);
    merges_scratch_release(&s->merges);
    *s = (struct bpe_scratch){ 0 };
}
