/* Mistral's tekken.json (mistral_common, tekken.py): ranks of tiktoken as objects of JSON, a pattern, special tokens before
 * them all.
 *
 * Of the vocabulary the first default_vocab_size - default_num_special_tokens count; an id is the rank behind all special
 * tokens.  Those that the file does not name are <SPECIAL_id>; files up to version 7 name none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/tokenizer_family.h"
#include "libcommon/tokenizer/tokenizer_load.h"

enum { CONFIG, VOCAB, SPECIAL, PARTS };

static const char *const old_special[] = {
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
    "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
};

enum { OLD = sizeof old_special / sizeof *old_special };

/* What the file becomes. */
struct tekken {
    struct tokenizer_loader l;
    struct tokenizer_part part[PARTS];
    const char *pattern;
    uint32_t n_special, n_ranks;
    struct tokenizer_text json, ranks;
};

bool tokenizer_is_tekken(const struct tokenizer_source *s)
{
    const char *base = tokenizer_base_name(s->name), *dot = strrchr(base, '.');

    return strstr(base, "tekken") && dot && strcmp(dot, ".json") == 0 && tokenizer_is_json(s);
}

static int take_count(struct tekken *k, const struct json_value *config, const char *key, uint32_t *n)
{
    const struct json_value *v = json_get(config, key);

    *n = v && v->type == JSON_NUMBER && v->num >= 0 && v->num <= TOKENIZER_MAX_ID ? (uint32_t)v->num : 0;
    if (!v || v->type != JSON_NUMBER || v->num < *n || v->num > *n)
        return err_set(k->l.err, "%s: config: %s is no whole number up to %u", k->l.name, key, TOKENIZER_MAX_ID);
    return 0;
}

static int take_config(struct tekken *k)
{
    const struct tokenizer_part *p = &k->part[CONFIG];
    const struct json_value *config = p->s ? json_tree(&k->l.scratch, p->s, p->n, k->l.name, k->l.err) : NULL, *v;
    uint32_t all;

    if (!config)
        return p->s ? -1 : err_set(k->l.err, "%s: there is no config", k->l.name);
    v = json_get(config, "pattern");
    if (!v || v->type != JSON_STRING)
        return err_set(k->l.err, "%s: config: there is no pattern", k->l.name);
    k->pattern = v->str;
    if (take_count(k, config, "default_vocab_size", &all) < 0 || take_count(k, config, "default_num_special_tokens", &k->n_special) < 0)
        return -1;
    if (all <= k->n_special)
        return err_set(k->l.err, "%s: config: %u special tokens, but a vocabulary of %u", k->l.name, k->n_special, all);
    k->n_ranks = all - k->n_special;
    return 0;
}

/* The members of an entry of the vocabulary: its rank into *rank, its bytes in base64 to the line. */
static int take_entry(struct tekken *k, struct json *j, int64_t *rank)
{
    *rank = -1;
    while (json_next(j) == JSON_KEY) {
        struct json_raw key = j->raw;
        const char *s;
        size_t n;

        if (json_is(&key, "rank")) {
            if (json_next(j) != JSON_NUMBER || !json_int64(&j->raw, rank))
                return -1;
        } else if (json_is(&key, "token_bytes")) {
            if (json_next(j) != JSON_STRING)
                return -1;
            s = tokenizer_string(&k->l, &j->raw, 0, &n);
            tokenizer_put(&k->ranks, s, n);
        } else if (json_skip(j) < 0) {
            return -1;
        }
    }
    return j->error ? -1 : 0;
}

/* Lines as tiktoken has them. */
static int take_vocab(struct tekken *k)
{
    const struct tokenizer_part *p = &k->part[VOCAB];
    struct json j;
    char id[24];

    json_init(&j, p->s ? p->s : "", p->n);
    if (!p->s || json_next(&j) != JSON_ARRAY)
        return err_set(k->l.err, "%s: there is no list vocab", k->l.name);
    for (uint32_t i = 0; i < k->n_ranks; i++) {
        size_t from = k->ranks.n;
        int64_t rank = -1;

        if (json_next(&j) != JSON_OBJECT)
            return err_set(k->l.err, "%s: vocab: %u entries, fewer than %u", k->l.name, i, k->n_ranks);
        if (take_entry(k, &j, &rank) < 0 || k->ranks.n == from || rank != i)
            return err_set(k->l.err, "%s: vocab: entry %u is no token_bytes of the rank %u", k->l.name, i, i);
        tokenizer_put(&k->ranks, id, (size_t)snprintf(id, sizeof id, " %u\n", i + k->n_special));
    }
    return 0;
}

static void put_special(struct tekken *k, uint32_t id, const char *s, size_t n)
{
    char text[40];

    tokenizer_put(&k->json, text, (size_t)snprintf(text, sizeof text, "%s{\"id\":%u,\"content\":", id ? "," : "", id));
    tokenizer_put_quoted(&k->json, s, n);
    tokenizer_puts(&k->json, ",\"special\":true,\"normalized\":false}");
}

/* Special tokens are in the order of their ranks. */
static int put_specials(struct tekken *k)
{
    const struct tokenizer_part *p = &k->part[SPECIAL];
    const struct json_value *list = p->s ? json_tree(&k->l.scratch, p->s, p->n, k->l.name, k->l.err) : NULL;
    const struct json_value *v = list && list->type == JSON_ARRAY ? list->child : NULL;
    bool old = !list || list->type == JSON_NULL;
    char filler[32];

    if (p->s && !list)
        return -1;
    if (!old && list->type != JSON_ARRAY)
        return err_set(k->l.err, "%s: special_tokens are not a list", k->l.name);
    tokenizer_puts(&k->json, "\"added_tokens\":[");
    for (uint32_t id = 0; id < k->n_special; id++) {
        const struct json_value *rank = json_get(v, "rank"), *s = json_get(v, "token_str");

        if (v && (!rank || rank->type != JSON_NUMBER || rank->num < id || rank->num > id || !s || s->type != JSON_STRING))
            return err_set(k->l.err, "%s: special_tokens: entry %u is no token_str of the rank %u", k->l.name, id, id);
        if (v)
            put_special(k, id, s->str, s->len);
        else if (old && id < OLD)
            put_special(k, id, old_special[id], strlen(old_special[id]));
        else
            put_special(k, id, filler, (size_t)snprintf(filler, sizeof filler, "<SPECIAL_%u>", id));
        v = v ? v->next : NULL;
    }
    tokenizer_puts(&k->json, "],");
    return v ? err_set(k->l.err, "%s: special_tokens: more than %u", k->l.name, k->n_special) : 0;
}

static int make(struct tekken *k, bool *rust)
{
    struct tokenizer_family room;
    const struct tokenizer_family *f;

    if (tokenizer_split(&k->l, k->l.source->data, k->l.source->n, k->part, PARTS, NULL) < 0 || take_config(k) < 0 || take_vocab(k) < 0)
        return -1;
    f = tokenizer_family_of(k->pattern, &room, k->l.err);
    if (!f)
        return err_prefix(k->l.err, "%s: config", k->l.name);
    *rust = f->given;
    tokenizer_puts(&k->json, "{");
    if (put_specials(k) < 0)
        return -1;
    tokenizer_put_family(f, &k->json);
    tokenizer_puts(&k->json, "\"model\":{\"type\":\"ranks\"}}");
    return 0;
}

int tokenizer_load_tekken(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    static const char config[] = "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"pad_token\":\"<pad>\",\"add_bos_token\":true}";
    struct tekken k = {
        .l = { .t = t, .source = s, .name = s->name, .err = err },
        .part = { [CONFIG] = { .name = "config" }, [VOCAB] = { .name = "vocab" }, [SPECIAL] = { .name = "special_tokens" } },
    };
    struct tokenizer_source made = *s;
    int rc;

    arena_init(&k.l.scratch);
    rc = make(&k, &made.rust);
    if (rc == 0) {
        made.data = k.json.v;
        made.n = k.json.n;
        made.ranks = k.ranks.v;
        made.ranks_n = k.ranks.n;
        made.config = config;
        made.config_n = sizeof config - 1;
        made.given_ids = true;
        rc = tokenizer_load(t, &made, err);
    }
    arena_release(&k.l.scratch);
    free(k.l.text[0]);
    free(k.l.text[1]);
    free(k.l.member);
    free(k.json.v);
    free(k.ranks.v);
    return rc;
}
