/* tokenizer_load.h - what the parse() functions of tokenizer_in.h's rows share. */
#ifndef LIBCOMMON_TOKENIZER_TOKENIZER_LOAD_H
#define LIBCOMMON_TOKENIZER_TOKENIZER_LOAD_H

#include "libcommon/format/json.h"
#include "libcommon/tokenizer/tokenizer_in.h"

/* A file as it is given; the bytes are borrowed. */
struct tokenizer_cache;
struct tokenizer_source {
    const char *name; /* for messages; its last part may tell what the file is */
    const void *data;
    size_t n;
    const void *config; /* tokenizer_config.json, or NULL */
    size_t config_n;
    const void *merges; /* the file beside a vocabulary, or NULL */
    size_t merges_n;
    const char *pattern; /* of --pattern, or NULL */
    /* Beside a tokenizer.json that a loader made of another file: */
    const void *ranks; /* of the model "ranks" */
    size_t ranks_n;
    bool given_ids; /* the ids of added tokens are those beside them */
    bool rust;      /* regular expressions are in Rust's syntax */
    struct tokenizer_cache *cache; /* tokenizer_cache.h; NULL: neither from there nor to it */
};

/* What the parse() functions share. */
struct tokenizer_loader {
    struct tokenizer *t;
    const struct tokenizer_source *source;
    const char *name;
    struct err *err;
    struct arena scratch; /* until the file is loaded */
    char *text[2];        /* unescaped strings */
    size_t text_cap[2];
    /* The members of the model's object, which are most of the file. */
    const char *model; /* where its value begins; NULL: it is no object */
    struct tokenizer_member {
        struct json_raw key;
        const char *s;
        size_t n;
    } *member;
    size_t n_members, member_cap;
};

/* A loader: the files that are its own, and what fills t from one. */
struct tokenizer_format {
    const char *name;
    const char *file;   /* what such a file is looked for by in a directory, whatever it holds; NULL: it depends */
    bool takes_pattern; /* the file has none itself */
    bool (*is)(const struct tokenizer_source *s);
    int (*load)(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
};

bool tokenizer_is_json(const struct tokenizer_source *s);
bool tokenizer_is_ranks(const struct tokenizer_source *s);
bool tokenizer_is_vocab(const struct tokenizer_source *s);
bool tokenizer_is_words(const struct tokenizer_source *s);
bool tokenizer_is_tekken(const struct tokenizer_source *s);
int tokenizer_load(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
int tokenizer_load_spm(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
int tokenizer_load_ranks(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
int tokenizer_load_gguf(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
int tokenizer_load_vocab_merges(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
int tokenizer_load_words(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
int tokenizer_load_tekken(struct tokenizer *t, const struct tokenizer_source *s, struct err *err);
/* By that loader.  NULL on error. */
struct tokenizer *tokenizer_load_by(int (*load)(struct tokenizer *t, const struct tokenizer_source *s, struct err *err),
                                    const struct tokenizer_source *s, struct err *err);
/* By the loader of the file.  NULL on error. */
struct tokenizer *tokenizer_parse_source(const struct tokenizer_source *s, struct err *err);
/* The loader of a file; NULL: it is none. */
const struct tokenizer_format *tokenizer_format_of(const struct tokenizer_source *s);
/* The tree of tokenizer_config.json, to *config; NULL where there is none. */
int tokenizer_config_tree(const struct tokenizer_source *s, struct arena *keep, const struct json_value **config, struct err *err);
/* What loaders end with: tokenizer_config.json's tree, or NULL; the fingerprint. */
void tokenizer_load_config(struct tokenizer_loader *l, const struct json_value *config);

/* The last part of a path. */
const char *tokenizer_base_name(const char *path);
/* The path of the merges that belong to a vocabulary, by how its name ends, whether they are there or not; free().  NULL: it has
 * no such name. */
char *tokenizer_merges_path(const char *file);

/* Do the normalizers put U+2581 for each space, and nothing else but one in front (*first)? */
bool tokenizer_only_bars(const struct tokenizer_steps *list, bool *first);

/* Bytes of one value of an object. */
struct tokenizer_part {
    const char *name;
    const char *s; /* NULL: the file has none */
    size_t n;
    bool model; /* keep its members, as tokenizer_split() is asked for them */
};

/* Find the members of the object that are named in part[]; each other one goes to `other`, if that is given. */
int tokenizer_split(struct tokenizer_loader *l, const char *s, size_t n, struct tokenizer_part *part, int n_parts,
                    int (*other)(struct tokenizer_loader *l, struct json *j));
/* The vocabulary of a model, an object of ids by string. */
struct lexicon;
int tokenizer_load_vocab(struct tokenizer_loader *l, const struct tokenizer_part *p, struct lexicon *vocab);
/* A string of the file, unescaped, borrowed until the next one with the same k (0 or 1). */
const char *tokenizer_string(struct tokenizer_loader *l, const struct json_raw *raw, int k, size_t *n);
/* The "type" of an object, or "". */
const char *tokenizer_type(const struct json_value *v);
/* "name: part: type 'x' is not supported"; -1. */
int tokenizer_unsupported(struct tokenizer_loader *l, const char *part, const struct json_value *v);
/* Append a step as lminfo shows it: its type and arguments. */
void tokenizer_describe(const struct json_value *v, struct tokenizer_text *out);
/* What a Sequence of no decoders is: without any, tokens have a blank between them. */
void tokenizer_add_fuse(struct tokenizer_steps *decoders);
void tokenizer_add_step(struct tokenizer_steps *list, const struct tokenizer_step_row *row, void *args);

struct merges_pair;

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
    int (*add_merges)(void *model, struct merges_pair *p, size_t n, struct err *err); /* by ids: merges_add_all() */
};

/* The settings and parts of the model's object; then its tokens and merges, to b->model. */
int tokenizer_bpe_open(struct tokenizer_loader *l, const char *json, size_t n, struct tokenizer_bpe *b);
int tokenizer_bpe_load(struct tokenizer_loader *l, struct tokenizer_bpe *b);

/* The tokens of source->ranks to a model. */
struct bpe;
int tokenizer_read_ranks(struct tokenizer_loader *l, struct bpe *b);

int tokenizer_parse_precompiled(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v);

/* The file's list of added tokens, then what transformers adds from the config's added_tokens_decoder, by id. */
int tokenizer_load_added(struct tokenizer_loader *l, const struct json_value *list, const struct json_value *config);

#endif
