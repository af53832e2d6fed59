#include "train/ckpt.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/tree.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "train/ckpt_file.h"

enum { STATE_VERSION = 1 };

static const struct {
    const char *key;
    size_t offset;
    uint64_t most;
} state_keys[] = {
    { "step", offsetof(struct ckpt_state, step), INT64_MAX },
    { "samples", offsetof(struct ckpt_state, samples), UINT64_MAX },
    { "tokens", offsetof(struct ckpt_state, tokens), UINT64_MAX },
    { "seed", offsetof(struct ckpt_state, seed), UINT64_MAX },
};
enum { STATE_KEYS = sizeof state_keys / sizeof *state_keys };

/* What is copied of a tokenizer's directory beside what tokenizer_open() reads there. */
static const char *const beside_tokenizer[] = {
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "generation_config.json", "special_tokens_map.json",
};
enum { BESIDE = sizeof beside_tokenizer / sizeof *beside_tokenizer };

#define WEIGHTS "model.safetensors"
#define EXP_AVG "optimizer/exp_avg.safetensors"
#define EXP_AVG_SQ "optimizer/exp_avg_sq.safetensors"
#define STATE "state.json"

/* A JSON number that is an integer within 0..most. */
static int read_count(const struct json_value *root, const char *key, uint64_t most, uint64_t *out, const char *name,
                      struct err *err)
{
    const struct json_value *v = json_get(root, key);

    if (!v || v->type != JSON_NUMBER)
        return err_set(err, "%s: '%s' is missing or no number", name, key);
    *out = 0;
    for (const char *p = v->str; *p; p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *p - '0', out) ||
            *out > most)
            return err_set(err, "%s: %s: %s is not an integer within 0..%" PRIu64, name, key, v->str, most);
    return 0;
}

int ckpt_parse_state(struct ckpt_state *s, const void *json, size_t n, const char *name, struct err *err)
{
    struct arena a;
    struct json_value *root;
    uint64_t v;
    int rc = 0;

    arena_init(&a);
    root = json_tree(&a, json, n, name, err);
    if (!root || read_count(root, "version", UINT64_MAX, &v, name, err) < 0)
        rc = -1;
    else if (v != STATE_VERSION)
        rc = err_set(err, "%s: version %" PRIu64 ", not %d", name, v, STATE_VERSION);
    for (int i = 0; i < STATE_KEYS && rc == 0; i++) {
        rc = read_count(root, state_keys[i].key, state_keys[i].most, &v, name, err);
        if (rc == 0)
            memcpy((char *)s + state_keys[i].offset, &v, sizeof v);
    }
    arena_release(&a);
    return rc;
}

static int save_state(const struct ckpt *c, const char *path, struct err *err)
{
    char text[512];
    int n = snprintf(text, sizeof text, "{\n  \"version\": %d", STATE_VERSION);

    for (int i = 0; i < STATE_KEYS; i++) {
        uint64_t v;

        memcpy(&v, (const char *)&c->state + state_keys[i].offset, sizeof v);
        n += snprintf(text + n, sizeof text - (size_t)n, ",\n  \"%s\": %" PRIu64, state_keys[i].key, v);
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "\n}\n");
    return io_save(path, text, (size_t)n, err);
}

/* Is it PREFIX digits SUFFIX, as a number is spelled here? */
static bool is_step(const char *name, const char *prefix, const char *suffix, int64_t *step)
{
    size_t n = strlen(prefix);
    const char *p = name + n;

    if (strncmp(name, prefix, n) != 0 || *p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    for (*step = 0; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*step, 10, step) || __builtin_add_overflow(*step, *p - '0', step))
            return false;
    return strcmp(p, suffix) == 0;
}

static int by_step(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* Steps of the checkpoints in OUT, ascending (caller frees): their number, or -1.  clean: remove what a
 * killed run left. */
int64_t ckpt_list(const char *out, bool clean, int64_t **steps, struct err *err)
{
    DIR *d = opendir(out);
    struct dirent *e;
    size_t n = 0, cap = 0;
    int64_t step;
    int rc = 0;

    *steps = NULL;
    if (!d)
        return err_set(err, "%s:", out);
    while (rc == 0 && (e = readdir(d))) {
        if (is_step(e->d_name, "step_", "", &step)) {
            mem_grow(steps, &cap, n + 1, sizeof **steps);
            (*steps)[n++] = step;
        } else if (clean && (is_step(e->d_name, ".step_", ".tmp", &step) || is_step(e->d_name, ".step_", ".old", &step))) {
            char *path = tree_join(out, e->d_name);

            rc = tree_remove(path, err);
            free(path);
        }
    }
    closedir(d);
    if (rc < 0)
        return -1;
    if (n)
        qsort(*steps, n, sizeof **steps, by_step);
    return (int64_t)n;
}

char *ckpt_step_path(const char *out, const char *prefix, int64_t step, const char *suffix)
{
    char name[64];

    snprintf(name, sizeof name, "%s%" PRId64 "%s", prefix, step, suffix);
    return tree_join(out, name);
}

/* Rename checkpoints away, make that last, and only then take them apart. */
static int retire(const char *out, const int64_t *steps, int64_t n, struct err *err)
{
    char *inside = tree_join(out, "x");
    int rc = 0;

    for (int pass = 0; pass < 2 && n > 0 && rc == 0; pass++) {
        for (int64_t i = 0; i < n && rc == 0; i++) {
            char *from = ckpt_step_path(out, "step_", steps[i], ""), *to = ckpt_step_path(out, ".step_", steps[i], ".old");

            if (pass == 0)
                rc = rename(from, to) < 0 ? err_set(err, "%s: rename:", from) : 0;
            else
                rc = tree_remove(to, err);
            free(from);
            free(to);
        }
        if (rc == 0 && pass == 0)
            rc = io_sync_dir(inside, err);
    }
    free(inside);
    return rc;
}

struct copying {
    const char *to;
    struct ckpt_names *names;
};

static void add_name(struct ckpt_names *names, const char *name)
{
    mem_grow(&names->v, &names->cap, names->n + 1, sizeof *names->v);
    names->v[names->n++] = xstrdup(name);
}

static int copy_file(void *ctx, const char *path, const char *name, struct err *err)
{
    struct copying *c = ctx;
    char *to = tree_join(c->to, name);
    struct io_map m;
    int rc = io_map(&m, path, err);

    if (rc == 0) {
        rc = io_save(to, m.data, m.size, err);
        io_unmap(&m);
    }
    if (rc == 0)
        add_name(c->names, name);
    free(to);
    return rc;
}

int ckpt_copy_tokenizer(const char *from, const char *to, struct ckpt_names *names, struct err *err)
{
    struct copying c = { to, names };
    char *dir = tokenizer_dir(from);
    int rc = tokenizer_each_file(from, copy_file, &c, err);

    for (int i = 0; i < BESIDE && dir && rc == 0; i++)
        if (tree_holds(dir, beside_tokenizer[i])) {
            char *path = tree_join(dir, beside_tokenizer[i]);

            rc = copy_file(&c, path, beside_tokenizer[i], err);
            free(path);
        }
    free(dir);
    return rc;
}

void ckpt_names_release(struct ckpt_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

static int save_weights(const struct ckpt *c, const char *path, struct err *err)
{
    return model_save(c->m, c->m->w, path, err);
}

static int save_exp_avg(const struct ckpt *c, const char *path, struct err *err)
{
    return model_save(c->m, c->exp_avg, path, err);
}

static int save_exp_avg_sq(const struct ckpt *c, const char *path, struct err *err)
{
    return model_save(c->m, c->exp_avg_sq, path, err);
}

static int save_config(const struct ckpt *c, const char *path, struct err *err)
{
    return config_save(&c->m->config, "float32", path, err);
}

static int save_conf(const struct ckpt *c, const char *path, struct err *err)
{
    return io_save(path, c->conf, strlen(c->conf), err);
}

/* A checkpoint's own files. */
static const struct {
    const char *name;
    int (*save)(const struct ckpt *c, const char *path, struct err *err);
} own[] = {
    { "config.json", save_config }, { WEIGHTS, save_weights }, { EXP_AVG, save_exp_avg },
    { EXP_AVG_SQ, save_exp_avg_sq }, { STATE, save_state },    { "run.conf", save_conf },
};
enum { OWN = sizeof own / sizeof *own };

static int fill(const struct ckpt *c, const char *dir, struct err *err)
{
    struct ckpt_names names = { 0 };
    char *sub = tree_join(dir, "optimizer");
    int rc = mkdir(dir, 0777) < 0 || mkdir(sub, 0777) < 0 ? err_set(err, "%s:", dir) : 0;

    free(sub);
    for (int i = 0; i < OWN && rc == 0; i++) {
        char *path = tree_join(dir, own[i].name);

        rc = own[i].save(c, path, err);
        free(path);
        add_name(&names, own[i].name);
    }
    if (rc == 0 && c->tokenizer)
        rc = ckpt_copy_tokenizer(c->tokenizer, dir, &names, err);
    if (rc == 0)
        rc = ckpt_write_manifest(dir, names.v, names.n, err);
    ckpt_names_release(&names);
    return rc;
}

int ckpt_save(const char *out, const struct ckpt *c, int keep, struct err *err)
{
    int64_t *steps, n = ckpt_list(out, true, &steps, err), up_to = 0, step = c->state.step;
    char *tmp = ckpt_step_path(out, ".step_", step, ".tmp"), *old = ckpt_step_path(out, ".step_", step, ".old");
    char *path = ckpt_step_path(out, "step_", step, "");
    struct err ignored; /* there is an error already */
    int rc = n < 0 ? -1 : 0;

    if (rc == 0) {
        rc = fill(c, tmp, err);
        if (rc < 0)
            tree_remove(tmp, &ignored);
    }
    if (rc == 0)
        rc = tree_publish(tmp, path, old, err);
    while (up_to < n && steps[up_to] < step)
        up_to++;
    if (rc == 0 && keep > 0)
        rc = retire(out, steps, up_to - (keep - 1), err);
    free(tmp);
    free(old);
    free(path);
    free(steps);
    return rc;
}

int ckpt_find(const char *out, char **path, void (*warn)(const char *message), struct err *err)
{
    int64_t *steps, n;
    struct err why;
    int rc = 0;

    *path = NULL;
    if (access(out, F_OK) < 0 && errno == ENOENT)
        return 0;
    n = ckpt_list(out, false, &steps, err);
    for (int64_t i = n - 1; i >= 0 && rc == 0; i--) {
        *path = ckpt_step_path(out, "step_", steps[i], "");
        rc = ckpt_verify(*path, &why) == 0;
        if (rc == 0) {
            warn(why.msg);
            free(*path);
            *path = NULL;
        }
    }
    free(steps);
    if (n < 0 || (n > 0 && rc == 0 && err_set(err, "%s: none of %" PRId64 " checkpoints is whole", out, n) < 0))
        return -1;
    return rc;
}

int64_t ckpt_newest(const char *out)
{
    struct err ignored;
    int64_t *steps, n = ckpt_list(out, false, &steps, &ignored), newest = n > 0 ? steps[n - 1] : n ? -2 : -1;

    free(steps);
    return newest;
}

/* An array of the model's layout out of one file of the checkpoint. */
static int load_array(struct model *m, float *base, const char *dir, const char *name, struct err *err)
{
    char *path = tree_join(dir, name);
    int rc = model_load(m, base, path, err);

    free(path);
    return rc;
}

int ckpt_load(const char *path, struct ckpt *c, struct err *err)
{
    char *name = tree_join(path, STATE);
    struct io_map m = { 0 };
    int rc = ckpt_map(&m, path, STATE, CKPT_TEXT_MOST, err) < 0 ||
                     ckpt_parse_state(&c->state, m.data, m.size, name, err) < 0
                 ? -1
                 : 0;

    io_unmap(&m);
    free(name);
    if (rc < 0 || load_array(c->m, c->m->w, path, WEIGHTS, err) < 0 || load_array(c->m, c->exp_avg, path, EXP_AVG, err) < 0)
        return -1;
    return load_array(c->m, c->exp_avg_sq, path, EXP_AVG_SQ, err);
}
