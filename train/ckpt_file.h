/* ckpt_file.h - shared by ckpt.c and ckpt_manifest.c. */
#ifndef TRAIN_CKPT_FILE_H
#define TRAIN_CKPT_FILE_H

#include "libcommon/base/io.h"
#include "train/ckpt.h"

/* Map dir/name, a regular file of at most `most` bytes. */
int ckpt_map(struct io_map *m, const char *dir, const char *name, uint64_t most, struct err *err);
/* Write dir/MANIFEST of the named files; sorts them. */
int ckpt_write_manifest(const char *dir, const char **name, size_t n, struct err *err);

/* Text files, which are small whatever a damaged one claims. */
#define CKPT_TEXT_MOST ((uint64_t)1 << 20)

#endif
