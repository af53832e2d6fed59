/* template_lex.c - the text of a template to tokens, with Jinja's rules for white space. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/template/template_in.h"

struct lexer {
    struct template *t;
    const char *start, *p, *end;
    struct token *v;
    size_t n, cap;
    bool line_start; /* the last tag took a newline with it */
    int line;
    const char *counted; /* line is that of this place */
    char open[TEMPLATE_PARSE_DEPTH];
    int n_open;
    struct err *err;
};

static int line_at(struct lexer *x, const char *p)
{
    for (; x->counted < p; x->counted++)
        x->line += *x->counted == '\n';
    return x->line;
}

static int fail(struct lexer *x, const char *at, const char *what, const char *s, size_t n)
{
    return err_set(x->err, "%s:%d: %s%.*s", x->t->file, line_at(x, at), what, (int)(n < 80 ? n : 80), s);
}

static void add(struct lexer *x, enum token_type type, const char *s, size_t n)
{
    mem_grow(&x->v, &x->cap, x->n + 1, sizeof *x->v);
    x->v[x->n++] = (struct token){ type, line_at(x, s), s, n };
}

static bool at(const struct lexer *x, const char *p, const char *s)
{
    size_t n = strlen(s);

    return (size_t)(x->end - p) >= n && memcmp(p, s, n) == 0;
}

static const char *skip_space(const struct lexer *x, const char *p)
{
    uint32_t cp;
    int n;

    while ((n = utf8_decode(p, (size_t)(x->end - p), &cp)) && template_space(cp))
        p += n;
    return p;
}

/* Text up to a tag whose sign is given, and whether the tag may strip blanks of its line. */
static void add_text(struct lexer *x, const char *s, const char *end, char sign, bool strip_line)
{
    struct value v = template_str(s, (size_t)(end - s));

    if (sign == '-') {
        v = template_strip(v, false, true);
    } else if (sign != '+' && strip_line) {
        const char *line = memrchr(s, '\n', v.n);

        line = line ? line + 1 : s;
        if ((line > s || x->line_start) && template_strip(template_str(line, (size_t)(end - line)), true, false).n == 0)
            v.n = (size_t)(line - s);
    }
    if (v.n)
        add(x, T_TEXT, v.u.s, v.n);
}

/* Behind "%}" or "#}" whose sign is given: what it takes with it. */
static void close_tag(struct lexer *x, const char *p, char sign, bool trim)
{
    const char *q = sign == '-' ? skip_space(x, p) : p;

    if (sign != '-' && sign != '+' && trim && q < x->end && *q == '\n')
        q++;
    x->line_start = q > p && q[-1] == '\n';
    x->p = q;
}

static char sign_of(const struct lexer *x, const char *p)
{
    return p < x->end && (*p == '-' || *p == '+') ? *p : 0;
}

static int comment(struct lexer *x, const char *p)
{
    const char *close = memmem(p, (size_t)(x->end - p), "#}", 2);

    if (!close)
        return fail(x, x->p, "a comment is not closed by ", "#}", 2);
    close_tag(x, close + 2, close > p && (close[-1] == '-' || close[-1] == '+') ? close[-1] : 0, true);
    return 0;
}

/* Is a tag {% word %} at p, which stands behind "{%" and its sign?  Behind its "%}", or NULL. */
static const char *word_tag(const struct lexer *x, const char *p, const char *word, char *sign)
{
    p = skip_space(x, p);
    if (!at(x, p, word))
        return NULL;
    p = skip_space(x, p + strlen(word));
    *sign = sign_of(x, p);
    p += *sign != 0;
    return at(x, p, "%}") ? p + 2 : NULL;
}

/* Behind {% raw %}: text up to {% endraw %}. */
static int raw(struct lexer *x, const char *begin)
{
    const char *p = x->p;

    for (;; p += 2) {
        const char *tag = memmem(p, (size_t)(x->end - p), "{%", 2), *close;
        char sign, end_sign;

        if (!tag)
            return fail(x, begin, "{% raw %} is not closed by ", "{% endraw %}", 12);
        sign = sign_of(x, tag + 2);
        close = word_tag(x, tag + 2 + (sign != 0), "endraw", &end_sign);
        if (close) {
            add_text(x, x->p, tag, sign, true);
            close_tag(x, close, end_sign, true);
            return 0;
        }
        p = tag;
    }
}

static size_t hex(const char *p, const char *end, int digits, uint32_t *cp)
{
    *cp = 0;
    if (end - p < digits)
        return 0;
    for (int i = 0; i < digits; i++) {
        const char *all = "0123456789abcdef", *d = p[i] ? strchr(all, p[i] | 0x20) : NULL;

        if (!d || (p[i] < '0'))
            return 0;
        *cp = *cp * 16 + (uint32_t)(d - all);
    }
    return (size_t)digits;
}

/* An escape of Python's unicode-escape codec at p, behind the backslash: bytes read, or 0. */
static size_t escape(const char *p, const char *end, char *out, size_t *n)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *plain = memchr(from, *p, sizeof from - 1);
    int digits = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    uint32_t cp = 0;
    size_t used = 1;

    *n = 0;
    if (*p == '\n')
        return 1;
    if (plain) {
        out[(*n)++] = to[plain - from];
        return 1;
    }
    if (digits) {
        used += hex(p + 1, end, digits, &cp);
        if (used == 1 || cp >= 0x110000 || (cp >= 0xd800 && cp < 0xe000))
            return 0;
        *n = (size_t)utf8_encode(cp, out);
    } else if (*p >= '0' && *p <= '7') {
        for (used = 0; used < 3 && p + used < end && p[used] >= '0' && p[used] <= '7'; used++)
            cp = cp * 8 + (uint32_t)(p[used] - '0');
        *n = (size_t)utf8_encode(cp, out);
    } else if (*p == 'N') {
        return 0;
    } else if (*p & 0x80) {
        /* Jinja spells these out before it decodes, so the backslash escapes the spelling's */
        used = (size_t)utf8_decode(p, (size_t)(end - p), &cp);
        *n = (size_t)snprintf(out, 16, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
    } else {
        out[(*n)++] = '\\';
        out[(*n)++] = *p;
    }
    return used;
}

static int string(struct lexer *x)
{
    const char *p = x->p + 1, *close = p, *s = x->p;
    char *out;
    size_t n = 0;

    while (close < x->end && *close != *s)
        close += *close == '\\' && close + 1 < x->end ? 2 : 1;
    if (close >= x->end)
        return fail(x, s, "a string is not closed: ", s, (size_t)(x->end - s));
    out = arena_alloc(&x->t->arena, (size_t)(close - p) * 4 + 16);
    while (p < close) {
        char bytes[16];
        size_t used, n_bytes;

        if (*p != '\\') {
            out[n++] = *p++;
            continue;
        }
        used = escape(p + 1, close, bytes, &n_bytes);
        if (!used)
            return fail(x, p, "not an escape: ", p, (size_t)(close - p));
        memcpy(out + n, bytes, n_bytes);
        n += n_bytes;
        p += 1 + used;
    }
    add(x, T_STRING, s, 0);
    x->v[x->n - 1].s = out;
    x->v[x->n - 1].n = n;
    x->p = close + 1;
    return 0;
}

static const char *digits(const char *p, const char *end, const char *set)
{
    while (p < end && *p && (strchr(set, *p) || (*p == '_' && p + 1 < end && p[1] && strchr(set, p[1]))))
        p++;
    return p;
}

static void number(struct lexer *x)
{
    static const char dec[] = "0123456789";
    const char *p = x->p, *q, *end = x->end;
    enum token_type type = T_INT;
    char base = p + 1 < end && *p == '0' ? (char)(p[1] | 0x20) : 0;
    const char *set = base == 'x' ? "0123456789abcdefABCDEF" : base == 'o' ? "01234567" : base == 'b' ? "01" : NULL;

    if (set && (q = digits(p + 2, end, set)) > p + 2) {
        add(x, T_INT, p, (size_t)(q - p));
        x->p = q;
        return;
    }
    q = digits(p, end, dec);
    if (p == x->start || p[-1] != '.') {
        const char *e;

        if (q + 1 < end && *q == '.' && strchr(dec, q[1]) && q[1]) {
            type = T_FLOAT;
            q = digits(q + 1, end, dec);
        }
        e = q < end && (*q | 0x20) == 'e' ? q + 1 : NULL;
        if (e && e < end && (*e == '+' || *e == '-'))
            e++;
        if (e && digits(e, end, dec) > e) {
            type = T_FLOAT;
            q = digits(e, end, dec);
        }
    }
    if (type == T_INT && *p == '0' && digits(p, q, "0") < q)
        q = digits(p, q, "0");
    add(x, type, p, (size_t)(q - p));
    x->p = q;
}

static bool name_byte(char c, bool first)
{
    return (c & 0x80) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

static int operator(struct lexer *x)
{
    static const char pairs[][3] = { "//", "**", "==", "!=", ">=", "<=" };
    static const char openers[] = "([{", closers[] = ")]}";
    const char *c;
    size_t n = 0;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        n = at(x, x->p, pairs[i]) ? 2 : n;
    if (!n && *x->p && strchr("+-/*%~[](){}><=.:|,;", *x->p))
        n = 1;
    if (!n)
        return fail(x, x->p, "unexpected: ", x->p, template_char(x->p, x->end));
    if ((c = strchr(openers, *x->p))) {
        if (x->n_open == TEMPLATE_PARSE_DEPTH)
            return fail(x, x->p, "brackets are nested too deeply", "", 0);
        x->open[x->n_open++] = closers[c - openers];
    } else if (strchr(closers, *x->p) && (!x->n_open || x->open[--x->n_open] != *x->p)) {
        return fail(x, x->p, "unexpected ", x->p, 1);
    }
    add(x, T_OP, x->p, n);
    x->p += n;
    return 0;
}

/* Does the tag end here?  Jinja looks only where brackets are closed. */
static bool tag_ends(struct lexer *x, bool block)
{
    char sign = sign_of(x, x->p);
    const char *p = x->p + (sign != 0);

    if (x->n_open || (sign == '+' && !block) || !at(x, p, block ? "%}" : "}}"))
        return false;
    add(x, block ? T_BLOCK_END : T_VAR_END, x->p, 0);
    close_tag(x, p + 2, sign, block);
    return true;
}

static int inside(struct lexer *x, bool block)
{
    for (;;) {
        const char *p = x->p;

        if (tag_ends(x, block))
            return 0;
        x->p = skip_space(x, p);
        if (x->p > p)
            continue;
        if (p == x->end)
            return fail(x, p, "a tag is not closed by ", block ? "%}" : "}}", 2);
        if (name_byte(*p, true)) {
            while (x->p < x->end && name_byte(*x->p, false))
                x->p++;
            add(x, T_NAME, p, (size_t)(x->p - p));
        } else if (*p >= '0' && *p <= '9') {
            number(x);
        } else if ((*p == '"' || *p == '\'' ? string(x) : operator(x)) < 0) {
            return -1;
        }
    }
}

/* Where does the next tag begin?  NULL: nowhere. */
static const char *find_tag(const struct lexer *x)
{
    const char *p = x->p;

    while ((p = memchr(p, '{', (size_t)(x->end - p)))) {
        if (p + 1 < x->end && (p[1] == '%' || p[1] == '{' || p[1] == '#'))
            return p;
        p++;
    }
    return NULL;
}

static int scan(struct lexer *x)
{
    const char *tag;

    while ((tag = find_tag(x))) {
        char sign = sign_of(x, tag + 2), kind = tag[1], end_sign = 0;
        const char *in = tag + 2 + (sign != 0), *close = kind == '%' ? word_tag(x, in, "raw", &end_sign) : NULL;
        int rc;

        add_text(x, x->p, tag, sign, kind != '{');
        x->p = tag;
        x->line_start = false;
        if (kind == '#') {
            rc = comment(x, in);
        } else if (close && end_sign != '+') {
            close_tag(x, close, end_sign, false);
            rc = raw(x, tag);
        } else {
            add(x, kind == '%' ? T_BLOCK_BEGIN : T_VAR_BEGIN, tag, 2);
            x->p = in;
            x->n_open = 0;
            rc = inside(x, kind == '%');
        }
        if (rc < 0)
            return -1;
    }
    if (x->p < x->end)
        add(x, T_TEXT, x->p, (size_t)(x->end - x->p));
    add(x, T_EOF, x->end, 0);
    return 0;
}

/* CR LF and CR become LF, and the last newline is no part of the template. */
static char *normalise(struct arena *a, const char *text, size_t *n)
{
    char *s = arena_alloc(a, *n + 1);
    size_t to = 0;

    for (size_t i = 0; i < *n; i++) {
        if (text[i] == '\r' && i + 1 < *n && text[i + 1] == '\n')
            continue;
        s[to++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (to && s[to - 1] == '\n')
        to--;
    s[to] = 0;
    *n = to;
    return s;
}

int template_lex(struct template *t, const char *text, size_t n, struct lexed *out, struct err *err)
{
    struct lexer x = { .t = t, .line = 1, .line_start = true, .err = err };
    size_t bad = utf8_valid(text, n);
    int rc;

    if (bad < n)
        return err_set(err, "%s: byte %zu: invalid UTF-8", t->file, bad);
    x.start = x.p = x.counted = normalise(&t->arena, text, &n);
    x.end = x.start + n;
    rc = scan(&x);
    out->v = x.v;
    out->n = x.n;
    return rc;
}
