/* safetensors: the reference's own cases of bad headers, shards and their index, the writer's bytes
 * against files that safetensors wrote; and the element types' conversions. */
#include "libcommon/weights/safetensors.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"

/* A file in memory, exactly sized: the length (or `lie`, if not 0), the header, `data` bytes 0, 1, 2.. */
static void *make(const char *header, size_t data, uint64_t lie, size_t *size)
{
    size_t n = strlen(header);
    uint8_t *b = xmalloc(8 + n + data);
    uint64_t len = lie ? lie : n;

    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(len >> 8 * i);
    memcpy(b + 8, header, n);
    for (size_t i = 0; i < data; i++)
        b[8 + n + i] = (uint8_t)i;
    *size = 8 + n + data;
    return b;
}

static void test_bad(void)
{
    static const struct {
        const char *header;
        size_t data;
        uint64_t lie;
        const char *msg; /* NULL: it is fine */
    } rows[] = {
        { "{}", 0, 0, NULL },
        { "  \t\r\n{}  \n", 0, 0, NULL },
        { "{\"__metadata__\":{}}", 0, 0, NULL },
        { "{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 0, NULL },
        { "{\"e\":{\"dtype\":\"I64\",\"shape\":[2,0],\"data_offsets\":[0,0]}}", 0, 0, NULL },
        { "{\"h\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[0,3]}}", 3, 0, NULL },
        { "{\"x\":{\"shape\":[1],\"later\":[{}],\"data_offsets\":[0,1],\"dtype\":\"U8\"}}", 1, 0, NULL },
        /* of the reference's tensor.rs */
        { "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,4]}}", 4, 0, "4 bytes of data for a shape of 16" },
        { "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,18446744073709551614],\"data_offsets\":[0,16]}}", 16, 0, "shape is not" },
        { "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,9223372036854775807],\"data_offsets\":[0,16]}}", 16, 0, "overflows" },
        { "{\"test\":{\"dtype\":\"I32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}", 16, 0, "overflows" },
        { "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,1152921504606846976],\"data_offsets\":[0,16]}}", 16, 0, "overflows" },
        { "{\"a\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16, 0, "an overlap" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, 0, "a hole" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2, 0, "end at byte 1 of 2" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1, 0, "data_offsets [0, 2] of 1 bytes" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,1]}}", 2, 0, "data_offsets [2, 1]" },
        { "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, 0, "12 bits are not whole bytes" },
        { "{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 0, "unknown dtype \"F33\"" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, 0, "shape is not" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, 0, "shape is not" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, 0, "shape is not" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, 0, "data_offsets are not" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1, 0, "data_offsets are not" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1e0]}}", 1, 0, "data_offsets are not" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, 0, "without dtype" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}", 1, 0, "a field twice" },
        { "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, 0, "tensor a twice" },
        { "{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, 0, "NUL" },
        { "{\"__metadata__\":{\"k\":1}}", 0, 0, "not a string" },
        { "{\"__metadata__\":{},\"__metadata__\":{}}", 0, 0, "twice" },
        { "[]", 0, 0, "not an object" },
        { "{\"a\":1}", 0, 0, "not an object" },
        { "{}x", 0, 0, "text behind" },
        { "{\"\xff\":1}", 0, 0, "invalid UTF-8" },
        { "{}", 0, 3, "a header of 3 bytes in a file of 10" },
        { "{}", 0, 100000001, "100000000 at most" },
        { "{}", 0, UINT64_MAX, "100000000 at most" },
        { "", 0, 0, "unexpected end" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct safetensors s;
        struct err err;
        size_t size;
        void *b = make(rows[i].header, rows[i].data, rows[i].lie, &size);
        int rc = safetensors_parse(&s, b, size, "f", &err);

        if (rc == 0)
            safetensors_close(&s);
        OKF(rc == (rows[i].msg ? -1 : 0) && (rc == 0 || strstr(err.msg, rows[i].msg)), "%s: %s", rows[i].header,
            rc ? err.msg : "read");
        free(b);
    }
    OK(safetensors_parse(&(struct safetensors){ 0 }, "1234567", 7, "f", &(struct err){ { 0 } }) == -1);
}

/* Puts the tensors of another struct, found by name. */
static int copy(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    return safetensors_put(w, safetensors_find(ctx, t->name)->data, t->size, err);
}

static int files, different;

static void save_again(const char *path)
{
    struct safetensors s;
    struct io_map a, b;
    struct err err;

    files++;
    if (safetensors_open(&s, path, &err) < 0) {
        different++;
        printf("# %s\n", err.msg);
        return;
    }
    if (safetensors_save("again.safetensors", s.tensor, s.n, s.meta, s.n_meta, copy, &s, &err) < 0 ||
        io_map(&a, path, &err) < 0 || io_map(&b, "again.safetensors", &err) < 0) {
        different++;
        printf("# %s\n", err.msg);
    } else {
        if (a.size != b.size || memcmp(a.data, b.data, a.size) != 0) {
            different++;
            printf("# %s: other bytes\n", path);
        }
        io_unmap(&a);
        io_unmap(&b);
    }
    safetensors_close(&s);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *where)
{
    size_t n = strlen(path);

    (void)st;
    (void)where;
    if (type == FTW_F && n > 12 && strcmp(path + n - 12, ".safetensors") == 0)
        save_again(path);
    return 0;
}

static void test_again(const char *name, int least)
{
    const char *dir = tap_shared(name);

    if (!dir) {
        SKIP(name, "../shared is absent");
        return;
    }
    files = different = 0;
    nftw(dir, visit, 20, FTW_PHYS);
    OKF(files >= least && !different, "%s: %d of %d files differ", name, different, files);
}

static int put_text(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    (void)ctx;
    return safetensors_put(w, t->name, t->size, err);
}

/* The order of 1.4 in the specification: dtype descending, then name; and what goes wrong. */
static void test_save(void)
{
    static const char want[] = "{\"__metadata__\":{\"a\":\"1\",\"b\":\"\\\"\"},"
                               "\"ab\":{\"dtype\":\"U16\",\"shape\":[1],\"data_offsets\":[0,2]},"
                               "\"zz\":{\"dtype\":\"U16\",\"shape\":[],\"data_offsets\":[2,4]},"
                               "\"abc\":{\"dtype\":\"BOOL\",\"shape\":[3,1],\"data_offsets\":[4,7]}}";
    struct tensor t[] = { { .name = "abc", .dtype = DTYPE_BOOL, .rank = 2, .shape = { 3, 1 }, .count = 3, .size = 3 },
                          { .name = "zz", .dtype = DTYPE_U16, .count = 1, .size = 2 },
                          { .name = "ab", .dtype = DTYPE_U16, .rank = 1, .shape = { 1 }, .count = 1, .size = 2 } };
    struct safetensors_meta meta[] = { { "b", "\"" }, { "a", "1" } };
    struct err err;
    struct io_map m;
    size_t n = sizeof want - 1, padded = (n + 7) & ~(size_t)7;

    OK(safetensors_save("s", t, 3, meta, 2, put_text, NULL, &err) == 0 && io_map(&m, "s", &err) == 0);
    OK(m.size == 8 + padded + 7 && m.data[0] == (padded & 255) && memcmp(m.data + 8, want, n) == 0);
    OK(memcmp(m.data + 8 + padded, "abzzabc", 7) == 0);
    io_unmap(&m);
    t[1].size = 3;
    OK(safetensors_save("bad", t, 3, NULL, 0, put_text, NULL, &err) == -1 && strstr(err.msg, "3 bytes for a shape of 2"));
    t[1].size = 2;
    t[1].name = "abc";
    OK(safetensors_save("bad", t, 3, NULL, 0, put_text, NULL, &err) == -1 && strstr(err.msg, "abc twice"));
    OK(access("bad", F_OK) < 0);
}

static int put_half(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    return safetensors_put_f32(w, t, ctx, (size_t)t->count - 1, err);
}

/* Two shards and their index, then everything that can be wrong with it. */
static void test_index(void)
{
#define INDEX(map) "{\"metadata\":{\"total_size\":3},\"weight_map\":" map "}"
    static const struct {
        const char *index, *msg;
    } rows[] = {
        { INDEX("{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}"), NULL },
        { INDEX("{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}"), "a stands in dir/1.safetensors, not in 2.safetensors" },
        { INDEX("{\"a\":\"1.safetensors\"}"), NULL },
        { INDEX("{\"a\":\"1.safetensors\",\"c\":\"1.safetensors\"}"), "c is not in its file 1.safetensors" },
        { INDEX("{\"b\":\"2.safetensors\",\"c\":\"1.safetensors\"}"), "tensor a is not in the index" },
        { INDEX("{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}"), ".safetensors too" },
        { INDEX("{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}"), "tensor a twice" },
        { INDEX("{\"a\":\"../dir/1.safetensors\"}"), "not a plain file name" },
        { INDEX("{\"a\":\"/etc/passwd\"}"), "not a plain file name" },
        { INDEX("{\"a\":\"..\"}"), "not a plain file name" },
        { INDEX("{\"a\":\"\"}"), "not a plain file name" },
        { INDEX("{\"a\":\"1.safetensors\\u0000x\"}"), "not a plain file name" },
        { INDEX("{\"a\":1}"), "not a plain file name" },
        { INDEX("{\"a\":\"none\"}"), "dir/none: No such file" },
        { INDEX("[]"), "weight_map is not an object" },
        { INDEX("{},\"weight_map\":{}"), "weight_map twice" },
        { "{\"weight\":{}}", "no weight_map" },
        { "{\"weight_map\":{}", "byte 16: unexpected end" },
        { "[\"weight_map\"]", "dir/model.safetensors.index.json: " },
    };
    struct tensor a = { .name = "a", .dtype = DTYPE_U8, .rank = 1, .shape = { 1 }, .count = 1, .size = 1 }, b = a;
    struct tensor both[2] = { a, a };
    struct err err;
    struct safetensors s;

    b.name = "b";
    both[1].name = "b";
    mkdir("dir", 0777);
    OK(safetensors_open(&s, "dir", &err) == -1 && strstr(err.msg, "neither"));
    OK(safetensors_save("dir/1.safetensors", &a, 1, NULL, 0, put_text, NULL, &err) == 0);
    OK(safetensors_save("dir/2.safetensors", &b, 1, NULL, 0, put_text, NULL, &err) == 0);
    OK(safetensors_save("dir/3.safetensors", both, 2, NULL, 0, put_text, NULL, &err) == 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc;

        io_save("dir/model.safetensors.index.json", rows[i].index, strlen(rows[i].index), &err);
        rc = safetensors_open(&s, i % 2 ? "dir" : "dir/model.safetensors.index.json", &err);
        OKF(rc == (rows[i].msg ? -1 : 0) && (rc == 0 || strstr(err.msg, rows[i].msg)), "%s: %s", rows[i].index,
            rc ? err.msg : "read");
        if (i == 0 && rc == 0)
            OK(s.n == 2 && strcmp(safetensors_find(&s, "b")->file, "dir/2.safetensors") == 0 &&
               *(const char *)safetensors_find(&s, "b")->data == 'b' && !safetensors_find(&s, "c"));
        if (rc == 0)
            safetensors_close(&s);
    }
}

/* A half, from its definition in IEEE 754. */
static double half_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);

    return h & 0x8000 ? -v : v;
}

static double bf16_value(uint16_t h)
{
    int e = h >> 7 & 255, m = h & 127;
    double v = e == 255 ? (m ? (double)NAN : (double)INFINITY) : e ? ldexp(128 + m, e - 134) : ldexp(m, -133);

    return h & 0x8000 ? -v : v;
}

/* Of a finite f between two neighbours h (towards zero) and h + 1, the nearest; on a tie the even one. */
static uint16_t nearest(double f, double (*value)(uint16_t), uint16_t infinity)
{
    uint16_t lo = 0, hi = infinity, sign = signbit(f) ? 0x8000 : 0;
    double top = value((uint16_t)(infinity - 1)), beyond = top + (top - value((uint16_t)(infinity - 2))), below, above;

    f = fabs(f);
    while (hi - lo > 1) {
        uint16_t mid = (uint16_t)((lo + hi) / 2);

        if (value(mid) <= f)
            lo = mid;
        else
            hi = mid;
    }
    below = f - value(lo);
    above = (hi == infinity ? beyond : value(hi)) - f;
    return sign | (below < above || (below == above && lo % 2 == 0) ? lo : hi);
}

static void test_16_bits(enum dtype type, double (*value)(uint16_t), uint16_t infinity)
{
    const struct dtype_info *d = &dtype_table[type];
    int reads = 1, returns = 1, rounds = 1;
    uint16_t back;
    float f;

    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        double v = value(h);

        d->to_f32(&f, &h, 1);
        reads &= isnan(v) ? isnan(f) : ((double)f == v && !signbit(f) == !signbit(v));
        d->from_f32(&back, &f, 1);
        returns &= isnan(v) ? isnan(value(back)) : back == h;
        if ((h & 0x7fff) >= infinity)
            continue;
        /* just below, on and just above the middle between h and its neighbour away from zero */
        for (int k = -1; k <= 1; k++) {
            uint16_t next = (uint16_t)(h + 1);
            double to = (next & 0x7fff) == infinity ? 2 * v - value((uint16_t)(h - 1)) : value(next);

            f = (float)((v + to) / 2);
            f = k ? nextafterf(f, k < 0 ? -INFINITY : INFINITY) : f;
            d->from_f32(&back, &f, 1);
            rounds &= isinf(f) || back == nearest((double)f, value, infinity);
        }
    }
    for (uint64_t i = 0; i < 300000; i++) {
        uint32_t w = (uint32_t)rng_u64(9, type, i);

        memcpy(&f, &w, 4);
        d->from_f32(&back, &f, 1);
        rounds &= isnan(f)   ? isnan(value(back))
                  : isinf(f) ? back == (infinity | (f < 0 ? 0x8000 : 0))
                             : back == nearest((double)f, value, infinity);
    }
    OK(reads);
    OK(returns);
    OKF(rounds, "%s", d->name);
}

static void test_dtypes(void)
{
    static const double doubles[] = { 0.1, -1e300, 1e-46, 1.0000000596046448 };
    float f[4];
    int named = 1;

    for (int i = 0; i < DTYPE_COUNT; i++)
        named &= dtype_by_name(dtype_table[i].name, strlen(dtype_table[i].name)) == i;
    OK(named);
    OK(dtype_by_name("F", 1) == -1 && dtype_by_name("F16x", 4) == -1 && dtype_by_name("", 0) == -1);
    test_16_bits(DTYPE_F16, half_value, 0x7c00);
    test_16_bits(DTYPE_BF16, bf16_value, 0x7f80);
    dtype_table[DTYPE_F64].to_f32(f, doubles, 4);
    OK(f[0] == 0.1f && isinf(f[1]) && f[1] < 0 && f[2] == 0 && f[3] == 1); /* a tie: to even */
}

static void test_put(void)
{
    static float x[5000];
    struct tensor t = { .name = "x", .dtype = DTYPE_BF16, .rank = 1, .shape = { 5000 }, .count = 5000, .size = 10000 };
    struct err err;

    OK(safetensors_save("half", &t, 1, NULL, 0, put_half, x, &err) == -1 && strstr(err.msg, "2 bytes are missing"));
    t.dtype = DTYPE_I16;
    OK(safetensors_save("half", &t, 1, NULL, 0, put_half, x, &err) == -1 && strstr(err.msg, "cannot write floats as I16"));
}

int main(void)
{
    test_bad();
    test_save();
    test_put();
    test_index();
    test_dtypes();
    test_again("golden/models", 200);
    test_again("data/models", 2);
    return tap_done();
}
