/* Added tokens: their sets, and finding them in text. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/bpe.h"
#include "libcommon/tokenizer/tokenizer_in.h"

/* Of two that are alike the special one comes first, then the lower id. */
static int by_bytes(const void *a, const void *b)
{
    const struct tokenizer_pattern *x = a, *y = b;
    int order = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);

    if (order || x->n != y->n)
        return order ? order : (x->n > y->n) - (x->n < y->n);
    if (x->token->special != y->token->special)
        return y->token->special - x->token->special;
    return (x->token->id > y->token->id) - (x->token->id < y->token->id);
}

/* What the decoders take of a token, and what to look for in a normalised text. */
static int show(struct tokenizer *t, struct tokenizer_added *a, bool as_is, struct tokenizer_pattern *p, struct err *err)
{
    struct tokenizer_text room[2] = { 0 };
    const char *normal = a->content;
    size_t first = 0, n = a->n;
    int rc = a->was_normalized ? tokenizer_normalise(t, a->content, &n, &first, &normal, room, err) : 0;
    char *bytes;
    bool plain;

    if (rc == 0) {
        *p = (struct tokenizer_pattern){ normal == a->content ? normal : arena_strndup(&t->arena, normal, n), n, a };
        a->shown = as_is ? a->content : p->s;
        a->shown_n = as_is ? a->n : p->n;
        a->bytes = bytes = arena_alloc(&t->arena, a->shown_n + 1);
        a->bytes_n = bpe_unspell(a->shown, n, bytes, &plain);
    }
    free(room[0].v);
    free(room[1].v);
    return rc;
}

int tokenizer_make_sets(struct tokenizer *t, bool as_is, struct err *err)
{
    struct tokenizer_set *sets[] = { &t->raw, &t->normal };

    for (int k = 0; k < 2; k++)
        sets[k]->v = arena_calloc(&t->arena, t->n_added + 1, sizeof *sets[k]->v);
    for (size_t i = 0; i < t->n_added; i++) {
        struct tokenizer_added *a = &t->added[i];
        struct tokenizer_set *set = sets[a->normalized];
        struct tokenizer_pattern *p = &set->v[set->n];

        if (show(t, a, as_is, p, err) < 0)
            return -1;
        if (!a->normalized)
            *p = (struct tokenizer_pattern){ a->content, a->n, a };
        if (!p->n)
            continue;
        set->n++;
        set->only_first = set->n == 1 || set->only_first == (uint8_t)p->s[0] ? (uint8_t)p->s[0] : -1;
        set->first[(uint8_t)p->s[0]] = true;
        set->plain |= !a->special;
    }
    for (int k = 0; k < 2; k++)
        qsort(sets[k]->v, sets[k]->n, sizeof *sets[k]->v, by_bytes);
    return 0;
}

/* The first pattern of v[low, high), which agree in their first k bytes, whose byte k is at least c. */
static size_t lower_bound(const struct tokenizer_set *set, size_t low, size_t high, size_t k, int c)
{
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (set->v[mid].n <= k || (uint8_t)set->v[mid].s[k] < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The longest pattern that stands at the beginning of text, or NULL. */
static const struct tokenizer_pattern *longest(const struct tokenizer_set *set, const char *text, size_t n)
{
    const struct tokenizer_pattern *found = NULL;
    size_t low = 0, high = set->n;

    for (size_t k = 0; k < n && low < high; k++) {
        int c = (uint8_t)text[k];

        low = lower_bound(set, low, high, k, c);
        high = lower_bound(set, low, high, k, c + 1);
        if (low < high && set->v[low].n == k + 1)
            found = &set->v[low];
    }
    return found;
}

const struct tokenizer_pattern *tokenizer_find(const struct tokenizer_set *set, const char *text, size_t n, size_t from,
                                               size_t *at)
{
    for (size_t i = from; i < n; i++) {
        const struct tokenizer_pattern *p;
        const char *next = set->only_first < 0 ? text + i : memchr(text + i, set->only_first, n - i);

        if (!next)
            break;
        i = (size_t)(next - text);
        p = set->first[(uint8_t)text[i]] ? longest(set, text + i, n - i) : NULL;

        if (p) {
            *at = i;
            return p;
        }
    }
    return NULL;
}

const struct tokenizer_added *tokenizer_added_token(const struct tokenizer *t, uint32_t id)
{
    size_t low = 0, high = t->n_added;

    if (!high || id < t->added[0].id || id > t->added[high - 1].id) /* most */
        return NULL;
    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (t->added[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < t->n_added && t->added[low].id == id ? &t->added[low] : NULL;
}
