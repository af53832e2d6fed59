/* optim.h - AdamW over a model's parameters (kernel.h gives the algebra), with the global norm and
 * clipping of Megatron-LM (megatron/core/optimizer/clip_grads.py): factor clip / (norm + 1e-6) where
 * that is below 1.
 *
 * Work is cut into slices by the layout alone and partial sums are added in its order, so that results
 * do not depend on the number of threads.  Ranks that have the weights in common memory share the slices out. */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include "libcommon/base/par.h"
#include "train/dist/comm.h"
#include "train/kernel/kernel.h"
#include "train/model.h"

struct optim_options {
    double beta1, beta2, eps, weight_decay;
    double clip; /* 0: no clipping */
};

struct optim {
    struct model *m;              /* borrowed, with gradients */
    const struct comm *comm;      /* borrowed */
    const struct kernels *k;
    struct optim_options opt;
    float *exp_avg, *exp_avg_sq;  /* of the model's layout */
    struct optim_slice {
        int64_t begin, n;         /* floats of the layout */
        bool decay;
    } *slice;
    long n_slices;
    long first, end;              /* the slices that this rank works on */
    double *partial;              /* [n_slices] */
    struct arena arena, tables;   /* moments and partial, common memory; slices */
};

/* After model_train(), on c.  Moments are zero. */
void optim_init(struct optim *o, struct model *m, const struct comm *c, const struct optim_options *opt);
void optim_release(struct optim *o);

/* Global norm of the gradients, before clipping. */
double optim_norm(struct optim *o, struct par *par);
/* Step number t (the first is 1) at rate lr; norm as optim_norm() gave it. */
void optim_step(struct optim *o, struct par *par, int64_t t, double lr, double norm);

#endif
