/* The reader, and the table of token types. */
#include "libcommon/data/index.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian and used in place");

enum { HEAD = 34 };

/* Megatron-LM, megatron/core/datasets/indexed_dataset.py: DType. */
static const struct index_type types[] = {
    [INDEX_U8] = { "uint8", 1, 0, UINT8_MAX },
    [INDEX_I8] = { "int8", 1, INT8_MIN, INT8_MAX },
    [INDEX_I16] = { "int16", 2, INT16_MIN, INT16_MAX },
    [INDEX_I32] = { "int32", 4, INT32_MIN, INT32_MAX },
    [INDEX_I64] = { "int64", 8, INT64_MIN, INT64_MAX },
    [INDEX_F64] = { "float64", 8, 0, 0 },
    [INDEX_F32] = { "float32", 4, 0, 0 },
    [INDEX_U16] = { "uint16", 2, 0, UINT16_MAX },
};
enum { N_TYPES = sizeof types / sizeof *types };

const struct index_type *index_type(unsigned code)
{
    return &types[code < N_TYPES ? code : 0];
}

unsigned index_type_code(const char *name, size_t n)
{
    for (unsigned i = 1; i < N_TYPES; i++)
        if (strlen(types[i].name) == n && memcmp(types[i].name, name, n) == 0)
            return i;
    return 0;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static int parse_head(struct index *x, const uint8_t *p, size_t n, const char *name, uint64_t *docs, struct err *err)
{
    if (n >= 8 && memcmp(p, "TNTIDX\0\0", 8) == 0)
        return err_set(err, "%s.idx: a fairseq index (TNTIDX), not Megatron's (MMIDIDX)", name);
    if (n < 9 || memcmp(p, "MMIDIDX\0\0", 9) != 0)
        return err_set(err, "%s.idx: not a Megatron index (MMIDIDX)", name);
    if (n < HEAD)
        return err_set(err, "%s.idx: byte %zu: truncated header of %d bytes", name, n, HEAD);
    if (load64(p + 9) != 1)
        return err_set(err, "%s.idx: byte 9: version %" PRIu64 " is not 1", name, load64(p + 9));
    if (!index_type(p[17])->name)
        return err_set(err, "%s.idx: byte 17: token type %u is not known", name, p[17]);
    x->dtype = p[17];
    x->item = index_type(p[17])->size;
    x->n_sequences = load64(p + 18);
    *docs = load64(p + 26);
    return 0;
}

/* Lengths, and pointers that are their sums. */
static int check_sequences(struct index *x, const char *name, struct err *err)
{
    uint64_t at = 0;

    for (uint64_t i = 0; i < x->n_sequences; i++) {
        uint32_t len = index_length(x, i);
        uint64_t pointer = load64(x->pointers + 8 * i);

        if (len > INT32_MAX || at > INT64_MAX / 8) /* nor may the bytes overflow */
            return err_set(err, "%s.idx: byte %" PRIu64 ": sequence %" PRIu64 " has length %" PRId32, name,
                           HEAD + 4 * i, i, (int32_t)len);
        if (pointer != at * x->item)
            return err_set(err, "%s.idx: byte %" PRIu64 ": sequence %" PRIu64 " begins at %" PRId64 ", not %" PRIu64,
                           name, HEAD + 4 * x->n_sequences + 8 * i, i, (int64_t)pointer, at * x->item);
        at += len;
    }
    x->n_tokens = at;
    return 0;
}

static int check_documents(const struct index *x, const char *name, struct err *err)
{
    uint64_t last = 0;

    for (uint64_t d = 0; d <= x->n_documents; d++) {
        uint64_t v = index_document(x, d);

        if (v < last || v > x->n_sequences || (d == 0 && v) || (d == x->n_documents && v != x->n_sequences))
            return err_set(err,
                           "%s.idx: byte %" PRIu64 ": boundary %" PRIu64 " of the documents is sequence %" PRId64
                           " of %" PRIu64 " (the one before: %" PRIu64 ")",
                           name, HEAD + 12 * x->n_sequences + 8 * d, d, (int64_t)v, x->n_sequences, last);
        last = v;
    }
    return 0;
}

int index_parse(struct index *x, const void *idx, size_t idx_size, const void *bin, size_t bin_size, const char *name,
                struct err *err)
{
    const uint8_t *p = idx;
    uint64_t docs = 0, rest, want;

    *x = (struct index){ .bin = bin };
    if (parse_head(x, p, idx_size, name, &docs, err) < 0)
        return -1;
    rest = idx_size - HEAD;
    if (docs < 1 || docs > rest / 8 || x->n_sequences > rest / 12)
        return err_set(err, "%s.idx: byte 18: %" PRIu64 " sequences and %" PRIu64 " boundaries in %zu bytes", name,
                       x->n_sequences, docs, idx_size);
    want = 12 * x->n_sequences + 8 * docs;
    if (rest != want && rest != want + x->n_sequences)
        return err_set(err, "%s.idx: %zu bytes, not %" PRIu64 ": %s", name, idx_size, HEAD + want,
                       rest < want ? "truncated" : "too long");
    x->n_documents = docs - 1;
    x->lengths = p + HEAD;
    x->pointers = x->lengths + 4 * x->n_sequences;
    x->documents = x->pointers + 8 * x->n_sequences;
    x->modes = rest != want ? x->documents + 8 * docs : NULL;
    if (check_sequences(x, name, err) < 0 || check_documents(x, name, err) < 0)
        return -1;
    if (bin_size != x->n_tokens * x->item)
        return err_set(err, "%s.bin: %zu bytes; the index has %" PRIu64 " tokens of %zu", name, bin_size, x->n_tokens,
                       x->item);
    return 0;
}

int index_open(struct index *x, const char *prefix, struct err *err)
{
    struct io_map idx = { 0 }, bin = { 0 };
    size_t size = strlen(prefix) + 5;
    char *path = xmalloc(size);
    int rc;

    snprintf(path, size, "%s.idx", prefix);
    rc = io_map(&idx, path, err);
    snprintf(path, size, "%s.bin", prefix);
    if (rc == 0)
        rc = io_map(&bin, path, err);
    free(path);
    if (rc == 0)
        rc = index_parse(x, idx.data, idx.size, bin.data, bin.size, prefix, err);
    x->idx_map = idx;
    x->bin_map = bin;
    if (rc < 0)
        index_close(x);
    return rc;
}

void index_close(struct index *x)
{
    io_unmap(&x->idx_map);
    io_unmap(&x->bin_map);
    memset(x, 0, sizeof *x);
}

/* One loop a type; the file's tokens need not be aligned in memory. */
#define WIDEN(type) \
    do { \
        for (uint64_t i = 0; i < n; i++) { \
            type v; \
            memcpy(&v, p + i * sizeof v, sizeof v); \
            out[i] = (int32_t)v; \
        } \
    } while (0)

static int widen64(const uint8_t *p, uint64_t n, int32_t *out, uint64_t at, struct err *err)
{
    for (uint64_t i = 0; i < n; i++) {
        int64_t v = (int64_t)load64(p + 8 * i);

        if (v < INT32_MIN || v > INT32_MAX)
            return err_set(err, "token %" PRIu64 " is %" PRId64 ": beyond 32 bits", at + i, v);
        out[i] = (int32_t)v;
    }
    return 0;
}

int index_tokens(const struct index *x, uint64_t at, uint64_t n, int32_t *out, struct err *err)
{
    const uint8_t *p = n ? x->bin + at * x->item : NULL;

    switch (x->dtype) {
    case INDEX_U8:
        WIDEN(uint8_t);
        return 0;
    case INDEX_I8:
        WIDEN(int8_t);
        return 0;
    case INDEX_I16:
        WIDEN(int16_t);
        return 0;
    case INDEX_U16:
        WIDEN(uint16_t);
        return 0;
    case INDEX_I32:
        WIDEN(int32_t);
        return 0;
    case INDEX_I64:
        return widen64(p, n, out, at, err);
    default:
        return err_set(err, "%s values are not tokens", index_type(x->dtype)->name);
    }
}
