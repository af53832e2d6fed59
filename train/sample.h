/* sample.h - the next token out of logits.
 *
 * In transformers' order: repetition penalty (Keskar et al. 2019: of every token of the sequence so far a
 * positive logit is divided by it, a negative one multiplied), temperature, top-k, top-p (Holtzman et al.
 * 2020: the fewest most likely tokens whose probabilities together reach p), min-p (those of at least p
 * times the highest probability).  Tokens equal to the last one let in are let in, too.  The random
 * number is a function of (seed, sequence, position).
 */
#ifndef TRAIN_SAMPLE_H
#define TRAIN_SAMPLE_H

#include <stdint.h>

struct sample_options {
    double temperature; /* 0: the most likely token, the lowest id of equals */
    int64_t top_k;      /* 0: off */
    double top_p;       /* 1: off */
    double min_p;       /* 0: off */
    double penalty;     /* 1: off; > 0 */
    uint64_t seed;
};

/* Work space for one thread. */
struct sample {
    struct sample_options o;
    int64_t vocab;
    float *x; /* [vocab] logits after the penalty */
    struct sample_token {
        int32_t id;
        float x;
        double p; /* not normalised: the highest is 1 */
    } *token;     /* [vocab] */
};

void sample_init(struct sample *s, const struct sample_options *o, int64_t vocab);
void sample_release(struct sample *s);

/* The token after seq[0..n), all of it below vocab; -1 when the logits hold a NaN or nothing finite. */
int32_t sample_next(struct sample *s, const float *logits, const int32_t *seq, int64_t n, uint64_t sequence);

#endif
