/* stream_wire.h - the bytes of lmstream(5), shared by stream.c, stream_read.c and stream_write.c.
 *
 * Both structures have no holes and are copied from and to the wire as they are: the host is
 * little-endian.
 */
#ifndef LIBCOMMON_DATA_STREAM_WIRE_H
#define LIBCOMMON_DATA_STREAM_WIRE_H

#include "libcommon/data/stream.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "streams are used in place: little-endian only");

#define STREAM_MAGIC "\x89TKS\r\n\x1a\n"
#define STREAM_MAJOR 1
#define STREAM_MINOR 0
#define STREAM_HEADER_MAX ((size_t)1 << 20)
#define STREAM_BLOCK_MAX ((uint64_t)1 << 30)

struct stream_wire_header {
    char magic[8];
    uint16_t major, minor;
    uint32_t header_len; /* magic, text and CRC included */
    uint8_t dtype, kind;
    uint16_t flags;
    uint32_t vocab_size, bos, eod, pad, row_len;
    uint8_t fingerprint[32];
};
_Static_assert(sizeof(struct stream_wire_header) == 72, "header");

enum { STREAM_CONTINUES = 1, STREAM_CONTINUED = 2 };

struct stream_wire_block {
    char tag[4]; /* no NUL */
    uint8_t codec, flags;
    uint16_t reserved;
    uint64_t payload_len, raw_len;
    uint32_t n_records, crc;
    uint64_t n_tokens;
};
_Static_assert(sizeof(struct stream_wire_block) == 40, "block header");

/* The payload of DONE. */
struct stream_wire_done {
    uint64_t blocks, records, tokens, bytes, chain;
};
_Static_assert(sizeof(struct stream_wire_done) == 40, "totals");

static inline uint64_t stream_pad8(uint64_t n)
{
    return (n + 7) & ~(uint64_t)7;
}

static inline size_t stream_item_size(const struct stream_header *h)
{
    return h->dtype == STREAM_U16 ? 2 : 4;
}

/* The header's bytes (malloced) and their number; NULL when the header is wrong. */
uint8_t *stream_header_pack(const struct stream_header *h, size_t *n, struct err *err);
/* header_len of the fixed part, checked; 0 with a message without a place. */
size_t stream_header_len(const struct stream_wire_header *w, struct err *err);
/* All n = header_len bytes; -1 with a message without a place.  h->text is malloced. */
int stream_header_parse(struct stream_header *h, const uint8_t *p, size_t n, struct err *err);
/* stream_read.c for stream_rows.c.  The next DBLK of a stream of rows by its header, without reading its
 * payload: *at is where it stands, b has no columns.  1, 0 the end, -1; all but such blocks is checked. */
int stream_skim(struct stream_reader *r, struct stream_block *b, uint64_t *at, struct err *err);
/* The DBLK that stands there.  check: as the first time; `before` tokens of its first record stand in
 * earlier blocks. */
int stream_block_at(struct stream_reader *r, uint64_t at, bool check, uint64_t before, struct stream_block *b, struct err *err);
/* madvise() about the file, where it is mapped. */
void stream_advise(struct stream_reader *r, int advice);
/* "name: byte AT: why"; returns -1. */
int stream_fail(const struct stream_reader *r, uint64_t at, const struct err *why, struct err *err);
/* Index of the first token that is not in [0, limit), or n.  limit 0: all are good. */
uint64_t stream_find_bad(const void *tokens, uint64_t n, enum stream_dtype dtype, uint32_t limit);

#endif
