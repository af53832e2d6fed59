/* safetensors.h - named tensors in .safetensors files: one, or shards with model.safetensors.index.json.
 *
 * Format and checks: huggingface/safetensors README and tensor.rs (all its rules, and duplicate names
 * are errors here).  Every byte is untrusted.  Data is mapped, not read: tensors are borrowed from the
 * struct and die with safetensors_close().
 */
#ifndef LIBCOMMON_WEIGHTS_SAFETENSORS_H
#define LIBCOMMON_WEIGHTS_SAFETENSORS_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/io.h"
#include "libcommon/weights/dtype.h"

#define SAFETENSORS_RANK 8

/* A view; owns nothing.  Row-major. */
struct tensor {
    const char *name; /* NUL-ended; a name that holds a NUL is refused */
    enum dtype dtype;
    int rank; /* 0: a scalar */
    int64_t shape[SAFETENSORS_RANK];
    int64_t count;    /* elements */
    const void *data; /* little-endian, not aligned; NULL in a writer's list */
    size_t size;      /* bytes */
    const char *file; /* the shard it stands in, for messages */
};

struct safetensors {
    struct tensor *tensor; /* in name order */
    int n;
    struct safetensors_meta {
        const char *key, *value;
    } *meta; /* __metadata__, of the first file; NULL without one */
    int n_meta;
    const char *header; /* JSON and blanks, of the last file; borrowed from it */
    size_t header_n;
    struct arena arena;
    struct io_map *map; /* one a file */
    int n_map;
};

/* Do the first bytes look like such a file? */
bool safetensors_is(const void *data, size_t size);

/* One file in memory, which stays the caller's; name is for messages. */
int safetensors_parse(struct safetensors *s, const void *data, size_t size, const char *name, struct err *err);

/* What an index.json says: which file holds which tensor. */
struct safetensors_index {
    struct safetensors_entry {
        const char *name, *file;
    } *entry; /* in name order */
    int n;
    const char **file; /* each once, sorted */
    int n_files;
    struct arena arena;
};
int safetensors_index_parse(struct safetensors_index *x, const void *data, size_t size, const char *name, struct err *err);
void safetensors_index_free(struct safetensors_index *x); /* a zeroed struct is fine */

/* A .safetensors file, an index.json, or a directory holding model.safetensors or
 * model.safetensors.index.json.  Names in an index are untrusted: no '/', "..", NUL; a tensor that is
 * in the index but not in its file, or in a file but not in the index, or twice, is an error. */
int safetensors_open(struct safetensors *s, const char *path, struct err *err);
void safetensors_close(struct safetensors *s); /* a zeroed struct is fine */

/* By name, or NULL. */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);

/* Totals, types and metadata; with list every tensor too (report.h). */
struct report;
void safetensors_report(const struct safetensors *s, bool list, struct report *r);

/* Write a file byte-identical to safetensors.torch.save_file: tensors by dtype descending, then name;
 * header padded with blanks to 8.  t[i].data is not read: `put` must write exactly t->size bytes of
 * tensor t through safetensors_put() when called, in the file's order.  The file appears at commit
 * (io.h).  meta may be NULL. */
struct safetensors_writer {
    struct io_out out;
    uint64_t due; /* bytes still due for the current tensor */
};
int safetensors_save(const char *path, struct tensor *t, int n, const struct safetensors_meta *meta, int n_meta,
                     int (*put)(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err),
                     void *ctx, struct err *err);
/* The header that safetensors_save() gives them: the JSON and the blanks behind it, the caller's to free. */
char *safetensors_header(struct tensor *t, int n, const struct safetensors_meta *meta, int n_meta, size_t *size, struct err *err);
/* The same with a header that another program made: its spelling, and the order of the data that it says.
 * 1: it is not one of these tensors (names, types, shapes, all of them and no others); nothing is written. */
int safetensors_save_as(const char *path, const char *header, size_t size, struct tensor *t, int n,
                        int (*put)(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err), void *ctx,
                        struct err *err);
int safetensors_put(struct safetensors_writer *w, const void *data, size_t n, struct err *err);
/* n floats, converted to the tensor's dtype. */
int safetensors_put_f32(struct safetensors_writer *w, const struct tensor *t, const float *x, size_t n, struct err *err);

#endif
