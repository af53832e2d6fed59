/* Patterns of Split and Replace: a string or a regular expression, and what of a text it matches. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/regex.h"
#include "libcommon/tokenizer/tokenizer_find.h"

struct tokenizer_find {
    struct regex *regex; /* NULL: the string */
    const char *s, *to;  /* to: what Replace puts in its place */
    size_t n, to_n;
};

void tokenizer_pattern_free(void *p)
{
    if (p)
        regex_free(((struct tokenizer_find *)p)->regex);
    free(p);
}

bool tokenizer_replaces(const struct tokenizer_find *p, const char *from, const char *to)
{
    return !p->regex && p->n == strlen(from) && p->to_n == strlen(to) && memcmp(p->s, from, p->n) == 0 &&
           memcmp(p->to, to, p->to_n) == 0;
}

struct tokenizer_find *tokenizer_parse_pattern(struct tokenizer_loader *l, const char *part, const struct json_value *v)
{
    const struct json_value *pattern = json_get(v, "pattern"), *regex = json_get(pattern, "Regex");
    const struct json_value *s = regex ? regex : json_get(pattern, "String");
    struct tokenizer_find *p;

    if (!s || s->type != JSON_STRING) {
        err_set(l->err, "%s: %s: %s: a pattern that is neither a String nor a Regex", l->name, part, tokenizer_type(v));
        return NULL;
    }
    p = xcalloc(1, sizeof *p);
    p->s = arena_strndup(&l->t->arena, s->str, s->len);
    p->n = s->len;
    if (regex || !s->len) /* an empty string matches everywhere, as an empty expression does */
        p->regex = (l->source->rust ? regex_new_rust : regex_new)(s->str, s->len, l->err);
    if (p->regex || (!regex && s->len))
        return p;
    err_prefix(l->err, "%s: %s: %s", l->name, part, tokenizer_type(v));
    tokenizer_pattern_free(p);
    return NULL;
}

struct tokenizer_find *tokenizer_parse_replace(struct tokenizer_loader *l, const char *part, const struct json_value *v)
{
    const struct json_value *to = json_get(v, "content");
    struct tokenizer_find *p;

    if (!to || to->type != JSON_STRING) {
        err_set(l->err, "%s: %s: Replace without content", l->name, part);
        return NULL;
    }
    p = tokenizer_parse_pattern(l, part, v);
    if (p) {
        p->to = arena_strndup(&l->t->arena, to->str, to->len);
        p->to_n = to->len;
    }
    return p;
}

/* The next match, as regex_next() gives it. */
static int next(const struct tokenizer_find *p, struct regex_scan *scan, const char *text, size_t n, size_t *begin,
                size_t *end, struct err *err)
{
    const char *found;

    if (p->regex)
        return regex_next(p->regex, scan, text, n, begin, end, err);
    found = scan->at < n ? memmem(text + scan->at, n - scan->at, p->s, p->n) : NULL;
    if (!found)
        return 0;
    *begin = (size_t)(found - text);
    scan->at = *end = *begin + p->n;
    return 1;
}

int tokenizer_replace(const struct tokenizer_find *p, const char *text, size_t n, size_t *first, struct tokenizer_text *out,
                      struct err *err)
{
    struct regex_scan scan = { 0 };
    size_t done = 0, begin, end, mark = *first;
    int rc = 0;

    while (n && (rc = next(p, &scan, text, n, &begin, &end, err)) > 0) {
        if (done < mark && mark <= begin)
            *first = out->n + (mark - done);
        tokenizer_put(out, text + done, begin - done);
        tokenizer_put(out, p->to, p->to_n);
        if (begin < mark)
            *first = out->n;
        done = end;
    }
    if (done < mark)
        *first = out->n + (mark - done);
    tokenizer_put(out, text + done, n - done);
    return rc;
}

static void add(struct tokenizer_matches *m, size_t from, size_t to, bool match)
{
    mem_grow(&m->v, &m->cap, m->n + 1, sizeof *m->v);
    m->v[m->n++] = (struct tokenizer_match){ from, to, match };
}

int tokenizer_matches(const struct tokenizer_find *p, const char *text, size_t n, struct tokenizer_matches *out, struct err *err)
{
    struct regex_scan scan = { 0 };
    size_t done = 0, begin, end;
    int rc;

    while ((rc = next(p, &scan, text, n, &begin, &end, err)) > 0) {
        if (done < begin)
            add(out, done, begin, false);
        add(out, begin, end, true);
        done = end;
    }
    if (done < n)
        add(out, done, n, false);
    return rc;
}

void tokenizer_char_matches(bool (*is)(uint32_t cp, uint32_t arg), uint32_t arg, const char *text, size_t n,
                            struct tokenizer_matches *out)
{
    size_t done = 0;
    uint32_t cp;
    int len;

    for (size_t at = 0; at < n && (len = utf8_decode(text + at, n - at, &cp)) > 0; at += (size_t)len) {
        if (!is(cp, arg))
            continue;
        if (done < at)
            add(out, done, at, false);
        done = at + (size_t)len;
        add(out, at, done, true);
    }
    if (done < n)
        add(out, done, n, false);
}
