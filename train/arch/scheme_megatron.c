/* scheme_megatron.c - the names of Megatron-core's GPT: those of its "local" layers, and of Transformer Engine's,
 * which keep a norm inside the linear behind it (megatron/core/models/gpt/gpt_layer_specs.py). */
#include "train/arch/families.h"

#define L "decoder.layers.{l}."
/* clang-format off */
static const struct arch_name names[] = {
    { P_EMBED,      "embedding.word_embeddings.weight",                LAYOUT_PLAIN },
    { P_ATTN_NORM,  L "input_layernorm.weight",                        LAYOUT_PLAIN },
    { P_ATTN_NORM,  L "self_attention.linear_qkv.layer_norm_weight",   LAYOUT_PLAIN },
    { P_Q,          L "self_attention.linear_qkv.weight",              LAYOUT_GROUPED },
    { P_K,          L "self_attention.linear_qkv.weight",              LAYOUT_GROUPED },
    { P_V,          L "self_attention.linear_qkv.weight",              LAYOUT_GROUPED },
    { P_Q_B,        L "self_attention.linear_qkv.bias",                LAYOUT_GROUPED },
    { P_K_B,        L "self_attention.linear_qkv.bias",                LAYOUT_GROUPED },
    { P_V_B,        L "self_attention.linear_qkv.bias",                LAYOUT_GROUPED },
    { P_O,          L "self_attention.linear_proj.weight",             LAYOUT_PLAIN },
    { P_O_B,        L "self_attention.linear_proj.bias",               LAYOUT_PLAIN },
    { P_MLP_NORM,   L "pre_mlp_layernorm.weight",                      LAYOUT_PLAIN },
    { P_MLP_NORM,   L "mlp.linear_fc1.layer_norm_weight",              LAYOUT_PLAIN },
    { P_GATE,       L "mlp.linear_fc1.weight",                         LAYOUT_PLAIN },
    { P_UP,         L "mlp.linear_fc1.weight",                         LAYOUT_PLAIN },
    { P_GATE_B,     L "mlp.linear_fc1.bias",                           LAYOUT_PLAIN },
    { P_UP_B,       L "mlp.linear_fc1.bias",                           LAYOUT_PLAIN },
    { P_DOWN,       L "mlp.linear_fc2.weight",                         LAYOUT_PLAIN },
    { P_DOWN_B,     L "mlp.linear_fc2.bias",                           LAYOUT_PLAIN },
    { P_FINAL_NORM, "decoder.final_layernorm.weight",                  LAYOUT_PLAIN },
    { P_HEAD,       "output_layer.weight",                             LAYOUT_PLAIN },
};
/* clang-format on */

static const char *const ignored[] = { "*._extra_state", NULL };

const struct arch_scheme scheme_megatron = { .names = names, .n_names = sizeof names / sizeof *names, .ignored = ignored };
