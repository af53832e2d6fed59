/* spm_in.h - what the files of spm.h share. */
#ifndef LIBCOMMON_TOKENIZER_SPM_IN_H
#define LIBCOMMON_TOKENIZER_SPM_IN_H

#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/charids.h"
#include "libcommon/text/charsmap.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/text/trie.h"
#include "libcommon/tokenizer/unigram.h"

#define SPM_BAR "\xe2\x96\x81" /* U+2581 */

/* A NormalizerSpec. */
struct spm_spec {
    char *name;
    bool dummy_prefix, squeeze, escape, has_map;
    struct charsmap map;
};

struct spm {
    struct spm_info info;
    float *score;                  /* [n_pieces] */
    uint8_t *type;                 /* [n_pieces] enum spm_type */
    struct lexicon names, special; /* what text can be (normal, user-defined, unused), and the others */
    char *unk_surface;             /* what an unknown piece is in text */
    size_t unk_surface_n;
    char *text;                    /* what the pieces stand for, one behind the other */
    size_t *text_at;               /* [n_pieces + 1] */
    char *own[3]; /* spelling of bos, eos, pad */
    struct spm_spec normal, denormal;
    bool has_user;
    struct trie user[2]; /* user-defined pieces as they stand in a text, and as in its normal form */
    struct border border;
    uint32_t byte_id[256];
    /* BPE, char */
    struct charids chars;
    struct merges merges;
    uint32_t ascii[128 * 128]; /* merges of two ASCII characters of the normal form */
    uint32_t *made_by; /* [n_pieces] the merge that makes an unused piece, else SPM_NONE; NULL: there are none */
    /* Unigram */
    struct unigram unigram;
};

struct spm_scratch {
    const struct spm *m;
    uint32_t *id; /* symbols */
    size_t id_cap;
    struct merges_scratch merges;
    uint32_t *stack; /* of pieces to be split */
    size_t stack_cap;
    struct unigram_scratch unigram;
    double sum;  /* of the scores of this text's ids */
    float limit; /* see spm_limit() */
};

/* Everything that follows from the pieces: ids, borders, merges, tries. */
int spm_prepare(struct spm *m, struct err *err);
void spm_prepare_bpe(struct spm *m);

/* Text through a spec into out, where `compact` with one byte 0x20 for U+2581; the user-defined pieces of m stay,
 * where m is not NULL.  16 bytes behind it can be read. */
size_t spm_apply(const struct spm_spec *spec, const struct spm *m, bool compact, const char *text, size_t n, char **out,
                 size_t *cap);

/* Append the ids of a part, or of a character without a piece, to out[0..n): the new n. */
size_t spm_encode_bpe(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out, size_t n);
size_t spm_unknown(struct spm_scratch *s, const char *c, size_t len, uint32_t *out, size_t n);

#endif
