/* Tools bound by disk and pipe against the plain command that moves the same bytes: interleaved, nothing else
 * waiting for the disk, medians of 5.  FILES_MB=256 sets the size; BENCH_DIR the disk. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/rng.h"
#include "libcommon/data/stream.h"

enum { ROUNDS = 5 };

static const struct {
    const char *name, *command;
    int peer; /* the row it is held against; its own: a ceiling */
} rows[] = {
    { "cp && sync", "cp s.tks copy && sync copy", 0 },
    { "lmshard -o", "\"$B/bin/lmshard\" -q -o q s.tks", 0 },
    { "lmshard -x", "\"$B/bin/lmshard\" -q -x p -o q.tks", 0 },
    { "cat | cat", "cat s.jsonl | cat >/dev/null", 3 },
    { "lmcat | cat", "\"$B/bin/lmcat\" -q s.jsonl | cat >/dev/null", 3 },
    { "lmcat -j1 | cat", "\"$B/bin/lmcat\" -q -j1 s.jsonl | cat >/dev/null", 3 },
};
enum { N = sizeof rows / sizeof *rows };

/* As many bytes of JSONL, lines of some 3000. */
static void make_jsonl(uint64_t mb)
{
    struct io_out out;
    struct err err;

    if (io_create(&out, "s.jsonl", false, &err) < 0)
        die("%s", err.msg);
    for (uint64_t i = 0; out.bytes < mb << 20; i++) {
        io_printf(&out, &err, "{\"text\":\"");
        for (uint64_t k = 0, words = 100 + rng_u64(3, 3, i) % 900; k < words; k++)
            io_printf(&out, &err, "%x%s", (unsigned)(rng_u64(4, i, k) >> 44), k % 17 ? " " : ".\\n");
        io_printf(&out, &err, "\"}\n");
    }
    if (io_commit(&out, &err) < 0)
        die("%s", err.msg);
}

/* Documents whose lengths are log-normal about 600 tokens, as FineWeb's. */
static void make_stream(uint64_t mb)
{
    enum { MOST = 1 << 20 };
    static int32_t tokens[MOST];
    struct stream_header h = { .dtype = STREAM_U16, .vocab_size = 50257, .bos = STREAM_NONE, .eod = 50256,
                               .pad = STREAM_NONE };
    uint64_t left = mb * 500000;
    struct stream_writer *w = NULL;
    struct io_out out;
    struct err err;

    if (io_create(&out, "s.tks", true, &err) < 0 || !(w = stream_writer_new(&out, &h, &err)))
        die("%s", err.msg);
    for (uint64_t i = 0; i < MOST; i++)
        tokens[i] = (int32_t)(rng_u64(1, 1, i) % 50257);
    for (uint64_t i = 0; left; i++) {
        double n = exp(6.37 + 1.1 * rng_normal(2, 2, i));
        struct stream_record rec = { .n = n < 1 ? 1 : n > MOST / 2 ? MOST / 2 : (uint64_t)n };

        rec.n = rec.n < left ? rec.n : left;
        rec.tokens = tokens + i % (MOST / 2);
        if (stream_write(w, &rec, &err) < 0)
            die("%s", err.msg);
        left -= rec.n;
    }
    if (stream_end(w, &err) < 0 || io_commit(&out, &err) < 0)
        die("%s", err.msg);
}

static double run(const char *command)
{
    double start = io_now();
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        die("failed: %s", command);
    return io_now() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    const char *base = getenv("BENCH_DIR"), *size = getenv("FILES_MB");
    uint64_t mb = size ? strtoull(size, NULL, 10) : 256;
    double t[N][ROUNDS];
    char dir[4096];

    snprintf(dir, sizeof dir, "%s/files.XXXXXX", base ? base : "/tmp");
    if (!getenv("B") || !mkdtemp(dir) || chdir(dir) < 0)
        die("%s:", dir);
    make_stream(mb);
    make_jsonl(mb);
    run(rows[1].command);
    run("mv q.bin p.bin && mv q.idx p.idx");
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < N; i++) {
            run("rm -f copy q.bin q.idx q.tks");
            sync();
            t[i][round] = run(rows[i].command);
        }
    run("rm -f copy q.bin q.idx q.tks p.bin p.idx s.tks s.jsonl");
    if (chdir("/") < 0 || rmdir(dir) < 0)
        err_warn("%s:", dir);
    for (int i = 0; i < N; i++)
        qsort(t[i], ROUNDS, sizeof **t, by_value);
    for (int i = 0; i < N; i++) {
        double peer = t[rows[i].peer][ROUNDS / 2], own = t[i][ROUNDS / 2];

        if (rows[i].peer != i)
            printf("%s\t%.0f MB/s\t%s %.0f MB/s\tratio %.2f\n", rows[i].name, (double)mb / own, rows[rows[i].peer].name,
                   (double)mb / peer, peer / own);
    }
    return 0;
}
