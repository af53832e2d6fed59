/* torchzip.h - what torch.save() writes: named tensors and plain values, read without running anything.
 *
 * Two forms: a zip of data.pkl, byteorder, data/0 ... (torch 1.6 and later), and the older run of
 * pickles with the storages behind them.  A pickle is a program that calls Python; here no call is ever
 * made: the few globals that torch and Megatron write are rows of a table (torchzip_global.c), some of
 * which are understood and the others kept as inert objects.  Any other global or opcode is an error
 * that names it and its place.  Every byte is untrusted; memory is bounded by the pickle's size.
 * Sources: torch/serialization.py, torch/_utils.py, Python's pickletools.py, PKWARE's APPNOTE.TXT.
 *
 * Storages are mapped, not read: tensors are borrowed from the struct and die with torchzip_close().
 */
#ifndef LIBCOMMON_WEIGHTS_TORCHZIP_H
#define LIBCOMMON_WEIGHTS_TORCHZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/base/io.h"
#include "libcommon/weights/safetensors.h"

enum torchzip_type {
    TORCHZIP_NONE, TORCHZIP_BOOL, TORCHZIP_INT, TORCHZIP_FLOAT, TORCHZIP_STRING, TORCHZIP_DTYPE,
    TORCHZIP_LONG,  /* an integer beyond 64 bits: its bytes, little-endian two's complement */
    TORCHZIP_BYTES,
    TORCHZIP_LIST,  /* a set too */
    TORCHZIP_TUPLE, /* torch.Size too */
    TORCHZIP_DICT,  /* OrderedDict and defaultdict too */
    TORCHZIP_NAMESPACE,
    TORCHZIP_TENSOR,
    TORCHZIP_OBJECT,                  /* inert: only its class or function is known */
    TORCHZIP_GLOBAL, TORCHZIP_STORAGE /* what a pickle works with */
};

struct torchzip_value {
    enum torchzip_type type;
    enum dtype dtype; /* of a DTYPE */
    union {
        int64_t i; /* BOOL, INT */
        double f;
        struct {
            const char *s; /* STRING: UTF-8, borrowed from the file, not NUL-ended; BYTES, LONG */
            size_t n;
        } str;
        struct {
            struct torchzip_entry *first, *last;
            int64_t n;
        } list; /* LIST, TUPLE, DICT, NAMESPACE */
        struct torchzip_tensor *tensor; /* the same as one of struct torchzip's, of its last name */
        const struct torchzip_global *global; /* OBJECT, GLOBAL */
        const struct torchzip_storage *storage;
    };
};

struct torchzip_entry {
    const struct torchzip_value *key; /* STRING or INT; NULL in a list */
    const struct torchzip_value *value;
    struct torchzip_entry *next;
};

struct torchzip_tensor {
    struct tensor t; /* first.  data: element 0; size: bytes once contiguous */
    int64_t stride[SAFETENSORS_RANK]; /* in elements, >= 0 */
    int64_t offset; /* in elements of the storage */
    const struct torchzip_storage *storage;
};

struct torchzip {
    const struct torchzip_value *root;
    struct torchzip_tensor *tensor; /* in name order; "model.a.weight", "list[1].k" */
    int n;
    bool zip;
    int protocol;   /* of the pickle */
    int n_storages;
    struct torchzip_record {
        const char *name; /* in the zip, not NUL-ended */
        size_t name_n;
        uint64_t header, offset, size; /* of its header, of its data */
        uint32_t crc; /* CRC-32; 0: none was written */
    } *record; /* in name order */
    int n_records;
    const uint8_t *data;
    size_t size;
    const char *name;
    struct arena arena;
    struct io_map map;
};

/* Do the first bytes look like one of the two forms? */
bool torchzip_is(const void *data, size_t size);

/* A file in memory, which stays the caller's; name is for messages and must outlive z. */
int torchzip_parse(struct torchzip *z, const void *data, size_t size, const char *name, struct err *err);
int torchzip_open(struct torchzip *z, const char *path, struct err *err);
void torchzip_close(struct torchzip *z); /* a zeroed struct is fine */

/* Read all data and compare the checksums, where there are some. */
int torchzip_verify(const struct torchzip *z, struct err *err);

/* The record of a zip that holds the tensor's elements (others' too, perhaps); NULL in the older form.  Its checksum is
 * right, where it has one. */
const struct torchzip_record *torchzip_record_of(const struct torchzip *z, const struct torchzip_tensor *t);
int torchzip_record_check(const struct torchzip *z, const struct torchzip_record *r, struct err *err);

/* By name, or NULL. */
const struct torchzip_tensor *torchzip_find(const struct torchzip *z, const char *name);

/* Member of a DICT or NAMESPACE (the last of that name), or NULL; v may be NULL or of another type. */
const struct torchzip_value *torchzip_get(const struct torchzip_value *v, const char *key);

/* n elements from element `at` on, counted row by row, to out. */
void torchzip_read(const struct torchzip_tensor *t, int64_t at, int64_t n, void *out);

/* Write the zip form as torch 2.15 lays it out (protocol 2, storages on multiples of 64), which torch.load()
 * takes with weights_only=True under safe_globals([argparse.Namespace]).  root holds NONE, BOOL, INT, FLOAT,
 * STRING, DTYPE, LIST, TUPLE, DICT, NAMESPACE and TENSOR; of a tensor dtype, rank, shape, count and size are
 * read, each has a storage of its own.  `put` must write exactly t->size bytes of tensor t through
 * torchzip_put() when called, in the order of root.  The file appears at commit (io.h). */
struct torchzip_writer {
    struct io_out out;
    const char *root; /* of the records: the file's name without its suffix */
    size_t root_n;
    struct torchzip_written {
        char name[32]; /* behind the root */
        uint64_t header, size;
        uint32_t crc;
    } *record;
    size_t n, cap;
    uint64_t due; /* bytes still due for the current record */
};
int torchzip_save(const char *path, const struct torchzip_value *root,
                  int (*put)(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err), void *ctx,
                  struct err *err);
int torchzip_put(struct torchzip_writer *w, const void *data, size_t n, struct err *err);

/* Of a file in memory: totals and types; with list every plain value and tensor too (report.h).  All of it is
 * checked, the checksums too. */
struct report;
int torchzip_report(const void *data, size_t size, const char *name, bool list, struct report *r, struct err *err);

#endif
