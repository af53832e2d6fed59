/* regex_set.c - sets of code points: union, intersection, complement, case; see regex_prog.h. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/text/regex_prog.h"
#include "libcommon/text/unicode.h"

void regex_set_add(struct regex_set *s, uint32_t a, uint32_t b)
{
    mem_grow(&s->r, &s->cap, s->n + 1, sizeof *s->r);
    s->r[s->n][0] = a;
    s->r[s->n++][1] = b;
}

static int by_begin(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return x[0] < y[0] ? -1 : x[0] > y[0];
}

void regex_set_sort(struct regex_set *s)
{
    size_t k = 0;

    if (s->n)
        qsort(s->r, s->n, sizeof *s->r, by_begin);
    for (size_t i = 0; i < s->n; i++) {
        if (k && s->r[i][0] <= s->r[k - 1][1] + 1) {
            if (s->r[i][1] > s->r[k - 1][1])
                s->r[k - 1][1] = s->r[i][1];
            continue;
        }
        memmove(s->r[k++], s->r[i], sizeof *s->r);
    }
    s->n = k;
    s->ascii[0] = s->ascii[1] = 0;
    for (uint32_t c = 0; c < 128; c++)
        if (regex_set_has_slow(s, c))
            s->ascii[c >> 6] |= (uint64_t)1 << (c & 63);
}

bool regex_set_has_slow(const struct regex_set *s, uint32_t cp)
{
    size_t a = 0, b = s->n;

    while (a < b) {
        size_t m = (a + b) / 2;

        if (cp > s->r[m][1])
            a = m + 1;
        else if (cp < s->r[m][0])
            b = m;
        else
            return true;
    }
    return false;
}

void regex_set_negate(struct regex_set *s)
{
    struct regex_set out = { 0 };
    uint32_t at = 0;

    regex_set_sort(s);
    for (size_t i = 0; i < s->n; i++) {
        if (s->r[i][0] > at)
            regex_set_add(&out, at, s->r[i][0] - 1);
        at = s->r[i][1] + 1;
    }
    if (at < UNICODE_END)
        regex_set_add(&out, at, UNICODE_END - 1);
    regex_set_free(s);
    *s = out;
    regex_set_sort(s);
}

void regex_set_union(struct regex_set *s, const struct regex_set *b)
{
    for (size_t i = 0; i < b->n; i++)
        regex_set_add(s, b->r[i][0], b->r[i][1]);
    regex_set_sort(s);
}

void regex_set_intersect(struct regex_set *s, const struct regex_set *b)
{
    struct regex_set not_b = { 0 };

    regex_set_union(&not_b, b);
    regex_set_negate(&not_b);
    regex_set_negate(s);
    regex_set_union(s, &not_b);
    regex_set_negate(s);
    regex_set_free(&not_b);
}

void regex_set_fold(struct regex_set *s)
{
    struct regex_set more = { 0 };

    regex_set_sort(s);
    for (int i = 0; i < unicode_n_folds; i++)
        for (uint32_t c = unicode_folds[i].first; c <= unicode_folds[i].last; c++)
            if (regex_set_has(s, c))
                for (uint32_t f = unicode_fold(c); f != c; f = unicode_fold(f))
                    regex_set_add(&more, f, f);
    regex_set_union(s, &more);
    regex_set_free(&more);
}

void regex_set_free(struct regex_set *s)
{
    free(s->r);
    memset(s, 0, sizeof *s);
}
