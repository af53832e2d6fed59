/* SentencePiece's trainers: small texts, option by option, against the reference's pieces; the reference's models of
 * ../shared, piece by piece; the rules of normalisation against its blob; the likelihood of a text. */
#include "libcommon/vocab/sp_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/charsmap.h"
#include "libcommon/text/charsmap_build.h"
#include "libcommon/text/script.h"
#include "libcommon/text/trie.h"
#include "tests/tap.h"

static struct err err;

struct learnt {
    const char *name, *text, *pieces; /* apart at spaces, those of bytes left out */
    const char *control[4], *user[4];
    int n_control, n_user;
    struct sp_train_options o;
};
#include "tests/unit/sp_train_cases.h"

static const struct sp_piece *learn(struct sp_train *t, const char *text, size_t size, int threads, size_t *n)
{
    struct par *par = par_new(threads);
    const struct sp_piece *p;
    const char *line = text, *end = text + size;

    for (int k = 0; line < end; k = (k + 1) % threads) {
        const char *next = memchr(line, '\n', (size_t)(end - line));

        next = next ? next + 1 : end;
        sp_train_add(t, line, (size_t)(next - line), k);
        line = next;
    }
    p = sp_train(t, par, n, &err);
    par_free(par);
    return p;
}

/* In any order: equal scores differ in the last bits of a float there. */
static bool same_pieces(const struct sp_piece *p, size_t n, const char *want)
{
    size_t words = 1, same = 0;

    for (const char *s = want; (s = strchr(s, ' ')); s++)
        words++;
    for (size_t i = 0; i < n; i++)
        for (const char *s = want; s; s = strchr(s, ' ') ? strchr(s, ' ') + 1 : NULL)
            same += strcspn(s, " ") == p[i].n && !memcmp(s, p[i].s, p[i].n);
    return words == n && same == n;
}

static void test_case(const struct learnt *c, int threads)
{
    struct sp_train_options o = c->o, d = sp_train_defaults();
    char got[4096];
    size_t n, at = 0;
    struct sp_train *t;
    const struct sp_piece *p;

    memcpy(o.piece, d.piece, sizeof o.piece);
    o.control_symbols = c->control;
    o.n_control = c->n_control;
    o.user_defined_symbols = c->user;
    o.n_user_defined = c->n_user;
    o.seed_sentencepiece_size = d.seed_sentencepiece_size;
    o.num_sub_iterations = d.num_sub_iterations;
    o.shrinking_factor = d.shrinking_factor;
    t = sp_train_new(&o, threads, &err);
    p = t ? learn(t, c->text, strlen(c->text), threads, &n) : NULL;
    got[0] = 0;
    for (size_t i = 0; p && i < n; i++)
        if (p[i].type != SP_BYTE)
            at += (size_t)snprintf(got + at, sizeof got - at, "%s%.*s", at ? " " : "", (int)p[i].n, p[i].s);
    OKF(p && (o.unigram ? same_pieces(p, n, c->pieces) : !strcmp(got, c->pieces)), "%s, %d threads: %s", c->name, threads, p ? got : err.msg);
    sp_train_free(t);
}

/* Files of ../shared. */

static char *read_file(const char *name, size_t *n)
{
    const char *path = tap_shared(name);
    FILE *f = path ? fopen(path, "rb") : NULL;
    char *s = NULL;
    size_t cap = 0, got;

    *n = 0;
    if (!f)
        return NULL;
    do {
        mem_grow(&s, &cap, *n + 65536, 1);
        *n += got = fread(s + *n, 1, 65536, f);
    } while (got);
    fclose(f);
    return s;
}

/* A field of a protobuf message at *s, which moves on: its number; its bytes or its value. */
static int field(const uint8_t **s, const uint8_t **bytes, uint64_t *value)
{
    uint64_t v[2] = { 0, 0 };
    int kind = 0;

    for (int k = 0; k < 2; k++) {
        if (k && kind == 5) {
            *bytes = *s;
            *s += 4;
            return (int)(v[0] >> 3);
        }
        for (int shift = 0;; shift += 7) {
            v[k] |= (uint64_t)(**s & 127) << shift;
            if (!(*(*s)++ & 128))
                break;
        }
        kind = (int)(v[0] & 7);
    }
    *value = v[1];
    *bytes = *s;
    *s += kind == 2 ? v[1] : 0;
    return (int)(v[0] >> 3);
}

struct model {
    struct sp_piece *piece;
    size_t n, cap, map_n;
    const uint8_t *map;
};

static void parse(struct model *m, const char *file, size_t size)
{
    const uint8_t *s = (const uint8_t *)file, *end = s + size, *part, *bytes;
    uint64_t n, v;

    *m = (struct model){ .n = 0 };
    while (s < end) {
        int number = field(&s, &part, &n);
        struct sp_piece p = { .type = SP_NORMAL };

        for (const uint8_t *stop = part + n; (number == 1 || number == 3) && part < stop;) {
            int inner = field(&part, &bytes, &v);

            if (number == 3 && inner == 2) {
                m->map = bytes;
                m->map_n = v;
            } else if (inner == 1) {
                p.s = (const char *)bytes;
                p.n = (uint32_t)v;
            } else if (inner == 2) {
                memcpy(&p.score, bytes, 4);
            } else if (inner == 3) {
                p.type = (enum sp_type)v;
            }
        }
        if (number == 1) {
            mem_grow(&m->piece, &m->cap, m->n + 1, sizeof p);
            m->piece[m->n++] = p;
        }
    }
}

static bool same_text(const struct sp_piece *a, const struct sp_piece *b)
{
    return a->n == b->n && !memcmp(a->s, b->s, a->n);
}

/* Log-likelihood of an ASCII text's words under the best segmentation; a character without a piece costs `unknown`. */
static double likelihood(const struct sp_piece *p, size_t n, const char *text, size_t size, double unknown)
{
    struct trie_key *key = xmalloc(n * sizeof *key);
    struct trie t;
    double sum = 0;
    size_t keys = 0;

    for (size_t i = 0; i < n; i++)
        if (p[i].type == SP_NORMAL)
            key[keys++] = (struct trie_key){ p[i].s, p[i].n, (uint32_t)i };
    trie_build(&t, key, keys);
    for (size_t at = 0; at < size; at++) {
        char word[256] = "\xe2\x96\x81";
        double best[256];
        size_t len = 3;

        while (at < size && !strchr(" \n\r\t", text[at]) && len < 255)
            word[len++] = text[at++];
        for (size_t i = 1; i <= len; i++)
            best[i] = -1e30;
        best[0] = 0;
        for (size_t i = 0; i < len && len > 3; i++) {
            uint32_t state = TRIE_ROOT;
            size_t one = i ? 1 : 3;

            best[i + one] = fmax(best[i + one], best[i] + unknown);
            for (size_t k = i; k < len && (state = trie_step(&t, state, (uint8_t)word[k])) != TRIE_NONE; k++)
                if (t.unit[state].value != TRIE_NONE)
                    best[k + 1] = fmax(best[k + 1], best[i] + (double)p[t.unit[state].value].score);
        }
        sum += len > 3 ? best[len] : 0;
    }
    trie_release(&t);
    free(key);
    return sum;
}

static void compare(const char *name, const char *corpus, const struct sp_train_options *o)
{
    size_t model_n, text_n, n = 0, same = 0, exact = 0;
    char *model = read_file(name, &model_n), *text = read_file(corpus, &text_n);
    struct sp_train *t = sp_train_new(o, 2, &err);
    const struct sp_piece *p;
    struct model m;

    if (!model || !text) {
        SKIP(name, "../shared is absent");
    } else {
        parse(&m, model, model_n);
        p = learn(t, text, text_n, 2, &n);
        OKF(p && n == m.n, "%s: %zu pieces, %s", name, n, err.msg);
        for (size_t i = 0; p && i < n; i++) {
            for (size_t k = 0; k < m.n; k++)
                same += same_text(&p[i], &m.piece[k]);
            exact += i < m.n && same_text(&p[i], &m.piece[i]) && p[i].type == m.piece[i].type &&
                     !memcmp(&p[i].score, &m.piece[i].score, sizeof p[i].score);
        }
        printf("# %s: %zu of %zu pieces, %zu at their ids with their scores\n", name, same, m.n, exact);
        OK(o->unigram ? (double)same >= 0.99 * (double)m.n : exact == m.n);
        if (o->unigram && p) {
            double ours = likelihood(p, n, text, text_n, -25), theirs = likelihood(m.piece, m.n, text, text_n, -25);

            OKF(fabs(ours / theirs - 1) < 1e-3, "%s: log-likelihood %f, the reference's %f", name, ours, theirs);
        }
        free(m.piece);
    }
    sp_train_free(t);
    free(model);
    free(text);
}

static void test_reference(void)
{
    struct sp_train_options o = sp_train_defaults();

    o.vocab_size = 2000;
    o.byte_fallback = o.split_digits = true;
    compare("golden/vocab/sp_bpe_botchan_2000.model", "data/corpora/botchan.txt", &o);
    o.vocab_size = 1500;
    o.normalization = SP_IDENTITY;
    o.remove_extra_whitespaces = false;
    o.allow_whitespace_only_pieces = true;
    compare("golden/vocab/sp_bpe_llama_shakespeare_1500.model", "data/corpora/tinyshakespeare.txt", &o);
    o = sp_train_defaults();
    o.vocab_size = 2000;
    o.unigram = true;
    compare("golden/vocab/sp_unigram_botchan_2000.model", "data/corpora/botchan.txt", &o);
}

/* Rules. */

static bool becomes(const struct charsmap *c, const char *s, const char *want)
{
    const char *to = NULL;
    size_t to_n = 0, n = charsmap_longest(c, s, strlen(s), &to, &to_n);

    if (!want)
        return n == 0;
    return n == strlen(s) && to_n == strlen(want) && !memcmp(to, want, to_n);
}

static void load(struct charsmap *c, bool nmt)
{
    size_t n;
    char *blob = charsmap_build(nmt, &n);

    OK(charsmap_load(c, blob, n, &err) == 0);
    free(blob);
}

static void test_rules(void)
{
    struct charsmap nfkc, nmt;

    load(&nfkc, false);
    load(&nmt, true);
    OK(becomes(&nfkc, "\xef\xac\x81", "fi"));                      /* U+FB01 */
    OK(becomes(&nfkc, "A\xcc\x8a", "\xc3\x85"));                   /* A, ring above: U+00C5 */
    OK(becomes(&nfkc, "\xef\xbc\xa1\xcc\x8a", "\xc3\x85"));        /* the same of the wide A */
    OK(becomes(&nfkc, "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81")); /* jamo: U+AC01 */
    OK(becomes(&nfkc, "\xe1\x84\x9e\x9e", NULL) && becomes(&nfkc, "a", NULL) && becomes(&nfkc, "\t", NULL));
    OK(becomes(&nfkc, "\xef\xbd\x9e", "~") && becomes(&nmt, "\xef\xbd\x9e", NULL)); /* U+FF5E */
    OK(becomes(&nmt, "\t", " ") && becomes(&nmt, "\xe2\x80\x8b", " ") && becomes(&nmt, "\x01", ""));
    /* of Unicode 15 and 16 */
    OK(becomes(&nfkc, "\xf0\x96\x84\xa1", NULL) && becomes(&nfkc, "\xf0\x96\x84\x9e\xf0\x96\x84\x9e", "\xf0\x96\x84\xa1"));
    charsmap_release(&nfkc);
    charsmap_release(&nmt);
}

/* Strings that a charsmap replaces. */
static size_t count_strings(const struct charsmap *c, size_t base)
{
    size_t n = 0;

    for (uint32_t label = 1; label < 256; label++) {
        size_t at = base ^ label;
        uint32_t unit = at < c->n ? c->unit[at] : 0;

        if ((unit & 0x800000ff) != label)
            continue;
        n += unit >> 8 & 1;
        n += count_strings(c, at ^ unit >> 10 << ((unit & 512) >> 6));
    }
    return n;
}

/* Every rule of ours is in the reference's blob and stands for the same, and it has no other. */
static void test_reference_rules(void)
{
    size_t n, rules = 0, wrong = 0;
    char *file = read_file("golden/vocab/sp_bpe_botchan_2000.model", &n);
    struct charsmap_rules r;
    struct charsmap theirs, ours;
    struct model m;

    if (!file) {
        SKIP("the reference's rules", "../shared is absent");
        return;
    }
    parse(&m, file, n);
    OK(charsmap_load(&theirs, m.map, m.map_n, &err) == 0);
    load(&ours, true);
    charsmap_rules_make(&r, true);
    for (size_t i = 0; i < r.n; i++) {
        char key[4 * CHARSMAP_KEY + 1], to[256];
        size_t key_n = 0, to_n = 0;

        for (int k = 0; k < r.rule[i].n; k++)
            key_n += (size_t)utf8_encode(r.rule[i].key[k], key + key_n);
        for (int k = 0; k < r.rule[i].to_n; k++)
            to_n += (size_t)utf8_encode(r.cps[r.rule[i].to + (uint32_t)k], to + to_n);
        key[key_n] = to[to_n] = 0;
        rules += r.rule[i].kept;
        wrong += r.rule[i].kept && (!becomes(&theirs, key, to) || !becomes(&ours, key, to));
    }
    printf("# %zu rules\n", rules);
    OK(wrong == 0);
    OK(rules == count_strings(&theirs, theirs.unit[0] >> 10) && rules == count_strings(&ours, ours.unit[0] >> 10));
    charsmap_rules_free(&r);
    charsmap_release(&theirs);
    charsmap_release(&ours);
    free(m.piece);
    free(file);
}

static void test_scripts(void)
{
    OK(script_of('a') == script_of(0xe9) && script_of('a') != script_of(0x430) && script_of('1') == SCRIPT_COMMON);
    OK(script_of(0x4e00) == script_of(0x3042) && script_of(0x30fc) == script_of(0x30a2) && script_of(0x3042) == script_of(0x30a2));
    OK(script_of(0x301) == SCRIPT_INHERITED && script_of(0xe000) == SCRIPT_COMMON && script_of(0x110000) == SCRIPT_COMMON);
    OK(script_of(0x1e030) == SCRIPT_COMMON); /* Cyrillic since Unicode 15 */
}

/* Options that are not possible. */
static const char *refused(struct sp_train_options o)
{
    struct sp_train *t = sp_train_new(&o, 1, &err);

    sp_train_free(t);
    return t ? "" : err.msg;
}

static void test_refused(void)
{
    static const char *const twice[] = { "a", "a" }, *const unk[] = { "<unk>" };
    struct sp_train_options o = sp_train_defaults();

    o.vocab_size = 100;
    o.id[SP_UNK] = -1;
    OK(strstr(refused(o), "<unk> must have an id"));
    o.id[SP_UNK] = 1;
    OK(strstr(refused(o), "<unk> and <s> have the same id, 1"));
    o.id[SP_UNK] = 100;
    OK(strstr(refused(o), "the id of <unk>, 100, is not below the size, 100"));
    o.id[SP_UNK] = 0;
    o.user_defined_symbols = twice;
    o.n_user_defined = 2;
    OK(strstr(refused(o), "a is given twice"));
    o.user_defined_symbols = unk;
    o.n_user_defined = 1;
    OK(strstr(refused(o), "<unk> is given twice"));
}

/* Words longer than any double has room for, and one that takes every depth of the sorting. */
static void test_long_words(void)
{
    struct sp_train_options o = sp_train_defaults();
    size_t size = 30000, n = 0;
    char *text = xmalloc(size);
    const struct sp_piece *p;

    o.vocab_size = 20;
    o.normalization = SP_IDENTITY;
    o.max_sentence_length = 1 << 20;
    o.max_sentencepiece_length = 64;
    for (int unigram = 0; unigram < 2; unigram++) {
        struct sp_train *t;

        o.unigram = unigram;
        for (size_t i = 0; i < size; i++)
            text[i] = i % 2 || i > size / 2 ? 'a' : "bcd"[i / 2 % 3];
        t = sp_train_new(&o, 1, &err);
        p = learn(t, text, size, 1, &n);
        OKF(p && n > 6 && n <= 20, "%zu pieces", n);
        for (size_t i = 3; p && i < n; i++)
            if (!(p[i].score <= 0 && p[i].score > -100))
                OKF(false, "score %f", (double)p[i].score);
        sp_train_free(t);
    }
    free(text);
}

int main(void)
{
    for (size_t i = 0; i < sizeof sp_train_cases / sizeof *sp_train_cases; i++) {
        test_case(&sp_train_cases[i], 1);
        test_case(&sp_train_cases[i], 3);
    }
    test_rules();
    test_scripts();
    test_refused();
    test_long_words();
    test_reference();
    test_reference_rules();
    return tap_done();
}
