/* tokenizer_find.h - what Split and Replace look for: a string or a regular expression. */
#ifndef LIBCOMMON_TOKENIZER_TOKENIZER_FIND_H
#define LIBCOMMON_TOKENIZER_TOKENIZER_FIND_H

#include "libcommon/tokenizer/tokenizer_load.h"

struct tokenizer_find;

struct tokenizer_matches {
    struct tokenizer_match {
        size_t from, to;
        bool match; /* or what is between matches */
    } *v;
    size_t n, cap;
};
/* The "pattern" of v, and with "content" what Replace puts in its place.  NULL on error. */
struct tokenizer_find *tokenizer_parse_pattern(struct tokenizer_loader *l, const char *part, const struct json_value *v);
struct tokenizer_find *tokenizer_parse_replace(struct tokenizer_loader *l, const char *part, const struct json_value *v);
void tokenizer_pattern_free(void *p);
/* Append the text with its matches replaced; *first as in tokenizer_in.h. */
int tokenizer_replace(const struct tokenizer_find *p, const char *text, size_t n, size_t *first, struct tokenizer_text *out,
                      struct err *err);
/* Does it replace this string by that? */
bool tokenizer_replaces(const struct tokenizer_find *p, const char *from, const char *to);
/* Append what covers the text: matches and what is between them. */
int tokenizer_matches(const struct tokenizer_find *p, const char *text, size_t n, struct tokenizer_matches *out, struct err *err);
/* The same for single characters. */
void tokenizer_char_matches(bool (*is)(uint32_t cp, uint32_t arg), uint32_t arg, const char *text, size_t n,
                            struct tokenizer_matches *out);

#endif
