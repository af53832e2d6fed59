/* mistral.c - Mistral 7B v0.1 to v0.3: Llama's tensors, a sliding window on every layer. */
#include <stddef.h>

#include "train/arch/families.h"

static const struct config_key keys[] = {
    { "sliding_window", CONFIG_INT, (int)offsetof(struct config, window), false, 0 },
    { NULL, CONFIG_INT, 0, false, 0 },
};

const struct arch mistral_arch = {
    .model_type = "mistral",
    .class_name = "MistralForCausalLM",
    .keys = llama_keys,
    .more_keys = keys,
    .params = llama_params,
    .n_params = LLAMA_PARAMS,
    LLAMA_PROGRAMS,
    .hf = &llama_hf,
    .megatron = &scheme_megatron,
};
