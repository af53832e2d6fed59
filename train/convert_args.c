/* The args of a Megatron checkpoint: one table of what is written, what is compared with a source's, and what a
 * source must not say. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/format/json.h"
#include "train/convert_file.h"

struct facts {
    int64_t layers, hidden, ffn, heads, groups, head_dim, positions, vocab, padded, divisible, tp, pp, rotary_base, dtype;
    int64_t gqa, untied, bias, qkv_bias, rope_scaling, bf16, fp16;
    double eps, std, rope_factor;
    const char *origin;
};

#define FACT(f) (int)offsetof(struct facts, f)
#define NO -1

/* What --use-checkpoint-args and the comparison on loading look at (megatron/training/checkpointing.py). */
static const struct row {
    const char *name;
    enum torchzip_type type;
    int fact;          /* or NO: the constant */
    double number;
    const char *text;
    bool compared;
} rows[] = {
    { "num_layers", TORCHZIP_INT, FACT(layers), 0, NULL, true },
    { "encoder_num_layers", TORCHZIP_INT, FACT(layers), 0, NULL, false },
    { "hidden_size", TORCHZIP_INT, FACT(hidden), 0, NULL, true },
    { "ffn_hidden_size", TORCHZIP_INT, FACT(ffn), 0, NULL, false },
    { "num_attention_heads", TORCHZIP_INT, FACT(heads), 0, NULL, true },
    { "group_query_attention", TORCHZIP_BOOL, FACT(gqa), 0, NULL, false },
    { "num_query_groups", TORCHZIP_INT, FACT(groups), 0, NULL, false },
    { "kv_channels", TORCHZIP_INT, FACT(head_dim), 0, NULL, false },
    { "seq_length", TORCHZIP_INT, FACT(positions), 0, NULL, false },
    { "max_position_embeddings", TORCHZIP_INT, FACT(positions), 0, NULL, false },
    { "position_embedding_type", TORCHZIP_STRING, NO, 0, "rope", false },
    { "add_position_embedding", TORCHZIP_BOOL, NO, 1, NULL, false },
    { "use_rotary_position_embeddings", TORCHZIP_BOOL, NO, 1, NULL, false },
    { "rotary_base", TORCHZIP_INT, FACT(rotary_base), 0, NULL, false },
    { "rotary_percent", TORCHZIP_FLOAT, NO, 1, NULL, false },
    { "rotary_interleaved", TORCHZIP_BOOL, NO, 0, NULL, false },
    { "use_rope_scaling", TORCHZIP_BOOL, FACT(rope_scaling), 0, NULL, false },
    { "rope_scaling_factor", TORCHZIP_FLOAT, FACT(rope_factor), 0, NULL, false },
    { "normalization", TORCHZIP_STRING, NO, 0, "RMSNorm", false },
    { "norm_epsilon", TORCHZIP_FLOAT, FACT(eps), 0, NULL, false },
    { "apply_layernorm_1p", TORCHZIP_BOOL, NO, 0, NULL, false },
    { "apply_query_key_layer_scaling", TORCHZIP_BOOL, NO, 0, NULL, false },
    { "swiglu", TORCHZIP_BOOL, NO, 1, NULL, false },
    { "squared_relu", TORCHZIP_BOOL, NO, 0, NULL, false },
    { "add_bias_linear", TORCHZIP_BOOL, FACT(bias), 0, NULL, false },
    { "add_qkv_bias", TORCHZIP_BOOL, FACT(qkv_bias), 0, NULL, false },
    { "qk_layernorm", TORCHZIP_BOOL, NO, 0, NULL, false },
    { "attention_dropout", TORCHZIP_FLOAT, NO, 0, NULL, false },
    { "hidden_dropout", TORCHZIP_FLOAT, NO, 0, NULL, false },
    { "init_method_std", TORCHZIP_FLOAT, FACT(std), 0, NULL, false },
    { "untie_embeddings_and_output_weights", TORCHZIP_BOOL, FACT(untied), 0, NULL, false },
    { "tokenizer_type", TORCHZIP_STRING, NO, 0, "HuggingFaceTokenizer", false },
    { "vocab_size", TORCHZIP_INT, FACT(vocab), 0, NULL, true },
    { "make_vocab_size_divisible_by", TORCHZIP_INT, FACT(divisible), 0, NULL, false },
    { "padded_vocab_size", TORCHZIP_INT, FACT(padded), 0, NULL, true },
    { "tensor_model_parallel_size", TORCHZIP_INT, FACT(tp), 0, NULL, true },
    { "pipeline_model_parallel_size", TORCHZIP_INT, FACT(pp), 0, NULL, true },
    { "virtual_pipeline_model_parallel_size", TORCHZIP_NONE, NO, 0, NULL, false },
    { "expert_model_parallel_size", TORCHZIP_INT, NO, 1, NULL, false },
    { "num_experts", TORCHZIP_NONE, NO, 0, NULL, false },
    { "params_dtype", TORCHZIP_DTYPE, FACT(dtype), 0, NULL, false },
    { "bf16", TORCHZIP_BOOL, FACT(bf16), 0, NULL, false },
    { "fp16", TORCHZIP_BOOL, FACT(fp16), 0, NULL, false },
    { "transformer_impl", TORCHZIP_STRING, NO, 0, "local", false },
    { "ckpt_format", TORCHZIP_STRING, NO, 0, "torch", false },
    { "consumed_train_samples", TORCHZIP_INT, NO, 0, NULL, false },
    { "consumed_valid_samples", TORCHZIP_INT, NO, 0, NULL, false },
    { "lmpipe_origin", TORCHZIP_STRING, FACT(origin), 0, NULL, false },
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Absent, None, False, or this number. */
static const struct {
    const char *name;
    int64_t allowed;
    const char *why;
} refused[] = {
    { "num_experts", 0, "mixtures of experts are not converted" },
    { "expert_model_parallel_size", 1, "expert parallel checkpoints are not converted" },
    { "noop_layers", 0, "layers that do nothing are not converted" },
    { "schedules_method", 0, "its order of layers is not known" },
    { "multi_latent_attention", 0, "latent attention is not converted" },
    { "multi_head_latent_attention", 0, "latent attention is not converted" },
    { "apply_layernorm_1p", 0, "norms whose weights are stored less 1 are not converted" },
    { "rotary_interleaved", 0, "another order of the rows of queries and keys is not converted" },
};
enum { REFUSED = sizeof refused / sizeof *refused };

/* JSON: {"one_file":true,"metadata":{...}}; metadata null where the file had none. */
static const char *make_origin(const struct convert *c, struct arena *a)
{
    size_t size = 96 + (c->header ? json_quote(c->header, c->header_n, NULL) : 0), n;
    char *s;

    for (int i = 0; i < c->n_meta; i++)
        size += json_quote(c->meta[i].key, strlen(c->meta[i].key), NULL) + json_quote(c->meta[i].value, strlen(c->meta[i].value), NULL) + 2;
    s = arena_alloc(a, size);
    n = (size_t)snprintf(s, size, "{\"one_file\":%s,\"metadata\":%s", c->one_file ? "true" : "false", c->meta ? "{" : "null");
    for (int i = 0; i < c->n_meta; i++) {
        s[n] = ',';
        n += i > 0;
        n += json_quote(c->meta[i].key, strlen(c->meta[i].key), s + n);
        s[n++] = ':';
        n += json_quote(c->meta[i].value, strlen(c->meta[i].value), s + n);
    }
    n += (size_t)snprintf(s + n, size - n, "%s%s", c->meta ? "}" : "", c->header ? ",\"header\":" : "");
    if (c->header)
        n += json_quote(c->header, c->header_n, s + n);
    s[n] = '}';
    s[n + 1] = 0;
    return s;
}

static struct facts facts_of(const struct convert *c, int64_t tp, int64_t pp, int64_t padded)
{
    const struct config *f = &c->config;

    return (struct facts){
        .layers = f->layers, .hidden = f->hidden, .ffn = f->ffn, .heads = f->heads, .groups = f->kv_heads, .head_dim = f->head_dim,
        .positions = f->max_pos, .vocab = f->vocab, .padded = padded, .tp = tp, .pp = pp, .divisible = c->o->divisible,
        .rotary_base = (int64_t)f->rope.theta, .gqa = f->kv_heads != f->heads, .untied = !(f->bits & CONFIG_TIED),
        .bias = (f->bits & CONFIG_MLP_BIAS) != 0, .qkv_bias = (f->bits & CONFIG_QKV_BIAS) != 0,
        .rope_scaling = f->rope.type == ROPE_LLAMA3, .rope_factor = f->rope.type == ROPE_LLAMA3 ? f->rope.factor : 8,
        .eps = f->norm_eps, .std = f->init_std,
    };
}

static struct torchzip_value value_of(const struct row *r, const struct facts *f)
{
    struct torchzip_value v = { .type = r->type };
    const char *at = (const char *)f + (r->fact == NO ? 0 : r->fact);
    const char *s = r->text;

    switch (r->type) {
    case TORCHZIP_FLOAT:
        v.f = r->number;
        if (r->fact != NO)
            memcpy(&v.f, at, sizeof v.f);
        break;
    case TORCHZIP_STRING:
        if (r->fact != NO)
            memcpy(&s, at, sizeof s);
        v.str.s = s;
        v.str.n = strlen(s);
        break;
    default:
        v.i = (int64_t)r->number;
        if (r->fact != NO)
            memcpy(&v.i, at, sizeof v.i);
        break;
    }
    if (r->type == TORCHZIP_DTYPE)
        v.dtype = (enum dtype)v.i;
    return v;
}

const struct torchzip_value *convert_make_args(struct convert *c, struct arena *a, int64_t vocab)
{
    struct facts f = facts_of(c, c->o->tp, c->o->pp, vocab);
    struct torchzip_value *v = arena_calloc(a, 2 * ROWS + 1, sizeof *v), *args = v++;
    struct torchzip_entry *e = arena_calloc(a, ROWS, sizeof *e);
    struct scheme_tensor embed = { .part = { { .param = P_EMBED } }, .n = 1, .layer = -1 };
    enum dtype dtype = DTYPE_F32;
    struct err ignored; /* one part: of one type */

    convert_dtype(c, &embed, &dtype, &ignored);
    f.dtype = dtype;
    f.bf16 = dtype == DTYPE_BF16;
    f.fp16 = dtype == DTYPE_F16;
    f.origin = make_origin(c, a);
    args->type = TORCHZIP_NAMESPACE;
    args->list.first = e;
    args->list.last = e + ROWS - 1;
    args->list.n = ROWS;
    for (int i = 0; i < ROWS; i++, v += 2) {
        v[0] = (struct torchzip_value){ .type = TORCHZIP_STRING, .str = { rows[i].name, strlen(rows[i].name) } };
        v[1] = value_of(&rows[i], &f);
        e[i] = (struct torchzip_entry){ &v[0], &v[1], i + 1 < ROWS ? &e[i + 1] : NULL };
    }
    return args;
}

int convert_refuse_args(const struct torchzip_value *args, const char *file, struct err *err)
{
    for (int i = 0; i < REFUSED; i++) {
        const struct torchzip_value *v = torchzip_get(args, refused[i].name);
        bool number = v && (v->type == TORCHZIP_INT || v->type == TORCHZIP_BOOL);

        if (v && v->type != TORCHZIP_NONE && !(number && (v->i == 0 || v->i == refused[i].allowed)))
            return err_set(err, "%s: args.%s is set: %s", file, refused[i].name, refused[i].why);
    }
    return 0;
}

int convert_check_args(const struct convert *c, const struct torchzip_value *args, int64_t vocab, const char *file, struct err *err)
{
    struct facts f = facts_of(c, c->tp, c->pp, vocab);
    const struct torchzip_value *padded = torchzip_get(args, "padded_vocab_size");
    bool ours = torchzip_get(args, "lmpipe_origin") != NULL;

    for (int i = 0; i < ROWS; i++) {
        const struct torchzip_value *v = rows[i].compared ? torchzip_get(args, rows[i].name) : NULL;
        int64_t own;

        if (!v || v->type != TORCHZIP_INT)
            continue;
        own = value_of(&rows[i], &f).i;
        /* beside a padded one, and not from here, this is the tokenizer's, which may have fewer */
        if (rows[i].fact == FACT(vocab) && !ours && padded && padded->type == TORCHZIP_INT && v->i < own)
            continue;
        if (v->i != own)
            return err_set(err, "%s: args.%s is %" PRId64 ", %s and the files say %" PRId64, file, rows[i].name, v->i, c->config_file, own);
    }
    return 0;
}

static const struct safetensors_meta format_pt = { "format", "pt" };

static int wrong_origin(const char *file, struct err *err)
{
    return err_set(err, "%s: args.lmpipe_origin is not what lmconvert writes", file);
}

int convert_read_origin(struct convert *c, const struct torchzip_value *args, const char *file, struct err *err)
{
    const struct torchzip_value *v = torchzip_get(args, "lmpipe_origin");
    const struct json_value *root, *meta, *one, *header;
    struct safetensors_meta *m;

    c->meta = arena_alloc(&c->arena, sizeof *c->meta);
    *c->meta = format_pt;
    c->n_meta = 1;
    if (!v || v->type != TORCHZIP_STRING)
        return 0;
    root = json_tree(&c->arena, v->str.s, v->str.n, "lmpipe_origin", err);
    meta = json_get(root, "metadata");
    one = json_get(root, "one_file");
    if (!meta || !one || (one->type != JSON_TRUE && one->type != JSON_FALSE) || (meta->type != JSON_OBJECT && meta->type != JSON_NULL))
        return wrong_origin(file, err);
    c->one_file = one->type == JSON_TRUE;
    header = json_get(root, "header");
    if (header && header->type == JSON_STRING) {
        c->header = header->str;
        c->header_n = header->len;
    }
    m = c->meta = meta->type == JSON_NULL ? NULL : arena_alloc(&c->arena, ((size_t)meta->n + 1) * sizeof *m);
    c->n_meta = meta->type == JSON_NULL ? 0 : meta->n;
    for (const struct json_value *x = meta->child; x; x = x->next) {
        if (x->type != JSON_STRING || strlen(x->key) != x->key_len || strlen(x->str) != x->len)
            return wrong_origin(file, err);
        *m++ = (struct safetensors_meta){ x->key, x->str };
    }
    return 0;
}
