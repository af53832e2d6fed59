/* bpe_train.c - byte-level BPE: tokens, bytes into cells; see bpe_train.h and, for the merges, bpe_train_in.h. */
#include "libcommon/vocab/bpe_train.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/vocab/bpe_train_in.h"

#define NONE BPE_TRAIN_NONE

/* Tokens by their spelling. */

static uint32_t *find_slot(const struct bpe_train *t, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << t->slot_bits) - 1, i = hash_bytes(s, n, 0) & mask;

    for (; t->slot[i]; i = (i + 1) & mask) {
        const struct bpe_train_token *k = &t->token[t->slot[i] - 1];

        if (k->n == n && !memcmp(t->bytes + k->at, s, n))
            break;
    }
    return &t->slot[i];
}

uint32_t bpe_train_find(const struct bpe_train *t, const char *s, size_t n)
{
    return t->slot_bits ? *find_slot(t, s, n) - 1 : NONE;
}

static void grow_slots(struct bpe_train *t)
{
    t->slot_bits = t->slot_bits ? t->slot_bits + 1 : 10;
    free(t->slot);
    t->slot = xcalloc((size_t)1 << t->slot_bits, sizeof *t->slot);
    for (uint32_t i = 0; i < t->n_tokens; i++)
        *find_slot(t, t->bytes + t->token[i].at, t->token[i].n) = i + 1;
}

/* A special string may have been there. */
uint32_t bpe_train_token(struct bpe_train *t, const char *s, size_t n, uint32_t length)
{
    uint32_t *slot;

    if (2 * (t->n_tokens + 1) > (size_t)1 << t->slot_bits)
        grow_slots(t);
    slot = find_slot(t, s, n);
    if (*slot) {
        t->token[*slot - 1].length = length;
        return *slot - 1;
    }
    mem_grow(&t->bytes, &t->bytes_cap, t->n_bytes + n, 1);
    memcpy(t->bytes + t->n_bytes, s, n);
    mem_grow(&t->token, &t->token_cap, t->n_tokens + 1, sizeof *t->token);
    t->token[t->n_tokens++] = (struct bpe_train_token){ t->n_bytes, (uint32_t)n, length };
    t->n_bytes += n;
    *slot = (uint32_t)t->n_tokens;
    return *slot - 1;
}

/* The character that stands for a byte: printable ones of Latin-1 themselves, the others from U+0100 on. */
static uint32_t byte_character(int byte)
{
    uint32_t other = 256;

    for (int b = 0;; b++) {
        bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

        if (b == byte)
            return plain ? (uint32_t)b : other;
        other += !plain;
    }
}

static void make_bytes(struct bpe_train *t, uint32_t id[256])
{
    char utf8[4];

    for (uint32_t cp = 0; cp < 512; cp++)
        for (int b = 0; b < 256; b++)
            if (byte_character(b) == cp)
                id[b] = bpe_train_token(t, utf8, (size_t)utf8_encode(cp, utf8), 1);
}

struct cells {
    struct bpe_train_cell *cell;
    uint64_t *count; /* of a word */
    size_t n;
};

static int fill(struct cells *c, const struct bpe_train_words *w, const uint32_t id[256], struct err *err)
{
    struct bpe_train_walk walk = { .at = 0 };
    size_t n = 1;
    uint32_t word = 0;

    while (bpe_train_words_next(w, &walk))
        n += walk.n + 1;
    if (n >= NONE)
        return err_set(err, "the distinct words have %zu bytes, more than can be trained on", n);
    c->cell = xmalloc(n * sizeof *c->cell);
    c->count = xmalloc((w->n_words + w->n_big + 1) * sizeof *c->count);
    c->cell[c->n++].token = NONE;
    for (walk.at = 0; bpe_train_words_next(w, &walk); word++) {
        for (size_t i = 0; i < walk.n; i++)
            c->cell[c->n++] = (struct bpe_train_cell){ id[(uint8_t)walk.s[i]], word };
        c->cell[c->n++].token = NONE;
        c->count[word] = walk.count;
    }
    return 0;
}

struct limit {
    const struct bpe_train *t;
    uint32_t length;
};

/* Two bytes always do. */
static bool short_enough(const void *ctx, uint32_t a, uint32_t b)
{
    const struct limit *l = ctx;
    uint32_t n = l->t->token[a].length + l->t->token[b].length;

    return n == 2 || n < l->length;
}

static int run(struct bpe_train *t, const struct bpe_train_words *w, const struct bpe_train_options *o, struct err *err)
{
    struct limit limit = { t, o->max_length };
    struct bpe_train_rules rules = {
        .size = o->size,
        .least = o->min_frequency ? o->min_frequency : 1,
        .may = o->max_length ? short_enough : NULL,
        .ctx = &limit,
    };
    struct cells c = { .n = 0 };
    uint32_t id[256];

    for (int i = 0; i < o->n_special; i++)
        bpe_train_token(t, o->special[i], strlen(o->special[i]), 0);
    t->n_special = (int)t->n_tokens;
    make_bytes(t, id);
    if (o->size < t->n_tokens)
        return err_set(err, "%u tokens are less than the 256 bytes and %d special strings", (unsigned)o->size, o->n_special);
    if (fill(&c, w, id, err) < 0)
        return -1;
    bpe_train_merge(t, c.cell, c.n, c.count, &rules);
    free(c.cell);
    free(c.count);
    return 0;
}

struct bpe_train *bpe_train(const struct bpe_train_words *w, const struct bpe_train_options *o, struct err *err)
{
    struct bpe_train *t = xcalloc(1, sizeof *t);

    if (run(t, w, o, err) == 0)
        return t;
    bpe_train_free(t);
    return NULL;
}

void bpe_train_free(struct bpe_train *t)
{
    if (!t)
        return;
    free(t->token);
    free(t->bytes);
    free(t->merge);
    free(t->slot);
    free(t);
}
