/* charsmap_rules.c - the rules of charsmap_build.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/text/charsmap_build.h"
#include "libcommon/text/nfc.h"
#include "libcommon/text/nfc_table.h"

#define LONGEST 18 /* code points that one decomposes to (U+FDFA) */

struct string {
    uint32_t cp[LONGEST];
    int n;
};

struct builder {
    struct charsmap_rules *rules;
    uint32_t *row;  /* of a code point: 1 + its place in charsmap_rows, or ROW_ONE + what it becomes */
    uint32_t *same; /* of a code point: the next that decomposes to the same one */
    uint32_t *head; /* of a code point: the first that decomposes to it alone */
};

enum { CODE_POINTS = 0x110000, ROW_ONE = 0x1000000, HANGUL = 0xac00, HANGUL_END = 0xd7a4 };

/* Rules in a table. */

static size_t find(const struct charsmap_rules *r, const uint32_t *key, int n)
{
    size_t mask = ((size_t)1 << r->slot_bits) - 1, i = hash_bytes(key, (size_t)n * sizeof *key, 0) & mask;

    for (; r->slot[i]; i = (i + 1) & mask) {
        const struct charsmap_rule *k = &r->rule[r->slot[i] - 1];

        if (k->n == n && !memcmp(k->key, key, (size_t)n * sizeof *key))
            break;
    }
    return i;
}

static void grow(struct charsmap_rules *r)
{
    free(r->slot);
    r->slot = xcalloc((size_t)1 << ++r->slot_bits, sizeof *r->slot);
    for (size_t i = 0; i < r->n; i++)
        r->slot[find(r, r->rule[i].key, r->rule[i].n)] = (uint32_t)i + 1;
}

static void set_rule(struct charsmap_rules *r, const uint32_t *key, int n, const uint32_t *to, int to_n)
{
    struct charsmap_rule *k;
    size_t i;

    if (2 * (r->n + 1) > (size_t)1 << r->slot_bits)
        grow(r);
    i = find(r, key, n);
    if (!r->slot[i]) {
        mem_grow(&r->rule, &r->cap, r->n + 1, sizeof *r->rule);
        memcpy(r->rule[r->n].key, key, (size_t)n * sizeof *key);
        r->slot[i] = (uint32_t)++r->n;
    }
    k = &r->rule[r->slot[i] - 1];
    mem_grow(&r->cps, &r->cps_cap, r->n_cps + (size_t)to_n, sizeof *r->cps);
    memcpy(r->cps + r->n_cps, to, (size_t)to_n * sizeof *to);
    k->to = (uint32_t)r->n_cps;
    k->n = (uint8_t)n;
    k->to_n = (uint8_t)to_n;
    k->kept = true;
    r->n_cps += (size_t)to_n;
}

/* Does the rule give what shorter rules that are kept give? */
static bool redundant(const struct charsmap_rules *r, const struct charsmap_rule *k)
{
    const uint32_t *want = r->cps + k->to, *end = want + k->to_n;

    for (int i = 0; i < k->n;) {
        const struct charsmap_rule *found = NULL;
        const uint32_t *to = k->key + i;
        int n = 1, to_n = 1;

        for (int len = k->n - i < k->n - 1 ? k->n - i : k->n - 1; len && !found; len--) {
            uint32_t slot = r->slot[find(r, k->key + i, len)];

            if (slot && r->rule[slot - 1].kept)
                found = &r->rule[slot - 1];
        }
        if (found) {
            to = r->cps + found->to;
            n = found->n;
            to_n = found->to_n;
        }
        if (to_n > end - want || memcmp(want, to, (size_t)to_n * sizeof *to))
            return false;
        want += to_n;
        i += n;
    }
    return want == end;
}

static void drop_redundant(struct charsmap_rules *r)
{
    for (int len = 2; len <= CHARSMAP_KEY; len++)
        for (size_t i = 0; i < r->n; i++)
            if (r->rule[i].n == len && r->rule[i].kept)
                r->rule[i].kept = !redundant(r, &r->rule[i]);
}

/* Decomposition and composition. */

static void decompose(const struct builder *b, uint32_t cp, struct string *s)
{
    uint32_t row = b->row[cp];

    if (cp >= HANGUL && cp < HANGUL_END) {
        uint32_t k = cp - HANGUL;

        s->cp[s->n++] = 0x1100 + k / 588;
        s->cp[s->n++] = 0x1161 + k % 588 / 28;
        if (k % 28)
            s->cp[s->n++] = 0x11a7 + k % 28;
    } else if (row >= ROW_ONE) {
        decompose(b, row - ROW_ONE, s);
    } else if (row) {
        const uint32_t *d = charsmap_rows + row - 1;

        for (uint32_t i = 0; i < d[1]; i++)
            decompose(b, d[2 + i], s);
    } else {
        const struct nfc_decomposition *d = nfc_decomposition(cp);

        if (d) {
            decompose(b, d->a, s);
            if (d->b)
                decompose(b, d->b, s);
        } else {
            s->cp[s->n++] = cp;
        }
    }
}

static uint32_t composition(uint32_t a, uint32_t b)
{
    for (int i = 0; i < charsmap_n_pairs; i++)
        if (a == charsmap_pairs[i][1] && b == charsmap_pairs[i][2])
            return charsmap_pairs[i][0];
    return nfc_composition(a, b);
}

/* UAX #15; the string is in canonical order. */
static void compose(struct string *s)
{
    int starter = 0, n = 1, last = 0;

    for (int i = 1; i < s->n; i++) {
        int ccc = nfc_class(s->cp[i]);
        bool blocked = n - starter > 1 && last >= ccc;
        uint32_t c = blocked || nfc_class(s->cp[starter]) ? 0 : composition(s->cp[starter], s->cp[i]);

        if (c) {
            s->cp[starter] = c;
            continue;
        }
        s->cp[n] = s->cp[i];
        last = ccc;
        if (!ccc)
            starter = n;
        n++;
    }
    s->n = n;
}

static bool same(const struct string *a, const struct string *b)
{
    return a->n == b->n && !memcmp(a->cp, b->cp, (size_t)a->n * sizeof *a->cp);
}

/* A rule for every string whose code points decompose to those of `to_be`, one each. */
static void expand(struct builder *b, const struct string *from, const struct string *to, struct string *key)
{
    uint32_t last;

    if (key->n == from->n) {
        if (!same(key, to))
            set_rule(b->rules, key->cp, key->n, to->cp, to->n);
        return;
    }
    last = from->cp[key->n];
    key->cp[key->n++] = last;
    expand(b, from, to, key);
    for (uint32_t c = b->head[last]; c; c = b->same[c]) {
        key->cp[key->n - 1] = c;
        expand(b, from, to, key);
    }
    key->n--;
}

/* Both kinds of rules of one code point.  A string that several decompose to is set again to the same. */
static void add_code_point(struct builder *b, uint32_t cp)
{
    struct string nfkd = { .n = 0 }, nfkc, key = { .n = 0 };

    decompose(b, cp, &nfkd);
    nfkc = nfkd;
    compose(&nfkc);
    if (nfkc.n > 1 || nfkc.cp[0] != cp)
        set_rule(b->rules, &cp, 1, nfkc.cp, nfkc.n);
    if (nfkd.n > 1 && !same(&nfkc, &nfkd)) {
        assert(nfkd.n <= CHARSMAP_KEY);
        expand(b, &nfkd, &nfkc, &key);
    }
}

static void index_tables(struct builder *b)
{
    const uint32_t *d = charsmap_rows;

    b->row = xcalloc(CODE_POINTS, sizeof *b->row);
    b->same = xcalloc(CODE_POINTS, sizeof *b->same);
    b->head = xcalloc(CODE_POINTS, sizeof *b->head);
    for (int i = 0; i < charsmap_n_runs; i++)
        for (uint32_t cp = charsmap_runs[i].first; cp <= charsmap_runs[i].last; cp++)
            b->row[cp] = ROW_ONE + charsmap_runs[i].to + (cp - charsmap_runs[i].first) * charsmap_runs[i].step;
    for (int i = 0; i < charsmap_n_rows; i++, d += 2 + d[1])
        b->row[d[0]] = (uint32_t)(d - charsmap_rows) + 1;
    for (uint32_t cp = 1; cp < CODE_POINTS; cp++) {
        struct string s = { .n = 0 };

        decompose(b, cp, &s);
        if (s.n == 1 && s.cp[0] != cp) {
            b->same[cp] = b->head[s.cp[0]];
            b->head[s.cp[0]] = cp;
        }
    }
}

static void add_nmt(struct charsmap_rules *r)
{
    static const uint32_t space = ' ', fullwidth_tilde = 0xff5e;
    static const uint32_t spaces[] = { 0x9, 0xa, 0xc, 0xd, 0x1680, 0x200b, 0x200c, 0x200e, 0x200f, 0x2028, 0x2029,
                                       0x2581, 0xfeff, 0xfffd };
    static const uint32_t nothing[][2] = { { 0x1, 0x8 }, { 0xb, 0xb }, { 0xe, 0x1f }, { 0x7f, 0x7f }, { 0x8f, 0x8f },
                                           { 0x9f, 0x9f } };

    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        set_rule(r, &spaces[i], 1, &space, 1);
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        for (uint32_t cp = nothing[i][0]; cp <= nothing[i][1]; cp++)
            set_rule(r, &cp, 1, &space, 0);
    r->rule[r->slot[find(r, &fullwidth_tilde, 1)] - 1].kept = false;
}

void charsmap_rules_make(struct charsmap_rules *r, bool nmt)
{
    struct builder b = { .rules = r };

    *r = (struct charsmap_rules){ .slot_bits = 0 };
    grow(r);
    index_tables(&b);
    for (uint32_t cp = 1; cp < CODE_POINTS; cp++)
        if (b.row[cp] || (cp >= HANGUL && cp < HANGUL_END) || nfc_decomposition(cp))
            add_code_point(&b, cp);
    free(b.row);
    free(b.same);
    free(b.head);
    drop_redundant(r);
    if (nmt) {
        add_nmt(r);
        drop_redundant(r);
    }
}

void charsmap_rules_free(struct charsmap_rules *r)
{
    free(r->rule);
    free(r->cps);
    free(r->slot);
}
