/* Bytes as a tracker, as a directory's name, and as the one file of a Megatron checkpoint, which is converted to HF and
 * to other ranks when it can be. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "train/convert_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
    if (!good)
        abort();
}

static void name(const uint8_t *data, size_t size)
{
    char *s = xmalloc(size + 1), out[32];
    int tp = -1, pp = -1, numbers = 0;
    struct err err;

    memcpy(s, data, size);
    s[size] = 0;
    if (convert_parse_tracker(data, size, "fuzz", out, &err) == 0)
        check(!strchr(out, '/') && strlen(out) < sizeof out);
    if (convert_parse_rank(s, &tp, &pp, &numbers))
        check(tp >= 0 && tp < 1000000 && pp >= 0 && pp < 1000000 && numbers >= 1 && numbers <= 3);
    free(s);
}

static int sum(void *w, const void *data, size_t n, struct err *err)
{
    (void)err;
    for (size_t i = 0; i < n; i++)
        *(uint64_t *)w += ((const uint8_t *)data)[i];
    return 0;
}

/* All tensors of a scheme's rank. */
static void put(struct convert *c, const struct arch_scheme *s, int tp, int rank)
{
    struct scheme_stage all = { 0, c->config.layers, true, true };
    struct scheme_grid g = { .tp = tp, .vocab = 8 };
    struct scheme_list l;
    uint64_t total = 0;
    struct err err;

    if (s == c->config.arch->hf)
        g.vocab = c->config.vocab;
    scheme_walk(&l, &c->config, s, &g, rank, &all);
    for (int i = 0; i < l.n; i++) {
        enum dtype dtype;
        uint64_t before = c->bytes;

        if (l.tensor[i].absent || convert_dtype(c, &l.tensor[i], &dtype, &err) < 0)
            continue;
        if (convert_put(c, &l.tensor[i], dtype, sum, &total, &err) == 0)
            check(c->bytes - before == (uint64_t)(l.tensor[i].shape[0] * l.tensor[i].shape[1]) * (uint64_t)dtype_table[dtype].bits / 8);
    }
    scheme_free(&l);
}

static void file(const uint8_t *data, size_t size)
{
    static const char config[] = "{\"model_type\":\"llama\",\"vocab_size\":6,\"hidden_size\":4,\"intermediate_size\":4,"
                                 "\"num_hidden_layers\":2,\"num_attention_heads\":2}";
    struct convert_options o = { .dtype = -1, .tp = 1, .pp = 1, .divisible = 1, .quiet = true };
    struct convert *c = xcalloc(1, sizeof *c);
    struct err err;

    c->o = &o;
    c->from = CONVERT_MEGATRON;
    c->tp = c->pp = 1;
    c->config_file = xstrdup("config");
    arena_init(&c->arena);
    check(config_parse(&c->config, config, strlen(config), "config", &err) == 0);
    c->zip = xcalloc(1, sizeof *c->zip);
    c->sound = xcalloc(1, sizeof *c->sound);
    if (torchzip_parse(c->zip, data, size, "fuzz", &err) == 0) {
        c->sound[c->n_zips++] = xcalloc((size_t)c->zip->n_records + 1, sizeof **c->sound);
        if (convert_bind_megatron(c, "fuzz", &err) == 0 && convert_index(c, &err) == 0) {
            put(c, c->config.arch->hf, 1, 0);
            for (int dtype = -1, rank = 0; rank < 2; rank++, dtype = DTYPE_F16) {
                o.dtype = dtype;
                put(c, c->config.arch->megatron, 2, rank);
            }
        }
    }
    convert_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    name(data, size);
    file(data, size);
    return 0;
}
