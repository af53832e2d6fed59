/* tokenizer.json and tokenizer_config.json to a struct tokenizer.
 *
 * The file is walked once to find its parts; the model, nearly all of it, is then taken by its row with the pull
 * parser, the rest as trees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer_cache.h"
#include "libcommon/tokenizer/tokenizer_load.h"

/* A list of steps of the file: the part it is, the key of a Sequence's members, its rows, where it goes. */
struct list {
    const char *part, *members;
    const struct tokenizer_step_row *rows;
    const int *n_rows;
    struct tokenizer_steps *steps;
    struct tokenizer_text *described;
};

#define MOST_STEPS 256 /* the encoder calls itself for each */

enum { ADDED, NORMALIZER, PRE_TOKENIZER, MODEL, POST_PROCESSOR, DECODER, PARTS };

/* Models by type, the first that takes the file; a file may leave out the type of BPE. */
static const struct tokenizer_model_row *const models[] = {
    &tokenizer_byte_bpe, &tokenizer_rank_bpe, &tokenizer_char_bpe, &tokenizer_unigram, &tokenizer_word_piece, &tokenizer_word_level,
};

static struct tokenizer_part *find_part(struct tokenizer_part *part, int n, const struct json_raw *key)
{
    struct tokenizer_part *found = NULL;

    for (int i = 0; i < n; i++)
        if (json_is(key, part[i].name))
            found = &part[i];
    return found;
}

/* Past the value that is due, the model's, with its members to l->member. */
static int keep_members(struct tokenizer_loader *l, struct json *j)
{
    struct json first = *j;

    l->n_members = 0;
    l->model = NULL;
    if (json_next(&first) != JSON_OBJECT)
        return json_skip(j);
    l->model = j->p;
    json_next(j);
    while (json_next(j) == JSON_KEY) {
        struct json_raw key = j->raw;
        const char *start = j->p;

        if (json_skip(j) < 0)
            return -1;
        mem_grow(&l->member, &l->member_cap, l->n_members + 1, sizeof *l->member);
        l->member[l->n_members++] = (struct tokenizer_member){ key, start, (size_t)(j->p - start) };
    }
    return j->error ? -1 : 0;
}

static int split_model(struct tokenizer_loader *l, struct tokenizer_part *part, int n_parts,
                       int (*other)(struct tokenizer_loader *l, struct json *j))
{
    for (size_t i = 0; i < l->n_members; i++) {
        const struct tokenizer_member *m = &l->member[i];
        struct tokenizer_part *found = find_part(part, n_parts, &m->key);

        if (!found && other && other(l, &(struct json){ .raw = m->key }) < 0)
            return -1;
        if (found) {
            found->s = m->s;
            found->n = m->n;
        }
    }
    return 0;
}

int tokenizer_split(struct tokenizer_loader *l, const char *s, size_t n, struct tokenizer_part *part, int n_parts,
                    int (*other)(struct tokenizer_loader *l, struct json *j))
{
    struct json j;

    if (l->model && s == l->model)
        return split_model(l, part, n_parts, other);
    json_init(&j, s, n);
    if (json_next(&j) != JSON_OBJECT)
        return j.error ? json_error(&j, l->name, l->err) : err_set(l->err, "%s: not an object", l->name);
    while (json_next(&j) == JSON_KEY) {
        struct tokenizer_part *found = find_part(part, n_parts, &j.raw);
        const char *start = j.p;

        if (!found && other ? other(l, &j) < 0 : found && found->model ? keep_members(l, &j) < 0 : json_skip(&j) < 0)
            return j.error ? json_error(&j, l->name, l->err) : -1;
        if (found) {
            found->s = start;
            found->n = (size_t)(j.p - start);
        }
    }
    return json_next(&j) == JSON_END ? 0 : json_error(&j, l->name, l->err);
}

static const struct json_value *tree(struct tokenizer_loader *l, const struct tokenizer_part *p)
{
    return p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;
}

static bool is_null(const struct json_value *v)
{
    return !v || v->type == JSON_NULL;
}

static bool is_true(const struct json_value *v)
{
    return v && v->type == JSON_TRUE;
}

const char *tokenizer_type(const struct json_value *v)
{
    const struct json_value *type = json_get(v, "type");

    return type && type->type == JSON_STRING ? type->str : "";
}

int tokenizer_unsupported(struct tokenizer_loader *l, const char *part, const struct json_value *v)
{
    if (!v || v->type != JSON_OBJECT)
        return err_set(l->err, "%s: %s: not supported", l->name, part);
    return err_set(l->err, "%s: %s: type '%.100s' is not supported", l->name, part, tokenizer_type(v));
}

const char *tokenizer_string(struct tokenizer_loader *l, const struct json_raw *raw, int k, size_t *n)
{
    if (!raw->escaped) {
        *n = raw->n;
        return raw->s;
    }
    mem_grow(&l->text[k], &l->text_cap[k], raw->n + 1, 1);
    *n = json_unescape(raw, l->text[k]);
    return l->text[k];
}

void tokenizer_add_step(struct tokenizer_steps *list, const struct tokenizer_step_row *row, void *args)
{
    mem_grow(&list->v, &list->cap, list->n + 1, sizeof *list->v);
    list->v[list->n++] = (struct tokenizer_step){ row, args };
}

/* Walk a step, or those of a Sequence, which may hold others. */
static int each(struct tokenizer_loader *l, const struct list *list, const struct json_value *v,
                int (*take)(struct tokenizer_loader *l, const struct list *list, const struct json_value *step))
{
    if (is_null(v))
        return 0;
    if (strcmp(tokenizer_type(v), "Sequence") != 0) {
        tokenizer_describe(v, list->described);
        return take(l, list, v);
    }
    v = json_get(v, list->members);
    if (!v || v->type != JSON_ARRAY)
        return err_set(l->err, "%s: %s: a Sequence without %s", l->name, list->part, list->members);
    for (v = v->child; v; v = v->next)
        if (each(l, list, v, take) < 0)
            return -1;
    return 0;
}

static int take_step(struct tokenizer_loader *l, const struct list *list, const struct json_value *v)
{
    const char *type = tokenizer_type(v);

    if (list->steps->n > MOST_STEPS)
        return err_set(l->err, "%s: %s: more than %d steps", l->name, list->part, MOST_STEPS);
    for (int i = 0; i < *list->n_rows; i++)
        if (strcmp(list->rows[i].type, type) == 0)
            return list->rows[i].parse(l, list->steps, v);
    return tokenizer_unsupported(l, list->part, v);
}

static int take_decoder(struct tokenizer_loader *l, const struct list *list, const struct json_value *v)
{
    if (each(l, list, v, take_step) < 0)
        return -1;
    if (!is_null(v) && !list->steps->n)
        tokenizer_add_fuse(list->steps);
    return 0;
}

static int take_post(struct tokenizer_loader *l, const struct list *list, const struct json_value *v)
{
    const char *type = tokenizer_type(v);

    for (int i = 0; i < tokenizer_n_posts; i++)
        if (strcmp(tokenizer_posts[i].type, type) == 0)
            return tokenizer_posts[i].parse(l, v);
    return tokenizer_unsupported(l, list->part, v);
}

/* The model's type; where there is none, as in old files, Unigram if it has an unk_id, else BPE. */
static int model_type(struct tokenizer_loader *l, const struct tokenizer_part *model, const char **type)
{
    struct tokenizer_part part[] = { { .name = "type" }, { .name = "unk_id" } };
    const struct json_value *v;

    if (!model->s)
        return err_set(l->err, "%s: there is no model", l->name);
    if (tokenizer_split(l, model->s, model->n, part, 2, NULL) < 0)
        return -1;
    v = tree(l, &part[0]);
    if (part[0].s && (!v || v->type != JSON_STRING))
        return v ? err_set(l->err, "%s: model: type is not a string", l->name) : -1;
    *type = v ? v->str : part[1].s ? "Unigram" : "BPE";
    return 0;
}

/* The model as the cache has it. */
static int take_model(struct tokenizer_loader *l, struct tokenizer_cache *c)
{
    const struct tokenizer_model_row *row = c->rest.row < sizeof models / sizeof *models ? models[c->rest.row] : NULL;

    if (!row || !row->image || tokenizer_cache_take(c, l->t, row) < 0)
        return -1;
    if (row->takes_bytes)
        tokenizer_drop_mapping(l->t);
    return 0;
}

static int load_model(struct tokenizer_loader *l, const struct tokenizer_part *model)
{
    struct tokenizer_cache *c = l->source->cache;
    const char *type = "";

    if (c && c->found)
        return take_model(l, c);
    if (model_type(l, model, &type) < 0)
        return -1;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        int rc;

        if (strcmp(models[i]->type, type) != 0)
            continue;
        l->t->model = models[i];
        rc = models[i]->parse(l, model->s, model->n);
        if (rc < 0)
            return -1;
        if (rc == 0) {
            if (models[i]->takes_bytes)
                tokenizer_drop_mapping(l->t);
            if (c)
                c->rest.row = (uint32_t)i;
            return 0;
        }
        models[i]->release(l->t->model_data);
        l->t->model_data = NULL;
    }
    return err_set(l->err, "%s: model: type '%.100s' is not supported", l->name, type);
}

/* A token of tokenizer_config.json: a string, or an object with its content. */
static void take_config_token(const struct tokenizer_loader *l, const struct json_value *config, const char *key,
                              uint32_t *id)
{
    const struct json_value *v = json_get(config, key);

    if (v && v->type == JSON_OBJECT)
        v = json_get(v, "content");
    if (v && v->type == JSON_STRING)
        *id = tokenizer_id(l->t, v->str, v->len);
}

/* SHA-256 over id, length and bytes of every token that is not an added one, by id. */
static void make_fingerprint(struct tokenizer *t)
{
    struct hash_sha256 h;
    size_t n;

    hash_sha256_init(&h);
    for (uint32_t id = 0; id < t->n_ids; id++) {
        bool added = tokenizer_added_token(t, id) || (t->model->is_added && t->model->is_added(t->model_data, id));
        const char *token = added ? NULL : tokenizer_bytes(t, id, &n);

        if (token) {
            uint8_t head[8];

            for (int k = 0; k < 4; k++) {
                head[k] = (uint8_t)(id >> 8 * k);
                head[k + 4] = (uint8_t)(n >> 8 * k);
            }
            hash_sha256_add(&h, head, 8);
            hash_sha256_add(&h, token, n);
        }
    }
    hash_sha256_end(&h, t->info.fingerprint);
}

void tokenizer_load_config(struct tokenizer_loader *l, const struct json_value *config)
{
    const struct tokenizer_cache *c = l->source->cache;
    struct tokenizer_info *info = &l->t->info;

    take_config_token(l, config, "bos_token", &info->bos);
    take_config_token(l, config, "eos_token", &info->eos);
    take_config_token(l, config, "pad_token", &info->pad);
    if (!info->n_prefix && info->bos != TOKENIZER_NONE && is_true(json_get(config, "add_bos_token"))) {
        info->prefix = &info->bos;
        info->n_prefix = 1;
    }
    if (!info->n_suffix && info->eos != TOKENIZER_NONE && is_true(json_get(config, "add_eos_token"))) {
        info->suffix = &info->eos;
        info->n_suffix = 1;
    }
    tokenizer_decode_all(l->t);
    if (c && c->found)
        memcpy(info->fingerprint, c->rest.fingerprint, sizeof info->fingerprint);
    else
        make_fingerprint(l->t);
}

/* A ByteLevel that is all of the pre-tokenizer, with tokenizer_config.json's add_prefix_space, as transformers gives it that. */
static const struct json_value *with_prefix_space(struct tokenizer_loader *l, const struct json_value *v, const struct json_value *config)
{
    const struct json_value *flag = json_get(config, "add_prefix_space"), *regex = json_get(v, "use_regex");
    char text[128];
    int n;

    if (!flag || (flag->type != JSON_TRUE && flag->type != JSON_FALSE) || strcmp(tokenizer_type(v), "ByteLevel") != 0)
        return v;
    n = snprintf(text, sizeof text, "{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,\"use_regex\":%s}", is_true(flag) ? "true" : "false",
                 regex && regex->type == JSON_FALSE ? "false" : "true");
    return json_tree(&l->scratch, arena_strndup(&l->scratch, text, (size_t)n), (size_t)n, l->name, l->err);
}

static int load(struct tokenizer_loader *l, struct tokenizer_part *part, const struct json_value *config)
{
    struct tokenizer *t = l->t;
    const struct list normalizer = { "normalizer", "normalizers", tokenizer_normalizers, &tokenizer_n_normalizers,
                                     &t->normalizer, &t->described[0] };
    const struct list pretokenizer = { "pre_tokenizer", "pretokenizers", tokenizer_pretokenizers, &tokenizer_n_pretokenizers,
                                       &t->pretokenizer, &t->described[1] };
    const struct list post = { .part = "post_processor", .members = "processors", .described = &t->described[2] };
    const struct list decoder = { "decoder", "decoders", tokenizer_decoders, &tokenizer_n_decoders, &t->decoder,
                                  &t->described[3] };
    const struct json_value *v[PARTS];
    const struct pretok *pretok;

    for (int i = 0; i < PARTS; i++) {
        v[i] = i == MODEL ? NULL : tree(l, &part[i]);
        if (i != MODEL && part[i].s && !v[i])
            return -1;
    }
    v[PRE_TOKENIZER] = with_prefix_space(l, v[PRE_TOKENIZER], config);
    t->info.bos = t->info.eos = t->info.pad = TOKENIZER_NONE;
    if (each(l, &normalizer, v[NORMALIZER], take_step) < 0 || each(l, &pretokenizer, v[PRE_TOKENIZER], take_step) < 0 ||
        load_model(l, &part[MODEL]) < 0 || tokenizer_load_added(l, v[ADDED], config) < 0 ||
        take_decoder(l, &decoder, v[DECODER]) < 0 || each(l, &post, v[POST_PROCESSOR], take_post) < 0)
        return -1;
    if (tokenizer_make_sets(l->t, config != NULL, l->err) < 0)
        return err_prefix(l->err, "%s: added_tokens", l->name);
    if (t->pretokenizer.n == 1 && (pretok = tokenizer_step_pretok(&t->pretokenizer.v[0])) != NULL)
        t->info.pattern_name = pretok_name(pretok);
    t->bars = tokenizer_only_bars(&t->normalizer, &t->bar_first) && !t->pretokenizer.n && t->model->border &&
              t->model->border(t->model_data);
    tokenizer_load_config(l, config);
    return 0;
}

bool tokenizer_is_json(const struct tokenizer_source *s)
{
    struct json j;

    json_init(&j, s->data, s->n);
    return json_next(&j) == JSON_OBJECT;
}

int tokenizer_load(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    struct tokenizer_part part[PARTS] = {
        [ADDED] = { .name = "added_tokens" }, [NORMALIZER] = { .name = "normalizer" },
        [PRE_TOKENIZER] = { .name = "pre_tokenizer" }, [MODEL] = { .name = "model", .model = true },
        [POST_PROCESSOR] = { .name = "post_processor" }, [DECODER] = { .name = "decoder" },
    };
    struct tokenizer_loader l = { .t = t, .source = s, .name = s->name, .err = err };
    const struct json_value *settings = NULL;
    int rc;

    arena_init(&l.scratch);
    rc = tokenizer_config_tree(s, &l.scratch, &settings, err);
    if (rc == 0)
        rc = tokenizer_split(&l, s->data, s->n, part, PARTS, NULL) < 0 || load(&l, part, settings) < 0 ? -1 : 0;
    if (rc == 0 && s->cache && !s->cache->found)
        tokenizer_cache_keep(s->cache, t, s, part[MODEL].s, part[MODEL].n);
    arena_release(&l.scratch);
    free(l.text[0]);
    free(l.text[1]);
    free(l.member);
    return rc;
}
