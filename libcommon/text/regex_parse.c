/* regex_parse.c - a pattern to a tree; see regex.h for the syntax, regex_prog.h for the tree.
 *
 * Recursion follows groups and stacked quantifiers of the pattern, DEPTH of them at most.
 */
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/regex.h"
#include "libcommon/text/regex_prog.h"
#include "libcommon/text/unicode.h"

#define DEPTH 100
#define MOST_BYTES 8192
#define MOST_REPEAT 100000

struct parser {
    struct regex *re;
    struct arena *arena;
    const char *start, *p, *end;
    const char *error; /* what is wrong at p */
    int depth;
    bool fold, dot_all, extended, lines; /* lines: of Rust, ^ and $ stand at every line */
    uint32_t groups, backref;
};

static struct regex_node *alternatives(struct parser *s);

static void *fail(struct parser *s, const char *what)
{
    if (!s->error)
        s->error = what;
    return NULL;
}

static struct regex_node *new_node(struct parser *s, enum regex_kind kind)
{
    struct regex_node *n = arena_calloc(s->arena, 1, sizeof *n);

    n->kind = kind;
    return n;
}

static struct regex_node *wrap(struct parser *s, enum regex_kind kind, struct regex_node *child)
{
    struct regex_node *n = child ? new_node(s, kind) : NULL;

    if (n)
        n->first = child;
    return n;
}

static struct regex_node *assertion(struct parser *s, enum regex_assertion a)
{
    struct regex_node *n = new_node(s, REGEX_ASSERT);

    n->assertion = a;
    return n;
}

static struct regex_node *set_node(struct parser *s, struct regex_set *set);

/* How sets are read here. */
static unsigned how_sets(const struct parser *s)
{
    return (s->fold ? REGEX_FOLDED : 0) | (s->re->rust ? REGEX_RUST : 0);
}

/* Of Rust, case is folded one for one. */
static struct regex_node *character(struct parser *s, uint32_t cp)
{
    struct regex_set set = { 0 };
    struct regex_node *n;

    if (s->fold && s->re->rust) {
        regex_set_add(&set, cp, cp);
        regex_set_fold(&set);
        return set_node(s, &set);
    }
    n = new_node(s, REGEX_STRING);

    n->cp = arena_alloc(s->arena, sizeof *n->cp);
    *n->cp = cp;
    n->n = 1;
    n->fold = s->fold;
    return n;
}

static struct regex_node *set_node(struct parser *s, struct regex_set *set)
{
    struct regex_node *n = new_node(s, REGEX_SET);

    n->set = regex_add_set(s->re, set);
    return n;
}

/* Every character but a newline, which \O and . under (?m) take as well. */
static struct regex_node *any(struct parser *s, bool newline)
{
    struct regex_set set = { 0 };

    if (newline) {
        regex_set_add(&set, 0, UNICODE_END - 1);
    } else {
        regex_set_add(&set, 0, '\n' - 1);
        regex_set_add(&set, '\n' + 1, UNICODE_END - 1);
    }
    return set_node(s, &set);
}

/* \R: (?>\r\n|[\n-\r\u0085\u2028\u2029]) */
static struct regex_node *any_newline(struct parser *s)
{
    struct regex_node *crlf = character(s, '\r'), *alt = wrap(s, REGEX_ALT, crlf);
    struct regex_set set = { 0 };

    crlf->cp = arena_alloc(s->arena, 2 * sizeof *crlf->cp);
    crlf->cp[0] = '\r';
    crlf->cp[1] = '\n';
    crlf->n = 2;
    crlf->fold = false;
    regex_set_add(&set, '\n', '\r');
    regex_set_add(&set, 0x85, 0x85);
    regex_set_add(&set, 0x2028, 0x2029);
    crlf->next = set_node(s, &set);
    return wrap(s, REGEX_ATOMIC, alt);
}

/* [ ], and the strings that characters in it fold to. */
static struct regex_node *class_node(struct parser *s)
{
    struct regex_set set = { 0 };
    struct regex_node *n, **tail;
    bool strings = s->fold && !s->re->rust && s->end - s->p > 1 && s->p[1] != '^';

    s->p++;
    if (regex_class(&set, &s->p, s->end, how_sets(s), &s->error) < 0) {
        regex_set_free(&set);
        return NULL;
    }
    n = set_node(s, &set);
    tail = &n->next;
    for (int i = 0; strings && i < unicode_n_full_folds; i++) {
        const struct unicode_full_fold *f = &unicode_full_folds[i];

        if (!regex_set_has(&s->re->set[n->set], f->cp))
            continue;
        *tail = character(s, f->cp);
        tail = &(*tail)->next;
    }
    return n->next ? wrap(s, REGEX_ALT, n) : n;
}

/* \1 to \9, and \10 to \99 where there are so many groups; NULL: a number of another kind. */
static struct regex_node *backref(struct parser *s)
{
    uint32_t group = (uint32_t)(s->p[1] - '0');
    struct regex_node *n;
    int k = 2;

    if (s->end - s->p > 2 && s->p[2] >= '0' && s->p[2] <= '9') {
        group = group * 10 + (uint32_t)(s->p[2] - '0');
        if (group > s->groups)
            return NULL;
        k = 3;
    }
    s->p += k;
    n = new_node(s, REGEX_BACKREF);
    n->group = group;
    n->fold = s->fold;
    if (n->group > s->backref)
        s->backref = n->group;
    return n;
}

static struct regex_node *escape(struct parser *s)
{
    static const struct {
        char c;
        enum regex_assertion a;
    } assertions[] = {
        { 'A', REGEX_TEXT_BEGIN },   { 'z', REGEX_TEXT_END }, { 'Z', REGEX_TEXT_END_LINE },
        { 'G', REGEX_SEARCH_BEGIN }, { 'b', REGEX_WORD },     { 'B', REGEX_NOT_WORD },
    };
    struct regex_set set = { 0 };
    struct regex_node *n;
    uint32_t cp;
    char c = s->end - s->p > 1 ? s->p[1] : 0;
    int rc;

    for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++)
        if (c == assertions[i].c) {
            s->p += 2;
            return assertion(s, assertions[i].a);
        }
    if (c == 'R' || c == 'N' || c == 'O') {
        s->p += 2;
        return c == 'R' ? any_newline(s) : any(s, c == 'O');
    }
    if (c >= '1' && c <= '9' && (n = backref(s)))
        return n;
    rc = regex_escape(&set, &cp, &s->p, s->end, how_sets(s), &s->error);
    return rc < 0 ? NULL : rc ? set_node(s, &set) : character(s, cp);
}

/* Up to the closing parenthesis of a group, whose options end there. */
static struct regex_node *group_body(struct parser *s)
{
    bool fold = s->fold, dot_all = s->dot_all, extended = s->extended, lines = s->lines;
    struct regex_node *n;

    if (++s->depth > DEPTH)
        return fail(s, "groups nested too deeply");
    n = alternatives(s);
    s->depth--;
    if (!n)
        return NULL;
    if (s->p == s->end || *s->p != ')')
        return fail(s, "( without its )");
    s->p++;
    s->fold = fold;
    s->dot_all = dot_all;
    s->extended = extended;
    s->lines = lines;
    return n;
}

static struct regex_node *capture(struct parser *s)
{
    uint32_t number = ++s->groups;
    struct regex_node *n = wrap(s, REGEX_GROUP, group_body(s));

    if (n)
        n->group = number;
    return n;
}

/* (?imx-imx) holds to the end of the group around it, (?imx-imx:...) in its own. */
static struct regex_node *options(struct parser *s)
{
    bool fold = s->fold, dot_all = s->dot_all, extended = s->extended, lines = s->lines, on = true;
    struct regex_node *n;

    for (; s->p < s->end && *s->p != ')' && *s->p != ':'; s->p++) {
        if (*s->p == '-')
            on = false;
        else if (*s->p == 'i')
            s->fold = on;
        else if (*s->p == (s->re->rust ? 's' : 'm'))
            s->dot_all = on;
        else if (*s->p == 'm')
            s->lines = on;
        else if (*s->p == 'x')
            s->extended = on;
        else
            return fail(s, "a kind of group that is not supported");
    }
    if (s->p == s->end)
        return fail(s, "( without its )");
    if (*s->p++ == ':') {
        n = group_body(s);
    } else {
        if (++s->depth > DEPTH)
            return fail(s, "groups nested too deeply");
        n = alternatives(s);
        s->depth--;
    }
    s->fold = fold;
    s->dot_all = dot_all;
    s->extended = extended;
    s->lines = lines;
    return n;
}

static struct regex_node *look(struct parser *s, bool behind, bool negative)
{
    struct regex_node *n = wrap(s, REGEX_LOOK, group_body(s));

    if (n) {
        n->behind = behind;
        n->negative = negative;
    }
    return n;
}

static struct regex_node *comment(struct parser *s)
{
    while (s->p < s->end && *s->p != ')')
        s->p += *s->p == '\\' && s->end - s->p > 1 ? 2 : 1;
    if (s->p == s->end)
        return fail(s, "( without its )");
    s->p++;
    return new_node(s, REGEX_EMPTY);
}

static struct regex_node *group(struct parser *s)
{
    const char *close;
    char c, d;

    if (++s->p == s->end || *s->p != '?')
        return capture(s);
    if (++s->p == s->end)
        return fail(s, "( without its )");
    c = *s->p;
    d = s->end - s->p > 1 ? s->p[1] : 0;
    if (c == '<' && (d == '=' || d == '!')) {
        s->p += 2;
        return look(s, true, d == '!');
    }
    if (c == '<' || c == '\'') {
        close = memchr(s->p + 1, c == '<' ? '>' : '\'', (size_t)(s->end - s->p - 1));
        if (!close || close == s->p + 1)
            return fail(s, "a group without its name");
        s->p = close + 1;
        return capture(s);
    }
    if (!c || !strchr(":=!>#", c))
        return options(s);
    s->p++;
    switch (c) {
    case ':':
        return group_body(s);
    case '>':
        return wrap(s, REGEX_ATOMIC, group_body(s));
    case '#':
        return comment(s);
    default:
        return look(s, false, c == '!');
    }
}

static struct regex_node *atom(struct parser *s)
{
    uint32_t cp;
    int n;

    switch (*s->p) {
    case '(':
        return group(s);
    case '[':
        return class_node(s);
    case '\\':
        return escape(s);
    case '.':
        s->p++;
        return any(s, s->dot_all);
    case '^':
        s->p++;
        return assertion(s, s->re->rust && !s->lines ? REGEX_TEXT_BEGIN : REGEX_LINE_BEGIN);
    case '$':
        s->p++;
        return assertion(s, s->re->rust && !s->lines ? REGEX_TEXT_END : REGEX_LINE_END);
    case '*':
    case '+':
    case '?':
        return fail(s, "a quantifier behind nothing");
    default:
        n = utf8_decode(s->p, (size_t)(s->end - s->p), &cp);
        if (!n)
            return fail(s, "invalid UTF-8");
        s->p += n;
        return character(s, cp);
    }
}

/* Digits at *p: false where there are none; a number above MOST_REPEAT becomes one more than it. */
static bool count(const char **p, const char *end, uint32_t *v)
{
    const char *from = *p;

    for (*v = 0; *p < end && **p >= '0' && **p <= '9'; ++*p)
        *v = *v > MOST_REPEAT ? *v : *v * 10 + (uint32_t)(**p - '0');
    return *p > from;
}

/* {m,n} {m,} {,n} {m} at p; what is none is a plain brace: false. */
static bool interval(struct parser *s, struct regex_node *rep, bool *fixed)
{
    const char *p = s->p + 1;
    bool low = count(&p, s->end, &rep->min), high = true;

    rep->max = rep->min;
    *fixed = p < s->end && *p == '}';
    if (p < s->end && *p == ',') {
        p++;
        high = count(&p, s->end, &rep->max);
        if (!high)
            rep->max = REGEX_FOREVER;
    }
    if (p == s->end || *p != '}' || (!low && (*fixed || !high)))
        return false;
    s->p = p + 1;
    if (rep->min > MOST_REPEAT || (high && rep->max > MOST_REPEAT))
        fail(s, "a repeat of more than 100000");
    else if (rep->max < rep->min)
        fail(s, "a repeat whose most is below its least");
    return true;
}

/* One quantifier at p into *rep; false: there is none. */
static bool quantifier(struct parser *s, struct regex_node *rep)
{
    bool fixed = false, braces;

    if (s->p == s->end || !strchr("*+?{", *s->p) || !*s->p)
        return false;
    braces = *s->p == '{';
    if (braces) {
        if (!interval(s, rep, &fixed))
            return false;
    } else {
        rep->min = *s->p == '+';
        rep->max = *s->p == '?' ? 1 : REGEX_FOREVER;
        s->p++;
    }
    if (s->p < s->end && *s->p == '?' && (!fixed || s->re->rust)) {
        rep->how = REGEX_LAZY;
        s->p++;
    } else if (s->p < s->end && *s->p == '+' && (!braces || s->re->rust)) {
        rep->how = REGEX_POSSESSIVE;
        s->p++;
    }
    return true;
}

static void skip_extended(struct parser *s)
{
    while (s->extended && s->p < s->end && (strchr(" \t\n\r\f\v", *s->p) || *s->p == '#')) {
        if (*s->p == '#')
            while (s->p < s->end && *s->p != '\n')
                s->p++;
        else if (*s->p)
            s->p++;
        else
            return;
    }
}

static struct regex_node *quantified(struct parser *s)
{
    struct regex_node *n = atom(s), rep;
    int stacked = 0;

    for (;; stacked++) {
        memset(&rep, 0, sizeof rep);
        skip_extended(s);
        if (!n || s->error || !quantifier(s, &rep) || s->error)
            break;
        if (s->depth + stacked > DEPTH)
            return fail(s, "too many quantifiers one upon the other");
        rep.kind = REGEX_REPEAT;
        rep.first = n;
        n = new_node(s, REGEX_REPEAT);
        *n = rep;
    }
    return s->error ? NULL : n;
}

/* Join a string with the one before it, so that folding sees both; true: done. */
static bool join(struct parser *s, struct regex_node *last, const struct regex_node *n, size_t *cap)
{
    if (!last || last->kind != REGEX_STRING || n->kind != REGEX_STRING || last->fold != n->fold)
        return false;
    if (last->n + n->n > *cap) {
        uint32_t *cp = arena_alloc(s->arena, 2 * (last->n + n->n) * sizeof *cp);

        *cap = 2 * (last->n + n->n);
        memcpy(cp, last->cp, last->n * sizeof *cp);
        last->cp = cp;
    }
    memcpy(last->cp + last->n, n->cp, n->n * sizeof *n->cp);
    last->n += n->n;
    return true;
}

static struct regex_node *sequence(struct parser *s)
{
    struct regex_node *cat = new_node(s, REGEX_CAT), *last = NULL, **tail = &cat->first;
    size_t cap = 1;

    for (skip_extended(s); s->p < s->end && *s->p != '|' && *s->p != ')'; skip_extended(s)) {
        struct regex_node *n = quantified(s);

        if (!n)
            return NULL;
        if (join(s, last, n, &cap))
            continue;
        *tail = last = n;
        tail = &n->next;
        cap = n->n;
    }
    return cat;
}

static struct regex_node *alternatives(struct parser *s)
{
    struct regex_node *n = sequence(s), *alt, **tail;

    if (!n || s->p == s->end || *s->p != '|')
        return n;
    alt = wrap(s, REGEX_ALT, n);
    for (tail = &n->next; s->p < s->end && *s->p == '|'; tail = &(*tail)->next) {
        s->p++;
        *tail = sequence(s);
        if (!*tail)
            return NULL;
    }
    return alt;
}

struct regex_node *regex_parse(struct regex *re, struct arena *a, const char *pattern, size_t n, struct err *err)
{
    struct parser s = { .re = re, .arena = a, .start = pattern, .p = pattern, .end = pattern + n };
    struct regex_node *tree;

    if (n > MOST_BYTES) {
        err_set(err, "pattern: %zu bytes, more than %d", n, MOST_BYTES);
        return NULL;
    }
    tree = alternatives(&s);
    if (tree && s.p < s.end)
        tree = fail(&s, ") without its (");
    if (tree && s.backref > s.groups)
        tree = fail(&s, "a reference to a group that is not there");
    if (!tree)
        err_set(err, "pattern: byte %td: %s", s.p - s.start, s.error);
    re->groups = s.backref ? s.groups : 0;
    return tree;
}
