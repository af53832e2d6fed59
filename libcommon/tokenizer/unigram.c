#include "libcommon/tokenizer/unigram.h"

#include <math.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"

/* The best path that ends here. */
struct unigram_node {
    double sum, gap; /* gap: what it is better by than the next best */
    size_t start;    /* of its last step; SIZE_MAX: there is none */
    uint32_t id;
    bool unk;
};

void unigram_build(struct unigram *u, struct trie_key *keys, size_t n, double *score, uint32_t n_ids)
{
    trie_build(&u->trie, keys, n);
    u->score = score;
    u->n_ids = n_ids;
}

void unigram_release(struct unigram *u)
{
    trie_release(&u->trie);
    free(u->score);
    *u = (struct unigram){ 0 };
}

void unigram_image(struct unigram *u, struct image *i)
{
    image_field(i, u->n_ids);
    image_field(i, u->unk);
    image_field(i, u->unk_score);
    image_flags(i, &u->single, 1);
    image_known(i, &u->score, u->n_ids, sizeof *u->score);
    trie_image(&u->trie, i, u->n_ids);
    image_check(i, u->score);
}

void unigram_scratch_release(struct unigram_scratch *s)
{
    free(s->node);
    free(s->step);
    *s = (struct unigram_scratch){ 0 };
}

static inline void offer(struct unigram_node *node, bool rounded, double sum, size_t start, uint32_t id, bool unk)
{
    if (node->start != SIZE_MAX && !(sum > node->sum)) {
        double gap = node->sum - sum;

        node->gap = gap < node->gap ? gap : node->gap;
        return;
    }
    node->gap = node->start == SIZE_MAX ? HUGE_VAL : sum - node->sum;
    node->sum = rounded ? (double)(float)sum : sum;
    node->start = start;
    node->id = id;
    node->unk = unk;
}

static size_t char_length(uint8_t c)
{
    return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static inline void run(const struct unigram *u, struct unigram_node *node, const char *text, size_t n, bool rounded)
{
    for (size_t i = 1; i <= n; i++)
        node[i].start = SIZE_MAX;
    for (size_t at = 0, len; at < n; at += len) {
        double here = node[at].sum;
        uint32_t state = TRIE_ROOT;
        bool single = false;

        len = char_length((uint8_t)text[at]);
        len = len < n - at ? len : n - at;
        for (size_t i = at; i < n;) {
            uint32_t value;

            state = trie_step(&u->trie, state, (uint8_t)text[i++]);
            if (state == TRIE_NONE)
                break;
            value = u->trie.unit[state].value;
            if (value == TRIE_NONE)
                continue;
            offer(&node[i], rounded, u->score[value] + here, at, value, false);
            single |= i == at + len;
        }
        if (!single)
            offer(&node[at + len], rounded, u->unk_score + here, at, u->unk, true);
    }
}

static struct unigram_node *nodes(struct unigram_scratch *s, size_t n)
{
    if (s->node_cap > 1 << 20 && n < 1 << 16) /* of one long text */
        unigram_scratch_release(s);
    mem_grow(&s->node, &s->node_cap, n + 1, sizeof *s->node);
    return s->node;
}

/* The path that ends at n, in order; the least gap on it. */
static size_t walk(struct unigram_scratch *s, size_t n, double *gap)
{
    size_t k = 0, at;

    *gap = HUGE_VAL;
    for (at = n; at; at = s->node[at].start)
        k++;
    mem_grow(&s->step, &s->step_cap, k, sizeof *s->step);
    at = n;
    for (size_t i = k; i-- > 0; at = s->node[at].start) {
        const struct unigram_node *node = &s->node[at];

        s->step[i] = (struct unigram_step){ at, node->id, node->unk };
        *gap = node->gap < *gap ? node->gap : *gap;
    }
    return k;
}

size_t unigram_run(const struct unigram *u, struct unigram_scratch *s, const char *text, size_t n, double before)
{
    struct unigram_node *node = nodes(s, n);
    double gap;

    node[0].sum = before;
    if (u->single)
        run(u, node, text, n, true);
    else
        run(u, node, text, n, false);
    return walk(s, n, &gap);
}

/* Where every sum is off by at most `steps` roundings, each half a unit in the last place of the largest one, and
 * what is compared by one more, the order of two that are further apart than twice that is certain. */
size_t unigram_run_free(const struct unigram *u, struct unigram_scratch *s, const char *text, size_t n, float *limit)
{
    struct unigram_node *node = nodes(s, n);
    double gap, largest = 0, most, steps = 0;
    size_t k;

    node[0].sum = 0;
    run(u, node, text, n, false);
    k = walk(s, n, &gap);
    for (size_t i = 1; i <= n; i++) {
        if (node[i].start == SIZE_MAX)
            continue;
        steps++;
        largest = fabs(node[i].sum) > largest ? fabs(node[i].sum) : largest;
    }
    most = (gap - 1e-9) * (u->single ? 0x1p24 : 0x1p53) / (2 * steps + 2) - largest;
    *limit = most > 1e30 ? 1e30f : most < 0 ? 0 : (float)(most * 0.999);
    return k;
}
