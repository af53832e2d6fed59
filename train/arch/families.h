/* families.h - one line a family file. */
#ifndef TRAIN_ARCH_FAMILIES_H
#define TRAIN_ARCH_FAMILIES_H

#include "train/arch.h"

/* Megatron-core's names of Llama's parameters. */
extern const struct arch_scheme scheme_megatron;

extern const struct arch llama_arch, mistral_arch, qwen2_arch, gpt2_arch;

/* Shared by families that publish Llama's tensors. */
enum { LLAMA_PARAMS = 19, LLAMA_LAYER = 13, LLAMA_RESULT = 2 };
extern const struct arch_param llama_params[LLAMA_PARAMS];
extern const struct arch_row llama_embed[1], llama_layer[LLAMA_LAYER], llama_head[2];
#define LLAMA_PROGRAMS                                                                             \
    .embed = ARCH_PROGRAM(llama_embed, LLAMA_RESULT),                                              \
    .layer = ARCH_PROGRAM(llama_layer, LLAMA_RESULT),                                              \
    .head = ARCH_PROGRAM(llama_head, VALUE_NONE)
extern const struct arch_scheme llama_hf;
extern const struct config_key llama_keys[];

#endif
