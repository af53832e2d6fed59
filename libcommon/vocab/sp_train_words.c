/* sp_train_words.c - sentences, normalised and cut into words; required characters; see sp_train.h. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/vocab/sp_train_in.h"

#define RESERVED_CHAR "\xe2\x96\x85" /* U+2585 */
#define CODE_POINTS 0x110000

static bool is_space(const char *s, size_t n)
{
    return n >= 3 && !memcmp(s, SP_SPACE, 3);
}

/* What stands at s becomes *to; bytes of s taken. */
static size_t prefix(const struct sp_train *t, const char *s, size_t n, const char **to, size_t *to_n)
{
    size_t len = t->map.n ? charsmap_longest(&t->map, s, n, to, to_n) : 0;
    uint32_t cp;

    if (!len) {
        len = *to_n = (size_t)utf8_decode(s, n, &cp);
        *to = s;
    }
    return len;
}

/* The sentence into c->text, which has room for a few bytes more; its length. */
static size_t normalise(const struct sp_train *t, struct sp_counter *c, const char *s, size_t n)
{
    bool squeeze = t->o->remove_extra_whitespaces, after_space = squeeze;
    size_t i = 0, at = 0, len, to_n;
    const char *to;

    while (squeeze && i < n && (len = prefix(t, s + i, n - i, &to, &to_n)) && to_n == 1 && *to == ' ')
        i += len;
    if (i == n)
        return 0;
    mem_grow(&c->text, &c->cap, 3 * (n - i) + 16, 1);
    if (t->o->add_dummy_prefix) {
        memcpy(c->text, SP_SPACE, 3);
        at = 3;
    }
    while (i < n) {
        uint8_t b = (uint8_t)s[i];

        if (b != ' ' && b < 128 && t->plain[b] && (i + 1 == n || (uint8_t)s[i + 1] < 128)) {
            c->text[at++] = s[i++];
            after_space = false;
            continue;
        }
        i += prefix(t, s + i, n - i, &to, &to_n);
        for (; after_space && to_n && *to == ' '; to_n--)
            to++;
        mem_grow(&c->text, &c->cap, at + 3 * (to_n + n - i) + 16, 1);
        for (size_t k = 0; k < to_n; k++)
            if (to[k] == ' ') {
                memcpy(c->text + at, SP_SPACE, 3);
                at += 3;
            } else {
                c->text[at++] = to[k];
            }
        if (to_n)
            after_space = squeeze && to[to_n - 1] == ' ';
    }
    while (squeeze && at >= 3 && is_space(c->text + at - 3, 3))
        at -= 3;
    return at;
}

/* Words of the n bytes of c->text, which are changed; the symbols that are given become breaks. */
static void count_words(const struct sp_train *t, struct sp_counter *c, size_t n)
{
    size_t end[BPE_TRAIN_BATCH], k = 0, start = 0, w = 0;
    bool after_space = false;
    char *s = c->text;

    for (size_t r = 0; r < n;) {
        size_t len = 0;
        uint32_t id;

        if (t->first[(uint8_t)s[r]] && (len = trie_longest(&t->symbols, s + r, n - r, &id))) {
            s[w++] = SP_BREAK;
            after_space = false;
        } else if (is_space(s + r, n - r)) {
            if (w && t->o->split_by_whitespace && !(after_space && t->o->allow_whitespace_only_pieces))
                end[k++] = w;
            memcpy(s + w, SP_SPACE, 3);
            w += len = 3;
            after_space = true;
        } else {
            s[w++] = s[r];
            len = 1;
            after_space = false;
        }
        r += len;
        if (k == BPE_TRAIN_BATCH) {
            bpe_train_words_count(c->words, s, start, end, k, c->cap, 1);
            start = end[k - 1];
            k = 0;
        }
    }
    if (w && t->o->unigram)
        s[w++] = SP_LINE_END;
    if (w)
        end[k++] = w;
    bpe_train_words_count(c->words, s, start, end, k, c->cap, 1);
}

void sp_train_add(struct sp_train *t, const char *text, size_t n, int thread)
{
    struct sp_counter *c = &t->counter[thread];

    for (size_t at = 0, len; at < n; at += len + 1) {
        const char *line = text + at, *newline = memchr(line, '\n', n - at);

        len = newline ? (size_t)(newline - line) : n - at;
        if (len > t->o->max_sentence_length)
            c->too_long++;
        else if (memmem(line, len, RESERVED_CHAR, 3))
            c->with_reserved++;
        else
            count_words(t, c, normalise(t, c, line, len));
    }
}

uint64_t sp_train_too_long(const struct sp_train *t)
{
    uint64_t n = 0;

    for (int i = 0; i < t->n_counters; i++)
        n += t->counter[i].too_long;
    return n;
}

uint64_t sp_train_with_reserved(const struct sp_train *t)
{
    uint64_t n = 0;

    for (int i = 0; i < t->n_counters; i++)
        n += t->counter[i].with_reserved;
    return n;
}

/* Characters. */

struct seen {
    uint64_t count;
    uint32_t cp;
};

static int by_count(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->cp < y->cp ? -1 : x->cp > y->cp;
}

static uint64_t count_characters(const struct bpe_train_words *w, uint64_t *count)
{
    struct bpe_train_walk walk = { .at = 0 };
    uint64_t all = 0;

    while (bpe_train_words_next(w, &walk)) {
        uint32_t cp;

        for (size_t i = 0; i < walk.n; i += (size_t)utf8_decode(walk.s + i, walk.n - i, &cp)) {
            utf8_decode(walk.s + i, walk.n - i, &cp);
            if (!cp || cp == SP_LINE_END)
                continue;
            count[cp] += walk.count;
            all += walk.count;
        }
    }
    return all;
}

/* Shares are compared in single precision, as the reference does. */
static void require(struct sp_train *t, const struct seen *seen, size_t n, uint64_t all)
{
    uint64_t covered = 0;

    t->required = xmalloc((n + 1) * sizeof *t->required);
    t->required_count = xmalloc((n + 1) * sizeof *t->required_count);
    for (size_t i = 0; i < n && (float)((double)covered / (double)all) < t->o->character_coverage; i++) {
        covered += seen[i].count;
        if (seen[i].cp == SP_BREAK)
            continue;
        t->rank[seen[i].cp] = (uint32_t)t->n_required;
        t->required_count[t->n_required] = seen[i].count;
        t->required[t->n_required++] = seen[i].cp;
    }
}

int sp_train_alphabet(struct sp_train *t, struct err *err)
{
    uint64_t *count = xcalloc(CODE_POINTS, sizeof *count), all;
    struct seen *seen;
    size_t n = 0;

    for (int i = 1; i < t->n_counters; i++) {
        bpe_train_words_merge(t->counter[0].words, t->counter[i].words);
        bpe_train_words_free(t->counter[i].words);
        t->counter[i].words = NULL;
    }
    all = count_characters(t->counter[0].words, count);
    for (uint32_t cp = 0; cp < CODE_POINTS; cp++)
        n += count[cp] > 0;
    seen = xmalloc((n + 1) * sizeof *seen);
    n = 0;
    t->rank = xmalloc(CODE_POINTS * sizeof *t->rank);
    for (uint32_t cp = 0; cp < CODE_POINTS; cp++) {
        t->rank[cp] = SP_BREAK_CHAR;
        if (count[cp])
            seen[n++] = (struct seen){ count[cp], cp };
    }
    qsort(seen, n, sizeof *seen, by_count);
    require(t, seen, n, all);
    free(seen);
    free(count);
    if (!t->n_required)
        return err_set(err, "there is no text to learn from");
    if (t->n_required + t->n_given > t->o->vocab_size)
        return err_set(err,
                       "a vocabulary of %u is too small for %zu required characters and %zu symbols that are given; "
                       "take a larger one or a lower character coverage",
                       (unsigned)t->o->vocab_size, t->n_required, t->n_given);
    return 0;
}

/* Shapes. */

static bool is_digit(uint32_t cp)
{
    return cp - '0' < 10 || cp - 0xff10 < 10;
}

struct sp_shape sp_shape_of(const struct sp_train_options *o, uint32_t cp)
{
    struct sp_shape s = { .n = 1, .first = SP_ANY, .last = SP_ANY, .digit = is_digit(cp) };
    int script = script_of(cp);

    if (cp == SP_SPACE_CP) {
        s.spaces = 1;
        s.ends_in_space = true;
    } else if (script != SCRIPT_INHERITED) {
        s.any = true;
        s.first = s.last = (int16_t)(s.digit && !o->split_by_number ? SP_ANY : script);
    }
    return s;
}

static bool spaces_fit(const struct sp_train_options *o, const struct sp_shape *a, const struct sp_shape *b)
{
    if (a->spaces == a->n && b->spaces == b->n)
        return o->allow_whitespace_only_pieces;
    if (o->split_by_whitespace)
        return !b->spaces && a->spaces <= 1;
    return !b->ends_in_space;
}

bool sp_shape_join(const struct sp_train_options *o, const struct sp_shape *a, const struct sp_shape *b,
                   struct sp_shape *joined)
{
    if ((uint32_t)a->n + b->n > o->max_sentencepiece_length || !spaces_fit(o, a, b))
        return false;
    if (o->split_digits && (a->digit || b->digit))
        return false;
    if (o->split_by_unicode_script && b->any && a->last != SP_ANY && b->first != SP_ANY && a->last != b->first)
        return false;
    *joined = (struct sp_shape){
        .n = (uint16_t)(a->n + b->n),
        .spaces = (uint16_t)(a->spaces + b->spaces),
        .any = a->any || b->any,
        .first = a->any ? a->first : b->first,
        .last = b->any ? b->last : a->last,
        .digit = a->digit || b->digit,
        .ends_in_space = b->ends_in_space,
    };
    return true;
}
