#include "train/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"

#define STREAM ((uint64_t)0x73616d706c65 << 16) /* apart from other uses of a seed */

void sample_init(struct sample *s, const struct sample_options *o, int64_t vocab)
{
    s->o = *o;
    s->vocab = vocab;
    s->x = xmalloc((size_t)vocab * sizeof *s->x);
    s->token = xmalloc((size_t)vocab * sizeof *s->token);
}

void sample_release(struct sample *s)
{
    free(s->x);
    free(s->token);
    memset(s, 0, sizeof *s);
}

static void penalise(struct sample *s, const float *logits, const int32_t *seq, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float x = logits[seq[i]];

        s->x[seq[i]] = (float)(x < 0 ? (double)x * s->o.penalty : (double)x / s->o.penalty);
    }
}

/* The most likely token, or -1. */
static int32_t most_likely(const float *x, int64_t n)
{
    int64_t best = 0;

    for (int64_t i = 0; i < n; i++) {
        if (x[i] != x[i])
            return -1;
        best = x[i] > x[best] ? i : best;
    }
    return isfinite(x[best]) ? (int32_t)best : -1;
}

static void swap(struct sample_token *a, struct sample_token *b)
{
    struct sample_token t = *a;

    *a = *b;
    *b = t;
}

static float middle(float a, float b, float c)
{
    return fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
}

/* Sum of weights: probabilities, or one each. */
static double weight(const struct sample_token *t, int64_t n, bool by_p)
{
    double sum = by_p ? 0 : (double)n;

    for (int64_t i = 0; by_p && i < n; i++)
        sum += t[i].p;
    return sum;
}

/* The lowest logit among the fewest tokens of the highest logits whose weights reach `want`.  Quickselect:
 * what is let in or left out whole is not ordered. */
static float lowest(struct sample_token *t, int64_t n, double want, bool by_p)
{
    int64_t lo = 0, hi = n;
    float pivot = 0;

    while (hi > lo) {
        int64_t above = lo, i = lo, below = hi;
        double w;

        pivot = middle(t[lo].x, t[lo + (hi - lo) / 2].x, t[hi - 1].x);
        while (i < below)
            if (t[i].x > pivot)
                swap(&t[i++], &t[above++]);
            else if (t[i].x < pivot)
                swap(&t[i], &t[--below]);
            else
                i++;
        w = weight(t + lo, above - lo, by_p);
        if (above > lo && w >= want) {
            hi = above;
            continue;
        }
        want -= w + weight(t + above, below - above, by_p);
        if (want <= 0)
            break;
        lo = below;
    }
    return pivot;
}

/* The tokens of at least that logit, by id; their number. */
static int64_t collect(struct sample *s, float least)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->vocab; i++)
        if (s->x[i] >= least)
            s->token[n++] = (struct sample_token){ .id = (int32_t)i, .x = s->x[i] };
    return n;
}

static void weigh(struct sample *s, int64_t n, float highest)
{
    for (int64_t i = 0; i < n; i++)
        s->token[i].p = exp((double)(s->token[i].x - highest) / s->o.temperature);
}

/* One of n tokens, at u in [0, 1) of the probability of those of at least `least`. */
static int32_t draw(const struct sample_token *t, int64_t n, double least, double u)
{
    double sum = 0;
    int32_t id = -1;

    for (int64_t i = 0; i < n; i++)
        sum += t[i].p >= least ? t[i].p : 0;
    sum *= u;
    for (int64_t i = 0; i < n && sum >= 0; i++)
        if (t[i].p >= least && t[i].p > 0) {
            id = t[i].id;
            sum -= t[i].p;
        }
    return id;
}

int32_t sample_next(struct sample *s, const float *logits, const int32_t *seq, int64_t n, uint64_t sequence)
{
    const struct sample_options *o = &s->o;
    int64_t left;
    int32_t best;

    memcpy(s->x, logits, (size_t)s->vocab * sizeof *s->x);
    if (o->penalty != 1)
        penalise(s, logits, seq, n);
    best = most_likely(s->x, s->vocab);
    if (best < 0 || o->temperature == 0)
        return best;
    left = collect(s, -INFINITY);
    if (o->top_k && o->top_k < left)
        left = collect(s, lowest(s->token, left, (double)o->top_k, false));
    weigh(s, left, s->x[best]);
    if (o->top_p < 1) {
        left = collect(s, lowest(s->token, left, o->top_p * weight(s->token, left, true), true));
        weigh(s, left, s->x[best]);
    }
    return draw(s->token, left, o->min_p, rng_uniform(o->seed, STREAM + sequence, (uint64_t)n));
}
