/* ckpt.h - checkpoints of a run, specified in lmcheckpoint(5): OUT/step_N is an HF model directory
 * (config.json, model.safetensors, the tokenizer's files) plus optimizer/exp_avg.safetensors,
 * optimizer/exp_avg_sq.safetensors, state.json, run.conf and MANIFEST (SHA-256 and size of every file).
 *
 * Tensors are stored whole under their published names, so that a checkpoint is a model for any
 * program.  A checkpoint is written as OUT/.step_N.tmp, every file fsynced, MANIFEST last, the
 * directory renamed, its parent fsynced: one that has its name is whole.  What a killed run left
 * (OUT/.step_N.tmp, .step_N.old) is removed at the next save.
 */
#ifndef TRAIN_CKPT_H
#define TRAIN_CKPT_H

#include <stdbool.h>
#include <stdint.h>

#include "train/model.h"

/* state.json: what a run needs beside tensors to go on as if it had never stopped. */
struct ckpt_state {
    int64_t step;    /* optimiser steps done */
    uint64_t samples; /* sequences consumed */
    uint64_t tokens;  /* that counted in the loss */
    uint64_t seed;
};

struct ckpt {
    struct model *m;
    float *exp_avg, *exp_avg_sq; /* of the model's layout */
    struct ckpt_state state;
    const char *tokenizer;       /* as tokenizer_open() takes it; copied beside; NULL: none; not read on loading */
    const char *conf;            /* resolved run.conf, text; not read on loading */
};

/* Write OUT/step_N (N = state.step; an old one of that name is replaced), then remove all but the newest
 * `keep` of those up to it (0: keep all).  Later ones, from before the run went back, stay.  OUT must
 * exist, and so must the tokenizer's directory: it is not to be a checkpoint that `keep` removes. */
int ckpt_save(const char *out, const struct ckpt *c, int keep, struct err *err);

/* Hold every file of a checkpoint against its MANIFEST; files that are not in it are ignored. */
int ckpt_verify(const char *path, struct err *err);

/* The same, and what it is (report.h): step, samples, tokens of the loss, seed, files and their sizes. */
struct report;
int ckpt_report(const char *path, struct report *r, struct err *err);
/* Of a run's directory: its checkpoints, all of which are verified. */
int ckpt_report_run(const char *out, struct report *r, struct err *err);

/* Path of the newest whole checkpoint in OUT (caller frees): a damaged one is named by warn() and the
 * one before it is taken.  1 found; 0 none; -1 an error, as is that all of them are damaged. */
int ckpt_find(const char *out, char **path, void (*warn)(const char *message), struct err *err);

/* Step of the newest checkpoint in OUT, whole or not; -1: there is none; -2: OUT cannot be read. */
int64_t ckpt_newest(const char *out);

/* Read weights, moments and state of a checkpoint, which ckpt_find() or ckpt_verify() has found whole, into c,
 * whose model has been laid out from path's config.json.  Missing, left-over, mismatched tensors are errors. */
int ckpt_load(const char *path, struct ckpt *c, struct err *err);

/* Names of files; ckpt_names_release(). */
struct ckpt_names {
    char **v;
    size_t n, cap;
};
void ckpt_names_release(struct ckpt_names *names);

/* Copy the files of a tokenizer (tokenizer_each_file()), and of its directory what a chat and generation need; their
 * names are added. */
int ckpt_copy_tokenizer(const char *from, const char *to, struct ckpt_names *names, struct err *err);

/* From memory: state.json; a MANIFEST, whose files are handed out in order.  Their paths are relative
 * and stay below the directory. */
int ckpt_parse_state(struct ckpt_state *s, const void *json, size_t n, const char *name, struct err *err);
int ckpt_check_manifest(const void *text, size_t n, const char *name,
                        int (*file)(void *ctx, const char *path, uint64_t size, const uint8_t sha256[32],
                                    struct err *err),
                        void *ctx, struct err *err);

#endif
