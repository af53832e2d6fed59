/* config.h - the shape of a model, read from an HF config.json by the key table of its family.
 *
 * Both spellings are read: transformers 4 (rope_theta, rope_scaling, torch_dtype) and 5
 * (rope_parameters, dtype).  What no program here implements is an error that names the key.
 */
#ifndef TRAIN_CONFIG_H
#define TRAIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"
#include "libcommon/format/json.h"

/* Which optional parameters a model has; parameter and name rows ask for a set of these. */
enum {
    CONFIG_UNTIED = 1,    /* the head has a matrix of its own */
    CONFIG_TIED = 2,      /* it uses the embedding's */
    CONFIG_QKV_BIAS = 4,
    CONFIG_O_BIAS = 8,
    CONFIG_MLP_BIAS = 16,
    CONFIG_WINDOW = 32, /* use_sliding_window */
};

enum config_rope { ROPE_NONE, ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN };

struct config_rope_scaling {
    int64_t type; /* enum config_rope */
    double theta, factor, low, high, beta_fast, beta_slow, attention_factor; /* 0: not given */
    int64_t original; /* original_max_position_embeddings; 0: not given */
    bool truncate;    /* yarn: floor and ceil the ramp's ends */
};

enum { CONFIG_EOS = 8 };

struct config {
    const struct arch *arch;
    int64_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn, max_pos;
    int64_t window; /* sliding window of the layers marked in windowed[]; 0: none */
    int64_t window_from; /* first layer that has it, unless layer_types says otherwise */
    bool *windowed; /* [layers] */
    int64_t act;    /* enum kernel_act */
    double norm_eps, init_std;
    unsigned bits; /* CONFIG_* */
    struct config_rope_scaling rope;
    int64_t bos, eos[CONFIG_EOS], n_eos, pad; /* token ids; -1: none */
    struct json_value *json;          /* the whole file, for the copy in a checkpoint */
    struct arena arena;               /* owns json, windowed */
};

/* A row of a family's key table: where a member of config.json goes. */
struct config_key {
    const char *name;
    enum config_kind { CONFIG_INT, CONFIG_REAL, CONFIG_FLAG, CONFIG_ACT, CONFIG_FIXED } kind;
    int offset;      /* in struct config; of a FLAG: the bits set when true */
    bool required;
    double dflt;     /* where it is absent or null; of a FIXED: the one value that is implemented */
};

/* Parse; the bytes stay the caller's, name is for messages. */
int config_parse(struct config *c, const void *json, size_t n, const char *name, struct err *err);
/* path: a config.json, or a directory that holds one; there the eos_token_id of generation_config.json
 * goes before config.json's, as in transformers. */
int config_open(struct config *c, const char *path, struct err *err);
void config_close(struct config *c);

/* Write the config.json of a checkpoint (io.h): as read, but with the element type of its weights
 * ("float32") and the architectures that transformers looks for. */
int config_save(const struct config *c, const char *dtype, const char *path, struct err *err);

/* A copy of a config.json's text (io.h) with the element type "bfloat16", say, in the place of the one it names;
 * every other byte as it is. */
int config_retype(const void *json, size_t n, const char *dtype, const char *path, struct err *err);

/* Does id end a generation? */
bool config_is_eos(const struct config *c, int64_t id);

#endif
