/* tokenizer: the vectors made by others, round trips over real text, fingerprints, what a file may hold. */
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/source.h"
#include "libcommon/format/json.h"
#include "libcommon/tokenizer/bytecut.h"
#include "libcommon/text/nfc.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "tests/tap.h"

/* Those from MODELS on do not give every text back. */
enum {
    GPT2, LLAMA3, QWEN, MODELS, CODER = MODELS, LLAMA2, PHI3, T5, /* tokenizer.json */
    GPT2_GGUF, GPT2_ENCODER, GPT2_RANKS, LLAMA3_RANKS, QWEN_RANKS, QWEN_VOCAB, LLAMA2_GGUF, DEEPSEEK, BERT, CL100K, O200K,
    LLAMA2_MODEL, T5_MODEL, MISTRAL, MISTRAL_MODEL, ALL
};

static const char *const folders[ALL] = {
    "gpt2", "llama3.1", "qwen2.5", "deepseek-coder", "llama2", "phi-3", "t5",
    "gpt2/ggml-vocab-gpt-2.gguf", "gpt2/encoder.json", "gpt2/gpt2.tiktoken", "llama3.1/tokenizer.model", "qwen2.5/qwen.tiktoken",
    "qwen2.5/vocab.json", "llama2/ggml-vocab-llama-spm.gguf", "deepseek-llm/ggml-vocab-deepseek-llm.gguf", "bert",
    "openai/cl100k_base.tiktoken", "openai/o200k_base.tiktoken", "llama2/tokenizer.model", "t5/spiece.model", "mistral-v0.3/tokenizer.json",
    "mistral-v0.3/tokenizer.model",
};

static struct model {
    struct tokenizer *t;
    struct tokenizer_encoder *e;
    struct tokenizer_ids ids;
    int ran, differ; /* texts compared */
} models[ALL];

static struct io_map map(const char *name)
{
    struct io_map m = { 0 };
    const char *path = tap_shared(name);
    struct err err;

    if (path)
        io_map(&m, path, &err);
    return m;
}

/* The ids of the text are the n given ones, but for what the post-processor puts around it; AutoTokenizer's BOS of
 * deepseek-coder is said in a file that is not held. */
static void compare(struct model *m, const char *text, size_t n, const uint32_t *want, size_t want_n)
{
    const struct tokenizer_info *info = tokenizer_info(m->t);
    struct err err;

    m->ids.n = 0;
    if (info->n_suffix && want_n && want[want_n - 1] == info->suffix[0])
        want_n--;
    if (want_n && ((info->n_prefix && want[0] == info->prefix[0]) || (m == &models[CODER] && want[0] == 32013))) {
        want++;
        want_n--;
    }
    m->ran++;
    if (tokenizer_encode(m->e, text, n, TOKENIZER_SPECIAL_PARSE, &m->ids, &err) < 0 || m->ids.n != want_n ||
        (want_n && memcmp(m->ids.v, want, want_n * sizeof *want) != 0)) {
        m->differ++;
        printf("# %s: '%.*s'\n", folders[m - models], (int)(n < 60 ? n : 60), text);
    }
}

static void compare_json(struct model *m, const struct json_value *text, const struct json_value *ids)
{
    uint32_t want[8192];
    size_t n = 0;

    for (ids = ids ? ids->child : NULL; ids && n < 8192; ids = ids->next)
        want[n++] = (uint32_t)ids->num;
    if (text)
        compare(m, text->str, text->len, want, n);
}

/* Ids written with anything between them, up to the end of a line. */
static const char *read_ids(const char *p, const char *end, uint32_t *want, size_t *n)
{
    *n = 0;
    while (p < end && *p != '\n') {
        if (*p < '0' || *p > '9') {
            p++;
            continue;
        }
        for (want[*n] = 0; p < end && *p >= '0' && *p <= '9'; p++)
            want[*n] = want[*n] * 10 + (uint32_t)(*p - '0');
        ++*n;
    }
    return p < end ? p + 1 : end;
}

/* Texts with a line between them; a line of ids each. */
static void test_llama_cpp(void)
{
    static const char *const names[ALL] = {
        [GPT2] = "gpt-2", [LLAMA3] = "llama-bpe", [QWEN] = "qwen2", [CODER] = "deepseek-coder", [LLAMA2] = "llama-spm",
        [PHI3] = "phi-3", [GPT2_GGUF] = "gpt-2", [GPT2_ENCODER] = "gpt-2", [GPT2_RANKS] = "gpt-2", [LLAMA3_RANKS] = "llama-bpe",
        [QWEN_RANKS] = "qwen2", [QWEN_VOCAB] = "qwen2", [LLAMA2_GGUF] = "llama-spm", [DEEPSEEK] = "deepseek-llm", [BERT] = "bert-bge",
        [LLAMA2_MODEL] = "llama-spm",
    };
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char path[200];

    for (int i = 0; i < ALL; i++) {
        struct io_map in, out;
        uint32_t want[4096];
        const char *p, *next, *q;
        size_t n;

        if (!names[i])
            continue;
        snprintf(path, sizeof path, "data/tokenizers/vectors/llama.cpp/ggml-vocab-%s.gguf.inp", names[i]);
        in = map(path);
        snprintf(path, sizeof path, "data/tokenizers/vectors/llama.cpp/ggml-vocab-%s.gguf.out", names[i]);
        out = map(path);
        p = (const char *)in.data;
        q = (const char *)out.data;
        models[i].ran = models[i].differ = 0;
        while (p && (next = memmem(p, in.size - (size_t)(p - (const char *)in.data), separator, sizeof separator - 1))) {
            q = read_ids(q, (const char *)out.data + out.size, want, &n);
            compare(&models[i], p, (size_t)(next - p), want, n);
            p = next + sizeof separator - 1;
        }
        OKF(models[i].ran == 46 && !models[i].differ, "%s: %d texts, %d differ", folders[i], models[i].ran, models[i].differ);
        io_unmap(&in);
        io_unmap(&out);
    }
}

/* Lines of JSON: {"text","ids"}, of a named model or of one. */
static void test_lines(const char *name, const char *model, int k, int least)
{
    struct io_map m = map(name);
    struct arena a;
    struct err err;

    arena_init(&a);
    models[k].ran = models[k].differ = 0;
    for (const char *p = (const char *)m.data, *end = p + m.size, *eol; p < end; p = eol + 1) {
        const struct json_value *v;
        const char *of = NULL;

        eol = memchr(p, '\n', (size_t)(end - p));
        eol = eol ? eol : end;
        arena_reset(&a);
        v = json_tree(&a, p, (size_t)(eol - p), name, &err);
        json_get_str(v, "model", NULL, &of, name, &err);
        if (v && (!model || (of && strcmp(of, model) == 0)) && !json_get(v, "text_pair"))
            compare_json(&models[k], json_get(v, "text"), json_get(v, "ids"));
    }
    OKF(models[k].ran >= least && !models[k].differ, "%s %s: %d texts, %d differ", name, model ? model : "", models[k].ran,
        models[k].differ);
    arena_release(&a);
    io_unmap(&m);
}

static void test_swift(void)
{
    static const struct {
        const char *file, *member, *text, *ids;
        int model;
    } rows[] = {
        { "tokenizer_tests.json", "distilgpt2", "input", NULL, GPT2 },
        { "tokenizer_tests.json", "pcuenq/Llama-3.2-1B-Instruct-tokenizer", "input", NULL, LLAMA3 },
        { "gpt2_encoded_tokens.json", NULL, "text", "token_ids", GPT2 },
        { "tokenizer_tests.json", "coreml-projects/Llama-2-7b-chat-coreml", "input", NULL, LLAMA2 },
        { "tokenizer_tests.json", "t5-base", "input", NULL, T5 },
        { "llama_3.2_encoded.json", NULL, "text", "token_ids", LLAMA3 },
    };
    char path[200];
    struct arena a;
    struct err err;

    arena_init(&a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model *m = &models[rows[i].model];
        const struct json_value *v;
        struct io_map file;

        snprintf(path, sizeof path, "data/tokenizers/vectors/swift/%s", rows[i].file);
        file = map(path);
        v = json_tree(&a, file.data, file.size, path, &err);
        m->ran = m->differ = 0;
        if (!rows[i].member)
            compare_json(m, json_get(v, rows[i].text), json_get(v, rows[i].ids));
        else if (json_get(v, rows[i].member))
            for (v = json_get(v, rows[i].member)->child; v; v = v->next)
                compare_json(m, json_get(v, rows[i].text), json_get(json_get(v, "encoded"), "input_ids"));
        OKF(m->ran == (rows[i].member ? 18 : 1) && !m->differ, "%s: %d texts, %d differ", path, m->ran, m->differ);
        io_unmap(&file);
    }
    arena_release(&a);
}

/* Encodings of tiktoken: blocks of three lines, and a source file with its ids. */
static void test_tiktoken(const char *name, int k, int plans_n, const char *file)
{
    struct io_map plans = map("data/tokenizers/vectors/gpt-tokenizer_TestPlans.txt");
    struct io_map source = map("data/tokenizers/vectors/ms_lib.rs.txt"), ids = map(file);
    static const char middle[] = "\nEncoded: ";
    const char *p = (const char *)plans.data, *end = p + plans.size, *text;
    uint32_t *want = xmalloc((ids.size + 4096) * sizeof *want);
    struct model *m = &models[k];
    char head[60];
    size_t n, head_n = (size_t)snprintf(head, sizeof head, "EncodingName: %s\nSample: ", name);

    m->ran = m->differ = 0;
    while (p && (p = memmem(p, (size_t)(end - p), head, head_n))) {
        text = p + head_n;
        p = memmem(text, (size_t)(end - text), middle, sizeof middle - 1);
        read_ids(p + 1, end, want, &n);
        compare(m, text, (size_t)(p - text), want, n);
    }
    OKF(m->ran == plans_n && !m->differ, "%s: %d texts, %d differ", name, m->ran, m->differ);
    read_ids((const char *)ids.data, (const char *)ids.data + ids.size, want, &n);
    m->differ = 0;
    compare(m, (const char *)source.data, source.size, want, n);
    OK(n > 1000 && !m->differ);
    free(want);
    io_unmap(&plans);
    io_unmap(&source);
    io_unmap(&ids);
}

/* Files of one vocabulary have one fingerprint. */
static void test_same_fingerprint(int a, int b)
{
    OKF(memcmp(tokenizer_info(models[a].t)->fingerprint, tokenizer_info(models[b].t)->fingerprint, 32) == 0, "%s, %s", folders[a],
        folders[b]);
}

static int base64(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *d = c ? strchr(digits, c) : NULL;

    return d ? (int)(d - digits) : -1;
}

/* The same vocabulary as lines "base64 rank", in the order of ranks, has the same fingerprint. */
static void test_fingerprint(const char *name, int k)
{
    struct io_map file = map(name);
    struct hash_sha256 h;
    uint8_t digest[32];
    uint32_t rank = 0;

    hash_sha256_init(&h);
    for (const char *p = (const char *)file.data, *end = p + file.size; p < end; p++, rank++) {
        uint8_t bytes[512];
        uint32_t n = 0, bits = 0;

        for (int i = 0, d; p < end && (d = base64(*p)) >= 0; p++, i++) {
            bits = bits << 6 | (uint32_t)d;
            if (i % 4)
                bytes[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
        }
        while (p < end && *p != '\n')
            p++;
        for (int i = 0; i < 2; i++) {
            uint32_t v = i ? n : rank;

            hash_sha256_add(&h, (uint8_t[]){ (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) }, 4);
        }
        hash_sha256_add(&h, bytes, n);
    }
    hash_sha256_end(&h, digest);
    OKF(rank > 1000 && memcmp(digest, tokenizer_info(models[k].t)->fingerprint, 32) == 0, "%s: %u tokens", name, rank);
    io_unmap(&file);
}

/* decode(encode(x)) is x, or its normal form. */
static void round_trip(struct model *m, const char *text, size_t n)
{
    static char *back, *normal;
    static size_t back_cap, normal_cap;
    size_t used = 0, len;
    struct err err;

    m->ids.n = 0;
    m->ran++;
    if (tokenizer_encode(m->e, text, n, TOKENIZER_SPECIAL_NONE, &m->ids, &err) < 0)
        m->differ++;
    for (size_t i = 0; i < m->ids.n; i++) {
        const char *bytes = tokenizer_bytes(m->t, m->ids.v[i], &len);

        mem_grow(&back, &back_cap, used + len, 1);
        memcpy(back + used, bytes, len);
        used += len;
    }
    if (m == &models[QWEN]) {
        n = nfc_normalise(text, n, &normal, &normal_cap);
        text = normal;
    }
    m->differ += used != n || memcmp(back, text, n) != 0;
}

static int walk(const char *path, const struct stat *st, int kind)
{
    struct source *s = source_new(&(struct source_options){ 0 }, &(char *){ (char *)(uintptr_t)path }, 1);
    struct source_block b = { 0 };
    struct source_doc d;
    char *text = NULL;
    size_t cap = 0, n;
    struct err err;
    int rc;

    (void)st;
    while (kind == FTW_F && source_read(s, &b, &err) == 1)
        while ((rc = source_next(&b, &d, &err)) != 0) {
            if (rc < 0)
                continue;
            mem_grow(&text, &cap, d.text.n + 1, 1);
            n = source_text(&d, text);
            for (int i = 0; i < MODELS; i++)
                round_trip(&models[i], text, n);
        }
    source_block_free(&b);
    source_free(s);
    free(text);
    return 0;
}

static void test_corpora(void)
{
    char root[4096];

    for (int i = 0; i < MODELS; i++)
        models[i].ran = models[i].differ = 0;
    snprintf(root, sizeof root, "%s", tap_shared("data/corpora"));
    ftw(root, walk, 16);
    for (int i = 0; i < MODELS; i++)
        OKF(models[i].ran > 900 && !models[i].differ, "%s: %d texts, %d differ", folders[i], models[i].ran, models[i].differ);
}

static void test_shared(void)
{
    char path[200];
    struct err err;

    if (!tap_shared("data/tokenizers/gpt2/tokenizer.json")) {
        SKIP("published tokenizers", "../shared is absent");
        return;
    }
    for (int i = 0; i < ALL; i++) {
        snprintf(path, sizeof path, "data/tokenizers/%s", folders[i]);
        models[i].t = tokenizer_open(tap_shared(path), &err);
        if (!models[i].t)
            die("%s", err.msg);
        models[i].e = tokenizer_encoder_new(models[i].t);
        OK(i >= MODELS || strcmp(tokenizer_info(models[i].t)->pattern_name, i == GPT2 ? "gpt2" : i == LLAMA3 ? "llama3" : "qwen2") == 0);
    }
    test_llama_cpp();
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/gpt2", GPT2, 26);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "openai-community/gpt2", GPT2, 26);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/llama3-tokenizer", LLAMA3, 37);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/llama3-tokenizer-new", LLAMA3, 37);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/Qwen1.5-0.5B-Chat", QWEN, 25);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/llama-tokenizer", LLAMA2, 37);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/deepseek-coder-1.3b-instruct", CODER, 37);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "Xenova/t5-small", T5, 29);
    test_lines("data/tokenizers/vectors/tokenizers.js.jsonl", "google-t5/t5-small", T5, 29);
    test_lines("data/tokenizers/vectors/qwen2.5_golden_subset.jsonl", NULL, QWEN, 12);
    test_swift();
    test_tiktoken("r50k_base", GPT2, 64, "data/tokenizers/vectors/ms_tokens_gpt2.json");
    test_tiktoken("r50k_base", GPT2_RANKS, 64, "data/tokenizers/vectors/ms_tokens_gpt2.json");
    test_tiktoken("cl100k_base", CL100K, 64, "data/tokenizers/vectors/ms_tokens_gpt_3.5_turbo.json");
    test_tiktoken("o200k_base", O200K, 57, "data/tokenizers/vectors/ms_tokens_gpt_4o.json");
    test_fingerprint("data/tokenizers/gpt2/gpt2.tiktoken", GPT2);
    test_fingerprint("data/tokenizers/llama3.1/tokenizer.model", LLAMA3);
    test_fingerprint("data/tokenizers/qwen2.5/qwen.tiktoken", QWEN);
    test_same_fingerprint(GPT2, GPT2_RANKS);
    test_same_fingerprint(GPT2, GPT2_ENCODER);
    test_same_fingerprint(GPT2, GPT2_GGUF);
    test_same_fingerprint(LLAMA3, LLAMA3_RANKS);
    test_same_fingerprint(QWEN, QWEN_RANKS);
    test_same_fingerprint(QWEN, QWEN_VOCAB);
    test_same_fingerprint(LLAMA2, LLAMA2_GGUF);
    test_same_fingerprint(LLAMA2, LLAMA2_MODEL);
    test_same_fingerprint(T5, T5_MODEL);
    test_same_fingerprint(MISTRAL, MISTRAL_MODEL);
    test_corpora();
    for (int i = 0; i < ALL; i++) {
        tokenizer_encoder_free(models[i].e);
        tokenizer_free(models[i].t);
        free(models[i].ids.v);
    }
}

/* A tokenizer of the bytes a, b, c and a few merges, with one part changed. */
#define PRE "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define DECODER "\"decoder\":{\"type\":\"ByteLevel\"}"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"\\u0120\":5,\"\\u0120a\":9}"
#define MODEL "\"model\":{" VOCAB ",\"merges\":[\"a b\",[\"\\u0120\",\"a\"]]}"
#define FILE_OF(added, rest) "{\"added_tokens\":[" added "]," rest "}"
#define ADDED(content, flags) "{\"id\":77,\"content\":\"" content "\"" flags "}"

static const struct {
    const char *json, *config, *want; /* a word of the message; NULL: it opens */
} files[] = {
    { FILE_OF("", PRE "," DECODER "," MODEL), NULL, NULL },
    { "", NULL, "x: not a tokenizer" },
    { "[]", NULL, "x: not a tokenizer" },
    { "IQ== 0\n", NULL, "--pattern NAME|REGEX" },
    { "{,", NULL, "byte 1: " },
    { "{}", NULL, "there is no model" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{}"), NULL, "model: there is no vocab" },
    { FILE_OF("", PRE "," DECODER ",\"model\":[]"), NULL, "not an object" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{\"vocab\":{}}"), NULL, "there are no merges" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}"), NULL, "'a' has no id" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{\"vocab\":{\"a\":4000000000},\"merges\":[]}"), NULL, "id 4000000000 is above" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{\"vocab\":{\"a\":1,\"b\":1},\"merges\":[]}"), NULL, "two tokens have the id 1" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[\"ab\"]}"), NULL, "merge 0: not two strings with a space" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[\"a b c\"]}"), NULL, "merge 0: not two strings with a space" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[\"a\\u0020b c\"]}"), NULL, "merge 0: not two strings with a space" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[\"\\u0023version b\",\"b a\"]}"), NULL,
      "merge 0: 'ba' is not in the vocabulary" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[[\"a\"]]}"), NULL, "merge 0: not two strings" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[1]}"), NULL, "merge 0: not two strings" },
    { FILE_OF("", PRE "," DECODER ",\"model\":{" VOCAB ",\"merges\":[\"b a\"]}"), NULL, "merge 0: 'ba' is not in the vocabulary" },
    { FILE_OF("", DECODER "," MODEL), NULL, NULL },
    { FILE_OF("", PRE "," MODEL), NULL, NULL },
    { FILE_OF("", PRE "," MODEL ",\"decoder\":{\"type\":\"x\"}"), NULL, "decoder: type 'x' is not supported" },
    { FILE_OF("", PRE "," MODEL ",\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\"}"), NULL, "content is not one character" },
    { FILE_OF("", MODEL ",\"normalizer\":{\"type\":\"Sequence\"}"), NULL, "a Sequence without normalizers" },
    { FILE_OF("", MODEL ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}"), NULL, "normalizer: Replace: " },
    { FILE_OF("", MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"?\"}"), NULL, "not base64" },
    { FILE_OF("", MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"x\"}"), NULL, "behavior 'x' is not supported" },
    { FILE_OF("", MODEL ",\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":0}"), NULL, "length 0 is not positive" },
    { FILE_OF("{}", PRE "," DECODER "," MODEL), NULL, "there is no content" },
    { FILE_OF(ADDED("x", ",\"special\":3"), PRE "," DECODER "," MODEL), NULL, "special" },
    { FILE_OF(ADDED("x", ""), PRE "," DECODER "," MODEL), "{\"added_tokens_decoder\":{\"9\":{\"content\":\"y\"}}}",
      "added token 'y' has the id 7, not 9" },
    { FILE_OF(ADDED("x", ""), PRE "," DECODER "," MODEL), "{\"added_tokens_decoder\":{\"7\":{\"content\":\"y\"}}}", NULL },
    { FILE_OF(ADDED("x", ""), PRE "," DECODER "," MODEL), "{", "tokenizer_config.json" },
    { FILE_OF("", PRE "," DECODER "," MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
              "[{\"SpecialToken\":{\"id\":[]}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"x\":{\"ids\":[1]}}}"), NULL,
      "a special token without ids" },
    { FILE_OF("", PRE "," DECODER "," MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
              "[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"x\":{\"ids\":[1.5]}}}"), NULL,
      "'1.5' is not an id" },
    { FILE_OF("", PRE "," DECODER "," MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"), NULL,
      "a template without the text" },
    { FILE_OF("", PRE "," DECODER "," MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
              "[{\"SpecialToken\":{\"id\":\"x\"}},{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"x\":{\"ids\":[10]}}}"), NULL,
      "'10' is not an id" },
};

static void test_files(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct err err = { "" };
        struct tokenizer *t = tokenizer_parse(files[i].json, strlen(files[i].json), files[i].config,
                                              files[i].config ? strlen(files[i].config) : 0, "x", &err);

        OKF(!t == !!files[i].want && (t || strstr(err.msg, files[i].want)), "%zu: %s", i, err.msg);
        tokenizer_free(t);
    }
}

/* Ids by hand: the vocabulary's own, the next free ones, holes; what config and template say. */
static void test_ids(void)
{
    static const char json[] = FILE_OF(ADDED("x", "") "," ADDED("ab", ",\"special\":true") "," ADDED("y", ",\"special\":true"),
        PRE "," DECODER "," MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"p\"}},"
        "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"s\"}}],\"special_tokens\":{\"p\":{\"ids\":[6,5]},\"s\":{\"ids\":[7]}}}");
    static const char config[] = "{\"bos_token\":\"y\",\"eos_token\":{\"content\":\"ab\"},\"pad_token\":null}";
    struct err err = { "" };
    struct tokenizer *t = tokenizer_parse(json, sizeof json - 1, config, sizeof config - 1, "x", &err);
    const struct tokenizer_info *info = t ? tokenizer_info(t) : NULL;
    struct tokenizer_encoder *e = t ? tokenizer_encoder_new(t) : NULL;
    struct tokenizer_ids ids = { 0 };
    size_t n = 0;

    if (!OK(t != NULL))
        return;
    OK(info->vocab_size == 10);
    OK(tokenizer_id(t, "x", 1) == 6 && tokenizer_id(t, "ab", 2) == 3 && tokenizer_id(t, "y", 1) == 7);
    OK(tokenizer_id(t, "\xc4\xa0", 2) == 5 && tokenizer_id(t, "q", 1) == TOKENIZER_NONE);
    OK(info->bos == 7 && info->eos == 3 && info->pad == TOKENIZER_NONE);
    OK(info->n_prefix == 2 && info->prefix[0] == 6 && info->prefix[1] == 5 && info->n_suffix == 1 && info->suffix[0] == 7);
    OK(memcmp(tokenizer_bytes(t, 5, &n), " ", 1) == 0 && n == 1);
    OK(!tokenizer_bytes(t, 4, &n) && !tokenizer_bytes(t, 10, &n) && !tokenizer_bytes(t, UINT32_MAX, &n));
    OK(tokenizer_is_special(t, 3) && !tokenizer_is_special(t, 6) && !tokenizer_is_special(t, 0));
    OK(tokenizer_encode(e, "abx ay", 6, TOKENIZER_SPECIAL_PARSE, &ids, &err) == 0 && ids.n == 4 &&
       memcmp(ids.v, (uint32_t[]){ 3, 6, 9, 7 }, 16) == 0);
    OK(tokenizer_encode(e, "ab", 2, TOKENIZER_SPECIAL_NONE, &ids, &err) == 0 && ids.n == 5 && ids.v[4] == 3);
    OK(tokenizer_encode(e, "xab", 3, TOKENIZER_SPECIAL_ERROR, &ids, &err) < 0 && ids.n == 5 && strstr(err.msg, "'ab'"));
    OK(tokenizer_encode(e, "aq", 2, TOKENIZER_SPECIAL_NONE, &ids, &err) < 0 && ids.n == 5 && strstr(err.msg, "0x71"));
    OK(tokenizer_encode(e, "a\xff", 2, TOKENIZER_SPECIAL_NONE, &ids, &err) < 0 && strstr(err.msg, "byte 1: invalid UTF-8"));
    free(ids.v);
    tokenizer_encoder_free(e);
    tokenizer_free(t);
}

/* Merges are the same however the file spells them: as its vocabulary does, or in another way. */
static void test_spellings(void)
{
#define SPELLED(vocab, merges) FILE_OF("", PRE "," DECODER ",\"model\":{\"vocab\":{" vocab "},\"merges\":[" merges "]}")
    static const char *const spelled[] = {
        SPELLED("\"a\":0,\"\u0120\":1,\"\u0120a\":2,\"aa\":3", "\"\u0120 a\",\"a a\""),
        SPELLED("\"a\":0,\"\\u0120\":1,\"\\u0120a\":2,\"aa\":3", "\"\\u0120 a\",\"a a\""),
        SPELLED("\"a\":0,\"\\u0120\":1,\"\\u0120a\":2,\"aa\":3", "\"\u0120 a\",\"a a\""),
        SPELLED("\"a\":0,\"\u0120\":1,\"\u0120a\":2,\"aa\":3", "\"\\u0120 \\u0061\",\"a\\u0020a\""),
        SPELLED("\"a\":0,\"\u0120\":1,\"\u0120a\":2,\"aa\":3", "[\"\\u0120\",\"a\"],[\"a\",\"a\"]"),
        SPELLED("\"aa\":3,\"\u0120a\":2,\"a\":0,\"\u0120\":1", "\"\u0120 a\",[\"a\",\"\\u0061\"]"),
    };

    for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++) {
        struct err err = { 0 };
        struct tokenizer *t = tokenizer_parse(spelled[i], strlen(spelled[i]), NULL, 0, "x", &err);
        struct tokenizer_encoder *e = t ? tokenizer_encoder_new(t) : NULL;
        struct tokenizer_ids ids = { 0 };

        if (OK(t != NULL)) /* " a" before "aa" */
            OK(tokenizer_encode(e, "aa aaa", 6, TOKENIZER_SPECIAL_NONE, &ids, &err) == 0 && ids.n == 3 &&
               memcmp(ids.v, (uint32_t[]){ 3, 2, 3 }, 12) == 0);
        else
            printf("# %zu: %s\n", i, err.msg);
        free(ids.v);
        tokenizer_encoder_free(e);
        tokenizer_free(t);
    }
}

/* A piece is cut between characters of three bytes unless a token has what is on both sides of it. */
static void test_cuts(void)
{
    struct bytecut *b = xcalloc(1, sizeof *b);

    bytecut_add(b, "\u4e2d\u6587", 6);
    bytecut_add(b, "\x87\xe5", 2);         /* of the end of U+6587, and all that begins with 0xe5 */
    bytecut_add(b, " \u8a9e", 4);
    OK(bytecut_end(b, "\u4e2d\u6587\u4e2d", 9, 0) == 6 && bytecut_end(b, "\u4e2d\u6587\u4e2d", 9, 6) == 9);
    OK(bytecut_end(b, "\u6587\u4e2d", 6, 0) == 3);
    OK(bytecut_end(b, "\u6587\u5b57", 6, 0) == 6);         /* e6 96 87 | e5 ad 97 */
    OK(bytecut_end(b, "a\u8a9e\u8a9e\u8a9e", 10, 0) == 4); /* not behind the letter */
    OK(bytecut_end(b, "\xe4\xe4\xe4\xe4\xe4\xe4", 6, 0) == 3 && bytecut_end(b, "\xe4\x80", 2, 0) == 2);
    free(b);
}

int main(void)
{
    test_files();
    test_spellings();
    test_cuts();
    test_ids();
    test_shared();
    return tap_done();
}
