/* tokenizer_in.h - what the files of tokenizer.h share: a tokenizer as five tables.
 *
 * Text goes through a list of normalizers, is cut by a list of pre-tokenizing steps, and of each piece a model
 * makes ids; a list of decoders makes text of tokens, and post-processors say what stands around a text.  Each
 * is a row keyed by the "type" of tokenizer.json, whose parse() takes the arguments; a Sequence is a longer list.
 * What a row keeps lives in the tokenizer's arena, or is freed by its release().
 */
#ifndef LIBCOMMON_TOKENIZER_TOKENIZER_IN_H
#define LIBCOMMON_TOKENIZER_TOKENIZER_IN_H

#include "libcommon/base/arena.h"
#include "libcommon/tokenizer/tokenizer.h"

#define TOKENIZER_MAX_ID ((1u << 21) - 2) /* as bpe.h packs them */

struct border;
struct image;
struct pretok;
struct report;
struct json_value;
struct tokenizer_loader;

/* One step of a list. */
struct tokenizer_step {
    const struct tokenizer_step_row *row;
    void *args; /* what its parse() made, or NULL */
};

struct tokenizer_steps {
    struct tokenizer_step *v;
    size_t n, cap;
};

/* Pieces of a text. */
struct tokenizer_spans {
    struct tokenizer_span {
        size_t from, to;
    } *v;
    size_t n, cap;
};

/* Strings one behind the other. */
struct tokenizer_strings {
    struct tokenizer_text text;
    size_t *end;
    size_t n, cap;
    bool ill; /* U+FFFD stands for bytes that were no character */
};

/* A normalizer has rewrite(), a pre-tokenizing step rewrite() or cut() or both, in that order, a decoder decode(). */
struct tokenizer_step_row {
    const char *type;
    /* Append the step, or what else it takes, by tokenizer_add_step(). */
    int (*parse)(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v);
    /* 1: the text, or the piece, is now that in out (which was empty); 0: it stays; -1.  *first: how many bytes of it
     * stand for the first character of what is encoded. */
    int (*rewrite)(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err);
    /* Append the pieces, none of them empty, of a text that is not empty. */
    int (*cut)(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err);
    /* Make another list of strings of one.  inner: each stands by itself within a text, and makes one. */
    void (*decode)(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out);
    void (*release)(void *args); /* may be NULL */
};

struct tokenizer_post_row {
    const char *type;
    int (*parse)(struct tokenizer_loader *l, const struct json_value *v); /* adds to info's prefix and suffix */
};

/* A model: a vocabulary and how it makes ids of a piece. */
struct tokenizer_model_row {
    const char *type, *description;
    bool takes_bytes; /* not the characters that spell them */
    /* Take the model's object.  1: this row is not for that file, another of the same type may be; -1. */
    int (*parse)(struct tokenizer_loader *l, const char *json, size_t n);
    void (*release)(void *model);
    /* As bytes, and back: *model NULL before, to be released then (image.h).  NULL: it is made as fast from its file. */
    void (*image)(void **model, struct image *i);
    void *(*scratch_new)(const void *model); /* one thread's; both may be NULL */
    void (*scratch_free)(void *scratch);
    /* Where a piece may be cut before encode() takes its parts (border.h), or NULL: nowhere; may be NULL. */
    const struct border *(*border)(const void *model);
    /* Append the ids of a piece of n >= 1 bytes, maybe none. */
    int (*encode)(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err);
    uint32_t (*id)(const void *model, const char *s, size_t n); /* by spelling; TOKENIZER_NONE */
    /* The token of an id, or NULL.  *bytes: these are its bytes, not the characters that spell them. */
    const char *(*token)(const void *model, uint32_t id, size_t *n, bool *bytes);
    bool (*is_added)(const void *model, uint32_t id); /* would tokenizer.json have it among its added tokens?  May be NULL */
    /* Append the text of ids; NULL: the list of decoders does it. */
    void (*decode)(const void *model, const uint32_t *ids, size_t n, struct tokenizer_text *out);
    void (*report)(const void *model, struct report *r); /* may be NULL */
};

struct tokenizer_added {
    /* In the tokenizer's arena.  shown: what decoders take; bytes: what ByteLevel makes of that. */
    const char *content, *shown, *bytes;
    size_t n, shown_n, bytes_n;
    uint32_t id;
    bool special, normalized, single_word, lstrip, rstrip;
    bool was_normalized; /* in one of its entries: where decoders do not take all as they are they go by that */
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
    int only_first;  /* all begin with it; or -1 */
    bool plain;      /* is one not special? */
};

struct tokenizer {
    struct tokenizer_info info;
    struct arena arena;
    struct tokenizer_steps normalizer, pretokenizer, decoder;
    const struct tokenizer_model_row *model;
    void *model_data;
    size_t n_tokens; /* of the model */
    uint32_t n_ids;  /* highest id of the model + 1 */
    bool any_bytes;  /* a text need not be UTF-8 */
    /* All that normalizers do is to put U+2581 for each space, and one in front: done for what the cache does not know. */
    bool bars, bar_first;
    bool spelled;    /* pieces come in the byte alphabet, and the model takes bytes */
    struct tokenizer_added *added; /* ascending by id */
    size_t n_added, added_cap;
    struct tokenizer_strings *decoded; /* of all ids, as they stand within a text; NULL: the model's bytes */
    struct tokenizer_text described[4]; /* what the file says of normalizer, pre_tokenizer, post_processor, decoder */
    struct tokenizer_set raw, normal; /* found before and after normalisation */
};

/* The rows; tokenizer_load.c looks them up by type. */
extern const struct tokenizer_step_row tokenizer_normalizers[], tokenizer_pretokenizers[], tokenizer_decoders[];
extern const int tokenizer_n_normalizers, tokenizer_n_pretokenizers, tokenizer_n_decoders;
extern const struct tokenizer_post_row tokenizer_posts[];
extern const int tokenizer_n_posts;
extern const struct tokenizer_model_row tokenizer_byte_bpe, tokenizer_rank_bpe, tokenizer_char_bpe, tokenizer_unigram, tokenizer_word_piece,
    tokenizer_word_level;

/* The struct pretok of a step that cuts by one alone, or NULL: the encoder takes its pieces many at a time. */
const struct pretok *tokenizer_step_pretok(const struct tokenizer_step *s);
/* Does it search for a regular expression? */
bool tokenizer_step_is_regex(const struct tokenizer_step *s);
/* Do pieces come to the model in the byte alphabet? */
bool tokenizer_byte_level(const struct tokenizer *t);
/* For a model that takes bytes: without the mapping where it comes last, else t->spelled. */
void tokenizer_drop_mapping(struct tokenizer *t);
/* Text through the normalizers: *out is text itself, or room->v; its length into *n.  *first as above.  -1 on error. */
int tokenizer_normalise(const struct tokenizer *t, const char *text, size_t *n, size_t *first, const char **out,
                        struct tokenizer_text room[2], struct err *err);

/* Fill t->decoded where it is needed. */
void tokenizer_decode_all(struct tokenizer *t);
void tokenizer_put_string(struct tokenizer_strings *list, const char *s, size_t n);
void tokenizer_strings_release(struct tokenizer_strings *list);

/* Append n bytes; the characters that spell them; the bytes that characters of the byte alphabet spell, or false. */
void tokenizer_put(struct tokenizer_text *out, const char *s, size_t n);
void tokenizer_puts(struct tokenizer_text *out, const char *s);
/* The same in quotes as JSON has it; UTF-8. */
void tokenizer_put_quoted(struct tokenizer_text *out, const char *s, size_t n);
void tokenizer_spell(const char *s, size_t n, struct tokenizer_text *out);
bool tokenizer_unspell(const char *s, size_t n, struct tokenizer_text *out);

/* Make the sets from t->added.  Decoders take tokens with normalized:true as the normalizers make them, as huggingface/tokenizers
 * 0.23.2 has them, or all as they are, as transformers. */
int tokenizer_make_sets(struct tokenizer *t, bool as_is, struct err *err);
/* The next token of the set in text[0..n) at or behind `from`, leftmost, then longest: its place and index; or
 * NULL. */
const struct tokenizer_pattern *tokenizer_find(const struct tokenizer_set *set, const char *text, size_t n, size_t from,
                                               size_t *at);
/* The added token of an id, or NULL. */
const struct tokenizer_added *tokenizer_added_token(const struct tokenizer *t, uint32_t id);

#endif
