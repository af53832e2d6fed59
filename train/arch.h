/* arch.h - a model family as tables (DESIGN.md 4.2).
 *
 * A family is a const struct arch in train/arch/X.c: its parameters, one straight-line program per
 * kind of layer (and for embedding and head), the names its tensors are published under, and the map of
 * its config.json.  Loading, saving, initialising, counting, planning, forward and backward walk these
 * rows; nothing outside train/arch/ asks which family it is.
 */
#ifndef TRAIN_ARCH_H
#define TRAIN_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "train/config.h"

/* Sizes, computed from a config by arch_dim(). */
enum arch_dim { DIM_NONE, DIM_VOCAB, DIM_HIDDEN, DIM_Q, DIM_KV, DIM_FFN, DIM_POS };
int64_t arch_dim(const struct config *c, enum arch_dim d);

/* Canonical parameters: the smallest units anyone publishes or adapts. */
enum arch_param_id {
    P_NONE,
    P_EMBED, P_POS_EMBED,
    P_ATTN_NORM, P_ATTN_NORM_B, P_Q, P_Q_B, P_K, P_K_B, P_V, P_V_B, P_O, P_O_B,
    P_MLP_NORM, P_MLP_NORM_B, P_GATE, P_GATE_B, P_UP, P_UP_B, P_DOWN, P_DOWN_B,
    P_FINAL_NORM, P_FINAL_NORM_B, P_HEAD,
    P_COUNT
};

/* How the ranks of a tensor parallel group share a parameter: each has all of it, a range of its rows, of its
 * columns, or of the rows of a vocabulary that is padded first. */
enum arch_split { SPLIT_COPIED, SPLIT_ROWS, SPLIT_COLUMNS, SPLIT_VOCAB };

enum arch_init { INIT_NORMAL, INIT_RESIDUAL, INIT_ONE, INIT_ZERO }; /* RESIDUAL: std / sqrt(2 layers) */

struct arch_param {
    enum arch_param_id id;
    enum arch_dim rows, cols; /* cols NONE: a vector */
    bool layer;               /* one a layer */
    enum arch_split split;
    unsigned when;            /* CONFIG_* bits it needs; 0: always */
    enum arch_init init;
    enum arch_param_id bias;  /* of a LINEAR's or NORM's weight; used where it exists */
    enum arch_param_id tied;  /* whose storage it uses when it does not exist itself */
};

/* One op of a program.  Values are small numbers in single assignment; 0 is none, VALUE_X the input. */
enum { VALUE_NONE, VALUE_X };
enum { ARCH_OUT = 3, ARCH_IN = 5, ARCH_PARAM = 4, ARCH_VALUES = 32 };

struct arch_row {
    int op; /* enum op_id */
    uint8_t out[ARCH_OUT], in[ARCH_IN];
    uint8_t param[ARCH_PARAM]; /* enum arch_param_id; a LINEAR's lie side by side and share one product */
    int arg;                   /* op's own: kind of norm */
};

struct arch_program {
    const struct arch_row *row;
    int n;
    uint8_t result; /* value handed on: next layer's VALUE_X */
};

/* How published files spell parameters.  Rows with one name are parts of one tensor, in their order. */
enum arch_layout {
    LAYOUT_PLAIN,      /* [rows, cols], the parts one after the other */
    LAYOUT_TRANSPOSED, /* [cols, rows], GPT-2's Conv1D */
    LAYOUT_GROUPED,    /* for each key head its share of the rows of every part: Megatron's linear_qkv */
};

struct arch_name {
    enum arch_param_id param;
    const char *name; /* "{l}" stands for the layer */
    enum arch_layout layout;
};

/* One way of spelling all of them (train/scheme.h). */
struct arch_scheme {
    const struct arch_name *names; /* another name of a parameter that has one: read, never written */
    int n_names;
    const char *prefix;         /* of every name, in some files and not in others; or NULL */
    const char *const *ignored; /* published buffers that are no parameters, "{l}" or a leading "*"; NULL-ended */
};

struct arch {
    const char *model_type, *class_name; /* of config.json */
    const struct config_key *keys, *more_keys; /* each ended by a row without a name; more may be NULL */
    void (*finish)(struct config *c); /* what the keys alone do not say; or NULL */
    const struct arch_param *params;
    int n_params;
    struct arch_program embed, layer, head;
    const struct arch_scheme *hf, *megatron; /* Hugging Face's names; Megatron-core's, or NULL */
};

/* By config.json's model_type, or NULL. */
const struct arch *arch_find(const char *model_type);
/* All of them, NULL at the end. */
extern const struct arch *const arch_all[];

/* The parameter's row, or NULL; does it exist under these bits? */
const struct arch_param *arch_param(const struct arch *a, enum arch_param_id id);
bool arch_has(const struct config *c, enum arch_param_id id);

#define ARCH_PROGRAM(rows, result) { rows, sizeof(rows) / sizeof *(rows), result }

#endif
