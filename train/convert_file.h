/* convert_file.h - what the files of convert share. */
#ifndef TRAIN_CONVERT_FILE_H
#define TRAIN_CONVERT_FILE_H

#include "libcommon/base/io.h"
#include "libcommon/weights/safetensors.h"
#include "libcommon/weights/torchzip.h"
#include "train/convert.h"
#include "train/scheme.h"

/* A tensor of the source: what it is, and where its elements are. */
struct convert_tensor {
    const struct scheme_tensor *t;
    const char *data;
    int64_t step[2]; /* in elements, along its axes */
    enum dtype dtype;
    const char *name, *file; /* as the file has it */
    const struct torchzip *z; /* or NULL */
    const struct torchzip_record *record; /* of z, or NULL */
};

/* One file of tensors; the tensors of an HF model's shards count as one. */
struct convert_file {
    const struct safetensors *st; /* or: */
    const struct torchzip *z;
    const char *path, *prefix; /* of names in it: "model." */
    bool *used;                /* a tensor */
};

struct convert {
    const struct convert_options *o;
    struct config config;
    const char *src;
    char *beside, *config_file; /* directory of the tokenizer's files; config.json */
    enum convert_form from;
    int tp, pp; /* of the source */
    bool no_prefix; /* its names have none */
    struct safetensors st;
    struct torchzip *zip;
    bool **sound; /* the checksum of each record of each has been looked at */
    int n_zips;
    struct scheme_list *list; /* one a file, or virtual stage of one */
    int n_lists;
    struct convert_tensor *tensor;
    int n;
    size_t cap;
    int32_t *first, *next; /* [layers + 1][P_COUNT]: tensor * SCHEME_PARTS + part, or -1; the one after it */
    /* what is to be as it was in the HF files */
    struct safetensors_meta *meta; /* NULL: there was none */
    int n_meta;
    bool one_file;
    const char *header; /* of that file, where it is not the one we would write (safetensors.h); or NULL */
    size_t header_n;
    int64_t n_other; /* tensors of a Megatron checkpoint that are no weights */
    struct arena arena;
    struct convert_scratch { /* of the copying */
        char *buf[2];
        float *floats;
        size_t buf_cap[2], floats_cap;
    } s;
    struct io_progress progress;
    uint64_t tensors, bytes; /* done */
};

char *convert_printf(struct arena *a, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Bind the tensors of a list to those of a file. */
int convert_bind(struct convert *c, const struct convert_file *f, const struct scheme_list *l, struct err *err);
/* No tensor of the file is left over. */
int convert_bind_rest(struct convert *c, const struct convert_file *f, struct err *err);
/* After the last file: where each parameter is; copies are the same. */
int convert_index(struct convert *c, struct err *err);

/* The element type that tensor t of the destination will have. */
int convert_dtype(const struct convert *c, const struct scheme_tensor *t, enum dtype *dtype, struct err *err);
/* The tensors that a file of the destination is to have: t[i] and what is read for it, d[i], for l->n at most; how
 * many, or -1. */
int convert_describe(const struct convert *c, const struct scheme_list *l, struct tensor *t, const struct scheme_tensor **d,
                     struct err *err);
/* All elements of tensor t, in its order, through put. */
int convert_put(struct convert *c, const struct scheme_tensor *t, enum dtype dtype,
                int (*put)(void *w, const void *data, size_t n, struct err *err), void *w, struct err *err);

/* -1 when a signal has come. */
int convert_stopped(const struct convert *c, struct err *err);

/* Sources: open, bind, check. */
int convert_open_hf(struct convert *c, const char *path, struct err *err);
int convert_open_megatron(struct convert *c, const char *iter, struct err *err);
/* Of a Megatron checkpoint (convert_is_megatron()): the directory of config.json, if there is one, and that of
 * mp_rank_*; both are the caller's to free. */
int convert_find_iteration(const char *dir, char **top, char **iter, struct err *err);
/* The files of all ranks, which are not held against anything. */
struct convert *convert_open_files(const char *iter, const struct convert_options *o, struct err *err);
int convert_open_ranks(struct convert *c, const char *iter, struct err *err);
/* After the files of tp x pp ranks are opened; iter is for messages. */
int convert_bind_megatron(struct convert *c, const char *iter, struct err *err);

/* Destinations: check first, then write into a directory that is there. */
int convert_check_hf(struct convert *c, struct err *err);
int convert_save_hf(struct convert *c, const char *dir, struct err *err);
int convert_check_megatron(struct convert *c, struct err *err);
int convert_save_megatron(struct convert *c, const char *dir, struct err *err);

/* The args of a Megatron checkpoint: as they are written; of a source: do they tell of what is not converted, do they
 * agree with config.json and what was found? */
const struct torchzip_value *convert_make_args(struct convert *c, struct arena *a, int64_t vocab);
int convert_refuse_args(const struct torchzip_value *args, const char *file, struct err *err);
int convert_check_args(const struct convert *c, const struct torchzip_value *args, int64_t vocab, const char *file, struct err *err);
/* What args carry of an HF source, as JSON; into c. */
int convert_read_origin(struct convert *c, const struct torchzip_value *args, const char *file, struct err *err);

#endif
