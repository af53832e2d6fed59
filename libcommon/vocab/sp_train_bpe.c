/* sp_train_bpe.c - BPE over characters; see sp_train.h. */
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/vocab/sp_train_in.h"

struct shapes {
    const struct sp_train_options *o;
    struct sp_shape *shape; /* of a token */
    size_t cap;
};

static bool may(const void *ctx, uint32_t a, uint32_t b)
{
    const struct shapes *s = ctx;
    struct sp_shape joined;

    return sp_shape_join(s->o, &s->shape[a], &s->shape[b], &joined);
}

static void made(void *ctx, uint32_t a, uint32_t b, uint32_t c)
{
    struct shapes *s = ctx;

    mem_grow(&s->shape, &s->cap, (size_t)c + 1, sizeof *s->shape);
    sp_shape_join(s->o, &s->shape[a], &s->shape[b], &s->shape[c]);
}

struct cells {
    struct bpe_train_cell *cell;
    uint64_t *count;
    size_t n;
};

static int fill(struct cells *c, const struct sp_train *t, struct err *err)
{
    const struct bpe_train_words *w = t->counter[0].words;
    struct bpe_train_walk walk = { .at = 0 };
    size_t room = 1, words = 0;

    for (; bpe_train_words_next(w, &walk); words++)
        room += walk.n + 1;
    if (room >= BPE_TRAIN_NONE)
        return err_set(err, "the distinct words have %zu bytes, more than can be trained on", room);
    c->cell = xmalloc(room * sizeof *c->cell);
    c->count = xmalloc((words + 1) * sizeof *c->count);
    c->cell[c->n++].token = BPE_TRAIN_NONE;
    words = 0;
    for (walk.at = 0; bpe_train_words_next(w, &walk); c->count[words++] = walk.count) {
        uint32_t cp;

        for (size_t i = 0; i < walk.n;) {
            i += (size_t)utf8_decode(walk.s + i, walk.n - i, &cp);
            c->cell[c->n++] = (struct bpe_train_cell){ t->rank[cp], (uint32_t)words };
        }
        c->cell[c->n++].token = BPE_TRAIN_NONE;
    }
    return 0;
}

/* Merges first, then the characters. */
static void list_pieces(struct sp_train *t)
{
    size_t n = t->tokens->n_tokens, merged = n - t->n_required;

    t->learnt = xmalloc(n * sizeof *t->learnt);
    t->score = xmalloc(n * sizeof *t->score);
    for (size_t i = 0; i < n; i++) {
        t->learnt[i] = (uint32_t)(i < merged ? t->n_required + i : i - merged);
        t->score[i] = -(float)i;
    }
    t->n_learnt = n;
}

int sp_train_bpe(struct sp_train *t, struct err *err)
{
    struct shapes shapes = { .o = t->o };
    struct cells c = { .n = 0 };
    struct bpe_train_rules rules = {
        .size = t->o->vocab_size - (uint32_t)t->n_given,
        .least = 1,
        .spelling = true,
        .may = may,
        .made = made,
        .ctx = &shapes,
    };

    if (fill(&c, t, err) < 0)
        return -1;
    t->tokens = xcalloc(1, sizeof *t->tokens);
    for (size_t i = 0; i < t->n_required; i++) {
        char utf8[4];
        uint32_t id = bpe_train_token(t->tokens, utf8, (size_t)utf8_encode(t->required[i], utf8), 1);

        mem_grow(&shapes.shape, &shapes.cap, (size_t)id + 1, sizeof *shapes.shape);
        shapes.shape[id] = sp_shape_of(t->o, t->required[i]);
    }
    bpe_train_merge(t->tokens, c.cell, c.n, c.count, &rules);
    list_pieces(t);
    free(c.cell);
    free(c.count);
    free(shapes.shape);
    return 0;
}
