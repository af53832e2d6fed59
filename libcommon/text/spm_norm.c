/* SentencePiece's normalizer (normalizer.cc) and what undoes it. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/spm_in.h"

#define SPARE 16

struct output {
    const struct spm_spec *spec;
    const struct spm *m;
    bool compact;
    char **v;
    size_t n, *cap;
};

static void put(struct output *o, const char *s, size_t n)
{
    mem_grow(o->v, o->cap, o->n + n + SPARE, 1);
    memcpy(*o->v + o->n, s, n);
    o->n += n;
}

static void put_space(struct output *o)
{
    if (o->spec->escape && !o->compact)
        put(o, SPM_BAR, 3);
    else
        put(o, " ", 1);
}

/* What the beginning of s[0..n) becomes, into *to: the bytes it takes. */
static size_t prefix(const struct output *o, const char *s, size_t n, const char **to, size_t *to_n)
{
    uint32_t value;
    size_t len;

    *to = s;
    if (o->m && o->m->has_user && (len = trie_longest(&o->m->user[0], s, n, &value)) > 0) {
        *to_n = len;
        return len;
    }
    if (o->spec->has_map && (len = charsmap_longest(&o->spec->map, s, n, to, to_n)) > 0)
        return len;
    len = (size_t)utf8_decode(s, n, &value);
    if (!len) {
        *to = "\xef\xbf\xbd";
        *to_n = 3;
        return 1;
    }
    *to_n = len;
    return len;
}

/* Bytes that begin s[0..n) and become themselves, no space among them. */
static size_t plain(const struct output *o, const char *s, size_t n)
{
    size_t i = 0;

    if (o->m && o->m->has_user)
        return 0;
    while (i < n && (uint8_t)s[i] < 128 && s[i] != ' ' &&
           (!o->spec->has_map || (o->spec->map.plain[(uint8_t)s[i]] && (i + 1 == n || (uint8_t)s[i + 1] < 128))))
        i++;
    return i;
}

static void put_normal(struct output *o, const char *s, size_t n)
{
    for (size_t at = 0, end; at < n; at = end) {
        const char *space = memchr(s + at, ' ', n - at);

        end = space ? (size_t)(space - s) : n;
        put(o, s + at, end - at);
        if (end < n) {
            put_space(o);
            end++;
        }
    }
}

static bool ends_with(const struct output *o, const char *s, size_t n)
{
    return o->n >= n && memcmp(*o->v + o->n - n, s, n) == 0;
}

static void drop_spaces(struct output *o)
{
    for (;;) {
        if (o->spec->escape && ends_with(o, SPM_BAR, 3))
            o->n -= 3;
        else if ((!o->spec->escape || o->compact) && ends_with(o, " ", 1))
            o->n--;
        else
            break;
    }
}

/* Where every character becomes itself or the mark of a space. */
static bool is_identity(const struct spm_spec *s)
{
    return !s->has_map && !s->squeeze;
}

size_t spm_apply(const struct spm_spec *spec, const struct spm *m, bool compact, const char *text, size_t n, char **out,
                 size_t *cap)
{
    struct output o = { spec, m, compact, out, 0, cap };
    bool suffix = m && m->info.suffix, space = spec->squeeze;
    const char *to;
    size_t at = 0, to_n, len;

    mem_grow(out, cap, n + SPARE, 1);
    for (; at < n && spec->squeeze; at += len) {
        len = prefix(&o, text + at, n - at, &to, &to_n);
        if (to_n != 1 || *to != ' ')
            break;
    }
    if (at == n)
        return 0;
    if (!suffix && spec->dummy_prefix)
        put_space(&o);
    if (is_identity(spec) && (compact || !spec->escape) && utf8_valid(text, n) == n) {
        put(&o, text, n);
        at = n;
    }
    while (at < n) {
        len = plain(&o, text + at, n - at);
        if (len) {
            put(&o, text + at, len);
            at += len;
            space = false;
            continue;
        }
        at += prefix(&o, text + at, n - at, &to, &to_n);
        while (space && to_n && *to == ' ') {
            to++;
            to_n--;
        }
        if (to_n) {
            put_normal(&o, to, to_n);
            space = spec->squeeze && to[to_n - 1] == ' ';
        }
    }
    if (spec->squeeze)
        drop_spaces(&o);
    if (suffix && spec->dummy_prefix)
        put_space(&o);
    return o.n;
}

const char *spm_normalise(const struct spm *m, struct spm_scratch *s, const char *text, size_t n, size_t *out_n)
{
    s->sum = 0;
    *out_n = spm_apply(&m->normal, m, m->normal.escape, text, n, &s->normal, &s->normal_cap);
    return s->normal;
}
