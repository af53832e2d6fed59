/* Whole models, every op of theirs: gradients of each parameter against central finite differences of the
 * loss for every kernel instance; the same bits for any number of threads; no allocation in a step;
 * a cache that changes nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"
#include "train/exec.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED 0
#elif defined(__has_feature)
#define COUNTED !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define COUNTED 1
#endif

#if COUNTED
/* glibc's own; every allocation of this program passes here. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
static long allocations; /* atomic */

void *malloc(size_t n)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_realloc(p, n);
}
#endif

#define SIZES \
    "\"vocab_size\":61,\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":40," \
    "\"max_position_embeddings\":64,\"initializer_range\":0.3,"
#define GPT2_SIZES "\"model_type\":\"gpt2\",\"vocab_size\":61,\"n_embd\":24,\"n_layer\":2,\"n_head\":4,\"n_positions\":64,"

static const struct {
    const char *name, *json;
} models[] = {
    { "llama, untied, key heads shared", "{\"model_type\":\"llama\"," SIZES "\"num_key_value_heads\":2}" },
    { "llama, tied, biases", "{\"model_type\":\"llama\"," SIZES "\"tie_word_embeddings\":true,\"attention_bias\":true,"
                             "\"mlp_bias\":true,\"head_dim\":10}" },
    { "mistral, window", "{\"model_type\":\"mistral\"," SIZES "\"num_key_value_heads\":1,\"sliding_window\":5}" },
    { "qwen2, a window on one layer", "{\"model_type\":\"qwen2\"," SIZES "\"num_key_value_heads\":2,"
                                      "\"use_sliding_window\":true,\"sliding_window\":3,\"max_window_layers\":1}" },
    { "gpt2", "{" GPT2_SIZES "\"initializer_range\":0.3}" },
    { "gpt2, untied, gelu", "{" GPT2_SIZES "\"initializer_range\":0.3,\"tie_word_embeddings\":false,"
                            "\"activation_function\":\"gelu\",\"n_inner\":30}" },
    /* slices of every kind: several row blocks, query blocks, columns of a bias */
    { "wide llama", "{\"model_type\":\"llama\",\"vocab_size\":331,\"hidden_size\":160,\"num_hidden_layers\":2,"
                    "\"num_attention_heads\":5,\"num_key_value_heads\":5,\"intermediate_size\":333,"
                    "\"max_position_embeddings\":512,\"attention_bias\":true,\"initializer_range\":0.1}" },
    { "wide gpt2", "{\"model_type\":\"gpt2\",\"vocab_size\":331,\"n_embd\":160,\"n_layer\":2,\"n_head\":5,"
                   "\"n_positions\":512,\"initializer_range\":0.1}" },
};
enum { N_SMALL = 6, N_MODELS = sizeof models / sizeof *models, MOST = 512, BATCHES = 2, DOCS = 4 };

/* Lengths of documents, 0 at the end: two micro-batches a step. */
static const int64_t small_docs[BATCHES][DOCS] = { { 1, 13, 36 }, { 20, 2, 9 } };
static const int64_t wide_docs[BATCHES][DOCS] = { { 300, 1, 140 }, { 129, 128, 3 } };

struct batch {
    int64_t rows, n_docs, doc[DOCS + 1], longest;
    int32_t ids[MOST], pos[MOST], target[MOST];
    float dscale[MOST], loss[MOST];
};

struct rig {
    struct model m;
    struct exec e;
    struct par *par;
    struct batch b[BATCHES];
};

/* A twentieth of the rows, and the last of each document, have weight 0. */
static void make_batch(struct batch *b, const int64_t *docs, int64_t vocab, uint64_t seed)
{
    memset(b, 0, sizeof *b);
    for (; b->n_docs < DOCS && docs[b->n_docs]; b->n_docs++) {
        int64_t n = docs[b->n_docs];

        for (int64_t i = 0; i < n; i++) {
            uint64_t r = (uint64_t)b->rows;

            b->pos[r] = (int32_t)i;
            b->ids[r] = (int32_t)(rng_u64(seed, 1, r) % (uint64_t)vocab);
            b->target[r] = (int32_t)(rng_u64(seed, 2, r) % (uint64_t)vocab);
            b->dscale[r] = i == n - 1 || rng_u64(seed, 3, r) % 20 == 0 ? 0 : (float)(0.02 * (0.5 + rng_uniform(seed, 4, r)));
            b->rows++;
        }
        b->doc[b->n_docs + 1] = b->rows;
        b->longest = n > b->longest ? n : b->longest;
    }
}

static void open_model(struct model *m, const char *json)
{
    struct config c;
    struct err err;

    if (config_parse(&c, json, strlen(json), "config", &err) < 0 || model_init(m, &c, &err) < 0)
        die("%s", err.msg);
    model_randomize(m, 5);
    for (int i = 0; i < m->n_params; i++) /* no vector of ones or zeros */
        for (int64_t k = 0; k < m->param[i].count && !m->param[i].decay; k++)
            m->w[m->param[i].offset + k] += (float)(0.2 * rng_normal(9, (uint64_t)i, (uint64_t)k));
}

static void open_rig(struct rig *r, int which, int threads)
{
    const int64_t (*docs)[DOCS] = which < N_SMALL ? small_docs : wide_docs;

    open_model(&r->m, models[which].json);
    model_train(&r->m, &comm_self);
    r->par = par_new(threads);
    for (int i = 0; i < BATCHES; i++)
        make_batch(&r->b[i], docs[i], r->m.config.vocab, (uint64_t)i);
    exec_init(&r->e, &r->m, r->par, MOST, DOCS, MOST, true);
}

static void close_rig(struct rig *r)
{
    exec_release(&r->e);
    par_free(r->par);
    model_close(&r->m);
}

static void give(struct rig *r, struct batch *b, bool grad)
{
    struct op_run *run = &r->e.run;

    run->rows = b->rows;
    run->ids = b->ids;
    run->pos = b->pos;
    run->n_docs = b->n_docs;
    run->doc = b->doc;
    run->target = b->target;
    run->dscale = grad ? b->dscale : NULL;
    run->loss = b->loss;
    exec_forward(&r->e, b->longest);
    if (grad)
        exec_backward(&r->e);
}

static void gradients(struct rig *r)
{
    model_grad_begin(&r->m);
    for (int i = 0; i < BATCHES; i++)
        give(r, &r->b[i], true);
    model_grad_end(&r->m, 0, r->m.n_params);
}

static double loss(struct rig *r)
{
    double sum = 0;

    for (int i = 0; i < BATCHES; i++) {
        give(r, &r->b[i], false);
        for (int64_t k = 0; k < r->b[i].rows; k++)
            sum += (double)r->b[i].loss[k] * (double)r->b[i].dscale[k];
    }
    return sum;
}

/* Difference quotient of the loss along v of parameter p, over 2h. */
static double quotient(struct rig *r, const struct model_param *p, const float *v, float h)
{
    float *w = r->m.w + p->offset, *kept = xmalloc((size_t)p->count * sizeof *kept);
    double up, down;

    memcpy(kept, w, (size_t)p->count * sizeof *w);
    for (int64_t i = 0; i < p->count; i++)
        w[i] = kept[i] + h * v[i];
    up = loss(r);
    for (int64_t i = 0; i < p->count; i++)
        w[i] = kept[i] - h * v[i];
    down = loss(r);
    memcpy(w, kept, (size_t)p->count * sizeof *w);
    free(kept);
    return (up - down) / (2 * (double)h);
}

static double length(const float *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Along the gradient plus a random direction, and along single elements.  The loss is about 5 and rounds
 * by 5e-7, over 2h = 0.02 that is 3e-5; h^2 of the third derivative gives the share of |g|. */
static void check_param(struct rig *r, const struct model_param *p, const float *g, double *worst)
{
    float *v = xmalloc((size_t)p->count * sizeof *v);
    double size = length(g, p->count);

    for (int t = 0; t < 4; t++) {
        double want = 0, got, off;

        if (t < 2) {
            for (int64_t i = 0; i < p->count; i++)
                v[i] = (float)rng_normal((uint64_t)t, (uint64_t)(p->id + 100 * p->layer), (uint64_t)i);
            for (int64_t i = 0, n = p->count; i < n; i++)
                v[i] = (float)((double)v[i] / sqrt((double)n) + (size > 0 ? (double)g[i] / size : 0));
        } else {
            memset(v, 0, (size_t)p->count * sizeof *v);
            v[rng_u64((uint64_t)t, (uint64_t)p->id, 0) % (uint64_t)p->count] = 1;
        }
        for (int64_t i = 0; i < p->count; i++)
            want += (double)v[i] * (double)g[i];
        got = quotient(r, p, v, 0.01f);
        off = fabs(got - want) / (5e-3 * size + 1e-4);
        *worst = off > *worst ? off : *worst;
        if (off > 1)
            printf("# parameter %d of layer %d, direction %d: %g, by differences %g, |g| %g\n", p->id, p->layer, t,
                   want, got, size);
    }
    free(v);
}

/* Gradients of ref by differences; those of the other instances must be ref's to rounding. */
static void test_gradients(int which)
{
    struct rig r;
    const struct kernels *const *all = kernel_all();
    double worst = 0;
    float *g;

    open_rig(&r, which, 1);
    g = xmalloc((size_t)r.m.size * sizeof *g);
    r.e.run.k = all[0];
    memset(r.m.g, 0x7f, (size_t)r.m.size * sizeof *g);
    gradients(&r);
    memcpy(g, r.m.g, (size_t)r.m.size * sizeof *g);
    for (int i = 0; i < r.m.n_params; i++)
        check_param(&r, &r.m.param[i], g + r.m.param[i].offset, &worst);
    OKF(worst <= 1, "%s: off by %g of the tolerance", models[which].name, worst);
    for (int k = 1; all[k]; k++) {
        double most = 0;

        r.e.run.k = all[k];
        gradients(&r);
        for (int i = 0; i < r.m.n_params; i++) {
            const struct model_param *p = &r.m.param[i];
            double size = length(g + p->offset, p->count);

            for (int64_t j = 0; j < p->count; j++)
                r.m.g[p->offset + j] -= g[p->offset + j];
            most = fmax(most, length(r.m.g + p->offset, p->count) / (size + 1e-2)); /* a key's bias has none: its terms cancel */
        }
        OKF(most < 5e-5, "%s: %s is off by %g of ref", models[which].name, all[k]->name, most);
    }
    free(g);
    close_rig(&r);
}

static void test_threads(int which)
{
    float *g = NULL, *losses = NULL;
    const struct kernels *const *all = kernel_all();

    for (int k = 1; all[k]; k++)
        for (int threads = 1; threads <= 3; threads++) {
            struct rig r;

            open_rig(&r, which, threads);
            r.e.run.k = all[k];
            gradients(&r);
            if (threads == 1) {
                free(g);
                free(losses);
                g = xmalloc((size_t)r.m.size * sizeof *g);
                losses = xmalloc(BATCHES * MOST * sizeof *losses);
                memcpy(g, r.m.g, (size_t)r.m.size * sizeof *g);
            }
            for (int i = 0; i < BATCHES; i++)
                if (threads == 1)
                    memcpy(losses + i * MOST, r.b[i].loss, sizeof r.b[i].loss);
                else
                    OK(memcmp(losses + i * MOST, r.b[i].loss, sizeof r.b[i].loss) == 0);
            OKF(memcmp(g, r.m.g, (size_t)r.m.size * sizeof *g) == 0, "%s, %s: %d threads", models[which].name,
                all[k]->name, threads);
            close_rig(&r);
        }
    free(g);
    free(losses);
}

/* Products large enough to be cut: any number of threads gives the bits that one gives, however little is left
 * for the last piece (25 rows in two: 24 and 1). */
static void test_multiply(void)
{
    static const struct {
        int64_t m, n, k;
    } shapes[] = { { 25, 64, 6000 }, { 25, 1400, 530 }, { 9, 3000, 700 }, { 8, 3000, 700 }, { 1037, 70, 129 }, { 301, 333, 517 } };
    enum { ROOM = 1 << 22, SHAPES = sizeof shapes / sizeof shapes[0] };
    const struct kernels *const *all = kernel_all();
    float *a = xmalloc(ROOM * sizeof *a), *b = xmalloc(ROOM * sizeof *b);
    float *c = xmalloc(ROOM * sizeof *c), *want = xmalloc(ROOM * sizeof *want);

    for (int64_t i = 0; i < ROOM; i++) {
        a[i] = (float)rng_normal(1, 1, (uint64_t)i);
        b[i] = (float)rng_normal(1, 2, (uint64_t)i);
    }
    for (int k = 1; all[k]; k++)
        for (int i = 0; i < SHAPES * 8; i++) {
            int64_t m = shapes[i / 8].m, n = shapes[i / 8].n, depth = shapes[i / 8].k;
            size_t size = (size_t)(m * n) * sizeof *c;
            struct op_product p = { .ta = i & 1, .tb = i >> 1 & 1, .m = m, .n = n, .depth = depth, .a = a, .b = b, .c = c,
                                    .lda = i & 1 ? m : depth, .ldb = i >> 1 & 1 ? depth : n, .ldc = n,
                                    .beta = (float)(i >> 2 & 1) };

            for (int threads = 1; threads <= 4; threads++) {
                struct op_run run = { .k = all[k], .par = par_new(threads) };

                run.scratch = aligned_alloc(64, (size_t)threads * KERNEL_SCRATCH);
                memcpy(c, a, size);
                op_multiply(&run, p);
                if (threads == 1)
                    memcpy(want, c, size);
                OKF(memcmp(want, c, size) == 0, "%s, product %d: %d threads", all[k]->name, i, threads);
                free(run.scratch);
                par_free(run.par);
            }
        }
    free(a);
    free(b);
    free(c);
    free(want);
}

static void test_allocations(int which)
{
#if COUNTED
    struct rig r;
    long before;
    size_t used;

    open_rig(&r, which, 2);
    gradients(&r);
    before = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
    used = r.e.arena.used;
    gradients(&r);
    OK(__atomic_load_n(&allocations, __ATOMIC_RELAXED) == before && r.e.arena.used == used && before > 0);
    close_rig(&r);
#else
    (void)which;
    SKIP("no allocation in a step", "a sanitizer has malloc");
#endif
}

/* Two operations a weight of every product, the embedding's rows being none; 4 a head's dimension of a key. */
static void test_flops(void)
{
    static const struct {
        int which;
        double context, want;
    } rows[] = {
        /* q 24x24, k and v 24x12, o 24x24, gate, up, down 24x40; head 24x61; 24 dimensions of heads */
        { 0, 0, 2 * (2 * (24.0 * (24 + 12 + 12 + 24) + 3 * 24 * 40) + 24 * 61) },
        { 0, 64, 2 * (2 * (24.0 * (24 + 12 + 12 + 24) + 3 * 24 * 40) + 24 * 61) + 2 * 4 * 24 * 64 },
        { 3, 64, 2 * (2 * (24.0 * (24 + 12 + 12 + 24) + 3 * 24 * 40) + 24 * 61) + 4 * 24 * (64 + 3) }, /* a window of 3 */
        { 4, 10, 2 * (2 * (24.0 * 4 * 24 + 2 * 24 * 96) + 24 * 61) + 2 * 4 * 24 * 10 },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct model m;
        double got;

        open_model(&m, models[rows[i].which].json);
        got = plan_flops(&m.config, rows[i].context);
        OKF(fabs(got - rows[i].want) < 0.5, "%zu: %g, not %g", i, got, rows[i].want);
        model_close(&m);
    }
}

/* Logits of two documents token by token and in pieces, with a cache, against both at once without. */
static void test_cache(int which)
{
    static const int64_t pieces[] = { 5, 1, 1, 4, 1 };
    enum { LENGTH = 12, CAPACITY = 16, D = 2 };
    struct rig r;
    int64_t vocab, width, past[D] = { 0, 0 }, doc[D + 1];
    int32_t slot[D] = { 1, 0 }, ids[D * LENGTH], pos[D * LENGTH], row[D * LENGTH];
    float *want, *got, *keys[2], *values[2];
    struct op_cache cache = { keys, values, CAPACITY, past, slot };
    double most = 0;

    open_rig(&r, which, 1);
    exec_release(&r.e);
    exec_init(&r.e, &r.m, r.par, MOST, DOCS, MOST, false);
    vocab = r.m.config.vocab;
    width = r.m.config.kv_heads * r.m.config.head_dim;
    want = xmalloc((size_t)(D * LENGTH * vocab) * sizeof *want);
    got = xmalloc((size_t)(D * vocab) * sizeof *got);
    for (int l = 0; l < 2; l++) {
        keys[l] = xcalloc((size_t)(D * CAPACITY * width), sizeof *keys[l]);
        values[l] = xcalloc((size_t)(D * CAPACITY * width), sizeof *values[l]);
    }
    for (int i = 0; i < D * LENGTH; i++) {
        ids[i] = (int32_t)(rng_u64(8, 8, (uint64_t)i) % (uint64_t)vocab);
        pos[i] = i % LENGTH;
    }
    r.e.run.rows = D * LENGTH;
    r.e.run.ids = ids;
    r.e.run.pos = pos;
    r.e.run.n_docs = D;
    r.e.run.doc = (int64_t[]){ 0, LENGTH, D * LENGTH };
    r.e.run.logits = want;
    exec_forward(&r.e, LENGTH);
    r.e.run.cache = &cache;
    r.e.run.logits = got;
    r.e.run.doc = doc;
    r.e.run.head_row = row;
    for (size_t t = 0; t < sizeof pieces / sizeof *pieces; t++) {
        int32_t part[D * LENGTH], at[D * LENGTH];
        int64_t n = 0;

        for (int d = 0; d < D; d++) {
            doc[d] = n;
            for (int64_t i = 0; i < pieces[t]; i++, n++) {
                at[n] = (int32_t)(past[d] + i);
                part[n] = ids[d * LENGTH + at[n]];
            }
            row[d] = (int32_t)n - 1;
        }
        doc[D] = n;
        r.e.run.rows = n;
        r.e.run.ids = part;
        r.e.run.pos = at;
        r.e.run.n_head_rows = D;
        exec_forward(&r.e, past[0] + pieces[t]);
        for (int d = 0; d < D; d++) {
            past[d] += pieces[t];
            for (int64_t v = 0; v < vocab; v++)
                most = fmax(most, fabs((double)got[d * vocab + v] - (double)want[(d * LENGTH + past[d] - 1) * vocab + v]));
        }
    }
    OKF(most < 2e-5, "%s: logits with a cache are off by %g", models[which].name, most);
    for (int l = 0; l < 2; l++) {
        free(keys[l]);
        free(values[l]);
    }
    free(want);
    free(got);
    close_rig(&r);
}

int main(void)
{
    for (int i = 0; i < N_SMALL; i++) {
        test_gradients(i);
        test_cache(i);
        test_allocations(i);
    }
    for (int i = 0; i < N_MODELS; i++)
        test_threads(i);
    test_multiply();
    test_flops();
    return tap_done();
}
