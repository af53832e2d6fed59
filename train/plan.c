#include "train/plan.h"

#include <assert.h>
#include <string.h>

#define ALIGN ((size_t)64)

/* Union of values that share storage: each points at another, its columns beginning at `col` of it. */
struct share {
    int to[ARCH_VALUES];
    int64_t col[ARCH_VALUES];
};

struct life {
    int value; /* the root */
    size_t size, offset;
    int first, last;
};

static int find(const struct share *s, int v, int64_t *col)
{
    *col = 0;
    while (s->to[v] != v) {
        *col += s->col[v];
        v = s->to[v];
    }
    return v;
}

static int root(const struct share *s, int v)
{
    int64_t col;

    return find(s, v, &col);
}

static void join(struct share *s, int v, int into, int64_t col)
{
    s->to[v] = into;
    s->col[v] = col;
}

static void clear(struct share *s)
{
    for (int v = 0; v < ARCH_VALUES; v++)
        join(s, v, v, 0);
}

static const struct op *op_of(const struct arch_row *r)
{
    return &op_table[r->op];
}

static void shapes(struct plan_program *p, const struct config *c)
{
    memset(p->cols, 0, sizeof p->cols);
    p->cols[VALUE_X] = c->hidden;
    for (int i = 0; i < p->program->n; i++) {
        const struct arch_row *r = &p->program->row[i];
        int64_t in[ARCH_IN] = { 0 }, out[ARCH_OUT] = { 0 };

        for (int k = 0; k < ARCH_IN; k++)
            in[k] = p->cols[r->in[k]];
        op_of(r)->shape(c, r, in, out);
        for (int k = 0; k < ARCH_OUT; k++)
            if (r->out[k])
                p->cols[r->out[k]] = out[k];
    }
}

static int producer(const struct arch_program *g, int v)
{
    for (int i = 0; i < g->n; i++)
        for (int k = 0; k < ARCH_OUT; k++)
            if (g->row[i].out[k] == v)
                return i;
    return -1;
}

static bool row_reads(const struct arch_row *r, int v)
{
    for (int k = 0; k < ARCH_IN; k++)
        if (r->in[k] == v)
            return true;
    return false;
}

/* Last row before `before` that reads v, or -1. */
static int last_reader(const struct arch_program *g, int v, int before)
{
    for (int i = before - 1; i >= 0; i--)
        if (row_reads(&g->row[i], v))
            return i;
    return -1;
}

static bool kept(const struct arch_program *g, int v)
{
    for (int i = 0; i < g->n; i++) {
        unsigned keeps = op_of(&g->row[i])->keeps;

        for (int k = 0; k < ARCH_OUT; k++)
            if (g->row[i].out[k] == v && (keeps >> k & OP_KEEP_OUT))
                return true;
        for (int k = 0; k < ARCH_IN; k++)
            if (g->row[i].in[k] == v && (keeps >> k & OP_KEEP_IN))
                return true;
    }
    return false;
}

/* Views share with what they are columns of; an in-place op takes over an input that dies there. */
static void share_values(const struct plan_program *p, struct share *s)
{
    const struct arch_program *g = p->program;

    clear(s);
    for (int i = 0; i < g->n; i++) {
        const struct arch_row *r = &g->row[i];
        int64_t col = 0;

        for (int k = 0; op_of(r)->views && k < ARCH_OUT && r->out[k]; k++) {
            join(s, r->out[k], r->in[0], col);
            col += p->cols[r->out[k]];
        }
        for (int k = 0; op_of(r)->in_place && k < ARCH_IN && r->in[k]; k++) {
            int v = r->in[k];

            if (v != VALUE_X && p->cols[v] == p->cols[r->out[0]] && last_reader(g, v, i) < 0 &&
                last_reader(g, v, g->n) == i && !kept(g, v)) {
                join(s, r->out[0], v, 0);
                break;
            }
        }
    }
}

/* First offset at which l overlaps in place with none of the n placed lives that overlap in time. */
static size_t place(struct life *l, const struct life *placed, int n)
{
    size_t at = 0;
    bool moved;

    do {
        moved = false;
        for (int i = 0; i < n; i++)
            if (placed[i].first <= l->last && l->first <= placed[i].last && at < placed[i].offset + placed[i].size &&
                placed[i].offset < at + l->size) {
                at = placed[i].offset + placed[i].size;
                moved = true;
            }
    } while (moved);
    l->offset = at;
    return at + l->size;
}

static size_t bytes(int64_t rows, int64_t cols)
{
    return ((size_t)rows * (size_t)cols * sizeof(float) + ALIGN - 1) & ~(ALIGN - 1);
}

static void place_values(struct plan_program *p, int64_t rows, bool train)
{
    const struct arch_program *g = p->program;
    struct share s;
    struct life life[ARCH_VALUES];
    bool saved[ARCH_VALUES] = { false };
    int n = 0;

    share_values(p, &s);
    for (int v = 1; v < ARCH_VALUES; v++)
        if (p->cols[v] && train && kept(g, v))
            saved[root(&s, v)] = true;
    for (int v = 1; v < ARCH_VALUES; v++) {
        struct plan_place *at = &p->value[v];
        struct life l = { .value = v, .first = g->n, .last = -1 };

        if (!p->cols[v] || root(&s, v) != v)
            continue;
        *at = (struct plan_place){ .ld = p->cols[v] };
        if (v == VALUE_X) {
            at->where = PLAN_INPUT;
        } else if (g->result && root(&s, g->result) == v) {
            at->where = PLAN_RESULT;
        } else if (saved[v]) {
            at->where = PLAN_SAVED;
            at->offset = p->saved;
            p->saved += bytes(rows, p->cols[v]);
        } else {
            at->where = PLAN_SCRATCH;
            l.size = bytes(rows, p->cols[v]);
            for (int u = 1; u < ARCH_VALUES; u++)
                if (p->cols[u] && root(&s, u) == v) {
                    int born = producer(g, u), read = last_reader(g, u, g->n);

                    l.first = born < l.first ? born : l.first;
                    l.last = read > l.last ? read : l.last;
                    l.last = born > l.last ? born : l.last;
                }
            size_t end = place(&l, life, n);

            p->scratch = end > p->scratch ? end : p->scratch;
            life[n++] = l;
            at->offset = l.offset;
        }
    }
    for (int v = 1; v < ARCH_VALUES; v++)
        if (p->cols[v] && root(&s, v) != v) {
            int64_t col;
            int r = find(&s, v, &col);

            p->value[v] = p->value[r];
            p->value[v].col = col;
        }
}

static bool has_grad(const struct plan_program *p, int v)
{
    int born = producer(p->program, v);

    if (!p->cols[v])
        return false;
    return born < 0 || !(op_of(&p->program->row[born])->aux && p->program->row[born].out[1] == v);
}

/* May the gradient of `a` stand in the place of out's, where `other` (0: none) stands there as well until
 * its producer reads it?  Row i must contribute to both first, and whatever contributes to `a` later
 * must run after that read. */
static bool may_share(const struct arch_program *g, int i, int a, int other)
{
    if (last_reader(g, a, g->n) != i)
        return false;
    if (!other)
        return true;
    return last_reader(g, other, g->n) == i && last_reader(g, other, i) < 0 &&
           last_reader(g, a, i) < producer(g, other);
}

static void share_grads(const struct plan_program *p, struct share *s)
{
    const struct arch_program *g = p->program;

    clear(s);
    for (int i = g->n - 1; i >= 0; i--) {
        const struct arch_row *r = &g->row[i];
        int a = r->in[0], b = r->in[1];

        if (op_of(r)->views) {
            int64_t col = 0;

            for (int k = 0; k < ARCH_OUT && r->out[k]; k++) {
                join(s, root(s, r->out[k]), root(s, a), col);
                col += p->cols[r->out[k]];
            }
            continue;
        }
        if (!op_of(r)->grad_shares)
            continue;
        if (b && may_share(g, i, a, b)) {
            join(s, root(s, a), root(s, r->out[0]), 0);
            join(s, root(s, b), root(s, r->out[0]), 0);
        } else if (b && may_share(g, i, b, a)) {
            join(s, root(s, b), root(s, r->out[0]), 0);
            join(s, root(s, a), root(s, r->out[0]), 0);
        } else if (may_share(g, i, a, 0)) {
            join(s, root(s, a), root(s, r->out[0]), 0);
        }
    }
}

static void place_grads(struct plan_program *p, int64_t rows)
{
    const struct arch_program *g = p->program;
    struct share s;
    struct life life[ARCH_VALUES];
    int n = 0, result;

    share_grads(p, &s);
    result = g->result ? root(&s, g->result) : 0;
    p->grad_in_place = root(&s, VALUE_X) == result;
    for (int v = 1; v < ARCH_VALUES; v++) {
        struct plan_place *at = &p->grad[v];
        struct life l = { .value = v, .first = g->n, .last = -1 };

        if (!has_grad(p, v) || root(&s, v) != v)
            continue;
        *at = (struct plan_place){ .ld = p->cols[v] };
        if (v == result || v == VALUE_X) {
            at->where = v == result ? PLAN_RESULT : PLAN_INPUT;
            continue;
        }
        at->where = PLAN_SCRATCH;
        l.size = bytes(rows, p->cols[v]);
        for (int u = 1; u < ARCH_VALUES; u++) {
            int given, read;

            if (!has_grad(p, u) || root(&s, u) != v)
                continue;
            given = g->n - 1 - last_reader(g, u, g->n); /* backward runs the rows from last to first */
            read = g->n - 1 - producer(g, u);
            l.first = given < l.first ? given : l.first;
            l.last = read > l.last ? read : l.last;
        }
        size_t end = place(&l, life, n);

        p->scratch = end > p->scratch ? end : p->scratch;
        life[n++] = l;
        at->offset = l.offset;
    }
    for (int v = 1; v < ARCH_VALUES; v++)
        if (has_grad(p, v) && root(&s, v) != v) {
            int64_t col;
            int r = find(&s, v, &col);

            p->grad[v] = p->grad[r];
            p->grad[v].col = col;
        }
}

static void plan_program(struct plan_program *p, const struct arch_program *g, const struct config *c, int64_t rows,
                         bool train)
{
    memset(p, 0, sizeof *p);
    p->program = g;
    shapes(p, c);
    if (producer(g, VALUE_X) < 0 && last_reader(g, VALUE_X, g->n) < 0)
        p->cols[VALUE_X] = 0; /* the embedding reads no stream */
    place_values(p, rows, train);
    if (train)
        place_grads(p, rows);
}

void plan_make(struct plan *p, const struct config *c, int64_t rows, int64_t max_docs, int64_t positions, int threads,
               bool train)
{
    const struct arch *a = c->arch;
    int64_t streams, tile = ((int64_t)32 << 20) / c->vocab; /* 128 MiB of logits */
    size_t scratch;

    memset(p, 0, sizeof *p);
    p->rows = rows;
    p->max_docs = max_docs;
    p->train = train;
    plan_program(&p->embed, &a->embed, c, rows, train);
    plan_program(&p->layer, &a->layer, c, rows, train);
    plan_program(&p->head, &a->head, c, rows, train);
    tile = tile < 16 ? 16 : tile > 1024 ? 1024 : tile;
    p->tile_rows = (rows + (rows + tile - 1) / tile - 1) / ((rows + tile - 1) / tile); /* equal tiles */
    p->stream = bytes(rows, c->hidden);
    streams = train ? c->layers + 1 + 2 : 2; /* the inputs of all programs and two gradients; or two in turn */
    scratch = p->embed.scratch > p->layer.scratch ? p->embed.scratch : p->layer.scratch;
    scratch = p->head.scratch > scratch ? p->head.scratch : scratch;
    p->layer.scratch = scratch;
    p->rope = c->rope.type == ROPE_NONE ? 0 : bytes(positions, c->head_dim);
    p->total = (size_t)streams * p->stream + scratch + (size_t)c->layers * p->layer.saved + p->head.saved +
               p->embed.saved + bytes(p->tile_rows, c->vocab + c->hidden) + p->rope +
               (size_t)threads * KERNEL_SCRATCH + bytes(rows / OP_NORM_ROWS + 1, 2 * c->hidden) +
               bytes(2 * (rows / OP_QUERIES + max_docs + 1), 2);
}

static double program_flops(const struct arch_program *g, const struct config *c, double context)
{
    double sum = 0;

    for (int i = 0; i < g->n; i++)
        if (op_of(&g->row[i])->flops)
            sum += op_of(&g->row[i])->flops(c, &g->row[i], context);
    return sum;
}

double plan_flops(const struct config *c, double context)
{
    double sum = program_flops(&c->arch->embed, c, context) + program_flops(&c->arch->head, c, context);

    for (int64_t l = 0; l < c->layers; l++) {
        double window = c->windowed[l] && (double)c->window < context ? (double)c->window : context;

        sum += program_flops(&c->arch->layer, c, window);
    }
    return sum;
}
