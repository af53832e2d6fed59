/* What a source is, where its config.json is; a destination that appears whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/tree.h"
#include "train/ckpt.h"
#include "train/convert_file.h"

#define TRACKER "latest_checkpointed_iteration.txt"
#define INDEX "model.safetensors.index.json"

static bool is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Without the slashes at its end. */
static char *trimmed(const char *path)
{
    char *s = xstrdup(path);

    for (size_t n = strlen(s); n > 1 && s[n - 1] == '/';)
        s[--n] = 0;
    return s;
}

/* The directory that holds path. */
static char *parent(const char *path)
{
    char *s = trimmed(path), *slash = strrchr(s, '/');

    if (!slash) {
        free(s);
        return xstrdup(".");
    }
    slash[slash == s] = 0;
    return s;
}

/* ---- sources ---- */

/* Where config.json and the tokenizer's files are: as told, or in dir. */
static int open_config(struct convert *c, const char *dir, struct err *err)
{
    const char *told = c->o->config;
    bool own = !told || !is_dir(told);

    c->beside = xstrdup(own ? dir : told);
    if (told && own)
        c->config_file = xstrdup(told);
    else
        c->config_file = tree_join(c->beside, "config.json");
    if (!told && access(c->config_file, F_OK) < 0)
        return err_set(err, "%s: no config.json is there: name one with --config", dir);
    return config_open(&c->config, c->config_file, err);
}

static int open_hf(struct convert *c, const char *path, const char *dir, struct err *err)
{
    c->from = CONVERT_HF;
    return open_config(c, dir, err) < 0 ? -1 : convert_open_hf(c, path, err);
}

bool convert_is_megatron(const char *dir)
{
    static const char *const marks[] = { TRACKER, "mp_rank_00", "mp_rank_00_000", "mp_rank_00_000_000" };

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (tree_holds(dir, marks[i]))
            return true;
    return false;
}

/* What the tracker names; NULL on error. */
static char *tracked(const char *dir, struct err *err)
{
    char *file = tree_join(dir, TRACKER), *iter = NULL, name[32];
    struct io_map m = { 0 };

    if (io_map(&m, file, err) == 0 && convert_parse_tracker(m.data, m.size, file, name, err) == 0) {
        iter = tree_join(dir, name);
        if (!is_dir(iter)) {
            err_set(err, "%s: %s is not there", file, iter);
            free(iter);
            iter = NULL;
        }
    }
    io_unmap(&m);
    free(file);
    return iter;
}

int convert_find_iteration(const char *dir, char **top, char **iter, struct err *err)
{
    if (tree_holds(dir, TRACKER)) {
        *iter = tracked(dir, err);
        *top = *iter ? xstrdup(dir) : NULL;
        return *iter ? 0 : -1;
    }
    *iter = trimmed(dir);
    *top = tree_holds(dir, "config.json") ? xstrdup(dir) : parent(dir);
    return 0;
}

static int open_megatron(struct convert *c, const char *dir, struct err *err)
{
    char *top, *iter;
    int rc = convert_find_iteration(dir, &top, &iter, err);

    if (rc < 0)
        return -1;
    c->from = CONVERT_MEGATRON;
    rc = open_config(c, top, err);
    if (rc == 0 && !c->config.arch->megatron)
        rc = err_set(err, "%s: model_type %s: Megatron's names of it are not known", c->config_file, c->config.arch->model_type);
    if (rc == 0)
        rc = convert_open_megatron(c, iter, err);
    free(top);
    free(iter);
    return rc;
}

/* A run of lmtrain: its newest whole checkpoint. */
static int open_run(struct convert *c, const char *dir, struct err *err)
{
    char *step = NULL;
    int rc = ckpt_find(dir, &step, c->o->note, err);

    if (rc == 1)
        rc = open_hf(c, step, step, err);
    free(step);
    return rc;
}

static int open_file(struct convert *c, const char *path, struct err *err)
{
    struct io_map m;
    char *dir;
    bool torch;
    int rc;

    if (io_map(&m, path, err) < 0)
        return -1;
    torch = torchzip_is(m.data, m.size);
    io_unmap(&m);
    if (torch)
        return err_set(err, "%s: a file of torch.save(): name the directory that holds mp_rank_*", path);
    dir = parent(path);
    rc = open_hf(c, path, dir, err);
    free(dir);
    return rc;
}

static int open_source(struct convert *c, const char *src, struct err *err)
{
    if (!is_dir(src))
        return open_file(c, src, err);
    if (convert_is_megatron(src))
        return open_megatron(c, src, err);
    if (tree_holds(src, "model.safetensors") || tree_holds(src, INDEX))
        return open_hf(c, src, src, err);
    if (tree_holds(src, ".metadata") || tree_holds(src, "metadata.json"))
        return err_set(err, "%s: a distributed checkpoint: only --ckpt-format torch is read", src);
    if (ckpt_newest(src) >= 0)
        return open_run(c, src, err);
    return err_set(err, "%s: neither model.safetensors, its index, mp_rank_00, " TRACKER " nor a checkpoint of lmtrain is there", src);
}

static struct convert *new(const char *src, const struct convert_options *o)
{
    struct convert *c = xcalloc(1, sizeof *c);

    c->o = o;
    c->src = src;
    arena_init(&c->arena);
    return c;
}

struct convert *convert_open_files(const char *iter, const struct convert_options *o, struct err *err)
{
    struct convert *c = new(iter, o);

    if (convert_open_ranks(c, iter, err) < 0) {
        convert_close(c);
        return NULL;
    }
    return c;
}

struct convert *convert_open(const char *src, const struct convert_options *o, struct err *err)
{
    struct convert *c = new(src, o);

    if (open_source(c, src, err) < 0 || convert_index(c, err) < 0 ||
        (o->to == CONVERT_HF ? convert_check_hf : convert_check_megatron)(c, err) < 0) {
        convert_close(c);
        return NULL;
    }
    return c;
}

void convert_close(struct convert *c)
{
    for (int i = 0; i < c->n_lists; i++)
        scheme_free(&c->list[i]);
    for (int i = 0; i < c->n_zips; i++) {
        torchzip_close(&c->zip[i]);
        free(c->sound[i]);
    }
    safetensors_close(&c->st);
    config_close(&c->config);
    arena_release(&c->arena);
    free(c->list);
    free(c->zip);
    free(c->sound);
    free(c->tensor);
    free(c->first);
    free(c->next);
    free(c->s.buf[0]);
    free(c->s.buf[1]);
    free(c->s.floats);
    free(c->beside);
    free(c->config_file);
    free(c);
}

/* ---- the destination ---- */

/* One of the two is the other, or in it. */
static bool overlap(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), least = n < m ? n : m;

    return strncmp(a, b, least) == 0 && (n == m || (n < m ? b[n] : a[m]) == '/' || least == 1);
}

/* dst may be new, or an empty directory; with --force a model or checkpoint stands there. */
static int check_place(const struct convert *c, const char *dst, struct err *err)
{
    char source[PATH_MAX], place[PATH_MAX], *up = parent(dst);
    struct stat st;
    int rc = 0;

    if (!realpath(c->src, source))
        rc = err_set(err, "%s:", c->src);
    else if (!realpath(up, place))
        rc = err_set(err, "%s:", up);
    free(up);
    if (rc < 0)
        return -1;
    if (stat(dst, &st) == 0) {
        snprintf(place, sizeof place, "%s", dst);
        if (overlap(source, place))
            return err_set(err, "%s: source and destination are one, or one is in the other", dst);
        if (!S_ISDIR(st.st_mode))
            return err_set(err, "%s: not a directory", dst);
        if (tree_is_empty(dst))
            return 0;
        if (!c->o->force)
            return err_set(err, "%s: is there, and not empty: --force replaces it", dst);
        if (!tree_holds(dst, TRACKER) && !tree_holds(dst, "config.json"))
            return err_set(err, "%s: holds neither " TRACKER " nor config.json: not replaced", dst);
        return 0;
    }
    if (lstat(dst, &st) == 0)
        return err_set(err, "%s: a link to nothing", dst);
    strncat(place, "/", sizeof place - strlen(place) - 1);
    if (strncmp(source, place, strlen(source)) == 0 && place[strlen(source)] == '/')
        return err_set(err, "%s: in the source %s", dst, source);
    return 0;
}

/* The directory to write in, new, and locked until the descriptor is closed: what a killed run left there is
 * removed, what another is writing is not. */
static int make_tmp(const char *tmp, struct err *err)
{
    struct stat st;
    int fd = -1;

    for (int pass = 0; pass < 2; pass++) {
        if (pass && mkdir(tmp, 0777) < 0)
            return err_set(err, "%s:", tmp);
        if (stat(tmp, &st) < 0)
            continue;
        fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
            err_set(err, fd < 0 || errno != EWOULDBLOCK ? "%s:" : "%s: another run writes there", tmp);
            if (fd >= 0)
                close(fd);
            return -1;
        }
        if (pass)
            return fd;
        if (tree_remove(tmp, err) < 0) {
            close(fd);
            return -1;
        }
        close(fd);
    }
    return fd;
}

/* What is not weights: config.json, with another element type where it has changed, and the tokenizer's files. */
static int save_beside(struct convert *c, const char *dir, struct err *err)
{
    static const char *const torch[] = { [DTYPE_F32] = "float32", [DTYPE_BF16] = "bfloat16", [DTYPE_F16] = "float16" };
    struct ckpt_names names = { 0 };
    char *path = tree_join(dir, "config.json");
    struct io_map m;
    int rc = io_map(&m, c->config_file, err);

    if (rc == 0) {
        rc = c->o->dtype < 0 ? io_save(path, m.data, m.size, err) : config_retype(m.data, m.size, torch[c->o->dtype], path, err);
        io_unmap(&m);
    }
    free(path);
    if (rc == 0)
        rc = ckpt_copy_tokenizer(c->beside, dir, &names, err);
    ckpt_names_release(&names);
    return rc;
}

static int fill(struct convert *c, const char *tmp, struct err *err)
{
    int rc;

    io_progress_start(&c->progress, "tensors", 0, c->o->quiet);
    rc = (c->o->to == CONVERT_HF ? convert_save_hf : convert_save_megatron)(c, tmp, err);
    io_progress_end(&c->progress);
    return rc < 0 ? -1 : save_beside(c, tmp, err);
}

int convert_save(struct convert *c, const char *dst, struct err *err)
{
    char *path = realpath(dst, NULL), *up, *name, *tmp, *old;
    struct err ignored; /* there is an error already */
    int fd = -1, rc;

    if (!path)
        path = trimmed(dst);
    up = parent(path);
    name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    tmp = tree_join(up, convert_printf(&c->arena, ".%s.lmconvert.tmp", name));
    old = tree_join(up, convert_printf(&c->arena, ".%s.lmconvert.old", name));
    rc = check_place(c, path, err) < 0 || (fd = make_tmp(tmp, err)) < 0 ? -1 : 0;
    if (rc == 0 && is_dir(path) && is_dir(old)) /* both renames of a killed run were done */
        rc = tree_remove(old, err);
    if (rc == 0)
        rc = fill(c, tmp, err) < 0 ? -1 : convert_stopped(c, err);
    if (rc == 0)
        rc = tree_publish(tmp, path, old, err);
    if (rc < 0 && fd >= 0 && is_dir(tmp))
        tree_remove(tmp, &ignored);
    if (rc == 0 && is_dir(old))
        rc = tree_remove(old, err);
    if (fd >= 0)
        close(fd);
    free(tmp);
    free(old);
    free(up);
    free(path);
    return rc;
}
