/* What a trainer gets: Megatron's samples against what Megatron gave (golden/data/gptdataset), rows
 * from files and pipes against the rows that were written. */
#include "train/data.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "libcommon/data/stream.h"
#include "libcommon/format/json.h"
#include "tests/tap.h"

static void row_init(struct data_row *row, int64_t length)
{
    size_t n = (size_t)length;

    *row = (struct data_row){ xmalloc(4 * n), xmalloc(4 * n), xmalloc(4 * n), xmalloc(n), xmalloc(8 * (n + 1)), 0 };
}

static void row_free(struct data_row *row)
{
    free(row->ids);
    free(row->target);
    free(row->pos);
    free(row->loss);
    free(row->doc);
}

static bool same_array(const struct json_value *v, const char *key, const int32_t *mine, const uint8_t *bytes, int64_t n)
{
    const struct json_value *a = json_get(v, key);
    int64_t i = 0;

    for (const struct json_value *e = a ? a->child : NULL; e; e = e->next, i++)
        if (i >= n || (int32_t)e->num != (mine ? mine[i] : bytes[i]))
            return false;
    return i == n;
}

static bool same_samples(struct data *d, const char *path)
{
    struct io_map m;
    struct err err;
    struct data_row row;
    bool same = io_map(&m, path, &err) == 0 && m.size > 0;
    uint64_t k = 0;

    row_init(&row, data_length(d));
    for (const char *p = (const char *)m.data, *end = p + m.size; p && p < end && same; k++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        int64_t n = data_length(d);
        struct arena a;
        struct json_value *v;

        arena_init(&a);
        v = json_tree(&a, p, (size_t)((nl ? nl : end) - p), path, &err);
        same = v && data_get(d, k, &row, &err) == 1 && same_array(v, "tokens", row.ids, NULL, n) &&
               same_array(v, "labels", row.target, NULL, n) && same_array(v, "loss_mask", NULL, row.loss, n) &&
               same_array(v, "position_ids", row.pos, NULL, n) && row.n_docs == 1 && row.doc[0] == 0 && row.doc[1] == n;
        arena_release(&a);
        p = (nl ? nl : end) + 1;
    }
    same = same && k == (data_count(d) < 50 ? (uint64_t)data_count(d) : 50);
    io_unmap(&m);
    row_free(&row);
    return same;
}

static void test_split(const char *root, const char *name, const struct json_value *e, int which)
{
    static const char *const names[] = { "train", "valid", "test" };
    const struct json_value *size = json_at(json_get(e, "sizes"), which);
    const char *base = json_at(json_at(json_get(e, "blend"), 0), 0)->str;
    char prefix[8192], file[8192];
    struct data_options o = {
        .path = prefix,
        .order = DATA_BY_KIND,
        .length = (int64_t)json_get(e, "sequence_length")->num,
        .split = json_get(e, "split")->str,
        .which = which,
        .samples = size->type == JSON_NUMBER ? (uint64_t)size->num : 0,
        .seed = (uint64_t)json_get(e, "seed")->num,
        .vocab = 1000,
        .once = true,
    };
    struct err err = { "" };
    struct data_row row;
    struct data *d;

    if (!json_at(json_get(json_get(json_get(e, "splits"), names[which]), "parts"), 0))
        return;
    snprintf(prefix, sizeof prefix, "%s/bin/%s", root, base + strlen("gpt/"));
    snprintf(file, sizeof file, "%s/%s/%s_samples.jsonl", root, name, names[which]);
    d = data_open(&o, &err);
    OKF(d && same_samples(d, file), "%s %s: %s", name, names[which], err.msg);
    if (!d)
        return;
    row_init(&row, o.length);
    OK(data_get(d, (uint64_t)data_count(d), &row, &err) == 0 && !data_stream(d));
    data_close(d);
    o.once = false;
    o.vocab = 500;
    d = data_open(&o, &err);
    OK(data_get(d, (uint64_t)data_count(d), &row, &err) == -1);
    OKF(data_get(d, 0, &row, &err) == -1 && strstr(err.msg, "sample 0, token ") && strstr(err.msg, "the model's 0..499"),
        "%s", err.msg);
    data_close(d);
    row_free(&row);
}

/* Cases with the options that a trainer has here. */
static void test_golden(void)
{
    static const char *const cases[] = { "meg12_a_1ep",   "meg12_a_2ep_nosep", "meg12_a_2ep_sep",     "meg12_a_many",
                                         "meg12_a_none",  "meg12_a_seed42",    "meg12_split_99_1_0", "meg12_too_small_s",
                                         "n24_a_2ep_sep", "n24_a_many" };
    const char *found = tap_shared("golden/data/gptdataset");
    char *root, path[8192];

    if (!found) {
        SKIP("Megatron's samples", "../shared is absent");
        return;
    }
    root = xstrdup(found);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct io_map m;
        struct arena a;
        struct err err;
        const struct json_value *e = NULL;

        arena_init(&a);
        snprintf(path, sizeof path, "%s/%s/expect.json", root, cases[i]);
        if (io_map(&m, path, &err) == 0)
            e = json_tree(&a, m.data, m.size, path, &err);
        OKF(e, "%s", path);
        for (int w = 0; w < 3 && e; w++)
            test_split(root, cases[i], e, w);
        io_unmap(&m);
        arena_release(&a);
    }
    free(root);
}

enum { LOSS = STREAM_LOSS, SEGMENTS = STREAM_SEGMENTS };

/* n rows of a stream: token i of row r is (7 r + i) % 1000, its loss bit i % 3 > 0, its segments 1, 2,
 * 3 ... tokens and the rest. */
static int32_t token(uint64_t r, uint64_t i)
{
    return (int32_t)((7 * r + i) % 1000);
}

static void write_rows(const char *path, int flags, enum stream_dtype dtype, uint32_t length, uint64_t n)
{
    struct stream_header h = { .dtype = (uint8_t)dtype, .kind = STREAM_ROWS, .flags = (uint16_t)flags, .bos = STREAM_NONE,
                               .eod = STREAM_NONE, .pad = STREAM_NONE, .row_len = length, .fingerprint = { 7 } };
    int32_t *t = xmalloc(length * sizeof *t);
    uint8_t *loss = xmalloc(length);
    uint32_t *seg = xmalloc(length * sizeof *seg);
    struct stream_writer *w;
    struct io_out out;
    struct err err;
    bool good = true;

    io_create(&out, path, true, &err);
    w = stream_writer_new(&out, &h, &err);
    for (uint64_t r = 0; r < n; r++) {
        struct stream_record rec = { .tokens = t, .n = length };

        for (uint32_t i = 0; i < length; i++) {
            t[i] = token(r, i);
            loss[i] = i % 3 > 0;
        }
        for (uint32_t left = length; flags & SEGMENTS && left; left -= seg[rec.n_seg++])
            seg[rec.n_seg] = rec.n_seg < 9 && rec.n_seg < left ? rec.n_seg : left; /* the first is empty */
        rec.loss = flags & LOSS ? loss : NULL;
        rec.seg = flags & SEGMENTS ? seg : NULL;
        good = good && stream_write(w, &rec, &err) == 0;
    }
    OK(good && stream_end(w, &err) == 0 && io_commit(&out, &err) == 0);
    free(t);
    free(loss);
    free(seg);
}

/* Is it row r of write_rows()? */
static bool is_row(const struct data_row *row, int flags, uint32_t length, uint64_t r)
{
    int64_t doc = 0, start = 0;
    bool same = true;

    for (uint32_t i = 0; i < length; i++) {
        bool last;

        /* documents of 1, 2 ... 8 tokens and the rest; one where there are no segments */
        if (flags & SEGMENTS && doc < 8 && i == start + doc + 1 && length - start > doc + 1) {
            start = i;
            doc++;
        }
        last = i == length - 1 || (flags & SEGMENTS && doc < 8 && i == start + doc);
        same = same && row->ids[i] == token(r, i) && row->pos[i] == i - start && row->doc[doc] == start;
        same = same && row->target[i] == (i == length - 1 ? 0 : token(r, i + 1));
        same = same && row->loss[i] == (!last && (!(flags & LOSS) || (i + 1) % 3 > 0));
    }
    return same && row->n_docs == doc + 1 && row->doc[doc + 1] == length;
}

static const struct {
    int flags;
    enum stream_dtype dtype;
    uint32_t length;
    uint64_t n;
} shapes[] = {
    { 0, STREAM_U16, 5, 7 },
    { 0, STREAM_I32, 1, 3 },
    { LOSS, STREAM_I32, 64, 20000 },
    { SEGMENTS, STREAM_U16, 50, 30000 },
    { LOSS | SEGMENTS, STREAM_U16, 100, 12000 },
    { LOSS | SEGMENTS, STREAM_I32, 100001, 9 },
    { LOSS | SEGMENTS, STREAM_I32, 700001, 3 }, /* a row over four blocks */
};

static void test_rows(size_t s)
{
    uint64_t n = shapes[s].n, step = n > 1000 ? n / 997 : 1, good = 0, asked = 0;
    struct data_options o = { .path = "rows", .order = DATA_SEQUENTIAL, .vocab = 1000, .seed = 5 };
    uint8_t *seen = xcalloc(n, 1);
    struct data_row row;
    struct err err = { "" };
    struct data *d;

    write_rows("rows", shapes[s].flags, shapes[s].dtype, shapes[s].length, n);
    row_init(&row, shapes[s].length);
    d = data_open(&o, &err);
    OKF(d, "%s", err.msg);
    OK(data_length(d) == shapes[s].length && data_count(d) == (int64_t)n && data_stream(d)->fingerprint[0] == 7);
    for (uint64_t k = 0; k < 2 * n; k += step, asked++)
        good += data_get(d, k, &row, &err) == 1 && is_row(&row, shapes[s].flags, shapes[s].length, k % n);
    OKF(good == asked, "%zu: %d of %d: %s", s, (int)good, (int)asked, err.msg);
    data_close(d);
    o.order = DATA_BY_KIND;
    o.length = shapes[s].length;
    d = data_open(&o, &err);
    good = 0;
    for (uint64_t k = 0; k < n; k++) {
        uint64_t r = rng_permute(5, DATA_STREAM + 1, n, k);

        if (k % step)
            continue;
        good += data_get(d, n + k, &row, &err) == 1 && is_row(&row, shapes[s].flags, shapes[s].length, r) && !seen[r]++;
    }
    OK(good == (n + step - 1) / step);
    data_close(d);
    o.once = true;
    d = data_open(&o, &err);
    OK(data_get(d, n - 1, &row, &err) == 1 && data_get(d, n, &row, &err) == 0);
    data_close(d);
    row_free(&row);
    free(seen);
}

/* The file on standard input, as a pipe. */
static void feed(const char *path)
{
    struct io_map m;
    struct err err;
    int fd[2];

    OK(io_map(&m, path, &err) == 0 && m.size < 60000 && pipe(fd) == 0);
    OK(io_write(fd[1], m.data, m.size) == 0);
    dup2(fd[0], 0);
    close(fd[0]);
    close(fd[1]);
    io_unmap(&m);
}

static void test_pipe(void)
{
    struct data_options o = { .path = "-", .order = DATA_BY_KIND, .length = 20, .vocab = 1000 };
    struct data_row row;
    struct err err = { "" };
    struct data *d;
    int good = 0;

    write_rows("rows", LOSS | SEGMENTS, STREAM_U16, 20, 10);
    row_init(&row, 20);
    feed("rows");
    d = data_open(&o, &err);
    OKF(d && data_count(d) == -1, "%s", err.msg);
    for (uint64_t k = 4; k < 10; k++)
        good += data_get(d, k, &row, &err) == 1 && is_row(&row, LOSS | SEGMENTS, 20, k);
    OKF(good == 6, "%d: %s", good, err.msg);
    OKF(data_get(d, 3, &row, &err) == -1 && strstr(err.msg, "standard input: row 3 of a pipe that is at row 10"), "%s",
        err.msg);
    OK(data_get(d, 10, &row, &err) == 0 && data_get(d, 11, &row, &err) == 0);
    data_close(d);
    feed("rows");
    d = data_open(&o, &err);
    OK(data_get(d, 77, &row, &err) == 0); /* resumed behind its end */
    data_close(d);
    feed("rows");
    o.order = DATA_SHUFFLE;
    OKF(!data_open(&o, &err) && strstr(err.msg, "data_order shuffle does not go with a pipe"), "%s", err.msg);
    row_free(&row);
}

static void test_refused(void)
{
    static const struct {
        const char *path;
        int order;
        int64_t length;
        uint64_t seed;
        const char *want;
    } rows[] = {
        { "rows", DATA_BY_KIND, 21, 0, "rows: rows of 20 tokens, seq_length is 21" },
        { "rows", DATA_MEGATRON, 0, 0, "rows: data_order megatron does not go with a stream file" },
        { "none", DATA_BY_KIND, 0, 0, "none: there are no rows in it" },
        { "docs", DATA_BY_KIND, 0, 0, "docs: a stream of documents: pack it into rows first (lmpack)" },
        { "cut", DATA_BY_KIND, 0, 0, "cut: byte 500: truncated stream" },
        { "text", DATA_BY_KIND, 0, 0, "text: byte 0: not a token stream" },
        { "absent", DATA_BY_KIND, 9, 0, "absent: neither a file nor a prefix with an .idx" },
        { ".", DATA_BY_KIND, 9, 0, ".: neither a file nor a prefix" },
        { "lone", DATA_BY_KIND, 9, 0, "lone.bin: No such file or directory" },
        { "lone", DATA_BY_KIND, 0, 0, "lone: seq_length 0 is not within" },
        { "lone", DATA_BY_KIND, 9, (uint64_t)1 << 32, "seed 4294967296 is above" },
        { "lone", DATA_SHUFFLE, 9, 0, "lone: data_order shuffle does not go with .bin/.idx" },
    };
    struct stream_header h = { .dtype = STREAM_U16, .bos = STREAM_NONE, .eod = STREAM_NONE, .pad = STREAM_NONE };
    struct io_map m;
    struct io_out out;
    struct err err = { "" };

    write_rows("rows", 0, STREAM_U16, 20, 50);
    write_rows("none", 0, STREAM_U16, 20, 0);
    OK(io_create(&out, "docs", true, &err) == 0);
    OK(stream_end(stream_writer_new(&out, &h, &err), &err) == 0 && io_commit(&out, &err) == 0);
    OK(io_map(&m, "rows", &err) == 0 && io_save("cut", m.data, 500, &err) == 0 && io_save("text", "text\n", 5, &err) == 0);
    OK(io_save("lone.idx", "MMIDIDX", 7, &err) == 0);
    io_unmap(&m);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct data_options o = { .path = rows[i].path, .order = rows[i].order, .length = rows[i].length,
                                  .seed = rows[i].seed, .vocab = 1000 };

        OKF(!data_open(&o, &err) && strstr(err.msg, rows[i].want), "%zu: %s", i, err.msg);
    }
}

/* A flipped bit is found at open or when its block is first used, by the time every row was. */
static void test_damage(void)
{
    struct data_options o = { .path = "bad", .order = DATA_SEQUENTIAL, .vocab = 1000 };
    struct io_map m;
    struct err err;
    struct data_row row;
    uint8_t *copy;
    int missed = 0, unplaced = 0;

    write_rows("rows", LOSS | SEGMENTS, STREAM_U16, 20, 4);
    row_init(&row, 20);
    OK(io_map(&m, "rows", &err) == 0);
    copy = xmalloc(m.size);
    memcpy(copy, m.data, m.size);
    for (size_t bit = 0; bit < 8 * m.size; bit += 3) {
        struct data *d;
        int rc = 1;
        FILE *f = fopen("bad", "wb");

        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        fwrite(copy, 1, m.size, f);
        fclose(f);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        d = data_open(&o, &err);
        for (uint64_t k = 0; d && k < 4 && rc == 1; k++)
            rc = data_get(d, k, &row, &err);
        missed += d && rc == 1;
        unplaced += strncmp(err.msg, "bad: byte ", 10) != 0;
        data_close(d);
    }
    OKF(missed == 0 && unplaced == 0, "%d missed, %d without a place: %s", missed, unplaced, err.msg);
    o.path = "rows";
    o.vocab = 24;
    {
        struct data *d = data_open(&o, &err);

        OK(data_get(d, 0, &row, &err) == 1);
        OKF(data_get(d, 1, &row, &err) == -1 && strstr(err.msg, "rows: row 1, token 17: 24 is not within the model's 0..23"),
            "%s", err.msg);
        data_close(d);
    }
    row_free(&row);
    free(copy);
    io_unmap(&m);
}

int main(void)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        test_rows(i);
    test_pipe();
    test_refused();
    test_damage();
    test_golden();
    return tap_done();
}
