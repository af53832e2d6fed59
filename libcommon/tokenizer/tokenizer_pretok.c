/* Pre-tokenizing steps: how a text is cut into the pieces that the model takes. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer_find.h"
#include "libcommon/text/unicode.h"
#include "libcommon/text/unicode_hf.h"

enum { ENDS = 256 };

static void add_span(struct tokenizer_spans *out, size_t from, size_t to)
{
    if (from == to)
        return;
    mem_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v);
    out->v[out->n++] = (struct tokenizer_span){ from, to };
}

static int cut_pretok(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    size_t end[ENDS];

    for (size_t at = 0; at < n;) {
        size_t k = pretok_ends(args, text, n, at, end, ENDS, err);

        if (k == PRETOK_ERROR)
            return -1;
        for (size_t i = 0; i < k; at = end[i++])
            add_span(out, at, end[i]);
    }
    return 0;
}

static void release_pretok(void *args)
{
    pretok_free(args);
}

/* Split by a pattern, every match and what is between them a piece. */
static const struct tokenizer_step_row isolated = { .type = "Split", .cut = cut_pretok, .release = release_pretok };

static int add_pretok(struct tokenizer_loader *l, struct tokenizer_steps *list, const char *pattern, size_t n)
{
    struct pretok *p = pretok_open(pattern, n, l->err);

    if (!p)
        return err_prefix(l->err, "%s: pre_tokenizer", l->name);
    tokenizer_add_step(list, &isolated, p);
    return 0;
}

enum behavior { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

static const char *const behaviors[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous", NULL };

/* The pieces that matches and what is between them become, invert: change places. */
static void behave(enum behavior b, bool invert, const struct tokenizer_matches *m, struct tokenizer_spans *out)
{
    size_t first = out->n, used = out->n;
    bool before = false;

    for (size_t i = 0; i < m->n; i++) {
        const struct tokenizer_match *x = &m->v[b == MERGED_WITH_NEXT ? m->n - 1 - i : i];
        bool match = x->match != invert;
        bool join = b == CONTIGUOUS ? match == before : b > ISOLATED && match && !before;

        before = match;
        if (b == REMOVED && match)
            continue;
        if (join && out->n > first) {
            struct tokenizer_span *last = &out->v[out->n - 1];

            *last = b == MERGED_WITH_NEXT ? (struct tokenizer_span){ x->from, last->to }
                                          : (struct tokenizer_span){ last->from, x->to };
            continue;
        }
        mem_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v);
        out->v[out->n++] = (struct tokenizer_span){ x->from, x->to };
    }
    for (size_t i = first, k = out->n; b == MERGED_WITH_NEXT && i + 1 < k; i++) {
        struct tokenizer_span swap = out->v[i];

        out->v[i] = out->v[--k];
        out->v[k] = swap;
    }
    for (size_t i = first; i < out->n; i++)
        if (out->v[i].from < out->v[i].to)
            out->v[used++] = out->v[i];
    out->n = used;
}

/* One of names[], or -1. */
static int choice(struct tokenizer_loader *l, const struct json_value *v, const char *key, const char *const *names, const char *dflt)
{
    const char *s;

    if (json_get_str(v, key, dflt, &s, l->name, l->err) < 0)
        return -1;
    for (int i = 0; s && names[i]; i++)
        if (strcmp(names[i], s) == 0)
            return i;
    return err_set(l->err, "%s: pre_tokenizer: %s: %s '%.100s' is not supported", l->name, tokenizer_type(v), key, s ? s : "");
}

/* Split by a pattern, or by a set of characters. */
struct split {
    struct tokenizer_find *pattern;
    bool (*is)(uint32_t cp, uint32_t arg);
    uint32_t arg;
    enum behavior behavior;
    bool invert;
};

static int cut_split(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    const struct split *s = args;
    struct tokenizer_matches m = { 0 };
    int rc = 0;

    if (s->pattern)
        rc = tokenizer_matches(s->pattern, text, n, &m, err);
    else
        tokenizer_char_matches(s->is, s->arg, text, n, &m);
    if (rc == 0)
        behave(s->behavior, s->invert, &m, out);
    free(m.v);
    return rc;
}

static void release_split(void *args)
{
    tokenizer_pattern_free(((struct split *)args)->pattern);
}

static const struct tokenizer_step_row split_row = { .type = "Split", .cut = cut_split, .release = release_split };

static int parse_split(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const struct json_value *regex = json_get(json_get(v, "pattern"), "Regex");
    struct split *s = arena_calloc(&l->t->arena, 1, sizeof *s);
    int behavior = choice(l, v, "behavior", behaviors, NULL);

    if (behavior < 0 || json_get_bool(v, "invert", false, &s->invert, l->name, l->err) < 0)
        return -1;
    /* Matches and what is between them are pieces: that is what pretok.h does, where it knows the pattern. */
    if (behavior == ISOLATED && regex && regex->type == JSON_STRING && pretok_is_known(regex->str, regex->len))
        return add_pretok(l, list, regex->str, regex->len);
    s->behavior = (enum behavior)behavior;
    s->pattern = tokenizer_parse_pattern(l, "pre_tokenizer", v);
    if (!s->pattern)
        return -1;
    tokenizer_add_step(list, &split_row, s);
    return 0;
}

static void add_chars(struct tokenizer_loader *l, struct tokenizer_steps *list, bool (*is)(uint32_t cp, uint32_t arg),
                      uint32_t arg, enum behavior behavior)
{
    struct split *s = arena_calloc(&l->t->arena, 1, sizeof *s);

    *s = (struct split){ .is = is, .arg = arg, .behavior = behavior };
    tokenizer_add_step(list, &split_row, s);
}

static bool in_set(uint32_t cp, uint32_t set)
{
    return unicode_hf_is((enum unicode_hf)set, cp);
}

static bool is_space(uint32_t cp, uint32_t arg)
{
    (void)arg;
    return unicode_space(cp);
}

static bool is_char(uint32_t cp, uint32_t arg)
{
    return cp == arg;
}

static int parse_digits(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    bool each;

    if (json_get_bool(v, "individual_digits", false, &each, l->name, l->err) < 0)
        return -1;
    add_chars(l, list, in_set, UNICODE_HF_NUMERIC, each ? ISOLATED : CONTIGUOUS);
    return 0;
}

static int parse_punctuation(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    int behavior = choice(l, v, "behavior", behaviors, "Isolated");

    if (behavior < 0)
        return -1;
    add_chars(l, list, in_set, UNICODE_HF_PUNCT, (enum behavior)behavior);
    return 0;
}

static int parse_whitespace_split(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    (void)v;
    add_chars(l, list, is_space, 0, REMOVED);
    return 0;
}

static int parse_bert(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    (void)v;
    add_chars(l, list, is_space, 0, REMOVED);
    add_chars(l, list, in_set, UNICODE_HF_PUNCT, ISOLATED);
    return 0;
}

static int parse_delimiter(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const struct json_value *s = json_get(v, "delimiter");
    uint32_t cp;

    if (!s || s->type != JSON_STRING || !s->len || (size_t)utf8_decode(s->str, s->len, &cp) != s->len)
        return err_set(l->err, "%s: pre_tokenizer: CharDelimiterSplit without a character", l->name);
    add_chars(l, list, is_char, cp, REMOVED);
    return 0;
}

/* Words, and what is neither words nor white space. */
static int cut_words(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    size_t begin = 0;
    uint32_t cp;
    int len, kind, last = 0;

    (void)args;
    (void)err;
    for (size_t at = 0; at < n && (len = utf8_decode(text + at, n - at, &cp)) > 0; at += (size_t)len, last = kind) {
        kind = unicode_hf_is(UNICODE_HF_WORD, cp) ? 1 : unicode_space(cp) ? 0 : 2;
        if (kind == last)
            continue;
        if (last)
            add_span(out, begin, at);
        begin = at;
    }
    if (last)
        add_span(out, begin, n);
    return 0;
}

/* Where the script changes; what stands before the first character that has one is left out. */
static int cut_scripts(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    size_t begin = 0;
    uint32_t cp;
    int len, last = -1;

    (void)args;
    (void)err;
    for (size_t at = 0; at < n && (len = utf8_decode(text + at, n - at, &cp)) > 0; at += (size_t)len) {
        int script = unicode_hf_script(cp);

        if (script < 0 || script == last)
            continue;
        if (last >= 0)
            add_span(out, begin, at);
        begin = at;
        last = script;
    }
    if (last >= 0)
        add_span(out, begin, n);
    return 0;
}

static const struct tokenizer_step_row words_row = { .type = "Whitespace", .cut = cut_words };
static const struct tokenizer_step_row scripts_row = { .type = "UnicodeScripts", .cut = cut_scripts };

static int parse_whitespace(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    (void)l;
    (void)v;
    tokenizer_add_step(list, &words_row, NULL);
    return 0;
}

static int parse_scripts(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    (void)l;
    (void)v;
    tokenizer_add_step(list, &scripts_row, NULL);
    return 0;
}

struct fixed {
    int64_t length; /* in characters */
};

static int cut_fixed(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    const struct fixed *f = args;
    size_t begin = 0;
    int64_t count = 0;

    (void)err;
    for (size_t at = 1; at <= n; at++) {
        if (at < n && ((uint8_t)text[at] & 0xc0) == 0x80)
            continue;
        if (++count == f->length || at == n) {
            add_span(out, begin, at);
            begin = at;
            count = 0;
        }
    }
    return 0;
}

static const struct tokenizer_step_row fixed_row = { .type = "FixedLength", .cut = cut_fixed };

static int parse_fixed(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct fixed *f = arena_calloc(&l->t->arena, 1, sizeof *f);

    if (json_get_int(v, "length", 5, &f->length, l->name, l->err) < 0)
        return -1;
    if (f->length < 1)
        return err_set(l->err, "%s: pre_tokenizer: FixedLength: length %lld is not positive", l->name, (long long)f->length);
    tokenizer_add_step(list, &fixed_row, f);
    return 0;
}

enum scheme { ALWAYS, FIRST, NEVER };

struct metaspace {
    const char *s; /* what stands for a space */
    size_t n;
    enum scheme scheme;
};

static int mark_spaces(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    const struct metaspace *m = args;
    bool wants = m->scheme == ALWAYS || (m->scheme == FIRST && *first);
    size_t done = 0, begin = *first;

    (void)err;
    if (wants && *text != ' ' && (n < m->n || memcmp(text, m->s, m->n) != 0))
        tokenizer_put(out, m->s, m->n);
    for (size_t i = 0; i <= n; i++) {
        if (begin && i == begin)
            *first = out->n + (i - done);
        if (i < n && text[i] != ' ')
            continue;
        tokenizer_put(out, text + done, i - done);
        if (i < n)
            tokenizer_put(out, m->s, m->n);
        done = i + 1;
    }
    return 1;
}

static int cut_marks(const void *args, const char *text, size_t n, struct tokenizer_spans *out, struct err *err)
{
    const struct metaspace *m = args;
    size_t begin = 0, at = 1;

    (void)err;
    for (const char *p; at < n && (p = memmem(text + at, n - at, m->s, m->n)) != NULL; at = begin + 1) {
        add_span(out, begin, (size_t)(p - text));
        begin = (size_t)(p - text);
    }
    add_span(out, begin, n);
    return 0;
}

static const struct tokenizer_step_row metaspace_row = { .type = "Metaspace", .rewrite = mark_spaces, .cut = cut_marks };
static const struct tokenizer_step_row whole_metaspace_row = { .type = "Metaspace", .rewrite = mark_spaces };

static int parse_metaspace(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    static const char *const schemes[] = { "always", "first", "never", NULL };
    const struct json_value *s = json_get(v, "replacement");
    struct metaspace *m = arena_calloc(&l->t->arena, 1, sizeof *m);
    bool prefix, cut;
    uint32_t cp;
    int scheme;

    if (json_get_bool(v, "add_prefix_space", true, &prefix, l->name, l->err) < 0 ||
        json_get_bool(v, "split", true, &cut, l->name, l->err) < 0)
        return -1;
    scheme = choice(l, v, "prepend_scheme", schemes, prefix ? "always" : "never");
    if (scheme < 0)
        return -1;
    if (!s || s->type != JSON_STRING || !s->len || (size_t)utf8_decode(s->str, s->len, &cp) != s->len)
        return err_set(l->err, "%s: pre_tokenizer: Metaspace: replacement is not one character", l->name);
    m->s = arena_strndup(&l->t->arena, s->str, s->len);
    m->n = s->len;
    m->scheme = prefix ? (enum scheme)scheme : NEVER;
    tokenizer_add_step(list, cut ? &metaspace_row : &whole_metaspace_row, m);
    return 0;
}

/* A space in front of a piece that has none. */
static int prefix_space(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    if (*text == ' ')
        return 0;
    tokenizer_put(out, " ", 1);
    tokenizer_put(out, text, n);
    *first += *first > 0;
    return 1;
}

static const struct tokenizer_step_row prefix_row = { .type = "ByteLevel", .rewrite = prefix_space };

/* Bytes to the characters that spell them. */
static int spell(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    size_t at = *first;

    (void)args;
    (void)err;
    tokenizer_spell(text, at, out);
    *first = out->n;
    tokenizer_spell(text + at, n - at, out);
    return 1;
}

static const struct tokenizer_step_row mapping = { .type = "ByteLevel", .rewrite = spell };

static int parse_byte_level(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    bool by_regex, prefix;

    if (json_get_bool(v, "add_prefix_space", true, &prefix, l->name, l->err) < 0 ||
        json_get_bool(v, "use_regex", true, &by_regex, l->name, l->err) < 0)
        return -1;
    if (prefix)
        tokenizer_add_step(list, &prefix_row, NULL);
    if (by_regex && add_pretok(l, list, "gpt2", 4) < 0)
        return -1;
    tokenizer_add_step(list, &mapping, NULL);
    return 0;
}

const struct tokenizer_step_row tokenizer_pretokenizers[] = {
    { .type = "Split", .parse = parse_split },
    { .type = "ByteLevel", .parse = parse_byte_level },
    { .type = "Metaspace", .parse = parse_metaspace },
    { .type = "Digits", .parse = parse_digits },
    { .type = "Punctuation", .parse = parse_punctuation },
    { .type = "Whitespace", .parse = parse_whitespace },
    { .type = "WhitespaceSplit", .parse = parse_whitespace_split },
    { .type = "BertPreTokenizer", .parse = parse_bert },
    { .type = "CharDelimiterSplit", .parse = parse_delimiter },
    { .type = "UnicodeScripts", .parse = parse_scripts },
    { .type = "FixedLength", .parse = parse_fixed },
};
const int tokenizer_n_pretokenizers = sizeof tokenizer_pretokenizers / sizeof *tokenizer_pretokenizers;

const struct pretok *tokenizer_step_pretok(const struct tokenizer_step *s)
{
    return s->row == &isolated ? s->args : NULL;
}

bool tokenizer_step_is_regex(const struct tokenizer_step *s)
{
    return s->row == &split_row && ((const struct split *)s->args)->pattern;
}

bool tokenizer_byte_level(const struct tokenizer *t)
{
    const struct tokenizer_steps *lists[] = { &t->normalizer, &t->pretokenizer };
    bool mapped = false;

    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            const struct tokenizer_step_row *row = lists[k]->v[i].row;
            bool maps = row == &mapping || (k == 0 && strcmp(row->type, "ByteLevel") == 0);

            if (mapped && row->rewrite)
                return false;
            mapped |= maps;
        }
    return mapped;
}

void tokenizer_drop_mapping(struct tokenizer *t)
{
    struct tokenizer_steps *list = &t->pretokenizer;

    t->spelled = !list->n || list->v[list->n - 1].row != &mapping;
    if (!t->spelled)
        list->n--;
}
