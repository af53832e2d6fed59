/* GGUF vocabularies: the keys tokenizer.ggml.* made into a tokenizer.json ("gpt2"), a SentencePiece model ("llama", "t5")
 * or a vocab.txt ("bert").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/format/gguf.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/tokenizer/tokenizer_family.h"
#include "libcommon/tokenizer/tokenizer_load.h"

#define KEY(name) "tokenizer.ggml." name
#define NO_ID UINT64_MAX
#define MOST ((uint64_t)TOKENIZER_MAX_ID) /* tokens */

/* Tokens that have a part in tokenizer_config.json, by their id. */
enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, ROLES };

static const char *const roles[ROLES][2] = {
    { KEY("bos_token_id"), "bos_token" },       { KEY("eos_token_id"), "eos_token" },
    { KEY("unknown_token_id"), "unk_token" },   { KEY("seperator_token_id"), "sep_token" },
    { KEY("padding_token_id"), "pad_token" },   { KEY("cls_token_id"), "cls_token" },
    { KEY("mask_token_id"), "mask_token" },
};

struct vocab {
    const struct tokenizer_source *source;
    struct err *err;
    struct gguf file;
    const struct gguf_pair *tokens, *types, *scores;
    struct gguf_string model, pre;
    uint64_t role[ROLES];
    bool add_bos, add_eos;
    bool own_added; /* user-defined tokens are added ones, not the model's */
    struct tokenizer_text made, config; /* what the file becomes, and its tokenizer_config.json */
};

static enum spm_type type_of(const struct vocab *v, uint64_t id)
{
    double type = v->types ? gguf_number(v->types, id) : SPM_NORMAL;

    return type >= SPM_NORMAL && type <= SPM_BYTE ? (enum spm_type)type : SPM_NORMAL;
}

static int open_vocab(struct vocab *v)
{
    static const struct gguf_string none = { "", 0 };
    const char *name = v->source->name;

    if (gguf_get_string(&v->file, KEY("model"), none, &v->model, name, v->err) < 0 ||
        gguf_get_string(&v->file, KEY("pre"), none, &v->pre, name, v->err) < 0 ||
        gguf_get_array(&v->file, KEY("tokens"), GGUF_STRING, &v->tokens, name, v->err) < 0 ||
        gguf_get_array(&v->file, KEY("token_type"), GGUF_I32, &v->types, name, v->err) < 0 ||
        gguf_get_array(&v->file, KEY("scores"), GGUF_F32, &v->scores, name, v->err) < 0)
        return -1;
    if (!v->tokens)
        return err_set(v->err, "%s: no vocabulary: there is no " KEY("tokens"), name);
    if (v->tokens->n > MOST)
        return err_set(v->err, "%s: " KEY("tokens") ": %llu tokens, more than %llu", name, (unsigned long long)v->tokens->n,
                       (unsigned long long)MOST);
    if ((v->types && v->types->n < v->tokens->n) || (v->scores && v->scores->n < v->tokens->n))
        return err_set(v->err, "%s: fewer types or scores than tokens", name);
    for (int i = 0; i < ROLES; i++) {
        if (gguf_get_uint(&v->file, roles[i][0], NO_ID, &v->role[i], name, v->err) < 0)
            return -1;
        if (v->role[i] >= v->tokens->n) /* 2^32 - 1 in some files: none */
            v->role[i] = NO_ID;
    }
    return 0;
}

/* The next token, of which the id is given; -1: it is no UTF-8. */
static int next_token(struct vocab *v, size_t *at, uint64_t id, char room[32], struct gguf_string *s)
{
    *s = gguf_next_string(&v->file, v->tokens, at);
    if (!s->n) /* as llama.cpp calls it */
        *s = (struct gguf_string){ room, (size_t)snprintf(room, 32, "[EMPTY_%llu]", (unsigned long long)id) };
    return utf8_valid(s->s, s->n) == s->n ? 0 : err_set(v->err, "%s: token %llu: invalid UTF-8", v->source->name, (unsigned long long)id);
}

static void put_key(struct tokenizer_text *out, const char *before, struct gguf_string s, const char *behind)
{
    tokenizer_puts(out, before);
    tokenizer_put_quoted(out, s.s, s.n);
    tokenizer_puts(out, behind);
}

/* tokenizer_config.json: the roles, what is added, and the added tokens. */
static int put_config(struct vocab *v)
{
    struct tokenizer_text *out = &v->config;
    struct gguf_string s, role[ROLES];
    const char *before = "";
    char room[32], text[64];
    size_t at = 0;

    tokenizer_puts(out, "{\"added_tokens_decoder\":{");
    for (uint64_t id = 0; id < v->tokens->n; id++) {
        enum spm_type type = type_of(v, id);

        if (next_token(v, &at, id, room, &s) < 0)
            return -1;
        for (int i = 0; i < ROLES; i++)
            if (v->role[i] == id)
                role[i] = s;
        if (type != SPM_CONTROL && type != SPM_UNKNOWN && !(v->own_added && type == SPM_USER_DEFINED))
            continue;
        snprintf(text, sizeof text, "%s\"%llu\":{\"content\":", before, (unsigned long long)id);
        put_key(out, text, s, type != SPM_USER_DEFINED ? ",\"special\":true}" : ",\"special\":false,\"normalized\":false}");
        before = ",";
    }
    tokenizer_puts(out, "}");
    for (int i = 0; i < ROLES; i++) {
        if (v->role[i] == NO_ID)
            continue;
        snprintf(text, sizeof text, ",\"%s\":", roles[i][1]);
        put_key(out, text, role[i], "");
    }
    tokenizer_puts(out, v->add_bos ? ",\"add_bos_token\":true" : ",\"add_bos_token\":false");
    tokenizer_puts(out, v->add_eos ? ",\"add_eos_token\":true" : ",\"add_eos_token\":false");
    tokenizer_puts(out, "}");
    return 0;
}

/* ---- "gpt2": tokenizer.json ---- */

static int put_merges(struct vocab *v, const struct gguf_pair *merges)
{
    size_t at = 0;

    for (uint64_t i = 0; i < merges->n; i++) {
        struct gguf_string s = gguf_next_string(&v->file, merges, &at), right;
        const char *blank = s.n > 1 ? memchr(s.s + 1, ' ', s.n - 1) : NULL;

        if (!blank || utf8_valid(s.s, s.n) < s.n)
            return err_set(v->err, "%s: merge %llu: not two strings of UTF-8 with a space between", v->source->name, (unsigned long long)i);
        right = (struct gguf_string){ blank + 1, (size_t)(s.s + s.n - blank - 1) };
        s.n = (size_t)(blank - s.s);
        put_key(&v->made, i ? ",[" : "[", s, ",");
        put_key(&v->made, "", right, "]");
    }
    return 0;
}

static int make_bpe(struct vocab *v)
{
    struct tokenizer_text *out = &v->made;
    struct tokenizer_family room;
    const struct tokenizer_family *f;
    const struct gguf_pair *merges;
    const char *name = v->source->name, *before = "";
    struct gguf_string s;
    char text[64];
    size_t at = 0;

    if (!v->pre.n && !v->source->pattern)
        return err_set(v->err, "%s: there is no " KEY("pre") ", which names the pattern: --pattern NAME|REGEX", name);
    f = v->source->pattern ? tokenizer_family_of(v->source->pattern, &room, v->err) : tokenizer_family_named(v->pre.s, v->pre.n);
    if (!f)
        return v->source->pattern ? -1 : err_set(v->err, "%s: " KEY("pre") " '%.*s' is not known: --pattern NAME|REGEX", name,
                                                 (int)(v->pre.n < 100 ? v->pre.n : 100), v->pre.s);
    if (gguf_get_array(&v->file, KEY("merges"), GGUF_STRING, &merges, name, v->err) < 0)
        return -1;
    if (!merges)
        return err_set(v->err, "%s: there is no " KEY("merges"), name);
    v->add_bos = f->bos;
    v->own_added = true;
    tokenizer_puts(out, "{");
    tokenizer_put_family(f, out);
    tokenizer_puts(out, f->whole ? "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{" : "\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (uint64_t id = 0; id < v->tokens->n; id++) {
        enum spm_type type = type_of(v, id);

        if (next_token(v, &at, id, text, &s) < 0)
            return -1;
        if (type == SPM_CONTROL || type == SPM_UNKNOWN || type == SPM_USER_DEFINED)
            continue;
        put_key(out, before, s, ":");
        tokenizer_put(out, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)id));
        before = ",";
    }
    tokenizer_puts(out, "},\"merges\":[");
    if (put_merges(v, merges) < 0)
        return -1;
    tokenizer_puts(out, "]}}");
    return 0;
}

/* ---- "llama", "t5": ModelProto ---- */

static void put_varint(struct tokenizer_text *out, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        tokenizer_put(out, &(char){ (char)(n | 0x80) }, 1);
    tokenizer_put(out, &(char){ (char)n }, 1);
}

static void put_number(struct tokenizer_text *out, unsigned field, uint64_t n)
{
    put_varint(out, field << 3);
    put_varint(out, n);
}

static void put_bytes(struct tokenizer_text *out, unsigned field, const char *s, size_t n)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, n);
    tokenizer_put(out, s, n);
}

static int put_pieces(struct vocab *v, bool *fallback)
{
    struct tokenizer_text piece = { 0 };
    struct gguf_string s;
    char room[32];
    size_t at = 0;
    int rc = 0;

    for (uint64_t id = 0; id < v->tokens->n && rc == 0; id++) {
        enum spm_type type = type_of(v, id);
        float score = v->scores ? (float)gguf_number(v->scores, id) : 0;
        char bits[4];

        rc = next_token(v, &at, id, room, &s);
        memcpy(bits, &score, 4);
        piece.n = 0;
        put_bytes(&piece, 1, s.s, s.n);
        put_varint(&piece, 2 << 3 | 5);
        tokenizer_put(&piece, bits, 4);
        put_number(&piece, 3, type);
        put_bytes(&v->made, 1, piece.v, piece.n);
        *fallback |= type == SPM_BYTE;
    }
    free(piece.v);
    return rc;
}

static int make_spm(struct vocab *v)
{
    bool t5 = v->model.n == 2, prefix, squeeze, fallback = false;
    struct tokenizer_text spec = { 0 };
    const struct gguf_pair *map = gguf_get(&v->file, KEY("precompiled_charsmap"));
    const char *name = v->source->name;

    if (gguf_get_bool(&v->file, KEY("add_space_prefix"), true, &prefix, name, v->err) < 0 ||
        gguf_get_bool(&v->file, KEY("remove_extra_whitespaces"), t5, &squeeze, name, v->err) < 0 || put_pieces(v, &fallback) < 0)
        return -1;
    v->add_bos = !t5;
    v->add_eos = t5;
    put_number(&spec, 3, t5 ? SPM_UNIGRAM : SPM_BPE);
    put_number(&spec, 35, fallback);
    put_bytes(&v->made, 2, spec.v, spec.n);
    spec.n = 0;
    if (map && map->type == GGUF_ARRAY && (map->of == GGUF_U8 || map->of == GGUF_I8))
        put_bytes(&spec, 2, (const char *)map->data, (size_t)map->n);
    put_number(&spec, 3, prefix);
    put_number(&spec, 4, squeeze);
    put_number(&spec, 5, true);
    put_bytes(&v->made, 3, spec.v, spec.n);
    free(spec.v);
    return 0;
}

/* ---- "bert": vocab.txt ---- */

static int make_words(struct vocab *v)
{
    struct gguf_string s;
    char room[32];
    size_t at = 0;

    for (uint64_t id = 0; id < v->tokens->n; id++) {
        bool bracketed, begins;

        if (next_token(v, &at, id, room, &s) < 0)
            return -1;
        if (memchr(s.s, '\n', s.n))
            return err_set(v->err, "%s: token %llu has a line feed", v->source->name, (unsigned long long)id);
        bracketed = s.n > 1 && *s.s == '[' && s.s[s.n - 1] == ']';
        begins = s.n > 3 && memcmp(s.s, "\xe2\x96\x81", 3) == 0; /* a word; what does not continues one */
        tokenizer_puts(&v->made, bracketed || begins ? "" : "##");
        tokenizer_put(&v->made, s.s + 3 * begins, s.n - 3 * (size_t)begins);
        tokenizer_puts(&v->made, "\n");
    }
    return 0;
}

/* A vocabulary by tokenizer.ggml.model. */
static const struct kind {
    const char *model;
    int (*make)(struct vocab *v);
    int (*load)(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
    bool patterned; /* has a pattern, by tokenizer.ggml.pre */
} kinds[] = {
    { "gpt2", make_bpe, tokenizer_load, true },
    { "llama", make_spm, tokenizer_load_spm, false },
    { "t5", make_spm, tokenizer_load_spm, false },
    { "bert", make_words, tokenizer_load_words, false },
};

static int load(struct tokenizer *t, struct vocab *v)
{
    const struct kind *k = NULL;
    struct tokenizer_source made = { .name = v->source->name, .given_ids = true, .cache = v->source->cache };

    if (open_vocab(v) < 0)
        return -1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i].model) == v->model.n && memcmp(kinds[i].model, v->model.s, v->model.n) == 0)
            k = &kinds[i];
    if (!k)
        return err_set(v->err, "%s: " KEY("model") " '%.*s' is not supported", made.name,
                       (int)(v->model.n < 100 ? v->model.n : 100), v->model.s);
    if (v->source->pattern && !k->patterned)
        return err_set(v->err, "%s: a pattern is given, but a vocabulary '%s' has none", made.name, k->model);
    if (k->make(v) < 0 || gguf_get_bool(&v->file, KEY("add_bos_token"), v->add_bos, &v->add_bos, made.name, v->err) < 0 ||
        gguf_get_bool(&v->file, KEY("add_eos_token"), v->add_eos, &v->add_eos, made.name, v->err) < 0 || put_config(v) < 0)
        return -1;
    made.data = v->made.v ? v->made.v : ""; /* of no tokens */
    made.n = v->made.n;
    made.config = v->config.v;
    made.config_n = v->config.n;
    made.rust = v->source->pattern && !tokenizer_family_named(v->source->pattern, strlen(v->source->pattern));
    return k->load(t, &made, v->err);
}

int tokenizer_load_gguf(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    struct vocab v = { .source = s, .err = err };
    int rc = gguf_parse(&v.file, s->data, s->n, s->name, err);

    if (rc == 0)
        rc = load(t, &v);
    gguf_release(&v.file);
    free(v.made.v);
    free(v.config.v);
    return rc;
}
