/* lmtrain - train a model: an HF directory or a config.json in, checkpoints that are HF directories out.
 *
 * A run is a file of keys (lmrun.conf(5)) and keys on the command line; train/run.c does the work.  See
 * lmtrain(1) and lmcheckpoint(5).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "train/data.h"
#include "train/lr.h"
#include "train/run.h"

static volatile sig_atomic_t stop; /* the signal that asked for it */
static int dtype;

static struct run_options o = {
    .micro_batch_size = 1,
    .eval_iters = -1,
    .seed = 1234,
    .weight_decay = 0.01,
    .adam_beta1 = 0.9,
    .adam_beta2 = 0.999,
    .adam_eps = 1e-8,
    .clip_grad = 1,
    .data_order = DATA_BY_KIND,
    .calculate_per_token_loss = true,
    .stop = &stop,
};

#define MOST ((int64_t)1 << 31)

/* clang-format off */
static const struct opt opts[] = {
    { 0, "model", OPT_STR, &o.model, "DIR|FILE", "model directory to start from, or a config.json for fresh weights", 0, 0 },
    { 0, "tokenizer", OPT_STR, &o.tokenizer, "DIR|FILE", "whose tokenizer's files go into checkpoints; default model=", 0, 0 },
    { 0, "data", OPT_STR, &o.data, "PREFIX|FILE|-", "PREFIX.bin and .idx, a token stream of rows, or rows from a pipe", 0, 0 },
    { 0, "valid", OPT_STR, &o.valid, "PREFIX|FILE", "validation data; default the validation split of data=", 0, 0 },
    { 0, "split", OPT_STR, &o.split, "A,B,C", "shares of PREFIX for training, validation, test", 0, 0 },
    { 0, "data_order", OPT_CHOICE, &o.data_order, "megatron|shuffle|sequential", "default by the kind of data=: in this order", 0, 0 },
    { 0, "out", OPT_STR, &o.out, "DIR", "where checkpoints and metrics go", 0, 0 },
    { 0, "resume", OPT_STR, &o.resume, "auto|DIR", "go on from the newest whole checkpoint of out=, or from DIR", 0, 0 },
    { 0, "dump", OPT_STR, &o.dump, "DIR", "write every step's logits, gradients and weights", 0, 0 },
    { 0, "seq_length", OPT_INT, &o.seq_length, "N", "tokens a sequence; default a stream's row length", 1, MOST },
    { 0, "micro_batch_size", OPT_INT, &o.micro_batch_size, "N", "sequences run at once", 1, MOST },
    { 0, "global_batch_size", OPT_INT, &o.global_batch_size, "N", "sequences a step; default micro_batch_size", 1, MOST },
    { 0, "train_iters", OPT_INT, &o.train_iters, "N", "steps", 1, MOST },
    { 0, "lr", OPT_FLOAT, &o.lr, "X", "largest learning rate", 0, 0 },
    { 0, "min_lr", OPT_FLOAT, &o.min_lr, "X", "learning rate at the end of the decay", 0, 0 },
    { 0, "lr_warmup_iters", OPT_INT, &o.lr_warmup_iters, "N", "steps of linear warmup from 0", 0, MOST },
    { 0, "lr_decay_iters", OPT_INT, &o.lr_decay_iters, "N", "step at which the decay ends; default train_iters", 1, MOST },
    { 0, "lr_decay_style", OPT_CHOICE, &o.lr_decay_style, LR_STYLES, "how the learning rate falls", 0, 0 },
    { 0, "lr_wsd_decay_iters", OPT_INT, &o.lr_wsd_decay_iters, "N", "WSD: steps of the last phase", 1, MOST },
    { 0, "lr_wsd_decay_style", OPT_CHOICE, &o.lr_wsd_decay_style, LR_WSD_STYLES, "WSD: how the last phase falls", 0, 0 },
    { 0, "weight_decay", OPT_FLOAT, &o.weight_decay, "X", "of matrices; vectors have none", 0, 0 },
    { 0, "adam_beta1", OPT_FLOAT, &o.adam_beta1, "X", "decay of the first moment", 0, 0 },
    { 0, "adam_beta2", OPT_FLOAT, &o.adam_beta2, "X", "decay of the second moment", 0, 0 },
    { 0, "adam_eps", OPT_FLOAT, &o.adam_eps, "X", "added to the root of the second moment", 0, 0 },
    { 0, "clip_grad", OPT_FLOAT, &o.clip_grad, "X", "largest global norm of the gradients; 0: no bound", 0, 0 },
    { 0, "calculate_per_token_loss", OPT_BOOL, &o.calculate_per_token_loss, "0|1", "mean over tokens; 0: Megatron's mean of micro-batch means", 0, 0 },
    { 0, "eval_interval", OPT_INT, &o.eval_interval, "N", "steps between validations", 1, MOST },
    { 0, "eval_iters", OPT_INT, &o.eval_iters, "N", "batches of a validation; 0: none", 0, MOST },
    { 0, "full_validation", OPT_BOOL, &o.full_validation, "0|1", "validate on the whole set", 0, 0 },
    { 0, "save_interval", OPT_INT, &o.save_interval, "N", "steps between checkpoints; the last step always saves", 1, MOST },
    { 0, "keep", OPT_INT, &o.keep, "N", "newest checkpoints to keep; 0: all", 0, 1000000 },
    { 0, "seed", OPT_INT, &o.seed, "N", "of weights and data order", 0, UINT32_MAX },
    { 0, "threads", OPT_INT, &o.threads, "N", "default: every processor", 1, 4096 },
    { 0, "dtype", OPT_CHOICE, &dtype, "fp32", "type of the arithmetic", 0, 0 },
    { 0 },
};
/* clang-format on */

static const struct opt_cmd cmd = {
    .name = "lmtrain",
    .purpose = "train a language model",
    .operands = "[FILE.conf] [KEY=VALUE...]",
    .example = "lmtrain run.conf model=config.json data=rows.tks out=run train_iters=100 lr=1e-3",
    .opts = opts,
    .common = OPT_JOBS | OPT_QUIET,
    .keys = true,
};

static long root; /* the rank that may be waiting for bytes of a pipe, for which the others wait */

/* A second one ends the program at once. */
static void on_signal(int signal_number)
{
    stop = signal_number;
    signal(signal_number, SIG_DFL);
    if (root)
        sigqueue((pid_t)root, SIGUSR2, (union sigval){ .sival_int = signal_number });
}

static bool is_stopped(void)
{
    return stop != 0;
}

/* What another rank was told. */
static void on_forwarded(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    if (info->si_code == SI_QUEUE && !stop)
        stop = info->si_value.sival_int;
}

static void read_file(const char *path)
{
    static struct arena lines; /* values point into them */
    struct io_map m;
    struct err err;

    if (io_map(&m, path, &err) < 0 || opt_read(opts, &lines, (const char *)m.data, m.size, path, &err) < 0)
        die("%s", err.msg);
    io_unmap(&m);
}

static void assign(const char *operand)
{
    const char *eq = strchr(operand, '=');
    size_t n = (size_t)(eq - operand);
    char *key = xmalloc(n + 1);
    struct err err;

    memcpy(key, operand, n);
    key[n] = 0;
    if (opt_assign(opts, key, eq + 1, &err) < 0)
        opt_die(&cmd, "%s", err.msg);
    free(key);
}

/* Options may stand before the file, but what they say counts more: they are read once more after it. */
static struct opt_common parse(int argc, char **argv)
{
    struct opt_common common;
    char **again = xmalloc(((size_t)argc + 1) * sizeof *again);
    int i;

    memcpy(again, argv, ((size_t)argc + 1) * sizeof *again);
    i = opt_parse(&cmd, &common, argc, argv);
    for (int k = i; k < argc; k++)
        if (!strchr(argv[k], '='))
            read_file(argv[k]);
    opt_parse(&cmd, &common, argc, again);
    for (int k = i; k < argc; k++)
        if (strchr(argv[k], '='))
            assign(argv[k]);
    free(again);
    return common;
}

/* Does the key have a value that opt_read() takes? */
static bool is_given(const struct opt *k)
{
    switch (k->type) {
    case OPT_STR:
        return *(const char **)k->var;
    case OPT_INT:
        return *(int64_t *)k->var >= k->min;
    case OPT_CHOICE:
        return k->var != &o.data_order || o.data_order != DATA_BY_KIND;
    default:
        return true;
    }
}

/* The table as opt_read() reads it; caller frees. */
static char *resolved(void)
{
    size_t n = 0, cap = 0;
    char *text = NULL;

    for (const struct opt *k = opts; k->name; k++) {
        int size = is_given(k) ? opt_format(k, NULL, 0) : 0;

        if (size <= 0)
            continue;
        mem_grow(&text, &cap, n + (size_t)size + 2, 1);
        opt_format(k, text + n, (size_t)size + 1);
        n += (size_t)size;
        text[n++] = '\n';
        text[n] = 0;
    }
    return text;
}

static void warn(const char *message)
{
    err_warn("%s", message);
}

static void line(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    static const int signals[] = { SIGTERM, SIGUSR1, SIGINT };
    const struct sigaction forwarded = { .sa_sigaction = on_forwarded, .sa_flags = SA_SIGINFO | SA_RESTART };
    const struct comm *comm;
    struct opt_common common;
    struct err err;
    int rc;

    signal(SIGUSR1, on_signal); /* it may come at once */
    sigaction(SIGUSR2, &forwarded, NULL);
    comm = run_join(&root);
    common = parse(argc, argv);
    o.comm = comm;
    if (!o.threads)
        o.threads = run_threads(&o, common.jobs);
    if (run_resolve(&o, &err) < 0)
        opt_die(&cmd, "%s", err.msg);
    o.conf = resolved();
    o.warn = warn;
    o.line = common.quiet ? NULL : line;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], on_signal);
    io_heed(is_stopped);
    rc = run_train(&o, &err);
    if (rc < 0 && !io_gave_up())
        die("%s", err.msg);
    if (stop && (rc < 0 || stop != SIGUSR1)) {
        signal(stop, SIG_DFL);
        raise(stop);
    }
    return 0;
}
