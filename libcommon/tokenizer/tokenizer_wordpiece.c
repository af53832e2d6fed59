/* WordPiece and WordLevel of tokenizer.json: whole words, or the longest pieces of one from the left. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/tokenizer_load.h"

struct words {
    struct lexicon vocab;
    const char *unk, *prefix; /* in the tokenizer's arena */
    size_t unk_n, prefix_n;
    uint32_t unk_id;          /* or LEXICON_NONE */
    int64_t longest;          /* word, in characters */
    size_t longest_token;     /* in bytes */
};

enum { VOCAB, UNK, PREFIX, LONGEST, PARTS };

int tokenizer_load_vocab(struct tokenizer_loader *l, const struct tokenizer_part *p, struct lexicon *vocab)
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
        const char *s = tokenizer_string(l, &j.raw, 0, &n);

        if (json_next(&j) != JSON_NUMBER || !json_int64(&j.raw, &id) || id < 0)
            return err_set(l->err, "%s: vocab: '%.*s' has no id", l->name, (int)(n < 100 ? n : 100), s);
        if (lexicon_add(vocab, s, n, (uint64_t)id, TOKENIZER_MAX_ID, l->err) < 0)
            return err_prefix(l->err, "%s: vocab", l->name);
    }
    if (lexicon_index(vocab, l->err) < 0)
        return err_prefix(l->err, "%s: vocab", l->name);
    l->t->n_tokens = vocab->n;
    l->t->n_ids = vocab->n_ids;
    return 0;
}

static int take_string(struct tokenizer_loader *l, const struct tokenizer_part *p, const char *dflt, const char **s, size_t *n)
{
    const struct json_value *v = p->s ? json_tree(&l->scratch, p->s, p->n, l->name, l->err) : NULL;

    if (p->s && (!v || v->type != JSON_STRING))
        return v ? err_set(l->err, "%s: model: %s is not a string", l->name, p->name) : -1;
    *n = v ? v->len : strlen(dflt);
    *s = arena_strndup(&l->t->arena, v ? v->str : dflt, *n);
    return 0;
}

static int parse_words(struct tokenizer_loader *l, const char *json, size_t n, const char *unk)
{
    struct tokenizer_part part[PARTS] = {
        [VOCAB] = { .name = "vocab" }, [UNK] = { .name = "unk_token" },
        [PREFIX] = { .name = "continuing_subword_prefix" }, [LONGEST] = { .name = "max_input_chars_per_word" },
    };
    struct words *w = l->t->model_data = xcalloc(1, sizeof *w);
    struct json j;

    if (tokenizer_split(l, json, n, part, PARTS, NULL) < 0 || tokenizer_load_vocab(l, &part[VOCAB], &w->vocab) < 0 ||
        take_string(l, &part[UNK], unk, &w->unk, &w->unk_n) < 0 ||
        take_string(l, &part[PREFIX], "##", &w->prefix, &w->prefix_n) < 0)
        return -1;
    w->longest = 100;
    json_init(&j, part[LONGEST].s ? part[LONGEST].s : "100", part[LONGEST].s ? part[LONGEST].n : 3);
    if (json_next(&j) != JSON_NUMBER || !json_int64(&j.raw, &w->longest) || w->longest < 0)
        return err_set(l->err, "%s: model: max_input_chars_per_word is not a number", l->name);
    w->unk_id = lexicon_find(&w->vocab, w->unk, w->unk_n);
    for (size_t i = 0; i < w->vocab.n; i++)
        if (w->vocab.item[i].len > w->longest_token)
            w->longest_token = w->vocab.item[i].len;
    return 0;
}

static int parse_piece(struct tokenizer_loader *l, const char *json, size_t n)
{
    return parse_words(l, json, n, "[UNK]");
}

static int parse_level(struct tokenizer_loader *l, const char *json, size_t n)
{
    return parse_words(l, json, n, "<unk>");
}

static void release(void *model)
{
    if (model)
        lexicon_release(&((struct words *)model)->vocab);
    free(model);
}

static void put(struct tokenizer_ids *out, uint32_t id)
{
    mem_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v);
    out->v[out->n++] = id;
}

static int put_unk(const struct words *w, struct tokenizer_ids *out, struct err *err)
{
    if (w->unk_id == LEXICON_NONE)
        return err_set(err, "a word that is not in the vocabulary, and unk_token '%.100s' is not in it either", w->unk);
    put(out, w->unk_id);
    return 0;
}

static bool is_start(char c)
{
    return ((uint8_t)c & 0xc0) != 0x80;
}

static int encode_level(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    const struct words *w = model;
    uint32_t id = lexicon_find(&w->vocab, s, n);

    (void)scratch;
    if (id == LEXICON_NONE)
        return put_unk(w, out, err);
    put(out, id);
    return 0;
}

static void *scratch_new(const void *model)
{
    (void)model;
    return xcalloc(1, sizeof(struct tokenizer_text));
}

static void scratch_free(void *scratch)
{
    free(((struct tokenizer_text *)scratch)->v);
    free(scratch);
}

/* The id of the longest token that begins the rest of a word, and where it ends. */
static uint32_t longest(const struct words *w, struct tokenizer_text *room, const char *s, size_t at, size_t n, size_t *end)
{
    size_t prefix = at ? w->prefix_n : 0;
    uint32_t id = LEXICON_NONE;

    if (prefix > w->longest_token)
        return id;
    *end = n - at > w->longest_token - prefix ? at + w->longest_token - prefix : n;
    while (*end < n && !is_start(s[*end]))
        --*end;
    room->n = 0;
    tokenizer_put(room, w->prefix, prefix);
    tokenizer_put(room, s + at, *end - at);
    for (; *end > at; --*end)
        if ((*end == n || is_start(s[*end])) && (id = lexicon_find(&w->vocab, room->v, prefix + *end - at)) != LEXICON_NONE)
            break;
    return id;
}

static int encode_piece(const void *model, void *scratch, const char *s, size_t n, struct tokenizer_ids *out, struct err *err)
{
    const struct words *w = model;
    size_t before = out->n, end = 0;
    int64_t chars = 0;

    for (size_t i = 0; i < n && chars <= w->longest; i++)
        chars += is_start(s[i]);
    if (chars > w->longest)
        return put_unk(w, out, err);
    for (size_t at = 0; at < n; at = end) {
        uint32_t id = longest(w, scratch, s, at, n, &end);

        if (id == LEXICON_NONE) {
            out->n = before;
            return put_unk(w, out, err);
        }
        put(out, id);
    }
    return 0;
}

static uint32_t id_of(const void *model, const char *s, size_t n)
{
    uint32_t id = lexicon_find(&((const struct words *)model)->vocab, s, n);

    return id == LEXICON_NONE ? TOKENIZER_NONE : id;
}

static const char *token(const void *model, uint32_t id, size_t *n, bool *bytes)
{
    *bytes = false;
    return lexicon_string(&((const struct words *)model)->vocab, id, n);
}

const struct tokenizer_model_row tokenizer_word_piece = {
    .type = "WordPiece",
    .description = "WordPiece",
    .parse = parse_piece,
    .release = release,
    .scratch_new = scratch_new,
    .scratch_free = scratch_free,
    .encode = encode_piece,
    .id = id_of,
    .token = token,
};

const struct tokenizer_model_row tokenizer_word_level = {
    .type = "WordLevel",
    .description = "WordLevel",
    .parse = parse_level,
    .release = release,
    .encode = encode_level,
    .id = id_of,
    .token = token,
};
