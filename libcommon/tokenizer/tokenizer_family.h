/* tokenizer_family.h - how families of byte-level BPE cut their text, by name. */
#ifndef LIBCOMMON_TOKENIZER_TOKENIZER_FAMILY_H
#define LIBCOMMON_TOKENIZER_TOKENIZER_FAMILY_H

#include "libcommon/tokenizer/tokenizer_in.h"

#define TOKENIZER_FAMILY_STEPS 7

struct tokenizer_family {
    const char *names;                        /* blanks between them */
    const char *step[TOKENIZER_FAMILY_STEPS]; /* regular expressions, or pre-tokenizers of tokenizer.json: "{..." */
    bool nfc;   /* the text is normalised */
    bool whole; /* a piece that is a token is that token, whatever the merges say */
    bool bos;   /* a GGUF file that does not say so begins texts with its BOS */
    bool given; /* step[0] is not of this table */
};

/* Is it one of the words, which have blanks between them? */
bool tokenizer_has_word(const char *words, const char *s, size_t n);
/* NULL: there is none of that name. */
const struct tokenizer_family *tokenizer_family_named(const char *s, size_t n);
/* The same; an expression, which is borrowed, becomes a family in *room.  NULL: it is neither. */
const struct tokenizer_family *tokenizer_family_of(const char *pattern, struct tokenizer_family *room, struct err *err);
/* Append its normalizer, pre_tokenizer and decoder, each with a comma behind it, as tokenizer.json has them. */
void tokenizer_put_family(const struct tokenizer_family *f, struct tokenizer_text *json);

#endif
