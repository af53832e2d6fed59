/* Bytes as a run.conf: every type of key, then what run_resolve() makes of it; what was read is written by
 * opt_format() and read again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/opt.h"
#include "train/lr.h"
#include "train/run.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST ((int64_t)1 << 31)

static struct run_options o;
static struct opt_list list;
static int64_t bytes;

static const struct opt opts[] = {
    { 0, "model", OPT_STR, &o.model, "", "", 0, 0 },
    { 0, "data", OPT_STR, &o.data, "", "", 0, 0 },
    { 0, "out", OPT_STR, &o.out, "", "", 0, 0 },
    { 0, "resume", OPT_MAYBE, &o.resume, "", "", 0, 0 },
    { 0, "micro_batch_size", OPT_INT, &o.micro_batch_size, "", "", 1, MOST },
    { 0, "global_batch_size", OPT_INT, &o.global_batch_size, "", "", 1, MOST },
    { 0, "train_iters", OPT_INT, &o.train_iters, "", "", 1, MOST },
    { 0, "lr", OPT_FLOAT, &o.lr, "", "", 0, 0 },
    { 0, "min_lr", OPT_FLOAT, &o.min_lr, "", "", 0, 0 },
    { 0, "lr_warmup_iters", OPT_INT, &o.lr_warmup_iters, "", "", 0, 0 },
    { 0, "lr_decay_iters", OPT_INT, &o.lr_decay_iters, "", "", 0, 0 },
    { 0, "lr_decay_style", OPT_CHOICE, &o.lr_decay_style, LR_STYLES, "", 0, 0 },
    { 0, "lr_wsd_decay_iters", OPT_INT, &o.lr_wsd_decay_iters, "", "", 0, 0 },
    { 0, "adam_eps", OPT_FLOAT, &o.adam_eps, "", "", 0, 0 },
    { 0, "full_validation", OPT_BOOL, &o.full_validation, "", "", 0, 0 },
    { 0, "bytes", OPT_SIZE, &bytes, "", "", 0, 0 },
    { 0, "list", OPT_LIST, &list, "", "", 0, 0 },
    { 0 },
};

static void check(bool good)
{
    if (!good)
        abort();
}

static void clear(void)
{
    free(list.v);
    list = (struct opt_list){ 0 };
    o = (struct run_options){ .micro_batch_size = 1, .adam_eps = 1e-8 };
    bytes = 0;
}

/* What can be written of it is read as the same. */
static void round_trip(const struct opt *k, struct arena *keep)
{
    char first[512], second[512];
    struct err err;

    if (k->type == OPT_LIST || opt_format(k, first, sizeof first) >= (int)sizeof first)
        return;
    if ((k->type == OPT_STR || k->type == OPT_MAYBE) && !*(const char **)k->var)
        return;
    if (k->type == OPT_INT && *(int64_t *)k->var < k->min)
        return; /* not given */
    check(opt_read(opts, keep, first, strlen(first), "again", &err) == 0);
    opt_format(k, second, sizeof second);
    check(strcmp(first, second) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena keep;
    struct err err;

    arena_init(&keep);
    clear();
    if (opt_read(opts, &keep, (const char *)data, size, "fuzz", &err) == 0) {
        for (const struct opt *k = opts; k->name; k++)
            round_trip(k, &keep);
        if (run_resolve(&o, &err) == 0)
            check(o.global_batch_size >= o.micro_batch_size && o.global_batch_size % o.micro_batch_size == 0 &&
                  o.lr_decay_iters > o.lr_warmup_iters && o.min_lr <= o.lr);
    }
    arena_release(&keep);
    return 0;
}
