#include "train/rope.h"

#include <math.h>

#define PI 3.14159265358979323846

bool rope_by_length(const struct config *c)
{
    return c->rope.type == ROPE_DYNAMIC;
}

/* Llama 3.1: long wavelengths divided, short ones kept, a linear ramp between. */
static double llama3(const struct config_rope_scaling *r, double inv)
{
    double wave = 2 * PI / inv, original = (double)r->original;
    double smooth = (original / wave - r->low) / (r->high - r->low);

    if (wave > original / r->low)
        return inv / r->factor;
    if (wave < original / r->high)
        return inv;
    return (1 - smooth) * inv / r->factor + smooth * inv;
}

/* YaRN: the dimension that turns `turns` times over the original length. */
static double yarn_dim(const struct config_rope_scaling *r, double d, double turns)
{
    return d * log((double)r->original / (turns * 2 * PI)) / (2 * log(r->theta));
}

static double yarn(const struct config_rope_scaling *r, double d, int64_t i, double inv)
{
    double low = yarn_dim(r, d, r->beta_fast), high = yarn_dim(r, d, r->beta_slow), ramp;

    if (r->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, d - 1);
    if (low == high)
        high += 0.001;
    ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
    return inv * (1 - ramp) + inv / r->factor * ramp;
}

void rope_fill(const struct config *c, int64_t length, int64_t positions, float *table)
{
    const struct config_rope_scaling *r = &c->rope;
    int64_t d = c->head_dim;
    double theta = r->theta, scale = 1, dim = (double)d, max_pos = (double)c->max_pos;

    if (r->type == ROPE_DYNAMIC && length > c->max_pos && d > 2)
        theta *= pow(r->factor * (double)length / max_pos - (r->factor - 1), dim / (dim - 2));
    if (r->type == ROPE_YARN)
        scale = r->attention_factor != 0 ? r->attention_factor : r->factor > 1 ? 0.1 * log(r->factor) + 1 : 1;
    for (int64_t i = 0; i < d / 2; i++) {
        double inv = pow(theta, -2 * (double)i / dim);

        if (r->type == ROPE_LINEAR)
            inv /= r->factor;
        else if (r->type == ROPE_LLAMA3)
            inv = llama3(r, inv);
        else if (r->type == ROPE_YARN)
            inv = yarn(r, dim, i, inv);
        for (int64_t p = 0; p < positions; p++) {
            table[p * d + i] = (float)(cos((double)p * inv) * scale);
            table[p * d + d / 2 + i] = (float)(sin((double)p * inv) * scale);
        }
    }
}
