#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/weights/safetensors_file.h"

struct index_parser {
    struct safetensors_index *x;
    struct json j;
    char *text; /* rest of room for every string, each with a NUL */
    const char *name;
    size_t cap;
    struct err *err;
};

/* The string just read, NUL-ended; a NUL within it shows as a shorter strlen. */
static const char *keep(struct index_parser *p, size_t *n)
{
    char *s = p->text;

    *n = json_unescape(&p->j.raw, s);
    s[*n] = 0;
    p->text += *n + 1;
    return s;
}

/* Index entries name files beside the index, nothing else. */
static bool safe_name(const char *s, size_t n)
{
    return n && strlen(s) == n && !strchr(s, '/') && s[0] != '.';
}

static int parse_map(struct index_parser *p)
{
    struct safetensors_index *x = p->x;
    enum json_type t = json_next(&p->j);

    if (t != JSON_OBJECT)
        return t == JSON_ERROR ? -1 : err_set(p->err, "%s: weight_map is not an object", p->name);
    while ((t = json_next(&p->j)) == JSON_KEY) {
        size_t n, file_n;
        const char *name = keep(p, &n), *file;

        t = json_next(&p->j);
        if (t == JSON_ERROR)
            return -1;
        file = t == JSON_STRING ? keep(p, &file_n) : "";
        if (strlen(name) != n || t != JSON_STRING || !safe_name(file, file_n))
            return err_set(p->err, "%s: weight_map: tensor \"%.200s\": \"%.200s\" is not a plain file name", p->name, name, file);
        mem_grow(&x->entry, &p->cap, (size_t)x->n + 1, sizeof *x->entry);
        x->entry[x->n++] = (struct safetensors_entry){ name, file };
    }
    return t == JSON_OBJECT_END ? 0 : -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct safetensors_entry *)a)->name, ((const struct safetensors_entry *)b)->name);
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const struct safetensors_entry *)a)->file, ((const struct safetensors_entry *)b)->file);
}

/* List each file once, then sort by name. */
static int sort_index(struct index_parser *p)
{
    struct safetensors_index *x = p->x;

    x->file = xcalloc((size_t)x->n + 1, sizeof *x->file);
    if (x->n)
        qsort(x->entry, (size_t)x->n, sizeof *x->entry, by_file);
    for (int i = 0; i < x->n; i++)
        if (i == 0 || by_file(x->entry + i - 1, x->entry + i) != 0)
            x->file[x->n_files++] = x->entry[i].file;
    if (x->n)
        qsort(x->entry, (size_t)x->n, sizeof *x->entry, by_name);
    for (int i = 1; i < x->n; i++)
        if (by_name(x->entry + i - 1, x->entry + i) == 0)
            return err_set(p->err, "%s: weight_map: tensor %.200s twice", p->name, x->entry[i].name);
    return 0;
}

static int parse_index(struct index_parser *p)
{
    bool seen = false;
    enum json_type t = json_next(&p->j);

    if (t > JSON_END && t != JSON_OBJECT)
        return err_set(p->err, "%s: not an object", p->name);
    while (t > JSON_END && (t = json_next(&p->j)) == JSON_KEY) {
        bool map = json_is(&p->j.raw, "weight_map");

        if (map && seen)
            return err_set(p->err, "%s: weight_map twice", p->name);
        seen |= map;
        if ((map ? parse_map(p) : json_skip(&p->j)) < 0)
            return -1;
    }
    if (t != JSON_OBJECT_END || json_next(&p->j) != JSON_END)
        return -1;
    if (!seen)
        return err_set(p->err, "%s: no weight_map: not an index of safetensors files", p->name);
    return sort_index(p);
}

int safetensors_index_parse(struct safetensors_index *x, const void *data, size_t size, const char *name, struct err *err)
{
    struct index_parser p = { .x = x, .name = name, .err = err };

    memset(x, 0, sizeof *x);
    arena_init(&x->arena);
    p.text = arena_alloc(&x->arena, size + 1);
    json_init(&p.j, data, size);
    if (parse_index(&p) < 0) {
        if (p.j.error)
            json_error(&p.j, name, err);
        safetensors_index_free(x);
        return -1;
    }
    return 0;
}

void safetensors_index_free(struct safetensors_index *x)
{
    free(x->entry);
    free(x->file);
    arena_release(&x->arena);
    memset(x, 0, sizeof *x);
}

/* "dir/file", dir being all of path up to its last slash, or all of it. */
static const char *beside(struct arena *a, const char *path, bool is_dir, const char *file)
{
    const char *slash = strrchr(path, '/');
    size_t n = is_dir ? strlen(path) : slash ? (size_t)(slash - path) : 0, size = n + strlen(file) + 2;
    bool add = is_dir || slash;
    char *s = arena_alloc(a, size);

    memcpy(s, path, n);
    if (add)
        s[n++] = '/';
    memcpy(s + n, file, strlen(file) + 1);
    return s;
}

static int add_file(struct safetensors *s, const char *path, struct err *err)
{
    struct io_map m;
    size_t cap = (size_t)s->n_map;

    if (io_map(&m, path, err) < 0)
        return -1;
    if (safetensors_add(s, m.data, m.size, path, err) < 0) {
        io_unmap(&m);
        return -1;
    }
    mem_grow(&s->map, &cap, (size_t)s->n_map + 1, sizeof *s->map);
    s->map[s->n_map++] = m;
    return 0;
}

/* Files and index name the same tensors, each in the same place.  Both are in name order. */
static int check_index(const struct safetensors *s, const struct safetensors_index *x, const char *name, struct err *err)
{
    for (int i = 0, k = 0; i < s->n || k < x->n; i++, k++) {
        const struct tensor *t = i < s->n ? &s->tensor[i] : NULL;
        const struct safetensors_entry *e = k < x->n ? &x->entry[k] : NULL;
        int order = !t ? 1 : !e ? -1 : strcmp(t->name, e->name);

        if (order < 0)
            return err_set(err, "%s: tensor %.200s is not in the index %s", t->file, t->name, name);
        if (order > 0)
            return err_set(err, "%s: tensor %.200s is not in its file %s", name, e->name, e->file);
        if (strcmp(strrchr(t->file, '/') ? strrchr(t->file, '/') + 1 : t->file, e->file) != 0)
            return err_set(err, "%s: tensor %.200s stands in %s, not in %s", name, e->name, t->file, e->file);
    }
    return 0;
}

static int add_shards(struct safetensors *s, const struct io_map *index, const char *path, struct err *err)
{
    struct safetensors_index x;
    int rc = safetensors_index_parse(&x, index->data, index->size, path, err);

    if (rc < 0)
        return -1;
    for (int i = 0; i < x.n_files && rc == 0; i++)
        rc = add_file(s, beside(&s->arena, path, false, x.file[i]), err);
    if (rc == 0)
        rc = safetensors_sort(s, err);
    if (rc == 0)
        rc = check_index(s, &x, path, err);
    safetensors_index_free(&x);
    return rc;
}

/* A safetensors file begins with its header's length, whose upper bytes are 0; JSON holds no NUL. */
static bool is_json(const struct io_map *m)
{
    return m->size >= 8 && !memchr(m->data, 0, 8) && memchr(m->data, '{', 8);
}

static int open_path(struct safetensors *s, const char *path, struct err *err)
{
    struct stat st;
    struct io_map m;
    int rc;

    if (stat(path, &st) < 0)
        return err_set(err, "%s:", path);
    if (S_ISDIR(st.st_mode)) {
        const char *one = beside(&s->arena, path, true, "model.safetensors");
        const char *index = beside(&s->arena, path, true, "model.safetensors.index.json");

        if (stat(one, &st) < 0 && stat(index, &st) < 0)
            return err_set(err, "%s: neither model.safetensors nor model.safetensors.index.json is there", path);
        path = stat(one, &st) == 0 ? one : index;
    } else {
        path = arena_strndup(&s->arena, path, strlen(path));
    }
    if (io_map(&m, path, err) < 0)
        return -1;
    if (is_json(&m)) {
        rc = add_shards(s, &m, path, err);
        io_unmap(&m);
        return rc;
    }
    io_unmap(&m);
    return add_file(s, path, err) < 0 || safetensors_sort(s, err) < 0 ? -1 : 0;
}

int safetensors_open(struct safetensors *s, const char *path, struct err *err)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena);
    if (open_path(s, path, err) < 0) {
        safetensors_close(s);
        return -1;
    }
    return 0;
}
