/* bpe_train_words.c - distinct words and how often each comes; see bpe_train.h. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/text/bpe_train_in.h"

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

/* Where the key is, or would be. */
static struct bpe_train_word *find_word(const struct bpe_train_words *w, uint64_t low, uint64_t high)
{
    size_t mask = ((size_t)1 << w->word_bits) - 1;
    size_t i = (low * 0x9e3779b97f4a7c15 ^ high * 0xc2b2ae3d27d4eb4f) >> (64 - w->word_bits);

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

/* A word at s, of which `room` bytes may be read.  One byte has no pair. */
static void count_word(struct bpe_train_words *w, const char *s, size_t n, size_t room)
{
    unsigned char key[16] = { 0 };
    uint64_t v[2];

    if (n < 2)
        return;
    if (n > BPE_TRAIN_SHORT) {
        add_long(w, s, n, 1);
        return;
    }
    if (room >= 16) {
        memcpy(v, s, 16);
        v[1] &= n > 8 ? ~(uint64_t)0 >> (64 - 8 * (n - 8)) : 0;
        v[0] &= n < 8 ? ~(uint64_t)0 >> (64 - 8 * n) : ~(uint64_t)0;
    } else {
        memcpy(key, s, n);
        memcpy(v, key, 16);
    }
    add_word(w, v[0], v[1] | (uint64_t)n << 56, 1);
}

int bpe_train_words_add(struct bpe_train_words *w, const char *text, size_t n, struct err *err)
{
    for (size_t at = 0; at < n;) {
        const char *line = text + at, *newline = memchr(line, '\n', n - at);
        size_t len = newline ? (size_t)(newline - line) + 1 : n - at;

        for (size_t p = 0; p < len;) {
            size_t end = pretok_next(w->pretok, line, len, p, err);

            if (end == (size_t)-1)
                return -1;
            count_word(w, line + p, end - p, n - at - p);
            p = end;
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
