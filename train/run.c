#include "train/run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "train/ckpt.h"
#include "train/dump.h"
#include "train/lr.h"
#include "train/metrics.h"
#include "train/step.h"

/* Columns of metrics.tsv behind "step". */
enum { TOKENS, LOSS, VALID_LOSS, RATE, GRAD_NORM, TOKENS_PER_S, MFU, RSS_MB, SAMPLES, COLUMNS };
static const char *const columns[] = { "tokens", "loss", "valid_loss", "lr",      "grad_norm",
                                       "tokens_per_s", "mfu", "rss_mb", "samples", NULL };

struct run {
    const struct run_options *o;
    struct model m;
    struct par *par;
    struct step step;
    struct data *train, *valid;
    struct lr lr;
    struct metrics *metrics; /* NULL without out= */
    struct dump dump;
    struct ckpt_state state;
    int64_t saved;           /* step of the last checkpoint */
    double flops;            /* of one trained token, as a share of what the threads do in a second at most */
};

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

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_checkpoint(const char *path)
{
    char manifest[4096];
    struct stat st;

    return snprintf(manifest, sizeof manifest, "%s/MANIFEST", path) < (int)sizeof manifest && stat(manifest, &st) == 0;
}

/* The checkpoint to go on from (caller frees), or NULL: a fresh start. */
static int find_checkpoint(const struct run_options *o, char **path, struct err *err)
{
    bool given = o->resume && strcmp(o->resume, "auto") != 0;
    const char *dir = given ? o->resume : o->out;
    int rc;

    *path = NULL;
    if (given && is_checkpoint(dir)) {
        *path = xstrdup(dir);
        return 0;
    }
    if (!dir || (!given && !is_directory(dir)))
        return 0;
    rc = ckpt_find(dir, path, o->warn, err);
    if (rc == 0 && given)
        return err_set(err, "%s: holds no checkpoint", dir);
    if (rc == 1 && !o->resume) {
        err_set(err, "%s: a checkpoint is there already: resume=auto goes on from it", *path);
        free(*path);
        *path = NULL;
        return -1;
    }
    return rc < 0 ? -1 : 0;
}

/* The model: a checkpoint's, a directory's, or fresh from a config. */
static int open_model(struct run *r, const char *checkpoint, struct err *err)
{
    const struct run_options *o = r->o;
    struct config c;

    if (!checkpoint && is_directory(o->model))
        return model_open(&r->m, o->model, err);
    if (config_open(&c, checkpoint ? checkpoint : o->model, err) < 0 || model_init(&r->m, &c, err) < 0)
        return -1;
    if (!checkpoint)
        model_randomize(&r->m, (uint64_t)o->seed);
    return 0;
}

static struct data *open_train(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;

    return data_open(&(struct data_options){
        .path = o->data,
        .order = o->data_order,
        .length = o->seq_length,
        .split = o->split,
        .which = SAMPLER_TRAIN,
        .samples = (uint64_t)o->train_iters * (uint64_t)o->global_batch_size,
        .seed = (uint64_t)o->seed,
        .vocab = r->m.config.vocab,
    }, err);
}

/* What valid= names, or the validation split of data=, where it has one; the same sequences each time. */
static int open_valid(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    struct data_options d = {
        .path = o->valid ? o->valid : o->data,
        .order = DATA_BY_KIND,
        .length = data_length(r->train),
        .split = o->valid ? "1,0,0" : o->split,
        .which = o->valid ? SAMPLER_TRAIN : SAMPLER_VALID,
        .samples = o->full_validation ? 0 : (uint64_t)o->eval_iters * (uint64_t)o->global_batch_size,
        .once = true,
        .seed = (uint64_t)o->seed,
        .vocab = r->m.config.vocab,
    };
    char line[sizeof err->msg + 64];

    if ((!o->eval_iters && !o->full_validation) || (!o->valid && !data_has_splits(r->train)))
        return 0;
    r->valid = data_open(&d, err);
    if (r->valid || o->valid)
        return r->valid ? 0 : -1;
    snprintf(line, sizeof line, "no validation: %s", err->msg);
    o->warn(line);
    return 0;
}

static int check_length(const struct run *r, int64_t length, struct err *err)
{
    const struct config *c = &r->m.config;

    if (arch_has(c, P_POS_EMBED) && length > c->max_pos)
        return err_set(err, "%s: sequences of %lld tokens, the model has %lld positions", r->o->data, (long long)length,
                       (long long)c->max_pos);
    return 0;
}

/* Weights, moments and counts of a checkpoint. */
static int load_checkpoint(struct run *r, const char *path, struct err *err)
{
    struct ckpt c = { .m = &r->m, .exp_avg = r->step.optim.exp_avg, .exp_avg_sq = r->step.optim.exp_avg_sq };

    if (ckpt_load(path, &c, err) < 0)
        return -1;
    if (c.state.seed != (uint64_t)r->o->seed)
        return err_set(err, "%s: was begun with seed=%llu, not %lld", path, (unsigned long long)c.state.seed,
                       (long long)r->o->seed);
    r->state = c.state;
    r->saved = c.state.step;
    return 0;
}

static void set_rates(struct run *r)
{
    const struct run_options *o = r->o;
    double batch = (double)o->global_batch_size;

    r->flops = 3 * plan_flops(&r->m.config, (double)r->step.opt.length) / (kernel_peak() * (double)o->threads);
    r->lr = (struct lr){ .style = o->lr_decay_style, .wsd_style = o->lr_wsd_decay_style, .max = o->lr, .min = o->min_lr,
                         .warmup = (double)o->lr_warmup_iters * batch, .decay = (double)o->lr_decay_iters * batch,
                         .wsd_decay = (double)o->lr_wsd_decay_iters * batch };
}

static int open_all(struct run *r, const char *checkpoint, struct err *err)
{
    const struct run_options *o = r->o;
    struct step_options opt = {
        .micro_batch = o->micro_batch_size,
        .global_batch = o->global_batch_size,
        .per_token = o->calculate_per_token_loss,
        .optim = { o->adam_beta1, o->adam_beta2, o->adam_eps, o->weight_decay, o->clip_grad },
    };

    if (open_model(r, checkpoint, err) < 0 || !(r->train = open_train(r, err)))
        return -1;
    opt.length = data_length(r->train);
    if (check_length(r, opt.length, err) < 0 || open_valid(r, err) < 0)
        return -1;
    r->par = par_new((int)o->threads);
    step_init(&r->step, &r->m, r->par, &opt);
    r->state.seed = (uint64_t)o->seed;
    if (checkpoint && load_checkpoint(r, checkpoint, err) < 0)
        return -1;
    if (o->out && mkdir(o->out, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: mkdir:", o->out);
    if (o->out && !(r->metrics = metrics_open(o->out, columns, r->state.step, err)))
        return -1;
    set_rates(r);
    return o->dump ? dump_open(&r->dump, o->dump, &r->step, err) : 0;
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
        .tokenizer = o->tokenizer ? o->tokenizer : is_directory(o->model) ? o->model : NULL,
        .conf = o->conf,
    };

    if (!o->out || r->saved == r->state.step)
        return 0;
    r->saved = r->state.step;
    return ckpt_save(o->out, &c, (int)o->keep, err);
}

static void print_line(const struct run *r, const double *v)
{
    const struct run_options *o = r->o;
    double left = (double)(o->train_iters - r->state.step) * (double)o->global_batch_size *
                  (double)r->step.opt.length / v[TOKENS_PER_S];
    char line[256], valid[64] = "";

    if (!isnan(v[VALID_LOSS]))
        snprintf(valid, sizeof valid, " valid_loss %.4f", v[VALID_LOSS]);
    snprintf(line, sizeof line, "step %lld/%lld loss %.4f%s lr %.3g grad_norm %.3f %.0f tok/s mfu %.1f%% left %lld:%02d",
             (long long)r->state.step, (long long)o->train_iters, v[LOSS], valid, v[RATE], v[GRAD_NORM], v[TOKENS_PER_S],
             100 * v[MFU], (long long)(left / 60), (int)fmod(left, 60));
    o->line(line);
}

static void print_plan(const struct run *r)
{
    const struct model *m = &r->m;
    double weights = 4e-6 * (double)m->size, step = 1e-6 * (double)r->step.exec.arena.total;
    char line[256];

    snprintf(line, sizeof line, "%lld parameters; MB: weights %.1f, gradients %.1f, moments %.1f, step %.1f",
             (long long)m->count, weights, weights, 2 * weights, step);
    r->o->line(line);
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
    if (r->o->line)
        print_line(r, v);
    return 1;
}

static int loop(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    int rc = 1;

    if (o->line)
        print_plan(r);
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
    char *checkpoint;
    int rc;

    if (find_checkpoint(o, &checkpoint, err) < 0)
        return -1;
    rc = open_all(&r, checkpoint, err);
    if (rc == 0)
        rc = loop(&r, err);
    if (r.metrics && metrics_close(r.metrics, rc == 0 ? err : &(struct err){ "" }) < 0)
        rc = -1;
    dump_close(&r.dump);
    step_release(&r.step);
    data_close(r.train);
    data_close(r.valid);
    if (r.par)
        par_free(r.par);
    model_close(&r.m);
    free(checkpoint);
    return rc;
}
