#include "train/step.h"

#include <math.h>
#include <string.h>

enum { TOKEN_BYTES = 3 * sizeof(int32_t) + sizeof(uint8_t) + sizeof(int64_t), /* of the batch */
       MICRO_BYTES = 2 * sizeof(float) + sizeof(int64_t) };

double step_memory(const struct model *m, const struct step_options *opt, int threads)
{
    double all = (double)(opt->global_batch / opt->comm->size) * (double)opt->length;
    double micro = (double)opt->micro_batch * (double)opt->length;
    double own = (double)m->size * sizeof(float), common = 3 * own;
    int local = opt->comm->local;
    struct plan p;

    if (micro > INT32_MAX)
        return HUGE_VAL; /* rows are counted in 32 bits */
    plan_make(&p, &m->config, opt->micro_batch * opt->length, opt->micro_batch * opt->length, opt->length, threads, true);
    own += (double)p.total + TOKEN_BYTES * all + MICRO_BYTES * micro;
    return local * own + local / opt->comm->parts * common;
}

void step_init(struct step *s, struct model *m, struct par *par, const struct step_options *opt)
{
    int64_t share = opt->global_batch / opt->comm->size, micro = opt->micro_batch * opt->length;
    int64_t all = share * opt->length;
    size_t bytes = (size_t)all * TOKEN_BYTES + (size_t)(share + 1) * sizeof(int64_t) + (size_t)micro * MICRO_BYTES +
                   16 * ARENA_ALIGN;

    memset(s, 0, sizeof *s);
    s->m = m;
    s->par = par;
    s->opt = *opt;
    model_train(m, opt->comm);
    exec_init(&s->exec, m, par, micro, micro, opt->length, true);
    s->exec.done_ctx = s;
    optim_init(&s->optim, m, opt->comm, &opt->optim);
    arena_reserve(&s->arena, bytes);
    s->ids = arena_alloc(&s->arena, (size_t)all * sizeof *s->ids);
    s->target = arena_alloc(&s->arena, (size_t)all * sizeof *s->target);
    s->pos = arena_alloc(&s->arena, (size_t)all * sizeof *s->pos);
    s->counts = arena_alloc(&s->arena, (size_t)all);
    s->doc = arena_alloc(&s->arena, (size_t)(all + 1) * sizeof *s->doc);
    s->doc_of = arena_alloc(&s->arena, (size_t)(share + 1) * sizeof *s->doc_of);
    s->dscale = arena_alloc(&s->arena, (size_t)micro * sizeof *s->dscale);
    s->loss = arena_alloc(&s->arena, (size_t)micro * sizeof *s->loss);
    s->micro_doc = arena_alloc(&s->arena, (size_t)(micro + 1) * sizeof *s->micro_doc);
}

void step_release(struct step *s)
{
    exec_release(&s->exec);
    optim_release(&s->optim);
    arena_release(&s->arena);
    memset(s, 0, sizeof *s);
}

void step_clear(struct step *s)
{
    s->n = 0;
}

struct data_row step_slot(struct step *s)
{
    int64_t at = s->n * s->opt.length;

    return (struct data_row){
        .ids = s->ids + at,
        .target = s->target + at,
        .pos = s->pos + at,
        .loss = s->counts + at,
        .doc = s->doc + s->doc_of[s->n],
    };
}

void step_take(struct step *s, const struct data_row *row)
{
    int64_t first = s->doc_of[s->n];

    for (int64_t d = 0; d < row->n_docs; d++)
        s->doc[first + d] += s->n * s->opt.length;
    s->doc_of[++s->n] = first + row->n_docs;
}

static uint64_t count(const struct step *s, int64_t first, int64_t n)
{
    uint64_t total = 0;

    for (int64_t i = first * s->opt.length; i < (first + n) * s->opt.length; i++)
        total += s->counts[i];
    return total;
}

/* Give sequences [first, first + n) to the executor; the longest document's length. */
static int64_t load(struct step *s, int64_t first, int64_t n)
{
    struct op_run *run = &s->exec.run;
    int64_t at = first * s->opt.length, docs = s->doc_of[first + n] - s->doc_of[first], longest = 0;

    for (int64_t d = 0; d < docs; d++)
        s->micro_doc[d] = s->doc[s->doc_of[first] + d] - at;
    s->micro_doc[docs] = n * s->opt.length;
    for (int64_t d = 0; d < docs; d++)
        longest = s->micro_doc[d + 1] - s->micro_doc[d] > longest ? s->micro_doc[d + 1] - s->micro_doc[d] : longest;
    run->rows = n * s->opt.length;
    run->ids = s->ids + at;
    run->pos = s->pos + at;
    run->doc = s->micro_doc;
    run->n_docs = docs;
    run->target = s->target + at;
    run->loss = s->loss;
    run->dscale = NULL;
    run->logits = NULL;
    return longest;
}

/* The gradients of the last parameters that are open, those of one layer, are complete: begin to add them up
 * over the ranks, while backward goes on. */
static void close_layer(struct step *s, int layer)
{
    const struct comm *c = s->opt.comm;
    struct model *m = s->m;
    int first = s->open;

    while (first > 0 && m->param[first - 1].layer == layer)
        first--;
    model_grad_end(m, first, s->open);
    if (first < s->open) {
        const struct model_param *last = &m->param[s->open - 1];
        int64_t begin = m->param[first].offset;

        c->table->sum_start(c, m->g + begin, last->offset + last->count - begin);
    }
    s->open = first;
}

static void row_done(void *ctx, int layer, int row)
{
    struct step *s = ctx;

    if (row == 0)
        close_layer(s, layer);
    else
        s->opt.comm->table->sum_progress(s->opt.comm);
}

static struct step_result run(struct step *s, bool backward)
{
    const struct comm *c = s->opt.comm;
    int64_t micros = (s->n + s->opt.micro_batch - 1) / s->opt.micro_batch;
    double all[2] = { (double)count(s, 0, s->n), (double)micros }, loss[2] = { 0, 0 };

    c->table->sum(c, all, 2);
    for (int64_t first = 0; first < s->n; first += s->opt.micro_batch) {
        int64_t n = first + s->opt.micro_batch < s->n ? s->opt.micro_batch : s->n - first;
        int64_t longest = load(s, first, n), at = first * s->opt.length;
        uint64_t tokens = count(s, first, n);
        double share = s->opt.per_token ? all[0] : (double)tokens * all[1], sum = 0;

        for (int64_t i = 0; i < n * s->opt.length; i++)
            s->dscale[i] = s->counts[at + i] ? (float)(1 / share) : 0;
        s->exec.run.dscale = backward ? s->dscale : NULL;
        exec_forward(&s->exec, longest);
        s->exec.done = first + n == s->n ? row_done : NULL;
        if (backward)
            exec_backward(&s->exec);
        for (int64_t i = 0; i < n * s->opt.length; i++)
            sum += s->counts[at + i] ? (double)s->loss[i] : 0;
        loss[0] += tokens ? sum / share : 0;
        loss[1] += sum;
    }
    while (backward && s->open) /* of a rank without sequences; before it waits for the others */
        close_layer(s, s->m->param[s->open - 1].layer);
    c->table->sum(c, loss, 2);
    return (struct step_result){ loss[0], loss[1], (uint64_t)all[0] };
}

struct step_result step_gradients(struct step *s)
{
    struct step_result r;

    model_grad_begin(s->m);
    s->open = s->m->n_params;
    r = run(s, true);
    s->opt.comm->table->sum_finish(s->opt.comm);
    return r;
}

double step_update(struct step *s, int64_t t, double lr)
{
    double norm = optim_norm(&s->optim, s->par);

    optim_step(&s->optim, s->par, t, lr, norm);
    return norm;
}

struct step_result step_score(struct step *s)
{
    return run(s, false);
}

void step_logits(struct step *s, int64_t i, float *logits)
{
    int64_t longest = load(s, i, 1);

    s->exec.run.target = NULL;
    s->exec.run.logits = logits;
    exec_forward(&s->exec, longest);
    s->exec.run.logits = NULL;
}
