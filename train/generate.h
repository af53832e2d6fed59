/* generate.h - continue many prompts at once: a slot of the session a sequence, the next prompt begins as
 * soon as one is free. */
#ifndef TRAIN_GENERATE_H
#define TRAIN_GENERATE_H

#include "train/infer.h"
#include "train/sample.h"

enum generate_end { GENERATE_LENGTH, GENERATE_EOS, GENERATE_STOP };

struct generate_request {
    int32_t *ids;      /* [n + most]: the prompt, then what is generated; the caller's */
    int64_t n, most;   /* tokens of the prompt; to generate at most; both at least 1 */
    uint64_t sequence; /* key of its random numbers, with the seed and the position */
    void *ctx;
    /* out */
    int64_t made; /* tokens generated, without the one that ends */
    enum generate_end end;
};

struct generate {
    struct infer *session; /* cached; its capacity is n + most and more for all requests */
    struct sample_options sample;
    bool ignore_eos;
    /* A token was made (not the one that ends): true stops the sequence. */
    bool (*token)(struct generate_request *r, int32_t id);
    /* A sequence is finished; -1 ends it all.  May be NULL. */
    int (*done)(struct generate_request *r, struct err *err);
};

int generate_run(const struct generate *g, struct generate_request *r, int n, struct err *err);

#endif
