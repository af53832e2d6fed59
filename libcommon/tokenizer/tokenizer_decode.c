/* Decoders: tokens to text. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/tokenizer_find.h"

/* Where string i of a list begins. */
static size_t begin(const struct tokenizer_strings *list, size_t i)
{
    return i ? list->end[i - 1] : 0;
}

static const char *string(const struct tokenizer_strings *list, size_t i, size_t *n)
{
    *n = list->end[i] - begin(list, i);
    return list->text.v + begin(list, i);
}

/* What was appended to the list's text since is one string more. */
static void end_string(struct tokenizer_strings *list)
{
    mem_grow(&list->end, &list->cap, list->n + 1, sizeof *list->end);
    list->end[list->n++] = list->text.n;
}

void tokenizer_put_string(struct tokenizer_strings *list, const char *s, size_t n)
{
    tokenizer_put(&list->text, s, n);
    end_string(list);
}

void tokenizer_strings_release(struct tokenizer_strings *list)
{
    free(list->text.v);
    free(list->end);
}

/* All strings as one, but within a text. */
static void fuse(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    (void)args;
    tokenizer_put(&out->text, in->text.v, in->text.n);
    for (size_t i = 0; inner && i < in->n; i++) {
        out->text.n = in->end[i];
        end_string(out);
    }
    if (!inner)
        end_string(out);
}

static void byte_level(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    (void)args;
    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);

        tokenizer_unspell(s, n, &out->text);
        if (inner)
            end_string(out);
    }
    if (!inner)
        end_string(out);
}

/* The byte that "<0x41>" stands for, or -1; as Rust reads a number, "+a" is one. */
static int byte_of(const char *s, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    int value = 0;

    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>')
        return -1;
    for (int i = s[3] == '+' ? 4 : 3; i < 5; i++) {
        char c = s[i] >= 'A' && s[i] <= 'F' ? (char)(s[i] + 32) : s[i];
        const char *d = c ? strchr(digits, c) : NULL;

        if (!d)
            return -1;
        value = value * 16 + (int)(d - digits);
    }
    return value;
}

/* A run of bytes as a string, or each as U+FFFD. */
static void end_bytes(struct tokenizer_text *bytes, struct tokenizer_strings *out)
{
    if (bytes->n && utf8_valid(bytes->v, bytes->n) == bytes->n) {
        tokenizer_put_string(out, bytes->v, bytes->n);
    } else {
        out->ill |= bytes->n > 0;
        for (size_t i = 0; i < bytes->n; i++)
            tokenizer_put_string(out, "\xef\xbf\xbd", 3);
    }
    bytes->n = 0;
}

static void byte_fallback(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    struct tokenizer_text bytes = { 0 };

    (void)args;
    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);
        int byte = byte_of(s, n);

        if (byte < 0) {
            end_bytes(&bytes, out);
            tokenizer_put_string(out, s, n);
        } else if (inner) {
            tokenizer_put_string(out, &(char){ (char)byte }, 1);
        } else {
            tokenizer_put(&bytes, &(char){ (char)byte }, 1);
        }
    }
    end_bytes(&bytes, out);
    free(bytes.v);
}

static void replace(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    struct err err;

    (void)inner;
    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);
        size_t from = out->text.n, first = 0;

        if (tokenizer_replace(args, s, n, &first, &out->text, &err) < 0) {
            out->text.n = from;
            tokenizer_put(&out->text, s, n);
        }
        end_string(out);
    }
}

/* In the place of each `from`; n may be 0. */
static void put_replaced(struct tokenizer_text *out, const char *s, size_t n, const char *from, size_t from_n, const char *to)
{
    const char *p;

    while (from_n && (p = memmem(s, n, from, from_n)) != NULL) {
        tokenizer_put(out, s, (size_t)(p - s));
        tokenizer_put(out, to, strlen(to));
        n -= (size_t)(p - s) + from_n;
        s = p + from_n;
    }
    tokenizer_put(out, s, n);
}

/* The arguments of those below. */
struct settings {
    const char *s, *s2;
    size_t n, n2;
    int64_t start, stop;
    bool flag;
};

static void strip(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    const struct settings *a = args;

    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);

        if (!inner || !a->flag) {
            for (int64_t k = 0; k < a->start && n >= a->n && memcmp(s, a->s, a->n) == 0; k++, s += a->n)
                n -= a->n;
            for (int64_t k = 0; k < a->stop && n >= a->n && memcmp(s + n - a->n, a->s, a->n) == 0; k++)
                n -= a->n;
        }
        tokenizer_put_string(out, s, n);
    }
}

static void metaspace(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    const struct settings *a = args;

    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);

        put_replaced(&out->text, s, n, a->s, a->n, i == 0 && !inner && a->flag ? "" : " ");
        end_string(out);
    }
}

/* As transformers cleans English up. */
static void clean_up(struct tokenizer_text *text, size_t from)
{
    static const char *const rows[][2] = {
        { " .", "." },     { " ?", "?" },   { " !", "!" },           { " ,", "," },     { " ' ", "'" },   { " n't", "n't" },
        { " 'm", "'m" },   { " do not", " don't" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
    };
    struct tokenizer_text next = { 0 };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        next.n = 0;
        put_replaced(&next, text->v + from, text->n - from, rows[i][0], strlen(rows[i][0]), rows[i][1]);
        text->n = from;
        tokenizer_put(text, next.v, next.n);
    }
    free(next.v);
}

static void word_piece(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    const struct settings *a = args;

    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);
        size_t from = out->text.n;

        if (i || inner) {
            bool goes_on = n >= a->n && memcmp(s, a->s, a->n) == 0;

            tokenizer_put(&out->text, " ", !goes_on);
            s += goes_on ? a->n : 0;
            n -= goes_on ? a->n : 0;
        }
        tokenizer_put(&out->text, s, n);
        if (a->flag)
            clean_up(&out->text, from);
        end_string(out);
    }
}

static void bpe(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    const struct settings *a = args;

    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);

        put_replaced(&out->text, s, n, a->s, a->n, i + 1 < in->n || inner ? " " : "");
        end_string(out);
    }
}

static void ctc(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    const struct settings *a = args;
    struct tokenizer_text piece = { 0 };

    for (size_t i = 0, n, before_n; i < in->n; i++) {
        const char *s = string(in, i, &n), *before = i ? string(in, i - 1, &before_n) : NULL;

        if (before && !inner && n == before_n && memcmp(s, before, n) == 0)
            continue;
        piece.n = 0;
        put_replaced(&piece, s, n, a->s, a->n, "");
        if (a->flag) {
            clean_up(&piece, 0);
            put_replaced(&out->text, piece.v, piece.n, a->s2, a->n2, " ");
        } else {
            tokenizer_put(&out->text, piece.v, piece.n);
        }
        if (inner || out->text.n > begin(out, out->n))
            end_string(out);
    }
    free(piece.v);
}

static int parse_plain(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const char *type = tokenizer_type(v);

    (void)l;
    for (int i = 0; i < tokenizer_n_decoders; i++)
        if (strcmp(tokenizer_decoders[i].type, type) == 0)
            tokenizer_add_step(list, &tokenizer_decoders[i], NULL);
    return 0;
}

static const struct tokenizer_step_row replace_row = {
    .type = "Replace", .decode = replace, .release = tokenizer_pattern_free
};

static int parse_replace(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct tokenizer_find *p = tokenizer_parse_replace(l, "decoder", v);

    if (!p)
        return -1;
    tokenizer_add_step(list, &replace_row, p);
    return 0;
}

/* A string argument, kept in the arena; more than one character only where `long_one`. */
static int take_string(struct tokenizer_loader *l, const struct json_value *v, const char *key, const char *dflt, bool one,
                       const char **s, size_t *n)
{
    const struct json_value *x = json_get(v, key);
    uint32_t cp;

    if (x && x->type != JSON_STRING)
        return err_set(l->err, "%s: decoder: %s: %s is not a string", l->name, tokenizer_type(v), key);
    *n = x ? x->len : strlen(dflt);
    *s = arena_strndup(&l->t->arena, x ? x->str : dflt, *n);
    if (one && (!*n || (size_t)utf8_decode(*s, *n, &cp) != *n))
        return err_set(l->err, "%s: decoder: %s: %s is not one character", l->name, tokenizer_type(v), key);
    return 0;
}

static const struct tokenizer_step_row strip_row = { .type = "Strip", .decode = strip };
static const struct tokenizer_step_row metaspace_row = { .type = "Metaspace", .decode = metaspace };
static const struct tokenizer_step_row word_piece_row = { .type = "WordPiece", .decode = word_piece };
static const struct tokenizer_step_row bpe_row = { .type = "BPEDecoder", .decode = bpe };
static const struct tokenizer_step_row ctc_row = { .type = "CTC", .decode = ctc };

static int parse_strip(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct settings *a = arena_calloc(&l->t->arena, 1, sizeof *a);

    if (take_string(l, v, "content", "", true, &a->s, &a->n) < 0 ||
        json_get_int(v, "start", 0, &a->start, l->name, l->err) < 0 || json_get_int(v, "stop", 0, &a->stop, l->name, l->err) < 0)
        return -1;
    for (size_t i = 0; i < list->n; i++) /* it strips the text, not each token */
        a->flag |= list->v[i].row->decode == fuse || list->v[i].row->decode == byte_level;
    tokenizer_add_step(list, &strip_row, a);
    return 0;
}

static int parse_metaspace(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct settings *a = arena_calloc(&l->t->arena, 1, sizeof *a);
    const char *scheme;

    if (take_string(l, v, "replacement", "", true, &a->s, &a->n) < 0 ||
        json_get_bool(v, "add_prefix_space", true, &a->flag, l->name, l->err) < 0 ||
        json_get_str(v, "prepend_scheme", "always", &scheme, l->name, l->err) < 0)
        return -1;
    a->flag &= strcmp(scheme, "never") != 0;
    tokenizer_add_step(list, &metaspace_row, a);
    return 0;
}

static int parse_word_piece(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct settings *a = arena_calloc(&l->t->arena, 1, sizeof *a);

    if (take_string(l, v, "prefix", "##", false, &a->s, &a->n) < 0 ||
        json_get_bool(v, "cleanup", true, &a->flag, l->name, l->err) < 0)
        return -1;
    tokenizer_add_step(list, &word_piece_row, a);
    return 0;
}

static int parse_bpe(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct settings *a = arena_calloc(&l->t->arena, 1, sizeof *a);

    if (take_string(l, v, "suffix", "</w>", false, &a->s, &a->n) < 0)
        return -1;
    tokenizer_add_step(list, &bpe_row, a);
    return 0;
}

static int parse_ctc(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct settings *a = arena_calloc(&l->t->arena, 1, sizeof *a);

    if (take_string(l, v, "pad_token", "<pad>", false, &a->s, &a->n) < 0 ||
        take_string(l, v, "word_delimiter_token", "|", false, &a->s2, &a->n2) < 0 ||
        json_get_bool(v, "cleanup", true, &a->flag, l->name, l->err) < 0)
        return -1;
    tokenizer_add_step(list, &ctc_row, a);
    return 0;
}

const struct tokenizer_step_row tokenizer_decoders[] = {
    { .type = "ByteLevel", .parse = parse_plain, .decode = byte_level },
    { .type = "ByteFallback", .parse = parse_plain, .decode = byte_fallback },
    { .type = "Fuse", .parse = parse_plain, .decode = fuse },
    { .type = "Replace", .parse = parse_replace },
    { .type = "Strip", .parse = parse_strip },
    { .type = "Metaspace", .parse = parse_metaspace },
    { .type = "WordPiece", .parse = parse_word_piece },
    { .type = "BPEDecoder", .parse = parse_bpe },
    { .type = "CTC", .parse = parse_ctc },
};
const int tokenizer_n_decoders = sizeof tokenizer_decoders / sizeof *tokenizer_decoders;

void tokenizer_add_fuse(struct tokenizer_steps *decoders)
{
    static const struct tokenizer_step_row glue = { .decode = fuse };

    tokenizer_add_step(decoders, &glue, NULL);
}

/* Without a decoder tokens have a blank between them. */
static void blanks(const void *args, const struct tokenizer_strings *in, bool inner, struct tokenizer_strings *out)
{
    (void)args;
    for (size_t i = 0, n; i < in->n; i++) {
        const char *s = string(in, i, &n);

        tokenizer_put(&out->text, " ", i > 0 || inner);
        tokenizer_put_string(out, s, n);
    }
}

/* A step takes text: for bytes that a step before made, and that are no characters, U+FFFD. */
static void repair(struct tokenizer_strings *list)
{
    struct tokenizer_strings out = { .ill = true };

    if (utf8_valid(list->text.v, list->text.n) == list->text.n)
        return;
    for (size_t i = 0, n; i < list->n; i++) {
        const char *s = string(list, i, &n);

        mem_grow(&out.text.v, &out.text.cap, out.text.n + 3 * n + 1, 1);
        out.text.n += utf8_repair(s, n, out.text.v + out.text.n);
        end_string(&out);
    }
    tokenizer_strings_release(list);
    *list = out;
}

/* The list through the decoders; the result is in it, *in. */
static void run(const struct tokenizer *t, struct tokenizer_strings *in, bool inner)
{
    static const struct tokenizer_step_row none = { .decode = blanks };
    const struct tokenizer_step lone = { &none, NULL };
    const struct tokenizer_steps *list = &t->decoder;
    struct tokenizer_strings out = { 0 }, swap;

    for (size_t i = 0; i < list->n + !list->n; i++) {
        const struct tokenizer_step *s = list->n ? &list->v[i] : &lone;

        if (i && !inner)
            repair(in);
        out.text.n = out.n = 0;
        out.ill = in->ill;
        tokenizer_put(&out.text, "", 0);
        s->row->decode(s->args, in, inner, &out);
        swap = *in;
        *in = out;
        out = swap;
    }
    tokenizer_strings_release(&out);
}

/* The token of an id as the vocabulary spells it, as one string more; false: there is none. */
static bool put_token(const struct tokenizer *t, uint32_t id, struct tokenizer_strings *list)
{
    const struct tokenizer_added *a = tokenizer_added_token(t, id);
    bool bytes = false;
    size_t n = a ? a->shown_n : 0;
    const char *s = a ? a->shown : t->model->token(t->model_data, id, &n, &bytes);

    if (!s)
        return false;
    if (bytes)
        tokenizer_spell(s, n, &list->text);
    else
        tokenizer_put(&list->text, s, n);
    end_string(list);
    return true;
}

void tokenizer_decode_all(struct tokenizer *t)
{
    struct tokenizer_strings *list;

    if (t->model->decode || (t->model->takes_bytes && t->decoder.n == 1 && t->decoder.v[0].row->decode == byte_level))
        return;
    list = t->decoded = xcalloc(1, sizeof *list);
    tokenizer_put(&list->text, "", 0);
    for (uint32_t id = 0; id < t->info.vocab_size; id++)
        if (!put_token(t, id, list))
            end_string(list);
    run(t, list, true);
}

const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *n)
{
    const struct tokenizer_added *a = tokenizer_added_token(t, id);
    bool bytes;

    if (!t->decoded && a) {
        *n = a->bytes_n;
        return a->bytes;
    }
    if (!a && !t->model->token(t->model_data, id, n, &bytes))
        return NULL;
    return t->decoded ? string(t->decoded, id, n) : t->model->token(t->model_data, id, n, &bytes);
}

/* The model's text of what is between added tokens, which stand for themselves. */
static void decode_between(const struct tokenizer *t, const uint32_t *ids, size_t n, struct tokenizer_text *out)
{
    for (size_t from = 0, to; from < n; from = to + 1) {
        const struct tokenizer_added *a = NULL;

        for (to = from; to < n && !(a = tokenizer_added_token(t, ids[to])); to++)
            ;
        if (to > from)
            t->model->decode(t->model_data, ids + from, to - from, out);
        if (a)
            tokenizer_put(out, a->content, a->n);
    }
}

void tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, struct tokenizer_text *out, bool *ill)
{
    struct tokenizer_strings list = { 0 };

    if (t->model->decode) {
        decode_between(t, ids, n, out);
        return;
    }
    for (size_t i = 0, len; i < n && !t->decoded; i++) {
        const char *s = tokenizer_bytes(t, ids[i], &len);

        if (s)
            tokenizer_put(out, s, len);
    }
    if (!t->decoded)
        return;
    for (size_t i = 0; i < n; i++)
        put_token(t, ids[i], &list);
    if (list.n)
        run(t, &list, false);
    tokenizer_put(out, list.text.v ? list.text.v : "", list.text.n);
    *ill |= list.ill;
    tokenizer_strings_release(&list);
}
