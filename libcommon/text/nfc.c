/* The text is walked from one safe place to the next: runs of characters that may reorder or compose are
 * decomposed, put in canonical order and composed again (UAX #15); all else is copied. */
#include "libcommon/text/nfc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/nfc_table.h"

enum { /* Hangul syllables, chapter 3.12 of the Unicode standard */
    S_BASE = 0xac00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11a7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
    S_COUNT = L_COUNT * V_COUNT * T_COUNT,
};

struct run {
    uint32_t *cp;
    uint8_t *ccc;
    size_t n, cp_cap, ccc_cap;
};

static bool is_unsafe(uint32_t cp)
{
    int low = 0, high = nfc_n_unsafe - 1;

    if (cp >= 0x30000 || !(nfc_unsafe_blocks[cp >> 14] >> (cp >> 8 & 63) & 1))
        return false;
    while (low <= high) {
        int mid = (low + high) / 2;

        if (cp < nfc_unsafe[mid][0])
            high = mid - 1;
        else if (cp > nfc_unsafe[mid][1])
            low = mid + 1;
        else
            return true;
    }
    return false;
}

uint8_t nfc_class(uint32_t cp)
{
    int low = 0, high = nfc_n_classes - 1;

    while (low <= high) {
        int mid = (low + high) / 2;

        if (cp < nfc_classes[mid].first)
            high = mid - 1;
        else if (cp > nfc_classes[mid].last)
            low = mid + 1;
        else
            return nfc_classes[mid].ccc;
    }
    return 0;
}

const struct nfc_decomposition *nfc_decomposition(uint32_t cp)
{
    int low = 0, high = nfc_n_decompositions - 1;

    while (low <= high) {
        int mid = (low + high) / 2;

        if (cp < nfc_decompositions[mid].cp)
            high = mid - 1;
        else if (cp > nfc_decompositions[mid].cp)
            low = mid + 1;
        else
            return &nfc_decompositions[mid];
    }
    return NULL;
}

uint32_t nfc_composition(uint32_t a, uint32_t b)
{
    int low = 0, high = nfc_n_compositions - 1;

    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a - S_BASE < S_COUNT && (a - S_BASE) % T_COUNT == 0 && b - T_BASE - 1 < T_COUNT - 1)
        return a + (b - T_BASE);
    while (low <= high) {
        int mid = (low + high) / 2;
        const struct nfc_decomposition *d = &nfc_decompositions[nfc_compositions[mid]];

        if (a < d->a || (a == d->a && b < d->b))
            high = mid - 1;
        else if (a > d->a || b > d->b)
            low = mid + 1;
        else
            return d->cp;
    }
    return 0;
}

static void append(struct run *r, uint32_t cp)
{
    mem_grow(&r->cp, &r->cp_cap, r->n + 1, sizeof *r->cp);
    mem_grow(&r->ccc, &r->ccc_cap, r->n + 1, 1);
    r->cp[r->n] = cp;
    r->ccc[r->n++] = nfc_class(cp);
}

/* Depth is at most that of the table: 4. */
static void append_decomposed(struct run *r, uint32_t cp)
{
    const struct nfc_decomposition *d;

    if (cp - S_BASE < S_COUNT) {
        uint32_t s = cp - S_BASE, t = s % T_COUNT;

        append(r, L_BASE + s / (V_COUNT * T_COUNT));
        append(r, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT);
        if (t)
            append(r, T_BASE + t);
        return;
    }
    d = nfc_decomposition(cp);
    if (!d) {
        append(r, cp);
        return;
    }
    append_decomposed(r, d->a);
    if (d->b)
        append(r, d->b);
}

/* Decomposed for compatibility as well: by a table of what becomes of a character in all. */
static void append_compat(struct run *r, uint32_t cp)
{
    int low = 0, high = nfc_n_compats - 1;

    while (low <= high) {
        int mid = (low + high) / 2;
        const struct nfc_compat *c = &nfc_compats[mid];

        if (cp < c->cp) {
            high = mid - 1;
        } else if (cp > c->cp) {
            low = mid + 1;
        } else {
            for (int i = 0; i < c->n; i++)
                append(r, nfc_compat_pool[c->at + i]);
            return;
        }
    }
    append_decomposed(r, cp);
}

/* Stable, by class: marks [0, n). */
static void sort_marks(uint32_t *cp, uint8_t *ccc, size_t n)
{
    size_t start[257] = { 0 };
    uint32_t *by_class;

    if (n < 32) {
        for (size_t i = 1; i < n; i++) {
            uint32_t c = cp[i];
            uint8_t k = ccc[i];
            size_t j = i;

            for (; j > 0 && ccc[j - 1] > k; j--) {
                cp[j] = cp[j - 1];
                ccc[j] = ccc[j - 1];
            }
            cp[j] = c;
            ccc[j] = k;
        }
        return;
    }
    by_class = xmalloc(n * sizeof *by_class);
    for (size_t i = 0; i < n; i++)
        start[ccc[i] + 1]++;
    for (int k = 0; k < 256; k++)
        start[k + 1] += start[k];
    for (size_t i = 0; i < n; i++)
        by_class[start[ccc[i]]++] = cp[i];
    memcpy(cp, by_class, n * sizeof *cp);
    for (size_t i = 0, k = 0; k < 256; k++)
        for (; i < start[k]; i++)
            ccc[i] = (uint8_t)k;
    free(by_class);
}

static void reorder(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t first = i;

        while (i < r->n && r->ccc[i])
            i++;
        if (i - first > 1)
            sort_marks(r->cp + first, r->ccc + first, i - first);
    }
}

static void compose(struct run *r)
{
    size_t n = 0, starter = SIZE_MAX;

    for (size_t i = 0; i < r->n; i++) {
        uint8_t k = r->ccc[i];
        bool blocked = starter == SIZE_MAX || (n - 1 > starter && r->ccc[n - 1] >= k);
        uint32_t both = blocked ? 0 : nfc_composition(r->cp[starter], r->cp[i]);

        if (both) {
            r->cp[starter] = both;
            continue;
        }
        if (!k)
            starter = n;
        r->cp[n] = r->cp[i];
        r->ccc[n++] = k;
    }
    r->n = n;
}

/* No character that begins with another byte is unsafe: none below U+0300, none of U+4000 to U+9FFF. */
static inline bool may_be_unsafe(char c)
{
    return (uint8_t)(c - 0xcc) < 0xe4 - 0xcc || (uint8_t)c >= 0xea;
}

/* The same of eight bytes: the highest bit of each. */
static inline uint64_t may_be_unsafe_8(const char *s)
{
    const uint64_t every = 0x0101010101010101, high = 0x80 * every;
    uint64_t w, low;

    memcpy(&w, s, 8);
    low = w & ~high;
    return (((low + 0x34 * every) & ~(low + 0x1c * every)) | (low + 0x16 * every)) & w & high;
}

/* The first byte from `at` on that may begin an unsafe character, or n. */
static size_t skip_safe(const char *text, size_t n, size_t at)
{
    for (; n - at >= 32; at += 32)
        if (may_be_unsafe_8(text + at) | may_be_unsafe_8(text + at + 8) | may_be_unsafe_8(text + at + 16) |
            may_be_unsafe_8(text + at + 24))
            break;
    while (at < n && !may_be_unsafe(text[at]))
        at++;
    return at;
}

size_t nfc_check(const char *text, size_t n)
{
    size_t at = 0, safe = 0;

    while (at < n) {
        uint32_t cp;
        int len;

        at = skip_safe(text, n, at);
        if (at == n)
            return n;
        for (size_t back = at; back > safe; )
            if (((uint8_t)text[--back] & 0xc0) != 0x80) {
                safe = back;
                break;
            }
        for (; at < n && may_be_unsafe(text[at]); at += (size_t)len) {
            len = utf8_decode(text + at, n - at, &cp);
            if (!len)
                return safe;
            if (is_unsafe(cp))
                return safe;
            safe = at;
        }
    }
    return n;
}

size_t nfc_normalise(const char *text, size_t n, char **out, size_t *cap)
{
    struct run r = { 0 };
    size_t at = 0, used = 0;
    uint32_t cp;
    int len;

    while (at < n) {
        size_t as_is = nfc_check(text + at, n - at);

        mem_grow(out, cap, used + as_is + 1, 1);
        memcpy(*out + used, text + at, as_is);
        used += as_is;
        at += as_is;
        r.n = 0;
        for (bool first = true; at < n && (len = utf8_decode(text + at, n - at, &cp)) > 0; first = false) {
            if (!first && !is_unsafe(cp))
                break;
            append_decomposed(&r, cp);
            at += (size_t)len;
        }
        reorder(&r);
        compose(&r);
        mem_grow(out, cap, used + 4 * r.n, 1);
        for (size_t i = 0; i < r.n; i++)
            used += (size_t)utf8_encode(r.cp[i], *out + used);
    }
    free(r.cp);
    free(r.ccc);
    return used;
}

/* ASCII that no other character stands behind: it stays in every form. */
static size_t ascii(const char *text, size_t n)
{
    size_t at = 0;

    while (at < n && (uint8_t)text[at] < 0x80)
        at++;
    return at == n ? n : at - (at > 0);
}

size_t nfc_form(enum nfc_form form, const char *text, size_t n, char **out, size_t *cap)
{
    struct run r = { 0 };
    size_t at = 0, used = 0;
    uint32_t cp;
    int len;

    if (form == NFC_C)
        return nfc_normalise(text, n, out, cap);
    while (at < n) {
        size_t as_is = ascii(text + at, n - at);

        mem_grow(out, cap, used + as_is + 1, 1);
        memcpy(*out + used, text + at, as_is);
        used += as_is;
        at += as_is;
        r.n = 0;
        while (at < n && (r.n < 2 || (uint8_t)text[at] >= 0x80) && (len = utf8_decode(text + at, n - at, &cp)) > 0) {
            (form == NFC_D ? append_decomposed : append_compat)(&r, cp);
            at += (size_t)len;
        }
        reorder(&r);
        if (form == NFC_KC)
            compose(&r);
        mem_grow(out, cap, used + 4 * r.n + 1, 1);
        for (size_t i = 0; i < r.n; i++)
            used += (size_t)utf8_encode(r.cp[i], *out + used);
    }
    free(r.cp);
    free(r.ccc);
    return used;
}
