/* sampler.h - which tokens are training sample k of an indexed data set: Megatron-LM's GPTDataset.
 *
 * The order is a pure function of (lengths, split, sequence length, number of samples, seed), the same
 * three index arrays as Megatron's cache files to the bit: sequences in shuffled order, epoch after
 * epoch, are one string of tokens; sample j begins sequence_length tokens behind sample j - 1, so that
 * neighbours share one token; samples are drawn in shuffled order.  Memory: 4 bytes a sequence and
 * epoch, 12 bytes a sample.
 *
 * Sources: megatron/core/datasets/gpt_dataset.py, helpers.cpp, blended_megatron_dataset_config.py of
 * core_v0.12.1.  One difference: where Megatron counts a kept partial sample in single precision, this
 * is exact.
 */
#ifndef LIBCOMMON_DATA_SAMPLER_H
#define LIBCOMMON_DATA_SAMPLER_H

#include "libcommon/data/index.h"

enum sampler_split { SAMPLER_TRAIN, SAMPLER_VALID, SAMPLER_TEST };

struct sampler_options {
    const char *split; /* "969,30,1" */
    enum sampler_split which;
    uint32_t sequence_length;
    uint64_t num_samples;    /* as many epochs as that needs; 0: one epoch */
    uint32_t seed;           /* Megatron's default is 1234 */
    bool keep_partial;       /* SAMPLER_VALID: the last sample may be padded */
    bool no_extra_token;     /* samples do not overlap; the last label is padding */
    int32_t pad, eod;        /* -1: none */
    bool eod_mask_loss;      /* no loss where the input is eod */
    bool reset_position_ids; /* positions restart behind eod */
};

struct sampler {
    const struct index *x; /* borrowed */
    struct sampler_options opt;
    uint64_t begin, end; /* sequences of the split */
    uint64_t tokens_per_epoch, n_epochs;
    bool separate_final_epoch; /* the last epoch, hardly used, is shuffled by itself */
    uint64_t n_document;       /* n_epochs * (end - begin) */
    uint32_t *document;        /* [n_document]: sequences of the data set */
    uint64_t n_samples;
    uint32_t (*sample)[2];     /* [n_samples + 1]: index into document, offset within that sequence */
    uint32_t *shuffle;         /* [n_samples] */
};

/* The sequences [*begin, *end) of n that a split string gives a split: 1; 0 when it gives none; -1. */
int sampler_range(const char *split, enum sampler_split which, uint64_t n, uint64_t *begin, uint64_t *end,
                  struct err *err);

/* On failure *s is zeroed, which sampler_close() accepts. */
int sampler_open(struct sampler *s, const struct index *x, const struct sampler_options *opt, struct err *err);
void sampler_close(struct sampler *s);

/* Text of sample k < n_samples: sequence_length + 1 tokens (one less with no_extra_token), pad, or -1,
 * behind the end of a partial one. */
int sampler_get(const struct sampler *s, uint64_t k, int32_t *text, struct err *err);

/* The same as a trainer takes it, each [sequence_length] but tokens [sequence_length + 1]: inputs,
 * labels, whether a label counts, and positions.  Where a label is pad it does not count; inputs and
 * labels that are pad become 0. */
int sampler_train(const struct sampler *s, uint64_t k, int32_t *tokens, int32_t *labels, uint8_t *loss, int32_t *positions,
                  struct err *err);

#endif
