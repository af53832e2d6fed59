/* convert: names of Megatron's directories and its tracker.  For tests/cli/lmconvert.t: `convert tensors FILE...` lists
 * the tensors of .pt and .safetensors files as golden/convert/X/tensors.tsv has them; `convert model DIR DTYPE SEED`
 * draws weights for DIR/config.json. */
#include "train/convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "libcommon/base/tree.h"
#include "libcommon/weights/torchzip.h"
#include "train/scheme.h"
#include "tests/tap.h"

static void list(const char *file, const struct tensor *t, const void *data)
{
    static const char *const names[] = { [DTYPE_F32] = "float32", [DTYPE_BF16] = "bfloat16", [DTYPE_F16] = "float16" };
    struct hash_sha256 h;
    uint8_t digest[32];

    hash_sha256_init(&h);
    hash_sha256_add(&h, data, t->size);
    hash_sha256_end(&h, digest);
    printf("%s\t%s\t%s\t", file, t->name, names[t->dtype]);
    for (int i = 0; i < t->rank; i++)
        printf("%s%" PRId64, i ? "," : "", t->shape[i]);
    printf("\t");
    for (int i = 0; i < 32; i++)
        printf("%02x", digest[i]);
    printf("\n");
}

static void list_file(const char *path)
{
    struct torchzip z;
    struct safetensors s;
    struct err err;

    if (torchzip_open(&z, path, &err) == 0) {
        if (torchzip_verify(&z, &err) < 0)
            die("%s", err.msg);
        for (int i = 0; i < z.n; i++) {
            void *data = xmalloc(z.tensor[i].t.size + 1);

            torchzip_read(&z.tensor[i], 0, z.tensor[i].t.count, data);
            list(path, &z.tensor[i].t, data);
            free(data);
        }
        torchzip_close(&z);
        return;
    }
    if (safetensors_open(&s, path, &err) < 0)
        die("%s", err.msg);
    for (int i = 0; i < s.n; i++)
        list("-", &s.tensor[i], s.tensor[i].data);
    safetensors_close(&s);
}

static int draw(void *ctx, struct safetensors_writer *w, const struct tensor *t, struct err *err)
{
    uint64_t *seed = ctx;
    float *x = xmalloc((size_t)t->count * sizeof *x);
    int rc;

    (*seed)++;
    for (int64_t i = 0; i < t->count; i++)
        x[i] = (float)rng_normal(*seed, 1, (uint64_t)i);
    rc = safetensors_put_f32(w, t, x, (size_t)t->count, err);
    free(x);
    return rc;
}

static void make_model(const char *dir, const char *dtype, uint64_t seed)
{
    static const struct safetensors_meta meta[] = { { "format", "pt" }, { "of", "a \"test\"" } };
    struct config c;
    struct err err;
    struct scheme_list l;
    struct scheme_stage all = { 0, 0, true, true };
    struct scheme_grid g = { .tp = 1 };
    struct tensor *t;
    char *path = tree_join(dir, "model.safetensors");
    int n = 0;

    if (config_open(&c, dir, &err) < 0)
        die("%s", err.msg);
    all.layers = c.layers;
    g.vocab = c.vocab;
    scheme_walk(&l, &c, c.arch->hf, &g, 0, &all);
    t = xcalloc((size_t)l.n, sizeof *t);
    for (int i = 0; i < l.n; i++)
        if (!l.tensor[i].absent) {
            t[n] = (struct tensor){ .name = l.tensor[i].name, .rank = l.tensor[i].rank, .dtype = (enum dtype)dtype_by_name(dtype, strlen(dtype)) };
            memcpy(t[n].shape, l.tensor[i].shape, sizeof l.tensor[i].shape);
            t[n].count = t[n].shape[0] * t[n].shape[1];
            t[n].size = (size_t)t[n].count * (size_t)dtype_table[t[n].dtype].bits / 8;
            n++;
        }
    if (safetensors_save(path, t, n, meta, 2, draw, &seed, &err) < 0)
        die("%s", err.msg);
    free(path);
    free(t);
    scheme_free(&l);
    config_close(&c);
}

static const struct {
    const char *text, *want; /* NULL: refused */
} trackers[] = {
    { "1", "iter_0000001" },      { "1000\n", "iter_0001000" }, { "12345678", "iter_12345678" }, { "release", "release" },
    { "release\r\n", "release" }, { "", NULL },                 { "-1", NULL },                  { "1 2", NULL },
    { "../../x", NULL },          { "releases", NULL },         { "9999999999999999999", NULL },
};

static const struct {
    const char *name;
    bool is;
    int tp, pp, numbers;
} ranks[] = {
    { "mp_rank_00", true, 0, 0, 1 },          { "mp_rank_07_012", true, 7, 12, 2 },  { "mp_rank_100", true, 100, 0, 1 },
    { "mp_rank_01_002_003", true, 1, 2, 3 },  { "mp_rank_1", false, 0, 0, 0 },       { "mp_rank_00_01", false, 0, 0, 0 },
    { "mp_rank_00_", false, 0, 0, 0 },        { "mp_rank_", false, 0, 0, 0 },        { "mp_rank_0x", false, 0, 0, 0 },
    { "mp_rank_000", false, 0, 0, 0 },        { "mp_rank_9999999", false, 0, 0, 0 }, { "mp_rank_00_000_000_000", false, 0, 0, 0 },
    { "mp_rank_-1", false, 0, 0, 0 },         { "iter_0000001", false, 0, 0, 0 },
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "tensors") == 0) {
        for (int i = 2; i < argc; i++)
            list_file(argv[i]);
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "model") == 0) {
        make_model(argv[2], argv[3], strtoull(argv[4], NULL, 10));
        return 0;
    }
    for (size_t i = 0; i < sizeof trackers / sizeof *trackers; i++) {
        char out[32] = "";
        struct err err = { "" };
        int rc = convert_parse_tracker(trackers[i].text, strlen(trackers[i].text), "tracker", out, &err);

        OKF(trackers[i].want ? rc == 0 && strcmp(out, trackers[i].want) == 0 : rc < 0 && strncmp(err.msg, "tracker: ", 9) == 0,
            "tracker '%s'", trackers[i].text);
    }
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        int tp = -1, pp = -1, numbers = -1;
        bool is = convert_parse_rank(ranks[i].name, &tp, &pp, &numbers);

        OKF(is == ranks[i].is && (!is || (tp == ranks[i].tp && pp == ranks[i].pp && numbers == ranks[i].numbers)), "%s", ranks[i].name);
    }
    return tap_done();
}
