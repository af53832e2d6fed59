/* run_open.c - a run's checkpoint, tokenizer, model and data. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/data/tokenize.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "train/open.h"
#include "train/run_in.h"

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
        return ckpt_verify(dir, err);
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

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = xstrdup(slash ? path : ".");

    if (slash)
        dir[slash == path ? 1 : slash - path] = 0;
    return dir;
}

/* What tokenizer= names, or the directory of the model or of its config, where a tokenizer is. */
static int find_tokenizer(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    const char *named = o->tokenizer;
    char *file;

    r->tokenizer = named ? xstrdup(named) : is_directory(o->model) ? xstrdup(o->model) : directory_of(o->model);
    file = tokenizer_file(r->tokenizer, err);
    free(file);
    if (named)
        return file && tokenizer_each_file(named, NULL, NULL, err) == 0 ? 0 : err_prefix(err, "tokenizer");
    if (file)
        return 0;
    free(r->tokenizer);
    r->tokenizer = NULL;
    if (o->out)
        run_doubt(r, "no tokenizer= and none beside the model: checkpoints will have none");
    return 0;
}

static bool has_fingerprint(const struct stream_header *h)
{
    static const uint8_t unknown[sizeof h->fingerprint];

    return h && memcmp(h->fingerprint, unknown, sizeof unknown) != 0;
}

/* Tokens of different tokenizers do not go together. */
static int check_fingerprints(const struct run *r, struct err *err)
{
    const struct stream_header *train = data_stream(r->train.data);
    const struct stream_header *valid = r->valid.data ? data_stream(r->valid.data) : NULL;
    struct tokenizer *t;
    int rc;

    if (has_fingerprint(train) && has_fingerprint(valid)) {
        if (memcmp(train->fingerprint, valid->fingerprint, sizeof train->fingerprint) != 0)
            return err_set(err, "%s and %s: tokens of different tokenizers, by their fingerprints", r->o->data, r->o->valid);
        if (train->vocab_size && valid->vocab_size && train->vocab_size != valid->vocab_size)
            return err_set(err, "%s and %s: tokens of different tokenizers, of %u and %u tokens", r->o->data, r->o->valid,
                           train->vocab_size, valid->vocab_size);
    }
    if (!has_fingerprint(train) || !r->tokenizer)
        return 0;
    t = tokenizer_open(r->tokenizer, err);
    if (!t) {
        err_prefix(err, "whether the tokens are this tokenizer's cannot be told");
        r->o->warn(err->msg);
        return 0;
    }
    rc = tokenize_check(train, r->o->data, tokenizer_info(t), r->tokenizer, err);
    tokenizer_free(t);
    return rc;
}

/* The model: a checkpoint's, a directory's, or fresh from a config. */
static int start_model(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    const char *checkpoint = r->checkpoint;
    struct config c;

    if (!checkpoint && is_directory(o->model))
        return open_model(&r->m, o->model, err);
    if (config_open(&c, checkpoint ? checkpoint : o->model, err) < 0 || model_init(&r->m, &c, err) < 0)
        return -1;
    if (!checkpoint)
        model_randomize(&r->m, (uint64_t)o->seed);
    return 0;
}

static const char *split_of(const struct run_options *o)
{
    return o->split ? o->split : "969,30,1";
}

static int open_train(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    int rc = feed_open(&r->train, r->comm, &(struct data_options){
        .path = o->data,
        .order = o->data_order,
        .length = o->seq_length,
        .split = split_of(o),
        .which = SAMPLER_TRAIN,
        .samples = (uint64_t)o->train_iters * (uint64_t)o->global_batch_size,
        .seed = (uint64_t)o->seed,
        .vocab = r->m.config.vocab,
    }, err);

    if (rc == 0 && o->split && r->train.data && !data_has_splits(r->train.data))
        return err_set(err, "%s: split=%s is for a .bin/.idx: rows are all trained on", io_name(o->data), o->split);
    return rc;
}

/* Is there something to validate on? */
static bool has_valid(const struct run *r)
{
    const struct run_options *o = r->o;
    struct err ignored;
    uint64_t none;

    return o->valid || (r->train.data && data_has_splits(r->train.data) &&
                        sampler_range(split_of(o), SAMPLER_VALID, 1, &none, &none, &ignored) == 1);
}

/* What valid= names, or the validation split of data=, where it has one; the same sequences each time. */
static int open_valid(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    struct data_options d = {
        .path = o->valid ? o->valid : o->data,
        .order = DATA_BY_KIND,
        .length = r->train.length,
        .split = o->valid ? "1,0,0" : split_of(o),
        .which = o->valid ? SAMPLER_TRAIN : SAMPLER_VALID,
        .samples = o->full_validation ? 0 : (uint64_t)r->eval_iters * (uint64_t)o->global_batch_size,
        .once = true,
        .seed = (uint64_t)o->seed,
        .vocab = r->m.config.vocab,
    };

    if (!r->eval_iters && !o->full_validation)
        return 0;
    if (o->eval_iters > 0 && o->full_validation)
        run_doubt(r, "eval_iters= has no effect: full_validation=1");
    if (!has_valid(r)) {
        if (o->eval_iters > 0 || o->eval_interval || o->full_validation)
            run_doubt(r, "no validation: there is no valid=, nor a share for it of a .bin/.idx");
        return 0;
    }
    if (feed_open(&r->valid, r->comm, &d, err) == 0)
        return 0;
    if (o->valid)
        return -1;
    run_doubt(r, "no validation: %s", err->msg);
    return 0;
}

static int check_length(const struct run *r, int64_t length, struct err *err)
{
    const struct config *c = &r->m.config;

    if (length > c->max_pos && !arch_has(c, P_POS_EMBED)) {
        run_doubt(r, "%s: sequences of %lld tokens are longer than the model's max_position_embeddings, %lld", r->o->data,
                  (long long)length, (long long)c->max_pos);
    } else if (length > c->max_pos) {
        return err_set(err, "%s: sequences of %lld tokens, the model has %lld positions", r->o->data, (long long)length,
                       (long long)c->max_pos);
    }
    return 0;
}

static int read_checkpoint(const struct run *r, const char *path, struct ckpt *c, struct err *err)
{
    if (ckpt_load(path, c, err) < 0)
        return -1;
    if (c->state.seed != (uint64_t)r->o->seed)
        return err_set(err, "%s: was begun with seed=%llu, not %lld", path, (unsigned long long)c->state.seed,
                       (long long)r->o->seed);
    return 0;
}

/* Weights, moments and counts of a checkpoint: rank 0 reads. */
static int load_checkpoint(struct run *r, const char *path, struct err *err)
{
    struct ckpt c = { .m = &r->m, .exp_avg = r->step.optim.exp_avg, .exp_avg_sq = r->step.optim.exp_avg_sq };
    size_t size = (size_t)r->m.size * sizeof(float);
    float *const all[] = { r->m.w, c.exp_avg, c.exp_avg_sq };
    const struct comm *j = r->comm;

    if (comm_agree(j, j->rank ? 0 : read_checkpoint(r, path, &c, err)) < 0)
        return -1;
    for (size_t i = 0; i < sizeof all / sizeof *all && j->parts == 1; i++)
        j->table->broadcast(j, all[i], size);
    j->table->broadcast(j, &c.state, sizeof c.state);
    r->state = c.state;
    r->saved = c.state.step;
    return 0;
}

static void set_rates(struct run *r)
{
    const struct run_options *o = r->o;
    double batch = (double)o->global_batch_size;

    r->flops = 3 * plan_flops(&r->m.config, (double)r->step.opt.length) / (kernel_peak() * (double)(o->threads * r->comm->size));
    r->lr = (struct lr){ .style = o->lr_decay_style, .wsd_style = o->lr_wsd_decay_style, .max = o->lr, .min = o->min_lr,
                         .warmup = (double)o->lr_warmup_iters * batch, .decay = (double)o->lr_decay_iters * batch,
                         .wsd_decay = (double)o->lr_wsd_decay_iters * batch };
}

static int open_out(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;

    if (!o->out || r->comm->rank) {
        if (!o->dump)
            run_doubt(r, "no out=: nothing of this run is kept");
        return 0;
    }
    if (mkdir(o->out, 0777) < 0 && errno != EEXIST)
        return err_set(err, "%s: mkdir:", o->out);
    r->metrics = metrics_open(o->out, run_columns, r->state.step, err);
    return r->metrics ? 0 : -1;
}

static int check_memory(const struct run *r, const struct step_options *opt, struct err *err)
{
    double need = step_memory(&r->m, opt, (int)r->o->threads);
    double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);

    if (need > have)
        return err_set(err, "the run needs %.1f GB of memory, this machine has %.1f: sequences of %lld tokens, "
                       "micro_batch_size=%lld, global_batch_size=%lld, %lld parameters", need / 1e9, have / 1e9,
                       (long long)opt->length, (long long)opt->micro_batch, (long long)opt->global_batch,
                       (long long)r->m.count);
    return 0;
}

/* What the ranks go on from is rank 0's choice. */
static int open_start(struct run *r, struct err *err)
{
    char path[4096] = "";
    int rc = 0;

    if (r->comm->rank == 0)
        rc = find_checkpoint(r->o, &r->checkpoint, err) < 0 ? -1 : find_tokenizer(r, err);
    if (r->checkpoint && snprintf(path, sizeof path, "%s", r->checkpoint) >= (int)sizeof path)
        rc = err_set(err, "%.64s...: too long a name", r->checkpoint);
    if (comm_agree(r->comm, rc) < 0)
        return -1;
    r->comm->table->broadcast(r->comm, path, sizeof path);
    if (r->comm->rank && path[0])
        r->checkpoint = xstrdup(path);
    return comm_agree(r->comm, start_model(r, err));
}

static int open_data(struct run *r, struct err *err)
{
    int rc;

    if (comm_agree(r->comm, open_train(r, err)) < 0)
        return -1;
    rc = open_valid(r, err);
    if (rc == 0)
        rc = check_length(r, r->train.length, err);
    if (rc == 0 && r->comm->rank == 0)
        rc = check_fingerprints(r, err);
    return comm_agree(r->comm, rc);
}

int run_open(struct run *r, struct err *err)
{
    const struct run_options *o = r->o;
    struct step_options opt = {
        .comm = r->comm,
        .micro_batch = o->micro_batch_size,
        .global_batch = o->global_batch_size,
        .per_token = o->calculate_per_token_loss,
        .optim = { o->adam_beta1, o->adam_beta2, o->adam_eps, o->weight_decay, o->clip_grad },
    };
    int rc;

    r->eval_iters = o->eval_iters < 0 ? 100 : o->eval_iters;
    r->eval_interval = o->eval_interval ? o->eval_interval : 1000;
    if (open_start(r, err) < 0 || open_data(r, err) < 0)
        return -1;
    opt.length = r->train.length;
    if (comm_agree(r->comm, check_memory(r, &opt, err)) < 0)
        return -1;
    r->par = par_new((int)o->threads);
    step_init(&r->step, &r->m, r->par, &opt);
    r->state.seed = (uint64_t)o->seed;
    if (r->checkpoint && load_checkpoint(r, r->checkpoint, err) < 0)
        return -1;
    rc = open_out(r, err);
    if (rc == 0 && o->dump)
        rc = dump_open(&r->dump, o->dump, &r->step, err);
    if (comm_agree(r->comm, rc) < 0)
        return -1;
    set_rates(r);
    return 0;
}

void run_close(struct run *r)
{
    dump_close(&r->dump);
    step_release(&r->step);
    feed_close(&r->train);
    feed_close(&r->valid);
    par_free(r->par);
    model_close(&r->m);
    free(r->checkpoint);
    free(r->tokenizer);
}
