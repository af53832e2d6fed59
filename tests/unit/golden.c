/* Forward, loss, gradients and five AdamW steps against transformers' numbers, for every golden case of a
 * family that arch/ has.  Cases of the tree always run; those of ../shared where it is there. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "tests/tap.h"
#include "train/step.h"

/* fp32_rel_err of golden.json, and the least tolerance (golden/README.md) */
enum { LOGITS, GRADS, LOSSES, NORMS, AFTER_MAX, AFTER_RMS, BOUNDS };
static const struct {
    const char *key;
    double least;
} bounds[BOUNDS] = {
    [LOGITS] = { "logits", 1e-5 },
    [GRADS] = { "grad_vs_global_max", 1e-5 },
    [LOSSES] = { "losses", 1e-5 },
    [NORMS] = { "grad_norms", 1e-5 },
    [AFTER_MAX] = { "after5_max_abs_where_grad", 1e-4 },
    [AFTER_RMS] = { "after5_rms", 1e-5 },
};

struct golden {
    const char *name;
    struct safetensors st;
    struct model m;
    struct step step;
    double bound[BOUNDS];
    double largest_grad;
    int64_t batch, length;
};

static int read_bounds(struct golden *g, const char *dir, struct err *err)
{
    char path[4300];
    struct arena arena;
    struct io_map m;
    const struct json_value *v;
    double lr;
    int rc = -1;

    snprintf(path, sizeof path, "%s/golden.json", dir);
    if (io_map(&m, path, err) < 0)
        return -1;
    arena_init(&arena);
    v = json_tree(&arena, m.data, m.size, path, err);
    if (v && json_get_double(json_get(v, "optimizer"), "lr", 0, &lr, path, err) == 0 && lr == 1e-2) {
        rc = 0;
        for (int i = 0; i < BOUNDS && rc == 0; i++) {
            rc = json_get_double(json_get(v, "fp32_rel_err"), bounds[i].key, 0, &g->bound[i], path, err);
            g->bound[i] = fmax(10 * g->bound[i], bounds[i].least);
        }
    }
    arena_release(&arena);
    io_unmap(&m);
    return rc;
}

static const float *find(const struct golden *g, const char *prefix, const char *name, int64_t *n)
{
    char full[512];
    const struct tensor *t;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    t = safetensors_find(&g->st, full);
    if (t)
        *n = t->count;
    return t ? t->data : NULL;
}

static void fill_batch(struct golden *g, const int64_t *ids)
{
    step_clear(&g->step);
    for (int64_t b = 0; b < g->batch; b++) {
        struct data_row row = step_slot(&g->step);

        for (int64_t i = 0; i < g->length; i++) {
            row.ids[i] = (int32_t)ids[b * g->length + i];
            row.pos[i] = (int32_t)i;
            row.loss[i] = i + 1 < g->length;
            row.target[i] = row.loss[i] ? (int32_t)ids[b * g->length + i + 1] : 0;
        }
        row.doc[0] = 0;
        row.n_docs = 1;
        step_take(&g->step, &row);
    }
}

static void check_logits(struct golden *g)
{
    int64_t v = g->m.config.vocab, n = 0, one = g->length * v;
    const float *want = find(g, "logits", "", &n);
    float *logits = xmalloc((size_t)one * sizeof *logits);
    double worst = 0, largest = 0;

    for (int64_t b = 0; b < g->batch && n == g->batch * one; b++) {
        step_logits(&g->step, b, logits);
        for (int64_t i = 0; i < one; i++) {
            worst = fmax(worst, fabs((double)logits[i] - (double)want[b * one + i]));
            largest = fmax(largest, fabs((double)want[b * one + i]));
        }
    }
    free(logits);
    OKF(largest > 0 && worst / largest <= g->bound[LOGITS], "%s: logits %.3g of %.3g", g->name, worst / largest,
        g->bound[LOGITS]);
}

/* Every published tensor of `base` against PREFIX.NAME: the largest difference, and their root mean square;
 * with where_grad elements whose golden gradient is tiny are left out of the largest. */
static double compare(struct golden *g, const float *base, const char *prefix, bool where_grad, double *rms)
{
    double worst = 0, sum = 0, count = 0;

    for (int i = 0; i < g->m.n_tensors; i++) {
        const struct model_tensor *t = &g->m.tensor[i];
        const char *name = model_name(&g->m, t);
        int64_t n = 0, n_grad = 0;
        const float *want = find(g, prefix, name, &n), *grad = find(g, "grad.", name, &n_grad);
        float *got = xmalloc((size_t)t->count * sizeof *got);

        model_get(&g->m, t, base, got);
        OKF(want && grad && n == t->count && n_grad == n, "%s: %s%s is there", g->name, prefix, name);
        for (int64_t k = 0; want && grad && k < n; k++) {
            double d = fabs((double)got[k] - (double)want[k]);

            if (!where_grad || fabs((double)grad[k]) > 1e-5 * g->largest_grad)
                worst = fmax(worst, isnan(d) ? HUGE_VAL : d);
            sum += d * d;
            count += 1;
        }
        free(got);
    }
    *rms = sqrt(sum / fmax(count, 1));
    return worst;
}

static void check_steps(struct golden *g)
{
    int64_t n = 0;
    const float *loss = find(g, "loss", "", &n), *losses = find(g, "losses", "", &n), *norms = find(g, "grad_norms", "", &n);
    double rms, worst;

    for (int i = 0; i < g->st.n; i++)
        if (strncmp(g->st.tensor[i].name, "grad.", 5) == 0)
            for (int64_t k = 0; k < g->st.tensor[i].count; k++)
                g->largest_grad = fmax(g->largest_grad, fabs((double)((const float *)g->st.tensor[i].data)[k]));
    for (int t = 1; t <= 5; t++) {
        struct step_result r = step_gradients(&g->step);
        double norm;

        if (t == 1) {
            worst = compare(g, g->m.g, "grad.", false, &rms) / g->largest_grad;
            OKF(fabs(r.loss - (double)loss[0]) <= g->bound[LOSSES] * (double)loss[0], "%s: loss %.9g, not %.9g", g->name,
                r.loss, (double)loss[0]);
            OKF(worst <= g->bound[GRADS], "%s: gradients %.3g of %.3g", g->name, worst, g->bound[GRADS]);
        }
        norm = step_update(&g->step, t, 1e-2);
        OKF(fabs(r.loss - (double)losses[t - 1]) <= g->bound[LOSSES] * (double)losses[t - 1],
            "%s: step %d: loss %.9g, not %.9g", g->name, t, r.loss, (double)losses[t - 1]);
        OKF(fabs(norm - (double)norms[t - 1]) <= g->bound[NORMS] * (double)norms[t - 1], "%s: step %d: norm %.9g, not %.9g",
            g->name, t, norm, (double)norms[t - 1]);
    }
    worst = compare(g, g->m.w, "after5.", true, &rms);
    OKF(worst <= g->bound[AFTER_MAX], "%s: weights after 5 steps: %.3g of %.3g", g->name, worst, g->bound[AFTER_MAX]);
    OKF(rms <= g->bound[AFTER_RMS], "%s: weights after 5 steps, rms: %.3g of %.3g", g->name, rms, g->bound[AFTER_RMS]);
}

static void run_case(const char *dir, const char *name, int64_t micro, bool per_token)
{
    struct golden g = { .name = name };
    struct par *par = par_new(2);
    struct step_options opt = { .comm = &comm_self, .micro_batch = micro, .per_token = per_token,
                                .optim = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1 } };
    const struct tensor *ids;
    char path[4300];
    struct err err;

    snprintf(path, sizeof path, "%s/golden.safetensors", dir);
    if (read_bounds(&g, dir, &err) < 0 || safetensors_open(&g.st, path, &err) < 0 || model_open(&g.m, dir, &err) < 0) {
        OKF(false, "%s: %s", name, err.msg);
        par_free(par);
        return;
    }
    ids = safetensors_find(&g.st, "input_ids");
    g.batch = ids->shape[0];
    g.length = ids->shape[1];
    opt.global_batch = g.batch;
    opt.length = g.length;
    step_init(&g.step, &g.m, par, &opt);
    fill_batch(&g, ids->data);
    check_logits(&g);
    check_steps(&g);
    step_release(&g.step);
    model_close(&g.m);
    safetensors_close(&g.st);
    par_free(par);
}

/* The cases under dir whose family is here; how many. */
static int run_all(const char *dir)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, alphasort), ran = 0;

    for (int i = 0; i < n; i++) {
        struct config c;
        struct err err;
        char path[4200];

        snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && config_open(&c, path, &err) == 0) {
            config_close(&c);
            /* alternately as one micro-batch and as two: both are the same mean here */
            run_case(path, list[i]->d_name, 1 + ran % 2, ran % 4 < 2);
            ran++;
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return ran;
}

int main(void)
{
    const char *src = getenv("SRC"), *shared;
    char dir[4096];

    snprintf(dir, sizeof dir, "%s/tests/golden/models", src ? src : ".");
    OK(run_all(dir) == 4);
    shared = tap_shared("golden/models");
    if (shared) {
        snprintf(dir, sizeof dir, "%s", shared);
        OKF(run_all(dir) >= 20, "every case of the families that are here ran");
    } else {
        SKIP("golden cases of ../shared", "../shared is absent");
    }
    return tap_done();
}
