/* stream_rows.h - any row of a stream of rows that lies in a file or in memory.
 *
 * Opening reads the headers of the blocks alone, so that it is quick for a file of any size, and finds
 * a cut stream, missing blocks and wrong totals.  A block's checksum and records are checked when the
 * first of its rows is asked for.  Memory: 16 bytes a block, one row, and 64 MiB of the file's pages.
 */
#ifndef LIBCOMMON_DATA_STREAM_ROWS_H
#define LIBCOMMON_DATA_STREAM_ROWS_H

#include "libcommon/data/stream.h"

struct stream_rows;

/* r has just been opened, on a stream of rows that is no pipe; it is taken over, also on failure. */
struct stream_rows *stream_rows_new(struct stream_reader *r, struct err *err);
void stream_rows_free(struct stream_rows *s); /* NULL is fine */
uint64_t stream_rows_count(const struct stream_rows *s);
/* Row k < count; *rec is borrowed until the next call. */
int stream_rows_get(struct stream_rows *s, uint64_t k, struct stream_record *rec, struct err *err);

#endif
