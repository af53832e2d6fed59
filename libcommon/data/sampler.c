#include "libcommon/data/sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/data/mt19937.h"

static const char *const split_names[] = { "train", "valid", "test" };

/* Runs of digits and dots are the weights, as re.findall(r"[.0-9]+") has it. */
static int parse_split(const char *split, double w[3], struct err *err)
{
    static const char set[] = ".0123456789";
    int n = 0;

    w[0] = w[1] = w[2] = 0;
    for (const char *p = split + strcspn(split, set); *p; p += strcspn(p, set)) {
        char number[64], *end;
        size_t len = strspn(p, set);

        if (n == 3 || len >= sizeof number)
            return err_set(err, "split '%s': more than three weights", split);
        memcpy(number, p, len);
        number[len] = 0;
        w[n++] = strtod(number, &end);
        if (*end || len == strspn(p, "."))
            return err_set(err, "split '%s': '%s' is not a number", split, number);
        p += len;
    }
    if (!(w[0] + w[1] + w[2] > 0))
        return err_set(err, "split '%s': the weights sum to 0", split);
    return 0;
}

int sampler_range(const char *split, enum sampler_split which, uint64_t n, uint64_t *begin, uint64_t *end,
                  struct err *err)
{
    double w[3], total, edge[4] = { 0 };

    if (parse_split(split, w, err) < 0)
        return -1;
    total = w[0] + w[1] + w[2];
    for (int i = 0; i < 3; i++)
        edge[i + 1] = edge[i] + w[i] / total;
    *begin = (uint64_t)nearbyint(edge[which] * (double)n); /* half to even, as Python's round() */
    *end = (uint64_t)nearbyint(edge[which + 1] * (double)n);
    if (*end > n)
        *end = n;
    return edge[which + 1] > edge[which];
}

/* How many epochs, how many samples, and how many of them end before the last epoch. */
static int plan(struct sampler *s, uint64_t *sans, struct err *err)
{
    const struct sampler_options *o = &s->opt;
    uint64_t seq = o->sequence_length, extra = !o->no_extra_token, need, total, per, last;

    if (s->tokens_per_epoch == 0)
        return err_set(err, "%s split: %" PRIu64 " sequences without a token", split_names[o->which], s->end - s->begin);
    s->n_epochs = 1;
    if (o->num_samples) {
        if (__builtin_mul_overflow(o->num_samples, seq, &need) || need > INT64_MAX / 2)
            return err_set(err, "%" PRIu64 " samples of %" PRIu64 " tokens are too many", o->num_samples, seq);
        need += extra;
        s->n_epochs = need / s->tokens_per_epoch + (need % s->tokens_per_epoch != 0);
    }
    total = s->n_epochs * s->tokens_per_epoch - extra;
    s->n_samples = o->which == SAMPLER_VALID && o->keep_partial ? (total + seq - 1) / seq : total / seq;
    if (s->n_samples == 0)
        return err_set(err, "%s split: %" PRIu64 " tokens are less than one sample of %" PRIu64, split_names[o->which],
                       s->tokens_per_epoch, seq + extra);
    *sans = s->n_samples;
    if (s->n_epochs > 1) {
        *sans = ((s->n_epochs - 1) * s->tokens_per_epoch - extra) / seq;
        last = o->num_samples - *sans;
        per = (s->tokens_per_epoch - extra) / seq;
        if (*sans > o->num_samples || last > per + 1)
            return err_set(err, "%s split: the last epoch gives %" PRId64 " samples of %" PRIu64, split_names[o->which],
                           (int64_t)last, per);
        s->separate_final_epoch = (int64_t)last < (int64_t)(0.80 * (double)per);
        if (!s->separate_final_epoch)
            *sans = s->n_samples;
    }
    return 0;
}

static void fill_document(struct sampler *s, struct mt19937 *m)
{
    uint64_t n = s->end - s->begin, tail = s->separate_final_epoch ? n : 0;

    for (uint64_t i = 0; i < s->n_document; i++)
        s->document[i] = (uint32_t)(s->begin + i % n);
    mt19937_shuffle(m, s->document, s->n_document - tail);
    mt19937_shuffle(m, s->document + s->n_document - tail, tail);
}

static void fill_sample(struct sampler *s)
{
    uint64_t i = 0, extra = !s->opt.no_extra_token;
    int64_t off = 0;

    s->sample[0][0] = s->sample[0][1] = 0;
    for (uint64_t k = 1; k <= s->n_samples; k++) {
        int64_t rem = (int64_t)(s->opt.sequence_length + extra);

        while (rem > 0) {
            int64_t left = (int64_t)index_length(s->x, s->document[i]) - off;

            rem -= left;
            if (rem <= 0) {
                off += rem + left - (int64_t)extra;
            } else if (i == s->n_document - 1) { /* a kept partial sample */
                off += left - (int64_t)extra;
                break;
            } else {
                i++;
                off = 0;
            }
        }
        s->sample[k][0] = (uint32_t)i;
        s->sample[k][1] = (uint32_t)off;
    }
}

static void fill_shuffle(struct sampler *s, struct mt19937 *m, uint64_t sans)
{
    for (uint64_t i = 0; i < s->n_samples; i++)
        s->shuffle[i] = (uint32_t)i;
    mt19937_shuffle(m, s->shuffle, sans);
    mt19937_shuffle(m, s->shuffle + sans, s->n_samples - sans);
}

static int check(struct sampler *s, struct err *err)
{
    const struct sampler_options *o = &s->opt;
    int rc;

    if (o->sequence_length == 0 || o->sequence_length >= INT32_MAX)
        return err_set(err, "sequence length %" PRIu32 " is not within 1..%d", o->sequence_length, INT32_MAX - 1);
    rc = sampler_range(o->split, o->which, s->x->n_sequences, &s->begin, &s->end, err);
    if (rc < 0)
        return -1;
    if (rc == 0 || s->begin >= s->end)
        return err_set(err, "split '%s' gives no sequence of %" PRIu64 " to the %s split", o->split, s->x->n_sequences,
                       split_names[o->which]);
    return 0;
}

int sampler_open(struct sampler *s, const struct index *x, const struct sampler_options *opt, struct err *err)
{
    struct mt19937 m;
    uint64_t sans = 0;

    *s = (struct sampler){ .x = x, .opt = *opt };
    if (check(s, err) < 0)
        goto failed;
    for (uint64_t i = s->begin; i < s->end; i++)
        s->tokens_per_epoch += index_length(x, i);
    if (plan(s, &sans, err) < 0)
        goto failed;
    if (__builtin_mul_overflow(s->n_epochs, s->end - s->begin, &s->n_document) || s->n_document > INT32_MAX ||
        x->n_sequences > INT32_MAX || s->n_samples >= UINT32_MAX - 1) {
        err_set(err, "%" PRIu64 " epochs of %" PRIu64 " sequences, %" PRIu64 " samples: more than 32 bits number",
                s->n_epochs, s->end - s->begin, s->n_samples);
        goto failed;
    }
    s->document = xmalloc(s->n_document * sizeof *s->document);
    s->sample = xmalloc((s->n_samples + 1) * sizeof *s->sample);
    s->shuffle = xmalloc(s->n_samples * sizeof *s->shuffle);
    mt19937_seed(&m, opt->seed);
    fill_document(s, &m);
    fill_sample(s);
    fill_shuffle(s, &m, sans);
    return 0;
failed:
    sampler_close(s);
    return -1;
}

void sampler_close(struct sampler *s)
{
    free(s->document);
    free(s->sample);
    free(s->shuffle);
    memset(s, 0, sizeof *s);
}

int sampler_get(const struct sampler *s, uint64_t k, int32_t *text, struct err *err)
{
    uint64_t size = (uint64_t)s->opt.sequence_length + !s->opt.no_extra_token, have = 0;
    uint32_t j = s->shuffle[k];
    uint64_t off = s->sample[j][1];

    for (uint64_t i = s->sample[j][0]; i < s->n_document && have < size; i++, off = 0) {
        uint64_t n = index_length(s->x, s->document[i]) - off;

        n = n < size - have ? n : size - have;
        if (index_tokens(s->x, index_start(s->x, s->document[i]) + off, n, text + have, err) < 0)
            return -1;
        have += n;
    }
    while (have < size)
        text[have++] = s->opt.pad;
    return 0;
}

int sampler_train(const struct sampler *s, uint64_t k, int32_t *tokens, int32_t *labels, uint8_t *loss, int32_t *positions,
                  struct err *err)
{
    const struct sampler_options *o = &s->opt;
    int32_t position = 0;

    tokens[o->sequence_length] = o->pad;
    if (sampler_get(s, k, tokens, err) < 0)
        return -1;
    for (uint32_t i = 0; i < o->sequence_length; i++) {
        bool eod = o->eod >= 0 && tokens[i] == o->eod, pad = tokens[i + 1] == o->pad;

        loss[i] = !(pad || (eod && o->eod_mask_loss));
        positions[i] = position++;
        if (eod && o->reset_position_ids)
            position = 0;
        labels[i] = pad ? 0 : tokens[i + 1];
        tokens[i] = tokens[i] == o->pad ? 0 : tokens[i];
    }
    return 0;
}
