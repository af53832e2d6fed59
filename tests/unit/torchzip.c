/* torchzip: every file that torch itself wrote, against what torch says of it; and hand-made wrong ones. */
#include "libcommon/weights/torchzip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "tests/tap.h"

/* ---- torch's own files ---- */

static const struct {
    const char *torch;
    enum dtype dtype;
} types[] = {
    { "float32", DTYPE_F32 }, { "float16", DTYPE_F16 }, { "bfloat16", DTYPE_BF16 }, { "float64", DTYPE_F64 },
    { "int8", DTYPE_I8 }, { "uint8", DTYPE_U8 }, { "int16", DTYPE_I16 }, { "int32", DTYPE_I32 }, { "int64", DTYPE_I64 },
    { "bool", DTYPE_BOOL }, { "complex64", DTYPE_C64 }, { "uint16", DTYPE_U16 }, { "uint32", DTYPE_U32 },
    { "float8_e4m3fn", DTYPE_F8_E4M3 }, { "float8_e5m2", DTYPE_F8_E5M2 },
};

static bool is_type(const char *torch, enum dtype d)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].torch, torch) == 0)
            return types[i].dtype == d;
    return false;
}

/* "3,4" or "-" */
static bool is_list(const char *s, const int64_t *v, int n)
{
    char text[256] = "-";

    for (int i = 0, at = 0; i < n; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%lld", i ? "," : "", (long long)v[i]);
    return strcmp(s, text) == 0;
}

/* The elements in rows of three at a time have this digest. */
static bool has_digest(const struct torchzip_tensor *t, const char *hex)
{
    struct hash_sha256 h;
    uint8_t digest[32];
    char text[65], *out = xmalloc(t->t.size + 1);
    int64_t width = dtype_table[t->t.dtype].bits / 8;

    for (int64_t i = 0; i < t->t.count; i += 3)
        torchzip_read(t, i, t->t.count - i < 3 ? t->t.count - i : 3, out + i * width);
    hash_sha256_init(&h);
    hash_sha256_add(&h, out, t->t.size);
    hash_sha256_end(&h, digest);
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    free(out);
    return strcmp(text, hex) == 0;
}

/* A row of tensors.tsv: file, tensor, dtype, shape, stride, offset, storage's bytes, digest. */
static void check_row(const char *dir, char *line)
{
    char *f[8] = { line }, path[8192];
    struct torchzip z;
    struct err err;
    const struct torchzip_tensor *t;
    int n = 1, rc;

    for (char *p = line; *p && n < 8; p++)
        if (*p == '\t') {
            *p = 0;
            f[n++] = p + 1;
        }
    f[7][strcspn(f[7], "\n")] = 0;
    snprintf(path, sizeof path, "%s/%s", dir, f[0]);
    rc = torchzip_open(&z, path, &err);
    OKF(rc == 0, "%s", err.msg);
    if (rc < 0)
        return;
    t = torchzip_find(&z, f[1]);
    OKF(t && is_type(f[2], t->t.dtype) && is_list(f[3], t->t.shape, t->t.rank) && is_list(f[4], t->stride, t->t.rank) &&
            t->offset == atoll(f[5]) && has_digest(t, f[7]),
        "%s: %s", f[0], f[1]);
    OKF(torchzip_verify(&z, &err) == 0, "%s", err.msg);
    torchzip_close(&z);
}

static void test_tensors(void)
{
    const char *shared = tap_shared("golden/convert/torch_save/tensors.tsv");
    char line[1024], dir[4096];
    FILE *f;
    int rows = 0;

    if (!shared) {
        SKIP("tensors that torch wrote", "../shared is absent");
        return;
    }
    snprintf(dir, sizeof dir, "%s", shared);
    *strrchr(dir, '/') = 0;
    f = fopen(shared, "r");
    for (bool head = true; fgets(line, sizeof line, f); head = false)
        if (!head) {
            check_row(dir, line);
            rows++;
        }
    fclose(f);
    OK(rows > 100);
}

static bool is_int(const struct torchzip_value *v, int64_t i)
{
    return v && v->type == TORCHZIP_INT && v->i == i;
}

static bool is_string(const struct torchzip_value *v, const char *s)
{
    return v && v->type == TORCHZIP_STRING && v->str.n == strlen(s) && memcmp(v->str.s, s, v->str.n) == 0;
}

static bool is_float(const struct torchzip_value *v, double f)
{
    return v && v->type == TORCHZIP_FLOAT && fabs(v->f - f) <= 0;
}

/* The values that expect.json tells of nested.pt, which all forms hold. */
static void test_values(void)
{
    static const char *const files[] = { "nested.pt", "nested_p4.pt", "nested_p5.pt", "nested_legacy.pt", "nested_legacy_p4.pt" };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[200];
        const char *path;
        const struct torchzip_value *args, *v;
        struct torchzip z;
        struct err err;
        int rc;

        snprintf(name, sizeof name, "golden/convert/torch_save/%s", files[i]);
        path = tap_shared(name);
        if (!path) {
            SKIP(files[i], "../shared is absent");
            continue;
        }
        rc = torchzip_open(&z, path, &err);
        OKF(rc == 0, "%s", err.msg);
        if (rc < 0)
            continue;
        args = torchzip_get(z.root, "args");
        OK(args && args->type == TORCHZIP_NAMESPACE && is_int(torchzip_get(args, "num_layers"), 4));
        OK(is_float(torchzip_get(args, "lr"), 1e-4) && is_string(torchzip_get(args, "name"), "x"));
        v = torchzip_get(args, "flag");
        OK(v && v->type == TORCHZIP_BOOL && v->i == 1);
        v = torchzip_get(args, "none");
        OK(v && v->type == TORCHZIP_NONE);
        v = torchzip_get(args, "dtype");
        OK(v && v->type == TORCHZIP_DTYPE && v->dtype == DTYPE_BF16);
        v = torchzip_get(args, "lst");
        OK(v && v->type == TORCHZIP_LIST && v->list.n == 3 && is_int(v->list.first->value, 1) &&
           is_float(v->list.first->next->value, 2.5) && is_string(v->list.last->value, "a"));
        OK(is_int(torchzip_get(z.root, "iteration"), 7) && is_float(torchzip_get(z.root, "checkpoint_version"), 3));
        OK(is_int(torchzip_get(z.root, "negint"), -300) && is_float(torchzip_get(z.root, "float"), -1.5e300));
        v = torchzip_get(z.root, "bigint"); /* 2^80 */
        OK(v && v->type == TORCHZIP_LONG && v->str.n == 11 && memcmp(v->str.s, "\0\0\0\0\0\0\0\0\0\0\1", 11) == 0);
        OK(!torchzip_get(z.root, "absent") && !torchzip_get(v, "x") && !torchzip_find(&z, "absent"));
        torchzip_close(&z);
    }
}

static void test_others(void)
{
    static const char *const files[] = {
        "data/formats/torch/fortran_tensor_3d.pth", "data/formats/torch/test.pt", "data/formats/torch/test_with_key.pt",
        "data/formats/torch113/sd_legacy.pt", "data/formats/torch113/small_p2.pt", "data/formats/torch113/small_p4.pt",
        "golden/convert/torch_save/numpy.pt", "golden/convert/torch_save/numpy_legacy.pt",
        "golden/convert/torch_save/from_buffer.pt", "golden/convert/torch_save/optim_legacy.pt",
    };

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = tap_shared(files[i]);
        struct torchzip z;
        struct err err;

        if (!path) {
            SKIP(files[i], "../shared is absent");
            continue;
        }
        OKF(torchzip_open(&z, path, &err) == 0 && torchzip_is(z.data, z.size), "%s", err.msg);
        torchzip_close(&z);
    }
}

/* ---- wrong pickles ---- */

#define GLOBAL(module, name) "c" module "\n" name "\n"
#define ID(key, type, count) "(X\7\0\0\0storage" GLOBAL("torch", type) "X\1\0\0\0" key "X\3\0\0\0cpuK" count "tQ"
#define TENSOR(id, offset, size, stride) GLOBAL("torch._utils", "_rebuild_tensor_v2") "(" id "K" offset size stride "\x89)tR"
#define DICT(items) "\x80\2}(" items "u."
#define TEN(s) s s s s s s s s s s
#define KEYS "\x80\2]."

static void test_pickles(void)
{
    static const struct {
        const char *what, *p;
        size_t n;
        const char *msg; /* NULL: it is fine */
    } rows[] = {
#define ROW(what, text, msg) { what, text, sizeof text - 1, msg }
        ROW("nothing", DICT("") KEYS, NULL),
        ROW("a call", "\x80\2cposix\nsystem\nX\2\0\0\0id\x85R." KEYS, "byte 2: posix.system is not among the globals"),
        ROW("a call by two strings", "\x80\4\x8c\2os\x8c\6system\x93." KEYS, "os.system is not among the globals"),
        ROW("a type called", "\x80\2ctorch\nFloatStorage\n)R." KEYS, "a call of torch.FloatStorage"),
        ROW("a call of a list", "\x80\2])R." KEYS, "a global to call is due"),
        ROW("an opcode of protocol 0", "\x80\2I1\n." KEYS, "byte 2: opcode 0x49 is not among those that are read"),
        ROW("an extension", "\x80\2\x82\1." KEYS, "opcode 0x82"),
        ROW("protocol 1", "\x80\1}." KEYS, "protocol 1 of 2 to 5"),
        ROW("a cut string", "\x80\2X\xff\xff\xff\x7f" "abc", "2147483647 bytes of 3 that are left"),
        ROW("a length of 2^63", "\x80\4\x8d\0\0\0\0\0\0\0\x80" "abc", "bytes of 3 that are left"),
        ROW("bad UTF-8", "\x80\2X\2\0\0\0\xc3(.", "a string is not UTF-8"),
        ROW("a cut pickle", "\x80\2}", "byte 3: the pickle is cut"),
        ROW("a frame too long", "\x80\4\x95\xff\0\0\0\0\0\0\0}.", "a frame of 255 bytes of 2"),
        ROW("no value", "\x80\2.", "0 values are left at the end"),
        ROW("two values", "\x80\2}}.", "2 values are left at the end"),
        ROW("an open mark", "\x80\2}(.", "1 values are left at the end"),
        ROW("no mark", "\x80\2t.", "no mark was set"),
        ROW("below a mark", "\x80\2NN(\x86.", "a tuple of 2 of 0 values"),
        ROW("a memo never set", "\x80\2h\0.", "memo 0 of 0"),
        ROW("a memo far off", "\x80\2Nr\xff\xff\xff\x7f.", "memo 2147483647 before 0"),
        ROW("an item of a list", "\x80\2]NNs.", "a dictionary is due"),
        ROW("an item of a tuple", "\x80\2)Na.", "a list is due"),
        ROW("a key alone", "\x80\2}(Nu.", "a key without a value"),
        ROW("a key of None", "\x80\2}NNs.", "a key is neither a string nor an integer"),
        ROW("a key with NUL", DICT("X\1\0\0\0\0N") KEYS, "holds a NUL"),
        ROW("a list in itself", "\x80\2]q\0h\0a." KEYS, "more values than the pickle is long"),
        ROW("seventy lists", "\x80\2" TEN("]") TEN("]") TEN("]") TEN("]") TEN("]") TEN("]") TEN("]") TEN("a") TEN("a") TEN("a") TEN("a") TEN("a")
                             TEN("a") "aaaaaaaaa." KEYS, "nested too deep"),
        ROW("lists that double", "\x80\2(]q\0](h\0h\0h\0h\0h\0h\0eq\1](h\1h\1h\1h\1h\1h\1eq\2](h\2h\2h\2h\2h\2h\2eq\3"
                                 "](h\3h\3h\3h\3h\3h\3et." KEYS, "more values than the pickle is long"),
        ROW("a state of a list", "\x80\2]}b.", "a state that the object cannot have"),
        ROW("a Namespace with arguments", "\x80\2cargparse\nNamespace\nN\x85\x81.", "argparse.Namespace with 1 arguments"),
        ROW("an id of a string", "\x80\2X\1\0\0\0aQ.", "a persistent id is due"),
        ROW("an id of a module", "\x80\2X\6\0\0\0module\x85Q.", "not a storage's"),
        ROW("another storage", "\x80\2(X\7\0\0\0storagectorch\nSize\nX\1\0\0\0aX\3\0\0\0cpuK\1tQ.", "torch.Size is not a type of storage"),
        ROW("a negative storage", "\x80\2(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0aX\3\0\0\0cpuJ\xff\xff\xff\xfftQ.", "a storage of -1 elements"),
        ROW("beyond its storage", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\2"), "\1", "K\2\x85", "K\1\x85")), "reaches element 2 of a storage of 2"),
        ROW("strides beyond it", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\2"), "\0", "K\2K\2\x86", "K\2K\1\x86")), "reaches element 3 of"),
        ROW("a shape too large", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\2"), "\0", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", "K\0\x85")), "shape overflows"),
        ROW("a negative size", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\2"), "\0", "J\xff\xff\xff\xff\x85", "K\1\x85")), "integers >= 0"),
        ROW("a stride missing", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\2"), "\0", "K\2\x85", ")")), "1 sizes and 0 strides"),
        ROW("a storage missing", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85")) KEYS, "storage a is missing"),
        ROW("a storage cut", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85"))
            "\x80\2]X\1\0\0\0aa.\1\0\0\0\0\0\0\0abc", "no storage a of 1 elements is there"),
        ROW("a whole one", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85"))
            "\x80\2]X\1\0\0\0aa.\1\0\0\0\0\0\0\0abcd", NULL),
        ROW("bytes behind", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85"))
            "\x80\2]X\1\0\0\0aa.\1\0\0\0\0\0\0\0abcde", "bytes behind the last storage"),
        ROW("a storage with two types", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85")
            "X\1\0\0\0u" TENSOR(ID("a", "HalfStorage", "\1"), "\0", "K\1\x85", "K\1\x85"))
            "\x80\2]X\1\0\0\0aa.\1\0\0\0\0\0\0\0abcd", "storage a twice"),
        ROW("a tensor twice", DICT("X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85")
            "X\1\0\0\0t" TENSOR(ID("a", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85"))
            "\x80\2]X\1\0\0\0aa.\1\0\0\0\0\0\0\0abcd", "tensor t twice"),
    };
    static const char head[] = "\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\2M\xe9\3.\x80\2}X\x0d\0\0\0little_endian\x88s.";

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = sizeof head - 1 + rows[i].n;
        char *b = xmalloc(n);
        struct torchzip z;
        struct err err;
        int rc;

        memcpy(b, head, sizeof head - 1);
        memcpy(b + sizeof head - 1, rows[i].p, rows[i].n);
        rc = torchzip_parse(&z, b, n, "f", &err);
        if (rc == 0)
            torchzip_close(&z);
        OKF(rc == (rows[i].msg ? -1 : 0) && (rc == 0 || strstr(err.msg, rows[i].msg)), "%s: %s", rows[i].what, rc ? err.msg : "read");
        free(b);
    }
}

/* ---- wrong zips ---- */

struct member {
    const char *name, *data;
    size_t n;
};

static void put(uint8_t **p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *(*p)++ = i < 8 ? (uint8_t)(v >> 8 * i) : 0;
}

static void put_bytes(uint8_t **p, const char *s, size_t n)
{
    memcpy(*p, s, n);
    *p += n;
}

/* A stored zip without checksums into b; its size.  method, and a lie about the last one's size. */
static size_t make_zip(uint8_t *b, const struct member *m, int n, int method, uint64_t lie)
{
    uint64_t at[8], directory;
    uint8_t *p = b;

    for (int i = 0; i < n; i++) {
        at[i] = (uint64_t)(p - b);
        put(&p, 0x04034b50, 4);
        put(&p, 0, 22);
        put(&p, strlen(m[i].name), 2);
        put(&p, 0, 2);
        put_bytes(&p, m[i].name, strlen(m[i].name));
        put_bytes(&p, m[i].data, m[i].n);
    }
    directory = (uint64_t)(p - b);
    for (int i = 0; i < n; i++) {
        uint64_t size = m[i].n + (i == n - 1 ? lie : 0);

        put(&p, 0x02014b50, 4);
        put(&p, 0, 6);
        put(&p, (uint64_t)method, 2);
        put(&p, 0, 8);
        put(&p, size, 4);
        put(&p, size, 4);
        put(&p, strlen(m[i].name), 2);
        put(&p, 0, 12);
        put(&p, at[i], 4);
        put_bytes(&p, m[i].name, strlen(m[i].name));
    }
    put(&p, 0x06054b50, 4);
    put(&p, 0, 4);
    put(&p, (uint64_t)n, 2);
    put(&p, (uint64_t)n, 2);
    put(&p, (uint64_t)(p - b) - 12 - directory, 4);
    put(&p, directory, 4);
    put(&p, 0, 2);
    return (size_t)(p - b);
}

static void test_zips(void)
{
#define PICKLE "a/data.pkl", DICT("X\1\0\0\0t" TENSOR(ID("0", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85")), \
               sizeof DICT("X\1\0\0\0t" TENSOR(ID("0", "FloatStorage", "\1"), "\0", "K\1\x85", "K\1\x85")) - 1
    static const struct {
        const char *what;
        struct member m[4];
        int method;
        uint64_t lie;
        const char *msg;
    } rows[] = {
        { "a whole one", { { PICKLE }, { "a/data/0", "abcd", 4 } }, 0, 0, NULL },
        { "its order", { { PICKLE }, { "a/data/0", "abcd", 4 }, { "a/byteorder", "little", 6 } }, 0, 0, NULL },
        { "the other order", { { PICKLE }, { "a/data/0", "abcd", 4 }, { "a/byteorder", "big", 3 } }, 0, 0, "byte order is not little" },
        { "compressed", { { PICKLE }, { "a/data/0", "abcd", 4 } }, 8, 0, "is compressed" },
        { "a record missing", { { PICKLE } }, 0, 0, "record data/0 is missing" },
        { "a record too short", { { PICKLE }, { "a/data/0", "abc", 3 } }, 0, 0, "record data/0 has 3 bytes, not 1 of 4" },
        { "a lie", { { PICKLE }, { "a/data/0", "abcd", 4 } }, 0, 1, "record a/data/0 has 5 bytes, 4 are there" },
        { "a great lie", { { PICKLE }, { "a/data/0", "abcd", 4 } }, 0, 0xfffffff0, "4 are there" },
        { "a size not told", { { PICKLE }, { "a/data/0", "abcd", 4 } }, 0, 0xfffffffb, "its sizes are not told" },
        { "no pickle", { { "a/data/0", "abcd", 4 } }, 0, 0, "without data.pkl" },
        { "a name twice", { { PICKLE }, { "a/data/0", "abcd", 4 }, { "a/data/0", "abcd", 4 } }, 0, 0, "record a/data/0 twice" },
        { "two roots", { { PICKLE }, { "b/data/0", "abcd", 4 } }, 0, 0, "two roots" },
        { "no root", { { PICKLE }, { "data", "abcd", 4 } }, 0, 0, "is not ROOT/NAME" },
        { "up", { { PICKLE }, { "a/../0", "abcd", 4 } }, 0, 0, "is not ROOT/NAME" },
        { "absolute", { { PICKLE }, { "/a/0", "abcd", 4 } }, 0, 0, "is not ROOT/NAME" },
    };
    uint8_t *b = xmalloc(1024);
    struct torchzip z;
    struct err err;
    size_t n = 0, cuts = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int members = 0, rc;

        while (members < 4 && rows[i].m[members].name)
            members++;
        n = make_zip(b, rows[i].m, members, rows[i].method, rows[i].lie);
        rc = torchzip_parse(&z, b, n, "f", &err);
        if (rc == 0)
            torchzip_close(&z);
        OKF(rc == (rows[i].msg ? -1 : 0) && (rc == 0 || strstr(err.msg, rows[i].msg)), "%s: %s", rows[i].what, rc ? err.msg : "read");
    }
    n = make_zip(b, rows[0].m, 2, 0, 0);
    for (size_t cut = 0; cut < n; cut++)
        cuts += torchzip_parse(&z, b, cut, "f", &err) < 0;
    OK(cuts == n);
    free(b);
}

/* ---- writing ---- */

static int copy(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err)
{
    int64_t width = dtype_table[t->t.dtype].bits / 8;
    char b[5 * 8];

    (void)ctx;
    for (int64_t i = 0, n; i < t->t.count; i += n) {
        n = t->t.count - i < 5 ? t->t.count - i : 5;
        torchzip_read(t, i, n, b);
        if (torchzip_put(w, b, (size_t)(n * width), err) < 0)
            return -1;
    }
    return 0;
}

/* Same names, types, shapes and elements. */
static bool same_tensors(const struct torchzip *a, const struct torchzip *b)
{
    bool same = a->n == b->n;

    for (int i = 0; i < a->n && same; i++) {
        const struct torchzip_tensor *x = &a->tensor[i], *y = torchzip_find(b, x->t.name);
        char *p = xmalloc(x->t.size + 1), *q = xmalloc(x->t.size + 1);

        same = y && x->t.dtype == y->t.dtype && x->t.rank == y->t.rank &&
               memcmp(x->t.shape, y->t.shape, sizeof x->t.shape) == 0 && y->offset == 0;
        if (same) {
            torchzip_read(x, 0, x->t.count, p);
            torchzip_read(y, 0, y->t.count, q);
            same = memcmp(p, q, x->t.size) == 0;
        }
        free(p);
        free(q);
    }
    return same;
}

/* What torch wrote is read, written and read again; where every tensor has a storage of its own the records
 * are torch's own in name, order, size and alignment. */
static void test_again(void)
{
    static const struct {
        const char *file;
        bool records;
    } rows[] = {
        { "dtypes.pt", true }, { "newdtypes.pt", true }, { "param.pt", true }, { "views.pt", false }, { "tied.pt", false },
        { "dtypes_legacy.pt", false }, { "views_p5.pt", false },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[200], path[4096], mine[200];
        const char *shared;
        struct torchzip a, b;
        struct err err = { "" };
        bool same = true;

        snprintf(name, sizeof name, "golden/convert/torch_save/%s", rows[i].file);
        shared = tap_shared(name);
        if (!shared) {
            SKIP(rows[i].file, "../shared is absent");
            continue;
        }
        snprintf(path, sizeof path, "%s", shared);
        snprintf(mine, sizeof mine, "%s", rows[i].file);
        OKF(torchzip_open(&a, path, &err) == 0 && torchzip_save(mine, a.root, copy, NULL, &err) == 0 &&
                torchzip_open(&b, mine, &err) == 0,
            "%s", err.msg);
        OKF(torchzip_verify(&b, &err) == 0 && same_tensors(&a, &b), "%s: %s", mine, err.msg);
        OK(!rows[i].records || a.n_records == b.n_records);
        for (int k = 0; k < b.n_records; k++) {
            const struct torchzip_record *x = k < a.n_records ? &a.record[k] : NULL, *y = &b.record[k];
            bool pickle = memmem(y->name, y->name_n, "data.pkl", 8);

            same = same && y->offset % 64 == 0 && (y->crc || !y->size);
            same = same && (!rows[i].records || (x && x->name_n == y->name_n && memcmp(x->name, y->name, x->name_n) == 0 &&
                                                 (pickle || x->size == y->size)));
        }
        OKF(same, "%s: other records than torch's", mine);
        torchzip_close(&a);
        torchzip_close(&b);
    }
}

/* Plain values of every size, and what is refused. */
static void test_plain(void)
{
    static const int64_t ints[] = { 0, 255, 256, 65535, 65536, -1, INT32_MIN, INT32_MAX, INT64_C(1) << 31, INT64_MIN, INT64_MAX };
    struct torchzip_value list = { .type = TORCHZIP_LIST }, args = { .type = TORCHZIP_NAMESPACE }, v[16], key[4];
    struct torchzip_entry e[16], a[4];
    const struct torchzip_value *x;
    struct torchzip z;
    struct err err;
    size_t n = sizeof ints / sizeof *ints, i = 0;

    for (i = 0; i < n; i++) {
        v[i] = (struct torchzip_value){ .type = TORCHZIP_INT, .i = ints[i] };
        e[i] = (struct torchzip_entry){ NULL, &v[i], i + 1 < n ? &e[i + 1] : NULL };
    }
    list.list.first = e;
    v[n] = (struct torchzip_value){ .type = TORCHZIP_FLOAT, .f = -1.5e300 };
    v[n + 1] = (struct torchzip_value){ .type = TORCHZIP_DTYPE, .dtype = DTYPE_F16 };
    v[n + 2] = (struct torchzip_value){ .type = TORCHZIP_STRING, .str = { "\xc3\xa9", 2 } };
    for (i = 0; i < 4; i++) {
        key[i] = (struct torchzip_value){ .type = TORCHZIP_STRING, .str = { &"abcd"[i], 1 } };
        a[i] = (struct torchzip_entry){ &key[i], i < 3 ? &v[n + i] : &list, i < 3 ? &a[i + 1] : NULL };
    }
    args.list.first = a;
    OK(torchzip_save("plain.pt", &args, copy, NULL, &err) == 0 && torchzip_open(&z, "plain.pt", &err) == 0);
    OK(z.root->type == TORCHZIP_NAMESPACE && is_float(torchzip_get(z.root, "a"), -1.5e300) && is_string(torchzip_get(z.root, "c"), "\xc3\xa9"));
    x = torchzip_get(z.root, "b");
    OK(x && x->type == TORCHZIP_DTYPE && x->dtype == DTYPE_F16);
    x = torchzip_get(z.root, "d");
    OK(x && x->list.n == (int64_t)n);
    i = 0;
    for (const struct torchzip_entry *p = x->list.first; p; p = p->next, i++)
        OKF(is_int(p->value, ints[i]), "%lld", (long long)ints[i]);
    torchzip_close(&z);
    v[n].type = TORCHZIP_OBJECT;
    OK(torchzip_save("object.pt", &args, copy, NULL, &err) == -1 && strstr(err.msg, "object.pt: a value that is not written") &&
       torchzip_open(&z, "object.pt", &err) == -1);
}

static int put_less(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err)
{
    return torchzip_put(w, ctx, t->t.size - 1, err);
}

static int put_more(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err)
{
    return torchzip_put(w, ctx, t->t.size + 1, err);
}

static void test_short(void)
{
    struct torchzip_tensor t = { .t = { .name = "t", .dtype = DTYPE_F32, .rank = 1, .shape = { 2 }, .count = 2, .size = 8 } };
    struct torchzip_value v = { .type = TORCHZIP_TENSOR, .tensor = &t };
    char data[16] = { 0 };
    struct err err;

    OK(torchzip_save("t.pt", &v, put_less, data, &err) == -1 && strstr(err.msg, "record data/0: 1 bytes are missing"));
    OK(torchzip_save("t.pt", &v, put_more, data, &err) == -1 && strstr(err.msg, "1 bytes too many for record data/0"));
    t.t.size = 4;
    OK(torchzip_save("t.pt", &v, put_more, data, &err) == -1 && strstr(err.msg, "tensor t: 4 bytes for a shape of 8"));
    t.t = (struct tensor){ .name = "t", .dtype = DTYPE_F4, .rank = 1, .shape = { 2 }, .count = 2, .size = 1 };
    OK(torchzip_save("t.pt", &v, put_less, data, &err) == -1 && strstr(err.msg, "torch has no F4"));
}

int main(void)
{
    test_tensors();
    test_values();
    test_others();
    test_pickles();
    test_zips();
    test_again();
    test_plain();
    test_short();
    return tap_done();
}
