#include "train/arch.h"

#include <string.h>

#include "train/arch/families.h"

const struct arch *const arch_all[] = { &llama_arch, &mistral_arch, &qwen2_arch, &gpt2_arch, NULL };

const struct arch *arch_find(const char *model_type)
{
    for (int i = 0; arch_all[i]; i++)
        if (strcmp(arch_all[i]->model_type, model_type) == 0)
            return arch_all[i];
    return NULL;
}

int64_t arch_dim(const struct config *c, enum arch_dim d)
{
    switch (d) {
    case DIM_VOCAB:
        return c->vocab;
    case DIM_HIDDEN:
        return c->hidden;
    case DIM_Q:
        return c->heads * c->head_dim;
    case DIM_KV:
        return c->kv_heads * c->head_dim;
    case DIM_FFN:
        return c->ffn;
    case DIM_POS:
        return c->max_pos;
    case DIM_NONE:
        break;
    }
    return 1;
}

const struct arch_param *arch_param(const struct arch *a, enum arch_param_id id)
{
    for (int i = 0; i < a->n_params; i++)
        if (a->params[i].id == id)
            return &a->params[i];
    return NULL;
}

bool arch_has(const struct config *c, enum arch_param_id id)
{
    const struct arch_param *p = arch_param(c->arch, id);

    return p && (p->when & ~c->bits) == 0;
}
