/* Encoding alone, one thread: real text in memory to ids, by a new encoder (first pass) and again by the same
 * one (second pass); beside it the ceiling, cutting into pieces alone.  Medians of 5, interleaved, MB of UTF-8 a
 * second of processor time.  REALTEXT=DIR holds en.jsonl zh.jsonl code.jsonl, TOKENIZERS=DIR the folders gpt2,
 * llama3.1, qwen2.5 and openai; TOKENIZE_MB=110 is the most of a file.
 *
 * `tokenize TOKENIZER JSONL MB THREADS` is one figure of peers.py: MB of text, MB/s of the first and of the second pass
 * by the clock, ids. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/par.h"
#include "libcommon/data/source.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer.h"

enum { ROUNDS = 5, PASSES = 3, MODELS = 4, MOST_THREADS = 64 };

/* Texts one behind the other. */
struct texts {
    char *bytes;
    size_t n, cap;
    size_t *end;
    size_t n_texts, end_cap;
};

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct texts read_texts(const char *path, size_t most)
{
    struct source *s = source_new(&(struct source_options){ .from = SOURCE_JSONL }, &(char *){ (char *)(uintptr_t)path }, 1);
    struct source_block b = { 0 };
    struct texts t = { 0 };
    struct source_doc d;
    struct err err;
    int rc = 0;

    while (t.n < most && rc >= 0 && (rc = source_read(s, &b, &err)) > 0)
        while (t.n < most && (rc = source_next(&b, &d, &err)) > 0) {
            mem_grow(&t.bytes, &t.cap, t.n + d.text.n + 1, 1);
            t.n += source_text(&d, t.bytes + t.n);
            mem_grow(&t.end, &t.end_cap, t.n_texts + 1, sizeof *t.end);
            t.end[t.n_texts++] = t.n;
        }
    if (rc < 0)
        die("%s", err.msg);
    source_block_free(&b);
    source_free(s);
    return t;
}

static double encode(struct tokenizer_encoder *e, const struct texts *t, size_t *n_ids)
{
    static struct tokenizer_ids ids;
    double start = cpu_seconds();
    struct err err;
    size_t at = 0;

    *n_ids = 0;
    for (size_t i = 0; i < t->n_texts; at = t->end[i++]) {
        ids.n = 0;
        if (tokenizer_encode(e, t->bytes + at, t->end[i] - at, TOKENIZER_SPECIAL_NONE, &ids, &err) < 0)
            die("%s", err.msg);
        *n_ids += ids.n;
    }
    return cpu_seconds() - start;
}

static double cut(const char *pattern, const struct texts *t)
{
    struct err err;
    struct pretok *p = pretok_open(pattern, strlen(pattern), &err);
    size_t end[256], from = 0, n;
    double start = cpu_seconds();

    for (size_t i = 0; i < t->n_texts; from = t->end[i++])
        for (size_t at = 0; at < t->end[i] - from; at = end[n - 1])
            n = pretok_ends(p, t->bytes + from, t->end[i] - from, at, end, 256, &err);
    start = cpu_seconds() - start;
    pretok_free(p);
    return start;
}

struct pass {
    const struct texts *texts;
    size_t threads;
    struct tokenizer_encoder *encoder[MOST_THREADS];
    struct tokenizer_ids ids[MOST_THREADS];
    size_t n_ids[MOST_THREADS];
};

/* Every threads-th text, the same ones in each pass. */
static void encode_share(void *ctx, long share, int thread)
{
    struct pass *p = ctx;
    const struct texts *t = p->texts;
    struct err err;

    (void)thread;
    for (size_t k = (size_t)share; k < t->n_texts; k += p->threads) {
        size_t at = k ? t->end[k - 1] : 0;

        p->ids[share].n = 0;
        if (tokenizer_encode(p->encoder[share], t->bytes + at, t->end[k] - at, TOKENIZER_SPECIAL_NONE, &p->ids[share], &err) < 0)
            die("%s", err.msg);
        p->n_ids[share] += p->ids[share].n;
    }
}

/* One figure. */
static int measure(char **v)
{
    int threads = (int)strtol(v[3], NULL, 10);
    struct texts t = read_texts(v[1], strtoull(v[2], NULL, 10) * 1000000);
    struct err err;
    struct tokenizer *tokenizer = tokenizer_open(v[0], &err);
    struct par *par;
    struct pass pass = { .texts = &t, .threads = (size_t)threads };
    double mb = (double)t.n / 1e6, rate[2];
    size_t ids = 0;

    if (!tokenizer)
        die("%s", err.msg);
    if (threads < 1 || threads > MOST_THREADS)
        die("%s threads", v[3]);
    par = par_new(threads);
    for (int i = 0; i < threads; i++)
        pass.encoder[i] = tokenizer_encoder_new(tokenizer);
    for (int i = 0; i < 2; i++) {
        double start = io_now();

        par_for(par, threads, encode_share, &pass);
        rate[i] = mb / (io_now() - start);
    }
    for (int i = 0; i < threads; i++)
        ids += pass.n_ids[i] / 2;
    printf("%.1f\t%.1f\t%.1f\t%zu\n", mb, rate[0], rate[1], ids);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void run(const char *name, const struct tokenizer *t, const char *text_name, const struct texts *texts)
{
    double seconds[PASSES][ROUNDS], mb = (double)texts->n / 1e6;
    size_t n_ids = 0;

    for (int round = 0; round < ROUNDS; round++) {
        struct tokenizer_encoder *e = tokenizer_encoder_new(t);

        seconds[0][round] = encode(e, texts, &n_ids);
        seconds[1][round] = encode(e, texts, &n_ids);
        seconds[2][round] = cut(tokenizer_info(t)->pattern_name, texts);
        tokenizer_encoder_free(e);
    }
    for (int i = 0; i < PASSES; i++)
        qsort(seconds[i], ROUNDS, sizeof **seconds, by_value);
    printf("tokenize %s %s\t%.0f MB\t%zu tokens\tfirst %.0f MB/s\tsecond %.0f MB/s\tpieces alone %.0f MB/s\n", name, text_name,
           mb, n_ids, mb / seconds[0][ROUNDS / 2], mb / seconds[1][ROUNDS / 2], mb / seconds[2][ROUNDS / 2]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const char *const folders[] = { "gpt2", "llama3.1", "qwen2.5", "openai/o200k_base.tiktoken" }, *const names[] = { "en", "zh", "code" };
    const char *dir = getenv("REALTEXT"), *models = getenv("TOKENIZERS"), *most = getenv("TOKENIZE_MB");
    struct tokenizer *t[MODELS];
    char path[4096];
    struct err err;

    if (argc == 5)
        return measure(argv + 1);
    if (!dir || access(dir, R_OK) < 0) {
        printf("tokenize\tskipped: REALTEXT names no directory of real text\n");
        return 0;
    }
    for (int i = 0; i < MODELS; i++) {
        snprintf(path, sizeof path, "%s/%s", models ? models : "../shared/data/tokenizers", folders[i]);
        t[i] = tokenizer_open(path, &err);
        if (!t[i])
            die("%s", err.msg);
    }
    for (int k = 0; k < 3; k++) {
        struct texts texts;

        snprintf(path, sizeof path, "%s/%s.jsonl", dir, names[k]);
        texts = read_texts(path, (most ? strtoull(most, NULL, 10) : 110) * 1000000);
        for (int i = 0; i < MODELS; i++)
            run(folders[i], t[i], names[k], &texts);
        free(texts.bytes);
        free(texts.end);
    }
    for (int i = 0; i < MODELS; i++)
        tokenizer_free(t[i]);
    return 0;
}
