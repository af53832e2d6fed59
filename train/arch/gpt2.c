/* gpt2.c - GPT-2 (Radford et al. 2019; transformers models/gpt2/modeling_gpt2.py): learned positions,
 * LayerNorm, biases everywhere, matrices published as Conv1D [in, out]. */
#include <stddef.h>

#include "train/arch/families.h"
#include "train/op.h"

#define FIELD(f) (int)offsetof(struct config, f)

static const struct config_key keys[] = {
    { "vocab_size", CONFIG_INT, FIELD(vocab), true, 0 },
    { "n_embd", CONFIG_INT, FIELD(hidden), true, 0 },
    { "n_layer", CONFIG_INT, FIELD(layers), true, 0 },
    { "n_head", CONFIG_INT, FIELD(heads), true, 0 },
    { "n_inner", CONFIG_INT, FIELD(ffn), false, 0 },
    { "n_positions", CONFIG_INT, FIELD(max_pos), true, 0 },
    { "layer_norm_epsilon", CONFIG_REAL, FIELD(norm_eps), false, 1e-5 },
    { "initializer_range", CONFIG_REAL, FIELD(init_std), false, 0.02 },
    { "activation_function", CONFIG_ACT, FIELD(act), false, KERNEL_GELU_TANH },
    { "tie_word_embeddings", CONFIG_FLAG, CONFIG_TIED, false, 1 },
    { "scale_attn_weights", CONFIG_FIXED, 0, false, 1 },
    { "scale_attn_by_inverse_layer_idx", CONFIG_FIXED, 0, false, 0 },
    { "add_cross_attention", CONFIG_FIXED, 0, false, 0 },
    { NULL, CONFIG_INT, 0, false, 0 },
};

static void finish(struct config *c)
{
    if (!c->ffn)
        c->ffn = 4 * c->hidden;
    c->rope.type = ROPE_NONE;
}

/* clang-format off */
static const struct arch_param params[] = {
    /* id             rows        cols        layer  split          when           init           bias            tied */
    { P_EMBED,        DIM_VOCAB,  DIM_HIDDEN, false, SPLIT_VOCAB,   0,             INIT_NORMAL,   0,              0 },
    { P_POS_EMBED,    DIM_POS,    DIM_HIDDEN, false, SPLIT_COPIED,  0,             INIT_NORMAL,   0,              0 },
    { P_ATTN_NORM,    DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,             INIT_ONE,      P_ATTN_NORM_B,  0 },
    { P_ATTN_NORM_B,  DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,             INIT_ZERO,     0,              0 },
    { P_Q,            DIM_Q,      DIM_HIDDEN, true,  SPLIT_ROWS,    0,             INIT_NORMAL,   P_Q_B,          0 },
    { P_K,            DIM_KV,     DIM_HIDDEN, true,  SPLIT_ROWS,    0,             INIT_NORMAL,   P_K_B,          0 },
    { P_V,            DIM_KV,     DIM_HIDDEN, true,  SPLIT_ROWS,    0,             INIT_NORMAL,   P_V_B,          0 },
    { P_Q_B,          DIM_Q,      DIM_NONE,   true,  SPLIT_ROWS,    0,             INIT_ZERO,     0,              0 },
    { P_K_B,          DIM_KV,     DIM_NONE,   true,  SPLIT_ROWS,    0,             INIT_ZERO,     0,              0 },
    { P_V_B,          DIM_KV,     DIM_NONE,   true,  SPLIT_ROWS,    0,             INIT_ZERO,     0,              0 },
    { P_O,            DIM_HIDDEN, DIM_Q,      true,  SPLIT_COLUMNS, 0,             INIT_RESIDUAL, P_O_B,          0 },
    { P_O_B,          DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,             INIT_ZERO,     0,              0 },
    { P_MLP_NORM,     DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,             INIT_ONE,      P_MLP_NORM_B,   0 },
    { P_MLP_NORM_B,   DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,             INIT_ZERO,     0,              0 },
    { P_UP,           DIM_FFN,    DIM_HIDDEN, true,  SPLIT_ROWS,    0,             INIT_NORMAL,   P_UP_B,         0 },
    { P_UP_B,         DIM_FFN,    DIM_NONE,   true,  SPLIT_ROWS,    0,             INIT_ZERO,     0,              0 },
    { P_DOWN,         DIM_HIDDEN, DIM_FFN,    true,  SPLIT_COLUMNS, 0,             INIT_RESIDUAL, P_DOWN_B,       0 },
    { P_DOWN_B,       DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,             INIT_ZERO,     0,              0 },
    { P_FINAL_NORM,   DIM_HIDDEN, DIM_NONE,   false, SPLIT_COPIED,  0,             INIT_ONE,      P_FINAL_NORM_B, 0 },
    { P_FINAL_NORM_B, DIM_HIDDEN, DIM_NONE,   false, SPLIT_COPIED,  0,             INIT_ZERO,     0,              0 },
    { P_HEAD,         DIM_VOCAB,  DIM_HIDDEN, false, SPLIT_VOCAB,   CONFIG_UNTIED, INIT_NORMAL,   0,              P_EMBED },
};

#define L "transformer.h.{l}."
static const struct arch_name names[] = {
    { P_EMBED,        "transformer.wte.weight",    LAYOUT_PLAIN },
    { P_POS_EMBED,    "transformer.wpe.weight",    LAYOUT_PLAIN },
    { P_ATTN_NORM,    L "ln_1.weight",             LAYOUT_PLAIN },
    { P_ATTN_NORM_B,  L "ln_1.bias",               LAYOUT_PLAIN },
    { P_Q,            L "attn.c_attn.weight",      LAYOUT_TRANSPOSED },
    { P_K,            L "attn.c_attn.weight",      LAYOUT_TRANSPOSED },
    { P_V,            L "attn.c_attn.weight",      LAYOUT_TRANSPOSED },
    { P_Q_B,          L "attn.c_attn.bias",        LAYOUT_PLAIN },
    { P_K_B,          L "attn.c_attn.bias",        LAYOUT_PLAIN },
    { P_V_B,          L "attn.c_attn.bias",        LAYOUT_PLAIN },
    { P_O,            L "attn.c_proj.weight",      LAYOUT_TRANSPOSED },
    { P_O_B,          L "attn.c_proj.bias",        LAYOUT_PLAIN },
    { P_MLP_NORM,     L "ln_2.weight",             LAYOUT_PLAIN },
    { P_MLP_NORM_B,   L "ln_2.bias",               LAYOUT_PLAIN },
    { P_UP,           L "mlp.c_fc.weight",         LAYOUT_TRANSPOSED },
    { P_UP_B,         L "mlp.c_fc.bias",           LAYOUT_PLAIN },
    { P_DOWN,         L "mlp.c_proj.weight",       LAYOUT_TRANSPOSED },
    { P_DOWN_B,       L "mlp.c_proj.bias",         LAYOUT_PLAIN },
    { P_FINAL_NORM,   "transformer.ln_f.weight",   LAYOUT_PLAIN },
    { P_FINAL_NORM_B, "transformer.ln_f.bias",     LAYOUT_PLAIN },
    { P_HEAD,         "lm_head.weight",            LAYOUT_PLAIN },
};

enum { X = VALUE_X, X1, N1, S1, QKV, Q, K, V, A, LSE, O, M, N2, S2, U, G, D };

static const struct arch_row embed[] = {
    { OP_EMBED,  .out = { X1 }, .param = { P_EMBED, P_POS_EMBED } },
};
static const struct arch_row layer[] = {
    { OP_NORM,   .out = { N1, S1 },   .in = { X },        .param = { P_ATTN_NORM }, .arg = KERNEL_LAYER },
    { OP_LINEAR, .out = { QKV },      .in = { N1 },       .param = { P_Q, P_K, P_V } },
    { OP_SPLIT,  .out = { Q, K, V },  .in = { QKV },      .param = { P_Q, P_K, P_V } },
    { OP_ATTEND, .out = { A, LSE },   .in = { Q, K, V } },
    { OP_LINEAR, .out = { O },        .in = { A },        .param = { P_O } },
    { OP_ADD,    .out = { M },        .in = { X, O } },
    { OP_NORM,   .out = { N2, S2 },   .in = { M },        .param = { P_MLP_NORM }, .arg = KERNEL_LAYER },
    { OP_LINEAR, .out = { U },        .in = { N2 },       .param = { P_UP } },
    { OP_ACT,    .out = { G },        .in = { U } },
    { OP_LINEAR, .out = { D },        .in = { G },        .param = { P_DOWN } },
    { OP_ADD,    .out = { X1 },       .in = { M, D } },
};
static const struct arch_row head[] = {
    { OP_NORM,     .out = { N1, S1 }, .in = { X },        .param = { P_FINAL_NORM }, .arg = KERNEL_LAYER },
    { OP_HEADLOSS, .in = { N1 },      .param = { P_HEAD } },
};
/* clang-format on */

static const char *const ignored[] = { L "attn.bias", L "attn.masked_bias", NULL };
static const struct arch_scheme hf = {
    .names = names,
    .n_names = sizeof names / sizeof *names,
    .prefix = "transformer.",
    .ignored = ignored,
};

const struct arch gpt2_arch = {
    .model_type = "gpt2",
    .class_name = "GPT2LMHeadModel",
    .keys = keys,
    .finish = finish,
    .params = params,
    .n_params = sizeof params / sizeof *params,
    .embed = ARCH_PROGRAM(embed, X1),
    .layer = ARCH_PROGRAM(layer, X1),
    .head = ARCH_PROGRAM(head, VALUE_NONE),
    .hf = &hf,
};
