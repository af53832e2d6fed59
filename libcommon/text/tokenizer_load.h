/* tokenizer_load.h - what the parse() functions of tokenizer_in.h's rows share. */
#ifndef LIBCOMMON_TEXT_TOKENIZER_LOAD_H
#define LIBCOMMON_TEXT_TOKENIZER_LOAD_H

#include "libcommon/format/json.h"
#include "libcommon/text/tokenizer_in.h"

/* What the parse() functions share. */
struct tokenizer_loader {
    struct tokenizer *t;
    const char *name;
    struct err *err;
    struct arena scratch; /* until the file is loaded */
    char *text[2];        /* unescaped strings */
    size_t text_cap[2];
};

/* Fill t from the bytes of tokenizer.json, and of tokenizer_config.json where config is not NULL. */
int tokenizer_load(struct tokenizer *t, const void *json, size_t n, const void *config, size_t config_n,
                   const char *name, struct err *err);

/* The same for the bytes of a SentencePiece .model. */
int tokenizer_load_spm(struct tokenizer *t, const void *data, size_t n, const void *config, size_t config_n,
                       const char *name, struct err *err);
/* What both end with: tokenizer_config.json's tree, or NULL; the fingerprint. */
void tokenizer_load_config(struct tokenizer_loader *l, const struct json_value *config);

/* The tokenizer of a directory, or the file path itself, into name, which has room for n > strlen(path) + 20. */
const char *tokenizer_file(const char *path, char *name, size_t n);

/* Do the normalizers put U+2581 for each space, and nothing else but one in front (*first)? */
bool tokenizer_only_bars(const struct tokenizer_steps *list, bool *first);

/* Bytes of one value of an object. */
struct tokenizer_part {
    const char *name;
    const char *s; /* NULL: the file has none */
    size_t n;
};

/* Find the members of the object that are named in part[]; each other one goes to `other`, if that is given. */
int tokenizer_split(struct tokenizer_loader *l, const char *s, size_t n, struct tokenizer_part *part, int n_parts,
                    int (*other)(struct tokenizer_loader *l, struct json *j));
/* The vocabulary of a model, an object of ids by string. */
struct lexicon;
int tokenizer_load_vocab(struct tokenizer_loader *l, const struct tokenizer_part *p, struct lexicon *vocab);
/* The last string of j, unescaped, borrowed until the next one with the same k (0 or 1). */
const char *tokenizer_string(struct tokenizer_loader *l, const struct json *j, int k, size_t *n);
/* The "type" of an object, or "". */
const char *tokenizer_type(const struct json_value *v);
/* "name: part: type 'x' is not supported"; -1. */
int tokenizer_unsupported(struct tokenizer_loader *l, const char *part, const struct json_value *v);
/* Append a step as lminfo shows it: its type and arguments. */
void tokenizer_describe(const struct json_value *v, struct tokenizer_text *out);
void tokenizer_add_step(struct tokenizer_steps *list, const struct tokenizer_step_row *row, void *args);

/* A model "BPE": what the file says, and what takes its tokens and merges. */
struct tokenizer_bpe {
    bool byte_fallback, fuse_unk, has_unk, whole;
    const char *unk, *prefix, *suffix; /* in the loader's scratch; "" for none */
    size_t unk_n, prefix_n, suffix_n;
    const char *vocab, *merges; /* their bytes */
    size_t vocab_n, merges_n;
    void *model;
    int (*add)(void *model, const char *s, size_t n, uint64_t id, struct err *err);
    int (*index)(void *model, struct err *err); /* all tokens are there */
    int (*add_merge)(void *model, const char *left, size_t left_n, const char *right, size_t right_n, struct err *err);
};

/* The settings and parts of the model's object; then its tokens and merges, to b->model. */
int tokenizer_bpe_open(struct tokenizer_loader *l, const char *json, size_t n, struct tokenizer_bpe *b);
int tokenizer_bpe_load(struct tokenizer_loader *l, struct tokenizer_bpe *b);

int tokenizer_parse_precompiled(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v);

/* The file's list of added tokens, then what transformers adds from the config's added_tokens_decoder, by id. */
int tokenizer_load_added(struct tokenizer_loader *l, const struct json_value *list, const struct json_value *config);

#endif
