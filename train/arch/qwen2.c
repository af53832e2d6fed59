/* qwen2.c - Qwen2 and 2.5: Llama's tensors, always a bias on q, k, v, a window on the later layers when
 * use_sliding_window says so. */
#include <stddef.h>

#include "train/arch/families.h"

#define FIELD(f) (int)offsetof(struct config, f)

static const struct config_key keys[] = {
    { "sliding_window", CONFIG_INT, FIELD(window), false, 4096 },
    { "max_window_layers", CONFIG_INT, FIELD(window_from), false, 28 },
    { "use_sliding_window", CONFIG_FLAG, CONFIG_WINDOW, false, 0 },
    { NULL, CONFIG_INT, 0, false, 0 },
};

static void finish(struct config *c)
{
    c->bits |= CONFIG_QKV_BIAS;
    c->bits &= ~(unsigned)CONFIG_O_BIAS;
    if (!(c->bits & CONFIG_WINDOW))
        c->window = 0;
}

const struct arch qwen2_arch = {
    .model_type = "qwen2",
    .class_name = "Qwen2ForCausalLM",
    .keys = llama_keys,
    .more_keys = keys,
    .finish = finish,
    .params = llama_params,
    .n_params = LLAMA_PARAMS,
    LLAMA_PROGRAMS,
    .hf = &llama_hf,
    .megatron = &scheme_megatron,
};
