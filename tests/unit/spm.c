/* spm: sentencepiece's own ids and texts for models of every kind; tries, borders, merges and paths by themselves.
 *
 * `unit/spm TOKENIZER` instead reads texts (u32 length, bytes) and writes their ids (u32 number, ids), as
 * tests/golden/diff_spm.py wants it. */
#include <string.h>
#include <time.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "libcommon/data/source.h"
#include "libcommon/format/json.h"
#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "libcommon/text/trie.h"
#include "libcommon/tokenizer/unigram.h"
#include "tests/tap.h"

/* A number below n, the next of a row. */
static uint64_t below(uint64_t n)
{
    static uint64_t at;

    return rng_u64(1, 2, at++) % n;
}

static int serve(const char *path)
{
    struct err err;
    struct tokenizer *t = tokenizer_open(path, &err);
    struct tokenizer_encoder *e;
    struct tokenizer_ids ids = { 0 };
    size_t cap = 0;
    char *text = NULL;
    uint32_t n;
    /* To sentencepiece "<s>" is text, to HF's tokenizers a token. */
    enum tokenizer_special special = strstr(path, ".model") ? TOKENIZER_SPECIAL_NONE : TOKENIZER_SPECIAL_PARSE;

    if (!t)
        die("%s", err.msg);
    e = tokenizer_encoder_new(t);
    while (fread(&n, sizeof n, 1, stdin) == 1) {
        mem_grow(&text, &cap, (size_t)n + 1, 1);
        ids.n = 0;
        if (fread(text, 1, n, stdin) != n || tokenizer_encode(e, text, n, special, &ids, &err) < 0)
            die("%s", err.msg);
        n = (uint32_t)ids.n;
        fwrite(&n, sizeof n, 1, stdout);
        fwrite(ids.v, sizeof *ids.v, ids.n, stdout);
    }
    free(text);
    free(ids.v);
    tokenizer_encoder_free(e);
    tokenizer_free(t);
    return 0;
}

static size_t unhex(const struct json_value *v, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < v->len / 2; i++)
        out[i] = (char)((strchr(digits, v->str[2 * i]) - digits) << 4 | (strchr(digits, v->str[2 * i + 1]) - digits));
    return v->len / 2;
}

struct model {
    struct spm *m;
    struct tokenizer *t;
    struct tokenizer_encoder *e;
    int ids_differ, texts_differ, ran;
};

/* One line of a .jsonl: the ids of the text, alone and again from the cache, and the text of the ids. */
static void check_line(struct model *m, const struct json_value *line)
{
    const struct json_value *hex = json_get(line, "hex"), *back = json_get(line, "back"), *v;
    struct tokenizer_ids ids = { 0 };
    uint32_t want[512];
    char text[1024], *decoded = NULL;
    size_t n = 0, len, cap = 0;
    struct err err;

    for (v = json_get(line, "ids")->child; v && n < 512; v = v->next)
        want[n++] = (uint32_t)v->num;
    for (int again = 0; hex && again < 2; again++) {
        ids.n = 0;
        if (tokenizer_encode(m->e, text, unhex(hex, text), TOKENIZER_SPECIAL_NONE, &ids, &err) < 0 || ids.n != n ||
            (n && memcmp(ids.v, want, n * sizeof *want) != 0))
            m->ids_differ++;
    }
    len = spm_decode(m->m, want, n, &decoded, &cap);
    m->texts_differ += len != back->len || (len && memcmp(decoded, back->str, len) != 0);
    m->ran++;
    free(ids.v);
    free(decoded);
}

static void test_model(const char *name)
{
    char path[512];
    struct io_map model = { 0 }, lines = { 0 };
    struct model m = { 0 };
    struct arena a;
    struct err err = { "" };

    snprintf(path, sizeof path, "%s/tests/golden/spm/%s.model", getenv("SRC"), name);
    OK(io_map(&model, path, &err) == 0);
    m.m = spm_parse(model.data, model.size, &err);
    m.t = tokenizer_open(path, &err);
    snprintf(path, sizeof path, "%s/tests/golden/spm/%s.jsonl", getenv("SRC"), name);
    OK(io_map(&lines, path, &err) == 0);
    if (!OK(m.m && m.t)) {
        printf("# %s: %s\n", name, err.msg);
        return;
    }
    m.e = tokenizer_encoder_new(m.t);
    arena_init(&a);
    for (const char *s = (const char *)lines.data, *end = s + lines.size, *next; s < end; s = next + 1) {
        next = memchr(s, '\n', (size_t)(end - s));
        check_line(&m, json_tree(&a, s, (size_t)(next - s), "line", &err));
        arena_reset(&a);
    }
    OKF(m.ran == 120 && !m.ids_differ, "%s: %d of %d ids differ", name, m.ids_differ, m.ran);
    OKF(!m.texts_differ, "%s: %d of %d texts differ", name, m.texts_differ, m.ran);
    arena_release(&a);
    tokenizer_encoder_free(m.e);
    tokenizer_free(m.t);
    spm_free(m.m);
    io_unmap(&model);
    io_unmap(&lines);
}

/* A prefix of a model is no model, or one that encodes. */
static void test_cut(void)
{
    char path[512];
    struct io_map map = { 0 };
    struct err err;
    size_t refused = 0;

    snprintf(path, sizeof path, "%s/tests/golden/spm/char.model", getenv("SRC"));
    OK(io_map(&map, path, &err) == 0);
    for (size_t n = 0; n < map.size; n++) {
        struct spm *m = spm_parse(map.data, n, &err);

        refused += !m;
        spm_free(m);
    }
    OK(refused > map.size / 2);
    OK(spm_sniff(map.data, map.size) && !spm_sniff("{\"a\":1}", 7) && !spm_sniff("", 0));
    io_unmap(&map);
}

static void test_refused(void)
{
    static const struct {
        const char *what, *bytes;
        size_t n;
    } rows[] = {
        { "no pieces", "", 0 },
        { "not protobuf", "\xff\xff", 2 },
        { "piece 0 is empty", "\x0a\x02\x18\x02", 4 },
        { "there is no unknown piece", "\x0a\x03\x0a\x01" "a", 5 },
        { "invalid UTF-8", "\x0a\x03\x0a\x01\xff", 5 },
        { "the score is not finite", "\x0a\x08\x0a\x01" "a\x15\x00\x00\xc0\x7f", 10 },
        { "is of type 9", "\x0a\x05\x0a\x01" "a\x18\x09", 7 },
        { "both the unknown one", "\x0a\x05\x0a\x01" "a\x18\x02\x0a\x05\x0a\x01" "b\x18\x02", 14 },
        { "have one string", "\x0a\x05\x0a\x01" "a\x18\x02\x0a\x03\x0a\x01" "b\x0a\x03\x0a\x01" "b", 17 },
        { "is there twice", "\x0a\x05\x0a\x01" "a\x18\x02\x0a\x03\x0a\x01" "a", 12 },
        { "no byte fallback", "\x0a\x05\x0a\x01" "a\x18\x06", 7 },
        { "no piece for the byte", "\x0a\x05\x0a\x01" "a\x18\x02\x12\x03\x98\x02\x01", 12 },
        { "model type 7", "\x0a\x05\x0a\x01" "a\x18\x02\x12\x02\x18\x07", 11 },
        { "a charsmap of 3 bytes", "\x0a\x05\x0a\x01" "a\x18\x02\x1a\x05\x12\x03" "abc", 14 },
        { "has a trie of", "\x0a\x05\x0a\x01" "a\x18\x02\x1a\x06\x12\x04\x09\x00\x00\x00", 15 },
        { "control piece of one character", "\x0a\x05\x0a\x01" "a\x18\x03", 7 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = { "" };
        struct spm *m = spm_parse(rows[i].bytes, rows[i].n, &err);

        OKF(!m && strstr(err.msg, rows[i].what), "%s: '%s'", rows[i].what, err.msg);
        spm_free(m);
    }
}

static char *put_piece(char *at, const char *piece, float score, char type)
{
    size_t n = strlen(piece);

    *at++ = 0x0a;
    *at++ = (char)(n + 9);
    *at++ = 0x0a;
    *at++ = (char)n;
    at = (char *)memcpy(at, piece, n) + n;
    *at++ = 0x15;
    at = (char *)memcpy(at, &score, 4) + 4;
    *at++ = 0x18;
    *at++ = type;
    return at;
}

/* Behind a large sum "x|yz" is rounded to what "xy|z" is, and comes first; that is not to be remembered where the sum is
 * small.  sentencepiece 0.2.1 has the same ids. */
static void test_rounding(void)
{
    static const uint32_t far[] = { 2, 5 }, near[] = { 3, 4 };
    char model[256], *end = model, text[104];
    struct tokenizer_ids ids = { 0 };
    struct tokenizer_encoder *e;
    struct tokenizer *t;
    struct err err = { "" };

    end = put_piece(end, "<unk>", 0, 2);
    end = put_piece(end, "p", -1000, 1);
    end = put_piece(end, "x", -1.001F, 1);
    end = put_piece(end, "xy", -1, 1);
    end = put_piece(end, "z", -2, 1);
    end = put_piece(end, "yz", -2, 1);
    end = (char *)memcpy(end, "\x1a\x02\x18", 4) + 4; /* no space in front */
    t = tokenizer_parse(model, (size_t)(end - model), NULL, 0, "model", &err);
    if (!OK(t))
        return;
    e = tokenizer_encoder_new(t);
    memset(text, 'p', 100);
    memcpy(text + 100, "xyz", 4);
    for (int again = 0; again < 2; again++) {
        ids.n = 0;
        tokenizer_encode(e, text, 103, TOKENIZER_SPECIAL_NONE, &ids, &err);
        OK(ids.n == 102 && memcmp(ids.v + 100, far, sizeof far) == 0);
        ids.n = 0;
        tokenizer_encode(e, text + 100, 3, TOKENIZER_SPECIAL_NONE, &ids, &err);
        OK(ids.n == 2 && memcmp(ids.v, near, sizeof near) == 0);
    }
    free(ids.v);
    tokenizer_encoder_free(e);
    tokenizer_free(t);
}

/* Strings of a small alphabet, found by a trie and by comparing. */
static void test_trie(void)
{
    enum { STRINGS = 600, LONGEST = 9 };
    static char bytes[STRINGS][LONGEST];
    static struct trie_key keys[STRINGS];
    struct trie t;
    int wrong = 0;

    for (uint32_t i = 0; i < STRINGS; i++) {
        keys[i] = (struct trie_key){ bytes[i], below(LONGEST), i };
        for (size_t k = 0; k < keys[i].n; k++)
            bytes[i][k] = (char)(i % 3 ? below(3) : below(256));
    }
    trie_build(&t, keys, STRINGS);
    for (int i = 0; i < 20000; i++) {
        char text[12];
        size_t n = below(12), longest = 0, found;
        uint32_t value = 0, least = UINT32_MAX;

        for (size_t k = 0; k < n; k++)
            text[k] = (char)(i % 3 ? below(3) : below(256));
        for (int k = 0; k < STRINGS; k++)
            if (keys[k].n && keys[k].n <= n && memcmp(keys[k].s, text, keys[k].n) == 0 && keys[k].n >= longest) {
                least = keys[k].n > longest || keys[k].value < least ? keys[k].value : least;
                longest = keys[k].n;
            }
        found = trie_longest(&t, text, n, &value);
        wrong += found != longest || (found && value != least);
    }
    OKF(!wrong, "%d", wrong);
    trie_release(&t);
}

static void test_lexicon(void)
{
    struct lexicon l = { 0 };
    struct err err;
    size_t n;

    OK(lexicon_add(&l, "a", 1, 3, 9, &err) == 0 && lexicon_add(&l, "", 0, 5, 9, &err) == 0);
    OK(lexicon_add(&l, "b", 1, 10, 9, &err) < 0 && strstr(err.msg, "above 9"));
    OK(lexicon_index(&l, &err) == 0);
    OK(lexicon_find(&l, "a", 1) == 3 && lexicon_find(&l, "x", 0) == 5 && lexicon_find(&l, "b", 1) == LEXICON_NONE);
    OK(lexicon_string(&l, 3, &n) && n == 1 && !lexicon_string(&l, 4, &n) && !lexicon_string(&l, 6, &n));
    lexicon_release(&l);
    lexicon_add(&l, "a", 1, 3, 9, &err);
    lexicon_add(&l, "b", 1, 3, 9, &err);
    OK(lexicon_index(&l, &err) < 0 && strstr(err.msg, "the id 3"));
    lexicon_release(&l);
}

/* Of a text in blocks, with characters of every length: border_ends() is border_between() everywhere. */
static void test_border(void)
{
    static const char *const pieces[] = { "ab", "b c", " a", "\xe2\x96\x81x", "\xc3\xa9\xe6\x97\xa5", "\xf0\x9f\x98\x80\x61", "cc" };
    static const char *const parts[] = { "a", "b", " ", "c", "x", "\xe2\x96\x81", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x98\x80" };
    static const uint32_t points[] = { 'a', 'b', ' ', 'c', 'x', 0x2581, 0xe9, 0x65e5, 0x1f600 };
    static struct border b;
    static char text[4096];
    static size_t want[1024], end[1024 + BORDER_BLOCK + 1];

    b.fold = true;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        border_add(&b, pieces[i], strlen(pieces[i]));
    OK(!border_between(&b, 'a', 'b') && border_between(&b, 'b', 'a') && !border_between(&b, 'b', 0x2581));
    OK(!border_between(&b, ' ', 'x') && !border_between(&b, 0xe9, 0x65e5) && border_between(&b, 0x65e5, 0xe9));
    for (int ascii = 0; ascii < 2; ascii++) {
        size_t n = 0, k = 0, got = 0;
        uint32_t left = 0;

        for (int i = 0; i < 1000; i++) {
            size_t p = below(ascii ? 5 : 9);

            if (i && border_between(&b, left, points[p]))
                want[k++] = n;
            memcpy(text + n, parts[p], strlen(parts[p]));
            n += strlen(parts[p]);
            left = points[p];
        }
        want[k++] = n;
        for (size_t at = 0; at < n; at = end[got - 1])
            got += border_ends(&b, text, n, at, end + got, BORDER_BLOCK + 1 + below(100));
        OK(got == k && memcmp(end, want, k * sizeof *end) == 0);
    }
}

/* Merges by definition: the least rank, the leftmost, one at a time. */
static size_t merge_slowly(const struct merges *m, uint32_t *id, size_t n)
{
    for (;;) {
        size_t best = n;
        uint32_t least = UINT32_MAX, made = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            uint32_t k = merges_find(m, id[i], id[i + 1]), rank = k == MERGES_NONE ? k : m->rank ? m->rank[k] : k;

            if (rank < least) {
                least = rank;
                best = i;
                made = m->made[k];
            }
        }
        if (best == n)
            return n;
        id[best] = made;
        memmove(id + best + 1, id + best + 2, (n - best - 2) * sizeof *id);
        n--;
    }
}

static void test_merges(void)
{
    struct merges_scratch s = { 0 };
    int wrong = 0;

    for (int i = 0; i < 60; i++) {
        struct merges m = { 0 };
        uint32_t list[2][900];

        for (uint32_t k = 0; k < 40; k++)
            for (uint32_t pairs = 1 + i % 2; pairs; pairs--)
                merges_pair(&m, (uint32_t)below(k + 4), (uint32_t)below(k + 4),
                            pairs > 1 || i % 2 == 0 ? merges_add(&m, k + 4) : (uint32_t)m.n - 1);
        if (i % 3 == 0) {
            m.rank = xmalloc(m.n * sizeof *m.rank);
            for (size_t k = 0; k < m.n; k++)
                m.rank[k] = (uint32_t)k / 5;
        }
        merges_finish(&m);
        for (size_t n = 0; n < 900; n = n * 3 / 2 + 1) {
            size_t a, b;

            for (size_t k = 0; k < n; k++)
                list[0][k] = list[1][k] = (uint32_t)below(4);
            a = merges_run(&m, &s, list[0], n, NULL);
            b = merge_slowly(&m, list[1], n);
            wrong += a != b || memcmp(list[0], list[1], a * sizeof **list) != 0;
        }
        merges_release(&m);
    }
    OKF(!wrong, "%d", wrong);
    merges_scratch_release(&s);
}

/* A path that is said to hold for every sum nearer to 0 than a limit is what is found with such a sum. */
static void test_unigram(void)
{
    static const char *const pieces[] = { "a", "b", "aa", "ab", "ba", "aab", "bb", "abab" };
    enum { N = sizeof pieces / sizeof *pieces };
    struct unigram_scratch s = { 0 }, t = { 0 };
    int wrong = 0, held = 0, refused = 0;

    for (int i = 0; i < 3000; i++) {
        struct trie_key keys[N];
        double *score = xmalloc(N * sizeof *score);
        struct unigram u = { .unk = 0, .unk_score = -20, .single = true };
        char text[24];
        float limit;
        size_t k, n = 1 + below(23);

        for (uint32_t p = 0; p < N; p++) {
            keys[p] = (struct trie_key){ pieces[p], strlen(pieces[p]), p };
            score[p] = (double)(float)(-1 - (double)below(i % 2 ? 9 : 1000000) / (i % 2 ? 1 : 1e5));
        }
        unigram_build(&u, keys, N, score, N);
        for (size_t c = 0; c < n; c++)
            text[c] = "abx"[below(8) ? below(2) : 2];
        k = unigram_run_free(&u, &s, text, n, &limit);
        for (double before = -1; before > -1e9; before *= 3) {
            size_t j = unigram_run(&u, &t, text, n, (double)(float)before);
            bool same = j == k;

            for (size_t c = 0; same && c < k; c++)
                same = s.step[c].id == t.step[c].id && s.step[c].end == t.step[c].end;
            if (-before < (double)limit) {
                held++;
                wrong += !same;
            } else {
                refused++;
            }
        }
        unigram_release(&u);
    }
    OKF(!wrong && held > 10000 && refused > 1000, "%d wrong, %d held, %d refused", wrong, held, refused);
    unigram_scratch_release(&s);
    unigram_scratch_release(&t);
}

/* One word of n bytes; seconds. */
static double time_word(const char *path, size_t n)
{
    struct err err;
    struct tokenizer *t = tokenizer_open(path, &err);
    struct tokenizer_encoder *e = t ? tokenizer_encoder_new(t) : NULL;
    struct tokenizer_ids ids = { 0 };
    char *text = xmalloc(n);
    struct timespec from, to;

    for (size_t i = 0; i < n; i++)
        text[i] = "abtheo"[i * i % 29 % 6];
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    OK(e && tokenizer_encode(e, text, n, TOKENIZER_SPECIAL_NONE, &ids, &err) == 0 && ids.n > n / 20);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    free(text);
    free(ids.v);
    tokenizer_encoder_free(e);
    tokenizer_free(t);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

static void test_long_word(const char *name)
{
    char path[512];
    double small, large;

    snprintf(path, sizeof path, "%s/tests/golden/spm/%s.model", getenv("SRC"), name);
    small = time_word(path, 20000);
    large = time_word(path, 1000000);
    OKF(large < 50 * 8 * (small + 1e-4), "%s: %g and %g s", name, small, large); /* quadratic: 2500 times */
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "bpe", "bpe_ties", "bpe_unk", "unigram", "unigram_bytes", "suffix", "unescaped", "word", "char" };

    if (argc > 1)
        return serve(argv[1]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        test_model(names[i]);
    test_cut();
    test_refused();
    test_rounding();
    test_trie();
    test_lexicon();
    test_border();
    test_merges();
    test_unigram();
    test_long_word("bpe");
    test_long_word("bpe_ties");
    test_long_word("unigram");
    return tap_done();
}
