/* base: checksums against published vectors, threads, permutations, sizes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/base64.h"
#include "libcommon/base/cpu.h"
#include "libcommon/base/hash.h"
#include "libcommon/base/num.h"
#include "libcommon/base/opt.h"
#include "libcommon/base/par.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"

/* RFC 4648, 10. */
static void test_base64(void)
{
    static const char *const texts[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar" };
    static const char *const coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
    static const char *const bad[] = { "Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z=g=", "Zm9-", "Zm9\n", "Zm9v " };
    char out[16];

    for (int i = 0; i < 7; i++)
        OKF(base64_decode(coded[i], strlen(coded[i]), out) == strlen(texts[i]) && memcmp(out, texts[i], strlen(texts[i])) == 0, "%s", texts[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        OKF(base64_decode(bad[i], strlen(bad[i]), out) == BASE64_BAD, "%s", bad[i]);
}

static void test_crc(void)
{
    unsigned char buf[10000];
    int same = 1;

    memset(buf, 0, 32); /* RFC 3720 B.4 */
    OK(hash_crc32c(0, buf, 32) == 0x8a9136aa);
    memset(buf, 0xff, 32);
    OK(hash_crc32c(0, buf, 32) == 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        buf[i] = (unsigned char)i;
    OK(hash_crc32c(0, buf, 32) == 0x46dd794e);
    OK(hash_crc32c(0, "123456789", 9) == 0xe3069283);
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (unsigned char)rng_u64(1, 2, i);
    for (size_t n = 0; n < 9000; n += 61)
        same &= hash_crc32c(7, buf + n % 9, n) == hash_crc32c_portable(7, buf + n % 9, n);
    OK(same);
    OK(hash_crc32c(hash_crc32c(0, buf, 5000), buf + 5000, 5000) == hash_crc32c(0, buf, 10000));
    OK(hash_crc32(0, "123456789", 9) == 0xcbf43926); /* RFC 1952's check value */
    same = 1;
    for (size_t n = 0; n < 9000; n += n < 200 ? 1 : 61)
        same &= hash_crc32(7, buf + n % 9, n) == hash_crc32_portable(7, buf + n % 9, n);
    OK(same);
    OK(hash_crc32(hash_crc32(0, buf, 5000), buf + 5000, 5000) == hash_crc32(0, buf, 10000));
}

static void test_sha(void)
{
    static const struct {
        const char *in, *hex;
    } rows[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };

    for (size_t i = 0; i < 3; i++) {
        struct hash_sha256 s;
        uint8_t d[32];
        char hex[65];

        hash_sha256_init(&s);
        for (const char *p = rows[i].in; *p; p++)
            hash_sha256_add(&s, p, 1);
        hash_sha256_end(&s, d);
        for (int k = 0; k < 32; k++)
            snprintf(hex + 2 * k, 3, "%02x", d[k]);
        OK(strcmp(hex, rows[i].hex) == 0);
    }
}

/* FIPS 180-4's third example; the instructions against their twin. */
static void test_sha_blocks(void)
{
    static const uint8_t want[32] = {
        0xcd, 0xc7, 0x6e, 0x5c, 0x99, 0x14, 0xfb, 0x92, 0x81, 0xa1, 0xc7, 0xe2, 0x84, 0xd7, 0x3e, 0x67,
        0xf1, 0x80, 0x9a, 0x48, 0xa4, 0x97, 0x20, 0x0e, 0x04, 0x6d, 0x39, 0xcc, 0xc7, 0x11, 0x2c, 0xd0,
    };
    struct hash_sha256 s;
    uint8_t d[32], data[64 * 9 + 1];
    char a[1000];
    int same = 1;

    memset(a, 'a', sizeof a);
    hash_sha256_init(&s);
    for (int i = 0; i < 1000; i++)
        hash_sha256_add(&s, a, sizeof a);
    hash_sha256_end(&s, d);
    OK(memcmp(d, want, 32) == 0);
    for (uint64_t k = 0; k < 200; k++) {
        uint32_t x[8], y[8];

        for (size_t i = 0; i < sizeof data; i++)
            data[i] = (uint8_t)rng_u64(1, k, i);
        memcpy(x, data + 1, sizeof x);
        memcpy(y, data + 1, sizeof y);
        hash_sha256_blocks(x, data + (k & 1), k % 10);
        hash_sha256_blocks_portable(y, data + (k & 1), k % 10);
        same &= memcmp(x, y, sizeof x) == 0;
    }
    OK(same);
}

static void test_rng(void)
{
    uint32_t r[4];
    char seen[1000] = { 0 };
    int all = 1;

    rng_block(0, 0, 0, r); /* known answers of Random123's kat_vectors */
    OK(r[0] == 0x6627e8d5 && r[1] == 0xe169c58d && r[2] == 0xbc57ac4c && r[3] == 0x9b00dbd8);
    rng_block(~0ull, ~0ull, ~0ull, r);
    OK(r[0] == 0x408f276d && r[1] == 0x41c83b0e && r[2] == 0xa20bc7c6 && r[3] == 0x6d5451fd);
    for (uint64_t n = 1; n <= 1000; n += 333) {
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++)
            seen[rng_permute(5, 6, n, i)]++;
        for (uint64_t i = 0; i < n; i++)
            all &= seen[i] == 1;
    }
    OK(all);
}

static void mark(void *ctx, long i, int thread)
{
    (void)thread;
    ((int *)ctx)[i]++;
}

struct queue {
    int next, limit, bad, out[500], n_out;
};

static int q_read(void *ctx, void *block, struct err *err)
{
    struct queue *q = ctx;

    (void)err;
    if (q->next == q->limit)
        return 0;
    *(int *)block = q->next++;
    return 1;
}

static int q_work(void *ctx, void *block, int thread, struct err *err)
{
    struct queue *q = ctx;
    int v = *(int *)block;

    (void)thread;
    if (v == q->bad)
        return err_set(err, "block %d", v);
    *(int *)block = v * v;
    return 0;
}

static int q_write(void *ctx, void *block, struct err *err)
{
    struct queue *q = ctx;

    (void)err;
    q->out[q->n_out++] = *(int *)block;
    return 0;
}

static void test_par(void)
{
    for (int jobs = 1; jobs <= 4; jobs++) {
        struct par *p = par_new(jobs);
        int hits[3000] = { 0 }, good = 1, store[8];
        void *blocks[8];
        struct queue q = { .limit = 400, .bad = -1 };
        struct par_ordered line = { q_read, q_work, q_write, &q, blocks, 2 * jobs };
        struct err err;

        for (int round = 0; round < 50; round++)
            par_for(p, 3000, mark, hits);
        for (int i = 0; i < 3000; i++)
            good &= hits[i] == 50;
        OK(good);
        par_free(p);
        for (int i = 0; i < 8; i++)
            blocks[i] = &store[i];
        OK(par_ordered(&line, jobs, &err) == 0 && q.n_out == 400);
        for (int i = 0; i < 400; i++)
            good &= q.out[i] == i * i;
        OK(good);
        q = (struct queue){ .limit = 400, .bad = 37 };
        OK(par_ordered(&line, jobs, &err) == -1 && strcmp(err.msg, "block 37") == 0 && q.n_out == 37);
    }
}

static void test_num(void)
{
    /* of these the shortest decimal is known: it is what the source says */
    static const struct { double v; const char *text; } rows[] = {
        { 0.9, "0.9" }, { 0.1, "0.1" }, { 1e-8, "1e-08" }, { 0.999, "0.999" }, { 2000, "2000" }, { -0.0, "-0" },
        { 0.1 + 0.2, "0.30000000000000004" }, { 1.0 / 3, "0.3333333333333333" }, { 9007199254740993.0, "9007199254740992" },
        { 5e-324, "5e-324" }, { 1.7976931348623157e308, "1.7976931348623157e+308" }, { -INFINITY, "-inf" },
    };
    char text[NUM_ROOM];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int n = num_format(text, rows[i].v);

        OKF(strcmp(text, rows[i].text) == 0 && n == (int)strlen(text), "%s, not %s", text, rows[i].text);
    }
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t bits = rng_u64(1, 3, i);
        double v;

        memcpy(&v, &bits, 8);
        num_format(text, v);
        if (strtod(text, NULL) != v && !isnan(v))
            OKF(0, "%a became %s", v, text);
    }
}

int main(void)
{
    struct arena a;
    int64_t v;

    test_base64();
    test_crc();
    test_sha();
    test_sha_blocks();
    test_rng();
    test_par();
    test_num();
    OK(opt_size("64M", &v) == 0 && v == 64 << 20);
    OK(opt_size("9999999999T", &v) == -1 && opt_size("", &v) == -1 && opt_size("1X", &v) == -1);
    arena_init(&a);
    for (int i = 0; i < 1000; i++)
        memset(arena_alloc(&a, (size_t)i * 100), i, (size_t)i * 100);
    OK(((uintptr_t)arena_alloc(&a, 1) & (ARENA_ALIGN - 1)) == 0);
    arena_release(&a);
    return tap_done();
}
