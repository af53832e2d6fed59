/* The log of a run: lines, what a resumed run keeps of them, and events as another reader takes them
 * apart: TFRecord framing and protocol buffers, written anew here. */
#include "train/metrics.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/io.h"
#include "tests/tap.h"

static const char *const columns[] = { "loss", "lr", NULL };

static bool tsv_is(const char *want)
{
    struct io_map m;
    struct err err;
    bool same = io_map(&m, "out/metrics.tsv", &err) == 0 && m.size == strlen(want) && memcmp(m.data, want, m.size) == 0;

    if (!same)
        printf("# %.*s\n", (int)m.size, (const char *)m.data);
    io_unmap(&m);
    return same;
}

/* One run: lines of the steps [from, to], loss 1 / step. */
static int run(int64_t resume, int64_t from, int64_t to, struct err *err)
{
    struct metrics *m = metrics_open("out", columns, resume, err);

    for (int64_t s = from; m && s <= to; s++)
        if (metrics_put(m, s, (double[]){ 1.0 / (double)s, 1e-4 }, 1700000000.25 + (double)s, err) < 0)
            return -1;
    return m ? metrics_close(m, err) : -1;
}

static void test_tsv(void)
{
    static const char three[] = "step\tloss\tlr\n1\t1\t0.0001\n2\t0.5\t0.0001\n3\t0.3333333333333333\t0.0001\n";
    static const struct {
        const char *before, *want; /* resumed from step 3 */
    } rows[] = {
        { "step\tloss\tlr\n1\t1\t0.0001\n2\t0.5\t0.0001\n3\t0.3333333333333333\t0.0001\n4\t7\t7\n5\t7\t7\n", three },
        { "step\tloss\tlr\n1\t1\t0.0001\n2\t0.5\t0.0001\n3\t0.3333333333333333\t0.0001\n4\t0.", three },
        { "step\tloss\tlr\n1\t1\t0.0001\n2\t0.5\t0.0001\n3\t0.3333333333333333\t0.0001\n4", three },
        { "step\tloss\tlr\n1\t1\t0.0001\n2\t0.5\t0.0001\n3\t0.3333333333333333\t0.0001\n", three },
        { "step\tloss\tlr\n2\t1\t1\n3\t0.3333", "step\tloss\tlr\n2\t1\t1\n" },
        { "", "step\tloss\tlr\n" },
        { "step\tloss\n1\t2\n", NULL },
        { "step\tloss\tlr\nx\t2\n", NULL },
        { "step\tloss\tlr\n1x\t2\n", NULL },
    };
    struct err err = { "" };

    OKF(run(0, 1, 3, &err) == 0, "%s", err.msg);
    OK(tsv_is(three));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int rc;

        OK(io_save("out/metrics.tsv", rows[i].before, strlen(rows[i].before), &err) == 0);
        rc = run(3, 4, 3, &err);
        OKF(tsv_is(rows[i].want ? rows[i].want : rows[i].before) && rc == (rows[i].want ? 0 : -1), "%zu: %s", i, err.msg);
    }
    OKF(strcmp(err.msg, "out/metrics.tsv: line 2: does not begin with a step") == 0, "%s", err.msg);
    OK(run(0, 1, 1, &err) == 0 && tsv_is("step\tloss\tlr\n1\t1\t0.0001\n"));
    OK(remove("out/metrics.tsv") == 0 && run(1, 2, 2, &err) == 0 && tsv_is("step\tloss\tlr\n2\t0.5\t0.0001\n"));
    OK(!metrics_open("absent", columns, 0, &err) && strcmp(err.msg, "absent/metrics.tsv: No such file or directory") == 0);
}

/* Every number reads back as the same double. */
static void test_numbers(void)
{
    static const double v[] = { 0.1, 1.0 / 3, 3.2188758850097656, 5e-324, 1.7976931348623157e308, 123456789012, 2e-5, -0.0, (double)NAN };
    enum { N = sizeof v / sizeof *v - 1 };
    const char *name[N + 2] = { "a", "b", "c", "d", "e", "f", "g", "h", "none" };
    struct err err;
    struct metrics *m = metrics_open("out", name, 0, &err);
    struct io_map map;
    const char *p;
    char *end;

    OK(metrics_put(m, 1, v, 0, &err) == 0 && metrics_close(m, &err) == 0 && io_map(&map, "out/metrics.tsv", &err) == 0);
    OK(memmem(map.data, map.size, "\n1\t0.1\t0.3333333333333333\t3.2188758850097656\t", 45));
    OK(memmem(map.data, map.size, "\t123456789012\t2e-05\t-0\t\n", 24));
    p = strchr(strchr((const char *)map.data, '\n'), '\t');
    for (int i = 0; i < N; i++, p = end) {
        double back = strtod(p, &end);

        OKF(memcmp(&back, &v[i], sizeof back) == 0, "%.17g", back);
    }
    io_unmap(&map);
}

struct cursor {
    const uint8_t *p, *end;
};

static uint64_t varint(struct cursor *c)
{
    uint64_t v = 0;

    for (int shift = 0; c->p < c->end; shift += 7) {
        v |= (uint64_t)(*c->p & 127) << shift;
        if (*c->p++ < 128)
            break;
    }
    return v;
}

/* The next field: its number; bytes of it in *in, a number in *v.  0 at the end. */
static int field(struct cursor *c, struct cursor *in, uint64_t *v)
{
    uint64_t key, n;

    if (c->p >= c->end)
        return 0;
    key = varint(c);
    *in = *c;
    *v = 0;
    switch (key & 7) {
    case 0:
        *v = varint(c);
        return (int)(key >> 3);
    case 2:
        n = varint(c);
        in->p = c->p;
        break;
    default:
        n = (key & 7) == 1 ? 8 : 4;
        memcpy(v, c->p, n);
    }
    c->p += n;
    in->end = c->p;
    return (int)(key >> 3);
}

/* An event as text: "wall step field ...". */
static void print_event(struct cursor e, char *text, size_t size)
{
    struct cursor in, value, part;
    uint64_t v, step = 0, x;
    double wall = 0;
    int f;

    text[0] = 0;
    while ((f = field(&e, &in, &v))) {
        size_t at = strlen(text);

        if (f == 1)
            memcpy(&wall, &v, 8);
        if (f == 2)
            step = v;
        if (f == 3)
            snprintf(text + at, size - at, " %.*s", (int)(in.end - in.p), (const char *)in.p);
        if (f == 7 && field(&in, &part, &x) == 1)
            snprintf(text + at, size - at, " status %d", (int)x);
        while (f == 5 && field(&in, &value, &x) == 1) {
            float simple;

            at = strlen(text);
            if (field(&value, &part, &x) == 1)
                snprintf(text + at, size - at, " %.*s", (int)(part.end - part.p), (const char *)part.p);
            at = strlen(text);
            if (field(&value, &part, &x) == 2) {
                memcpy(&simple, &x, 4);
                snprintf(text + at, size - at, "=%.9g", (double)simple);
            }
        }
    }
    {
        size_t at = strlen(text);

        snprintf(text + at, size - at, " @%.2f #%d", wall > 1.6e9 && wall < 1.7e9 + 9 ? wall : 0, (int)step);
    }
}

static uint32_t masked(const uint8_t *p, size_t n)
{
    uint32_t c = hash_crc32c_portable(0, p, n);

    return (c >> 15 | c << 17) + 0xa282ead8u;
}

static void test_events(void)
{
    static const char *const want[2][5] = {
        { " brain.Event:2 @0.00 #0", " status 1 @0.00 #1", " loss=1 lr=9.99999975e-05 @1700000001.25 #1",
          " loss=0.5 lr=9.99999975e-05 @1700000002.25 #2", " loss=0.333333343 lr=9.99999975e-05 @1700000003.25 #3" },
        { " brain.Event:2 @0.00 #0", " status 1 @0.00 #3", " loss=0.333333343 lr=9.99999975e-05 @1700000003.25 #3" },
    };
    struct dirent **e;
    struct err err;
    int n, files = 0;

    OK(mkdir("out", 0777) == 0 && run(0, 1, 3, &err) == 0 && run(2, 3, 3, &err) == 0);
    n = scandir("out", &e, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[512], text[512];
        struct io_map m;

        snprintf(path, sizeof path, "out/%s", e[i]->d_name);
        if (strstr(path, "tfevents") && io_map(&m, path, &err) == 0) {
            const uint8_t *p = m.data;

            /* what every file of TensorFlow begins with: 24 bytes, their masked checksum */
            OK(m.size > 24 && memcmp(p, "\x18\0\0\0\0\0\0\0\xa3\x7fK\"\t", 13) == 0);
            for (int k = 0; p < m.data + m.size; k++) {
                uint64_t len;
                uint32_t crc[2];

                memcpy(&len, p, 8);
                memcpy(crc, p + 8, 4);
                memcpy(crc + 1, p + 12 + len, 4);
                OK(crc[0] == masked(p, 8) && crc[1] == masked(p + 12, len));
                print_event((struct cursor){ p + 12, p + 12 + len }, text, sizeof text);
                OKF(files < 2 && k < 5 && want[files][k] && strcmp(text, want[files][k]) == 0, "%s", text);
                p += 16 + len;
            }
            OK(p == m.data + m.size);
            io_unmap(&m);
            files++;
        }
        free(e[i]);
    }
    free(e);
    OK(files == 2);
}

/* A disk that is full after 100 bytes of a file. */
static void test_full(void)
{
    struct rlimit all, few;
    struct err err = { "" };
    struct metrics *m = metrics_open("out", columns, 0, &err);
    int rc = 0;

    getrlimit(RLIMIT_FSIZE, &all);
    few = all;
    few.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &few);
    for (int64_t s = 1; s < 20 && rc == 0; s++)
        rc = metrics_put(m, s, (double[]){ 1, 1 }, 0, &err);
    setrlimit(RLIMIT_FSIZE, &all);
    OKF(rc == -1 && strstr(err.msg, "write: File too large"), "%s", err.msg);
    metrics_close(m, &err);
}

int main(void)
{
    test_events();
    test_tsv();
    test_numbers();
    test_full();
    return tap_done();
}
