/* lr.h - the learning rate as a pure function of the samples consumed: Megatron-LM's schedules
 * (megatron/core/optimizer_param_scheduler.py, core_v0.12.1). */
#ifndef TRAIN_LR_H
#define TRAIN_LR_H

#include <stdint.h>

enum lr_style { LR_LINEAR, LR_COSINE, LR_CONSTANT, LR_INVERSE_SQRT, LR_WSD };
enum lr_wsd_style { LR_WSD_EXPONENTIAL, LR_WSD_LINEAR, LR_WSD_COSINE, LR_WSD_MINUS_SQRT };
/* The names of both enums, for option tables. */
#define LR_STYLES "linear|cosine|constant|inverse-square-root|WSD"
#define LR_WSD_STYLES "exponential|linear|cosine|minus_sqrt"

struct lr {
    int style, wsd_style;
    double max, min;
    double warmup, decay, wsd_decay; /* in samples; wsd_decay: the length of the last phase */
};

/* The rate of the step that follows `samples` consumed ones: with warmup the first step has 0. */
double lr_at(const struct lr *l, double samples);

#endif
