/* Megatron's index: the published vector both ways, every way a file can be wrong, all token types. */
#include "libcommon/data/index.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "tests/tap.h"

/* Documents [1,2,3] and [4,5] as uint16, as Megatron-LM writes them (md5 84717ac6...). */
static const uint8_t vector[82] = {
    'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0,
    0,   0,   0,   3,   0,   0,   0,   2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0,   0,   0,   0,   1,   0,   0,   0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
};
static const uint16_t tokens[5] = { 1, 2, 3, 4, 5 };

static void test_vector(void)
{
    struct index x;
    struct io_map m;
    struct err err = { "" };
    struct index_writer *w = index_writer_new("v", INDEX_U16, &err);
    int32_t out[5];

    OK(w && index_put_tokens(w, tokens, 5, INDEX_U16, &err) == 0);
    OK(index_put_sequence(w, 3, &err) == 0 && index_put_document(w, &err) == 0);
    OK(index_put_sequence(w, 2, &err) == 0 && index_put_document(w, &err) == 0);
    OKF(index_commit(w, &err) == 0, "%s", err.msg);
    OK(io_map(&m, "v.idx", &err) == 0 && m.size == sizeof vector && memcmp(m.data, vector, m.size) == 0);
    io_unmap(&m);
    OK(io_map(&m, "v.bin", &err) == 0 && m.size == sizeof tokens && memcmp(m.data, tokens, m.size) == 0);
    io_unmap(&m);
    OK(index_open(&x, "v", &err) == 0 && x.n_documents == 2 && x.n_sequences == 2 && x.n_tokens == 5 && !x.modes);
    OK(index_tokens(&x, index_start(&x, 1), index_length(&x, 1), out, &err) == 0 && out[0] == 4 && out[1] == 5);
    index_close(&x);
    OK(index_open(&x, "absent", &err) == -1 && strstr(err.msg, "absent.idx: No such file"));
}

static const struct {
    int at; /* byte that is changed, -1: none */
    uint8_t to;
    int size, bin; /* of the files */
    const char *want; /* NULL: fine */
} damages[] = {
    { -1, 0, 82, 10, NULL },
    { -1, 0, 84, 10, NULL }, /* two modes */
    { 1, 'X', 82, 10, "not a Megatron index" },
    { -1, 0, 0, 10, "not a Megatron index" },
    { -1, 0, 20, 10, "byte 20: truncated header" },
    { 9, 2, 82, 10, "byte 9: version 2" },
    { 17, 9, 82, 10, "byte 17: token type 9" },
    { 17, 0, 82, 10, "byte 17: token type 0" },
    { 18, 3, 82, 10, "truncated" },
    { 25, 0x80, 82, 10, "byte 18: " },
    { 33, 0x80, 82, 10, "byte 18: " },
    { 26, 0, 82, 10, "byte 18: " },
    { 26, 2, 82, 10, "too long" },
    { -1, 0, 81, 10, "81 bytes, not 82: truncated" },
    { -1, 0, 83, 10, "83 bytes, not 82: too long" },
    { 37, 0x80, 82, 10, "byte 34: sequence 0 has length -2147483645" },
    { 34, 4, 82, 10, "byte 50: sequence 1 begins at 6, not 8" },
    { 42, 2, 82, 10, "byte 42: sequence 0 begins at 2, not 0" },
    { 58, 1, 82, 10, "byte 58: boundary 0" },
    { 66, 3, 82, 10, "byte 66: boundary 1" },
    { 73, 0x80, 82, 10, "byte 66: boundary 1" },
    { 74, 1, 82, 10, "byte 74: boundary 2" },
    { 38, 3, 82, 10, "x.bin: 10 bytes; the index has 6 tokens of 2" },
    { -1, 0, 82, 8, "x.bin: 8 bytes" },
    { -1, 0, 82, 11, "x.bin: 11 bytes" },
};

static void test_damage(void)
{
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        uint8_t *idx = xcalloc(1, (size_t)damages[i].size + 1), *bin = xcalloc(1, (size_t)damages[i].bin + 1);
        struct err err = { "" };
        struct index x;
        int rc;

        memcpy(idx, vector, damages[i].size < 82 ? (size_t)damages[i].size : 82);
        if (damages[i].at >= 0)
            idx[damages[i].at] = damages[i].to;
        rc = index_parse(&x, idx, (size_t)damages[i].size, bin, (size_t)damages[i].bin, "x", &err);
        OKF((rc == 0) == !damages[i].want && (!damages[i].want || strstr(err.msg, damages[i].want)), "%zu: %s", i, err.msg);
        if (rc == 0)
            OK(!x.modes == (damages[i].size == 82));
        free(idx);
        free(bin);
    }
}

static void test_types(void)
{
    static const struct {
        const char *name;
        int32_t good, bad; /* bad == good: any int32 fits */
    } rows[] = {
        { "uint8", 255, 256 },        { "int8", -128, 128 },       { "int16", -32768, 40000 },
        { "int32", INT_MIN, INT_MIN }, { "int64", -100, -100 },     { "uint16", 65535, -1 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned code = index_type_code(rows[i].name, strlen(rows[i].name));
        struct err err = { "" };
        struct index_writer *w = index_writer_new("t", code, &err);
        int32_t v[2] = { rows[i].good, 7 }, back[2];
        struct index x;

        OK(index_put_tokens(w, v, 2, INDEX_I32, &err) == 0);
        if (rows[i].bad != rows[i].good)
            OK(index_put_tokens(w, &rows[i].bad, 1, INDEX_I32, &err) == -1 && strstr(err.msg, rows[i].name));
        OK(index_put_sequence(w, 0, &err) == 0 && index_put_document(w, &err) == 0 && index_put_document(w, &err) == 0 &&
           index_put_sequence(w, 1, &err) == 0 && index_put_sequence(w, 1, &err) == 0 && index_put_document(w, &err) == 0);
        OKF(index_commit(w, &err) == 0, "%s", err.msg);
        OKF(index_open(&x, "t", &err) == 0, "%s", err.msg);
        OK(x.n_documents == 3 && x.n_sequences == 3 && index_document(&x, 1) == 1 && index_document(&x, 2) == 1);
        OK(index_tokens(&x, 0, 2, back, &err) == 0 && back[0] == v[0] && back[1] == v[1]);
        index_close(&x);
    }
    OK(index_type_code("int", 3) == 0 && index_type_code("", 0) == 0);
}

static void test_refused(void)
{
    struct err err;
    struct index_writer *w = index_writer_new("r", INDEX_I32, &err);

    OK(index_put_sequence(w, (uint64_t)INT32_MAX + 1, &err) == -1 && strstr(err.msg, "2147483648 tokens"));
    OK(index_put_sequence(w, 1, &err) == 0);
    OK(index_commit(w, &err) == -1 && strstr(err.msg, "sequences of 1 tokens, but 0"));
    OK(access("r.bin", F_OK) < 0 && access("r.idx", F_OK) < 0);
    OK(!index_writer_new("no/such/dir", INDEX_I32, &err));
}

int main(void)
{
    test_vector();
    test_damage();
    test_types();
    test_refused();
    return tap_done();
}
