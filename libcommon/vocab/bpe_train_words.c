/* bpe_train_words.c - distinct words and how often each comes; see bpe_train.h. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/vocab/bpe_train_in.h"

#define FIRST_BITS 12

struct bpe_train_words *bpe_train_words_new(const struct pretok *p)
{
    struct bpe_train_words *w = xcalloc(1, sizeof *w);

    w->pretok = p;
    w->word_bits = w->big_bits = FIRST_BITS;
    w->word = xcalloc((size_t)1 << FIRST_BITS, sizeof *w->word);
    w->big = xcalloc((size_t)1 << FIRST_BITS, sizeof *w->big);
    return w;
}

void bpe_train_words_free(struct bpe_train_words *w)
{
    if (!w)
        return;
    free(w->word);
    free(w->big);
    free(w->bytes);
    free(w);
}

static size_t first_slot(const struct bpe_train_words *w, uint64_t low, uint64_t high)
{
    return (low * 0x9e3779b97f4a7c15 ^ high * 0xc2b2ae3d27d4eb4f) >> (64 - w->word_bits);
}

/* Where the key is, or would be. */
static struct bpe_train_word *find_word(const struct bpe_train_words *w, uint64_t low, uint64_t high)
{
    size_t mask = ((size_t)1 << w->word_bits) - 1, i = first_slot(w, low, high);

    while (w->word[i].count && (w->word[i].key[0] != low || w->word[i].key[1] != high))
        i = (i + 1) & mask;
    return &w->word[i];
}

static void grow_words(struct bpe_train_words *w)
{
    struct bpe_train_word *old = w->word;
    size_t n = (size_t)1 << w->word_bits++;

    w->word = xcalloc(2 * n, sizeof *w->word);
    for (size_t i = 0; i < n; i++)
        if (old[i].count)
            *find_word(w, old[i].key[0], old[i].key[1]) = old[i];
    free(old);
}

static void add_word(struct bpe_train_words *w, uint64_t low, uint64_t high, uint64_t count)
{
    struct bpe_train_word *e = find_word(w, low, high);

    if (!e->count) {
        if (2 * ++w->n_words > (size_t)1 << w->word_bits) {
            grow_words(w);
            e = find_word(w, low, high);
        }
        e->key[0] = low;
        e->key[1] = high;
    }
    e->count += count;
}

static struct bpe_train_long *find_long(const struct bpe_train_words *w, const char *s, size_t n, uint64_t hash)
{
    size_t mask = ((size_t)1 << w->big_bits) - 1, i = hash & mask;

    for (; w->big[i].count; i = (i + 1) & mask)
        if (w->big[i].hash == hash && w->big[i].n == n && !memcmp(w->bytes + w->big[i].at, s, n))
            break;
    return &w->big[i];
}

static void grow_longs(struct bpe_train_words *w)
{
    struct bpe_train_long *old = w->big;
    size_t n = (size_t)1 << w->big_bits++;

    w->big = xcalloc(2 * n, sizeof *w->big);
    for (size_t i = 0; i < n; i++)
        if (old[i].count)
            *find_long(w, w->bytes + old[i].at, old[i].n, old[i].hash) = old[i];
    free(old);
}

static void add_long(struct bpe_train_words *w, const char *s, size_t n, uint64_t count)
{
    uint64_t hash = hash_bytes(s, n, 0);
    struct bpe_train_long *e = find_long(w, s, n, hash);

    if (!e->count) {
        if (2 * ++w->n_big > (size_t)1 << w->big_bits) {
            grow_longs(w);
            e = find_long(w, s, n, hash);
        }
        mem_grow(&w->bytes, &w->bytes_cap, w->n_bytes + n, 1);
        memcpy(w->bytes + w->n_bytes, s, n);
        *e = (struct bpe_train_long){ .hash = hash, .at = w->n_bytes, .n = n };
        w->n_bytes += n;
    }
    e->count += count;
}

/* The key of a word of at most BPE_TRAIN_SHORT bytes at s, of which `room` bytes may be read. */
static void make_key(uint64_t key[2], const char *s, size_t n, size_t room)
{
    if (room >= 16) {
        memcpy(key, s, 16);
        key[0] &= n < 8 ? ~(uint64_t)0 >> (64 - 8 * n) : ~(uint64_t)0;
        key[1] &= n > 8 ? ~(uint64_t)0 >> (64 - 8 * (n - 8)) : 0;
    } else {
        key[0] = key[1] = 0;
        memcpy(key, s, n);
    }
    key[1] |= (uint64_t)n << 56;
}

/* Places in the table are asked for before the first is needed. */
void bpe_train_words_count(struct bpe_train_words *w, const char *s, size_t at, const size_t *end, size_t n,
                           size_t room, size_t least)
{
    uint64_t key[BPE_TRAIN_BATCH][2];
    size_t k = 0;

    for (size_t i = 0; i < n; at = end[i++]) {
        size_t len = end[i] - at;

        if (len < least)
            continue;
        if (len > BPE_TRAIN_SHORT) {
            add_long(w, s + at, len, 1);
            continue;
        }
        make_key(key[k], s + at, len, room - at);
        __builtin_prefetch(&w->word[first_slot(w, key[k][0], key[k][1])]);
        k++;
    }
    for (size_t i = 0; i < k; i++)
        add_word(w, key[i][0], key[i][1], 1);
}

int bpe_train_words_add(struct bpe_train_words *w, const char *text, size_t n, struct err *err)
{
    size_t end[BPE_TRAIN_BATCH];

    for (size_t at = 0; at < n;) {
        const char *line = text + at, *newline = memchr(line, '\n', n - at);
        size_t len = newline ? (size_t)(newline - line) + 1 : n - at;

        for (size_t p = 0; p < len;) {
            size_t k = pretok_ends(w->pretok, line, len, p, end, BPE_TRAIN_BATCH, err);

            if (k == PRETOK_ERROR)
                return -1;
            bpe_train_words_count(w, line, p, end, k, n - at, 2); /* one byte has no pair */
            p = end[k - 1];
        }
        at += len;
    }
    return 0;
}

void bpe_train_words_merge(struct bpe_train_words *w, const struct bpe_train_words *from)
{
    for (size_t i = 0; i < (size_t)1 << from->word_bits; i++)
        if (from->word[i].count)
            add_word(w, from->word[i].key[0], from->word[i].key[1], from->word[i].count);
    for (size_t i = 0; i < (size_t)1 << from->big_bits; i++)
        if (from->big[i].count)
            add_long(w, from->bytes + from->big[i].at, from->big[i].n, from->big[i].count);
}

bool bpe_train_words_next(const struct bpe_train_words *w, struct bpe_train_walk *walk)
{
    size_t n = (size_t)1 << w->word_bits, m = (size_t)1 << w->big_bits;

    while (walk->at < n && !w->word[walk->at].count)
        walk->at++;
    if (walk->at < n) {
        const struct bpe_train_word *e = &w->word[walk->at++];

        walk->s = (const char *)e->key;
        walk->n = e->key[1] >> 56;
        walk->count = e->count;
        return true;
    }
    while (walk->at < n + m && !w->big[walk->at - n].count)
        walk->at++;
    if (walk->at < n + m) {
        const struct bpe_train_long *e = &w->big[walk->at++ - n];

        walk->s = w->bytes + e->at;
        walk->n = e->n;
        walk->count = e->count;
        return true;
    }
    return false;
}
