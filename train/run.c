#include "train/run_in.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

enum { TOKENS, LOSS, RATE, GRAD_NORM, TOKENS_PER_S, MFU, RSS_MB, VALID_LOSS, SAMPLES, COLUMNS };
const char *const run_columns[] = { "tokens", "loss",   "lr",         "grad_norm", "tokens_per_s",
                                    "mfu",    "rss_mb", "valid_loss", "samples",   NULL };

void run_say(const struct run *r, const char *fmt, ...)
{
    char line[4400];
    va_list ap;

    if (!r->o->line || r->comm->rank)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    r->o->line(line);
}

void run_doubt(const struct run *r, const char *fmt, ...)
{
    char line[4400] = "warning: ";
    size_t n = strlen(line);
    va_list ap;

    if (!r->o->line || r->comm->rank)
        return;
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof line - n, fmt, ap);
    va_end(ap);
    r->o->warn(line);
}

const struct comm *run_join(long *root)
{
    const struct comm *c = comm_join();

    *root = c->root;
    return c;
}

int64_t run_threads(const struct run_options *o, int64_t machine)
{
    int64_t local = o->comm ? o->comm->local : 1;

    return machine > local ? machine / local : 1;
}

/* A step is whole micro-batches, as many on each rank. */
static int resolve_batch(struct run_options *o, struct err *err)
{
    int64_t ranks = o->comm ? o->comm->size : 1, least;

    if (__builtin_mul_overflow(o->micro_batch_size, ranks, &least))
        return err_set(err, "micro_batch_size %lld is too large", (long long)o->micro_batch_size);
    if (!o->global_batch_size)
        o->global_batch_size = least;
    if (o->global_batch_size % o->micro_batch_size)
        return err_set(err, "global_batch_size %lld is no multiple of micro_batch_size %lld",
                       (long long)o->global_batch_size, (long long)o->micro_batch_size);
    if (o->global_batch_size % least)
        return err_set(err, "global_batch_size %lld is no multiple of %lld: micro_batch_size %lld on each of %lld ranks",
                       (long long)o->global_batch_size, (long long)least, (long long)o->micro_batch_size,
                       (long long)ranks);
    return 0;
}

int run_resolve(struct run_options *o, struct err *err)
{
    static const char *const needed = "is needed";

    if (!o->model || !o->data)
        return err_set(err, "%s= %s", o->model ? "data" : "model", needed);
    if (!o->train_iters)
        return err_set(err, "train_iters= %s", needed);
    if (!(o->lr > 0))
        return err_set(err, "lr= %s, and above 0", needed);
    if (resolve_batch(o, err) < 0)
        return -1;
    if (!o->lr_decay_iters)
        o->lr_decay_iters = o->train_iters;
    if (o->lr_warmup_iters && o->lr_warmup_iters >= o->lr_decay_iters)
        return err_set(err, "lr_warmup_iters %lld is not below lr_decay_iters %lld", (long long)o->lr_warmup_iters,
                       (long long)o->lr_decay_iters);
    if (o->lr_decay_style == LR_WSD && (o->lr_wsd_decay_iters < 1 || o->lr_wsd_decay_iters > o->lr_decay_iters))
        return err_set(err, "lr_wsd_decay_iters %lld is not within 1..%lld, the lr_decay_iters",
                       (long long)o->lr_wsd_decay_iters, (long long)o->lr_decay_iters);
    if (o->min_lr < 0 || o->min_lr > o->lr)
        return err_set(err, "min_lr %g is not within 0..%g, the lr", o->min_lr, o->lr);
    if (!(o->adam_beta1 >= 0 && o->adam_beta1 < 1) || !(o->adam_beta2 >= 0 && o->adam_beta2 < 1))
        return err_set(err, "adam_beta1 %g, adam_beta2 %g: not within 0..1", o->adam_beta1, o->adam_beta2);
    if (!(o->adam_eps > 0) || o->weight_decay < 0 || o->clip_grad < 0)
        return err_set(err, "adam_eps %g, weight_decay %g, clip_grad %g: one is below its bound", o->adam_eps,
                       o->weight_decay, o->clip_grad);
    if (o->resume && !o->out && strcmp(o->resume, "auto") == 0)
        return err_set(err, "resume=auto looks into out=, which is not given");
    if (o->save_interval && !o->out)
        return err_set(err, "save_interval= saves into out=, which is not given");
    return 0;
}

/* Mean loss of the tokens of the validation set; -1, as comm_agree(). */
static int validate(struct run *r, double *loss, struct err *err)
{
    double sum = 0, tokens = 0;
    uint64_t at = 0;
    int64_t n = 1;

    for (int64_t i = 0; n && (r->o->full_validation || i < r->eval_iters); i++) {
        struct step_result s;

        n = feed_batch(&r->valid, &r->step, at, err);
        if (n < 0)
            return -1;
        s = n ? step_score(&r->step) : (struct step_result){ 0 };
        sum += s.sum;
        tokens += (double)s.tokens;
        at += (uint64_t)n;
    }
    if (tokens == 0)
        return comm_agree(r->comm, err_set(err, "%s: no token to validate on", r->o->valid ? r->o->valid : r->o->data));
    *loss = sum / tokens;
    return 0;
}

static int save(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    struct ckpt c = {
        .m = &r->m,
        .exp_avg = r->step.optim.exp_avg,
        .exp_avg_sq = r->step.optim.exp_avg_sq,
        .state = r->state,
        .tokenizer = r->tokenizer,
        .conf = o->conf,
    };

    if (!o->out || r->comm->rank || r->saved == r->state.step)
        return 0;
    if (ckpt_save(o->out, &c, (int)o->keep, err) < 0)
        return -1;
    r->saved = r->state.step;
    run_say(r, "saved %s/step_%lld", o->out, (long long)r->state.step);
    return 0;
}

static void print_line(const struct run *r, const double *v)
{
    const struct run_options *o = r->o;
    double left = (double)(o->train_iters - r->state.step) * (double)o->global_batch_size *
                  (double)r->step.opt.length / v[TOKENS_PER_S];
    char valid[64] = "";

    if (!isnan(v[VALID_LOSS]))
        snprintf(valid, sizeof valid, " valid_loss %.4f", v[VALID_LOSS]);
    run_say(r, "step %lld/%lld loss %.4f%s lr %.3g grad_norm %.3f %.0f tok/s mfu %.1f%% left %lld:%02d",
        (long long)r->state.step, (long long)o->train_iters, v[LOSS], valid, v[RATE], v[GRAD_NORM], v[TOKENS_PER_S],
        100 * v[MFU], (long long)(left / 60), (int)fmod(left, 60));
}

static void print_start(const struct run *r)
{
    const struct model *m = &r->m;
    double weights = 4e-6 * (double)m->size, step = 1e-6 * (double)r->step.exec.arena.total;

    run_say(r, "%lld parameters; MB: weights %.1f, gradients %.1f, moments %.1f, step %.1f", (long long)m->count, weights,
        weights, 2 * weights, step);
    if (r->checkpoint)
        run_say(r, "going on from %s", r->checkpoint);
    if (r->state.step >= r->o->train_iters)
        run_say(r, "step %lld of %lld is done: there is nothing to do", (long long)r->state.step, (long long)r->o->train_iters);
}

/* What is to be said of a step once it is done. */
static int check_step(struct run *r, const struct step_result *s, int64_t n, double norm, struct err *err)
{
    if (!s->tokens)
        return err_set(err, "step %lld: no token of its %lld sequences counts in the loss", (long long)r->state.step + 1,
                       (long long)n);
    if (!isfinite(s->loss) || !isfinite(norm))
        return err_set(err, "step %lld: loss %g, gradient norm %g: nothing is saved from here on",
                       (long long)r->state.step + 1, s->loss, norm);
    r->state.step++;
    r->state.samples += (uint64_t)n;
    r->state.tokens += s->tokens;
    return r->o->dump && r->comm->rank == 0 ? dump_write(&r->dump, &r->step, s->loss, norm, err) : 0;
}

static int put_step(struct run *r, double *v, struct err *err)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    v[RSS_MB] = (double)u.ru_maxrss / 1024;
    if (r->metrics && metrics_put(r->metrics, r->state.step, v, (double)time(NULL), err) < 0)
        return -1;
    print_line(r, v);
    return 0;
}

/* 1: a step was done; 0: the data are at their end; -1, as comm_agree(). */
static int run_step(struct run *r, struct err *err)
{
    double start = io_now(), v[COLUMNS], seconds, norm, rate = lr_at(&r->lr, (double)r->state.samples);
    int64_t n = feed_batch(&r->train, &r->step, r->state.samples, err);
    struct step_result s;

    if (n <= 0)
        return (int)n;
    if (r->o->dump)
        dump_forward(&r->dump, &r->step, r->state.step + 1, n);
    s = step_gradients(&r->step);
    norm = step_update(&r->step, r->state.step + 1, rate);
    if (comm_agree(r->comm, check_step(r, &s, n, norm, err)) < 0)
        return -1;
    seconds = io_now() - start;
    v[TOKENS] = (double)r->state.tokens;
    v[LOSS] = s.loss;
    v[VALID_LOSS] = (double)NAN;
    v[RATE] = rate;
    v[GRAD_NORM] = norm;
    v[TOKENS_PER_S] = (double)(n * r->step.opt.length) / seconds;
    v[MFU] = v[TOKENS_PER_S] * r->flops;
    v[SAMPLES] = (double)r->state.samples;
    if (r->valid.comm && (r->state.step % r->eval_interval == 0 || r->state.step == r->o->train_iters) &&
        validate(r, &v[VALID_LOSS], err) < 0)
        return -1;
    return comm_agree(r->comm, put_step(r, v, err)) < 0 ? -1 : 1;
}

/* Has any rank been told to stop?  Then all are, by the signal of the lowest that was. */
static bool is_stopped(const struct run *r)
{
    double *got = xcalloc((size_t)r->comm->size, sizeof *got);

    got[r->comm->rank] = *r->o->stop;
    r->comm->table->sum(r->comm, got, r->comm->size);
    for (int i = r->comm->size - 1; i >= 0; i--)
        if (got[i] != 0)
            *r->o->stop = (sig_atomic_t)got[i];
    free(got);
    return *r->o->stop != 0;
}

static int loop(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    int rc = 1;

    print_start(r);
    while (rc == 1 && r->state.step < o->train_iters && !is_stopped(r)) {
        rc = run_step(r, err);
        if (rc == 1 && o->save_interval && r->state.step % o->save_interval == 0 &&
            comm_agree(r->comm, save(r, err)) < 0)
            rc = -1;
    }
    if (rc == 0)
        is_stopped(r);
    return rc < 0 ? -1 : comm_agree(r->comm, save(r, err));
}

int run_train(const struct run_options *o, struct err *err)
{
    struct run r = { .o = o, .comm = o->comm ? o->comm : &comm_self, .saved = -1 };
    int rc, closed = 0;

    r.comm->table->go(r.comm);
    rc = run_open(&r, err);
    if (rc == 0)
        rc = loop(&r, err);
    if (r.metrics)
        closed = metrics_close(r.metrics, rc == 0 ? err : &(struct err){ "" });
    if (rc == 0)
        rc = comm_agree(r.comm, closed);
    run_close(&r);
    return rc;
}
