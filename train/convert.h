/* convert.h - weights from one naming scheme, cut and element type to another, never more than a few rows in memory.
 *
 * A source is an HF model directory, one .safetensors file, a run of lmtrain, or a Megatron-core checkpoint of
 * `--ckpt-format torch` (any tp x pp, virtual stages and uneven ones too).  All of it is checked before a byte is
 * written: missing, left-over, mismatched tensors; copies that differ; args against config.json.
 * Sources: megatron/training/checkpointing.py; transformers modeling_utils.py save_pretrained().
 */
#ifndef TRAIN_CONVERT_H
#define TRAIN_CONVERT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/err.h"

enum convert_form { CONVERT_HF, CONVERT_MEGATRON };

struct convert_options {
    enum convert_form to;
    const char *config;        /* a config.json, or the directory of one; NULL: the source's own */
    int64_t tp, pp;            /* of a Megatron checkpoint */
    int64_t divisible;         /* the vocabulary is padded to a multiple of this x tp */
    int dtype;                 /* enum dtype; -1: as they are */
    int64_t max_shard;         /* bytes of an HF file; 0: as the source, else 5 GB */
    bool force;                /* replace what stands at the destination */
    bool quiet;                /* no progress */
    void (*note)(const char *message);
    const volatile sig_atomic_t *stop; /* set by a signal: give up, leave nothing */
};

struct convert;

/* Open and check a source; src and o must outlive it.  NULL on error. */
struct convert *convert_open(const char *src, const struct convert_options *o, struct err *err);
/* Write the whole of it as directory dst, which appears at the end or not at all. */
int convert_save(struct convert *c, const char *dst, struct err *err);
void convert_close(struct convert *c);

/* Is the directory a Megatron checkpoint: one with latest_checkpointed_iteration.txt, or with mp_rank_*? */
bool convert_is_megatron(const char *dir);
/* What such a one holds (report.h): iteration, ranks, stages, totals, with list each tensor; all of it is checked as
 * convert_open() does, and every checksum.  Without a config.json the files are checked by themselves. */
struct report;
int convert_report(const char *dir, bool list, struct report *r, const char **verified, struct err *err);

/* From memory, of a Megatron checkpoint: what the tracker file names, "iter_0000001" or "release", to out; the
 * ranks that a directory's name "mp_rank_TT[_PPP]" stands for, false where it is another name. */
int convert_parse_tracker(const void *text, size_t n, const char *name, char out[32], struct err *err);
bool convert_parse_rank(const char *dir, int *tp, int *pp, int *numbers);

#endif
