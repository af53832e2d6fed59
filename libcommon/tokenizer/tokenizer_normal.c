/* Normalizers: what becomes of each text between added tokens before it is cut. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/nfc.h"
#include "libcommon/tokenizer/tokenizer_find.h"
#include "libcommon/text/unicode.h"
#include "libcommon/text/unicode_hf.h"

static bool is_ascii(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)text[i] >= 0x80)
            return false;
    return true;
}

/* What the first character has become in out: its own form, or what it was composed to. */
static size_t first_of(enum nfc_form f, const char *text, size_t first, const struct tokenizer_text *out)
{
    struct tokenizer_text own = { 0 };
    uint32_t cp;

    if (!first || !out->n)
        return 0;
    own.n = nfc_form(f, text, first, &own.v, &own.cap);
    first = own.n <= out->n && memcmp(own.v, out->v, own.n) == 0 ? own.n : (size_t)utf8_decode(out->v, out->n, &cp);
    free(own.v);
    return first;
}

static int form(enum nfc_form f, const char *text, size_t n, size_t *first, struct tokenizer_text *out)
{
    assert(*first <= n);
    if (f == NFC_C ? nfc_check(text, n) == n : is_ascii(text, n))
        return 0;
    out->n = nfc_form(f, text, n, &out->v, &out->cap);
    *first = first_of(f, text, *first, out);
    return 1;
}

static int nfc(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    return form(NFC_C, text, n, first, out);
}

static int nfd(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    return form(NFC_D, text, n, first, out);
}

static int nfkc(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    return form(NFC_KC, text, n, first, out);
}

static int nfkd(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    return form(NFC_KD, text, n, first, out);
}

/* Characters one by one: put() says what becomes of each. */
static void each(const char *text, size_t n, size_t *first, struct tokenizer_text *out,
                 void (*put)(uint32_t cp, struct tokenizer_text *out))
{
    size_t begin = *first;
    uint32_t cp;
    int len;

    for (size_t at = 0; at < n && (len = utf8_decode(text + at, n - at, &cp)) > 0; at += (size_t)len) {
        put(cp, out);
        if (at < begin)
            *first = out->n;
    }
}

static void put_char(uint32_t cp, struct tokenizer_text *out)
{
    char s[4];

    tokenizer_put(out, s, (size_t)utf8_encode(cp, s));
}

static void put_lower(uint32_t cp, struct tokenizer_text *out)
{
    if (cp == 0x130)
        tokenizer_put(out, "i\xcc\x87", 3);
    else
        put_char(unicode_hf_lower(cp), out);
}

static int lowercase(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    each(text, n, first, out, put_lower);
    return 1;
}

static void put_unmarked(uint32_t cp, struct tokenizer_text *out)
{
    if (!unicode_hf_is(UNICODE_HF_MARK, cp))
        put_char(cp, out);
}

static int strip_accents(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    if (is_ascii(text, n))
        return 0;
    each(text, n, first, out, put_unmarked);
    return 1;
}

/* What SentencePiece's nmt_nfkc drops, and what it takes for a space. */
static void put_nmt(uint32_t cp, struct tokenizer_text *out)
{
    if ((cp && cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\f' && cp != '\r') || cp == 0x7f || cp == 0x8f || cp == 0x9f)
        return;
    if ((cp && cp < 0x20) || cp == 0x1680 || (cp >= 0x200b && cp <= 0x200f) || cp == 0x2028 || cp == 0x2029 ||
        cp == 0x2581 || cp == 0xfeff || cp == 0xfffd)
        cp = ' ';
    put_char(cp, out);
}

static int nmt(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)err;
    each(text, n, first, out, put_nmt);
    return 1;
}

static int byte_level(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    size_t at;

    (void)args;
    (void)err;
    tokenizer_spell(text, *first, out);
    at = *first;
    *first = out->n;
    tokenizer_spell(text + at, n - at, out);
    return 1;
}

/* Those without arguments. */
static int parse_plain(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const char *type = tokenizer_type(v);

    (void)l;
    for (int i = 0; i < tokenizer_n_normalizers; i++)
        if (strcmp(tokenizer_normalizers[i].type, type) == 0)
            tokenizer_add_step(list, &tokenizer_normalizers[i], NULL);
    return 0;
}

struct prepend {
    const char *s;
    size_t n;
};

static int prepend(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    const struct prepend *p = args;

    (void)err;
    tokenizer_put(out, p->s, p->n);
    tokenizer_put(out, text, n);
    *first += *first ? p->n : 0;
    return 1;
}

static const struct tokenizer_step_row prepend_row = { .type = "Prepend", .rewrite = prepend };

static int parse_prepend(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const struct json_value *s = json_get(v, "prepend");
    struct prepend *p = arena_calloc(&l->t->arena, 1, sizeof *p);

    if (!s || s->type != JSON_STRING)
        return err_set(l->err, "%s: normalizer: Prepend without the string", l->name);
    p->s = arena_strndup(&l->t->arena, s->str, s->len);
    p->n = s->len;
    tokenizer_add_step(list, &prepend_row, p);
    return 0;
}

struct strip {
    bool left, right;
};

static int strip(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    const struct strip *s = args;
    size_t from = 0, to = n;
    uint32_t cp;

    (void)err;
    while (s->left && from < to && utf8_decode(text + from, n - from, &cp) > 0 && unicode_space(cp))
        from += (size_t)utf8_decode(text + from, n - from, &cp);
    while (s->right && from < to) {
        size_t at = to;

        do
            at--;
        while (at > from && ((uint8_t)text[at] & 0xc0) == 0x80);
        if (!utf8_decode(text + at, to - at, &cp) || !unicode_space(cp))
            break;
        to = at;
    }
    tokenizer_put(out, text + from, to - from);
    *first = from < *first ? *first - from : 0;
    return 1;
}

static const struct tokenizer_step_row strip_row = { .type = "Strip", .rewrite = strip };

static int parse_strip(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct strip *s = arena_calloc(&l->t->arena, 1, sizeof *s);

    if (json_get_bool(v, "strip_left", false, &s->left, l->name, l->err) < 0 ||
        json_get_bool(v, "strip_right", false, &s->right, l->name, l->err) < 0)
        return -1;
    tokenizer_add_step(list, &strip_row, s);
    return 0;
}

static int replace(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    return tokenizer_replace(args, text, n, first, out, err) < 0 ? -1 : 1;
}

static const struct tokenizer_step_row replace_row = {
    .type = "Replace", .rewrite = replace, .release = tokenizer_pattern_free
};

static int parse_replace(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct tokenizer_find *p = tokenizer_parse_replace(l, "normalizer", v);

    if (!p)
        return -1;
    tokenizer_add_step(list, &replace_row, p);
    return 0;
}

struct bert {
    bool clean, chinese, accents, lower;
};

static bool is_chinese(uint32_t cp)
{
    static const uint32_t ranges[][2] = { /* 2b920 is what the reference has, for 2b820 */
        { 0x3400, 0x4dbf },   { 0x4e00, 0x9fff },   { 0xf900, 0xfaff },   { 0x20000, 0x2a6df },
        { 0x2a700, 0x2b73f }, { 0x2b740, 0x2b81f }, { 0x2b920, 0x2ceaf }, { 0x2f800, 0x2fa1f },
    };

    for (size_t i = 0; cp >= 0x3400 && i < sizeof ranges / sizeof *ranges; i++)
        if (cp >= ranges[i][0] && cp <= ranges[i][1])
            return true;
    return false;
}

static void put_clean(uint32_t cp, struct tokenizer_text *out)
{
    if (cp == '\t' || cp == '\n' || cp == '\r')
        cp = ' ';
    if (!unicode_hf_is(UNICODE_HF_CONTROL, cp))
        put_char(unicode_space(cp) ? ' ' : cp, out);
}

static void put_apart(uint32_t cp, struct tokenizer_text *out)
{
    bool chinese = is_chinese(cp);

    tokenizer_put(out, " ", chinese);
    put_char(cp, out);
    tokenizer_put(out, " ", chinese);
}

static void put_spacing(uint32_t cp, struct tokenizer_text *out)
{
    if (!unicode_hf_is(UNICODE_HF_NONSPACING, cp))
        put_char(cp, out);
}

/* Append what the steps make of a part between plain ASCII, or of that with it. */
static void put_part(const struct bert *b, const char *text, size_t n, size_t *first, struct tokenizer_text *out)
{
    void (*const put[4])(uint32_t, struct tokenizer_text *) = {
        b->clean ? put_clean : NULL, b->chinese ? put_apart : NULL, b->accents ? put_spacing : NULL, b->lower ? put_lower : NULL
    };
    struct tokenizer_text now = { 0 }, next = { 0 }, swap;

    tokenizer_put(&now, text, n);
    for (int i = 0; i < 4; i++) {
        if (!put[i])
            continue;
        if (i == 2 && form(NFC_D, now.v, now.n, first, &next)) {
            swap = now;
            now = next;
            next = swap;
        }
        next.n = 0;
        each(now.v, now.n, first, &next, put[i]);
        swap = now;
        now = next;
        next = swap;
        next.n = 0;
    }
    tokenizer_put(out, now.v, now.n);
    free(now.v);
    free(next.v);
}

static bool is_plain(char c)
{
    return (c >= ' ' && c <= '~') || c == '\t' || c == '\n' || c == '\r';
}

/* What it becomes does not depend on what is beside it. */
static size_t put_plain(const struct bert *b, const char *text, size_t n, struct tokenizer_text *out)
{
    size_t i = 0;

    mem_grow(&out->v, &out->cap, out->n + n, 1);
    for (; i < n && is_plain(text[i]); i++) {
        char c = b->clean && text[i] < ' ' ? ' ' : text[i];

        out->v[out->n++] = (char)(b->lower && c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return i;
}

static int bert(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    size_t begin = *first;

    (void)err;
    for (size_t at = 0, end; at < n; at = end) {
        size_t before = out->n, plain = put_plain(args, text + at, n - at, out), made;

        for (end = at + plain; !plain && end < n && !is_plain(text[end]); end++)
            ;
        made = at < begin ? (begin < end ? begin : end) - at : 0;
        if (!plain)
            put_part(args, text + at, end - at, &made, out);
        if (at < begin)
            *first = before + made;
    }
    return 1;
}

static const struct tokenizer_step_row bert_row = { .type = "BertNormalizer", .rewrite = bert };

static int parse_bert(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    struct bert *b = arena_calloc(&l->t->arena, 1, sizeof *b);

    if (json_get_bool(v, "clean_text", true, &b->clean, l->name, l->err) < 0 ||
        json_get_bool(v, "handle_chinese_chars", true, &b->chinese, l->name, l->err) < 0 ||
        json_get_bool(v, "lowercase", true, &b->lower, l->name, l->err) < 0 ||
        json_get_bool(v, "strip_accents", b->lower, &b->accents, l->name, l->err) < 0)
        return -1;
    tokenizer_add_step(list, &bert_row, b);
    return 0;
}

bool tokenizer_only_bars(const struct tokenizer_steps *list, bool *first)
{
    const struct prepend *p = list->n ? list->v[0].args : NULL;

    *first = list->n == 2 && list->v[0].row == &prepend_row && p->n == 3 && memcmp(p->s, "\xe2\x96\x81", 3) == 0;
    return list->n == 1u + *first && list->v[*first].row == &replace_row &&
           tokenizer_replaces(list->v[*first].args, " ", "\xe2\x96\x81");
}

const struct tokenizer_step_row tokenizer_normalizers[] = {
    { .type = "NFC", .parse = parse_plain, .rewrite = nfc },
    { .type = "NFD", .parse = parse_plain, .rewrite = nfd },
    { .type = "NFKC", .parse = parse_plain, .rewrite = nfkc },
    { .type = "NFKD", .parse = parse_plain, .rewrite = nfkd },
    { .type = "Lowercase", .parse = parse_plain, .rewrite = lowercase },
    { .type = "StripAccents", .parse = parse_plain, .rewrite = strip_accents },
    { .type = "Nmt", .parse = parse_plain, .rewrite = nmt },
    { .type = "ByteLevel", .parse = parse_plain, .rewrite = byte_level },
    { .type = "Prepend", .parse = parse_prepend },
    { .type = "Strip", .parse = parse_strip },
    { .type = "Replace", .parse = parse_replace },
    { .type = "BertNormalizer", .parse = parse_bert },
    { .type = "Precompiled", .parse = tokenizer_parse_precompiled },
};
const int tokenizer_n_normalizers = sizeof tokenizer_normalizers / sizeof *tokenizer_normalizers;

int tokenizer_normalise(const struct tokenizer *t, const char *text, size_t *n, size_t *first, const char **out,
                        struct tokenizer_text room[2], struct err *err)
{
    size_t most = 1024 * *n + ((size_t)1 << 20);
    int k = 0;

    *out = text;
    for (size_t i = 0; i < t->normalizer.n && *n; i++) {
        const struct tokenizer_step *s = &t->normalizer.v[i];
        int rc;

        room[k].n = 0;
        rc = s->row->rewrite(s->args, *out, *n, first, &room[k], err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        if (room[k].n > most)
            return err_set(err, "normalizers make %zu bytes of a text of few", room[k].n);
        *out = room[k].v;
        *n = room[k].n;
        k = !k;
    }
    return 0;
}
