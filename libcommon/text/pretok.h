/* pretok.h - cut text into the pieces that a BPE model merges within, by a pattern.
 *
 * A pattern is a regular expression in Oniguruma's syntax, as tokenizer.json holds it (Split,
 * Isolated), or the name of a known one.  The known ones, recognised by name or by their exact string,
 * have a hand-written scanner; the others run through text/regex.h.  Pieces and gaps cover the text:
 * what no alternative matches is a piece as well.  A struct pretok is read-only and shared by threads.
 */
#ifndef LIBCOMMON_TEXT_PRETOK_H
#define LIBCOMMON_TEXT_PRETOK_H

#include <stddef.h>

#include "libcommon/base/err.h"

struct pretok;

/* pattern is copied.  NULL: the pattern is not one, with its place. */
struct pretok *pretok_open(const char *pattern, size_t n, struct err *err);
void pretok_free(struct pretok *p);
/* "gpt2", "llama3", "qwen2" ...: it has a hand-written scanner; NULL: it has none. */
const char *pretok_name(const struct pretok *p);
/* The regular expression as tokenizer.json holds it. */
const char *pretok_pattern(const struct pretok *p);

/* The end of the piece that begins at `at` < n, in text[0..n) of valid UTF-8.  (size_t)-1 on error: a
 * regular expression took more steps than regex.h allows. */
size_t pretok_next(const struct pretok *p, const char *text, size_t n, size_t at, struct err *err);

#endif
