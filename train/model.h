/* model.h - the parameters of a model: one arena, laid out by walking its programs; published tensors.
 *
 * Gradients and optimiser state are arrays of the same layout.  A published tensor is what a file
 * holds under one name: one parameter, or several side by side, perhaps transposed.
 */
#ifndef TRAIN_MODEL_H
#define TRAIN_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/weights/safetensors.h"
#include "train/arch.h"
#include "train/dist/comm.h"

struct model_param {
    enum arch_param_id id;
    int layer;          /* -1: outside the layers */
    int64_t rows, cols; /* cols 1: a vector */
    int64_t offset;     /* in floats */
    int64_t count;
    bool decay;         /* weight decay applies: Megatron's rule, no vectors */
    bool fresh;         /* its gradient has no contribution in this step yet */
    enum arch_init init;
};

struct model_tensor {
    const char *name;
    enum arch_layout layout;
    int param[4], n; /* its parts, in order along the rows */
    int rank;
    int64_t shape[2], count;
};

struct model {
    struct config config; /* owned */
    struct model_param *param;
    int n_params;
    int32_t *index;       /* [layers + 1][P_COUNT]: param, or -1; the last row is outside the layers */
    struct model_tensor *tensor; /* as scheme.h lists them */
    int n_tensors;
    int64_t size;         /* floats of the layout, padding included */
    int64_t count;        /* parameters */
    float *w;             /* weights */
    float *g;             /* gradients; NULL until model_train() */
    bool no_prefix;       /* the file had the family's names without its prefix */
    struct arena arena, grads, tables;
};

/* Lay out and allocate the weights (zero).  Takes over *c, also on error. */
int model_init(struct model *m, struct config *c, struct err *err);
/* config.json + weights of an HF directory.  Missing, left-over and mismatched tensors are errors that
 * name them. */
int model_open(struct model *m, const char *dir, struct err *err);
void model_close(struct model *m);

/* Draw fresh weights: each element from (seed, parameter, element). */
void model_randomize(struct model *m, uint64_t seed);

/* Allocate gradients where the ranks of c can add them up, and bring the weights, the same on all, where they
 * have memory in common. */
void model_train(struct model *m, const struct comm *c);

/* Parameter by id, following ties; NULL when the model has none.  layer -1: outside. */
struct model_param *model_param(const struct model *m, enum arch_param_id id, int layer);

/* 0 for the first contribution of a step to the gradient of p (and notes it), then 1. */
float model_grad_beta(struct model_param *p);
/* Begin a step: every gradient is fresh.  End it for parameters [first, end): zero those that got no
 * contribution. */
void model_grad_begin(struct model *m);
void model_grad_end(struct model *m, int first, int end);

/* The name of a published tensor, as the files of this model spell it. */
const char *model_name(const struct model *m, const struct model_tensor *t);

/* Copy published tensor t out of, or into, an array of the model's layout. */
void model_get(const struct model *m, const struct model_tensor *t, const float *base, float *out);
void model_put(const struct model *m, const struct model_tensor *t, float *base, const float *in);

/* Write an array of the layout as one safetensors file under the published names. */
int model_save(const struct model *m, const float *base, const char *path, struct err *err);
/* Read one such file, or a directory, into an array of the layout. */
int model_load(struct model *m, float *base, const char *path, struct err *err);

/* What a model directory holds (report.h): config.json and tokenizer, where they are there; with model_report() the
 * weights too, with list each tensor.  What was verified is added to *verified. */
struct report;
int model_report_beside(const char *dir, struct report *r, const char **verified, struct err *err);
int model_report(const char *dir, bool list, struct report *r, const char **verified, struct err *err);

#endif
