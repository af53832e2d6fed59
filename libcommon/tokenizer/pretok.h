/* pretok.h - cut text into the pieces that a BPE model merges within, by a pattern.
 *
 * A pattern is a regular expression in Oniguruma's syntax, as tokenizer.json holds it (Split,
 * Isolated), or the name of a known one.  The known ones, recognised by name or by their exact string,
 * have a hand-written scanner; the others run through text/regex.h.  Pieces and gaps cover the text:
 * what no alternative matches is a piece as well.  A struct pretok is read-only and shared by threads.
 *
 *   gpt2    GPT-2, r50k_base, p50k_base
 *   llama3  Llama-3.x; cl100k_base is another name of it (the string that HF's files carry for cl100k)
 *   qwen2   Qwen1, 1.5, 2, 2.5, 3
 *   o200k   GPT-4o, gpt-oss, Llama-4; o200k_base is another name of it
 *   tekken  Mistral Nemo and later
 *   kimi    Kimi-K2; kimi-k2 is another name of it
 */
#ifndef LIBCOMMON_TOKENIZER_PRETOK_H
#define LIBCOMMON_TOKENIZER_PRETOK_H

#include <stdbool.h>
#include <stddef.h>

#include "libcommon/base/err.h"

#define PRETOK_ERROR ((size_t)-1)
#define PRETOK_WINDOW 64

struct pretok;

/* pattern is copied.  NULL: the pattern is not one, with its place. */
struct pretok *pretok_open(const char *pattern, size_t n, struct err *err);
/* Is it a pattern with a hand-written scanner? */
bool pretok_is_known(const char *pattern, size_t n);
void pretok_free(struct pretok *p);
/* The expression of a known name, or NULL. */
const char *pretok_expression(const char *name);
/* "gpt2" ...: it has a hand-written scanner; NULL: it has none. */
const char *pretok_name(const struct pretok *p);
/* The regular expression as tokenizer.json holds it. */
const char *pretok_pattern(const struct pretok *p);

/* The end of the piece that begins at `at` < n, in text[0..n) of valid UTF-8.  PRETOK_ERROR: a regular
 * expression took more steps than regex.h allows. */
size_t pretok_next(const struct pretok *p, const char *text, size_t n, size_t at, struct err *err);

/* The same for many pieces, by SIMD where the pattern is known: the ends of the next pieces, as many as
 * there are or a little below max (at least PRETOK_WINDOW), into end[]; how many, 0 when at is n. */
size_t pretok_ends(const struct pretok *p, const char *text, size_t n, size_t at, size_t *end, size_t max,
                   struct err *err);

#endif
