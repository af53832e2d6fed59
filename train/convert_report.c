#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/report.h"
#include "libcommon/weights/safetensors_file.h"
#include "train/convert_file.h"
#include "train/model.h"

static void ignore(const char *message)
{
    (void)message;
}

/* Behind the last slash. */
static const char *base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static uint64_t virtual_stages(const struct torchzip *z)
{
    char key[24];
    uint64_t n = 0;

    while (snprintf(key, sizeof key, "model%" PRIu64, n), torchzip_get(z->root, key))
        n++;
    return n ? n : 1;
}

/* Of the model: each once, without the padding of the vocabulary. */
static uint64_t parameters(const struct config *config)
{
    struct scheme_stage all = { 0, config->layers, true, true };
    struct scheme_grid g = { .tp = 1, .vocab = config->vocab };
    struct scheme_list l;
    uint64_t n = 0;

    scheme_walk(&l, config, config->arch->hf, &g, 0, &all);
    for (int i = 0; i < l.n; i++)
        n += l.tensor[i].tied ? 0 : (uint64_t)l.tensor[i].shape[0] * (uint64_t)l.tensor[i].shape[1];
    scheme_free(&l);
    return n;
}

/* All tensors of all files, under the names "mp_rank_00/model.x"; iter is the directory of the files. */
static void put_tensors(struct report *r, const struct convert *c, const char *iter, bool list)
{
    struct tensor *t = NULL;
    size_t n = 0, cap = 0;

    for (int i = 0; i < c->n_zips; i++) {
        const struct torchzip *z = &c->zip[i];
        const char *rank = z->name + strlen(iter) + 1;

        mem_grow(&t, &cap, n + (size_t)z->n + 1, sizeof *t);
        for (int k = 0; k < z->n; k++, n++) {
            t[n] = z->tensor[k].t;
            t[n].name = report_printf(r, "%.*s/%s", (int)strcspn(rank, "/"), rank, t[n].name);
        }
    }
    safetensors_report_totals(r, t, (int)n, sizeof *t);
    if (list)
        safetensors_report_list(r, t, (int)n, sizeof *t);
    free(t);
}

/* What the numbers of the directories mean is only known of what is converted. */
static void put_ranks(struct report *r, const struct convert *c)
{
    struct err why;

    if (convert_refuse_args(torchzip_get(c->zip[0].root, "args"), c->zip[0].name, &why) < 0) {
        report_string(r, "scheme", report_printf(r, "not one that lmconvert takes: %s", why.msg));
        return;
    }
    report_number(r, "tp", (uint64_t)c->tp);
    report_number(r, "pp", (uint64_t)c->pp);
    report_number(r, "stages", (uint64_t)c->pp * virtual_stages(&c->zip[0]));
}

static int put_all(struct report *r, const struct convert *c, const char *iter, bool list, struct err *err)
{
    const struct torchzip_value *iteration = torchzip_get(c->zip[0].root, "iteration");

    report_string(r, "checkpoint", base(iter));
    if (iteration && iteration->type == TORCHZIP_INT && iteration->i >= 0)
        report_number(r, "iteration", (uint64_t)iteration->i);
    put_ranks(r, c);
    report_number(r, "files", (uint64_t)c->n_zips);
    if (c->n_lists)
        report_number(r, "model_parameters", parameters(&c->config));
    put_tensors(r, c, iter, list);
    for (int i = 0; i < c->n_zips; i++)
        if (torchzip_verify(&c->zip[i], err) < 0)
            return -1;
    return 0;
}

int convert_report(const char *dir, bool list, struct report *r, const char **verified, struct err *err)
{
    struct convert_options o = { .to = CONVERT_HF, .dtype = -1, .quiet = true, .note = ignore };
    struct convert *c = NULL;
    char *top, *iter;
    bool whole;
    int rc = -1;

    if (convert_find_iteration(dir, &top, &iter, err) < 0)
        return -1;
    whole = tree_holds(top, "config.json");
    *verified = whole ? "pickles, strides, sizes, checksums, names, shapes and args of every file, copies against each other"
                      : "pickles, strides, sizes and checksums of every file";
    if (!whole)
        report_string(r, "config", "none");
    c = whole ? convert_open(dir, &o, err) : convert_open_files(iter, &o, err);
    if (c)
        rc = put_all(r, c, iter, list, err);
    if (rc == 0 && whole)
        rc = model_report_beside(top, r, verified, err);
    if (c)
        convert_close(c);
    free(top);
    free(iter);
    return rc;
}
