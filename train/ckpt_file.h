/* ckpt_file.h - shared by ckpt.c and ckpt_manifest.c. */
#ifndef TRAIN_CKPT_FILE_H
#define TRAIN_CKPT_FILE_H

#include "libcommon/base/io.h"
#include "train/ckpt.h"

/* Map dir/name, a regular file of at most `most` bytes. */
int ckpt_map(struct io_map *m, const char *dir, const char *name, uint64_t most, struct err *err);
/* Write dir/MANIFEST of the named files; sorts them. */
int ckpt_write_manifest(const char *dir, char **name, size_t n, struct err *err);

/* The steps of the checkpoints in a run's directory, in order (caller frees): how many, or -1.  With clean what a killed
 * run left is removed. */
int64_t ckpt_list(const char *out, bool clean, int64_t **steps, struct err *err);
/* "out/PREFIXstepSUFFIX"; caller frees. */
char *ckpt_step_path(const char *out, const char *prefix, int64_t step, const char *suffix);

/* Text files, which are small whatever a damaged one claims. */
#define CKPT_TEXT_MOST ((uint64_t)1 << 20)

#endif
