/* index.h - Megatron-LM's indexed data set, PREFIX.bin and PREFIX.idx, specified in lmindex(5).
 *
 * The reader maps both files and checks the whole index before it returns; the .idx is not aligned, so
 * its arrays are read through index_length() and friends.  The writer needs memory for one buffer a
 * file, whatever the data set's size, and replaces an old pair so that a kill leaves the old pair, no
 * .idx, or the new pair.
 */
#ifndef LIBCOMMON_DATA_INDEX_H
#define LIBCOMMON_DATA_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/base/err.h"
#include "libcommon/base/io.h"

/* The codes of the file. */
enum index_dtype {
    INDEX_U8 = 1,
    INDEX_I8 = 2,
    INDEX_I16 = 3,
    INDEX_I32 = 4,
    INDEX_I64 = 5,
    INDEX_F64 = 6,
    INDEX_F32 = 7,
    INDEX_U16 = 8,
};

struct index_type {
    const char *name; /* numpy's; NULL: no such code */
    size_t size;
    int64_t min, max; /* 0, 0: not a type of tokens */
};

/* By code; a row without a name for one that is not known. */
const struct index_type *index_type(unsigned code);
/* The code of a name, or 0. */
unsigned index_type_code(const char *name, size_t n);

struct index {
    unsigned dtype;
    size_t item;                                    /* bytes a token */
    uint64_t n_sequences, n_documents, n_tokens;
    const uint8_t *lengths, *pointers, *documents;  /* i32, i64 in bytes, i64 [n_documents + 1] */
    const uint8_t *modes;                           /* i8 a sequence, or NULL */
    const uint8_t *bin;                             /* n_tokens * item bytes */
    struct io_map idx_map, bin_map;                 /* of index_open() */
};

/* The bytes of an .idx and a .bin, which stay the caller's.  name is for messages. */
int index_parse(struct index *x, const void *idx, size_t idx_size, const void *bin, size_t bin_size, const char *name,
                struct err *err);
/* Map PREFIX.idx and PREFIX.bin.  On failure *x is zeroed, which index_close() accepts. */
int index_open(struct index *x, const char *prefix, struct err *err);
void index_close(struct index *x);

static inline uint32_t index_length(const struct index *x, uint64_t sequence)
{
    uint32_t v;

    memcpy(&v, x->lengths + 4 * sequence, 4);
    return v;
}

/* Of the first token, in tokens. */
static inline uint64_t index_start(const struct index *x, uint64_t sequence)
{
    uint64_t v;

    memcpy(&v, x->pointers + 8 * sequence, 8);
    return v / x->item;
}

/* Document d is the sequences [index_document(d), index_document(d + 1)). */
static inline uint64_t index_document(const struct index *x, uint64_t d)
{
    uint64_t v;

    memcpy(&v, x->documents + 8 * d, 8);
    return v;
}

/* n tokens from the data set's token `at` on, widened.  -1 when the type is not one of integers or a
 * token does not fit. */
int index_tokens(const struct index *x, uint64_t at, uint64_t n, int32_t *out, struct err *err);

/* All that an index says (report.h). */
struct report;
void index_report(const struct index *x, struct report *r);

struct index_writer;

/* Begin PREFIX.bin and PREFIX.idx. */
struct index_writer *index_writer_new(const char *prefix, unsigned dtype, struct err *err);
/* Append tokens, of type `from` (INDEX_U16 or INDEX_I32), to the .bin. */
int index_put_tokens(struct index_writer *w, const void *tokens, uint64_t n, unsigned from, struct err *err);
/* The next sequence of the document is that long. */
int index_put_sequence(struct index_writer *w, uint64_t length, struct err *err);
/* The document ends behind the sequences so far. */
int index_put_document(struct index_writer *w, struct err *err);
/* Put the pair in place; frees w in any case. */
int index_commit(struct index_writer *w, struct err *err);
/* Leave what was there; NULL is fine. */
void index_abort(struct index_writer *w);

#endif
