/* The model "BPE" of tokenizer.json: its settings, vocabulary and merges. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"
#include "libcommon/tokenizer/tokenizer_load.h"

#define BATCH 128 /* merges looked up at a time */
#define SHORTEST 6 /* bytes of a member of the vocabulary, but of the first ten */

enum { TYPE, DROPOUT, UNK, PREFIX, SUFFIX, FUSE, FALLBACK, IGNORE, VOCAB, MERGES, PARTS };

static int unknown_setting(struct tokenizer_loader *l, struct json *j)
{
    return err_set(l->err, "%s: model: setting '%.*s' is not supported", l->name, (int)(j->raw.n < 100 ? j->raw.n : 100),
                   j->raw.s);
}

/* A string, or none where it is null or not there. */
static int take_string(struct tokenizer_loader *l, const struct tokenizer_part *p, const char **s, size_t *n, bool *has)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    *s = "";
    *n = 0;
    *has = v && v->type == JSON_STRING;
    if (p->s && (!v || (v->type != JSON_STRING && v->type != JSON_NULL)))
        return v ? err_set(l->err, "%s: model: %s is not a string", l->name, p->name) : -1;
    if (*has) {
        *s = v->str;
        *n = v->len;
    }
    return 0;
}

static int take_bool(struct tokenizer_loader *l, const struct tokenizer_part *p, bool *value)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    *value = v && v->type == JSON_TRUE;
    if (p->s && (!v || (v->type != JSON_TRUE && v->type != JSON_FALSE && v->type != JSON_NULL)))
        return v ? err_set(l->err, "%s: model: %s is neither true nor false", l->name, p->name) : -1;
    return 0;
}

static int no_dropout(struct tokenizer_loader *l, const struct tokenizer_part *p)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    if (!p->s || (v && v->type == JSON_NULL) || (v && v->type == JSON_NUMBER && !(v->num > 0 || v->num < 0)))
        return 0;
    return v ? err_set(l->err, "%s: model: dropout is not supported", l->name) : -1;
}

int tokenizer_bpe_open(struct tokenizer_loader *l, const char *json, size_t n, struct tokenizer_bpe *b)
{
    struct tokenizer_part part[PARTS] = {
        [TYPE] = { .name = "type" }, [DROPOUT] = { .name = "dropout" }, [UNK] = { .name = "unk_token" },
        [PREFIX] = { .name = "continuing_subword_prefix" }, [SUFFIX] = { .name = "end_of_word_suffix" },
        [FUSE] = { .name = "fuse_unk" }, [FALLBACK] = { .name = "byte_fallback" }, [IGNORE] = { .name = "ignore_merges" },
        [VOCAB] = { .name = "vocab" }, [MERGES] = { .name = "merges" },
    };
    bool has;

    if (tokenizer_split(l, json, n, part, PARTS, unknown_setting) < 0 || no_dropout(l, &part[DROPOUT]) < 0 ||
        take_string(l, &part[UNK], &b->unk, &b->unk_n, &b->has_unk) < 0 ||
        take_string(l, &part[PREFIX], &b->prefix, &b->prefix_n, &has) < 0 ||
        take_string(l, &part[SUFFIX], &b->suffix, &b->suffix_n, &has) < 0 ||
        take_bool(l, &part[FUSE], &b->fuse_unk) < 0 || take_bool(l, &part[FALLBACK], &b->byte_fallback) < 0 ||
        take_bool(l, &part[IGNORE], &b->whole) < 0)
        return -1;
    if (!part[VOCAB].s || !part[MERGES].s)
        return err_set(l->err, "%s: model: there %s", l->name, part[VOCAB].s ? "are no merges" : "is no vocab");
    b->vocab = part[VOCAB].s;
    b->vocab_n = part[VOCAB].n;
    b->merges = part[MERGES].s;
    b->merges_n = part[MERGES].n;
    return 0;
}

/* Merges are found by how the file spells them, escapes and all, since it spells the tokens of its vocabulary the
 * same way; what is not found so is found by what it means. */
struct reader {
    struct tokenizer_loader *l;
    struct tokenizer_bpe *b;
    struct lexicon spelled;
    struct merge {
        struct json_raw left, right;
        bool meant; /* not as they are spelled */
    } merge[BATCH]; /* to be looked up */
    size_t n_merges;
    struct merges_pair *pair; /* by ids, to be added */
    size_t n, cap;
    uint32_t last; /* the id that the last one made */
    struct tokenizer_text both;
};

static int load_vocab(struct reader *r)
{
    struct tokenizer_loader *l = r->l;
    struct tokenizer_bpe *b = r->b;
    struct json j;
    int64_t id;

    lexicon_reserve(&r->spelled, b->vocab_n / SHORTEST, b->vocab_n);
    json_init(&j, b->vocab, b->vocab_n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(l->err, "%s: model: vocab is not an object", l->name);
    while (json_next(&j) == JSON_KEY) {
        struct json_raw key = j.raw;
        size_t n;
        const char *s = tokenizer_string(l, &key, 0, &n);

        if (json_next(&j) != JSON_NUMBER || !json_int64(&j.raw, &id) || id < 0)
            return err_set(l->err, "%s: vocab: '%.*s' has no id", l->name, (int)(n < 100 ? n : 100), s);
        if (b->add(b->model, s, n, (uint64_t)id, l->err) < 0 ||
            lexicon_add(&r->spelled, key.s, key.n, (uint64_t)id, MERGES_MAX_ID, l->err) < 0)
            return err_prefix(l->err, "%s: vocab", l->name);
    }
    if (b->index(b->model, l->err) < 0 || lexicon_index(&r->spelled, l->err) < 0)
        return err_prefix(l->err, "%s: vocab", l->name);
    return 0;
}

/* "left right" of n bytes.  1: it is a line of the version, no merge; -1: it is neither. */
static int split_merge(const char *s, size_t n, struct merge *m)
{
    const char *space = memchr(s, ' ', n);
    size_t left = space ? (size_t)(space - s) : 0;

    if (n >= 8 && memcmp(s, "#version", 8) == 0)
        return 1;
    if (!space || memchr(space + 1, ' ', n - left - 1))
        return -1;
    m->left = (struct json_raw){ .s = s, .n = left };
    m->right = (struct json_raw){ .s = space + 1, .n = n - left - 1 };
    return 0;
}

/* The same of a string of the file, mostly as it is spelled; not where the blank or the # may be an escape. */
static int take_string_merge(struct reader *r, const struct json_raw *raw, struct merge *m)
{
    char *copy;
    int rc;

    m->meant = raw->escaped && memmem(raw->s, raw->n, "\\u00", 4);
    if (m->meant) {
        copy = arena_alloc(&r->l->scratch, raw->n);
        return split_merge(copy, json_unescape(raw, copy), m);
    }
    rc = split_merge(raw->s, raw->n, m);
    m->left.escaped = m->right.escaped = raw->escaped;
    return rc;
}

/* The k-th merge, "left right" or ["left", "right"], of which the first event was t.  1: as split_merge(). */
static int take_merge(struct reader *r, struct json *j, enum json_type t, size_t k, struct merge *m)
{
    int rc = -1;

    if (t == JSON_STRING) {
        rc = take_string_merge(r, &j->raw, m);
        return rc < 0 ? err_set(r->l->err, "merge %zu: not two strings with a space between", k) : rc;
    }
    m->meant = false;
    if (t == JSON_ARRAY && json_next(j) == JSON_STRING) {
        m->left = j->raw;
        if (json_next(j) == JSON_STRING) {
            m->right = j->raw;
            rc = json_next(j) == JSON_ARRAY_END ? 0 : -1;
        }
    }
    return rc < 0 ? err_set(r->l->err, "merge %zu: not two strings", k) : 0;
}

static int add_pairs(struct reader *r)
{
    int rc = r->b->add_merges(r->b->model, r->pair, r->n, r->l->err);

    r->n = 0;
    return rc;
}

/* memcmp() == 0, for what is short. */
static inline bool same(const char *a, const char *b, size_t n)
{
    uint32_t v[4];

    if (n > 8)
        return memcmp(a, b, n) == 0;
    if (n < 4) {
        for (size_t i = 0; i < n; i++)
            if (a[i] != b[i])
                return false;
        return true;
    }
    memcpy(&v[0], a, 4);
    memcpy(&v[1], b, 4);
    memcpy(&v[2], a + n - 4, 4);
    memcpy(&v[3], b + n - 4, 4);
    return v[0] == v[1] && v[2] == v[3];
}

/* Is the token of an id spelled so? */
static bool spells(const struct lexicon *l, uint32_t id, const struct json_raw *left, const struct json_raw *right)
{
    size_t n;
    const char *s = lexicon_string(l, id, &n);

    return s && n == left->n + right->n && same(s, left->s, left->n) && same(s + left->n, right->s, right->n);
}

/* The token that a merge makes, mostly the one behind that of the merge before, or the same. */
static uint32_t find_made(struct reader *r, const struct json_raw *left, const struct json_raw *right)
{
    if (r->b->prefix_n)
        return LEXICON_NONE;
    if (spells(&r->spelled, r->last + 1, left, right))
        return r->last + 1;
    if (spells(&r->spelled, r->last, left, right))
        return r->last;
    r->both.n = 0;
    tokenizer_put(&r->both, left->s, left->n);
    tokenizer_put(&r->both, right->s, right->n);
    return lexicon_find(&r->spelled, r->both.v, r->both.n);
}

/* All that are to be looked up. */
static int find_merges(struct reader *r)
{
    struct lexicon_query query[2 * BATCH];

    for (size_t i = 0; i < r->n_merges; i++) {
        query[2 * i] = (struct lexicon_query){ .s = r->merge[i].left.s, .n = r->merge[i].left.n };
        query[2 * i + 1] = (struct lexicon_query){ .s = r->merge[i].right.s, .n = r->merge[i].right.n };
    }
    lexicon_find_all(&r->spelled, query, 2 * r->n_merges);
    mem_grow(&r->pair, &r->cap, r->n + r->n_merges, sizeof *r->pair);
    for (size_t i = 0; i < r->n_merges; i++) {
        const struct merge *m = &r->merge[i];
        uint32_t left = query[2 * i].id, right = query[2 * i + 1].id, made = find_made(r, &m->left, &m->right);
        const char *s[2];
        size_t n[2];

        if (!m->meant && left != LEXICON_NONE && right != LEXICON_NONE && made != LEXICON_NONE) {
            r->pair[r->n++] = (struct merges_pair){ left, right, made };
            r->last = made;
            continue;
        }
        s[0] = tokenizer_string(r->l, &m->left, 0, &n[0]);
        s[1] = tokenizer_string(r->l, &m->right, 1, &n[1]);
        if (add_pairs(r) < 0 || r->b->add_merge(r->b->model, s[0], n[0], s[1], n[1], r->l->err) < 0)
            return -1;
    }
    r->n_merges = 0;
    return 0;
}

static int load_merges(struct reader *r)
{
    struct tokenizer_loader *l = r->l;
    enum json_type t;
    struct json j;

    json_init(&j, r->b->merges, r->b->merges_n);
    if (json_next(&j) != JSON_ARRAY)
        return err_set(l->err, "%s: model: merges are not an array", l->name);
    for (size_t k = 0; (t = json_next(&j)) != JSON_ARRAY_END; k++) {
        int rc = take_merge(r, &j, t, k, &r->merge[r->n_merges]);

        if (rc < 0)
            return err_prefix(l->err, "%s: model", l->name);
        r->n_merges += rc == 0;
        if (r->n_merges == BATCH && find_merges(r) < 0)
            return err_prefix(l->err, "%s: model", l->name);
    }
    return find_merges(r) < 0 || add_pairs(r) < 0 ? err_prefix(l->err, "%s: model", l->name) : 0;
}

int tokenizer_bpe_load(struct tokenizer_loader *l, struct tokenizer_bpe *b)
{
    struct reader r = { .l = l, .b = b, .spelled = { .unfiltered = true } };
    int rc = load_vocab(&r) < 0 || load_merges(&r) < 0 ? -1 : 0;

    lexicon_release(&r.spelled);
    free(r.pair);
    free(r.both.v);
    return rc;
}
