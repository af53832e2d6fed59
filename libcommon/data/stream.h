/* stream.h - the token stream: one framed binary format for pipes and files, specified in lmstream(5).
 *
 * A reader takes a file descriptor, a file or bytes in memory; every byte is untrusted.  A stream that
 * ends before its DONE block, a flipped bit, streams of two tokenizers one after the other: errors that
 * name the byte offset.  The writer ends with DONE, or with ABRT when its producer failed.
 */
#ifndef LIBCOMMON_DATA_STREAM_H
#define LIBCOMMON_DATA_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/base/io.h"

#define STREAM_NONE UINT32_MAX /* no such special token */

enum stream_dtype { STREAM_U16 = 8, STREAM_I32 = 4 };
enum stream_kind { STREAM_DOCUMENTS = 0, STREAM_ROWS = 1 };
enum { STREAM_LOSS = 1, STREAM_SEGMENTS = 2 };

struct stream_header {
    uint8_t dtype, kind;
    uint16_t flags;
    uint32_t vocab_size, bos, eod, pad, row_len;
    uint8_t fingerprint[32];
    char *text; /* lines "key<TAB>value\n", NUL-ended; owned by the reader or the caller */
};

/* Append "PG<TAB>{...}\n" to h->text (malloced, grown).  json is one object. */
void stream_add_pg(struct stream_header *h, const char *json);
/* The same for any key; value holds no newline. */
void stream_add_text(struct stream_header *h, const char *key, const char *value);
/* The value of the last line with that key and its length, borrowed from h->text; NULL: none. */
const char *stream_text(const struct stream_header *h, const char *key, size_t *n);

/* All that a header says (report.h). */
struct report;
void stream_report(const struct stream_header *h, struct report *r);

/* What keeps b from following a ("vocabulary size"), or NULL. */
const char *stream_differs(const struct stream_header *a, const struct stream_header *b, bool any_tokenizer);

/* One record: a document or a row.  tokens are widened to int32 whatever the file's dtype. */
struct stream_record {
    const int32_t *tokens;
    uint64_t n;
    const uint8_t *loss; /* one byte 0/1 a token, or NULL without the column */
    const uint32_t *seg; /* lengths, or NULL without the column */
    uint32_t n_seg;
};

/* A block as it stands, for tools that work by blocks; borrowed until the next call, but from a mapped
 * file (stream_mapped) until stream_close().  The parts of a record split over blocks stand one a block;
 * nseg is 0 for all but the last. */
struct stream_block {
    uint32_t n_records;
    uint64_t n_tokens;
    const uint32_t *len;      /* [n_records] tokens of each record's part in this block */
    const void *tokens;       /* [n_tokens] in the header's dtype */
    const uint8_t *loss_bits; /* 1 bit a token, the lowest bit of a byte first, or NULL */
    const uint32_t *nseg;     /* [n_records], or NULL */
    const uint32_t *seglen;
    uint64_t n_seglen;
    bool continues, continued; /* first record continues the last block's; last one goes on in the next */
};

struct stream_totals {
    uint64_t blocks, records, tokens, bytes;
};

struct stream_reader;

/* Do the bytes begin like a token stream, perhaps a damaged one? */
bool stream_is(const void *data, size_t n);

/* path "-" is standard input.  NULL on error.  force: let other fingerprints follow (cat). */
struct stream_reader *stream_open(const char *path, bool force, struct err *err);
struct stream_reader *stream_open_memory(const void *data, size_t n, const char *name, bool force, struct err *err);
void stream_close(struct stream_reader *r);
/* Is it a mapped file (a regular file given by name)? */
bool stream_mapped(const struct stream_reader *r);
const struct stream_header *stream_header(const struct stream_reader *r);
/* Totals so far, over all streams that follow one another; bytes are of payloads, uncompressed. */
const struct stream_totals *stream_totals(const struct stream_reader *r);

/* 1: a record, borrowed until the next call; 0: the end (DONE seen, checked); -1: error. */
int stream_read(struct stream_reader *r, struct stream_record *rec, struct err *err);
/* The same by blocks.  Do not mix the two on one reader. */
int stream_read_block(struct stream_reader *r, struct stream_block *b, struct err *err);

struct stream_writer;

/* Writes the header to `out` (stays the caller's, who commits it).  h is copied. */
struct stream_writer *stream_writer_new(struct io_out *out, const struct stream_header *h, struct err *err);
/* A record of any size; tokens are range-checked against vocab_size (where it is not 0) and dtype. */
int stream_write(struct stream_writer *w, const struct stream_record *rec, struct err *err);
/* The same with the tokens in the header's dtype; rec->tokens is not looked at. */
int stream_write_native(struct stream_writer *w, const void *tokens, const struct stream_record *rec, struct err *err);
/* Write what is buffered, then DONE; frees w in any case. */
int stream_end(struct stream_writer *w, struct err *err);
/* The producer failed: what is buffered, then ABRT with the reason; frees w. */
void stream_abort(struct stream_writer *w, const char *reason);

#endif
