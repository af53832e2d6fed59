#include "train/scheme.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

int scheme_check(const struct config *c, int64_t tp, int64_t pp, struct err *err)
{
    const struct {
        const char *what;
        int64_t n, by;
        const char *why;
    } rows[] = {
        { "attention heads", c->heads, tp, "tensor parallel ranks" },
        { "key heads", c->kv_heads, tp, "tensor parallel ranks" },
        { "rows of the MLP", c->ffn, tp, "tensor parallel ranks" },
        { "layers", c->layers, pp, "pipeline stages" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].n % rows[i].by)
            return err_set(err, "%" PRId64 " %s do not divide into %" PRId64 " %s", rows[i].n, rows[i].what, rows[i].by, rows[i].why);
    return 0;
}

/* ---- the walk ---- */

struct walk {
    struct scheme_list *l;
    const struct config *c;
    const struct arch_scheme *s;
    const struct scheme_grid *g;
    int rank;
    size_t cap;
};

/* Which stage has a parameter that is in no layer: the embedding's program names it, or else the head's. */
static bool in_embed(const struct arch *a, enum arch_param_id id)
{
    for (int i = 0; i < a->embed.n; i++)
        for (int k = 0; k < ARCH_PARAM; k++)
            if (a->embed.row[i].param[k] == id)
                return true;
    return false;
}

static const char *spell(struct walk *w, const char *pattern, int64_t local)
{
    const char *prefix = w->g->no_prefix ? w->s->prefix : NULL, *at;
    size_t size;
    char *s;

    if (prefix && strncmp(pattern, prefix, strlen(prefix)) == 0)
        pattern += strlen(prefix);
    at = strstr(pattern, "{l}");
    if (!at)
        return pattern;
    size = strlen(pattern) + 24;
    s = arena_alloc(&w->l->arena, size);
    snprintf(s, size, "%.*s%" PRId64 "%s", (int)(at - pattern), pattern, local, at + 3);
    return s;
}

/* This rank's share of a parameter becomes the last part of tensor t. */
static void add_part(const struct walk *w, struct scheme_tensor *t, const struct arch_param *p, enum arch_layout layout)
{
    int64_t rows = arch_dim(w->c, p->rows), tp = w->g->tp, per;
    struct scheme_part *part = &t->part[t->n++];

    *part = (struct scheme_part){ .param = p->id, .rows = rows };
    t->cols = arch_dim(w->c, p->cols);
    t->rank = p->cols == DIM_NONE ? 1 : 2;
    t->groups = layout == LAYOUT_GROUPED ? w->c->kv_heads / tp : 1;
    t->transposed = layout == LAYOUT_TRANSPOSED;
    switch (p->split) {
    case SPLIT_COPIED:
        break;
    case SPLIT_ROWS:
        part->rows = rows / tp;
        part->row = w->rank * part->rows;
        break;
    case SPLIT_COLUMNS:
        t->cols /= tp;
        t->col = w->rank * t->cols;
        break;
    case SPLIT_VOCAB:
        per = w->g->vocab / tp;
        part->row = w->rank * per < rows ? w->rank * per : rows;
        part->rows = rows - part->row < per ? rows - part->row : per;
        t->pad = per - part->rows;
        break;
    }
    t->shape[t->transposed] += part->rows + t->pad;
    t->shape[!t->transposed] = t->cols;
}

/* The tensor that begins with row i of the table, unless the model has none such. */
static void add_tensor(struct walk *w, int i, const struct scheme_stage *stage, int layer)
{
    const struct arch *a = w->c->arch;
    const struct arch_name *n = w->s->names, *end = n + w->s->n_names;
    const struct arch_param *p = arch_param(a, n[i].param);
    int64_t local = layer - stage->first;
    struct scheme_tensor *t;
    bool tied = !arch_has(w->c, p->id) && p->tied;

    for (int k = 0; k < i; k++)
        if (n[k].param == n[i].param || strcmp(n[k].name, n[i].name) == 0)
            return; /* another spelling, another part */
    if (!arch_has(w->c, p->id) && !p->tied)
        return;
    mem_grow(&w->l->tensor, &w->cap, (size_t)w->l->n + 1, sizeof *w->l->tensor);
    t = &w->l->tensor[w->l->n++];
    *t = (struct scheme_tensor){ .name = spell(w, n[i].name, local), .layer = layer, .tied = tied, .absent = tied && stage->embed };
    for (const struct arch_name *m = n + i; m < end; m++) {
        if (strcmp(m->name, n[i].name) == 0)
            add_part(w, t, tied ? arch_param(a, p->tied) : arch_param(a, m->param), m->layout);
        else if (m->param == n[i].param)
            t->other = spell(w, m->name, local);
    }
}

void scheme_walk(struct scheme_list *l, const struct config *c, const struct arch_scheme *s, const struct scheme_grid *g,
                 int rank, const struct scheme_stage *stage)
{
    struct walk w = { .l = l, .c = c, .s = s, .g = g, .rank = rank };

    memset(l, 0, sizeof *l);
    arena_init(&l->arena);
    for (int64_t layer = stage->first - 1; layer <= stage->first + stage->layers; layer++) {
        bool before = layer < stage->first, behind = layer == stage->first + stage->layers;

        for (int i = 0; i < s->n_names; i++) {
            const struct arch_param *p = arch_param(c->arch, s->names[i].param);

            if (p->layer ? before || behind : !(in_embed(c->arch, p->id) ? before && stage->embed : behind && stage->head))
                continue;
            add_tensor(&w, i, stage, p->layer ? (int)layer : -1);
        }
    }
}

void scheme_free(struct scheme_list *l)
{
    free(l->tensor);
    arena_release(&l->arena);
    memset(l, 0, sizeof *l);
}

/* ---- runs and places ---- */

static int64_t outer(const struct scheme_tensor *t)
{
    return t->transposed ? t->cols : t->groups;
}

int64_t scheme_runs(const struct scheme_tensor *t)
{
    return (t->part[0].rows > 0 ? outer(t) * t->n : 0) + t->pad;
}

struct scheme_run scheme_run(const struct scheme_tensor *t, int64_t i)
{
    const struct scheme_part *p = &t->part[i % t->n];
    int64_t o = i / t->n, per = p->rows / t->groups;
    struct scheme_run run = { p->param, t->layer, p->row + o * per, per, t->col, t->cols };

    if (i >= scheme_runs(t) - t->pad) {
        run.row = t->part[0].row + t->part[0].rows - 1;
        run.rows = 1;
    } else if (t->transposed) {
        run.row = p->row;
        run.col = t->col + o;
        run.cols = 1;
    }
    return run;
}

bool scheme_find(const struct scheme_tensor *t, enum arch_param_id param, int64_t row, int64_t col, struct scheme_place *p)
{
    int64_t before = 0, group = 0;

    for (int i = 0; i < t->n; i++)
        group += t->part[i].rows / t->groups;
    for (int i = 0; i < t->n; i++) {
        const struct scheme_part *x = &t->part[i];
        int64_t per = x->rows / t->groups, k = row - x->row;

        if (x->param == param && k >= 0 && k < x->rows && col >= t->col && col < t->col + t->cols) {
            p->at[t->transposed] = k / per * group + before + k % per;
            p->at[!t->transposed] = col - t->col;
            p->rows = per - k % per;
            p->cols = t->col + t->cols - col;
            return true;
        }
        before += per;
    }
    return false;
}

/* ---- names ---- */

/* Behind "{l}" of a pattern that names with a layer begin like: the digits; NULL when it is another name. */
static const char *layer_of(const char *pattern, const char *name)
{
    const char *at = strstr(pattern, "{l}");
    size_t head = at ? (size_t)(at - pattern) : 0;

    return at && strncmp(pattern, name, head) == 0 && name[head] >= '0' && name[head] <= '9' ? name + head : NULL;
}

static bool matches(const char *pattern, const char *name)
{
    const char *digits = layer_of(pattern, name);
    size_t n = strlen(name), tail = strlen(pattern) - 1;

    if (*pattern == '*')
        return n >= tail && strcmp(name + n - tail, pattern + 1) == 0;
    if (digits)
        return strcmp(digits + strspn(digits, "0123456789"), strstr(pattern, "{l}") + 3) == 0;
    return strcmp(pattern, name) == 0;
}

bool scheme_ignores(const struct arch_scheme *s, const char *name)
{
    for (const char *const *p = s->ignored; p && *p; p++)
        if (matches(*p, name) || (s->prefix && strncmp(*p, s->prefix, strlen(s->prefix)) == 0 && matches(*p + strlen(s->prefix), name)))
            return true;
    return false;
}

int64_t scheme_layer(const struct arch_scheme *s, const char *name)
{
    int64_t n = 0;

    for (int i = 0; i < s->n_names; i++) {
        const char *p = layer_of(s->names[i].name, name);

        if (!p || strcmp(p + strspn(p, "0123456789"), strstr(s->names[i].name, "{l}") + 3) != 0)
            continue;
        for (; *p >= '0' && *p <= '9'; p++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
                return -1;
        return n;
    }
    return -1;
}
