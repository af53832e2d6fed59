/* tokenizer_in.h - what the files of tokenizer.h share. */
#ifndef LIBCOMMON_TEXT_TOKENIZER_IN_H
#define LIBCOMMON_TEXT_TOKENIZER_IN_H

#include "libcommon/base/arena.h"
#include "libcommon/text/bpe.h"
#include "libcommon/text/pretok.h"
#include "libcommon/text/tokenizer.h"

struct tokenizer_added {
    const char *content; /* in the tokenizer's arena */
    size_t n;
    uint32_t id;
    bool special, normalized, single_word, lstrip, rstrip;
};

/* What to look for in a text: added tokens, ascending by their bytes. */
struct tokenizer_set {
    struct tokenizer_pattern {
        const char *s;
        size_t n;
        const struct tokenizer_added *token;
    } *v;
    size_t n;
    bool first[256]; /* does one begin with that byte? */
    bool plain;      /* is one not special? */
};

struct tokenizer {
    struct tokenizer_info info;
    struct arena arena;
    struct bpe bpe;
    struct pretok *pretok;
    bool nfc;
    struct tokenizer_added *added; /* ascending by id */
    size_t n_added, added_cap;
    struct tokenizer_set raw, normal; /* found before and after normalisation */
};

/* Fill t from the bytes of tokenizer.json, and of tokenizer_config.json where config is not NULL. */
int tokenizer_load(struct tokenizer *t, const void *json, size_t n, const void *config, size_t config_n,
                   const char *name, struct err *err);

/* Make the sets from t->added. */
void tokenizer_make_sets(struct tokenizer *t);
/* The next token of the set in text[0..n) at or behind `from`, leftmost, then longest: its place and index; or
 * NULL. */
const struct tokenizer_pattern *tokenizer_find(const struct tokenizer_set *set, const char *text, size_t n, size_t from,
                                               size_t *at);
/* The added token of an id, or NULL. */
const struct tokenizer_added *tokenizer_added_token(const struct tokenizer *t, uint32_t id);

#endif
