/* Which file of a directory is its tokenizer, and which loader takes it: two tables. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/format/gguf.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/tokenizer/tokenizer_cache.h"
#include "libcommon/tokenizer/tokenizer_load.h"

static bool is_gguf(const struct tokenizer_source *s)
{
    return gguf_is(s->data, s->n);
}

static bool is_spm(const struct tokenizer_source *s)
{
    return spm_sniff(s->data, s->n);
}

#define CONFIG "tokenizer_config.json"

/* The first that knows a file takes it. */
static const struct tokenizer_format formats[] = {
    { "gguf", NULL, true, is_gguf, tokenizer_load_gguf },
    { "SentencePiece model", "tokenizer.model", false, is_spm, tokenizer_load_spm },
    { "tiktoken ranks", NULL, true, tokenizer_is_ranks, tokenizer_load_ranks },
    { "vocabulary and merges", NULL, true, tokenizer_is_vocab, tokenizer_load_vocab_merges },
    { "tekken.json", "tekken.json", false, tokenizer_is_tekken, tokenizer_load_tekken },
    { "tokenizer.json", "tokenizer.json", false, tokenizer_is_json, tokenizer_load },
    { "vocab.txt", NULL, false, tokenizer_is_words, tokenizer_load_words },
};

/* The names of the file of merges beside a vocabulary, by how both end. */
static const struct {
    const char *vocab, *merges;
} besides[] = {
    { "vocab.json", "merges.txt" },
    { "encoder.json", "vocab.bpe" },
};

/* What a directory is searched for, in this order; an asterisk stands for anything. */
static const char *const files[] = {
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tiktoken.model", "*.tiktoken",
    "vocab.json",     "encoder.json",    "vocab.txt",  "tekken.json",
};

enum { FILES = sizeof files / sizeof *files };

const char *tokenizer_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && strcmp(s + n - k, end) == 0;
}

const struct tokenizer_format *tokenizer_format_of(const struct tokenizer_source *s)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].is(s))
            return &formats[i];
    return NULL;
}

struct tokenizer *tokenizer_load_by(int (*load)(struct tokenizer *t, const struct tokenizer_source *s, struct err *err),
                                    const struct tokenizer_source *s, struct err *err)
{
    struct tokenizer *t = xcalloc(1, sizeof *t);

    arena_init(&t->arena);
    if (load(t, s, err) == 0)
        return t;
    tokenizer_free(t);
    return NULL;
}

struct tokenizer *tokenizer_parse_source(const struct tokenizer_source *s, struct err *err)
{
    const struct tokenizer_format *f = tokenizer_format_of(s);

    if (!f) {
        err_set(err, "%s: not a tokenizer: neither JSON nor GGUF, no SentencePiece model, no ranks of tiktoken, no vocab.txt", s->name);
        return NULL;
    }
    if (s->pattern && !f->takes_pattern) {
        err_set(err, "%s: a pattern is given, but a %s has its own", s->name, f->name);
        return NULL;
    }
    return tokenizer_load_by(f->load, s, err);
}

struct tokenizer *tokenizer_parse(const void *data, size_t n, const void *config, size_t config_n, const char *name,
                                  struct err *err)
{
    struct tokenizer_source s = { .name = name, .data = data, .n = n, .config = config, .config_n = config_n };

    return tokenizer_parse_source(&s, err);
}

/* "dir/name"; free(). */
static char *join(const char *dir, const char *name)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *path = xmalloc(n);

    snprintf(path, n, "%s/%s", dir, name);
    return path;
}

static bool exists(const char *dir, const char *name)
{
    char *path = join(dir, name);
    struct stat st;
    bool yes = stat(path, &st) == 0;

    free(path);
    return yes;
}

/* The name that ends so, or the first in order of the alphabet; *n: how many there are. */
static char *find_ending(const char *dir, const char *end, int *n)
{
    DIR *d = opendir(dir);
    char *found = NULL;
    struct dirent *e;

    *n = 0;
    while (d && (e = readdir(d)) != NULL) {
        if (!ends_with(e->d_name, end) || *e->d_name == '.')
            continue;
        ++*n;
        if (!found || strcmp(e->d_name, found) < 0) {
            free(found);
            found = xstrdup(e->d_name);
        }
    }
    if (d)
        closedir(d);
    return found;
}

/* The tokenizer class that the directory brings with it has no fast variant, which alone reads tokenizer.json. */
static bool is_slow(const char *dir)
{
    char *path = join(dir, CONFIG);
    const struct json_value *v = NULL, *fast;
    struct io_map m = { 0 };
    struct arena a;
    struct err err;
    bool slow;

    arena_init(&a);
    if (exists(dir, CONFIG) && io_map(&m, path, &err) == 0)
        v = json_tree(&a, m.data, m.size, path, &err);
    v = json_get(json_get(v, "auto_map"), "AutoTokenizer");
    fast = json_at(v, 1);
    slow = fast && fast->type == JSON_NULL;
    arena_release(&a);
    io_unmap(&m);
    free(path);
    return slow;
}

/* The file of a directory by the list, the name of it alone, and how many have its place; NULL. */
static char *pick(const char *dir, int *n)
{
    int first = is_slow(dir);

    for (int i = 0; i < FILES; i++) {
        const char *name = files[(i + first) % FILES];
        char *found;

        *n = 1;
        found = *name == '*' ? find_ending(dir, name + 1, n) : exists(dir, name) ? xstrdup(name) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

bool tokenizer_is_in(const char *dir)
{
    int n;
    char *found = pick(dir, &n);

    free(found);
    return found != NULL;
}

char *tokenizer_file(const char *path, struct err *err)
{
    char *found, *whole = NULL;
    struct stat st;
    int n;

    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return xstrdup(path);
    found = pick(path, &n);
    if (!found)
        err_set(err, "%s: no tokenizer in the directory: neither tokenizer.json, tokenizer.model, spiece.model, "
                "sentencepiece.bpe.model, tiktoken.model, *.tiktoken, vocab.json, encoder.json, vocab.txt nor tekken.json", path);
    else if (n > 1)
        err_set(err, "%s: %d files are as %s: name the one", path, n, found);
    else
        whole = join(path, found);
    free(found);
    return whole;
}

char *tokenizer_dir(const char *path)
{
    const char *base = tokenizer_base_name(path);
    size_t n = (size_t)(base - path);
    char *dir, *file;
    struct stat st;
    struct err ignored;
    bool same;

    if (stat(path, &st) < 0)
        return NULL;
    if (S_ISDIR(st.st_mode))
        return xstrdup(path);
    dir = n ? memcpy(xcalloc(n + 1, 1), path, n > 1 ? n - 1 : n) : xstrdup(".");
    file = tokenizer_file(dir, &ignored);
    same = file && strcmp(tokenizer_base_name(file), base) == 0;
    free(file);
    if (same)
        return dir;
    free(dir);
    return NULL;
}

struct taking {
    const char *dir;
    int (*take)(void *ctx, const char *path, const char *name, struct err *err);
    void *ctx;
    struct err *err;
};

/* A file of the directory, where it is there. */
static int take_file(const struct taking *g, const char *name)
{
    char *path = join(g->dir, name);
    int rc = exists(g->dir, name) && g->take ? g->take(g->ctx, path, name, g->err) : 0;

    free(path);
    return rc;
}

/* A file that no directory stands for, under the name that it is looked for by. */
static int take_alone(const struct taking *g, const char *path)
{
    struct io_map m;
    struct tokenizer_source s = { .name = path };
    const struct tokenizer_format *f;
    struct tokenizer *t;
    int rc;

    if (io_map(&m, path, g->err) < 0)
        return -1;
    s.data = m.data;
    s.n = m.size;
    f = tokenizer_format_of(&s);
    if (f && !f->file) {
        rc = err_set(g->err, "%s: %s, which is not found in its directory by that name", path, f->name);
    } else if (f && g->take) {
        rc = g->take(g->ctx, path, f->file, g->err);
    } else {
        t = tokenizer_parse_source(&s, g->err);
        rc = t ? 0 : -1;
        tokenizer_free(t);
    }
    io_unmap(&m);
    return rc;
}

int tokenizer_each_file(const char *path, int (*take)(void *ctx, const char *path, const char *name, struct err *err), void *ctx,
                        struct err *err)
{
    char *dir = tokenizer_dir(path), *found;
    struct taking g = { dir, take, ctx, err };
    int rc = dir ? take_file(&g, CONFIG) : take_alone(&g, path), n;

    for (int i = 0; i < FILES && dir && rc == 0; i++) {
        found = *files[i] == '*' ? find_ending(dir, files[i] + 1, &n) : xstrdup(files[i]);
        rc = found ? take_file(&g, found) : 0;
        free(found);
    }
    for (size_t i = 0; i < sizeof besides / sizeof *besides && dir && rc == 0; i++)
        rc = take_file(&g, besides[i].merges);
    free(dir);
    return rc;
}

static char *beside(const char *file, size_t dir_n, const char *name)
{
    char *path = xmalloc(dir_n + strlen(name) + 1);

    memcpy(path, file, dir_n);
    memcpy(path + dir_n, name, strlen(name) + 1);
    return path;
}

int tokenizer_config_tree(const struct tokenizer_source *s, struct arena *keep, const struct json_value **config, struct err *err)
{
    char *name;

    *config = NULL;
    if (!s->config)
        return 0;
    name = beside(s->name, (size_t)(tokenizer_base_name(s->name) - s->name), CONFIG);
    *config = json_tree(keep, s->config, s->config_n, name, err);
    free(name);
    return *config ? 0 : -1;
}

char *tokenizer_merges_path(const char *file)
{
    for (size_t i = 0; i < sizeof besides / sizeof *besides; i++)
        if (ends_with(file, besides[i].vocab))
            return beside(file, strlen(file) - strlen(besides[i].vocab), besides[i].merges);
    return NULL;
}

bool tokenizer_has_merges(const char *path)
{
    char *merges = tokenizer_merges_path(path);
    bool has = merges && access(merges, F_OK) == 0;

    free(merges);
    return has;
}

/* Map what belongs to a file: tokenizer_config.json of the directory that it is the tokenizer of, or of a vocabulary's,
 * which says nothing alone; the merges beside a vocabulary. */
static int map_others(const char *file, struct io_map *config, struct io_map *merges, struct err *err)
{
    const char *base = tokenizer_base_name(file);
    char *dir = tokenizer_dir(file), *name = tokenizer_merges_path(file);
    bool vocab = name || ends_with(file, "vocab.txt");
    int rc = name ? io_map(merges, name, err) : 0;
    struct stat st;

    free(name);
    name = beside(file, (size_t)(base - file), CONFIG);
    if (rc == 0 && (dir || vocab) && stat(name, &st) == 0)
        rc = io_map(config, name, err);
    free(name);
    free(dir);
    return rc;
}

struct tokenizer *tokenizer_open_pattern(const char *path, const char *pattern, struct err *err)
{
    char *file = tokenizer_file(path, err);
    struct io_map data = { 0 }, config = { 0 }, merges = { 0 };
    struct tokenizer *t = NULL;

    if (file && io_map(&data, file, err) == 0 && map_others(file, &config, &merges, err) == 0) {
        struct tokenizer_source s = {
            .name = file, .data = data.data, .n = data.size, .config = config.data, .config_n = config.size,
            .merges = merges.data, .merges_n = merges.size, .pattern = pattern,
        };

        t = tokenizer_parse_cached(&s, err);
    }
    io_unmap(&data);
    io_unmap(&config);
    io_unmap(&merges);
    free(file);
    return t;
}

struct tokenizer *tokenizer_open(const char *path, struct err *err)
{
    return tokenizer_open_pattern(path, NULL, err);
}
