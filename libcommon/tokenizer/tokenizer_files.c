/* The files of tokenizers before tokenizer.json, as transformers makes one of them: GPT-2's vocabulary and merges, BERT's
 * vocab.txt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/tokenizer_family.h"
#include "libcommon/tokenizer/tokenizer_load.h"

/* What a text of JSON is made of. */
struct making {
    struct tokenizer_text json;
    struct arena arena;
    const struct json_value *config, *vocab;
};

/* The tokens that a class calls special by itself, as tokenizer_config.json names them. */
enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, ROLES };

static const char *const roles[ROLES] = { "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token" };

/* Byte-level BPE by the class; the first is that of files which name none. */
static const struct class {
    const char *names; /* without Tokenizer, TokenizerFast */
    const char *pattern;
    const char *token[ROLES]; /* cls in front of a text and sep behind it, where it has both */
} classes[] = {
    { "GPT2 Whisper CodeGen", "gpt2", { "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", NULL, NULL, NULL, NULL } },
    { "Qwen2", "qwen2", { NULL, "<|endoftext|>", "<|endoftext|>", NULL, "<|endoftext|>", NULL, NULL } },
    { "Roberta Bart Longformer", "gpt2", { "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>" } },
};

static const char *const bert_tokens[ROLES] = { NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]" };

bool tokenizer_is_vocab(const struct tokenizer_source *s)
{
    return s->merges && tokenizer_is_json(s);
}

bool tokenizer_is_words(const struct tokenizer_source *s)
{
    size_t n = strlen(s->name);

    return n >= 9 && strcmp(s->name + n - 9, "vocab.txt") == 0;
}

static int begin(struct making *m, const struct tokenizer_source *s, struct err *err)
{
    arena_init(&m->arena);
    return tokenizer_config_tree(s, &m->arena, &m->config, err);
}

static int end(struct making *m, struct tokenizer *t, const struct tokenizer_source *s, int rc, struct err *err)
{
    struct tokenizer_source json = *s;

    json.data = m->json.v;
    json.n = m->json.n;
    if (rc == 0)
        rc = tokenizer_load(t, &json, err);
    free(m->json.v);
    arena_release(&m->arena);
    return rc;
}

/* A token of the config, a string or an object with its content, or else the class's; NULL: none of the vocabulary. */
static const struct json_value *role(const struct making *m, int i, const char *const *token)
{
    const struct json_value *v = json_get(m->config, roles[i]);
    const char *s = token[i];

    if (v && v->type == JSON_OBJECT)
        v = json_get(v, "content");
    if (v)
        s = v->type == JSON_STRING ? v->str : NULL;
    v = s ? json_get(m->vocab, s) : NULL;
    return v && v->type == JSON_NUMBER ? v : NULL;
}

static void put_token(struct making *m, const char *before, const struct json_value *v)
{
    tokenizer_puts(&m->json, before);
    tokenizer_put_quoted(&m->json, v->key, v->key_len);
}

/* The special tokens, then what cls and sep do. */
static void put_special(struct making *m, const char *const *token)
{
    const struct json_value *cls = token[CLS] ? role(m, CLS, token) : NULL, *sep = token[SEP] ? role(m, SEP, token) : NULL;
    bool any = false;

    tokenizer_puts(&m->json, "\"added_tokens\":[");
    for (int i = 0; i < ROLES; i++) {
        const struct json_value *v = role(m, i, token);

        if (!v)
            continue;
        put_token(m, any ? ",{\"content\":" : "{\"content\":", v);
        /* <mask> of the byte-level classes takes the space before it */
        tokenizer_puts(&m->json, i == MASK && token != bert_tokens ? ",\"special\":true,\"lstrip\":true}" : ",\"special\":true}");
        any = true;
    }
    tokenizer_puts(&m->json, "],");
    if (!cls || !sep)
        return;
    put_token(m, "\"post_processor\":{\"type\":\"BertProcessing\",\"cls\":[", cls);
    tokenizer_puts(&m->json, ",");
    tokenizer_puts(&m->json, cls->str);
    put_token(m, "],\"sep\":[", sep);
    tokenizer_puts(&m->json, ",");
    tokenizer_puts(&m->json, sep->str);
    tokenizer_puts(&m->json, "]},");
}

static bool flag(const struct making *m, const char *key, bool dflt)
{
    const struct json_value *v = json_get(m->config, key);

    return v && (v->type == JSON_TRUE || v->type == JSON_FALSE) ? v->type == JSON_TRUE : dflt;
}

/* NULL: it is none of them, and how it cuts its text is not known. */
static const struct class *class_of(const struct making *m, const struct tokenizer_source *s, struct err *err)
{
    const struct json_value *v = json_get(m->config, "tokenizer_class");
    const char *name = v && v->type == JSON_STRING ? v->str : NULL, *found = name ? strstr(name, "Tokenizer") : NULL;

    for (size_t i = 0; found && i < sizeof classes / sizeof *classes; i++)
        if (tokenizer_has_word(classes[i].names, name, (size_t)(found - name)))
            return &classes[i];
    if (!name || s->pattern)
        return &classes[0];
    err_set(err, "%s: tokenizer_config.json: tokenizer_class '%.100s' is not known: how does it cut text?  (a pattern is to be given)",
            s->name, name);
    return NULL;
}

/* Lines "left right" as an array of strings; blank ones and "#version" are left out. */
static int put_merges(struct making *m, const struct tokenizer_source *s, struct err *err)
{
    const char *p = s->merges, *stop = p + s->merges_n, *before = "";
    size_t valid = utf8_valid(p, s->merges_n);

    if (valid < s->merges_n) {
        char *name = tokenizer_merges_path(s->name);

        err_set(err, "%s: byte %zu: invalid UTF-8", name ? name : s->name, valid);
        free(name);
        return -1;
    }
    tokenizer_puts(&m->json, "\"merges\":[");
    for (const char *eol; p < stop; p = eol + 1) {
        size_t n;

        eol = memchr(p, '\n', (size_t)(stop - p));
        eol = eol ? eol : stop;
        n = (size_t)(eol - p);
        n -= n && p[n - 1] == '\r';
        if (!n || (n >= 8 && memcmp(p, "#version", 8) == 0))
            continue;
        tokenizer_puts(&m->json, before);
        tokenizer_put_quoted(&m->json, p, n);
        before = ",";
    }
    tokenizer_puts(&m->json, "]");
    return 0;
}

static int make_vocab_merges(struct making *m, const struct tokenizer_source *s, struct err *err)
{
    const struct class *class = class_of(m, s, err);
    struct tokenizer_family room;
    const struct tokenizer_family *f = class ? tokenizer_family_of(s->pattern ? s->pattern : class->pattern, &room, err) : NULL;

    if (!f)
        return -1;
    m->vocab = json_tree(&m->arena, s->data, s->n, s->name, err);
    if (!m->vocab)
        return -1;
    tokenizer_puts(&m->json, "{");
    put_special(m, class->token);
    if (flag(m, "add_prefix_space", false) && !s->pattern)
        tokenizer_puts(&m->json, "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},\"decoder\":{\"type\":\"ByteLevel\"},");
    else
        tokenizer_put_family(f, &m->json);
    tokenizer_puts(&m->json, "\"model\":{\"type\":\"BPE\",");
    if (put_merges(m, s, err) < 0)
        return -1;
    tokenizer_puts(&m->json, ",\"vocab\":");
    tokenizer_put(&m->json, s->data, s->n);
    tokenizer_puts(&m->json, "}}");
    return 0;
}

int tokenizer_load_vocab_merges(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    struct making m = { 0 };
    int rc = begin(&m, s, err);

    return end(&m, t, s, rc < 0 ? rc : make_vocab_merges(&m, s, err), err);
}

/* Lines as an object of their numbers, from 0. */
static int put_words(struct making *m, const struct tokenizer_source *s, struct err *err)
{
    const char *p = s->data, *stop = p + s->n, *before = "{";
    size_t valid = utf8_valid(p, s->n);
    char id[24];

    if (valid < s->n)
        return err_set(err, "%s: byte %zu: invalid UTF-8", s->name, valid);
    for (size_t number = 0; p < stop; number++) {
        const char *eol = memchr(p, '\n', (size_t)(stop - p));
        size_t n = (size_t)((eol ? eol : stop) - p);

        tokenizer_puts(&m->json, before);
        tokenizer_put_quoted(&m->json, p, n - (n && p[n - 1] == '\r'));
        snprintf(id, sizeof id, ":%zu", number);
        tokenizer_puts(&m->json, id);
        before = ",";
        p = eol ? eol + 1 : stop;
    }
    tokenizer_puts(&m->json, *before == ',' ? "}" : "{}");
    return 0;
}

static int make_words(struct making *m, const struct tokenizer_source *s, struct err *err)
{
    const struct json_value *accents = json_get(m->config, "strip_accents");
    static const char *const values[] = { "false", "true" };
    struct { const char *key, *value; } settings[] = {
        { "{\"type\":\"BertNormalizer\",\"clean_text\":", "true" },
        { ",\"handle_chinese_chars\":", values[flag(m, "tokenize_chinese_chars", true)] },
        { ",\"lowercase\":", values[flag(m, "do_lower_case", true)] },
        { ",\"strip_accents\":", accents && accents->type != JSON_NULL ? values[accents->type == JSON_TRUE] : "null" },
    };
    size_t from;

    tokenizer_puts(&m->json, "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":");
    from = m->json.n;
    if (put_words(m, s, err) < 0)
        return -1;
    m->vocab = json_tree(&m->arena, m->json.v + from, m->json.n - from, s->name, err);
    if (!m->vocab)
        return -1;
    tokenizer_puts(&m->json, "},");
    put_special(m, bert_tokens);
    tokenizer_puts(&m->json, "\"normalizer\":");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        tokenizer_puts(&m->json, settings[i].key);
        tokenizer_puts(&m->json, settings[i].value);
    }
    tokenizer_puts(&m->json, "},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}}");
    return 0;
}

int tokenizer_load_words(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    struct making m = { 0 };
    int rc = begin(&m, s, err);

    return end(&m, t, s, rc < 0 ? rc : make_words(&m, s, err), err);
}
