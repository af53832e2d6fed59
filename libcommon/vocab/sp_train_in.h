/* sp_train_in.h - between the files of sp_train. */
#ifndef LIBCOMMON_VOCAB_SP_TRAIN_IN_H
#define LIBCOMMON_VOCAB_SP_TRAIN_IN_H

#include "libcommon/vocab/bpe_train_in.h"
#include "libcommon/text/charsmap.h"
#include "libcommon/text/script.h"
#include "libcommon/vocab/sp_train.h"
#include "libcommon/text/trie.h"

#define SP_SPACE "\xe2\x96\x81" /* U+2581, three bytes */
#define SP_SPACE_CP 0x2581
#define SP_BREAK '\t'     /* stands in a word for a symbol that is given */
#define SP_LINE_END '\n'  /* ends the last word of a sentence (Unigram) */
#define SP_BREAK_CHAR BPE_TRAIN_NONE

struct sp_counter {
    struct bpe_train_words *words;
    char *text; /* normalised */
    size_t cap;
    uint64_t too_long, with_reserved;
};

/* A piece that is not learnt. */
struct sp_given {
    const char *s;
    int32_t id;
    enum sp_type type;
    bool named; /* by control_symbols, user_defined_symbols or byte_fallback */
};

struct sp_train {
    const struct sp_train_options *o;
    char *map_blob;
    size_t map_size;
    struct charsmap map; /* n is 0: identity */
    bool plain[128];     /* ASCII that no rule begins with, before more of it */
    struct sp_given *given;
    size_t n_given;
    char byte_names[256][8];
    struct trie symbols; /* all that is given */
    bool first[256];     /* bytes that one begins with */
    struct sp_counter *counter;
    int n_counters;
    uint32_t *required; /* characters, by falling count */
    uint64_t *required_count;
    size_t n_required;
    uint32_t *rank; /* of a code point in `required`, or SP_BREAK_CHAR */
    struct sp_piece *piece;
    size_t n_pieces;
    struct bpe_train *tokens; /* spelling of what is learnt */
    uint32_t *learnt;         /* in `tokens`, best first */
    float *score;
    size_t n_learnt;
};

/* The words of all threads in one table, t->counter[0].words; required characters and ranks. */
int sp_train_alphabet(struct sp_train *t, struct err *err);

/* What a string of characters may be a piece of, worked out step by step. */
struct sp_shape {
    uint16_t n;         /* characters */
    uint16_t spaces;    /* of them U+2581 */
    int16_t first, last; /* script of the first and the last character that has one; SP_ANY */
    bool any;           /* does one have? */
    bool digit;         /* is one a decimal digit? */
    bool ends_in_space;
};
#define SP_ANY (-1)
struct sp_shape sp_shape_of(const struct sp_train_options *o, uint32_t cp);
/* Two strings that are pieces: is what they spell together one? */
bool sp_shape_join(const struct sp_train_options *o, const struct sp_shape *a, const struct sp_shape *b,
                   struct sp_shape *joined);

int sp_train_bpe(struct sp_train *t, struct err *err);
int sp_train_unigram(struct sp_train *t, struct par *par, struct err *err);

#endif
