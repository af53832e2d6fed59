/* tokenize.h - a document to its tokens, and tokens to text, as lmtokenize does it.
 *
 * A struct tokenize is one thread's: the encoder with its cache, and the last result.
 */
#ifndef LIBCOMMON_DATA_TOKENIZE_H
#define LIBCOMMON_DATA_TOKENIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/data/source.h"
#include "libcommon/data/stream.h"
#include "libcommon/tokenizer/tokenizer.h"

/* What becomes of a document without tokens (those of prefix and suffix count): */
enum tokenize_empty {
    TOKENIZE_BOUNDARY, /* no sequence, and no eod */
    TOKENIZE_DROP,     /* one whose text is empty is left out, before anything is added */
    TOKENIZE_EOD,      /* its eod alone */
};

struct tokenize_options {
    const struct tokenizer *tokenizer; /* NULL: ids, never text */
    bool ids;                          /* documents are lines of ids */
    uint32_t limit;                    /* ids are below it */
    const uint32_t *prefix, *suffix;   /* put around each document */
    int n_prefix, n_suffix;
    uint32_t eod;                      /* put behind a document that has tokens, or TOKENIZER_NONE */
    int empty, special;                /* enum tokenize_empty, tokenizer_special */
    bool replace;                      /* of tokens that are no UTF-8: U+FFFD, else it is an error */
};

/* The fields of the header of a stream of such documents, but for the text, from what is known of the
 * tokenizer (all TOKENIZER_NONE and 0 without one). */
void tokenize_header(const struct tokenize_options *o, const struct tokenizer_info *info, struct stream_header *h);

/* Were the tokens made by this tokenizer?  An error names both, by name and tokenizer, as paths.  A stream that knows
 * of none, or not how many tokens there are, is not held against it. */
int tokenize_check(const struct stream_header *h, const char *name, const struct tokenizer_info *info, const char *tokenizer,
                   struct err *err);

struct tokenize {
    const struct tokenize_options *o; /* borrowed */
    struct tokenizer_encoder *encoder;
    struct tokenizer_ids ids; /* the tokens of the document */
    struct tokenizer_ids kept; /* those that are written as text */
    bool none;                /* it has no sequence */
    char *text;               /* the text of the tokens, text_n bytes of valid UTF-8 */
    size_t text_n, text_cap;
};

void tokenize_init(struct tokenize *t, const struct tokenize_options *o);
void tokenize_release(struct tokenize *t);

/* The tokens of a document into t->ids.  1; 0: it is left out; -1: an error. */
int tokenize_doc(struct tokenize *t, const struct source_doc *d, struct err *err);

/* The text of n tokens into t->text.  Special tokens are left out (TOKENIZER_SPECIAL_NONE), written as they
 * are spelled (PARSE), or errors. */
int tokenize_text(struct tokenize *t, const uint32_t *v, size_t n, struct err *err);
/* The same for a line of ids. */
int tokenize_ids_text(struct tokenize *t, const char *line, size_t n, struct err *err);

#endif
