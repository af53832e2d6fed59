#include "libcommon/text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

#define NO_PAIR UINT64_MAX
#define NO_RANK UINT32_MAX
#define SHORT 255 /* pieces up to so many bytes go without a heap */
#define BLOCK 16

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
    free(b->pair);
    free(b->merged);
    free(b->byte_rank);
    free(b->filter);
    *b = (struct bpe){ 0 };
}

int bpe_add(struct bpe *b, const char *s, size_t n, uint64_t id, struct err *err)
{
    struct bpe_token *t;

    if (id > BPE_MAX_ID)
        return err_set(err, "id %llu is above %u", (unsigned long long)id, BPE_MAX_ID);
    if (n > UINT32_MAX)
        return err_set(err, "a token of %zu bytes", n);
    mem_grow(&b->bytes, &b->bytes_cap, b->bytes_n + n, 1);
    mem_grow(&b->token, &b->cap, b->n + 1, sizeof *b->token);
    t = &b->token[b->n++];
    *t = (struct bpe_token){ .at = b->bytes_n, .id = (uint32_t)id };
    t->len = (uint32_t)bpe_unspell(s, n, b->bytes + b->bytes_n, &t->plain);
    b->bytes_n += t->len;
    return 0;
}

static bool same(const struct bpe *b, const struct bpe_token *t, const char *s, size_t n)
{
    return t->len == n && memcmp(b->bytes + t->at, s, n) == 0;
}

/* The slot of these bytes, or the empty one where they would stand. */
static uint32_t *slot(const struct bpe *b, const struct bpe_table *t, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << t->bits) - 1, i = (size_t)hash_bytes(s, n, 0) & mask;

    while (t->slot[i] && !same(b, &b->token[t->slot[i] - 1], s, n))
        i = (i + 1) & mask;
    return &t->slot[i];
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

static uint64_t pair_key(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 43 | (uint64_t)right << 22;
}

static uint64_t pair_hash(uint64_t key)
{
    return key * 0x9e3779b97f4a7c15;
}

static size_t pair_slot(const struct bpe *b, uint64_t key)
{
    return (size_t)(pair_hash(key) >> (64 - b->pair_bits));
}

static void insert_pair(struct bpe *b, uint64_t key, uint32_t rank)
{
    size_t mask = ((size_t)1 << b->pair_bits) - 1, i = pair_slot(b, key);

    while (b->pair[i] != NO_PAIR && (b->pair[i] ^ key) >> 22)
        i = (i + 1) & mask;
    b->pair[i] = key | rank; /* of two equal merges the later counts */
}

static void grow_pairs(struct bpe *b)
{
    uint64_t *old = b->pair;
    size_t n = old ? (size_t)1 << b->pair_bits : 0;

    b->pair_bits = old ? b->pair_bits + 1 : 10;
    b->pair = xmalloc(((size_t)1 << b->pair_bits) * sizeof *b->pair);
    memset(b->pair, 0xff, ((size_t)1 << b->pair_bits) * sizeof *b->pair);
    for (size_t i = 0; i < n; i++)
        if (old[i] != NO_PAIR)
            insert_pair(b, old[i] >> 22 << 22, (uint32_t)old[i] & BPE_MAX_MERGES);
    free(old);
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
        err_set(err, "merge %zu: '%.*s' is not in the vocabulary", b->n_merges, (int)(len[bad] < 100 ? len[bad] : 100),
                part[bad]);
    free(both);
    if (bad >= 0)
        return -1;
    if (b->n_merges == BPE_MAX_MERGES)
        return err_set(err, "more than %u merges", BPE_MAX_MERGES);
    if (!b->pair || 2 * b->n_merges >= (size_t)1 << b->pair_bits)
        grow_pairs(b);
    insert_pair(b, pair_key(id[0], id[1]), (uint32_t)b->n_merges);
    mem_grow(&b->merged, &b->merged_cap, b->n_merges + 1, sizeof *b->merged);
    b->merged[b->n_merges++] = id[2];
    return 0;
}


/* The rank of a merge, or NO_RANK.  Most pairs have none, which the filter tells without going to the table,
 * for which the processor's caches are too small. */
static inline uint32_t rank(const struct bpe *b, uint32_t left, uint32_t right)
{
    uint64_t key = pair_key(left, right), hash = pair_hash(key), bit = hash >> (64 - b->filter_bits), found;
    size_t mask = ((size_t)1 << b->pair_bits) - 1;

    if (!(b->filter[bit / 64] >> bit % 64 & 1))
        return NO_RANK;
    for (size_t i = (size_t)(hash >> (64 - b->pair_bits)); (found = b->pair[i]) != NO_PAIR; i = (i + 1) & mask)
        if (!((found ^ key) >> 22)) {
            __builtin_prefetch(&b->merged[found & BPE_MAX_MERGES]);
            return (uint32_t)found & BPE_MAX_MERGES;
        }
    return NO_RANK;
}

void bpe_finish(struct bpe *b)
{
    size_t slots;

    if (!b->pair)
        grow_pairs(b);
    for (b->filter_bits = 12; (size_t)1 << b->filter_bits < 8 * b->n_merges; b->filter_bits++)
        ;
    b->filter = xcalloc((size_t)1 << (b->filter_bits - 6), sizeof *b->filter);
    slots = (size_t)1 << b->pair_bits;
    for (size_t i = 0; i < slots; i++)
        if (b->pair[i] != NO_PAIR) {
            uint64_t bit = pair_hash(b->pair[i] >> 22 << 22) >> (64 - b->filter_bits);

            b->filter[bit / 64] |= (uint64_t)1 << bit % 64;
        }
    b->byte_rank = xmalloc(65536 * sizeof *b->byte_rank);
    for (int left = 0; left < 256; left++)
        for (int right = 0; right < 256; right++) {
            bool both = b->byte_id[left] != BPE_NONE && b->byte_id[right] != BPE_NONE;

            b->byte_rank[left << 8 | right] = both ? rank(b, b->byte_id[left], b->byte_id[right]) : NO_RANK;
        }
}

/* A piece of at most SHORT bytes: tokens by place, each with what the merge with the next one is worth, rank and
 * place in one number, and the least of each block of those. */
struct pending {
    uint32_t value[SHORT + 1], least[(SHORT + 1) / BLOCK];
    uint8_t next[SHORT + 1], prev[SHORT + 1];
};

static void set_least(struct pending *p, size_t block)
{
    uint32_t least = NO_RANK;

    for (size_t i = block * BLOCK; i < (block + 1) * BLOCK; i++)
        least = p->value[i] < least ? p->value[i] : least;
    p->least[block] = least;
}

static uint32_t value(const struct bpe *b, const uint32_t *id, size_t at, size_t next)
{
    uint32_t r = rank(b, id[at], id[next]);

    return r == NO_RANK ? r : r << 8 | (uint32_t)at;
}

static size_t merge_short(const struct bpe *b, const char *piece, uint32_t *id, size_t n)
{
    const uint8_t *s = (const uint8_t *)piece;
    size_t blocks = (n + BLOCK - 1) / BLOCK, used = 0;
    struct pending p;

    for (size_t i = 0; i < blocks * BLOCK; i++) {
        uint32_t r = i + 1 < n ? b->byte_rank[s[i] << 8 | s[i + 1]] : NO_RANK;

        p.value[i] = r == NO_RANK ? r : r << 8 | (uint32_t)i;
        p.next[i] = (uint8_t)(i + 1);
        p.prev[i] = (uint8_t)(i - 1);
    }
    for (size_t i = 0; i < blocks; i++)
        set_least(&p, i);
    for (;;) {
        uint32_t best = NO_RANK;
        size_t at, next, prev;

        for (size_t i = 0; i < blocks; i++)
            best = p.least[i] < best ? p.least[i] : best;
        if (best == NO_RANK)
            break;
        at = best & 255;
        next = p.next[at];
        prev = at ? p.prev[at] : at;
        id[at] = b->merged[best >> 8];
        p.value[next] = NO_RANK;
        if (next / BLOCK != at / BLOCK)
            set_least(&p, next / BLOCK);
        next = p.next[at] = p.next[next];
        p.value[at] = next < n ? value(b, id, at, next) : NO_RANK;
        if (next < n)
            p.prev[next] = (uint8_t)at;
        if (at)
            p.value[prev] = value(b, id, prev, at);
        if (prev / BLOCK != at / BLOCK)
            set_least(&p, prev / BLOCK);
        set_least(&p, at / BLOCK);
    }
    for (size_t i = 0; i < n; i = p.next[i])
        id[used++] = id[i];
    return used;
}

static void push(struct bpe_scratch *s, uint32_t r, size_t at)
{
    uint64_t v = (uint64_t)r << 32 | at;
    size_t i;

    if (r == NO_RANK)
        return;
    mem_grow(&s->heap, &s->heap_cap, s->heap_n + 1, sizeof *s->heap);
    for (i = s->heap_n++; i && s->heap[(i - 1) / 4] > v; i = (i - 1) / 4)
        s->heap[i] = s->heap[(i - 1) / 4];
    s->heap[i] = v;
}

static uint64_t pop(struct bpe_scratch *s)
{
    uint64_t top = s->heap[0], v = s->heap[--s->heap_n];
    size_t i = 0;

    for (;;) {
        size_t child = 4 * i + 1, least = child;

        for (size_t k = child + 1; k < child + 4 && k < s->heap_n; k++)
            if (s->heap[k] < s->heap[least])
                least = k;
        if (child >= s->heap_n || s->heap[least] >= v)
            break;
        s->heap[i] = s->heap[least];
        i = least;
    }
    s->heap[i] = v;
    return top;
}

/* Many tokens: a heap of (rank, position); what no longer holds when it comes up is dropped. */
static size_t merge_long(const struct bpe *b, struct bpe_scratch *s, size_t n)
{
    uint32_t *id = s->id, end = (uint32_t)n;
    size_t used = 0;

    mem_grow(&s->next, &s->next_cap, n, sizeof *s->next);
    mem_grow(&s->prev, &s->prev_cap, n, sizeof *s->prev);
    s->heap_n = 0;
    for (uint32_t i = 0; i < end; i++) {
        s->next[i] = i + 1;
        s->prev[i] = i - 1;
        if (i + 1 < end)
            push(s, rank(b, id[i], id[i + 1]), i);
    }
    while (s->heap_n) {
        uint64_t top = pop(s);
        uint32_t at = (uint32_t)top, r = (uint32_t)(top >> 32), next = s->next[at];

        if (id[at] == BPE_NONE || next >= end || rank(b, id[at], id[next]) != r)
            continue;
        id[at] = b->merged[r];
        id[next] = BPE_NONE;
        s->next[at] = next = s->next[next];
        if (next < end) {
            s->prev[next] = at;
            push(s, rank(b, id[at], id[next]), at);
        }
        if (at)
            push(s, rank(b, id[s->prev[at]], id[at]), s->prev[at]);
    }
    for (uint32_t i = 0; i < end; i = s->next[i])
        id[used++] = id[i];
    return used;
}

size_t bpe_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out, uint8_t *missing)
{
    uint32_t whole = b->whole ? find(b, piece, n, false) : BPE_NONE, *id = out;

    if (whole != BPE_NONE) {
        *out = whole;
        return 1;
    }
    if (n > SHORT) {
        mem_grow(&s->id, &s->id_cap, n, sizeof *s->id);
        id = s->id;
    }
    for (size_t i = 0; i < n; i++) {
        *missing = (uint8_t)piece[i];
        id[i] = b->byte_id[*missing];
        if (id[i] == BPE_NONE)
            return 0;
    }
    if (n <= SHORT)
        return merge_short(b, piece, id, n);
    n = merge_long(b, s, n);
    memcpy(out, id, n * sizeof *out);
    if (s->id_cap > 1 << 20) /* of one long piece */
        bpe_scratch_release(s);
    return n;
}

void bpe_scratch_release(struct bpe_scratch *s)
{
    free(s->id);
    free(s->next);
    free(s->prev);
    free(s->heap);
    *s = (struct bpe_scratch){ 0 };
}
