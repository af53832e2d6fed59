/* Loaders: the tokenizers of tests/golden/tok as ranks of tiktoken, GGUF, vocabulary and merges give the reference's ids;
 * small files of the other kinds; what is refused; which file a directory means. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/tokenizer/bpe.h"
#include "libcommon/tokenizer/tokenizer_load.h"
#include "tests/tap.h"

static struct err err;

static void put(struct tokenizer_text *out, const void *s, size_t n)
{
    tokenizer_put(out, s, n);
}

/* ---- a GGUF file ---- */

enum { U8 = 0, U32 = 4, I32, F32, BOOL, STRING, ARRAY };

struct list {
    struct tokenizer_text text;
    uint64_t n;
};

static void put_string(struct tokenizer_text *out, const char *s, size_t n)
{
    put(out, &(uint64_t){ n }, 8);
    put(out, s, n);
}

static void put_key(struct list *g, const char *key, uint32_t type)
{
    char name[64];

    put_string(&g->text, name, (size_t)snprintf(name, sizeof name, "tokenizer.ggml.%s", key));
    put(&g->text, &type, 4);
    g->n++;
}

static void put_value(struct list *g, const char *key, const char *value)
{
    put_key(g, key, STRING);
    put_string(&g->text, value, strlen(value));
}

static void put_number(struct list *g, const char *key, uint32_t value)
{
    put_key(g, key, U32);
    put(&g->text, &value, 4);
}

static void put_array(struct list *g, const char *key, uint32_t of, struct list *items)
{
    put_key(g, key, ARRAY);
    put(&g->text, &of, 4);
    put(&g->text, &items->n, 8);
    put(&g->text, items->text.v, items->text.n);
    free(items->text.v);
    *items = (struct list){ 0 };
}

static void add_string(struct list *l, const char *s, size_t n)
{
    put_string(&l->text, s, n);
    l->n++;
}

static void add_number(struct list *l, int32_t v)
{
    put(&l->text, &v, 4);
    l->n++;
}

/* Header and pairs to one piece of bytes, in g. */
static void finish(struct list *g)
{
    struct tokenizer_text out = { 0 };

    put(&out, "GGUF\3\0\0\0\0\0\0\0\0\0\0\0", 16);
    put(&out, &g->n, 8);
    put(&out, g->text.v, g->text.n);
    free(g->text.v);
    g->text = out;
}

/* ---- the golden tokenizers in other clothes ---- */

static void put_base64(struct tokenizer_text *out, const uint8_t *s, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) | (i + 2 < n ? s[i + 2] : 0);

        for (int k = 0; k < 4; k++)
            put(out, i + (size_t)k > n ? "=" : &letters[v >> (18 - 6 * k) & 63], 1);
    }
}

static void make_ranks(const struct json_value *vocab, struct tokenizer_text *out)
{
    for (const struct json_value *v = vocab->child; v; v = v->next) {
        struct tokenizer_text bytes = { 0 };
        char rank[24];

        tokenizer_unspell(v->key, v->key_len, &bytes);
        put_base64(out, (const uint8_t *)bytes.v, bytes.n);
        put(out, rank, (size_t)snprintf(rank, sizeof rank, " %s\r\n", v->str));
        free(bytes.v);
    }
}

static void make_merges(const struct json_value *merges, struct tokenizer_text *out)
{
    tokenizer_puts(out, "#version: 0.2\n");
    for (const struct json_value *v = merges->child; v; v = v->next) {
        put(out, v->str, v->len);
        put(out, "\n", 1);
    }
}

static void make_vocab(const struct json_value *vocab, struct tokenizer_text *out)
{
    for (const struct json_value *v = vocab->child; v; v = v->next) {
        put(out, v == vocab->child ? "{" : ",", 1);
        tokenizer_put_quoted(out, v->key, v->key_len);
        put(out, ":", 1);
        put(out, v->str, v->len);
    }
    put(out, "}", 1);
}

/* Tokens in the order of their ids, which is that of the file. */
static void make_gguf(const struct json_value *vocab, const struct json_value *merges, const char *pre, struct tokenizer_text *out)
{
    struct list g = { 0 }, tokens = { 0 }, pairs = { 0 };

    for (const struct json_value *v = vocab->child; v; v = v->next)
        add_string(&tokens, v->key, v->key_len);
    for (const struct json_value *v = merges->child; v; v = v->next)
        add_string(&pairs, v->str, v->len);
    put_value(&g, "model", "gpt2");
    put_value(&g, "pre", pre);
    put_array(&g, "tokens", STRING, &tokens);
    put_array(&g, "merges", STRING, &pairs);
    finish(&g);
    *out = g.text;
}

static bool holds_added(const struct json_value *added, const struct json_value *text)
{
    for (added = added->child; added; added = added->next) {
        const struct json_value *content = json_get(added, "content");

        if (memmem(text->str, text->len, content->str, content->len))
            return true;
    }
    return false;
}

/* The ids of lines {"text", "none"}, but of texts with an added token, which the other files do not have. */
static void compare(const struct tokenizer *t, const struct io_map *lines, const struct json_value *added, const char *what)
{
    struct tokenizer_encoder *e = tokenizer_encoder_new(t);
    struct tokenizer_ids ids = { 0 };
    const char *p = (const char *)lines->data, *end = p + lines->size;
    int ran = 0, differ = 0;
    struct arena a;

    arena_init(&a);
    for (const char *eol; p < end && (eol = memchr(p, '\n', (size_t)(end - p))) != NULL; p = eol + 1) {
        const struct json_value *v = json_tree(&a, p, (size_t)(eol - p), what, &err), *text = json_get(v, "text");
        const struct json_value *want = json_get(v, "none");
        size_t n = 0;

        if (!text || !want || memchr(text->str, '<', text->len) || holds_added(added, text))
            continue;
        ids.n = 0;
        if (tokenizer_encode(e, text->str, text->len, TOKENIZER_SPECIAL_NONE, &ids, &err) < 0)
            differ++;
        for (want = want->child; want && n < ids.n && ids.v[n] == (uint32_t)want->num; want = want->next)
            n++;
        differ += want || n < ids.n;
        ran++;
    }
    OKF(ran > 25 && !differ, "%s: %d texts, %d differ", what, ran, differ);
    free(ids.v);
    tokenizer_encoder_free(e);
    arena_release(&a);
}

static void test_golden(const char *name, const char *class)
{
    const char *src = getenv("SRC");
    char path[4096], config[100], file[40];
    struct io_map json = { 0 }, lines = { 0 };
    struct tokenizer_text made[4] = { { 0 } };
    const struct json_value *tree, *model, *vocab;
    uint8_t print[3][32];
    struct arena a;

    arena_init(&a);
    snprintf(path, sizeof path, "%s/tests/golden/tok/%s.jsonl", src ? src : ".", name);
    io_map(&lines, path, &err);
    path[strlen(path) - 1] = 0;
    if (io_map(&json, path, &err) < 0 || !lines.size)
        die("%s", err.msg);
    tree = json_tree(&a, json.data, json.size, path, &err);
    model = json_get(tree, "model");
    vocab = json_get(model, "vocab");
    make_ranks(vocab, &made[0]);
    make_gguf(vocab, json_get(model, "merges"), name, &made[1]);
    make_vocab(vocab, &made[2]);
    make_merges(json_get(model, "merges"), &made[3]);
    snprintf(config, sizeof config, "{\"tokenizer_class\":\"%s\"}", class ? class : "");
    snprintf(file, sizeof file, "%s.tiktoken", name);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { NULL, "x.gguf", "vocab.json" };
        struct tokenizer_source s = { .name = names[i] ? names[i] : file, .data = made[i].v, .n = made[i].n };
        struct tokenizer *t;

        if (i == 2) {
            s.merges = made[3].v;
            s.merges_n = made[3].n;
            s.config = class ? config : NULL;
            s.config_n = strlen(config);
            s.pattern = class ? NULL : name;
        }
        t = tokenizer_parse_source(&s, &err);
        if (!OK(t)) {
            printf("# %s\n", err.msg);
            continue;
        }
        compare(t, &lines, json_get(tree, "added_tokens"), s.name);
        memcpy(print[i], tokenizer_info(t)->fingerprint, 32);
        tokenizer_free(t);
    }
    OK(memcmp(print[0], print[1], 32) == 0 && memcmp(print[0], print[2], 32) == 0);
    for (int i = 0; i < 4; i++)
        free(made[i].v);
    io_unmap(&json);
    io_unmap(&lines);
    arena_release(&a);
}

/* ---- small files ---- */

/* The ids of a text, with special strings, as "1 2 3"; or what is wrong. */
static const char *ids_of(const struct tokenizer_source *s, const char *text)
{
    static char got[1100];
    struct tokenizer *t = tokenizer_parse_source(s, &err);
    struct tokenizer_encoder *e = t ? tokenizer_encoder_new(t) : NULL;
    struct tokenizer_ids ids = { 0 };
    size_t n = 0;

    snprintf(got, sizeof got, "%s", t ? "" : err.msg);
    if (t && tokenizer_encode(e, text, strlen(text), TOKENIZER_SPECIAL_PARSE, &ids, &err) < 0)
        snprintf(got, sizeof got, "%s", err.msg);
    for (size_t i = 0; i < ids.n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, i ? " %u" : "%u", ids.v[i]);
    free(ids.v);
    tokenizer_encoder_free(e);
    tokenizer_free(t);
    return got;
}

/* Four ranks: a, b, ab and a blank. */
#define RANKS "YQ== 0\nYg== 1\nYWI= 2\n\nIA== 3\n"
#define VOCAB "{\"a\":0,\"b\":1,\"ab\":2,\"\xc4\xa0\":3,\"<|endoftext|>\":4,\"<s>\":5,\"</s>\":6,\"<mask>\":7}"
#define WORDS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nab\n##b\nAB\n!\n"

static const struct {
    const char *name, *data, *merges, *config, *pattern, *text, *want; /* want: ids, or a part of a message */
} rows[] = {
    { "x.tiktoken", RANKS, NULL, NULL, "gpt2", "ab ba", "2 3 1 0" },
    { "x.tiktoken", RANKS, NULL, NULL, "gpt2", "abc", "no token for the byte 0x63" },
    { "gpt2.tiktoken", RANKS, NULL, NULL, NULL, "ab", "2" },
    { "dir/qwen2.tiktoken", RANKS, NULL, NULL, NULL, "ab", "2" },
    { "x.tiktoken", RANKS, NULL, NULL, NULL, "ab", "x.tiktoken: ranks of tiktoken, and the name of the file does not tell the pattern: --pattern NAME|REGEX" },
    { "tokenizer.model", RANKS, NULL, NULL, NULL, "ab", "--pattern NAME|REGEX" },
    { "x", RANKS, NULL, NULL, "gpt3", "", "'gpt3' is neither the name of a pattern nor an expression" },
    { "x", RANKS, NULL, NULL, "(a", "", "( without its )" },
    /* an expression in Rust's syntax; what it does not match is dropped */
    { "x", RANKS, NULL, NULL, "a+|b$", "aab b", "0 0 1" },
    { "x", RANKS, NULL, NULL, "a{1,2}+a|[ab]", "aaab", "0 0 0 1" },
    { "x", RANKS, NULL, NULL, "^a|b", "ab\nab", "0 1 1" },
    /* an expression's ids are those of tiktoken 0.14 */
    { "x", RANKS, NULL, NULL, "[--a]", "ba", "0" },
    { "x", RANKS, NULL, NULL, "[^--a]", "ba", "1" },
    { "x", RANKS, NULL, NULL, "(?m)^a", "ab\nab", "0 0" },
    { "x", RANKS, NULL, NULL, "(?m)a$", "ab\na\na", "0 0" },
    { "x", RANKS, NULL, NULL, "(?s)a(?=.b)", "a\nb", "0" },
    { "x", RANKS, NULL, NULL, "a(?=.b)", "a\nb", "" },
    { "x", RANKS, NULL, NULL, "[a-z--b]", "aba", "0 0" },
    { "x", RANKS, NULL, NULL, "[a-z--[bc]&&[ab]]", "abac", "0 0" },
    { "x", RANKS, NULL, NULL, "[!--]|a", "a-a", "0 0" },
    { "x", RANKS, NULL, NULL, "[a~~b]", "", "byte 2: ~~ in [ ] is not supported" },
    { "x", RANKS, NULL, NULL, "a(?=[[:alpha:]])", "a\xc3\xa9" "ab", "0" },
    { "x", RANKS, NULL, NULL, "a(?=[[:^alpha:]])", "a\xc3\xa9" "ab", "0" },
    { "x", RANKS, NULL, NULL, "a(?=\\w)", "a\xe2\x80\x8d" "a a\xc2\xb2", "0" },
    { "x", RANKS, NULL, NULL, "a\\b", "a\xe2\x80\x8d" "a a\xc2\xb2", "0 0" },
    { "x", RANKS, NULL, NULL, "a(?=(?i:ss))", "a\xc3\x9f" "ass", "0" },
    { "x", RANKS, NULL, NULL, "(?i:A)|b(?=(?i:\xc5\xbf))", "abS", "0 1" },
    { "x", "YQ== 0\nYg= 1\n", NULL, NULL, "gpt2", "", "x:2: not a token in base64, a blank and its rank" },
    { "x", "YQ== 0\nYg==\n", NULL, NULL, "gpt2", "", "x:2: not a token" },
    { "x", "YQ== 0\nYg== -1\n", NULL, NULL, "gpt2", "", "x:2: not a token" },
    { "x", "YQ== 0\nYg== 9999999999\n", NULL, NULL, "gpt2", "", "x:2: id 9999999999 is above" },
    { "x", "YQ== 0\nYg== 0\n", NULL, NULL, "gpt2", "", "x: two tokens have the id 0" },
    { "x", "YQ== 0\nYQ== 1\n", NULL, NULL, "gpt2", "", "x: ids 0 and 1 have one string" },
    { "x", RANKS, NULL, "{\"added_tokens_decoder\":{\"9\":{\"content\":\"<s>\",\"special\":true}}}", "gpt2", "a<s>b", "0 9 1" },
    { "d/x", RANKS, NULL, "{", "gpt2", "", "d/tokenizer_config.json: byte 1: unexpected end" },
    { "vocab.json", VOCAB, "#version: 0.2\na b\n", NULL, NULL, "ab<|endoftext|>b", "2 4 1" },
    { "vocab.json", VOCAB, "a b", "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_prefix_space\":true}", NULL, "ab", "3 2" },
    { "vocab.json", VOCAB, "a b\r\n", "{\"tokenizer_class\":\"RobertaTokenizer\"}", NULL, "a <mask>", "0 7" },
    { "vocab.json", VOCAB, "a b\n", "{\"tokenizer_class\":\"FooTokenizer\"}", NULL, "", "tokenizer_class 'FooTokenizer' is not known" },
    { "vocab.json", VOCAB, "a b\n", "{\"tokenizer_class\":\"FooTokenizer\"}", "gpt2", "ab", "2" },
    { "vocab.json", VOCAB, "a c\n", NULL, NULL, "", "merge 0: 'c' is not in the vocabulary" },
    { "vocab.json", VOCAB, "ab\n", NULL, NULL, "", "merge 0: not two strings" },
    { "vocab.json", "{\"a\":0,}", "a b\n", NULL, NULL, "", "vocab.json: byte 7" },
    { "vocab.json", VOCAB, "a \xff\n", NULL, NULL, "", "merges.txt: byte 2: invalid UTF-8" },
    { "vocab.txt", WORDS, NULL, NULL, NULL, "AB! abb q[MASK]", "5 8 5 6 1 4" },
    { "x-vocab.txt", WORDS, NULL, "{\"do_lower_case\":false}", NULL, "AB", "7" },
    { "vocab.txt", "a\xff\n", NULL, NULL, NULL, "", "vocab.txt: byte 1: invalid UTF-8" },
    { "vocab.txt", WORDS, NULL, NULL, "gpt2", "", "a pattern is given, but a vocab.txt has its own" },
    { "words.txt", WORDS, NULL, NULL, NULL, "", "words.txt: not a tokenizer" },
};

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tokenizer_source s = {
            .name = rows[i].name, .data = rows[i].data, .n = strlen(rows[i].data), .merges = rows[i].merges,
            .merges_n = rows[i].merges ? strlen(rows[i].merges) : 0, .config = rows[i].config,
            .config_n = rows[i].config ? strlen(rows[i].config) : 0, .pattern = rows[i].pattern,
        };
        const char *got = ids_of(&s, rows[i].text);
        bool ids = rows[i].want[strspn(rows[i].want, "0123456789 ")] == 0;

        OKF(ids ? strcmp(got, rows[i].want) == 0 : strstr(got, rows[i].want) != NULL, "row %zu: %s", i, got);
    }
}

/* A vocabulary of a GGUF file: tokens with their type and score, `more` pairs. */
struct token {
    const char *s;
    int32_t type;
    float score;
};

static const char *gguf_ids(const char *model, const struct token *token, size_t n, const char *pre, const char *pattern, const char *text)
{
    struct list g = { 0 }, tokens = { 0 }, types = { 0 }, scores = { 0 }, merges = { 0 };
    struct tokenizer_source s = { .name = "x.gguf", .pattern = pattern };
    const char *got;

    for (size_t i = 0; i < n; i++) {
        int32_t bits;

        memcpy(&bits, &token[i].score, 4);
        add_string(&tokens, token[i].s, strlen(token[i].s));
        add_number(&types, token[i].type);
        add_number(&scores, bits);
    }
    put_value(&g, "model", model);
    if (pre)
        put_value(&g, "pre", pre);
    put_array(&g, "tokens", STRING, &tokens);
    put_array(&g, "token_type", I32, &types);
    put_array(&g, "scores", F32, &scores);
    if (strcmp(model, "gpt2") == 0) {
        add_string(&merges, "a b", 3);
        put_array(&g, "merges", STRING, &merges);
    }
    put_number(&g, "bos_token_id", 1);
    finish(&g);
    s.data = g.text.v;
    s.n = g.text.n;
    got = ids_of(&s, text);
    free(g.text.v);
    return got;
}

static void test_gguf(void)
{
    static const struct token bpe[] = { { "a", 1, 0 }, { "b", 1, 0 }, { "ab", 1, 0 }, { "<s>", 3, 0 }, { "<x>", 4, 0 }, { "", 1, 0 } };
    static const struct token spm[] = { { "<unk>", 2, 0 },        { "<s>", 3, 0 }, { "\xe2\x96\x81", 1, -1 }, { "a", 1, -2 },
                                        { "\xe2\x96\x81" "a", 1, -3 }, { "b", 1, -4 }, { "<u>", 4, 0 } };
    static const struct token bert[] = { { "[PAD]", 3, 0 }, { "[CLS]", 3, 0 }, { "[UNK]", 3, 0 }, { "\xe2\x96\x81" "ab", 1, 0 }, { "b", 1, 0 } };

    OKF(strcmp(gguf_ids("gpt2", bpe, 6, "qwen2", NULL, "ab<s>b<x>"), "2 3 1 4") == 0, "%s", err.msg);
    OKF(strcmp(gguf_ids("gpt2", bpe, 6, NULL, "gpt2", "ab"), "2") == 0, "%s", err.msg);
    OK(strstr(gguf_ids("gpt2", bpe, 6, NULL, NULL, "ab"), "there is no tokenizer.ggml.pre, which names the pattern: --pattern"));
    OK(strstr(gguf_ids("gpt2", bpe, 6, "new", NULL, "ab"), "tokenizer.ggml.pre 'new' is not known"));
    OK(strstr(gguf_ids("rwkv", bpe, 6, NULL, NULL, "ab"), "tokenizer.ggml.model 'rwkv' is not supported"));
    OKF(strcmp(gguf_ids("llama", spm, 7, "default", NULL, "a b<s>a<u>"), "4 2 5 1 4 6") == 0, "%s", err.msg);
    OK(strstr(gguf_ids("llama", spm, 7, NULL, "gpt2", "ab"), "a pattern is given, but a vocabulary 'llama' has none"));
    OKF(strcmp(gguf_ids("t5", spm, 7, NULL, NULL, "a  b"), "4 2 5") == 0, "%s", err.msg);
    OKF(strcmp(gguf_ids("bert", bert, 5, NULL, NULL, "AB abb q"), "3 3 4 2") == 0, "%s", err.msg);
}

/* A name's special tokens go with as many ranks as its file has. */
static void test_specials(void)
{
    struct tokenizer_source s = { .name = "tokenizer.model" };
    struct tokenizer_text text = { 0 };
    uint8_t bytes[3] = { 0 };
    char rank[24];

    for (uint32_t i = 0; i < 128000; i++) {
        bytes[0] = (uint8_t)i;
        bytes[1] = (uint8_t)(i >> 8);
        bytes[2] = (uint8_t)(i >> 16);
        put_base64(&text, bytes, i < 256 ? 1 : 3);
        put(&text, rank, (size_t)snprintf(rank, sizeof rank, " %u\n", i));
    }
    s.data = text.v;
    s.n = text.n;
    OK(strcmp(ids_of(&s, "<|begin_of_text|>a<|eot_id|><|reserved_special_token_247|>"), "128000 97 128009 128255") == 0);
    s.n -= strlen("//8B 127999\n");
    OK(strstr(ids_of(&s, ""), "--pattern NAME|REGEX"));
    free(text.v);
}

/* Any two tokens that are one together merge: one token may have BPE_LONGEST bytes, no more. */
static void test_longest(void)
{
    struct tokenizer_source s = { .name = "gpt2.tiktoken" };
    char *bytes = xcalloc(BPE_LONGEST + 1, 1);

    for (size_t n = BPE_LONGEST; n <= BPE_LONGEST + 1; n++) {
        struct tokenizer_text text = { 0 };

        memset(bytes, 'a', n);
        put_base64(&text, (uint8_t *)bytes, n);
        tokenizer_puts(&text, " 0\nYQ== 1\n");
        s.data = text.v;
        s.n = text.n;
        OK(n == BPE_LONGEST ? strcmp(ids_of(&s, "aa"), "1 1") == 0
                            : strcmp(ids_of(&s, "aa"), "gpt2.tiktoken: the token with the id 0 has 1025 bytes, more than 1024") == 0);
        free(text.v);
    }
    free(bytes);
}

/* ---- directories ---- */

static void save(const char *name, const char *text)
{
    if (io_save(name, text, strlen(text), &err) < 0)
        die("%s", err.msg);
}

static const char *picked(void)
{
    static char name[sizeof err.msg];
    char *file = tokenizer_file("d", &err);

    snprintf(name, sizeof name, "%s", file ? file : err.msg);
    free(file);
    return name;
}

static int list_name(void *ctx, const char *path, const char *name, struct err *e)
{
    struct tokenizer_text *names = ctx;

    (void)e;
    OK(strncmp(path, "d/", 2) == 0 && strcmp(path + 2, name) == 0);
    tokenizer_puts(names, name);
    tokenizer_puts(names, " ");
    return 0;
}

/* Of d, where all files are: which of them stands for it, and what belongs to it. */
static void test_stands_for(void)
{
    struct tokenizer_text names = { 0 };
    char *dir = tokenizer_dir("d/tokenizer.json"), *other = tokenizer_dir("d/tokenizer.model");

    OK(dir && strcmp(dir, "d") == 0 && !other && !tokenizer_dir("absent"));
    free(dir);
    dir = tokenizer_dir("d");
    OK(dir && strcmp(dir, "d") == 0);
    free(dir);
    OK(tokenizer_each_file("d", list_name, &names, &err) == 0 && tokenizer_each_file("d/tokenizer.json", list_name, &names, &err) == 0);
    tokenizer_put(&names, "", 1);
    OKF(strcmp(names.v, "tokenizer_config.json tokenizer.json tokenizer.model spiece.model tiktoken.model a.tiktoken vocab.json "
                      "encoder.json vocab.txt tokenizer_config.json tokenizer.json tokenizer.model spiece.model tiktoken.model "
                      "a.tiktoken vocab.json encoder.json vocab.txt ") == 0, "%s", names.v);
    free(names.v);
    OK(tokenizer_each_file("d/spiece.model", NULL, NULL, &err) < 0 && strstr(err.msg, "d/spiece.model: not a tokenizer"));
}

/* Files come one after the other, the one of least weight first. */
static void test_directory(void)
{
    static const char *const files[] = { "vocab.txt", "encoder.json", "vocab.json", "a.tiktoken", "tiktoken.model",
                                         "spiece.model", "tokenizer.model", "tokenizer.json" };
    char path[60];

    mkdir("d", 0777);
    OK(strstr(picked(), "d: no tokenizer in the directory: neither tokenizer.json, tokenizer.model"));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "d/%s", files[i]);
        save(path, "");
        OKF(strcmp(picked(), path) == 0, "%s", picked());
    }
    save("d/tokenizer_config.json", "{\"auto_map\":{\"AutoTokenizer\":[\"tokenization_x.X\",null]}}");
    OKF(strcmp(picked(), "d/tokenizer.model") == 0, "%s", picked());
    OK(strcmp((save("d/tokenizer_config.json", "{\"auto_map\":{\"AutoTokenizer\":[\"a.X\",\"a.XFast\"]}}"), picked()), "d/tokenizer.json") == 0);
    OK(!tokenizer_open("d", &err) && strstr(err.msg, "d/tokenizer.json: not a tokenizer"));
    OK(!tokenizer_open("d/encoder.json", &err) && strstr(err.msg, "d/vocab.bpe"));
    OK(!tokenizer_open("absent", &err) && strstr(err.msg, "absent"));
    test_stands_for();
    save("d/vocab.bpe", "#version: 0.2\n");
    save("d/encoder.json", "{\"a\":0}");
    {
        struct tokenizer *t = tokenizer_open("d/encoder.json", &err);

        OK(t && tokenizer_info(t)->vocab_size == 1);
        tokenizer_free(t);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "d/%s", files[i]);
        unlink(path);
    }
    unlink("d/vocab.bpe");
    unlink("d/tokenizer_config.json");
    rmdir("d");
}

int main(void)
{
    test_golden("gpt2", "GPT2Tokenizer");
    test_golden("llama3", NULL);
    test_golden("qwen2", "Qwen2Tokenizer");
    test_rows();
    test_gguf();
    test_specials();
    test_longest();
    test_directory();
    return tap_done();
}
