/* SentencePiece's normalizer (normalizer.cc) and what undoes it. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/spm_in.h"

#define SPARE 16
#define EVERY (uint64_t)0x0101010101010101 /* each of eight bytes */

struct output {
    const struct spm_spec *spec;
    const struct trie *user; /* of pieces that stay; NULL: there are none */
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

/* Of bytes below 0x80 the highest bits of those that are spaces. */
static uint64_t spaces(uint64_t w)
{
    return ~((w ^ EVERY * ' ') + EVERY * 0x7f) & EVERY * 0x80;
}

/* Are the eight bytes U+0020 to U+007E, no two of them spaces side by side? */
static bool is_printable(const char *s)
{
    uint64_t w, space;

    memcpy(&w, s, 8);
    if ((w | (w + EVERY) | (w - EVERY * ' ')) & EVERY * 0x80)
        return false;
    space = spaces(w);
    return !(space & space << 8);
}

/* What the beginning of s[0..n) becomes, into *to: the bytes it takes. */
static size_t prefix(const struct output *o, const char *s, size_t n, const char **to, size_t *to_n)
{
    uint32_t value;
    size_t len;

    *to = s;
    if (o->user && (len = trie_longest(o->user, s, n, &value)) > 0) {
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

/* Does s[0..n) begin with a character of three bytes that is in no rule? */
static bool is_free_three(const struct charsmap *map, const char *s, size_t n)
{
    return n >= 3 && (uint8_t)s[0] - 0xe1u < 12 && !(map && map->begins[(uint8_t)s[0]]) && ((uint8_t)s[1] & 0xc0) == 0x80 &&
           ((uint8_t)s[2] & 0xc0) == 0x80;
}

/* The bytes that begin s[0..n) and become themselves, and single spaces between them: taken to the output. */
static size_t put_plain(struct output *o, const char *s, size_t n, bool *space)
{
    const struct charsmap *map = o->spec->has_map ? &o->spec->map : NULL;
    const bool squeeze = o->spec->squeeze;
    char *out;
    size_t i = 0, used = 0;

    if (o->user || (o->spec->escape && !o->compact))
        return 0;
    mem_grow(o->v, o->cap, o->n + n + SPARE, 1);
    out = *o->v + o->n;
    while (i < n) {
        uint8_t c = (uint8_t)s[i];

        if (is_free_three(map, s + i, n - i)) {
            do {
                memcpy(out + used, s + i, 3);
                used += 3;
                i += 3;
            } while (is_free_three(map, s + i, n - i));
            *space = false;
        } else if (n - i > 8 && (!map || map->printable) && !(*space && c == ' ') && is_printable(s + i) && (uint8_t)s[i + 8] < 128) {
            memcpy(out + used, s + i, 8);
            used += 8;
            i += 8;
            *space = s[i - 1] == ' ' && squeeze;
        } else {
            if (c >= 128 || (map && (!map->plain[c] || (i + 1 < n && (uint8_t)s[i + 1] >= 128))))
                break;
            out[used] = (char)c;
            used += !(*space && c == ' ');
            *space = c == ' ' && squeeze;
            i++;
        }
    }
    o->n += used;
    return i;
}

/* A few bytes. */
static void put_normal(struct output *o, const char *s, size_t n)
{
    mem_grow(o->v, o->cap, o->n + n + SPARE, 1);
    for (size_t i = 0; i < n; i++)
        if (s[i] == ' ')
            put_space(o);
        else
            put(o, s + i, 1);
}

static bool ends_with(const struct output *o, const char *s, size_t n)
{
    return o->n >= n && memcmp(*o->v + o->n - n, s, n) == 0;
}

/* One byte for each U+2581 of the text itself as well. */
static void fold_bars(struct output *o)
{
    char *s = *o->v, *end = s + o->n, *from = memchr(s, SPM_BAR[0], o->n), *to;

    from = from ? memmem(from, (size_t)(end - from), SPM_BAR, 3) : NULL; /* memchr() is faster, and mostly enough */
    to = from;
    while (from && from < end) {
        char *next;

        *to++ = ' ';
        from += 3;
        next = memmem(from, (size_t)(end - from), SPM_BAR, 3);
        next = next ? next : end;
        memmove(to, from, (size_t)(next - from));
        to += next - from;
        from = next;
    }
    if (to)
        o->n = (size_t)(to - s);
}

static void drop_spaces(struct output *o)
{
    for (;;) {
        if (o->spec->escape && !o->compact && ends_with(o, SPM_BAR, 3))
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
    struct output o = { spec, m && m->has_user ? &m->user[0] : NULL, compact, out, 0, cap };
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
        at += put_plain(&o, text + at, n - at, &space);
        if (at == n)
            break;
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
    if (compact)
        fold_bars(&o);
    if (spec->squeeze)
        drop_spaces(&o);
    if (suffix && spec->dummy_prefix)
        put_space(&o);
    return o.n;
}

size_t spm_normalise(const struct spm *m, const char *text, size_t n, char **out, size_t *cap)
{
    return spm_apply(&m->normal, m, m->normal.escape, text, n, out, cap);
}

const char *spm_bytes(const struct spm *m, uint32_t id, size_t *n)
{
    if (id >= m->info.n_pieces)
        return NULL;
    *n = m->text_at[id + 1] - m->text_at[id];
    return m->text + m->text_at[id];
}

/* What the bytes [from, n) of pieces for single bytes stand for: of those that are no UTF-8 each is U+FFFD. */
static size_t repair(char **out, size_t *cap, size_t from, size_t n)
{
    size_t len = n - from, to = from;
    char *bytes;

    if (utf8_valid(*out + from, len) == len)
        return n;
    bytes = xmalloc(len);
    memcpy(bytes, *out + from, len);
    mem_grow(out, cap, from + 3 * len, 1);
    for (size_t at = 0, size; at < len; at += size) {
        uint32_t cp;

        size = (size_t)utf8_decode(bytes + at, len - at, &cp);
        memcpy(*out + to, size ? bytes + at : "\xef\xbf\xbd", size ? size : 3);
        to += size ? size : 3;
        size = size ? size : 1;
    }
    free(bytes);
    return to;
}

/* Does a piece that begins a text lose a space there? */
static bool loses_space(const struct spm *m, uint32_t id)
{
    size_t n;
    const char *s = lexicon_string(&m->names, id, &n);

    return (m->normal.dummy_prefix || m->normal.squeeze) && s && n >= 3 && memcmp(s, SPM_BAR, 3) == 0;
}

static size_t decode(const struct spm *m, const uint32_t *ids, size_t n_ids, char **out, size_t *cap)
{
    size_t n = 0, bytes = SIZE_MAX; /* where a run of pieces for bytes begins */
    bool first = true, seen = false;

    for (size_t i = 0; i < n_ids; i++) {
        size_t len;
        const char *s = spm_bytes(m, ids[i], &len);

        if (!s)
            continue;
        if (m->type[ids[i]] == SPM_BYTE) {
            bytes = bytes == SIZE_MAX ? n : bytes;
        } else {
            n = bytes == SIZE_MAX ? n : repair(out, cap, bytes, n);
            bytes = SIZE_MAX;
            first = first && !seen && !n;
            seen = first && loses_space(m, ids[i]);
            s += seen;
            len -= seen;
            seen = seen && !m->normal.squeeze; /* which takes all of them */
        }
        mem_grow(out, cap, n + len + 1, 1);
        memcpy(*out + n, s, len);
        n += len;
    }
    return bytes == SIZE_MAX ? n : repair(out, cap, bytes, n);
}

size_t spm_decode(const struct spm *m, const uint32_t *ids, size_t n_ids, char **out, size_t *cap)
{
    size_t n = decode(m, ids, n_ids, out, cap);
    char *raw = *out;

    if (!m->denormal.has_map)
        return n;
    *out = NULL;
    *cap = 0;
    n = spm_apply(&m->denormal, NULL, false, raw, n, out, cap);
    free(raw);
    return n;
}
