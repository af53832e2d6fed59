/* Checkpoints: everything comes back to the bit, any damage is found, old ones go, and what a killed run
 * left goes, too.  tests/cli/ckpt.t runs this program as `save OUT STEP` and `newest OUT`. */
#include "train/ckpt.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "libcommon/format/json.h"
#include "tests/tap.h"

static const char config[] =
    "{\"model_type\": \"llama\", \"vocab_size\": 11, \"hidden_size\": 8, \"num_hidden_layers\": 2,\n"
    "\"num_attention_heads\": 2, \"intermediate_size\": 12, \"rope_theta\": 1e4, \"torch_dtype\": \"bfloat16\",\n"
    "\"tie_word_embeddings\": false, \"max_position_embeddings\": 32, \"note\": [\"\\u00e9\\n\", {}, [], null, 1.50]}";

/* A model and moments; fill: by a seed. */
static void make(struct ckpt *c, struct model *m, uint64_t seed)
{
    struct config cfg;
    struct err err;

    if (config_parse(&cfg, config, sizeof config - 1, "config", &err) < 0 || model_init(m, &cfg, &err) < 0) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    *c = (struct ckpt){ .m = m, .conf = "lr = 0.001\n" };
    c->exp_avg = xcalloc((size_t)m->size, sizeof(float));
    c->exp_avg_sq = xcalloc((size_t)m->size, sizeof(float));
    if (!seed)
        return;
    model_randomize(m, seed);
    for (int i = 0; i < m->n_params; i++)
        for (int64_t k = m->param[i].offset; k < m->param[i].offset + m->param[i].count; k++) {
            c->exp_avg[k] = (float)rng_normal(seed, 1000, (uint64_t)k);
            c->exp_avg_sq[k] = (float)rng_uniform(seed, 1001, (uint64_t)k) * 1e-38f; /* denormals among them */
        }
    c->state = (struct ckpt_state){ (int64_t)seed, 3 * seed, UINT64_MAX - seed, (uint64_t)INT64_MAX + seed };
}

static void drop(struct ckpt *c)
{
    model_close(c->m);
    free(c->exp_avg);
    free(c->exp_avg_sq);
}

static bool same(const struct ckpt *a, const struct ckpt *b)
{
    size_t n = (size_t)a->m->size * sizeof(float);

    return memcmp(a->m->w, b->m->w, n) == 0 && memcmp(a->exp_avg, b->exp_avg, n) == 0 &&
           memcmp(a->exp_avg_sq, b->exp_avg_sq, n) == 0 && memcmp(&a->state, &b->state, sizeof a->state) == 0;
}

/* Does OUT/step_SEED hold what make(SEED) made? */
static bool holds(const char *path, uint64_t seed)
{
    struct model ma, mb;
    struct ckpt a, b;
    struct err err = { "" };
    bool yes;

    make(&a, &ma, seed);
    make(&b, &mb, 0);
    yes = ckpt_load(path, &b, &err) == 0 && same(&a, &b);
    drop(&a);
    drop(&b);
    return yes;
}

static int save(const char *out, uint64_t seed, int64_t step, int keep, const char *tokenizer, struct err *err)
{
    struct model m;
    struct ckpt c;
    int rc;

    make(&c, &m, seed);
    c.state.step = step;
    c.tokenizer = tokenizer;
    rc = ckpt_save(out, &c, keep, err);
    drop(&c);
    return rc;
}

/* Names in a directory, sorted, each with a blank behind it. */
static const char *names(const char *path)
{
    static char text[4096];
    struct dirent **e;
    int n = scandir(path, &e, NULL, alphasort);

    text[0] = 0;
    for (int i = 0; i < n; i++) {
        size_t at = strlen(text);

        if (strcmp(e[i]->d_name, ".") != 0 && strcmp(e[i]->d_name, "..") != 0)
            snprintf(text + at, sizeof text - at, "%s ", e[i]->d_name);
        free(e[i]);
    }
    if (n >= 0)
        free(e);
    return text;
}

static char warned[2048];

static void warn(const char *message)
{
    snprintf(warned, sizeof warned, "%s", message);
}

static bool finds(const char *out, const char *want)
{
    struct err err;
    char *path;
    bool yes = ckpt_find(out, &path, warn, &err) == 1 && strcmp(path, want) == 0;

    if (!yes)
        printf("# %s, not %s: %s\n", path, want, err.msg);
    free(path);
    return yes;
}

/* What another program says of the files: coreutils' sha256sum. */
static bool sums_agree(const char *path)
{
    char cmd[4096];
    FILE *p;

    snprintf(cmd, sizeof cmd, "cd %s && sed -n '2,$s/^\\([0-9a-f]*\\) [0-9]* /\\1  /p' MANIFEST >../sums && "
             "sha256sum --quiet -c ../sums && [ $(wc -l <../sums) = 8 ] && "
             "[ \"end $(sed '$d' MANIFEST | sha256sum | cut -c 1-64)\" = \"$(tail -n 1 MANIFEST)\" ]", path);
    p = popen(cmd, "r");
    return p && pclose(p) == 0;
}

static void test_config(const char *path)
{
    struct io_map m;
    struct err err;
    struct arena a;
    struct json_value *v;

    arena_init(&a);
    OK(io_map(&m, path, &err) == 0);
    v = json_tree(&a, m.data, m.size, path, &err);
    OK(v && strcmp(json_get(v, "torch_dtype")->str, "float32") == 0 && !json_get(v, "dtype"));
    OK(strcmp(json_at(json_get(v, "architectures"), 0)->str, "LlamaForCausalLM") == 0);
    OK(memmem(m.data, m.size, "\n  \"note\": [\n    \"\u00e9\\n\",\n    {},\n    [],\n    null,\n    1.50\n  ],\n", 44));
    io_unmap(&m);
    arena_release(&a);
}

static void test_round_trip(void)
{
    static const char state[] = "{\n  \"version\": 1,\n  \"step\": 7,\n  \"samples\": 21,\n"
                                "  \"tokens\": 18446744073709551608,\n  \"seed\": 9223372036854775814\n}\n";
    struct err err = { "" };
    struct io_map m;

    mkdir("out", 0777);
    mkdir("tok", 0777);
    OK(io_save("tok/tokenizer.json", "{}", 2, &err) == 0 && io_save("tok/vocab.json", "", 0, &err) == 0);
    OK(io_save("tok/config.json", "other", 5, &err) == 0);
    OKF(save("out", 7, 7, 0, "tok", &err) == 0, "%s", err.msg);
    OKF(strcmp(names("out/step_7"),
               "MANIFEST config.json model.safetensors optimizer run.conf state.json tokenizer.json vocab.json ") == 0,
        "%s", names("out/step_7"));
    OK(strcmp(names("out/step_7/optimizer"), "exp_avg.safetensors exp_avg_sq.safetensors ") == 0);
    OK(strcmp(names("out"), "step_7 ") == 0);
    OK(holds("out/step_7", 7));
    OK(sums_agree("out/step_7") && unlink("out/sums") == 0);
    OK(io_map(&m, "out/step_7/state.json", &err) == 0);
    OK(m.size == strlen(state) && memcmp(m.data, state, m.size) == 0);
    io_unmap(&m);
    test_config("out/step_7/config.json");
    OK(save("out", 8, 8, 0, "absent", &err) == -1 && strcmp(err.msg, "absent: No such file or directory") == 0);
    OK(strcmp(names("out"), "step_7 ") == 0);
    OK(save("nowhere", 8, 8, 0, NULL, &err) == -1 && strcmp(err.msg, "nowhere: No such file or directory") == 0);
}

/* Change files of step_8 in every way; each time it is found damaged and step_7 is taken. */
static void spoil(const char *file, const void *data, size_t n, int *missed)
{
    struct err err;
    FILE *f = fopen(file, "wb");

    fwrite(data, 1, n, f);
    fclose(f);
    *missed += ckpt_verify("out/step_8", &err) == 0 || strncmp(err.msg, "out/step_8/", 11) != 0;
}

static void test_damage(void)
{
    static const char *const files[] = { "MANIFEST", "config.json", "model.safetensors", "optimizer/exp_avg.safetensors",
                                         "optimizer/exp_avg_sq.safetensors", "run.conf", "state.json", "tokenizer.json",
                                         "vocab.json" };
    struct err err = { "" };
    char *path;

    OK(save("out", 8, 8, 0, "tok", &err) == 0 && finds("out", "out/step_8"));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char file[256];
        struct io_map m;
        uint8_t *copy;
        int missed = 0;
        size_t n, step;

        snprintf(file, sizeof file, "out/step_8/%s", files[i]);
        OK(io_map(&m, file, &err) == 0);
        n = m.size;
        copy = xmalloc(n + 1);
        memcpy(copy, m.data, n);
        io_unmap(&m);
        copy[n] = 0;
        step = n > 1500 ? n / 300 : 1;
        for (size_t at = 0; at < n; at += step) {
            copy[at] ^= (uint8_t)(1 << at % 8);
            spoil(file, copy, n, &missed);
            copy[at] ^= (uint8_t)(1 << at % 8);
        }
        for (size_t cut = 0; cut < n; cut += step)
            spoil(file, copy, cut, &missed);
        spoil(file, copy, n + 1, &missed);
        OKF(missed == 0, "%s: %d missed", file, missed);
        warned[0] = 0;
        OKF(finds("out", "out/step_7") && strncmp(warned, "out/step_8/", 11) == 0, "%s: %s", file, warned);
        unlink(file);
        OK(finds("out", "out/step_7"));
        OK(mkdir(file, 0777) == 0 && finds("out", "out/step_7") && rmdir(file) == 0);
        OK(io_save(file, copy, n, &err) == 0 && finds("out", "out/step_8"));
        free(copy);
    }
    OK(io_save("out/step_8/extra", "x", 1, &err) == 0 && finds("out", "out/step_8"));
    OK(truncate("out/step_7/run.conf", 0) == 0 && truncate("out/step_8/run.conf", 0) == 0);
    OKF(ckpt_find("out", &path, warn, &err) == -1 && !path && strstr(err.msg, "out: none of 2 checkpoints is whole"), "%s",
        err.msg);
    OK(ckpt_find("absent", &path, warn, &err) == 0 && !path);
}

/* A checkpoint of another shape: the files are whole and do not fit. */
static void test_mismatch(void)
{
    struct config cfg;
    struct model m;
    struct ckpt c = { .m = &m };
    struct err err = { "" };
    char text[sizeof config];

    mkdir("other", 0777);
    OK(save("other", 1, 1, 0, NULL, &err) == 0);
    memcpy(text, config, sizeof config);
    memcpy(strstr(text, "_size\": 12"), "_size\": 16", 10);
    OK(config_parse(&cfg, text, sizeof text - 1, "c", &err) == 0 && model_init(&m, &cfg, &err) == 0);
    c.exp_avg = c.exp_avg_sq = m.w;
    OKF(ckpt_load("other/step_1", &c, &err) == -1 && strstr(err.msg, "other/step_1/model.safetensors: model.layers.0.mlp."),
        "%s", err.msg);
    model_close(&m);
}

static void test_keep(void)
{
    static const struct {
        int64_t step;
        int keep;
        const char *want;
    } rows[] = {
        { 1, 3, "step_1 " },
        { 2, 3, "step_1 step_2 " },
        { 10, 3, "step_1 step_10 step_2 " },
        { 9, 3, "step_1 step_10 step_2 step_9 " }, /* went back: 10 stays, and 1, 2, 9 are three */
        { 11, 3, "step_10 step_11 step_9 " },
        { 11, 3, "step_10 step_11 step_9 " },
        { 12, 0, "step_10 step_11 step_12 step_9 " },
        { 13, 1, "step_13 " },
    };
    struct err err = { "" };

    mkdir("keep", 0777);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        OKF(save("keep", 100 + i, rows[i].step, rows[i].keep, NULL, &err) == 0, "%s", err.msg);
        OKF(strcmp(names("keep"), rows[i].want) == 0, "%zu: %s", i, names("keep"));
    }
    /* what is not a checkpoint's stays; what a killed run left goes */
    mkdir("keep/.step_5.tmp", 0777);
    mkdir("keep/.step_5.tmp/optimizer", 0777);
    mkdir("keep/.step_13.old", 0777);
    mkdir("keep/.step_x.tmp", 0777);
    mkdir("keep/step_07", 0777);
    OK(symlink("../tok", "keep/.step_5.tmp/link") == 0 && io_save("keep/.step_5.tmp/optimizer/a", "x", 1, &err) == 0);
    OK(io_save("keep/metrics.tsv", "x", 1, &err) == 0);
    OKF(save("keep", 14, 14, 1, NULL, &err) == 0, "%s", err.msg);
    OKF(strcmp(names("keep"), ".step_x.tmp metrics.tsv step_07 step_14 ") == 0, "%s", names("keep"));
    OK(strcmp(names("tok"), "config.json tokenizer.json vocab.json ") == 0);
    OK(save("keep", 15, 14, 1, NULL, &err) == 0);
    {
        struct model ma, mb;
        struct ckpt a, b;

        make(&a, &ma, 15);
        make(&b, &mb, 0);
        a.state.step = 14;
        OK(ckpt_load("keep/step_14", &b, &err) == 0 && same(&a, &b));
        drop(&a);
        drop(&b);
    }
}

static void test_state(void)
{
#define REST "\"samples\":1,\"tokens\":2,\"seed\":3}"
    static const struct {
        const char *text, *want; /* NULL: good */
    } rows[] = {
        { "{\"version\":1,\"step\":0," REST, NULL },
        { "{\"version\":1,\"step\":9223372036854775807,\"more\":[]," REST, NULL },
        { "{\"version\":1,\"step\":9223372036854775808," REST, "x: step: 9223372036854775808 is not an integer" },
        { "{\"version\":1,\"step\":-1," REST, "x: step: -1 is not" },
        { "{\"version\":1,\"step\":1.0," REST, "x: step: 1.0 is not" },
        { "{\"version\":1,\"step\":\"1\"," REST, "x: 'step' is missing or no number" },
        { "{\"version\":1," REST, "x: 'step' is missing" },
        { "{\"version\":2,\"step\":0," REST, "x: version 2, not 1" },
        { "{\"step\":0," REST, "x: 'version' is missing" },
        { "{\"version\":1,\"step\":0,\"samples\":18446744073709551616,\"tokens\":2,\"seed\":3}", "x: samples: 184" },
        { "[]", "x: 'version' is missing" },
        { "{", "x: byte 1: " },
        { "", "x: byte 0: " },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ckpt_state s;
        struct err err = { "" };
        int rc = ckpt_parse_state(&s, rows[i].text, strlen(rows[i].text), "x", &err);

        OKF(rows[i].want ? rc == -1 && strncmp(err.msg, rows[i].want, strlen(rows[i].want)) == 0
                         : rc == 0 && s.samples == 1 && s.tokens == 2 && s.seed == 3,
            "%zu: %s", i, err.msg);
    }
}

int main(int argc, char **argv)
{
    struct err err;
    char *path;

    if (argc == 4 && strcmp(argv[1], "save") == 0)
        return save(argv[2], (uint64_t)atoll(argv[3]), atoll(argv[3]), 2, NULL, &err) < 0;
    if (argc == 3 && strcmp(argv[1], "newest") == 0) {
        int rc = ckpt_find(argv[2], &path, warn, &err);

        puts(rc == 1 && holds(path, (uint64_t)atoll(strrchr(path, '_') + 1)) ? path : "NONE");
        free(path);
        return 0;
    }
    test_round_trip();
    test_damage();
    test_mismatch();
    test_keep();
    test_state();
    return tap_done();
}
