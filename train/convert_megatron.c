/* Megatron-core checkpoints of `--ckpt-format torch`: DIR/latest_checkpointed_iteration.txt and
 * DIR/iter_0000001/mp_rank_TT[_PPP]/model_optim_rng.pt, a file a tensor parallel rank and pipeline stage. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/tree.h"
#include "train/convert_file.h"

#define FILE_NAME "model_optim_rng.pt"
enum { CHUNKS = 1024 }; /* virtual stages of one stage */

/* ---- names of files ---- */

int convert_parse_tracker(const void *text, size_t n, const char *name, char out[32], struct err *err)
{
    const char *s = text;
    uint64_t v = 0;
    size_t i = 0;

    while (n && (s[n - 1] == '\n' || s[n - 1] == '\r' || s[n - 1] == ' '))
        n--;
    for (; i < n && i < 18 && s[i] >= '0' && s[i] <= '9'; i++)
        v = 10 * v + (uint64_t)(s[i] - '0');
    if (n == 7 && memcmp(s, "release", 7) == 0)
        snprintf(out, 32, "release");
    else if (n && i == n)
        snprintf(out, 32, "iter_%07" PRIu64, v);
    else
        return err_set(err, "%s: neither an iteration nor 'release'", name);
    return 0;
}

bool convert_parse_rank(const char *dir, int *tp, int *pp, int *numbers)
{
    static const char prefix[] = "mp_rank_";
    static const int digits[3] = { 2, 3, 3 }; /* at least */
    int v[3] = { 0, 0, 0 }, n = 0;
    const char *p = dir + sizeof prefix - 1;

    if (strncmp(dir, prefix, sizeof prefix - 1) != 0)
        return false;
    for (; n < 3; n++) {
        const char *start = p;

        for (; *p >= '0' && *p <= '9' && p - start < 6; p++)
            v[n] = 10 * v[n] + (*p - '0');
        if (p - start < digits[n] || (p - start > digits[n] && *start == '0') || (*p && *p != '_'))
            return false;
        if (!*p++) {
            *tp = v[0];
            *pp = v[1];
            *numbers = n + 1;
            return true;
        }
    }
    return false;
}

static char *rank_path(struct arena *a, const char *iter, int tp, int pp, bool staged)
{
    return staged ? convert_printf(a, "%s/mp_rank_%02d_%03d", iter, tp, pp) : convert_printf(a, "%s/mp_rank_%02d", iter, tp);
}

/* ---- reading ---- */

struct reading {
    struct convert *c;
    const char *iter;
    bool staged; /* the directories' names have two numbers */
    int chunks;  /* virtual stages a stage; 0: one, named "model" */
    struct scheme_stage *stage; /* [chunks][pp] */
    int64_t vocab;
};

static int by_rank(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* The grid is whole: names one kind, each pair of 0..tp-1 and 0..pp-1 once. */
static int check_grid(struct reading *r, int (*rank)[2], size_t n, struct err *err)
{
    struct convert *c = r->c;

    qsort(rank, n, sizeof *rank, by_rank);
    for (size_t i = 0; i < n; i++) {
        c->tp = rank[i][0] + 1;
        c->pp = rank[i][1] + 1 > c->pp ? rank[i][1] + 1 : c->pp;
    }
    for (size_t i = 0; i < (size_t)c->tp * (size_t)c->pp; i++) {
        int tp = (int)(i / (size_t)c->pp), pp = (int)(i % (size_t)c->pp);

        if (i >= n || rank[i][0] != tp || rank[i][1] != pp)
            return err_set(err, "%s: missing: the others are of %d tensor parallel ranks and %d pipeline stages",
                           rank_path(&c->arena, r->iter, tp, pp, r->staged), c->tp, c->pp);
    }
    return 0;
}

static int find_ranks(struct reading *r, struct err *err)
{
    DIR *d = opendir(r->iter);
    struct dirent *e;
    int (*rank)[2] = NULL, numbers, kind = 0, rc = 0;
    size_t n = 0, cap = 0;

    if (!d)
        return err_set(err, "%s:", r->iter);
    while (rc == 0 && (e = readdir(d))) {
        mem_grow(&rank, &cap, n + 1, sizeof *rank);
        if (strcmp(e->d_name, "metadata.json") == 0 || strcmp(e->d_name, ".metadata") == 0)
            rc = err_set(err, "%s: a distributed checkpoint (%s): only --ckpt-format torch is read", r->iter, e->d_name);
        else if (!convert_parse_rank(e->d_name, &rank[n][0], &rank[n][1], &numbers))
            continue;
        else if (numbers == 3)
            rc = err_set(err, "%s/%s: expert parallel: mixtures of experts are not converted", r->iter, e->d_name);
        else if (kind && kind != numbers)
            rc = err_set(err, "%s/%s: beside names of %s", r->iter, e->d_name, kind == 2 ? "two numbers" : "one number");
        else
            n++;
        kind = numbers;
    }
    closedir(d);
    if (rc == 0 && !n)
        rc = err_set(err, "%s: no mp_rank_* is there", r->iter);
    r->staged = kind == 2;
    if (rc == 0)
        rc = check_grid(r, rank, n, err);
    free(rank);
    return rc;
}

static struct torchzip *file_of(const struct reading *r, int tp, int pp)
{
    return &r->c->zip[pp * r->c->tp + tp];
}

/* Is it one of those that are converted at all? */
static int check_kind(const struct torchzip *z, struct err *err)
{
    const struct torchzip_value *v = torchzip_get(z->root, "checkpoint_version");
    double d = !v ? 3 : v->type == TORCHZIP_FLOAT ? v->f : v->type == TORCHZIP_INT ? (double)v->i : 0;

    if (convert_refuse_args(torchzip_get(z->root, "args"), z->name, err) < 0)
        return -1;
    return d >= 2 ? 0 : err_set(err, "%s: checkpoint_version %g: older than 2, in which linear_qkv has another order", z->name, d);
}

static int open_files(struct reading *r, struct err *err)
{
    struct convert *c = r->c;

    c->zip = xcalloc((size_t)c->tp * (size_t)c->pp, sizeof *c->zip);
    c->sound = xcalloc((size_t)c->tp * (size_t)c->pp, sizeof *c->sound);
    for (int pp = 0; pp < c->pp; pp++)
        for (int tp = 0; tp < c->tp; tp++) {
            char *dir = rank_path(&c->arena, r->iter, tp, pp, r->staged);

            struct torchzip *z = &c->zip[c->n_zips];

            if (torchzip_open(z, convert_printf(&c->arena, "%s/" FILE_NAME, dir), err) < 0)
                return -1;
            c->sound[c->n_zips++] = xcalloc((size_t)z->n_records + 1, sizeof **c->sound);
        }
    return 0;
}

/* "model." or "model3." */
static const char *chunk_prefix(const struct reading *r, int chunk)
{
    return r->chunks ? convert_printf(&r->c->arena, "model%d.", chunk) : "model.";
}

static int count_chunks(struct reading *r, struct err *err)
{
    for (int i = 0; i < r->c->n_zips; i++) {
        const struct torchzip *z = &r->c->zip[i];
        char key[16];
        int n = 0;

        if (check_kind(z, err) < 0)
            return -1;
        while (n < CHUNKS && (snprintf(key, sizeof key, "model%d", n), torchzip_get(z->root, key)))
            n++;
        if (!n && !torchzip_get(z->root, "model"))
            return err_set(err, "%s: no 'model' in it", z->name);
        if (i && n != r->chunks)
            return err_set(err, "%s: %d virtual stages, %s: %d", z->name, n, r->c->zip[0].name, r->chunks);
        r->chunks = n;
    }
    return 0;
}

/* How many layers a file has under a prefix. */
static int64_t count_layers(const struct convert *c, const struct torchzip *z, const char *prefix)
{
    int64_t n = 0;

    for (int i = 0; i < z->n; i++)
        if (strncmp(z->tensor[i].t.name, prefix, strlen(prefix)) == 0) {
            int64_t l = scheme_layer(c->config.arch->megatron, z->tensor[i].t.name + strlen(prefix));

            n = l >= n ? l + 1 : n;
        }
    return n;
}

/* Chunk k of stage p comes behind chunk k of stage p - 1. */
static int find_stages(struct reading *r, struct err *err)
{
    struct convert *c = r->c;
    int n = (r->chunks ? r->chunks : 1) * c->pp;
    int64_t layers = 0;

    r->stage = arena_calloc(&c->arena, (size_t)n, sizeof *r->stage);
    for (int i = 0; i < n; i++) {
        const struct torchzip *z = file_of(r, 0, i % c->pp);
        int64_t some = count_layers(c, z, chunk_prefix(r, i / c->pp));

        if (some > c->config.layers - layers)
            return err_set(err, "%s: %s%" PRId64 " layers and more, %s says %" PRId64, z->name, i ? "with the stages before it " : "",
                           layers + some, c->config_file, c->config.layers);
        r->stage[i] = (struct scheme_stage){ layers, some, i == 0, i == n - 1 };
        layers += some;
    }
    if (!layers)
        return err_set(err, "%s: no layers of Megatron-core's names (%s%s)", c->zip[0].name, chunk_prefix(r, 0),
                       c->config.arch->megatron->names[1].name);
    if (layers != c->config.layers)
        return err_set(err, "%s: %" PRId64 " layers, %s says %" PRId64, r->iter, layers, c->config_file, c->config.layers);
    return 0;
}

/* Rows of the embedding in all ranks. */
static int find_vocab(struct reading *r, struct err *err)
{
    const struct arch_scheme *s = r->c->config.arch->megatron;
    const struct torchzip *z = file_of(r, 0, 0);
    const struct torchzip_tensor *t = NULL;

    for (int i = 0; i < s->n_names && !t; i++)
        if (s->names[i].param == P_EMBED)
            t = torchzip_find(z, convert_printf(&r->c->arena, "%s%s", chunk_prefix(r, 0), s->names[i].name));
    if (t && t->t.rank == 2 && !__builtin_mul_overflow(t->t.shape[0], r->c->tp, &r->vocab) && r->vocab < r->c->config.vocab)
        return err_set(err, "%s: tensor %.200s: %" PRId64 " rows in %d ranks, %s says vocab_size %" PRId64, z->name, t->t.name, r->vocab,
                       r->c->tp, r->c->config_file, r->c->config.vocab);
    if (!t || t->t.rank != 2 || t->t.shape[0] > INT64_MAX / r->c->tp)
        return err_set(err, "%s: no embedding of two dimensions in %s", z->name, chunk_prefix(r, 0));
    return 0;
}

static int bind_file(struct reading *r, int tp, int pp, struct err *err)
{
    struct convert *c = r->c;
    const struct torchzip *z = file_of(r, tp, pp);
    struct convert_file f = { .z = z, .path = z->name, .used = xcalloc((size_t)z->n + 1, sizeof *f.used) };
    struct scheme_grid g = { .tp = c->tp, .vocab = r->vocab };
    int rc = convert_check_args(c, torchzip_get(z->root, "args"), r->vocab, z->name, err);

    for (int k = 0; k < (r->chunks ? r->chunks : 1) && rc == 0; k++) {
        struct scheme_list *l = &c->list[c->n_lists++];

        f.prefix = chunk_prefix(r, k);
        scheme_walk(l, &c->config, c->config.arch->megatron, &g, tp, &r->stage[k * c->pp + pp]);
        rc = convert_bind(c, &f, l, err) < 0 || convert_bind_rest(c, &f, err) < 0 ? -1 : 0;
    }
    for (int i = 0; i < z->n && rc == 0; i++)
        c->n_other += strncmp(z->tensor[i].t.name, "model", 5) != 0;
    free(f.used);
    return rc;
}

int convert_bind_megatron(struct convert *c, const char *iter, struct err *err)
{
    struct reading r = { .c = c, .iter = iter };

    if (scheme_check(&c->config, c->tp, 1, err) < 0 || count_chunks(&r, err) < 0 || find_stages(&r, err) < 0 || find_vocab(&r, err) < 0)
        return -1;
    c->list = xcalloc((size_t)c->n_zips * (size_t)(r.chunks + 1), sizeof *c->list);
    for (int pp = 0; pp < c->pp; pp++)
        for (int tp = 0; tp < c->tp; tp++)
            if (bind_file(&r, tp, pp, err) < 0)
                return -1;
    return convert_read_origin(c, torchzip_get(c->zip[0].root, "args"), c->zip[0].name, err);
}

int convert_open_ranks(struct convert *c, const char *iter, struct err *err)
{
    struct reading r = { .c = c, .iter = iter };

    return find_ranks(&r, err) < 0 ? -1 : open_files(&r, err);
}

int convert_open_megatron(struct convert *c, const char *iter, struct err *err)
{
    if (convert_open_ranks(c, iter, err) < 0 || convert_bind_megatron(c, iter, err) < 0)
        return -1;
    if (c->n_other)
        c->o->note(convert_printf(&c->arena, "%s: %" PRId64 " tensors that are no weights (of the optimiser, say) are left out", iter, c->n_other));
    return 0;
}

/* ---- writing ---- */

static struct scheme_grid out_grid(const struct convert *c)
{
    int64_t by = c->o->tp * c->o->divisible;

    return (struct scheme_grid){ .tp = (int)c->o->tp, .vocab = (c->config.vocab + by - 1) / by * by };
}

static struct scheme_stage out_stage(const struct convert *c, int64_t pp)
{
    int64_t n = c->config.layers / c->o->pp;

    return (struct scheme_stage){ pp * n, n, pp == 0, pp == c->o->pp - 1 };
}

int convert_check_megatron(struct convert *c, struct err *err)
{
    struct scheme_grid g = out_grid(c);

    if (!c->config.arch->megatron)
        return err_set(err, "%s: model_type %s: Megatron's names of it are not known", c->config_file, c->config.arch->model_type);
    if (scheme_check(&c->config, c->o->tp, c->o->pp, err) < 0)
        return err_prefix(err, "%s", c->config_file);
    for (int64_t pp = 0; pp < c->o->pp; pp++) {
        struct scheme_stage stage = out_stage(c, pp);
        struct scheme_list l;
        enum dtype dtype;
        int rc = 0;

        scheme_walk(&l, &c->config, c->config.arch->megatron, &g, 0, &stage);
        for (int i = 0; i < l.n && rc == 0; i++)
            rc = l.tensor[i].absent ? 0 : convert_dtype(c, &l.tensor[i], &dtype, err);
        scheme_free(&l);
        if (rc < 0)
            return -1;
    }
    return 0;
}

struct saving {
    struct convert *c;
    const struct scheme_tensor **t; /* what tensor[] describes */
    struct torchzip_tensor *tensor;
    int n;
};

static int put(void *w, const void *data, size_t n, struct err *err)
{
    return torchzip_put(w, data, n, err);
}

static int put_tensor(void *ctx, struct torchzip_writer *w, const struct torchzip_tensor *t, struct err *err)
{
    struct saving *s = ctx;

    return convert_put(s->c, s->t[t - s->tensor], t->t.dtype, put, w, err);
}

static struct torchzip_value *text(struct arena *a, const char *s)
{
    struct torchzip_value *v = arena_calloc(a, 1, sizeof *v);

    v->type = TORCHZIP_STRING;
    v->str.s = s;
    v->str.n = strlen(s);
    return v;
}

static void add(struct arena *a, struct torchzip_value *dict, const char *key, const struct torchzip_value *value)
{
    struct torchzip_entry *e = arena_calloc(a, 1, sizeof *e);

    e->key = text(a, key);
    e->value = value;
    *(dict->list.first ? &dict->list.last->next : &dict->list.first) = e;
    dict->list.last = e;
    dict->list.n++;
}

/* The tensors of a list as a dictionary. */
static struct torchzip_value *describe(struct saving *s, const struct scheme_list *l, struct arena *a, struct err *err)
{
    struct torchzip_value *dict = arena_calloc(a, 1, sizeof *dict), *v = arena_calloc(a, (size_t)l->n, sizeof *v);
    struct tensor *t = arena_alloc(a, (size_t)l->n * sizeof *t);

    s->t = arena_alloc(a, (size_t)l->n * sizeof *s->t);
    s->tensor = arena_calloc(a, (size_t)l->n, sizeof *s->tensor);
    s->n = convert_describe(s->c, l, t, s->t, err);
    dict->type = TORCHZIP_DICT;
    for (int i = 0; i < s->n; i++) {
        s->tensor[i].t = t[i];
        v[i] = (struct torchzip_value){ .type = TORCHZIP_TENSOR, .tensor = &s->tensor[i] };
        add(a, dict, t[i].name, &v[i]);
    }
    return s->n < 0 ? NULL : dict;
}

static int save_rank(struct convert *c, const char *dir, int tp, int pp, struct err *err)
{
    static const struct torchzip_value version = { .type = TORCHZIP_FLOAT, .f = 3 }, iteration = { .type = TORCHZIP_INT, .i = 1 };
    struct saving s = { .c = c };
    struct torchzip_value root = { .type = TORCHZIP_DICT }, *model;
    struct scheme_grid g = out_grid(c);
    struct scheme_stage stage = out_stage(c, pp);
    struct scheme_list l;
    struct arena a;
    int rc = -1;

    arena_init(&a);
    scheme_walk(&l, &c->config, c->config.arch->megatron, &g, tp, &stage);
    model = describe(&s, &l, &a, err);
    if (model) {
        add(&a, &root, "args", convert_make_args(c, &a, g.vocab));
        add(&a, &root, "checkpoint_version", &version);
        add(&a, &root, "iteration", &iteration);
        add(&a, &root, "model", model);
        rc = torchzip_save(convert_printf(&a, "%s/" FILE_NAME, dir), &root, put_tensor, &s, err);
    }
    scheme_free(&l);
    arena_release(&a);
    return rc;
}

int convert_save_megatron(struct convert *c, const char *dir, struct err *err)
{
    const char *iter = convert_printf(&c->arena, "%s/iter_%07d", dir, 1);

    if (mkdir(iter, 0777) < 0)
        return err_set(err, "%s:", iter);
    for (int pp = 0; pp < c->o->pp; pp++)
        for (int tp = 0; tp < c->o->tp; tp++) {
            const char *rank = rank_path(&c->arena, iter, tp, pp, c->o->pp > 1);

            if (mkdir(rank, 0777) < 0)
                return err_set(err, "%s:", rank);
            if (save_rank(c, rank, tp, pp, err) < 0)
                return -1;
        }
    if (io_sync_dir(convert_printf(&c->arena, "%s/x", iter), err) < 0)
        return -1;
    return io_save(convert_printf(&c->arena, "%s/latest_checkpointed_iteration.txt", dir), "1", 1, err);
}
