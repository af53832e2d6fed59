/* torchzip_file.h - what the files of torchzip share: the pickle machine, its globals, the zip's records. */
#ifndef LIBCOMMON_WEIGHTS_TORCHZIP_FILE_H
#define LIBCOMMON_WEIGHTS_TORCHZIP_FILE_H

#include "libcommon/weights/torchzip.h"

#define TORCHZIP_DEPTH 64 /* containers in containers */
#define TORCHZIP_PATH 1024 /* bytes of a tensor's name */
#define TORCHZIP_PICKLE (1 << 25) /* bytes; what is made of one takes a hundred times as many at most */

struct torchzip_storage {
    const char *key;
    size_t key_n;
    int64_t count;   /* elements, each of `width` bytes */
    int width;
    bool untyped;    /* the tensor says which type */
    enum dtype dtype;
    const uint8_t *data; /* found after the pickle was read */
};

/* One run of the machine.  Values live in the arena. */
struct torchzip_pickle {
    const uint8_t *start, *p, *end, *at; /* at: the current opcode */
    const char *name;
    struct arena *arena;
    struct torchzip_value **stack, **memo;
    size_t n, cap, n_memo, cap_memo;
    size_t *mark; /* heights of the stack */
    size_t n_mark, cap_mark;
    struct torchzip_storage **storage; /* of this and former runs; the caller frees */
    size_t n_storage, cap_storage;
    struct torchzip_value *value; /* slabs, from the arena */
    struct torchzip_entry *entry;
    size_t values, entries; /* left in them */
    int protocol;
    struct err *err;
};

/* Run from v->p to STOP, behind which v->p is left; NULL on error. */
struct torchzip_value *torchzip_pickle_run(struct torchzip_pickle *v);
void torchzip_pickle_free(struct torchzip_pickle *v);

/* "NAME: byte N: ..." of the current opcode; returns -1. */
int torchzip_pickle_wrong(struct torchzip_pickle *v, const char *fmt, ...) ERR_PRINTF(2, 3);
struct torchzip_value *torchzip_pickle_new(struct torchzip_pickle *v, enum torchzip_type type);
void torchzip_pickle_add(struct torchzip_pickle *v, struct torchzip_value *list, const struct torchzip_value *key,
                         const struct torchzip_value *value);

/* What may be named in a pickle. */
struct torchzip_global {
    const char *module, *name;
    /* What calling it with args (a TUPLE) is taken for; NULL: it is never called.  NULL on error. */
    struct torchzip_value *(*make)(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args);
    enum { TORCHZIP_CALL, TORCHZIP_IS_DTYPE, TORCHZIP_IS_STORAGE, TORCHZIP_IS_UNTYPED } kind;
    enum dtype dtype;
};
const struct torchzip_global *torchzip_global_find(const char *module, size_t module_n, const char *name, size_t name_n);
/* torch's dtype, or its typed storage, for an element type; NULL where torch has none. */
const struct torchzip_global *torchzip_global_of(enum dtype dtype, int kind);

/* The zip's directory into z->record; every place and size checked. */
int torchzip_records(struct torchzip *z, struct err *err);
/* Record "ROOT/name", or NULL. */
const struct torchzip_record *torchzip_record(const struct torchzip *z, const char *name, size_t n);

/* Call leaf for everything below v that is no container, with its path.  -1 when leaf does, or when the
 * tree is too deep, a path too long, or more than `most` values are met (a value may stand in many places). */
struct torchzip_walk {
    int (*leaf)(struct torchzip_walk *w, const struct torchzip_value *v);
    void *ctx;
    const char *name;
    size_t most;
    char path[TORCHZIP_PATH + 1];
    size_t n;
    struct err *err;
};
int torchzip_walk(struct torchzip_walk *w, const struct torchzip_value *v);

#endif
