/* Encoding alone, one thread: real text in memory to ids, by a new encoder (first pass) and again by the same
 * one (second pass); beside it the ceiling, cutting into pieces alone.  Medians of 5, interleaved, MB of UTF-8 a
 * second of processor time.  REALTEXT=DIR holds en.jsonl zh.jsonl code.jsonl, TOKENIZERS=DIR the folders gpt2,
 * llama3.1, qwen2.5 and openai; TOKENIZE_MB=110 is the most of a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/data/source.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer.h"

enum { ROUNDS = 5, PASSES = 3, MODELS = 4 };

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

int main(void)
{
    static const char *const folders[] = { "gpt2", "llama3.1", "qwen2.5", "openai/o200k_base.tiktoken" }, *const names[] = { "en", "zh", "code" };
    const char *dir = getenv("REALTEXT"), *models = getenv("TOKENIZERS"), *most = getenv("TOKENIZE_MB");
    struct tokenizer *t[MODELS];
    char path[4096];
    struct err err;

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
