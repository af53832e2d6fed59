/* The token stream: bytes as lmstream(5) has them (tests/fuzz/corpus/stream was made by another
 * program), any record read back, every cut and every flipped bit found. */
#include "libcommon/data/stream.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"

static struct io_map corpus(const char *name)
{
    char path[4096];
    struct io_map m;
    struct err err;

    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/stream/%s", getenv("SRC"), name);
    if (io_map(&m, path, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return m;
}

/* Read to the end by records or by blocks: 0, or -1 with a message. */
static int drain(struct stream_reader *r, bool blocks, struct err *err)
{
    struct stream_record rec;
    struct stream_block b;
    int rc = -1;

    while (r && (rc = blocks ? stream_read_block(r, &b, err) : stream_read(r, &rec, err)) == 1)
        ;
    stream_close(r);
    return rc;
}

static int drain_memory(const void *p, size_t n, bool blocks, struct err *err)
{
    return drain(stream_open_memory(p, n, "x", false, err), blocks, err);
}

/* What the "columns" file holds: a loss mask, segments, a record over two blocks, int32. */
static const struct {
    int n, n_seg;
    int32_t tokens[4];
    uint8_t loss[4];
    uint32_t seg[4];
} columns[] = {
    { 2, 2, { -1, 2 }, { 0, 1 }, { 1, 1 } },
    { 0, 0, { 0 }, { 0 }, { 0 } },
    { 4, 2, { 7, 8, 9, 5 }, { 1, 1, 1, 1 }, { 0, 4 } },
    { 0, 2, { 0 }, { 0 }, { 0, 0 } },
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void test_read(void)
{
    struct io_map m = corpus("columns");
    struct err err = { "" };
    struct stream_reader *r = stream_open_memory(m.data, m.size, "columns", false, &err);
    struct stream_record rec;

    for (int i = 0; i < N_COLUMNS; i++) {
        OKF(stream_read(r, &rec, &err) == 1, "%s", err.msg);
        OK(rec.n == (uint64_t)columns[i].n && rec.n_seg == (uint32_t)columns[i].n_seg);
        OK(!rec.n || memcmp(rec.tokens, columns[i].tokens, rec.n * 4) == 0);
        OK(!rec.n || memcmp(rec.loss, columns[i].loss, rec.n) == 0);
        OK(!rec.n_seg || memcmp(rec.seg, columns[i].seg, rec.n_seg * 4) == 0);
    }
    OK(stream_read(r, &rec, &err) == 0);
    OK(stream_totals(r)->records == 4 && stream_totals(r)->blocks == 2 && stream_totals(r)->tokens == 6);
    stream_close(r);
    io_unmap(&m);
}

/* The writer gives the bytes of the other program. */
static void test_write(void)
{
    struct io_map m = corpus("documents"), mine;
    struct stream_header h = { .dtype = STREAM_U16, .vocab_size = 10, .bos = STREAM_NONE, .eod = 9, .pad = STREAM_NONE };
    struct io_out out;
    struct err err;
    struct stream_writer *w;

    stream_add_pg(&h, "{\"tool\":\"x\"}");
    OK(io_create(&out, "w", true, &err) == 0);
    w = stream_writer_new(&out, &h, &err);
    OK(stream_write(w, &(struct stream_record){ .tokens = (int32_t[]){ 1, 2, 3 }, .n = 3 }, &err) == 0);
    OK(stream_write(w, &(struct stream_record){ .n = 0 }, &err) == 0);
    OK(stream_write_native(w, (uint16_t[]){ 4, 9 }, &(struct stream_record){ .n = 2 }, &err) == 0);
    OK(stream_end(w, &err) == 0 && io_commit(&out, &err) == 0);
    OK(io_map(&mine, "w", &err) == 0);
    OK(mine.size == m.size && memcmp(mine.data, m.data, m.size) == 0);
    io_unmap(&mine);
    io_unmap(&m);
    free(h.text);
}

static void test_damage(const char *name)
{
    struct io_map m = corpus(name);
    uint8_t *copy = xmalloc(m.size + 9);
    int good = 0, missed = 0, placed = 0, n = 0;
    struct err err;

    for (int shift = 0; shift < 9; shift++) { /* at any alignment */
        memcpy(copy + shift, m.data, m.size);
        good += drain_memory(copy + shift, m.size, shift & 1, &err) == 0;
    }
    OKF(good == 9, "%s", err.msg);
    memcpy(copy, m.data, m.size);
    for (size_t bit = 0; bit < 8 * m.size; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        for (int blocks = 0; blocks < 2; blocks++, n++) {
            if (drain_memory(copy, m.size, blocks, &err) == 0)
                missed++;
            placed += strncmp(err.msg, "x: byte ", 8) == 0;
        }
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    OKF(missed == 0 && placed == n, "%s: %d flipped bits of %d missed, %d without a place", name, missed, n, n - placed);
    missed = placed = 0;
    for (size_t cut = 0; cut < m.size; cut++) {
        char want[64];

        snprintf(want, sizeof want, "x: byte %zu: truncated stream: ", cut);
        if (drain_memory(copy, cut, cut & 1, &err) == 0)
            missed++;
        placed += strncmp(err.msg, want, strlen(want)) == 0;
    }
    OKF(missed == 0 && placed == (int)m.size, "%s: %d cuts missed, %d without a place", name, missed,
        (int)m.size - placed);
    free(copy);
    io_unmap(&m);
}

/* A pipe is read as a file is. */
static void test_pipe(void)
{
    struct io_map m = corpus("two");
    struct err err;

    for (size_t cut = 0; cut <= m.size; cut += m.size / 7) {
        int fd[2], saved = dup(0), rc, want;

        OK(pipe(fd) == 0 && io_write(fd[1], m.data, cut) == 0 && close(fd[1]) == 0);
        dup2(fd[0], 0);
        rc = drain(stream_open("-", false, &err), false, &err);
        want = drain_memory(m.data, cut, true, &err);
        OK(rc == want);
        dup2(saved, 0);
        close(saved);
        close(fd[0]);
    }
    io_unmap(&m);
}

/* Streams one after the other; each row changes one thing of the second. */
static void test_concatenated(void)
{
    static const struct stream_header base = { .dtype = STREAM_I32, .vocab_size = 100 };
    struct stream_header h[8];
    static const char *const want[] = { NULL,          "token type",      "kind",      "columns",
                                        "row length",  "vocabulary size", "tokenizer", NULL };

    for (int i = 0; i < 8; i++)
        h[i] = base;
    h[1].dtype = STREAM_U16;
    h[2].kind = STREAM_ROWS;
    h[2].row_len = 3;
    h[3].flags = STREAM_LOSS;
    h[4].kind = STREAM_ROWS;
    h[4].row_len = 4;
    h[5].vocab_size = 101;
    h[6].fingerprint[31] = 1;
    h[7].eod = 7; /* does not matter */
    for (int i = 0; i < 8; i++)
        for (int force = 0; force < 2; force++) {
            struct io_out out;
            struct err err = { "" };
            struct stream_header first = base;
            bool fine = !want[i] || (force && i == 6);
            int rc;

            if (i == 4) {
                first.kind = STREAM_ROWS;
                first.row_len = 3;
            }
            OK(io_create(&out, "c", true, &err) == 0);
            OK(stream_end(stream_writer_new(&out, &first, &err), &err) == 0);
            OK(stream_end(stream_writer_new(&out, &h[i], &err), &err) == 0);
            OK(io_commit(&out, &err) == 0);
            rc = drain(stream_open("c", force, &err), true, &err);
            OKF((rc == 0) == fine && (fine || strstr(err.msg, want[i])), "%d: %s", i, err.msg);
        }
}

/* Record i of a stream made from a seed. */
static void make(struct stream_record *rec, const struct stream_header *h, uint64_t i, int32_t *tok, uint8_t *loss,
                 uint32_t *seg)
{
    static const uint64_t sizes[] = { 0, 1, 5, 1000, 262144, 524288, 524289, 1300000, 3 };
    uint64_t left;

    rec->n = h->kind == STREAM_ROWS ? h->row_len : sizes[rng_u64(1, 1, i) % 9];
    for (uint64_t k = 0; k < rec->n; k++)
        tok[k] = (int32_t)(rng_u64(2, i, k / 97) % 50000 + k % 97);
    for (uint64_t k = 0; k < rec->n; k++)
        loss[k] = (uint8_t)(k % 11 % 3 & 1);
    rec->n_seg = 0;
    for (left = rec->n; left; left -= seg[rec->n_seg++])
        seg[rec->n_seg] = (uint32_t)(left < 70000 ? left : 70000);
    rec->tokens = tok;
    rec->loss = h->flags & STREAM_LOSS ? loss : NULL;
    rec->seg = h->flags & STREAM_SEGMENTS ? seg : NULL;
}

static bool same(const struct stream_record *a, const struct stream_record *b, bool segments)
{
    return a->n == b->n && (!a->n || memcmp(a->tokens, b->tokens, a->n * 4) == 0) &&
           (!a->n || !a->loss == !b->loss) && (!a->n || !a->loss || memcmp(a->loss, b->loss, a->n) == 0) &&
           (!segments || (a->n_seg == b->n_seg && (!a->n_seg || memcmp(a->seg, b->seg, 4 * a->n_seg) == 0)));
}

static void test_round_trip(void)
{
    enum { N = 40, MOST = 1300000 };
    int32_t *tok = xmalloc(MOST * sizeof *tok);
    uint8_t *loss = xmalloc(MOST);
    uint32_t seg[32];

    for (int c = 0; c < 16; c++) {
        struct stream_header h = { .dtype = c & 1 ? STREAM_U16 : STREAM_I32, .kind = c >> 1 & 1, .flags = (uint16_t)(c >> 2),
                                   .row_len = c & 2 ? 100003 : 0, .vocab_size = c & 1 ? 60000 : 0 };
        struct io_out out;
        struct err err = { "" };
        struct stream_writer *w;
        struct stream_reader *r;
        struct stream_record rec, got;
        int good = 1;

        OK(io_create(&out, "r", true, &err) == 0);
        w = stream_writer_new(&out, &h, &err);
        for (uint64_t i = 0; i < N; i++) {
            make(&rec, &h, i, tok, loss, seg);
            good &= stream_write(w, &rec, &err) == 0;
        }
        OKF(good && stream_end(w, &err) == 0 && io_commit(&out, &err) == 0, "%s", err.msg);
        r = stream_open("r", false, &err);
        for (uint64_t i = 0; r && i < N; i++) {
            make(&rec, &h, i, tok, loss, seg);
            good &= stream_read(r, &got, &err) == 1 && same(&rec, &got, h.flags & STREAM_SEGMENTS);
        }
        OKF(good && r && stream_read(r, &got, &err) == 0, "case %d: %s", c, err.msg);
        OK(r && stream_totals(r)->records == N);
        stream_close(r);
    }
    free(tok);
    free(loss);
}

/* What a writer refuses. */
static void test_refused(void)
{
    const struct {
        struct stream_header h;
        struct stream_record rec;
        const char *want;
    } rows[] = {
        { { .dtype = 8, .vocab_size = 5 }, { .tokens = (int32_t[]){ 4, 5 }, .n = 2 }, "token 1: 5 is not within 0..4" },
        { { .dtype = 8 }, { .tokens = (int32_t[]){ 70000 }, .n = 1 }, "70000 is not within 0..65535" },
        { { .dtype = 8 }, { .tokens = (int32_t[]){ -1 }, .n = 1 }, "-1 is not within" },
        { { .dtype = 4, .vocab_size = 5 }, { .tokens = (int32_t[]){ -100 }, .n = 1 }, "-100 is not within" },
        { { .dtype = 4, .kind = 1, .row_len = 2 }, { .tokens = (int32_t[]){ 1 }, .n = 1 }, "1 tokens, not 2" },
        { { .dtype = 4, .flags = STREAM_LOSS }, { .tokens = (int32_t[]){ 1 }, .n = 1 }, "without a loss mask" },
        { { .dtype = 4, .flags = STREAM_SEGMENTS },
          { .tokens = (int32_t[]){ 1 }, .n = 1, .seg = (uint32_t[]){ 2 }, .n_seg = 1 },
          "segments of 2 tokens in a record of 1" },
        { { .dtype = 3 }, { .n = 0 }, "token type 3" },
        { { .dtype = 4, .kind = 1 }, { .n = 0 }, "row length 0" },
        { { .dtype = 4, .text = (char[]){ "no tab\n" } }, { .n = 0 }, "header text" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct io_out out;
        struct err err = { "" };
        struct stream_writer *w;

        OK(io_create(&out, "bad", true, &err) == 0);
        w = stream_writer_new(&out, &rows[i].h, &err);
        OK(!w || stream_write(w, &rows[i].rec, &err) == -1);
        OKF(strstr(err.msg, rows[i].want), "%s", err.msg);
        if (w)
            stream_abort(w, err.msg);
        OK(!w || io_commit(&out, &err) == 0);
        if (w) { /* and its consumer hears why */
            OK(drain(stream_open("bad", false, &err), true, &err) == -1);
            OKF(strstr(err.msg, "producer failed") && strstr(err.msg, rows[i].want), "%s", err.msg);
        }
        io_abort(&out);
    }
}

int main(void)
{
    static const char *const whole[] = { "documents", "columns", "rows", "empty" };
    struct stream_header h = { .text = NULL };
    struct err err;
    size_t n;

    test_read();
    test_write();
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        test_damage(whole[i]);
    test_pipe();
    test_concatenated();
    test_round_trip();
    test_refused();
    OK(drain_memory("{\"text\": 1}\n", 12, true, &err) == -1 && strstr(err.msg, "x: byte 0: not a token stream"));
    stream_add_text(&h, "idx_dtype", "int8");
    stream_add_pg(&h, "{}");
    OK(strncmp(stream_text(&h, "idx_dtype", &n), "int8\n", 5) == 0 && n == 4);
    OK(!stream_text(&h, "idx", &n));
    free(h.text);
    return tap_done();
}
