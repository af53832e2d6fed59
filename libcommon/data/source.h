/* source.h - documents out of files: JSONL or text, plain or compressed (gzip, zstd, xz, bzip2), alone or
 * as members of a tar or zip archive, whose members may be compressed too.  Names decide nothing but
 * what is refused; the first bytes do:
 *
 *   compressed, archive   by magic number (tar: a header whose checksum holds); one level of each
 *   JSONL                 the first thing in it is '{' and the next is '"' or '}'; a byte order mark
 *                         before it is dropped, blank lines are skipped
 *   bad documents         a WARC, a JSON array of objects, what is called .csv or .tsv: not read yet, and not to
 *                         pass for one text; .lines and SOURCE_TXT take them all the same
 *   text                  all else: one document a file or member, byte for byte, or with .lines one a
 *                         line without its newline (LF or CR LF); nothing in it: no document
 *
 * Reading has two halves, so that the second can run on many threads: source_read() fills a block with
 * the bytes of whole documents, source_next() takes the documents out of a block and checks them.
 * Memory is bounded by max_doc (and 128 MiB of a zstd window) a block, whatever the input claims.
 * Members' names are labels: nothing is written under them.  Every byte is untrusted.
 */
#ifndef LIBCOMMON_DATA_SOURCE_H
#define LIBCOMMON_DATA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/format/json.h"

#define SOURCE_MAX_DOC ((uint64_t)256 << 20)

enum source_from { SOURCE_AUTO, SOURCE_JSONL, SOURCE_TXT };

struct source_options {
    const char *key;  /* of the text in a JSON object; NULL: "text" */
    int from;         /* enum source_from: SOURCE_AUTO decides by content */
    bool lines;       /* text: one document a line */
    bool newline;     /* with it: the line's newline (LF or CR LF) belongs to the document */
    bool records;     /* JSONL: the key's string may be missing: text.s is NULL then */
    bool long_window; /* zstd windows up to 2^31 bytes, else 2^27 */
    bool replace;     /* ill-formed UTF-8 and lone surrogates become U+FFFD, else they are errors */
    uint64_t max_doc; /* most bytes of a document, as it stands in the file; 0: SOURCE_MAX_DOC */
};

enum source_kind { SOURCE_BLOCK_JSONL, SOURCE_BLOCK_LINES, SOURCE_BLOCK_WHOLE, SOURCE_BLOCK_BAD };

/* Whole documents as they stand in the input.  Start with a zeroed one; it may be filled again and again. */
struct source_block {
    enum source_kind kind;
    char *data; /* owned by the block */
    size_t size, cap;
    char *name;    /* for messages: "FILE" or "FILE:MEMBER", shortened where it is very long; owned */
    char *id;      /* the member's name, valid UTF-8, NULL outside archives; owned */
    uint64_t line; /* number of the first line */
    const struct source_options *options;
    struct err bad; /* SOURCE_BLOCK_BAD: a document that could not be read, and why */
    /* of source_next() */
    size_t at;
    uint64_t at_line;
    char *fixed; /* a document after replacement; owned */
    size_t fixed_cap;
};

void source_block_free(struct source_block *b);

struct source_doc {
    struct json_raw text; /* JSONL: what stands between the quotes, checked; else plain bytes */
    struct json_raw id;   /* .s is NULL where there is none */
    bool json;            /* text and id are still in JSON's escapes */
    const char *line;     /* JSONL: the whole line without its newline, line_len bytes, as it stands */
    size_t line_len;
};

struct source;

/* Read the files one after the other; "-" and no file at all are standard input.  The options are copied;
 * o->key and the paths are borrowed until source_free(), which comes after the last use of a block. */
struct source *source_new(const struct source_options *o, char *const *paths, int n);
/* One file that lies in memory. */
struct source *source_new_memory(const struct source_options *o, const void *data, size_t n, const char *name);
void source_free(struct source *s);

/* Bytes of the files read so far, compressed as they are; and of all of them, 0 when not known. */
uint64_t source_bytes(const struct source *s);
uint64_t source_total(const struct source *s);

/* 1: the block is filled (blank lines may be all there is in it); 0: the end; -1: a file that cannot be
 * read on (missing, cut, damaged), named with the place. */
int source_read(struct source *s, struct source_block *b, struct err *err);

/* 1: a document, borrowed until the next call for this block; 0: no more; -1: a bad one, located in err,
 * and the next call goes on behind it. */
int source_next(struct source_block *b, struct source_doc *d, struct err *err);

/* The text of a document as plain UTF-8, into out, which has room for d->text.n bytes; its length. */
size_t source_text(const struct source_doc *d, char *out);

#endif
