/* tokenizer_cache.h - tokenizers that take long to load, from the cache of cache.h.
 *
 * Kept under a hash of all that a tokenizer follows from (its files, names and pattern that loaders look at, the sources of this
 * program): the model as image.h has it, and the rest as a tokenizer.json without a model, which is loaded as any other.
 * What comes from the cache has the bounds of its indices checked, but is the user's own bytes: who can write there
 * can as well change the program.
 */
#ifndef LIBCOMMON_TOKENIZER_TOKENIZER_CACHE_H
#define LIBCOMMON_TOKENIZER_TOKENIZER_CACHE_H

#include "libcommon/base/cache.h"
#include "libcommon/base/image.h"
#include "libcommon/tokenizer/tokenizer_load.h"

#define TOKENIZER_CACHE_LEAST ((size_t)256 << 10) /* bytes of files; fewer are read as fast */

/* What is on its way to the cache, or from it: a source's, for the loaders. */
struct tokenizer_cache {
    uint8_t key[32];
    bool found; /* else what is loaded is to be kept */
    struct cache_entry entry;
    struct image image; /* found: what follows */
    struct tokenizer_cached {
        bool spm; /* of tokenizer_load_spm(), not tokenizer_load() */
        bool given_ids, rust;
        uint32_t row; /* of the loader's models */
        char *json, *config; /* NULL: there is none */
        size_t json_n, config_n;
        uint8_t fingerprint[32];
        size_t n_tokens;
        uint32_t n_ids;
    } rest;
};

/* The tokenizer of a source, by its loader or from the cache.  NULL on error. */
struct tokenizer *tokenizer_parse_cached(const struct tokenizer_source *s, struct err *err);

/* For loaders, where s->cache is not NULL.  Found: the model into t, of which the row is known; -1: it is damaged. */
int tokenizer_cache_take(struct tokenizer_cache *c, struct tokenizer *t, const struct tokenizer_model_row *row);
/* Not found: keep what was loaded from s, but for the model's object, model[0..model_n) in s->data. */
void tokenizer_cache_keep(struct tokenizer_cache *c, const struct tokenizer *t, const struct tokenizer_source *s, const char *model,
                          size_t model_n);

#endif
