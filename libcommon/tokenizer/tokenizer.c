#include "libcommon/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/tokenizer/tokenizer_in.h"

static void release(struct tokenizer_steps *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].row->release)
            list->v[i].row->release(list->v[i].args);
    free(list->v);
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    if (t->model)
        t->model->release(t->model_data);
    release(&t->normalizer);
    release(&t->pretokenizer);
    release(&t->decoder);
    for (size_t i = 0; i < sizeof t->described / sizeof *t->described; i++)
        free(t->described[i].v);
    if (t->decoded)
        tokenizer_strings_release(t->decoded);
    free(t->decoded);
    free(t->added);
    arena_release(&t->arena);
    free(t);
}

const struct tokenizer_info *tokenizer_info(const struct tokenizer *t)
{
    return &t->info;
}

uint32_t tokenizer_id(const struct tokenizer *t, const char *s, size_t n)
{
    for (size_t i = 0; i < t->n_added; i++)
        if (t->added[i].n == n && memcmp(t->added[i].content, s, n) == 0)
            return t->added[i].id;
    return t->model->id(t->model_data, s, n);
}

bool tokenizer_is_special(const struct tokenizer *t, uint32_t id)
{
    const struct tokenizer_added *a = tokenizer_added_token(t, id);

    return a && a->special && a->n == a->shown_n && memcmp(a->content, a->shown, a->n) == 0;
}
