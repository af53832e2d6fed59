/* data.h - what a trainer trains on: sequence k of a data set, for any k.
 *
 * Three kinds, told by what the path names:
 *   PREFIX of PREFIX.bin/.idx   Megatron's samples (data/sampler.h): length + 1 tokens, which overlap
 *   a token stream of rows      row k of a permutation by (seed, epoch), or in order; a row of `length`
 *                               tokens trains length - 1 predictions: its last position has loss 0
 *   "-", a FIFO                 rows from the pipe, in order; ends with it
 * Sequence k of n shuffled rows is row rng_permute(seed, DATA_STREAM + k / n, n, k % n).  A loss mask
 * counts where its token is predicted: a position has loss 1 where the mask of the next token is 1.
 * A stream of documents is an error that says to pack it first.  Rows with segments are several
 * documents: positions restart, attention is cut, the last position of a segment has loss 0.
 */
#ifndef TRAIN_DATA_H
#define TRAIN_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"
#include "libcommon/data/sampler.h"

#define DATA_STREAM ((uint64_t)1 << 48) /* rng.h: + the epoch */

enum data_order { DATA_MEGATRON, DATA_SHUFFLE, DATA_SEQUENTIAL, DATA_BY_KIND };

struct data_options {
    const char *path;
    int order;             /* enum data_order; one that does not go with the kind is an error */
    int64_t length;        /* seq_length; 0: a stream's own, an error for .bin/.idx */
    const char *split;     /* .bin/.idx: "969,30,1"; NULL: all of it, whatever `which` says */
    enum sampler_split which;
    uint64_t samples;      /* .bin/.idx: that many are wanted, as many epochs as that takes; 0: one epoch */
    bool once;             /* validation over the whole set: data_get() ends after one pass */
    uint64_t seed;
    int64_t vocab;         /* of the model: a token outside is an error */
};

/* One sequence; the arrays belong to the caller, [length] each. */
struct data_row {
    int32_t *ids, *target, *pos; /* target of a position whose loss is 0 is a valid id */
    uint8_t *loss;
    int64_t *doc;                /* [length + 1]: first position of each document, then length */
    int64_t n_docs;
};

struct data;

/* NULL on error. */
struct data *data_open(const struct data_options *o, struct err *err);
void data_close(struct data *d);
int64_t data_length(const struct data *d);
/* Sequences of one pass; -1: not known (a pipe). */
int64_t data_count(const struct data *d);
/* Does `split` cut it into training, validation and test (a .bin/.idx)? */
bool data_has_splits(const struct data *d);
/* The header of a stream, or NULL (.bin/.idx). */
const struct stream_header *data_stream(const struct data *d);

/* Sequence k: 1; 0: the end (a pipe's, or the last of `once`); -1.  Rows of a file go on with another
 * epoch; a .bin/.idx has what `samples` asked for.  From a pipe k must grow by one a call, but the first
 * call may skip: rows before it are read and dropped. */
int data_get(struct data *d, uint64_t k, struct data_row *row, struct err *err);

#endif
