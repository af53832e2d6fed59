/* tokenizer.json and tokenizer_config.json to a struct tokenizer.
 *
 * The file is walked once to find its parts; the vocabulary and the merges, nearly all of it, are then taken
 * by the pull parser, the rest as trees.
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/text/tokenizer_in.h"

/* Bytes of one value. */
struct part {
    const char *name;
    const char *s; /* NULL: the file has none */
    size_t n;
};

struct loader {
    struct tokenizer *t;
    const char *name;
    struct err *err;
    struct arena scratch;
    char *text[2]; /* unescaped strings */
    size_t text_cap[2];
    uint32_t *slot; /* added tokens by content: 1 + index, open addressing */
    unsigned slot_bits;
};

enum { VOCAB, MERGES, MODEL_PARTS };
enum { ADDED, NORMALIZER, PRE_TOKENIZER, MODEL, POST_PROCESSOR, DECODER, PARTS };

/* Find the members of the object that are named in part[]; each other one goes to `other`, if that is given. */
static int split(struct loader *l, const char *s, size_t n, struct part *part, int n_parts,
                 int (*other)(struct loader *l, struct json *j))
{
    struct json j;

    json_init(&j, s, n);
    if (json_next(&j) != JSON_OBJECT)
        return j.error ? json_error(&j, l->name, l->err) : err_set(l->err, "%s: not an object", l->name);
    while (json_next(&j) == JSON_KEY) {
        struct part *found = NULL;
        const char *start = j.p;

        for (int i = 0; i < n_parts; i++)
            if (json_is(&j.raw, part[i].name))
                found = &part[i];
        if (!found && other ? other(l, &j) < 0 : json_skip(&j) < 0)
            return j.error ? json_error(&j, l->name, l->err) : -1;
        if (found) {
            found->s = start;
            found->n = (size_t)(j.p - start);
        }
    }
    return json_next(&j) == JSON_END ? 0 : json_error(&j, l->name, l->err);
}

static const struct json_value *tree(struct loader *l, const struct part *p)
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

static bool is_string(const struct json_value *v, const char *s)
{
    return v && v->type == JSON_STRING && strlen(s) == v->len && memcmp(v->str, s, v->len) == 0;
}

static const char *type_of(const struct json_value *v)
{
    const struct json_value *type = json_get(v, "type");

    return type && type->type == JSON_STRING ? type->str : "";
}

static int unsupported(struct loader *l, const char *part, const struct json_value *v)
{
    if (!v || v->type != JSON_OBJECT)
        return err_set(l->err, "%s: %s: not supported", l->name, part);
    return err_set(l->err, "%s: %s: type '%.100s' is not supported", l->name, part, type_of(v));
}

/* The model's settings: which values are supported, and which one is kept. */
static int model_setting(struct loader *l, struct json *j)
{
    enum { ANY = 1, NOTHING = 2, FALSE = 4, TRUE = 8, BPE = 16, ZERO = 32, EMPTY = 64 };
    static const struct {
        const char *key;
        int values;
    } rows[] = {
        { "type", BPE },
        { "dropout", NOTHING | ZERO },
        { "unk_token", ANY }, /* a byte without a token is an error of ours */
        { "continuing_subword_prefix", NOTHING | EMPTY },
        { "end_of_word_suffix", NOTHING | EMPTY },
        { "fuse_unk", ANY },
        { "byte_fallback", NOTHING | FALSE },
        { "ignore_merges", NOTHING | FALSE | TRUE },
    };
    const char *start = j->p;
    enum json_type type;
    int value = 0, allowed = 0;
    const char *key = "a setting";

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_is(&j->raw, rows[i].key)) {
            key = rows[i].key;
            allowed = rows[i].values;
        }
    if (!allowed || (allowed & ANY))
        return json_skip(j);
    type = json_next(j);
    if (type == JSON_ERROR)
        return -1;
    while (strchr(" \t\r\n", *start)) /* the value follows */
        start++;
    if (type == JSON_NULL || type == JSON_FALSE || type == JSON_TRUE)
        value = type == JSON_NULL ? NOTHING : type == JSON_FALSE ? FALSE : TRUE;
    else if (type == JSON_NUMBER)
        value = json_double(&j->raw) == 0 ? ZERO : 0; /* NOLINT: zero is exact */
    else if (type == JSON_STRING)
        value = json_is(&j->raw, "BPE") ? BPE : j->raw.n ? 0 : EMPTY;
    if (!(value & allowed))
        return err_set(l->err, "%s: model: %s: %.*s is not supported", l->name, key,
                       (int)(j->p - start < 100 ? j->p - start : 100), start);
    if (strcmp(key, "ignore_merges") == 0)
        l->t->bpe.whole = value == TRUE;
    return 0;
}

/* The last string of j, unescaped, borrowed until the next one with the same k. */
static const char *string(struct loader *l, const struct json *j, int k, size_t *n)
{
    if (!j->raw.escaped) {
        *n = j->raw.n;
        return j->raw.s;
    }
    mem_grow(&l->text[k], &l->text_cap[k], j->raw.n + 1, 1);
    *n = json_unescape(&j->raw, l->text[k]);
    return l->text[k];
}

static int load_vocab(struct loader *l, const struct part *p)
{
    struct json j;
    int64_t id;

    if (!p->s)
        return err_set(l->err, "%s: model: there is no vocab", l->name);
    json_init(&j, p->s, p->n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(l->err, "%s: model: vocab is not an object", l->name);
    while (json_next(&j) == JSON_KEY) {
        size_t n;
        const char *s = string(l, &j, 0, &n);

        if (json_next(&j) != JSON_NUMBER || !json_int64(&j.raw, &id) || id < 0)
            return err_set(l->err, "%s: vocab: '%.*s' has no id", l->name, (int)(n < 100 ? n : 100), s);
        if (bpe_add(&l->t->bpe, s, n, (uint64_t)id, l->err) < 0)
            return err_prefix(l->err, "%s: vocab", l->name);
    }
    return bpe_index(&l->t->bpe, l->err) < 0 ? err_prefix(l->err, "%s: vocab", l->name) : 0;
}

/* One merge, "left right" or ["left", "right"], of which the first event was t. */
static int load_merge(struct loader *l, struct json *j, enum json_type t)
{
    const char *left = NULL, *right = NULL;
    size_t left_n = 0, right_n = 0;

    if (t == JSON_STRING) {
        left = string(l, j, 0, &left_n);
        if (left_n >= 8 && memcmp(left, "#version", 8) == 0)
            return 0;
        right = memchr(left, ' ', left_n);
        if (right) {
            right_n = left_n - (size_t)(++right - left);
            left_n -= right_n + 1;
        }
        if (!right || memchr(right, ' ', right_n))
            return err_set(l->err, "merge %zu: not two strings with a space between", l->t->bpe.merges.n);
    } else if (t == JSON_ARRAY) {
        if (json_next(j) == JSON_STRING)
            left = string(l, j, 0, &left_n);
        if (left && json_next(j) == JSON_STRING)
            right = string(l, j, 1, &right_n);
        if (!right || json_next(j) != JSON_ARRAY_END)
            return err_set(l->err, "merge %zu: not two strings", l->t->bpe.merges.n);
    } else {
        return err_set(l->err, "merge %zu: not two strings", l->t->bpe.merges.n);
    }
    return bpe_add_merge(&l->t->bpe, left, left_n, right, right_n, l->err);
}

static int load_model(struct loader *l, const struct part *model)
{
    struct part part[MODEL_PARTS] = { [VOCAB] = { .name = "vocab" }, [MERGES] = { .name = "merges" } };
    enum json_type t;
    struct json j;

    if (!model->s)
        return err_set(l->err, "%s: there is no model", l->name);
    if (split(l, model->s, model->n, part, MODEL_PARTS, model_setting) < 0 || load_vocab(l, &part[VOCAB]) < 0)
        return -1;
    if (!part[MERGES].s)
        return err_set(l->err, "%s: model: there are no merges", l->name);
    json_init(&j, part[MERGES].s, part[MERGES].n);
    if (json_next(&j) != JSON_ARRAY)
        return err_set(l->err, "%s: model: merges are not an array", l->name);
    while ((t = json_next(&j)) != JSON_ARRAY_END)
        if (load_merge(l, &j, t) < 0)
            return err_prefix(l->err, "%s: model", l->name);
    bpe_finish(&l->t->bpe);
    return 0;
}


static uint32_t *added_slot(const struct loader *l, const char *s, size_t n)
{
    size_t mask = ((size_t)1 << l->slot_bits) - 1, i = (size_t)hash_bytes(s, n, 0) & mask;

    for (; l->slot[i]; i = (i + 1) & mask) {
        const struct tokenizer_added *a = &l->t->added[l->slot[i] - 1];

        if (a->n == n && memcmp(a->content, s, n) == 0)
            break;
    }
    return &l->slot[i];
}

static int set_flags(struct loader *l, const struct json_value *v, struct tokenizer_added *a)
{
    return json_get_bool(v, "special", false, &a->special, l->name, l->err) < 0 ||
                   json_get_bool(v, "normalized", !a->special, &a->normalized, l->name, l->err) < 0 ||
                   json_get_bool(v, "single_word", false, &a->single_word, l->name, l->err) < 0 ||
                   json_get_bool(v, "lstrip", false, &a->lstrip, l->name, l->err) < 0 ||
                   json_get_bool(v, "rstrip", false, &a->rstrip, l->name, l->err) < 0
               ? -1
               : 0;
}

/* Add one, or change the flags of one that is there.  The id is the vocabulary's for that content, else the
 * next free one, whatever the file says; `id`, where it is not NULL, must be that. */
static int add_token(struct loader *l, const struct json_value *v, const char *id)
{
    const struct json_value *content = json_get(v, "content");
    struct tokenizer *t = l->t;
    struct tokenizer_added *a, new = { 0 };
    uint32_t *slot, next = (uint32_t)t->bpe.n;

    if (!content || content->type != JSON_STRING)
        return err_set(l->err, "%s: added token %s: there is no content", l->name, id ? id : "");
    if (!content->len)
        return 0;
    if (set_flags(l, v, &new) < 0)
        return -1;
    slot = added_slot(l, content->str, content->len);
    if (!*slot) {
        if (t->n_added && t->info.vocab_size > next) /* highest id of an added token + 1, so far */
            next = t->info.vocab_size;
        new.id = bpe_id(&t->bpe, content->str, content->len);
        if (new.id == BPE_NONE)
            new.id = next;
        if (new.id > BPE_MAX_ID)
            return err_set(l->err, "%s: added token '%.100s': id %u is above %u", l->name, content->str, new.id, BPE_MAX_ID);
        mem_grow(&t->added, &t->added_cap, t->n_added + 1, sizeof *t->added);
        new.content = arena_strndup(&t->arena, content->str, content->len);
        new.n = content->len;
        t->added[t->n_added++] = new;
        *slot = (uint32_t)t->n_added;
        if (new.id >= t->info.vocab_size)
            t->info.vocab_size = new.id + 1;
    }
    a = &t->added[*slot - 1];
    new.content = a->content;
    new.n = a->n;
    new.id = a->id;
    *a = new;
    if (id && (strtoull(id, NULL, 10) != a->id || strlen(id) > 10))
        return err_set(l->err, "%s: added token '%.100s' has the id %u, not %.20s as in tokenizer_config.json", l->name,
                       a->content, a->id, id);
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct tokenizer_added *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int by_number(const void *a, const void *b)
{
    unsigned long long x = strtoull((*(const struct json_value *const *)a)->key, NULL, 10);
    unsigned long long y = strtoull((*(const struct json_value *const *)b)->key, NULL, 10);

    return (x > y) - (x < y);
}

/* The file's list, then what transformers adds from added_tokens_decoder, by id. */
static int load_added(struct loader *l, const struct json_value *list, const struct json_value *config)
{
    const struct json_value *decoder = json_get(config, "added_tokens_decoder"), *v, **sorted;
    int n = 0, rc = 0;

    if (!is_null(list) && list->type != JSON_ARRAY)
        return err_set(l->err, "%s: added_tokens is not an array", l->name);
    if (is_null(decoder) || decoder->type != JSON_OBJECT)
        decoder = NULL;
    for (l->slot_bits = 4; (size_t)1 << l->slot_bits < 2 * (size_t)((list ? list->n : 0) + (decoder ? decoder->n : 0));)
        l->slot_bits++;
    l->slot = xcalloc((size_t)1 << l->slot_bits, sizeof *l->slot);
    for (v = list ? list->child : NULL; v && rc == 0; v = v->next)
        rc = add_token(l, v, NULL);
    sorted = xcalloc((size_t)(decoder ? decoder->n : 0) + 1, sizeof *sorted);
    for (v = decoder ? decoder->child : NULL; v; v = v->next)
        sorted[n++] = v;
    qsort(sorted, (size_t)n, sizeof(const struct json_value *), by_number);
    for (int i = 0; i < n && rc == 0; i++)
        rc = add_token(l, sorted[i], sorted[i]->key);
    free(sorted);
    if (l->t->bpe.n_ids > l->t->info.vocab_size)
        l->t->info.vocab_size = l->t->bpe.n_ids;
    if (rc == 0 && l->t->n_added) {
        qsort(l->t->added, l->t->n_added, sizeof *l->t->added, by_id);
        for (size_t i = 1; i < l->t->n_added; i++)
            if (l->t->added[i].id == l->t->added[i - 1].id)
                return err_set(l->err, "%s: two added tokens have the id %u", l->name, l->t->added[i].id);
    }
    return rc;
}

/* Walk a step, or the steps of a Sequence, in order. */
static int each(struct loader *l, const char *part, const char *list, const struct json_value *v,
                int (*take)(struct loader *l, const char *part, const struct json_value *step))
{
    if (is_null(v))
        return 0;
    if (strcmp(type_of(v), "Sequence") != 0)
        return take(l, part, v);
    v = json_get(v, list);
    if (!v || v->type != JSON_ARRAY)
        return err_set(l->err, "%s: %s: a Sequence without %s", l->name, part, list);
    for (v = v->child; v; v = v->next)
        if (take(l, part, v) < 0)
            return -1;
    return 0;
}

static int take_normalizer(struct loader *l, const char *part, const struct json_value *v)
{
    if (strcmp(type_of(v), "NFC") != 0)
        return unsupported(l, part, v);
    l->t->nfc = true;
    return 0;
}

/* Split(Regex, Isolated) then ByteLevel(use_regex false), or ByteLevel(use_regex true). */
static int take_pre_tokenizer(struct loader *l, const char *part, const struct json_value *v)
{
    const struct json_value *regex = json_get(json_get(v, "pattern"), "Regex");
    bool by_regex, prefix, done = l->t->info.pattern_name || l->t->pretok;

    if (strcmp(type_of(v), "Split") == 0) {
        if (!regex || regex->type != JSON_STRING)
            return err_set(l->err, "%s: %s: a Split whose pattern is no Regex is not supported", l->name, part);
        if (!is_string(json_get(v, "behavior"), "Isolated"))
            return err_set(l->err, "%s: %s: a Split whose behavior is not Isolated is not supported", l->name, part);
        if (done)
            return err_set(l->err, "%s: %s: a second Split is not supported", l->name, part);
        l->t->pretok = pretok_open(regex->str, regex->len, l->err);
        return l->t->pretok ? 0 : err_prefix(l->err, "%s: %s", l->name, part);
    }
    if (strcmp(type_of(v), "ByteLevel") != 0)
        return unsupported(l, part, v);
    if (json_get_bool(v, "add_prefix_space", true, &prefix, l->name, l->err) < 0 ||
        json_get_bool(v, "use_regex", true, &by_regex, l->name, l->err) < 0)
        return -1;
    if (l->t->info.pattern_name)
        return err_set(l->err, "%s: %s: a second ByteLevel is not supported", l->name, part);
    if (prefix)
        return err_set(l->err, "%s: %s: ByteLevel with add_prefix_space is not supported", l->name, part);
    if (by_regex == done)
        return err_set(l->err, "%s: %s: ByteLevel %s a pattern of its own %s a Split is not supported", l->name, part,
                       by_regex ? "with" : "without", done ? "behind" : "and without");
    if (by_regex)
        l->t->pretok = pretok_open("gpt2", 4, l->err);
    l->t->info.pattern_name = ""; /* complete */
    return 0;
}

static int load_pre_tokenizer(struct loader *l, const struct json_value *v)
{
    if (each(l, "pre_tokenizer", "pretokenizers", v, take_pre_tokenizer) < 0)
        return -1;
    if (!l->t->info.pattern_name)
        return err_set(l->err, "%s: pre_tokenizer: there is no ByteLevel: only byte-level BPE is supported", l->name);
    l->t->info.pattern_name = pretok_name(l->t->pretok);
    return 0;
}

static int take_decoder(struct loader *l, const char *part, const struct json_value *v)
{
    return strcmp(type_of(v), "ByteLevel") == 0 ? 0 : unsupported(l, part, v);
}

/* What the template puts before (prefix) or behind the text, as ids into out; their number or -1. */
static int template_ids(struct loader *l, const struct json_value *v, bool prefix, uint32_t *out)
{
    const struct json_value *special = json_get(v, "special_tokens"), *items = json_get(v, "single");
    bool before = true;
    int n = 0;

    for (items = items ? items->child : NULL; items; items = items->next) {
        const struct json_value *token = json_get(json_get(items, "SpecialToken"), "id");
        const struct json_value *ids = token ? json_get(json_get(special, token->str), "ids") : NULL;

        if (json_get(items, "Sequence")) {
            if (!before || !is_string(json_get(json_get(items, "Sequence"), "id"), "A"))
                return err_set(l->err, "%s: post_processor: a template that is not one text A is not supported", l->name);
            before = false;
            continue;
        }
        if (!ids || ids->type != JSON_ARRAY)
            return err_set(l->err, "%s: post_processor: a special token without ids", l->name);
        for (ids = ids->child; ids; ids = ids->next) {
            if (ids->type != JSON_NUMBER || !(ids->num >= 0) || ids->num >= l->t->info.vocab_size)
                return err_set(l->err, "%s: post_processor: '%.20s' is not an id of the vocabulary", l->name,
                               ids->str ? ids->str : "");
            if (before == prefix)
                out[n++] = (uint32_t)ids->num;
        }
    }
    return before ? err_set(l->err, "%s: post_processor: a template without the text", l->name) : n;
}

/* Nodes below v: no list of ids in it is longer. */
static size_t nodes(const struct json_value *v)
{
    size_t n = 1;

    for (v = v ? v->child : NULL; v; v = v->next)
        n += nodes(v);
    return n;
}

static int take_post_processor(struct loader *l, const char *part, const struct json_value *v)
{
    struct tokenizer_info *info = &l->t->info;
    uint32_t *prefix, *suffix;
    size_t most;
    int before, behind;

    if (strcmp(type_of(v), "ByteLevel") == 0)
        return 0;
    if (strcmp(type_of(v), "TemplateProcessing") != 0)
        return unsupported(l, part, v);
    most = nodes(json_get(v, "special_tokens")) * ((size_t)(json_get(v, "single") ? json_get(v, "single")->n : 0) + 1);
    if (most > 1 << 20)
        return err_set(l->err, "%s: %s: too large a template", l->name, part);
    prefix = arena_calloc(&l->t->arena, most + (size_t)info->n_prefix, sizeof *prefix);
    suffix = arena_calloc(&l->t->arena, most + (size_t)info->n_suffix, sizeof *suffix);
    for (int i = 0; i < info->n_suffix; i++)
        suffix[i] = info->suffix[i];
    before = template_ids(l, v, true, prefix);
    behind = template_ids(l, v, false, suffix + info->n_suffix);
    if (before < 0 || behind < 0)
        return -1;
    for (int i = 0; i < info->n_prefix; i++) /* a later step stands farther out */
        prefix[before + i] = info->prefix[i];
    info->prefix = prefix;
    info->suffix = suffix;
    info->n_prefix += before;
    info->n_suffix += behind;
    return 0;
}

/* A token of tokenizer_config.json: a string, or an object with its content. */
static uint32_t config_token(const struct loader *l, const struct json_value *config, const char *key)
{
    const struct json_value *v = json_get(config, key);

    if (v && v->type == JSON_OBJECT)
        v = json_get(v, "content");
    return v && v->type == JSON_STRING ? tokenizer_id(l->t, v->str, v->len) : TOKENIZER_NONE;
}

static void load_config(struct loader *l, const struct json_value *config)
{
    struct tokenizer_info *info = &l->t->info;

    info->bos = config_token(l, config, "bos_token");
    info->eos = config_token(l, config, "eos_token");
    info->pad = config_token(l, config, "pad_token");
    if (!info->n_prefix && info->bos != TOKENIZER_NONE && is_true(json_get(config, "add_bos_token"))) {
        info->prefix = &info->bos;
        info->n_prefix = 1;
    }
    if (!info->n_suffix && info->eos != TOKENIZER_NONE && is_true(json_get(config, "add_eos_token"))) {
        info->suffix = &info->eos;
        info->n_suffix = 1;
    }
}

/* SHA-256 over id, length and bytes of every token that is not an added one, by id. */
static void make_fingerprint(struct tokenizer *t)
{
    struct hash_sha256 h;

    hash_sha256_init(&h);
    for (uint32_t id = 0; id < t->bpe.n_ids; id++) {
        const struct bpe_token *token = bpe_token(&t->bpe, id);

        if (!token || tokenizer_added_token(t, id))
            continue;
        for (int k = 0; k < 2; k++) {
            uint32_t v = k ? token->len : id;

            hash_sha256_add(&h, (uint8_t[]){ (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) }, 4);
        }
        hash_sha256_add(&h, t->bpe.bytes + token->at, token->len);
    }
    hash_sha256_end(&h, t->info.fingerprint);
}

static int load(struct loader *l, struct part *part, const struct json_value *config)
{
    const struct json_value *v[PARTS];

    for (int i = 0; i < PARTS; i++) {
        v[i] = i == MODEL ? NULL : tree(l, &part[i]);
        if (i != MODEL && part[i].s && !v[i])
            return -1;
    }
    if (load_model(l, &part[MODEL]) < 0 || load_added(l, v[ADDED], config) < 0 ||
        each(l, "normalizer", "normalizers", v[NORMALIZER], take_normalizer) < 0 ||
        load_pre_tokenizer(l, v[PRE_TOKENIZER]) < 0 ||
        each(l, "post_processor", "processors", v[POST_PROCESSOR], take_post_processor) < 0)
        return -1;
    if (is_null(v[DECODER]))
        return err_set(l->err, "%s: decoder: none is not supported", l->name);
    if (each(l, "decoder", "decoders", v[DECODER], take_decoder) < 0)
        return -1;
    tokenizer_make_sets(l->t);
    load_config(l, config);
    make_fingerprint(l->t);
    return 0;
}

int tokenizer_load(struct tokenizer *t, const void *json, size_t n, const void *config, size_t config_n,
                   const char *name, struct err *err)
{
    struct part part[PARTS] = {
        [ADDED] = { .name = "added_tokens" }, [NORMALIZER] = { .name = "normalizer" },
        [PRE_TOKENIZER] = { .name = "pre_tokenizer" }, [MODEL] = { .name = "model" },
        [POST_PROCESSOR] = { .name = "post_processor" }, [DECODER] = { .name = "decoder" },
    };
    struct loader l = { .t = t, .name = name, .err = err };
    const struct json_value *settings = NULL;
    struct json j;
    int rc = 0;

    json_init(&j, json, n);
    if (json_next(&j) != JSON_OBJECT)
        return err_set(err, "%s: not a tokenizer.json: it is no JSON object", name);
    arena_init(&l.scratch);
    if (config) {
        settings = json_tree(&l.scratch, config, config_n, "tokenizer_config.json", err);
        rc = settings ? 0 : err_prefix(err, "%s", name);
    }
    if (rc == 0)
        rc = split(&l, json, n, part, PARTS, NULL) < 0 || load(&l, part, settings) < 0 ? -1 : 0;
    arena_release(&l.scratch);
    free(l.text[0]);
    free(l.text[1]);
    free(l.slot);
    return rc;
}
