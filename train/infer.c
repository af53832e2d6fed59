#include "train/infer.h"

#include <assert.h>
#include <string.h>

#include "train/rope.h"

#define MOST_BYTES ((double)((int64_t)1 << 46)) /* of address space, asked of the kernel */

int64_t infer_positions(const struct model *m)
{
    return model_param(m, P_POS_EMBED, -1) ? m->config.max_pos : INT32_MAX;
}

static int check_size(const struct model *m, const struct infer_options *o, struct err *err)
{
    const struct config *c = &m->config;
    double width = (double)(c->kv_heads * c->head_dim);
    double bytes = 8.0 * (double)c->layers * (double)o->slots * (double)o->capacity * width;

    if (o->capacity > infer_positions(m) && infer_positions(m) < INT32_MAX)
        return err_set(err, "a sequence of %lld tokens: the model's learned positions end at %lld "
                       "(max_position_embeddings)", (long long)o->capacity, (long long)c->max_pos);
    if (o->capacity > INT32_MAX || (o->cached && bytes > MOST_BYTES))
        return err_set(err, "%lld sequences of %lld tokens need %.0f GB for keys and values", (long long)o->slots,
                       (long long)o->capacity, bytes / 1e9);
    return 0;
}

static size_t aligned(int64_t n, size_t size)
{
    return ((size_t)n * size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

static void alloc_cache(struct infer *s, const struct config *c)
{
    int64_t one = s->o.slots * s->o.capacity * c->kv_heads * c->head_dim;

    s->cache.k = arena_alloc(&s->arena, (size_t)c->layers * sizeof *s->cache.k);
    s->cache.v = arena_alloc(&s->arena, (size_t)c->layers * sizeof *s->cache.v);
    for (int64_t l = 0; l < c->layers; l++) {
        s->cache.k[l] = arena_alloc(&s->arena, (size_t)one * sizeof(float));
        s->cache.v[l] = arena_alloc(&s->arena, (size_t)one * sizeof(float));
    }
    s->cache.past = arena_alloc(&s->arena, (size_t)s->o.slots * sizeof *s->cache.past);
    s->cache.slot = arena_alloc(&s->arena, (size_t)s->o.slots * sizeof *s->cache.slot);
    s->cache.capacity = s->o.capacity;
}

int infer_init(struct infer *s, struct model *m, struct par *par, const struct infer_options *o, struct err *err)
{
    const struct config *c = &m->config;
    int64_t cached = o->cached ? o->slots * o->capacity * c->kv_heads * c->head_dim : 0;
    size_t size;

    memset(s, 0, sizeof *s);
    if (check_size(m, o, err) < 0)
        return -1;
    s->o = *o;
    size = 2 * (size_t)c->layers * aligned(cached, sizeof(float)) + 2 * aligned(c->layers, sizeof(float *)) +
           aligned(o->slots * c->vocab, sizeof(float)) + 4 * aligned(o->slots + 1, sizeof(int64_t)) +
           5 * aligned(o->rows, sizeof(float)) + aligned(o->rows, sizeof(float *));
    arena_reserve(&s->arena, size);
    if (o->cached)
        alloc_cache(s, c);
    s->held = arena_alloc(&s->arena, (size_t)o->slots * sizeof *s->held);
    s->doc = arena_alloc(&s->arena, (size_t)(o->slots + 1) * sizeof *s->doc);
    s->logits = arena_alloc(&s->arena, (size_t)(o->slots * c->vocab) * sizeof *s->logits);
    s->ids = arena_alloc(&s->arena, (size_t)o->rows * sizeof *s->ids);
    s->pos = arena_alloc(&s->arena, (size_t)o->rows * sizeof *s->pos);
    s->head_row = arena_alloc(&s->arena, (size_t)o->rows * sizeof *s->head_row);
    s->target = arena_alloc(&s->arena, (size_t)o->rows * sizeof *s->target);
    s->loss = arena_alloc(&s->arena, (size_t)o->rows * sizeof *s->loss);
    s->loss_at = arena_alloc(&s->arena, (size_t)o->rows * sizeof *s->loss_at);
    exec_init(&s->exec, m, par, o->rows, o->slots, o->capacity, false);
    s->exec.run.ids = s->ids;
    s->exec.run.pos = s->pos;
    s->exec.run.doc = s->doc;
    s->exec.run.head_row = s->head_row;
    s->exec.run.cache = o->cached ? &s->cache : NULL;
    return 0;
}

void infer_release(struct infer *s)
{
    exec_release(&s->exec);
    arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

void infer_clear(struct infer *s, int32_t slot)
{
    s->held[slot] = 0;
}

int infer_check(const struct model *m, const int32_t *ids, int64_t n, struct err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= m->config.vocab)
            return err_set(err, "token %lld: id %lu is not below the model's vocabulary of %lld", (long long)i,
                           (unsigned long)(uint32_t)ids[i], (long long)m->config.vocab);
    return 0;
}

static int check(const struct infer *s, const struct infer_seq *q, struct err *err)
{
    int64_t held = s->o.cached ? s->held[q->slot] : 0;

    if (q->n < 1 || q->n > s->o.capacity - held)
        return err_set(err, "%lld tokens after %lld: a sequence holds 1 to %lld", (long long)q->n, (long long)held,
                       (long long)s->o.capacity);
    for (int64_t i = 0; q->target && i < q->n; i++)
        assert(q->target[i] >= -1 && q->target[i] < s->exec.run.config->vocab);
    return infer_check(s->exec.run.model, q->ids, q->n, err);
}

/* Run what has been gathered and hand out the results. */
static void flush(struct infer *s, int64_t length)
{
    struct op_run *run = &s->exec.run;
    bool scoring = s->n_heads && s->loss_at[0];

    if (!run->rows)
        return;
    run->n_head_rows = s->n_heads;
    run->target = scoring ? s->target : NULL;
    run->loss = scoring ? s->loss : NULL;
    run->logits = scoring ? NULL : s->logits + s->n_logits * run->config->vocab;
    exec_forward(&s->exec, length);
    for (int64_t i = 0; scoring && i < s->n_heads; i++)
        *s->loss_at[i] = s->loss[i];
    for (int64_t d = 0; s->o.cached && d < run->n_docs; d++)
        s->held[s->cache.slot[d]] += s->doc[d + 1] - s->doc[d];
    s->n_logits += scoring ? 0 : s->n_heads;
    s->n_heads = run->rows = run->n_docs = 0;
}

/* Put tokens [at, at + n) of q into the micro-batch. */
static void gather(struct infer *s, struct infer_seq *q, int64_t at, int64_t n, int64_t past)
{
    struct op_run *run = &s->exec.run;

    if (s->o.cached) {
        s->cache.slot[run->n_docs] = q->slot;
        s->cache.past[run->n_docs] = past + at;
    }
    for (int64_t i = at; i < at + n; i++) {
        int64_t row = run->rows + i - at;

        s->ids[row] = q->ids[i];
        s->pos[row] = (int32_t)(past + i);
        if (q->target ? q->target[i] < 0 : i < q->n - 1)
            continue;
        s->head_row[s->n_heads] = (int32_t)row;
        s->target[s->n_heads] = q->target ? q->target[i] : 0;
        s->loss_at[s->n_heads++] = q->target ? q->loss + i : NULL;
    }
    s->doc[run->n_docs++] = run->rows;
    run->rows += n;
    s->doc[run->n_docs] = run->rows;
}

int infer_feed(struct infer *s, struct infer_seq *seq, int n, struct err *err)
{
    struct op_run *run = &s->exec.run;
    bool by_length = rope_by_length(run->config);
    int64_t length = run->config->max_pos, logits = 0;

    assert(n <= s->o.slots);
    for (int i = 0; i < n; i++)
        if (check(s, &seq[i], err) < 0)
            return -1;
    s->n_logits = 0;
    for (int i = 0; i < n; i++) {
        struct infer_seq *q = &seq[i];
        int64_t past = s->o.cached ? s->held[q->slot] : 0;
        int64_t end = past + q->n > run->config->max_pos ? past + q->n : run->config->max_pos;

        if (by_length && end != length)
            flush(s, length);
        length = end;
        for (int64_t at = 0, take; at < q->n; at += take) {
            take = q->n - at < s->o.rows - run->rows ? q->n - at : s->o.rows - run->rows;
            assert(s->o.cached || take == q->n);
            gather(s, q, at, take, past);
            if (run->rows == s->o.rows)
                flush(s, length);
        }
        q->logits = q->target ? NULL : s->logits + logits++ * run->config->vocab;
    }
    flush(s, length);
    return 0;
}
