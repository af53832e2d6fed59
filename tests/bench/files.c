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
#include "libcommon/weights/safetensors.h"

enum { ROUNDS = 5 };

static double file_mb, model_mb; /* what a command moves */

static const struct {
    const char *name, *command;
    int peer; /* the row it is held against; its own: a ceiling */
    const double *mb;
} rows[] = {
    { "cp && sync", "cp s.tks copy && sync copy", 0, &file_mb },
    { "lmshard -o", "\"$B/bin/lmshard\" -q -o q s.tks", 0, &file_mb },
    { "lmshard -x", "\"$B/bin/lmshard\" -q -x p -o q.tks", 0, &file_mb },
    { "cat | cat", "cat s.jsonl | cat >/dev/null", 3, &file_mb },
    { "lmcat | cat", "\"$B/bin/lmcat\" -q s.jsonl | cat >/dev/null", 3, &file_mb },
    { "lmcat -j1 | cat", "\"$B/bin/lmcat\" -q -j1 s.jsonl | cat >/dev/null", 3, &file_mb },
    { "cp -r && sync", "cp -r hf copy && sync", 6, &model_mb },
    { "lmconvert --to megatron", "\"$B/bin/lmconvert\" -q hf q --to megatron --tp 2 --pp 2", 6, &model_mb },
    { "lmconvert --to hf", "\"$B/bin/lmconvert\" -q mg q --to hf", 6, &model_mb },
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

static int put_noise(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    enum { MOST = 1 << 17 };
    static uint64_t noise[MOST];
    int *calls = ctx;

    for (uint64_t i = 0; !*calls && i < MOST; i++)
        noise[i] = rng_u64(5, 5, i);
    noise[++*calls]++;
    for (size_t left = t->size, n; left; left -= n) {
        n = left < sizeof noise ? left : sizeof noise;
        if (safetensors_put(w, noise, n, err) < 0)
            return -1;
    }
    return 0;
}

static void add_tensor(struct tensor *t, const char *name, int64_t n, int64_t cols)
{
    *t = (struct tensor){ .name = name, .dtype = DTYPE_BF16, .rank = cols ? 2 : 1, .shape = { n, cols } };
    t->count = n * (cols ? cols : 1);
    t->size = (size_t)t->count * 2;
    model_mb += (double)t->size / 1e6;
}

/* A Llama of about as many bytes, in bf16: 2048 wide, 32/4 heads, MLP 5632; an even number of layers. */
static void make_model(uint64_t mb)
{
    enum { WIDE = 2048, KV = 256, MLP = 5632, WORDS = 4096, LAYER = 9 };
    static const struct {
        const char *name;
        int64_t rows, cols;
    } layer[LAYER] = {
        { "self_attn.q_proj", WIDE, WIDE }, { "self_attn.k_proj", KV, WIDE }, { "self_attn.v_proj", KV, WIDE },
        { "self_attn.o_proj", WIDE, WIDE }, { "mlp.gate_proj", MLP, WIDE },   { "mlp.up_proj", MLP, WIDE },
        { "mlp.down_proj", WIDE, MLP },     { "input_layernorm", WIDE, 0 },   { "post_attention_layernorm", WIDE, 0 },
    };
    static const struct safetensors_meta meta = { "format", "pt" };
    int layers = (int)(mb / 180 + 1) * 2, n = 0, calls = 0;
    struct tensor *t = calloc((size_t)layers * LAYER + 3, sizeof *t);
    struct io_out out;
    struct err err;

    run("mkdir hf");
    add_tensor(&t[n++], "model.embed_tokens.weight", WORDS, WIDE);
    add_tensor(&t[n++], "lm_head.weight", WORDS, WIDE);
    add_tensor(&t[n++], "model.norm.weight", WIDE, 0);
    for (int l = 0; l < layers; l++)
        for (int i = 0; i < LAYER; i++) {
            char *name = malloc(64);

            snprintf(name, 64, "model.layers.%d.%s.weight", l, layer[i].name);
            add_tensor(&t[n++], name, layer[i].rows, layer[i].cols);
        }
    if (safetensors_save("hf/model.safetensors", t, n, &meta, 1, put_noise, &calls, &err) < 0 ||
        io_create(&out, "hf/config.json", false, &err) < 0 ||
        io_printf(&out, &err,
                  "{\"model_type\":\"llama\",\"vocab_size\":%d,\"hidden_size\":%d,\"intermediate_size\":%d,\"num_hidden_layers\":%d,"
                  "\"num_attention_heads\":32,\"num_key_value_heads\":4,\"torch_dtype\":\"bfloat16\"}\n",
                  WORDS, WIDE, MLP, layers) < 0 ||
        io_commit(&out, &err) < 0)
        die("%s", err.msg);
    run("\"$B/bin/lmconvert\" -q hf mg --to megatron --tp 2 --pp 2");
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
    make_model(mb);
    file_mb = (double)mb;
    run(rows[1].command);
    run("mv q.bin p.bin && mv q.idx p.idx");
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < N; i++) {
            run("rm -rf copy q q.bin q.idx q.tks");
            sync();
            t[i][round] = run(rows[i].command);
        }
    run("rm -rf copy q q.bin q.idx q.tks p.bin p.idx s.tks s.jsonl hf mg");
    if (chdir("/") < 0 || rmdir(dir) < 0)
        err_warn("%s:", dir);
    for (int i = 0; i < N; i++)
        qsort(t[i], ROUNDS, sizeof **t, by_value);
    for (int i = 0; i < N; i++) {
        double peer = t[rows[i].peer][ROUNDS / 2], own = t[i][ROUNDS / 2];

        if (rows[i].peer != i)
            printf("%s\t%.0f MB/s\t%s %.0f MB/s\tratio %.2f\n", rows[i].name, *rows[i].mb / own, rows[rows[i].peer].name,
                   *rows[i].mb / peer, peer / own);
    }
    return 0;
}
