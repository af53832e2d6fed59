/* lexicon.h - strings with ids, found by either.
 *
 * A string is any bytes.  Read-only once lexicon_index() is done.
 */
#ifndef LIBCOMMON_TOKENIZER_LEXICON_H
#define LIBCOMMON_TOKENIZER_LEXICON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/image.h"

#define LEXICON_NONE UINT32_MAX
#define LEXICON_INLINE 12 /* strings of so many bytes are found without going to their item */
#define LEXICON_MOST ((1u << 24) - 2) /* the highest id */

struct lexicon {
    char *bytes; /* of all strings */
    size_t bytes_n, bytes_cap;
    struct lexicon_item {
        uint64_t at; /* in bytes */
        uint32_t len, id;
    } *item; /* as they were added */
    size_t n, cap;
    /* Open addressing.  high: the length above, but LEXICON_INLINE + 1 where it is more, then 24 bits of
     * 1 + the id, 0 for none; low, and 32 bits below: the bytes, zero padded, or hash and length. */
    struct lexicon_slot {
        uint64_t low, high;
    } *slot;
    struct arena table; /* of slots */
    unsigned bits;
    uint64_t *filter; /* 8 bits a slot: most strings that are not there are known without going to the table */
    bool unfiltered;  /* set before lexicon_index(): most that are looked up are there */
    uint32_t *index; /* [n_ids] 1 + index of the item of an id, 0 for none */
    uint32_t n_ids;  /* highest id + 1 */
};

void lexicon_release(struct lexicon *l);
/* One that is indexed, and back (image.h). */
void lexicon_image(struct lexicon *l, struct image *i);
/* Make room for strings to come. */
void lexicon_reserve(struct lexicon *l, size_t strings, size_t bytes);
/* Copies the string.  -1: an id above `most`, which is at most LEXICON_MOST, or 4 GiB. */
int lexicon_add(struct lexicon *l, const char *s, size_t n, uint64_t id, uint32_t most, struct err *err);
/* All are there.  -1: two have one id or one string. */
int lexicon_index(struct lexicon *l, struct err *err);
/* The id, or LEXICON_NONE. */
uint32_t lexicon_find(const struct lexicon *l, const char *s, size_t n);
/* The same for many strings, whose look-ups wait for memory together: the ids into query[].id. */
struct lexicon_query {
    const char *s;
    size_t n;
    uint64_t low, high, hash; /* of no use to the caller */
    uint32_t id;
};
void lexicon_find_all(const struct lexicon *l, struct lexicon_query *query, size_t n);
/* The string of an id, borrowed, or NULL. */
const char *lexicon_string(const struct lexicon *l, uint32_t id, size_t *n);

#endif
