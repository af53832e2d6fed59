/* Sampling: what each filter lets in, by a slow filter that sorts; how often each token is drawn. */
#include "train/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "tests/tap.h"

enum { MOST = 300, DRAWS = 4000 };

static int32_t zeros[DRAWS];

static int32_t once(struct sample_options o, const float *logits, int64_t vocab, const int32_t *seq, int64_t n)
{
    struct sample s;
    int32_t id;

    sample_init(&s, &o, vocab);
    id = sample_next(&s, logits, seq, n, 0);
    sample_release(&s);
    return id;
}

static void test_greedy(void)
{
    static const struct {
        float x[4];
        double penalty;
        int32_t seq[2];
        int n, want;
    } rows[] = {
        { { 1, 3, 2, 3 }, 1, { 0 }, 0, 1 }, /* the lowest id of equals */
        { { -5, -5, -6, -5 }, 1, { 0 }, 0, 0 },
        { { 1, NAN, 2, 3 }, 1, { 0 }, 0, -1 },
        { { NAN, 1, 2, 3 }, 1, { 0 }, 0, -1 },
        { { -INFINITY, -INFINITY, -INFINITY, -INFINITY }, 1, { 0 }, 0, -1 },
        { { 1, INFINITY, 2, 3 }, 1, { 0 }, 0, -1 },
        { { -INFINITY, -3, -INFINITY, -4 }, 1, { 0 }, 0, 1 },
        { { 3, 2.1f, 0, 0 }, 1.5, { 0 }, 1, 1 },          /* 3 / 1.5 */
        { { 3, 1.9f, 0, 0 }, 1.5, { 0, 0 }, 2, 0 },       /* once, however often it occurs */
        { { -1, -1.4f, -8, -8 }, 1.5, { 0 }, 1, 1 },      /* -1 * 1.5 */
        { { -1, -1.6f, -8, -8 }, 1.5, { 0, 3 }, 2, 0 },
        { { 1, 1.5f, 0, 0 }, 0.5, { 0, 3 }, 2, 0 },       /* a reward */
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sample_options o = { .top_p = 1, .penalty = rows[i].penalty };
        int32_t got = once(o, rows[i].x, 4, rows[i].seq, rows[i].n);

        OKF(got == rows[i].want, "row %zu: %d", i, (int)got);
        o.temperature = 1e-4;
        got = once(o, rows[i].x, 4, rows[i].seq, rows[i].n);
        OKF(got == rows[i].want || i < 2, "row %zu, nearly cold: %d", i, (int)got);
    }
}

static const double *sort_by;

static int by_p(const void *a, const void *b)
{
    double x = sort_by[*(const int *)a], y = sort_by[*(const int *)b];

    return (x < y) - (x > y);
}

/* Probabilities after all filters, by transformers' definitions (logits/process.py). */
static void slow(const struct sample_options *o, const float *x, int vocab, double *p)
{
    int order[MOST], n = vocab;
    double highest = -1e30, sum = 0, mass = 0;

    for (int i = 0; i < vocab; i++) {
        highest = (double)x[i] > highest ? (double)x[i] : highest;
        order[i] = i;
    }
    for (int i = 0; i < vocab; i++)
        p[i] = exp(((double)x[i] - highest) / o->temperature);
    sort_by = p;
    qsort(order, (size_t)vocab, sizeof *order, by_p);
    while (o->top_k && n > o->top_k && p[order[n - 1]] < p[order[o->top_k - 1]])
        p[order[--n]] = 0;
    for (int i = 0; i < vocab; i++)
        sum += p[i];
    for (int i = 0; i < vocab; i++)
        p[i] /= sum;
    for (int i = 0; i < n && o->top_p < 1; i++) {
        if (i > 0 && mass >= o->top_p && p[order[i]] < p[order[i - 1]]) {
            while (n > i)
                p[order[--n]] = 0;
            break;
        }
        mass += p[order[i]];
    }
    sum = 0;
    for (int i = 0; i < vocab; i++) {
        p[i] = p[i] < o->min_p * p[order[0]] ? 0 : p[i];
        sum += p[i];
    }
    for (int i = 0; i < vocab; i++)
        p[i] /= sum;
}

static void test_filters(void)
{
    static const struct sample_options rows[] = {
        { 1, 0, 1, 0, 1, 7 },      { 0.7, 0, 1, 0, 1, 7 },    { 1.5, 0, 1, 0, 1, 8 },  { 1, 1, 1, 0, 1, 9 },
        { 1, 5, 1, 0, 1, 10 },     { 2, 40, 1, 0, 1, 11 },    { 1, 1000, 1, 0, 1, 12 }, { 1, 0, 0.9, 0, 1, 13 },
        { 1, 0, 0.5, 0, 1, 14 },   { 1, 0, 0, 0, 1, 15 },     { 1, 0, 0.999, 0, 1, 16 }, { 1, 0, 1, 0.1, 1, 17 },
        { 3, 0, 1, 0.5, 1, 18 },   { 1, 0, 1, 1, 1, 19 },     { 1, 20, 0.8, 0, 1, 20 }, { 0.8, 30, 0.95, 0.05, 1, 21 },
        { 1.2, 0, 0.9, 0.2, 1, 22 },
    };
    static const int sizes[] = { 1, 2, 7, 50, MOST };
    float x[MOST];
    double p[MOST];
    int count[MOST];

    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            int vocab = sizes[k], bad = 0;
            struct sample s;

            for (int i = 0; i < vocab; i++) {
                x[i] = (float)(2 * rng_normal(1, r * 10 + k, (uint64_t)i));
                if (i % 7 == 3)
                    x[i] = x[i - 1]; /* equals */
                count[i] = 0;
            }
            slow(&rows[r], x, vocab, p);
            sample_init(&s, &rows[r], vocab);
            for (int n = 0; n < DRAWS; n++)
                count[sample_next(&s, x, zeros, n, 3)]++;
            sample_release(&s);
            for (int i = 0; i < vocab; i++) {
                double deviation = sqrt(DRAWS * p[i] * (1 - p[i]));

                bad += p[i] > 0 ? fabs(count[i] - DRAWS * p[i]) > 5.5 * deviation + 1 : count[i] > 0;
            }
            OKF(bad == 0, "row %zu, %d tokens: %d are off", r, vocab, bad);
        }
}

/* A function of (seed, sequence, position), and of nothing else. */
static void test_keys(void)
{
    struct sample_options o = { .temperature = 1, .top_p = 1, .penalty = 1, .seed = 5 };
    struct sample s, other;
    float x[64] = { 0 };
    int same = 0, by_sequence = 0, by_seed = 0;

    sample_init(&s, &o, 64);
    o.seed = 6;
    sample_init(&other, &o, 64);
    for (int i = 99; i >= 0; i--) {
        int32_t id = sample_next(&s, x, zeros, i, 0);

        same += id == sample_next(&s, x, zeros, i, 0);
        by_sequence += id == sample_next(&s, x, zeros, i, 1);
        by_seed += id == sample_next(&other, x, zeros, i, 0);
    }
    OK(same == 100);
    OK(by_sequence < 10);
    OK(by_seed < 10);
    sample_release(&s);
    sample_release(&other);
}

int main(void)
{
    test_greedy();
    test_filters();
    test_keys();
    return tap_done();
}
