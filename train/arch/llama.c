/* llama.c - Llama 1, 2, 3.x (Touvron et al. 2023; transformers models/llama/modeling_llama.py). */
#include <stddef.h>

#include "train/arch/families.h"
#include "train/op.h"

#define FIELD(f) (int)offsetof(struct config, f)

const struct config_key llama_keys[] = {
    { "vocab_size", CONFIG_INT, FIELD(vocab), true, 0 },
    { "hidden_size", CONFIG_INT, FIELD(hidden), true, 0 },
    { "num_hidden_layers", CONFIG_INT, FIELD(layers), true, 0 },
    { "num_attention_heads", CONFIG_INT, FIELD(heads), true, 0 },
    { "num_key_value_heads", CONFIG_INT, FIELD(kv_heads), false, 0 },
    { "head_dim", CONFIG_INT, FIELD(head_dim), false, 0 },
    { "intermediate_size", CONFIG_INT, FIELD(ffn), true, 0 },
    { "max_position_embeddings", CONFIG_INT, FIELD(max_pos), false, 2048 },
    { "rms_norm_eps", CONFIG_REAL, FIELD(norm_eps), false, 1e-6 },
    { "initializer_range", CONFIG_REAL, FIELD(init_std), false, 0.02 },
    { "hidden_act", CONFIG_ACT, FIELD(act), false, 0 },
    { "attention_bias", CONFIG_FLAG, CONFIG_QKV_BIAS | CONFIG_O_BIAS, false, 0 },
    { "mlp_bias", CONFIG_FLAG, CONFIG_MLP_BIAS, false, 0 },
    { "tie_word_embeddings", CONFIG_FLAG, CONFIG_TIED, false, 0 },
    { NULL, CONFIG_INT, 0, false, 0 },
};

/* clang-format off */
const struct arch_param llama_params[LLAMA_PARAMS] = {
    /* id           rows        cols        layer  split          when             init           bias     tied */
    { P_EMBED,      DIM_VOCAB,  DIM_HIDDEN, false, SPLIT_VOCAB,   0,               INIT_NORMAL,   0,       0 },
    { P_ATTN_NORM,  DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,               INIT_ONE,      0,       0 },
    { P_Q,          DIM_Q,      DIM_HIDDEN, true,  SPLIT_ROWS,    0,               INIT_NORMAL,   P_Q_B,   0 },
    { P_K,          DIM_KV,     DIM_HIDDEN, true,  SPLIT_ROWS,    0,               INIT_NORMAL,   P_K_B,   0 },
    { P_V,          DIM_KV,     DIM_HIDDEN, true,  SPLIT_ROWS,    0,               INIT_NORMAL,   P_V_B,   0 },
    { P_Q_B,        DIM_Q,      DIM_NONE,   true,  SPLIT_ROWS,    CONFIG_QKV_BIAS, INIT_ZERO,     0,       0 },
    { P_K_B,        DIM_KV,     DIM_NONE,   true,  SPLIT_ROWS,    CONFIG_QKV_BIAS, INIT_ZERO,     0,       0 },
    { P_V_B,        DIM_KV,     DIM_NONE,   true,  SPLIT_ROWS,    CONFIG_QKV_BIAS, INIT_ZERO,     0,       0 },
    { P_O,          DIM_HIDDEN, DIM_Q,      true,  SPLIT_COLUMNS, 0,               INIT_RESIDUAL, P_O_B,   0 },
    { P_O_B,        DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  CONFIG_O_BIAS,   INIT_ZERO,     0,       0 },
    { P_MLP_NORM,   DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  0,               INIT_ONE,      0,       0 },
    { P_GATE,       DIM_FFN,    DIM_HIDDEN, true,  SPLIT_ROWS,    0,               INIT_NORMAL,   P_GATE_B, 0 },
    { P_UP,         DIM_FFN,    DIM_HIDDEN, true,  SPLIT_ROWS,    0,               INIT_NORMAL,   P_UP_B,  0 },
    { P_GATE_B,     DIM_FFN,    DIM_NONE,   true,  SPLIT_ROWS,    CONFIG_MLP_BIAS, INIT_ZERO,     0,       0 },
    { P_UP_B,       DIM_FFN,    DIM_NONE,   true,  SPLIT_ROWS,    CONFIG_MLP_BIAS, INIT_ZERO,     0,       0 },
    { P_DOWN,       DIM_HIDDEN, DIM_FFN,    true,  SPLIT_COLUMNS, 0,               INIT_RESIDUAL, P_DOWN_B, 0 },
    { P_DOWN_B,     DIM_HIDDEN, DIM_NONE,   true,  SPLIT_COPIED,  CONFIG_MLP_BIAS, INIT_ZERO,     0,       0 },
    { P_FINAL_NORM, DIM_HIDDEN, DIM_NONE,   false, SPLIT_COPIED,  0,               INIT_ONE,      0,       0 },
    { P_HEAD,       DIM_VOCAB,  DIM_HIDDEN, false, SPLIT_VOCAB,   CONFIG_UNTIED,   INIT_NORMAL,   0,       P_EMBED },
};

#define L "model.layers.{l}."
static const struct arch_name names[] = {
    { P_EMBED,      "model.embed_tokens.weight",          LAYOUT_PLAIN },
    { P_ATTN_NORM,  L "input_layernorm.weight",           LAYOUT_PLAIN },
    { P_Q,          L "self_attn.q_proj.weight",          LAYOUT_PLAIN },
    { P_K,          L "self_attn.k_proj.weight",          LAYOUT_PLAIN },
    { P_V,          L "self_attn.v_proj.weight",          LAYOUT_PLAIN },
    { P_Q_B,        L "self_attn.q_proj.bias",            LAYOUT_PLAIN },
    { P_K_B,        L "self_attn.k_proj.bias",            LAYOUT_PLAIN },
    { P_V_B,        L "self_attn.v_proj.bias",            LAYOUT_PLAIN },
    { P_O,          L "self_attn.o_proj.weight",          LAYOUT_PLAIN },
    { P_O_B,        L "self_attn.o_proj.bias",            LAYOUT_PLAIN },
    { P_MLP_NORM,   L "post_attention_layernorm.weight",  LAYOUT_PLAIN },
    { P_GATE,       L "mlp.gate_proj.weight",             LAYOUT_PLAIN },
    { P_UP,         L "mlp.up_proj.weight",               LAYOUT_PLAIN },
    { P_GATE_B,     L "mlp.gate_proj.bias",               LAYOUT_PLAIN },
    { P_UP_B,       L "mlp.up_proj.bias",                 LAYOUT_PLAIN },
    { P_DOWN,       L "mlp.down_proj.weight",             LAYOUT_PLAIN },
    { P_DOWN_B,     L "mlp.down_proj.bias",               LAYOUT_PLAIN },
    { P_FINAL_NORM, "model.norm.weight",                  LAYOUT_PLAIN },
    { P_HEAD,       "lm_head.weight",                     LAYOUT_PLAIN },
};

enum { X = VALUE_X, X1 = LLAMA_RESULT, N1, S1, QKV, Q, K, V, QR, KR, A, LSE, O, M, N2, S2, GU, G, D };

const struct arch_row llama_embed[] = {
    { OP_EMBED,  .out = { X1 }, .param = { P_EMBED } },
};
const struct arch_row llama_layer[] = {
    { OP_NORM,   .out = { N1, S1 },   .in = { X },         .param = { P_ATTN_NORM }, .arg = KERNEL_RMS },
    { OP_LINEAR, .out = { QKV },      .in = { N1 },        .param = { P_Q, P_K, P_V } },
    { OP_SPLIT,  .out = { Q, K, V },  .in = { QKV },       .param = { P_Q, P_K, P_V } },
    { OP_ROPE,   .out = { QR },       .in = { Q } },
    { OP_ROPE,   .out = { KR },       .in = { K } },
    { OP_ATTEND, .out = { A, LSE },   .in = { QR, KR, V } },
    { OP_LINEAR, .out = { O },        .in = { A },         .param = { P_O } },
    { OP_ADD,    .out = { M },        .in = { X, O } },
    { OP_NORM,   .out = { N2, S2 },   .in = { M },         .param = { P_MLP_NORM }, .arg = KERNEL_RMS },
    { OP_LINEAR, .out = { GU },       .in = { N2 },        .param = { P_GATE, P_UP } },
    { OP_GLU,    .out = { G },        .in = { GU } },
    { OP_LINEAR, .out = { D },        .in = { G },         .param = { P_DOWN } },
    { OP_ADD,    .out = { X1 },       .in = { M, D } },
};
const struct arch_row llama_head[] = {
    { OP_NORM,     .out = { N1, S1 }, .in = { X },         .param = { P_FINAL_NORM }, .arg = KERNEL_RMS },
    { OP_HEADLOSS, .in = { N1 },      .param = { P_HEAD } },
};
/* clang-format on */

static const char *const ignored[] = { L "self_attn.rotary_emb.inv_freq", NULL };
const struct arch_scheme llama_hf = { .names = names, .n_names = sizeof names / sizeof *names, .ignored = ignored };

const struct arch llama_arch = {
    .model_type = "llama",
    .class_name = "LlamaForCausalLM",
    .keys = llama_keys,
    .params = llama_params,
    .n_params = LLAMA_PARAMS,
    LLAMA_PROGRAMS,
    .hf = &llama_hf,
    .megatron = &scheme_megatron,
};
