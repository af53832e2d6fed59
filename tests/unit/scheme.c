/* scheme: which rows and columns each rank's tensors hold, against lists worked out by hand from Megatron's rules; and
 * that finding is the inverse of listing, for every family, scheme and grid. */
#include "train/scheme.h"

#include <stdio.h>
#include <string.h>

#include "tests/tap.h"

static const char llama[] = "{\"model_type\":\"llama\",\"vocab_size\":10,\"hidden_size\":8,\"intermediate_size\":6,"
                            "\"num_hidden_layers\":5,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"attention_bias\":true}";
static const char tied[] = "{\"model_type\":\"qwen2\",\"vocab_size\":10,\"hidden_size\":8,\"intermediate_size\":8,"
                           "\"num_hidden_layers\":4,\"num_attention_heads\":4,\"tie_word_embeddings\":true}";
static const char gpt2[] = "{\"model_type\":\"gpt2\",\"vocab_size\":10,\"n_embd\":4,\"n_layer\":2,\"n_head\":2,\"n_positions\":8}";

static struct config read(const char *json)
{
    struct config c;
    struct err err;

    if (config_parse(&c, json, strlen(json), "config", &err) < 0)
        die("%s", err.msg);
    return c;
}

static const struct scheme_tensor *named(const struct scheme_list *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->tensor[i].name, name) == 0)
            return &l->tensor[i];
    return NULL;
}

/* "Q4+4 K2+2": parameter, first row, rows; ":4+4" the columns where they are not all. */
static const char *spell(const struct config *c, const struct scheme_tensor *t, char *out, size_t size)
{
    static const char *const names[P_COUNT] = { [P_EMBED] = "E", [P_ATTN_NORM] = "N", [P_Q] = "Q", [P_K] = "K", [P_V] = "V", [P_Q_B] = "q",
                                                [P_K_B] = "k", [P_V_B] = "v", [P_O] = "O", [P_O_B] = "o", [P_GATE] = "G", [P_UP] = "U",
                                                [P_DOWN] = "D", [P_HEAD] = "H" };
    size_t n = 0;

    *out = 0;
    for (int64_t i = 0; i < scheme_runs(t); i++) {
        struct scheme_run r = scheme_run(t, i);

        n += (size_t)snprintf(out + n, size - n, "%s%s%lld+%lld", i ? " " : "", names[r.param], (long long)r.row, (long long)r.rows);
        if (r.cols != arch_dim(c, arch_param(c->arch, r.param)->cols))
            n += (size_t)snprintf(out + n, size - n, ":%lld+%lld", (long long)r.col, (long long)r.cols);
    }
    return out;
}

#define L2 "decoder.layers.1."
static const struct {
    const char *json;
    int tp, rank;
    int64_t vocab, first, layers, last; /* last: is it the last stage? */
    const char *name;
    int64_t rows, cols; /* 0: there is no such tensor */
    int layer;
    const char *runs;
} rows[] = {
    /* linear_qkv: group by group its queries, its key, its value; a rank has whole groups */
    { llama, 1, 0, 10, 0, 5, 1, L2 "self_attention.linear_qkv.weight", 16, 8, 1, "Q0+4 K0+2 V0+2 Q4+4 K2+2 V2+2" },
    { llama, 2, 0, 10, 0, 5, 1, L2 "self_attention.linear_qkv.weight", 8, 8, 1, "Q0+4 K0+2 V0+2" },
    { llama, 2, 1, 10, 0, 5, 1, L2 "self_attention.linear_qkv.weight", 8, 8, 1, "Q4+4 K2+2 V2+2" },
    { llama, 2, 1, 10, 0, 5, 1, L2 "self_attention.linear_qkv.bias", 8, 1, 1, "q4+4 k2+2 v2+2" },
    /* heads of their own: group = head */
    { tied, 2, 1, 10, 0, 4, 1, L2 "self_attention.linear_qkv.weight", 12, 8, 1, "Q4+2 K4+2 V4+2 Q6+2 K6+2 V6+2" },
    { tied, 4, 2, 12, 0, 4, 1, L2 "self_attention.linear_qkv.bias", 6, 1, 1, "q4+2 k4+2 v4+2" },
    /* linear_fc1: this rank's rows of the gate, then of up */
    { llama, 2, 1, 10, 0, 5, 1, L2 "mlp.linear_fc1.weight", 6, 8, 1, "G3+3 U3+3" },
    { llama, 3, 0, 12, 0, 5, 1, L2 "mlp.linear_fc1.weight", 4, 8, 1, "G0+2 U0+2" },
    /* split by columns; their bias is whole in every rank */
    { llama, 2, 1, 10, 0, 5, 1, L2 "self_attention.linear_proj.weight", 8, 4, 1, "O0+8:4+4" },
    { llama, 2, 1, 10, 0, 5, 1, L2 "self_attention.linear_proj.bias", 8, 1, 1, "o0+8" },
    { llama, 2, 0, 10, 0, 5, 1, L2 "mlp.linear_fc2.weight", 8, 3, 1, "D0+8:0+3" },
    { llama, 2, 1, 10, 0, 5, 1, L2 "input_layernorm.weight", 8, 1, 1, "N0+8" },
    /* layers count from 0 in each stage, of any size */
    { llama, 1, 0, 10, 3, 2, 1, L2 "input_layernorm.weight", 8, 1, 4, "N0+8" },
    { llama, 1, 0, 10, 3, 2, 1, "decoder.layers.2.input_layernorm.weight", 0, 0, 0, NULL },
    { llama, 1, 0, 10, 1, 2, 0, "decoder.final_layernorm.weight", 0, 0, 0, NULL },
    { llama, 1, 0, 10, 3, 2, 1, "embedding.word_embeddings.weight", 0, 0, 0, NULL },
    /* ten rows padded to 16 in four ranks: of 4, 4, 2 + 2, 0 + 4 */
    { llama, 4, 1, 16, 0, 5, 1, "embedding.word_embeddings.weight", 4, 8, -1, "E4+4" },
    { llama, 4, 2, 16, 0, 5, 1, "embedding.word_embeddings.weight", 4, 8, -1, "E8+2 E9+1 E9+1" },
    { llama, 4, 3, 16, 0, 5, 1, "output_layer.weight", 4, 8, -1, "H9+1 H9+1 H9+1 H9+1" },
    /* a tied head is a copy of the embedding in a last stage of its own */
    { tied, 2, 1, 10, 2, 2, 1, "output_layer.weight", 5, 8, -1, "E5+5" },
};

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config c = read(rows[i].json);
        struct scheme_grid g = { .tp = rows[i].tp, .vocab = rows[i].vocab };
        struct scheme_stage s = { rows[i].first, rows[i].layers, rows[i].first == 0, rows[i].last };
        const struct scheme_tensor *t;
        struct scheme_list l;
        char text[256] = "";

        scheme_walk(&l, &c, c.arch->megatron, &g, rows[i].rank, &s);
        t = named(&l, rows[i].name);
        if (t && rows[i].runs)
            spell(&c, t, text, sizeof text);
        OKF(rows[i].runs ? t && t->shape[0] == rows[i].rows && t->shape[1] == rows[i].cols && t->layer == rows[i].layer &&
                               strcmp(text, rows[i].runs) == 0
                         : !t,
            "%s of rank %d: %s", rows[i].name, rows[i].rank, text);
        scheme_free(&l);
        config_close(&c);
    }
}

/* A tied head in the embedding's own file may be absent, and is where there is a choice. */
static void test_tied(void)
{
    struct config c = read(tied);
    struct scheme_grid g = { .tp = 1, .vocab = 10 };
    struct scheme_stage all = { 0, 4, true, true }, last = { 2, 2, false, true };
    struct scheme_list l;

    scheme_walk(&l, &c, c.arch->hf, &g, 0, &all);
    OK(named(&l, "lm_head.weight")->absent && !named(&l, "model.embed_tokens.weight")->absent);
    scheme_free(&l);
    scheme_walk(&l, &c, c.arch->megatron, &g, 0, &last);
    OK(named(&l, "output_layer.weight")->tied && !named(&l, "output_layer.weight")->absent);
    OK(strcmp(named(&l, "decoder.layers.0.input_layernorm.weight")->other, "decoder.layers.0.self_attention.linear_qkv.layer_norm_weight") == 0);
    OK(!named(&l, "decoder.layers.0.self_attention.linear_qkv.layer_norm_weight"));
    scheme_free(&l);
    config_close(&c);
}

/* GPT-2's [in, out] matrices: each row of the file a column of q, of k, of v. */
static void test_transposed(void)
{
    struct config c = read(gpt2);
    struct scheme_grid g = { .tp = 1, .vocab = 10, .no_prefix = true };
    struct scheme_stage all = { 0, 2, true, true };
    const struct scheme_tensor *t;
    struct scheme_place p;
    struct scheme_list l;
    struct scheme_run run;

    scheme_walk(&l, &c, c.arch->hf, &g, 0, &all);
    t = named(&l, "h.1.attn.c_attn.weight");
    run = scheme_run(t, 4);
    OK(t->shape[0] == 4 && t->shape[1] == 12 && scheme_runs(t) == 12);
    OK(run.param == P_K && run.row == 0 && run.rows == 4 && run.col == 1 && run.cols == 1);
    OK(scheme_find(t, P_V, 2, 3, &p) && p.at[0] == 3 && p.at[1] == 10 && p.rows == 2 && p.cols == 1);
    scheme_free(&l);
    config_close(&c);
}

/* The element that is the file's next one, run by run, is found at its place, and nowhere past the pads. */
static bool inverse(const struct scheme_tensor *t)
{
    int64_t at = 0;

    for (int64_t i = 0; i < scheme_runs(t); i++) {
        struct scheme_run r = scheme_run(t, i);

        for (int64_t k = 0; k < r.rows * r.cols; k++, at++) {
            struct scheme_place p;
            bool found = scheme_find(t, r.param, r.row + k / r.cols, r.col + k % r.cols, &p);

            if (i < scheme_runs(t) - t->pad && (!found || p.at[0] * t->shape[1] + p.at[1] != at || p.rows < 1 || p.cols < 1))
                return false;
        }
    }
    return at == t->shape[0] * t->shape[1];
}

static void test_inverse(void)
{
    static const char *const models[] = { llama, tied, gpt2 };

    for (int m = 0; m < 3; m++) {
        struct config c = read(models[m]);
        const struct arch_scheme *schemes[] = { c.arch->hf, c.arch->megatron };

        for (int s = 0; s < 2 && schemes[s]; s++)
            for (int tp = 1; tp <= (s ? 2 : 1); tp++)
                for (int rank = 0; rank < tp; rank++) {
                    struct scheme_grid g = { .tp = tp, .vocab = s ? 16 : 10 };
                    struct scheme_stage all = { 0, c.layers, true, true };
                    struct scheme_list l;
                    bool good = true;

                    scheme_walk(&l, &c, schemes[s], &g, rank, &all);
                    for (int i = 0; i < l.n; i++)
                        good &= inverse(&l.tensor[i]);
                    OKF(good && l.n > 20, "%s, scheme %d, rank %d of %d", c.arch->model_type, s, rank, tp);
                    scheme_free(&l);
                }
        config_close(&c);
    }
}

static void test_names(void)
{
    struct config c = read(llama), old = read(gpt2);
    const struct arch_scheme *s = c.arch->megatron;

    OK(scheme_layer(s, "decoder.layers.12.mlp.linear_fc1.weight") == 12);
    OK(scheme_layer(s, "decoder.layers.3.mlp.linear_fc1.layer_norm_weight") == 3);
    OK(scheme_layer(s, "decoder.layers.x.mlp.linear_fc1.weight") == -1);
    OK(scheme_layer(s, "decoder.layers.1.mlp.experts.weight") == -1);
    OK(scheme_layer(s, "decoder.layers.99999999999999999999.mlp.linear_fc1.weight") == -1);
    OK(scheme_layer(s, "embedding.word_embeddings.weight") == -1);
    OK(scheme_ignores(s, "decoder.layers.0.mlp.linear_fc1._extra_state") && !scheme_ignores(s, "decoder.layers.0.mlp.linear_fc1.weight"));
    OK(!scheme_ignores(s, "_extra"));
    OK(scheme_ignores(c.arch->hf, "model.layers.7.self_attn.rotary_emb.inv_freq"));
    OK(!scheme_ignores(c.arch->hf, "model.layers..self_attn.rotary_emb.inv_freq"));
    OK(scheme_ignores(old.arch->hf, "transformer.h.0.attn.bias") && scheme_ignores(old.arch->hf, "h.0.attn.bias"));
    config_close(&old);
    config_close(&c);
}

static const struct {
    int64_t tp, pp;
    const char *want; /* NULL: it can */
} cuts[] = {
    { 1, 5, NULL }, { 2, 1, NULL }, { 4, 1, "config: 2 key heads do not divide into 4 tensor parallel ranks" },
    { 3, 1, "4 attention heads do not divide into 3" }, { 1, 2, "5 layers do not divide into 2 pipeline stages" },
};

static void test_cuts(void)
{
    struct config c = read(llama);

    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct err err = { "" };
        int rc = scheme_check(&c, cuts[i].tp, cuts[i].pp, &err);

        if (rc < 0)
            err_prefix(&err, "config");
        OKF(cuts[i].want ? rc < 0 && strstr(err.msg, cuts[i].want) : rc == 0, "%s", err.msg);
    }
    config_close(&c);
}

int main(void)
{
    test_rows();
    test_tied();
    test_transposed();
    test_inverse();
    test_names();
    test_cuts();
    return tap_done();
}
