#include "train/run_in.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "libcommon/base/io.h"

enum { TOKENS, LOSS, RATE, GRAD_NORM, TOKENS_PER_S, MFU, RSS_MB, VALID_LOSS, SAMPLES, COLUMNS };
const char *const run_columns[] = { "tokens", "loss",   "lr",         "grad_norm", "tokens_per_s",
                                    "mfu",    "rss_mb", "valid_loss", "samples",   NULL };

void run_say(const struct run *r, const char *fmt, ...)
{
    char line[4400];
    va_list ap;

    if (!r->o->line)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    r->o->line(line);
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
    if (!o->global_batch_size)
        o->global_batch_size = o->micro_batch_size;
    if (o->global_batch_size % o->micro_batch_size)
        return err_set(err, "global_batch_size %lld is no multiple of micro_batch_size %lld",
                       (long long)o->global_batch_size, (long long)o->micro_batch_size);
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

/* Up to a global batch from sequence `first` on: how many there were, or -1. */
static int64_t load_batch(struct run *r, struct data *d, uint64_t first, struct err *err)
{
    int rc = 1;

    step_clear(&r->step);
    while (rc == 1 && r->step.n < r->step.opt.global_batch) {
        struct data_row row = step_slot(&r->step);

        rc = data_get(d, first + (uint64_t)r->step.n, &row, err);
        if (rc == 1)
            step_take(&r->step, &row);
    }
    return rc < 0 ? -1 : r->step.n;
}

/* Mean loss of the tokens of the validation set. */
static int validate(struct run *r, double *loss, struct err *err)
{
    double sum = 0, tokens = 0;
    uint64_t at = 0;
    int64_t n = 1;

    for (int64_t i = 0; n && (r->o->full_validation || i < r->o->eval_iters); i++) {
        struct step_result s;

        n = load_batch(r, r->valid, at, err);
        if (n < 0)
            return -1;
        s = n ? step_score(&r->step) : (struct step_result){ 0 };
        sum += s.sum;
        tokens += (double)s.tokens;
        at += (uint64_t)n;
    }
    if (tokens == 0)
        return err_set(err, "%s: no token to validate on", r->o->valid ? r->o->valid : r->o->data);
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

    if (!o->out || r->saved == r->state.step)
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

/* 1: a step was done; 0: the data are at their end. */
static int run_step(struct run *r, struct err *err)
{
    double start = io_now(), v[COLUMNS], seconds, norm, rate = lr_at(&r->lr, (double)r->state.samples);
    int64_t n = load_batch(r, r->train, r->state.samples, err);
    struct step_result s;
    struct rusage u;

    if (n <= 0)
        return (int)n;
    if (r->o->dump)
        dump_forward(&r->dump, &r->step, r->state.step + 1);
    s = step_gradients(&r->step);
    if (!s.tokens)
        return err_set(err, "step %lld: no token of its %lld sequences counts in the loss", (long long)r->state.step + 1,
                       (long long)n);
    norm = step_update(&r->step, r->state.step + 1, rate);
    if (!isfinite(s.loss) || !isfinite(norm))
        return err_set(err, "step %lld: loss %g, gradient norm %g: nothing is saved from here on",
                       (long long)r->state.step + 1, s.loss, norm);
    r->state.step++;
    r->state.samples += (uint64_t)n;
    r->state.tokens += s.tokens;
    if (r->o->dump && dump_write(&r->dump, &r->step, s.loss, norm, err) < 0)
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
    if (r->valid && (r->state.step % r->o->eval_interval == 0 || r->state.step == r->o->train_iters) &&
        validate(r, &v[VALID_LOSS], err) < 0)
        return -1;
    getrusage(RUSAGE_SELF, &u);
    v[RSS_MB] = (double)u.ru_maxrss / 1024;
    if (r->metrics && metrics_put(r->metrics, r->state.step, v, (double)time(NULL), err) < 0)
        return -1;
    print_line(r, v);
    return 1;
}

static int loop(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    int rc = 1;

    print_start(r);
    while (rc == 1 && r->state.step < o->train_iters && !*o->stop) {
        rc = run_step(r, err);
        if (rc == 1 && o->save_interval && r->state.step % o->save_interval == 0 && save(r, err) < 0)
            rc = -1;
    }
    return rc < 0 ? -1 : save(r, err);
}

int run_train(const struct run_options *o, struct err *err)
{
    struct run r = { .o = o, .saved = -1 };
    int rc = run_open(&r, err);

    if (rc == 0)
        rc = loop(&r, err);
    if (r.metrics && metrics_close(r.metrics, rc == 0 ? err : &(struct err){ "" }) < 0)
        rc = -1;
    run_close(&r);
    return rc;
}
