/* A whole run on the golden input, as a user makes it: rows in a stream file, dump=; every file of the dump
 * against transformers' numbers, with the bounds that golden.c holds the steps to. */
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/data/stream.h"
#include "tests/tap.h"
#include "train/data.h"
#include "train/lr.h"
#include "train/model.h"

static volatile sig_atomic_t never;

static void warn(const char *message)
{
    printf("# %s\n", message);
}

static int write_rows(const char *path, const struct tensor *ids, int64_t vocab, struct err *err)
{
    struct stream_header h = { .dtype = STREAM_I32, .kind = STREAM_ROWS, .vocab_size = (uint32_t)vocab, .bos = STREAM_NONE,
                               .eod = STREAM_NONE, .pad = STREAM_NONE, .row_len = (uint32_t)ids->shape[1] };
    struct io_out out;
    struct stream_writer *w;
    int32_t row[256];

    if (io_create(&out, path, true, err) < 0 || !(w = stream_writer_new(&out, &h, err)))
        return -1;
    for (int64_t b = 0; b < ids->shape[0]; b++) {
        struct stream_record rec = { .tokens = row, .n = (uint64_t)ids->shape[1] };

        for (int64_t i = 0; i < ids->shape[1]; i++)
            row[i] = (int32_t)((const int64_t *)ids->data)[b * ids->shape[1] + i];
        if (stream_write(w, &rec, err) < 0)
            return -1;
    }
    return stream_end(w, err) < 0 ? -1 : io_commit(&out, err);
}

static double differ(const struct safetensors *a, const char *name, const struct safetensors *b, const char *other,
                     double *largest)
{
    const struct tensor *x = safetensors_find(a, name), *y = safetensors_find(b, other);
    double worst = 0;

    if (!x || !y || x->count != y->count || x->rank != y->rank) {
        printf("# %s and %s\n", name, other);
        return HUGE_VAL;
    }
    for (int64_t i = 0; i < x->count; i++) {
        double want = (double)((const float *)y->data)[i];

        worst = fmax(worst, fabs((double)((const float *)x->data)[i] - want));
        *largest = fmax(*largest, fabs(want));
    }
    return worst;
}

/* Of all tensors whose name in the golden file begins with prefix. */
static double differ_all(const struct safetensors *dump, const char *prefix, const struct safetensors *golden,
                         const char *other, int *n, double *largest)
{
    double worst = 0;

    for (int i = 0; i < golden->n; i++) {
        const char *name = golden->tensor[i].name;
        char full[512];

        if (strncmp(name, other, strlen(other)) != 0)
            continue;
        snprintf(full, sizeof full, "%s%s", prefix, name + strlen(other));
        worst = fmax(worst, differ(dump, full, golden, name, largest));
        ++*n;
    }
    return worst;
}

static void check_dump(const char *name, const struct safetensors *golden)
{
    struct safetensors first = { 0 }, last = { 0 };
    double largest = 0, unused = 0, worst;
    struct err err;
    int n = 0;

    if (safetensors_open(&first, "dump/step_000001.safetensors", &err) < 0 ||
        safetensors_open(&last, "dump/step_000005.safetensors", &err) < 0) {
        OKF(false, "%s", err.msg);
        return;
    }
    worst = differ(&first, "logits", golden, "logits", &largest);
    OKF(worst <= 1e-5 * largest, "%s: logits %g of %g", name, worst, largest);
    OK(memcmp(safetensors_find(&first, "input_ids")->data, safetensors_find(golden, "input_ids")->data,
              safetensors_find(golden, "input_ids")->size) == 0);
    worst = differ(&first, "loss", golden, "loss", &unused);
    OKF(worst < 1e-5, "%s: loss %g", name, worst);
    largest = 0;
    worst = differ_all(&first, "grad.", golden, "grad.", &n, &largest);
    OKF(n > 5 && worst <= 1e-5 * largest, "%s: %d gradients, %g of %g", name, n, worst, largest);
    /* elements whose gradient is 0 but for rounding move by up to lr: README of the golden files; so the mean */
    worst = differ_all(&last, "after.", golden, "after5.", &n, &unused);
    OKF(worst <= 1e-2, "%s: after five steps %g", name, worst);
    OK(fabs((double)*(const float *)safetensors_find(&last, "grad_norm")->data -
            (double)((const float *)safetensors_find(golden, "grad_norms")->data)[4]) < 1e-4);
    safetensors_close(&first);
    safetensors_close(&last);
}

static void run_case(const char *dir, const char *name)
{
    char path[4200], file[4300];
    struct safetensors golden = { 0 };
    struct config c;
    struct err err = { "" };
    struct run_options o = { .model = path, .data = "rows.tks", .dump = "dump", .micro_batch_size = 1,
                             .global_batch_size = 2, .train_iters = 5, .lr = 1e-2, .lr_decay_style = LR_CONSTANT,
                             .weight_decay = 0.1, .adam_beta1 = 0.9, .adam_beta2 = 0.95, .adam_eps = 1e-8, .clip_grad = 1,
                             .data_order = DATA_SEQUENTIAL, .calculate_per_token_loss = true, .eval_interval = 1,
                             .threads = 2, .stop = &never, .warn = warn };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(file, sizeof file, "%s/golden.safetensors", path);
    if (safetensors_open(&golden, file, &err) < 0 || config_open(&c, path, &err) < 0 ||
        write_rows("rows.tks", safetensors_find(&golden, "input_ids"), c.vocab, &err) < 0) {
        OKF(false, "%s", err.msg);
        return;
    }
    config_close(&c);
    OKF(run_resolve(&o, &err) == 0 && run_train(&o, &err) == 0, "%s: %s", name, err.msg);
    check_dump(name, &golden);
    safetensors_close(&golden);
}

int main(void)
{
    static const char *const cases[] = { "gpt2", "llama_rope_llama3", "mistral_swa", "qwen2_swa" };
    const char *src = getenv("SRC");
    char dir[4096];

    snprintf(dir, sizeof dir, "%s/tests/golden/models", src ? src : ".");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(dir, cases[i]);
    return tap_done();
}
