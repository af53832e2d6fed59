/* Added tokens out of tokenizer.json and tokenizer_config.json. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/tokenizer_load.h"

struct adding {
    struct tokenizer_loader *l;
    uint32_t *slot; /* added tokens by content: 1 + index, open addressing */
    unsigned bits;
};

static uint32_t *added_slot(const struct adding *g, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << g->bits) - 1, i = (size_t)hash_bytes(s, n, 0) & mask;

    for (; g->slot[i]; i = (i + 1) & mask) {
        const struct tokenizer_added *a = &g->l->t->added[g->slot[i] - 1];

        if (a->n == n && memcmp(a->content, s, n) == 0)
            break;
    }
    return &g->slot[i];
}

/* The entry of a content; a new one has no id yet. */
static struct tokenizer_added *entry(struct adding *g, const struct json_value *content)
{
    struct tokenizer *t = g->l->t;
    uint32_t *slot = added_slot(g, content->str, content->len);
    struct tokenizer_added new = { .n = content->len, .id = TOKENIZER_NONE };

    if (*slot)
        return &t->added[*slot - 1];
    mem_grow(&t->added, &t->added_cap, t->n_added + 1, sizeof *t->added);
    new.content = arena_strndup(&t->arena, content->str, content->len);
    t->added[t->n_added++] = new;
    *slot = (uint32_t)t->n_added;
    return &t->added[*slot - 1];
}

/* The id is the vocabulary's for that content, else the next free one, whatever the file
 * says, but where the loader holds to what it says. */
static int set_id(struct adding *g, struct tokenizer_added *a, const char *given)
{
    struct tokenizer *t = g->l->t;

    a->id = t->model->id(t->model_data, a->content, a->n);
    if (a->id == TOKENIZER_NONE && g->l->source->given_ids && given && strlen(given) < 10)
        a->id = (uint32_t)strtoul(given, NULL, 10);
    if (a->id == TOKENIZER_NONE) /* vocab_size: the highest id of an added token + 1, so far */
        a->id = t->info.vocab_size > t->n_tokens ? t->info.vocab_size : (uint32_t)t->n_tokens;
    if (a->id > TOKENIZER_MAX_ID)
        return err_set(g->l->err, "%s: added token '%.100s': id %u is above %u", g->l->name, a->content, a->id, TOKENIZER_MAX_ID);
    if (a->id >= t->info.vocab_size)
        t->info.vocab_size = a->id + 1;
    return 0;
}

/* The number at "id", as it is spelled, or NULL. */
static const char *given_id(const struct json_value *v)
{
    const struct json_value *id = json_get(v, "id");

    return id && id->type == JSON_NUMBER ? id->str : NULL;
}

/* Add one, or change the flags of one that is there; once special it stays so.  `id`, where it is not NULL, must be
 * its id. */
static int add_token(struct adding *g, const struct json_value *v, const char *id)
{
    struct tokenizer_loader *l = g->l;
    const struct json_value *content = json_get(v, "content");
    struct tokenizer_added *a;
    bool special;

    if (!content || content->type != JSON_STRING)
        return err_set(l->err, "%s: added token %s: there is no content", l->name, id ? id : "");
    if (!content->len)
        return 0;
    a = entry(g, content);
    if (a->id == TOKENIZER_NONE && set_id(g, a, id ? id : given_id(v)) < 0)
        return -1;
    if (json_get_bool(v, "special", false, &special, l->name, l->err) < 0 ||
        json_get_bool(v, "normalized", !special, &a->normalized, l->name, l->err) < 0 ||
        json_get_bool(v, "single_word", false, &a->single_word, l->name, l->err) < 0 ||
        json_get_bool(v, "lstrip", false, &a->lstrip, l->name, l->err) < 0 ||
        json_get_bool(v, "rstrip", false, &a->rstrip, l->name, l->err) < 0)
        return -1;
    a->special |= special;
    a->was_normalized |= a->normalized;
    if (id && (strtoull(id, NULL, 10) != a->id || strlen(id) > 10))
        return err_set(l->err, "%s: added token '%.100s' has the id %u, not %.20s as in tokenizer_config.json", l->name,
                       a->content, a->id, id);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct tokenizer_added *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int by_number(const void *a, const void *b)
{
    unsigned long long x = strtoull((*(const struct json_value *const *)a)->key, NULL, 10);
    unsigned long long y = strtoull((*(const struct json_value *const *)b)->key, NULL, 10);

    return (x > y) - (x < y);
}

/* The file's list, then what transformers adds from added_tokens_decoder, by id. */
int tokenizer_load_added(struct tokenizer_loader *l, const struct json_value *list, const struct json_value *config)
{
    const struct json_value *decoder = json_get(config, "added_tokens_decoder"), *v, **sorted;
    struct adding g = { .l = l };
    int n = 0, rc = 0;

    if (list && list->type != JSON_NULL && list->type != JSON_ARRAY)
        return err_set(l->err, "%s: added_tokens is not an array", l->name);
    if (decoder && decoder->type != JSON_OBJECT)
        decoder = NULL;
    for (g.bits = 4; (size_t)1 << g.bits < 2 * (size_t)((list ? list->n : 0) + (decoder ? decoder->n : 0));)
        g.bits++;
    g.slot = xcalloc((size_t)1 << g.bits, sizeof *g.slot);
    for (v = list ? list->child : NULL; v && rc == 0; v = v->next)
        rc = add_token(&g, v, NULL);
    sorted = xcalloc((size_t)(decoder ? decoder->n : 0) + 1, sizeof *sorted);
    for (v = decoder ? decoder->child : NULL; v; v = v->next)
        sorted[n++] = v;
    qsort(sorted, (size_t)n, sizeof(const struct json_value *), by_number);
    for (int i = 0; i < n && rc == 0; i++)
        rc = add_token(&g, sorted[i], sorted[i]->key);
    free(sorted);
    free(g.slot);
    if (l->t->n_ids > l->t->info.vocab_size)
        l->t->info.vocab_size = l->t->n_ids;
    if (rc == 0 && l->t->n_added) {
        qsort(l->t->added, l->t->n_added, sizeof *l->t->added, by_id);
        for (size_t i = 1; i < l->t->n_added; i++)
            if (l->t->added[i].id == l->t->added[i - 1].id)
                return err_set(l->err, "%s: two added tokens have the id %u", l->name, l->t->added[i].id);
    }
    return rc;
}
