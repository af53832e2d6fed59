#include "train/lr.h"

#include <math.h>

#define PI 3.14159265358979323846

static double wsd(const struct lr *l, double n)
{
    double start = l->decay - l->wsd_decay, q;

    if (n <= start)
        return 1;
    q = (n - start) / l->wsd_decay;
    switch (l->wsd_style) {
    case LR_WSD_LINEAR:
        return 1 - q;
    case LR_WSD_COSINE:
        return 0.5 * (cos(PI * q) + 1);
    case LR_WSD_MINUS_SQRT:
        return 1 - sqrt(q);
    default:
        return 2 * pow(0.5, q) - 1;
    }
}

double lr_at(const struct lr *l, double n)
{
    double r, part = 1;

    if (l->warmup > 0 && n <= l->warmup)
        return l->max * n / l->warmup;
    if (l->style == LR_CONSTANT)
        return l->max;
    if (n > l->decay)
        return l->min;
    if (l->style == LR_INVERSE_SQRT)
        return fmax(l->min, l->max * sqrt(fmax(l->warmup, 1)) / sqrt(fmax(n, 1)));
    r = l->decay > l->warmup ? (n - l->warmup) / (l->decay - l->warmup) : 1;
    if (l->style == LR_LINEAR)
        part = 1 - r;
    else if (l->style == LR_COSINE)
        part = 0.5 * (cos(PI * r) + 1);
    else if (l->style == LR_WSD)
        part = wsd(l, n);
    return l->min + part * (l->max - l->min);
}
