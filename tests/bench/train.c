/* Training steps and decoding with random weights, against the FMA peak and DRAM read rate measured
 * between them: TSV, medians.  "model" FLOPs are plan_flops' three times; profile rows are shares of the
 * threads' time by kernel, the rest being waits and what ops do themselves.
 *   train [THREADS [ROUNDS]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "train/exec.h"
#include "train/kernel/instance.h"

enum { MOST_ROUNDS = 99, MOST_THREADS = 256, LINE = 16 };

static const struct {
    const char *name, *json;
    int64_t docs, length;
} cases[] = {
    { "llama-110M", "{\"model_type\":\"llama\",\"vocab_size\":32000,\"hidden_size\":768,\"num_hidden_layers\":12,"
                    "\"num_attention_heads\":12,\"num_key_value_heads\":4,\"intermediate_size\":2048,"
                    "\"max_position_embeddings\":1024}", 4, 256 },
    { "gpt2-124M", "{\"model_type\":\"gpt2\",\"vocab_size\":50257,\"n_embd\":768,\"n_layer\":12,\"n_head\":12,"
                   "\"n_positions\":1024}", 4, 256 },
};

/* Seconds in each kernel, a line of memory a thread; gemm of attention counts as attention. */
#define ROW(entry) AT_##entry,
enum { KERNEL_ENTRIES(ROW) N_ENTRIES };
#undef ROW
#define ROW(entry) #entry,
static const char *const entry_names[] = { KERNEL_ENTRIES(ROW) };
#undef ROW
static _Thread_local double *spent;
static double spent_of[MOST_THREADS][N_ENTRIES + LINE];
static int spenders; /* atomic */
static const struct kernels *plain;

static void add_time(int entry, double start)
{
    if (!spent)
        spent = spent_of[__atomic_fetch_add(&spenders, 1, __ATOMIC_RELAXED)];
    spent[entry] += io_now() - start;
}

#define TIMED(entry, params, args) \
    static void timed_##entry params \
    { \
        double start = io_now(); \
\
        plain->entry args; \
        add_time(AT_##entry, start); \
    }
#define MAT struct kernel_mat
TIMED(gemm, (bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
             const float *b, int64_t ldb, float beta, float *c, int64_t ldc, void *scratch),
      (ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, scratch))
TIMED(gemv, (int64_t n, int64_t k, const float *w, int64_t ldw, const float *x, const float *b, float *y),
      (n, k, w, ldw, x, b, y))
TIMED(norm, (enum kernel_norm kind, int64_t n, int64_t cols, MAT x, const float *w, const float *b, float eps, MAT y,
             float *stats), (kind, n, cols, x, w, b, eps, y, stats))
TIMED(norm_grad, (enum kernel_norm kind, int64_t n, int64_t cols, MAT dy, MAT x, const float *w, const float *stats,
                  MAT dx, bool acc, float *dw, float *db), (kind, n, cols, dy, x, w, stats, dx, acc, dw, db))
TIMED(rope, (int64_t n, int64_t heads, int64_t d, int64_t rot, MAT x, const int32_t *pos, const float *table,
             bool inverse, MAT y), (n, heads, d, rot, x, pos, table, inverse, y))
TIMED(glu, (enum kernel_act act, int64_t n, int64_t cols, MAT x, MAT y), (act, n, cols, x, y))
TIMED(glu_grad, (enum kernel_act act, int64_t n, int64_t cols, MAT dy, MAT x, MAT dx), (act, n, cols, dy, x, dx))
TIMED(act, (enum kernel_act act, int64_t n, int64_t cols, MAT x, MAT y), (act, n, cols, x, y))
TIMED(act_grad, (enum kernel_act act, int64_t n, int64_t cols, MAT dy, MAT x, MAT dx), (act, n, cols, dy, x, dx))
TIMED(add, (int64_t n, int64_t cols, MAT a, MAT b, MAT y), (n, cols, a, b, y))
TIMED(add_bias, (int64_t n, int64_t cols, const float *b, MAT y), (n, cols, b, y))
TIMED(col_sum, (int64_t n, int64_t cols, MAT x, float *sum), (n, cols, x, sum))
TIMED(attend, (const struct kernels *k, const struct kernel_attend *a, int64_t i0, int64_t i1, void *scratch),
      (((void)k, plain), a, i0, i1, scratch))
TIMED(attend_grad, (const struct kernels *k, const struct kernel_attend *a, const struct kernel_attend_grad *g,
                    void *scratch), (((void)k, plain), a, g, scratch))
TIMED(ce, (int64_t n, int64_t cols, MAT x, const int32_t *target, const float *dscale, float *loss),
      (n, cols, x, target, dscale, loss))
TIMED(adamw, (const struct kernel_adamw *o, int64_t n, float *p, const float *g, float *m, float *v),
      (o, n, p, g, m, v))

static const struct kernels timed = {
    "timed", timed_gemm, timed_gemv, timed_norm, timed_norm_grad, timed_rope, timed_glu, timed_glu_grad, timed_act,
    timed_act_grad, timed_add, timed_add_bias, timed_col_sum, timed_attend, timed_attend_grad, timed_ce, timed_adamw, NULL,
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* Ceilings, all threads at once: FLOP/s; bytes/s of reading. */
static void peak_slice(void *ctx, long i, int thread)
{
    (void)thread;
    ((double *)ctx)[i] = kernel_peak();
}

static double peak(struct par *par)
{
    double rate[MOST_THREADS], sum = 0;

    par_for(par, par_threads(par), peak_slice, rate);
    for (int i = 0; i < par_threads(par); i++)
        sum += rate[i];
    return sum;
}

struct read {
    const float *p;
    int64_t n;
    double sum;
};
enum { READ_PIECE = 1 << 18 };

static void read_slice(void *ctx, long i, int thread)
{
    const struct read *r = ctx;
    volatile double sink = plain->sum_squares(READ_PIECE, r->p + i * READ_PIECE);

    (void)sink;
    (void)thread;
}

static double dram(struct par *par, const float *p, int64_t n)
{
    struct read r = { p, n / READ_PIECE, 0 };
    double start = io_now();

    par_for(par, r.n, read_slice, &r);
    return (double)(r.n * READ_PIECE) * sizeof *p / (io_now() - start);
}

struct bench {
    struct model m;
    struct exec e;
    struct par *par;
    struct arena state;
    float *moment[2];
    int32_t *ids, *pos, *target;
    int64_t *doc;
    float *dscale, *loss;
    int t;
};

static void open_bench(struct bench *b, int which, int threads)
{
    struct config c;
    struct err err;
    int64_t docs = cases[which].docs, length = cases[which].length, rows = docs * length;

    memset(b, 0, sizeof *b);
    if (config_parse(&c, cases[which].json, strlen(cases[which].json), cases[which].name, &err) < 0 ||
        model_init(&b->m, &c, &err) < 0)
        die("%s", err.msg);
    model_randomize(&b->m, 1);
    model_train(&b->m, &comm_self);
    b->par = par_new(threads);
    arena_reserve(&b->state, 2 * (size_t)b->m.size * sizeof(float) + 4 * ARENA_ALIGN);
    for (int i = 0; i < 2; i++)
        b->moment[i] = arena_calloc(&b->state, (size_t)b->m.size, sizeof(float));
    b->ids = xcalloc((size_t)rows, sizeof *b->ids);
    b->pos = xcalloc((size_t)rows, sizeof *b->pos);
    b->target = xcalloc((size_t)rows, sizeof *b->target);
    b->dscale = xcalloc((size_t)rows, sizeof *b->dscale);
    b->loss = xcalloc((size_t)rows, sizeof *b->loss);
    b->doc = xcalloc((size_t)docs + 1, sizeof *b->doc);
    for (int64_t r = 0; r < rows; r++) {
        b->ids[r] = (int32_t)(rng_u64(1, 1, (uint64_t)r) % (uint64_t)b->m.config.vocab);
        b->target[r] = (int32_t)(rng_u64(1, 2, (uint64_t)r) % (uint64_t)b->m.config.vocab);
        b->pos[r] = (int32_t)(r % length);
        b->dscale[r] = 1.0f / (float)rows;
    }
    for (int64_t d = 0; d <= docs; d++)
        b->doc[d] = d * length;
}

static void close_bench(struct bench *b)
{
    void *heap[] = { b->ids, b->pos, b->target, b->dscale, b->loss, b->doc };

    for (size_t i = 0; i < sizeof heap / sizeof *heap; i++)
        free(heap[i]);
    par_free(b->par);
    model_close(&b->m);
    arena_release(&b->state);
}

enum { ADAM_PIECE = 1 << 16 };

static void adam_slice(void *ctx, long i, int thread)
{
    struct bench *b = ctx;
    int64_t at = (int64_t)i * ADAM_PIECE, n = b->m.size - at < ADAM_PIECE ? b->m.size - at : ADAM_PIECE;
    struct kernel_adamw o = { 1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 1, 1 - pow(0.9, b->t), 1 - pow(0.95, b->t) };

    (void)thread;
    b->e.run.k->adamw(&o, n, b->m.w + at, b->m.g + at, b->moment[0] + at, b->moment[1] + at);
}

/* Seconds of forward, backward and adamw; and of processor time in all, which other programs do not enter. */
static void step(struct bench *b, double phase[4])
{
    double start = io_now(), forward, backward;
    clock_t cpu = clock();

    b->t++;
    model_grad_begin(&b->m);
    exec_forward(&b->e, b->doc[1]);
    forward = io_now();
    exec_backward(&b->e);
    model_grad_end(&b->m, 0, b->m.n_params);
    backward = io_now();
    par_for(b->par, (b->m.size + ADAM_PIECE - 1) / ADAM_PIECE, adam_slice, b);
    phase[0] = forward - start;
    phase[1] = backward - forward;
    phase[2] = io_now() - backward;
    phase[3] = (double)(clock() - cpu) / CLOCKS_PER_SEC;
}

/* The products of a step as a library alone does them: 1024 x 768 x 2048 forward on every thread. */
struct product {
    const float *a, *b;
    float *c;
    int64_t m, n, k;
    char *scratch;
};

static void gemm_slice(void *ctx, long i, int thread)
{
    const struct product *p = ctx;

    plain->gemm(false, true, p->m, p->n, p->k, 1, p->a, p->k, p->b, p->k, 0, p->c + i * p->m * p->n, p->n,
                p->scratch + (size_t)thread * KERNEL_SCRATCH);
}

static double gemm_rate(struct bench *b)
{
    int threads = par_threads(b->par);
    struct product p = { b->m.w, b->m.w + (1 << 20), b->m.g, 512, 2048, 768, b->e.run.scratch };
    double start = io_now();

    par_for(b->par, threads, gemm_slice, &p);
    return 2.0 * (double)threads * (double)(p.m * p.n * p.k) / (io_now() - start);
}

static void print_profile(const char *name, double seconds, int threads)
{
    double rest = seconds * threads;

    for (int e = 0; e < N_ENTRIES; e++) {
        double sum = 0;

        for (int t = 0; t < MOST_THREADS; t++)
            sum += spent_of[t][e];
        rest -= sum;
        if (sum > 0)
            printf("profile\t%s\t%s\t%.4f s\t%.2f %%\n", name, entry_names[e], sum, 100 * sum / (seconds * threads));
    }
    printf("profile\t%s\trest\t%.4f s\t%.2f %%\n", name, rest, 100 * rest / (seconds * threads));
}

/* Resident memory at most, bytes, since forget_peak(). */
static double peak_memory(void)
{
    char line[128];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (f)
        fclose(f);
    return kib * 1024;
}

static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

/* What is there against what the plan says. */
static void print_memory(const char *name, const struct bench *b)
{
    double have = peak_memory(), state = 16 * (double)b->m.count, plan = (double)b->e.plan.total;

    printf("memory\t%s\t%.1f MB at most\t%.1f MB parameters x 16\t%.1f MB planned for the step\t%.1f MB more\n", name,
           have * 1e-6, state * 1e-6, plan * 1e-6, (have - state - plan) * 1e-6);
}

static void bench_train(int which, int threads, int rounds)
{
    struct bench b;
    double seconds[MOST_ROUNDS], peaks[MOST_ROUNDS], gemms[MOST_ROUNDS], phase[4], parts[4][MOST_ROUNDS], s, rate, flops;
    int64_t rows = cases[which].docs * cases[which].length;

    forget_peak();
    open_bench(&b, which, threads);
    exec_init(&b.e, &b.m, b.par, rows, cases[which].docs, cases[which].length, true);
    b.e.run.rows = rows;
    b.e.run.ids = b.ids;
    b.e.run.pos = b.pos;
    b.e.run.n_docs = cases[which].docs;
    b.e.run.doc = b.doc;
    b.e.run.target = b.target;
    b.e.run.dscale = b.dscale;
    b.e.run.loss = b.loss;
    step(&b, phase);
    for (int i = 0; i < rounds; i++) {
        peaks[i] = peak(b.par);
        gemms[i] = gemm_rate(&b);
        step(&b, phase);
        seconds[i] = phase[0] + phase[1] + phase[2];
        for (int k = 0; k < 4; k++)
            parts[k][i] = phase[k];
    }
    s = median(seconds, rounds);
    rate = median(peaks, rounds);
    flops = 3 * plan_flops(&b.m.config, (double)cases[which].length) * (double)rows;
    printf("train\t%s\t%d threads\t%.4f s/step\t%.1f tok/s\t%.1f GFLOP/s model\t%.1f GFLOP/s peak\t%.1f GFLOP/s gemm\t"
           "%.1f %% of peak\t%.1f %% by processor time\tforward %.3f backward %.3f adamw %.3f\tarena %.0f MB\n",
           cases[which].name, threads, s, (double)rows / s, flops / s * 1e-9, rate * 1e-9,
           median(gemms, rounds) * 1e-9, 100 * flops / s / rate,
           100 * flops / (median(parts[3], rounds) / threads) / rate, median(parts[0], rounds), median(parts[1], rounds),
           median(parts[2], rounds), (double)b.e.plan.total * 1e-6);
    print_memory(cases[which].name, &b);
    memset(spent_of, 0, sizeof spent_of);
    b.e.run.k = &timed;
    step(&b, phase);
    print_profile(cases[which].name, phase[0] + phase[1] + phase[2], threads);
    exec_release(&b.e);
    close_bench(&b);
}

static void bench_decode(int which, int threads, int rounds)
{
    enum { PROMPT = 512, TOKENS = 16, CAPACITY = 1024 };
    struct bench b;
    int64_t past = 0, doc[2] = { 0, PROMPT }, width, layers;
    int32_t slot = 0, ids[PROMPT], pos[PROMPT], row = PROMPT - 1;
    double rate[MOST_ROUNDS], reads[MOST_ROUNDS], prompts[MOST_ROUNDS], peaks[MOST_ROUNDS], t, bytes, flops;
    struct op_cache cache = { .capacity = CAPACITY, .past = &past, .slot = &slot };
    float *logits, *kv;

    open_bench(&b, which, threads);
    exec_init(&b.e, &b.m, b.par, PROMPT, 1, CAPACITY, false);
    width = b.m.config.kv_heads * b.m.config.head_dim;
    layers = b.m.config.layers;
    kv = xcalloc((size_t)(2 * layers * CAPACITY * width), sizeof *kv);
    cache.k = xcalloc((size_t)layers, sizeof *cache.k);
    cache.v = xcalloc((size_t)layers, sizeof *cache.v);
    for (int64_t l = 0; l < layers; l++) {
        cache.k[l] = kv + 2 * l * CAPACITY * width;
        cache.v[l] = cache.k[l] + CAPACITY * width;
    }
    logits = xcalloc((size_t)b.m.config.vocab, sizeof *logits);
    for (int i = 0; i < PROMPT; i++) {
        ids[i] = (int32_t)((unsigned)i * 7919u % (unsigned)b.m.config.vocab);
        pos[i] = i;
    }
    b.e.run.ids = ids;
    b.e.run.pos = pos;
    b.e.run.n_docs = 1;
    b.e.run.doc = doc;
    b.e.run.cache = &cache;
    b.e.run.head_row = &row;
    b.e.run.n_head_rows = 1;
    b.e.run.logits = logits;
    for (int i = 0; i < rounds; i++) {
        past = 0;
        row = PROMPT - 1;
        b.e.run.rows = doc[1] = PROMPT;
        b.e.run.pos = pos;
        peaks[i] = peak(b.par);
        t = io_now();
        exec_forward(&b.e, PROMPT);
        prompts[i] = io_now() - t;
        b.e.run.rows = doc[1] = 1;
        row = 0;
        past = PROMPT;
        reads[i] = dram(b.par, b.m.w, b.m.size);
        t = io_now();
        for (int k = 0; k < TOKENS; k++, past++) {
            int32_t at = (int32_t)past;

            b.e.run.pos = &at;
            exec_forward(&b.e, past + 1);
        }
        rate[i] = TOKENS / (io_now() - t);
    }
    bytes = 4.0 * (plan_flops(&b.m.config, 0) / 2 + (double)(2 * layers * (PROMPT + TOKENS / 2) * width));
    flops = plan_flops(&b.m.config, PROMPT) * PROMPT;
    t = median(prompts, rounds);
    printf("decode\t%s\t%d threads\t%.1f tok/s\t%.1f GB/s\t%.1f GB/s DRAM read\t%.1f %%\n", cases[which].name, threads,
           median(rate, rounds), median(rate, rounds) * bytes * 1e-9, median(reads, rounds) * 1e-9,
           100 * median(rate, rounds) * bytes / median(reads, rounds));
    printf("prompt\t%s\t%d threads\t%.1f tok/s\t%.1f %% of peak\n", cases[which].name, threads, PROMPT / t,
           100 * flops / t / median(peaks, rounds));
    free(logits);
    free(kv);
    free(cache.k);
    free(cache.v);
    exec_release(&b.e);
    close_bench(&b);
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : cpu_count(), rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;

    if (threads < 1 || threads > MOST_THREADS || rounds < 1 || rounds > MOST_ROUNDS)
        die("usage: train [THREADS [ROUNDS]]");
    plain = kernel_pick();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_train((int)i, threads, rounds);
        bench_decode((int)i, threads, rounds);
        fflush(stdout);
    }
    return 0;
}
