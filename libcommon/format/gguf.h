/* gguf.h - the keys, values and tensor descriptions of a GGUF file (ggml's docs/gguf.md), versions 1 to 3.
 *
 * Everything is borrowed from the bytes given, which stay the caller's, and is untrusted: counts, lengths and types are
 * checked against what is there.  Integers are little-endian; a big-endian file is refused.
 */
#ifndef LIBCOMMON_FORMAT_GGUF_H
#define LIBCOMMON_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

enum gguf_type {
    GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64,
    GGUF_F64, GGUF_TYPES
};

#define GGUF_DIMS 4

struct gguf_string {
    const char *s; /* any bytes, no NUL behind them */
    size_t n;
};

struct gguf_pair {
    struct gguf_string key;
    enum gguf_type type;
    enum gguf_type of;   /* of an array's elements */
    uint64_t n;          /* its elements; 1 of any other value */
    const uint8_t *data; /* the value, or the elements */
};

struct gguf_tensor {
    struct gguf_string name;
    uint32_t type, n_dims; /* ggml's number of its type */
    uint64_t dim[GGUF_DIMS]; /* the fastest first; 1 behind n_dims; their product has 63 bits */
    uint64_t offset;       /* from data_at */
};

struct gguf {
    uint32_t version, alignment;
    struct gguf_pair *pair;
    struct gguf_tensor *tensor;
    size_t n_pairs, n_tensors;
    uint64_t data_at;
};

bool gguf_is(const void *data, size_t n);
/* -1: "name: byte 77: what is wrong".  gguf_release() on a zeroed struct is fine. */
int gguf_parse(struct gguf *g, const void *data, size_t n, const char *name, struct err *err);
void gguf_release(struct gguf *g);

/* The pair of a key, or NULL. */
const struct gguf_pair *gguf_get(const struct gguf *g, const char *key);
/* Typed reads: an absent key gives dflt (0), another type or range is an error (-1) that names the key. */
int gguf_get_string(const struct gguf *g, const char *key, struct gguf_string dflt, struct gguf_string *out, const char *name,
                    struct err *err);
int gguf_get_uint(const struct gguf *g, const char *key, uint64_t dflt, uint64_t *out, const char *name, struct err *err);
int gguf_get_bool(const struct gguf *g, const char *key, bool dflt, bool *out, const char *name, struct err *err);
/* The array of that key with elements of that type, or NULL where there is none; -1. */
int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type of, const struct gguf_pair **out, const char *name,
                   struct err *err);

/* The strings of an array of strings one after the other: zero *at first. */
struct gguf_string gguf_next_string(const struct gguf *g, const struct gguf_pair *array, size_t *at);
/* Element i < n of an array, or the value itself (i 0), of any number or bool. */
double gguf_number(const struct gguf_pair *p, uint64_t i);

/* What is in it (report.h): version, keys with their values, the number of tensors. */
struct report;
void gguf_report(const struct gguf *g, struct report *r);

#endif
