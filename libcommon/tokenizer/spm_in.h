/* spm_in.h - what the files of spm.h share. */
#ifndef LIBCOMMON_TOKENIZER_SPM_IN_H
#define LIBCOMMON_TOKENIZER_SPM_IN_H

#include <math.h>

#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/charids.h"
#include "libcommon/text/charsmap.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/text/trie.h"
#include "libcommon/tokenizer/unigram.h"
#include "libcommon/tokenizer/wordcache.h"

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
    double steepest; /* the most that a step adds to a sum, or takes from it */
};

struct spm_scratch {
    const struct spm *m;
    uint32_t *id; /* symbols */
    size_t id_cap;
    struct merges_scratch merges;
    uint32_t *stack; /* of pieces to be split */
    size_t stack_cap;
    struct unigram_scratch unigram;
    /* Of this text, out[0..n): the sum of the scores of out[0..summed); what it is at most; the steps behind that,
     * and in front of which ids among them were characters without a piece, whose ids have no score. */
    double sum, base;
    size_t summed, steps, *unknown, n_unknown, unknown_cap;
    /* The part encoded last has the same ids wherever the sum is nearer to 0 (Unigram: unigram.h); 0: not even then. */
    float limit;
    struct wordcache cache; /* parts: the limit and the ids; the limit alone of a character without a piece */
    struct wordcache_batch batch;
    uint32_t *kept; /* what goes into the cache */
    size_t kept_n, kept_cap;
};

/* Everything that follows from the pieces: ids, borders, merges, tries. */
int spm_prepare(struct spm *m, struct err *err);
void spm_prepare_bpe(struct spm *m);

/* Text through a spec into out, where `compact` with one byte 0x20 for U+2581; the user-defined pieces of m stay,
 * where m is not NULL.  16 bytes behind it can be read. */
size_t spm_apply(const struct spm_spec *spec, const struct spm *m, bool compact, const char *text, size_t n, char **out,
                 size_t *cap);

/* Do the ids of parts depend on those before them?  Unigram's, and where neighbours can become one unknown piece. */
bool spm_hangs_together(const struct spm *m);
/* Where the normal form may be cut, for parts one behind the other; NULL: nowhere. */
const struct border *spm_part_border(const struct spm *m);
/* Begin a text. */
void spm_begin(struct spm_scratch *s);
/* Append the ids of its next part, up to a border or the end, to those before, out[0..n), which has room for 3 part_n
 * more: the new n. */
size_t spm_encode_part(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out, size_t n);

#define SPM_FAR 65536 /* steps: each rounds the sum to 24 bits, all of them together to 1 in 256 */

/* Bring the sum up to out[0..n). */
void spm_add_up(const struct spm *m, struct spm_scratch *s, const uint32_t *out, size_t n);
/* Is the sum of out[0..n) nearer to 0?  Mostly the number of steps tells. */
static inline bool spm_holds(const struct spm *m, struct spm_scratch *s, float limit, const uint32_t *out, size_t n)
{
    if (s->steps < SPM_FAR && s->base + 1.01 * m->steepest * (double)s->steps < (double)limit)
        return true;
    spm_add_up(m, s, out, n);
    return fabs(s->sum) < (double)limit;
}

/* Append the ids of a part, or of a character without a piece, to out[0..n): the new n. */
size_t spm_encode_bpe(const struct spm *m, struct spm_scratch *s, const char *part, size_t part_n, uint32_t *out, size_t n);
size_t spm_unknown(struct spm_scratch *s, const char *c, size_t len, uint32_t *out, size_t n);
/* The same of one that is a part, where there is no byte fallback. */
size_t spm_lone(struct spm_scratch *s, uint32_t *out, size_t n);

#endif
