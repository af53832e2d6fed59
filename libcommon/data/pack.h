/* pack.h - documents to rows of a fixed length.
 *
 * Best fit: documents, cut into pieces where they are longer than a row, wait in a window; a row opens
 * with the longest piece and takes the longest that still fits until none does.  A piece that has
 * waited for as many rows as twice the window's tokens fill opens the next row whatever its length.
 * Concatenation: the string of all tokens is cut every `length`.  Both are pure functions of the
 * documents and the options.
 *
 * Finding the longest that fits costs a few instructions: a bitmap of the lengths present, with one bit
 * a word above it, and above that; pieces of one length leave in the order they came.
 */
#ifndef LIBCOMMON_DATA_PACK_H
#define LIBCOMMON_DATA_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"

#define PACK_MOST ((uint32_t)1 << 24) /* tokens in a row */

enum pack_method { PACK_BESTFIT, PACK_CONCAT };
enum pack_overlong { PACK_SPLIT, PACK_TRUNCATE, PACK_DROP }; /* what best fit does beyond a row */

struct pack_row {
    const void *tokens;  /* [length] items */
    const uint8_t *loss; /* [length]: 1 a token of a document (or as given), 0 padding */
    const uint32_t *seg; /* lengths of the pieces, the padding's last */
    uint32_t n_seg;
};

struct pack_options {
    uint32_t length; /* 1..PACK_MOST */
    uint32_t pad;
    int item;        /* bytes a token: 2 or 4 */
    bool has_loss;   /* documents come with a loss mask */
    enum pack_method method;
    enum pack_overlong overlong;
    bool drop_last;  /* leave out the last row where it holds padding */
    uint64_t window; /* tokens that wait, at least */
    /* Takes a row, valid during the call. */
    int (*put)(void *ctx, const struct pack_row *row, struct err *err);
    void *ctx;
};

struct pack_stats {
    uint64_t documents, empty, split, truncated, dropped; /* documents */
    uint64_t rows, padding, lost;                         /* lost: tokens of documents that stand in no row */
};

struct pack *pack_new(const struct pack_options *opt);
/* The next n tokens of the document, in items; loss [n] or NULL. */
int pack_add(struct pack *p, const void *tokens, const uint8_t *loss, uint64_t n, struct err *err);
/* The document ends. */
int pack_end_document(struct pack *p, struct err *err);
/* No more documents: put what waits. */
int pack_finish(struct pack *p, struct err *err);
const struct pack_stats *pack_stats(const struct pack *p);
void pack_free(struct pack *p);

#endif
