/* BPE training: merges worked out by hand, ties, lengths, special strings; counting, split over tables. */
#include "libcommon/vocab/bpe_train.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "tests/tap.h"

static struct err err;

/* "a+b c+d ...": the merges learnt from a text; then how many tokens there are. */
static const char *merges(const char *pattern, const char *text, const struct bpe_train_options *o)
{
    static char out[1024];
    struct pretok *p = pretok_open(pattern, strlen(pattern), &err);
    struct bpe_train_words *w = bpe_train_words_new(p);
    struct bpe_train *t = NULL;
    size_t n = 0;

    if (bpe_train_words_add(w, text, strlen(text), &err) == 0)
        t = bpe_train(w, o, &err);
    for (size_t i = 0; t && i < t->n_merges; i++)
        for (int k = 0; k < 2; k++) {
            const struct bpe_train_token *x = &t->token[t->merge[i][k]];

            n += (size_t)snprintf(out + n, sizeof out - n, "%.*s%c", (int)x->n, t->bytes + x->at, k ? ' ' : '+');
        }
    snprintf(out + n, sizeof out - n, "%zu", t ? t->n_tokens : 0);
    bpe_train_free(t);
    bpe_train_words_free(w);
    pretok_free(p);
    return t ? out : err.msg;
}

static bool gives(const char *text, struct bpe_train_options o, const char *want)
{
    const char *got = merges("gpt2", text, &o);

    if (strcmp(got, want))
        printf("# %s\n", got);
    return !strcmp(got, want);
}

/* U+0120 is the space's character, U+010A the newline's. */
static void test_merges(void)
{
    static const char *const ow[] = { "ow", "x" }, *const l[] = { "l" };

    OK(gives("low low lower\n", (struct bpe_train_options){ .size = 300 },
             "l+o lo+w \xc4\xa0+low e+r \xc4\xa0low+er 261"));
    OK(gives("low low lower\n", (struct bpe_train_options){ .size = 258 }, "l+o lo+w 258"));
    OK(gives("low low lower\n", (struct bpe_train_options){ .size = 300, .min_frequency = 2 },
             "l+o lo+w \xc4\xa0+low 259"));
    OK(gives("low low lower\n", (struct bpe_train_options){ .size = 300, .max_length = 4 }, "l+o lo+w e+r 259"));
    OK(gives("low low lower\n", (struct bpe_train_options){ .size = 300, .max_length = 1 }, "l+o e+r 258"));
    OK(gives("", (struct bpe_train_options){ .size = 256 }, "256"));
    OK(gives("", (struct bpe_train_options){ .size = 255 }, "255 tokens are less than the 256 bytes and 0 special strings"));
    /* overlapping pairs are counted, merges go from left to right: aaa|aa -> Aa|A -> then A a */
    OK(gives("aaa\naa\n", (struct bpe_train_options){ .size = 300 }, "a+a aa+a 258"));
    OK(gives("aaaaa\n", (struct bpe_train_options){ .size = 300 }, "a+a aa+a aa+aaa 259"));
    /* a result that is a special string takes its id; a byte that is one is no second token */
    OK(gives("ow ow\n", (struct bpe_train_options){ .size = 300, .special = ow, .n_special = 2 }, "o+w \xc4\xa0+ow 258"));
    OK(gives("lo\n", (struct bpe_train_options){ .size = 300, .special = l, .n_special = 1 }, "l+o 257"));
    /* a line ends with its newline: white space before a newline looks no further */
    OK(gives("a  \n  b", (struct bpe_train_options){ .size = 300 }, "\xc4\xa0+b \xc4\xa0+\xc4\x8a \xc4\xa0+\xc4\xa0\xc4\x8a 259"));
    /* bytes of characters: e with acute is c3 a9, of which a9 stands for itself and c3 too */
    OK(gives("\xc3\xa9", (struct bpe_train_options){ .size = 300 }, "\xc3\x83+\xc2\xa9 257"));
}

static void test_long_words(void)
{
    size_t n = 100000;
    char *text = xmalloc(n + 1);

    for (size_t i = 0; i < n; i++)
        text[i] = "ab"[i & 1];
    text[n] = 0;
    /* powers of two: (ab)^2^k, until a pair comes once */
    OK(gives(text, (struct bpe_train_options){ .size = 258 }, "a+b ab+ab 258"));
    memset(text, 'a', n);
    OK(gives(text, (struct bpe_train_options){ .size = 259, .max_length = 5 }, "a+a aa+aa 258"));
    free(text);
}

/* One table, and the same words over three, give the same. */
static void test_tables(void)
{
    static const char text[] = "one two three, two threes\nsupercalifragilistic expialidocious two three\n";
    struct pretok *p = pretok_open("gpt2", 4, &err);
    struct bpe_train_words *w[4];
    struct bpe_train_options o = { .size = 290 };
    struct bpe_train *a, *b;

    for (int i = 0; i < 4; i++)
        w[i] = bpe_train_words_new(p);
    for (int i = 0; i < 30000; i++) {
        char line[sizeof text + 16];
        int n = snprintf(line, sizeof line, "%s%d\n", text, i % 7000);

        bpe_train_words_add(w[0], line, (size_t)n, &err);
        bpe_train_words_add(w[1 + i % 3], line, (size_t)n, &err);
    }
    bpe_train_words_merge(w[1], w[2]);
    bpe_train_words_merge(w[1], w[3]);
    a = bpe_train(w[0], &o, &err);
    b = bpe_train(w[1], &o, &err);
    OK(a && b && a->n_merges == 34 && b->n_merges == 34 && !memcmp(a->merge, b->merge, 34 * sizeof *a->merge));
    OK(a && b && a->n_bytes == b->n_bytes && !memcmp(a->bytes, b->bytes, a->n_bytes));
    bpe_train_free(a);
    bpe_train_free(b);
    for (int i = 0; i < 4; i++)
        bpe_train_words_free(w[i]);
    pretok_free(p);
}

int main(void)
{
    test_merges();
    test_long_words();
    test_tables();
    return tap_done();
}
