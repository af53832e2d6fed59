/* unicode.c - names of properties to ranges, case; see unicode.h. */
#include "libcommon/text/unicode.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

#define BIT(g) (1u << (g))
#define SPAN(a, b) (BIT(b) - BIT(a) + BIT(b)) /* categories a..b */

/* A property is made of categories, flags of the record and a list. */
static const struct property {
    const char *name, *alias;
    uint32_t general;
    unsigned flags;
    const char *list;
} properties[] = {
    { "c", "other", SPAN(UNICODE_CN, UNICODE_CS), 0, NULL },
    { "cn", "unassigned", BIT(UNICODE_CN), 0, NULL },
    { "cc", "control", BIT(UNICODE_CC), 0, NULL },
    { "cf", "format", BIT(UNICODE_CF), 0, NULL },
    { "co", "privateuse", BIT(UNICODE_CO), 0, NULL },
    { "cs", "surrogate", BIT(UNICODE_CS), 0, NULL },
    { "l", "letter", SPAN(UNICODE_GC_LU, UNICODE_GC_LO), 0, NULL },
    { "lc", "casedletter", SPAN(UNICODE_GC_LU, UNICODE_GC_LT), 0, NULL },
    { "lu", "uppercaseletter", BIT(UNICODE_GC_LU), 0, NULL },
    { "ll", "lowercaseletter", BIT(UNICODE_GC_LL), 0, NULL },
    { "lt", "titlecaseletter", BIT(UNICODE_GC_LT), 0, NULL },
    { "lm", "modifierletter", BIT(UNICODE_GC_LM), 0, NULL },
    { "lo", "otherletter", BIT(UNICODE_GC_LO), 0, NULL },
    { "m", "mark", SPAN(UNICODE_MN, UNICODE_ME), 0, NULL },
    { "mn", "nonspacingmark", BIT(UNICODE_MN), 0, NULL },
    { "mc", "spacingmark", BIT(UNICODE_MC), 0, NULL },
    { "me", "enclosingmark", BIT(UNICODE_ME), 0, NULL },
    { "n", "number", SPAN(UNICODE_ND, UNICODE_NO), 0, NULL },
    { "nd", "decimalnumber", BIT(UNICODE_ND), 0, NULL },
    { "nl", "letternumber", BIT(UNICODE_NL), 0, NULL },
    { "no", "othernumber", BIT(UNICODE_NO), 0, NULL },
    { "p", "punctuation", SPAN(UNICODE_PC, UNICODE_PO), 0, NULL },
    { "pc", "connectorpunctuation", BIT(UNICODE_PC), 0, NULL },
    { "pd", "dashpunctuation", BIT(UNICODE_PD), 0, NULL },
    { "ps", "openpunctuation", BIT(UNICODE_PS), 0, NULL },
    { "pe", "closepunctuation", BIT(UNICODE_PE), 0, NULL },
    { "pi", "initialpunctuation", BIT(UNICODE_PI), 0, NULL },
    { "pf", "finalpunctuation", BIT(UNICODE_PF), 0, NULL },
    { "po", "otherpunctuation", BIT(UNICODE_PO), 0, NULL },
    { "s", "symbol", SPAN(UNICODE_SM, UNICODE_SO), 0, NULL },
    { "sm", "mathsymbol", BIT(UNICODE_SM), 0, NULL },
    { "sc", "currencysymbol", BIT(UNICODE_SC), 0, NULL },
    { "sk", "modifiersymbol", BIT(UNICODE_SK), 0, NULL },
    { "so", "othersymbol", BIT(UNICODE_SO), 0, NULL },
    { "z", "separator", SPAN(UNICODE_ZS, UNICODE_ZP), 0, NULL },
    { "zs", "spaceseparator", BIT(UNICODE_ZS), 0, NULL },
    { "zl", "lineseparator", BIT(UNICODE_ZL), 0, NULL },
    { "zp", "paragraphseparator", BIT(UNICODE_ZP), 0, NULL },
    { "any", "any", SPAN(UNICODE_CN, UNICODE_ZP), 0, NULL },
    { "assigned", "assigned", SPAN(UNICODE_CC, UNICODE_ZP), 0, NULL },
    { "alphabetic", "alpha", 0, UNICODE_ALPHABETIC, NULL },
    { "alnum", "alnum", BIT(UNICODE_ND), UNICODE_ALPHABETIC, NULL },
    { "cntrl", "cntrl", BIT(UNICODE_CC), 0, NULL },
    { "digit", "digit", BIT(UNICODE_ND), 0, NULL },
    { "graph", "graph", BIT(UNICODE_CF) | BIT(UNICODE_CO) | SPAN(UNICODE_GC_LU, UNICODE_SO), 0, NULL },
    { "print", "print", BIT(UNICODE_CF) | BIT(UNICODE_CO) | SPAN(UNICODE_GC_LU, UNICODE_ZS), 0, NULL },
    { "punct", "punct", SPAN(UNICODE_PC, UNICODE_PO), 0, NULL },
    { "whitespace", "space", 0, UNICODE_SPACE, NULL },
    { "word", "word", 0, UNICODE_WORD, NULL },
    { "uppercase", "upper", BIT(UNICODE_GC_LU), 0, "Other_Uppercase" },
    { "lowercase", "lower", BIT(UNICODE_GC_LL), 0, "Other_Lowercase" },
};

enum unicode_category unicode_category(uint32_t cp)
{
    static const uint8_t of[] = {
        [UNICODE_GC_LU] = UNICODE_LU,    [UNICODE_GC_LL] = UNICODE_LL,    [UNICODE_GC_LT] = UNICODE_LT,
        [UNICODE_GC_LM] = UNICODE_LM,    [UNICODE_GC_LO] = UNICODE_LO,    [UNICODE_MN] = UNICODE_MARK,
        [UNICODE_MC] = UNICODE_MARK,     [UNICODE_ME] = UNICODE_MARK,     [UNICODE_ND] = UNICODE_NUMBER,
        [UNICODE_NL] = UNICODE_NUMBER,   [UNICODE_NO] = UNICODE_NUMBER,   [UNICODE_PC] = UNICODE_PUNCT,
        [UNICODE_PD] = UNICODE_PUNCT,    [UNICODE_PS] = UNICODE_PUNCT,    [UNICODE_PE] = UNICODE_PUNCT,
        [UNICODE_PI] = UNICODE_PUNCT,    [UNICODE_PF] = UNICODE_PUNCT,    [UNICODE_PO] = UNICODE_PUNCT,
        [UNICODE_SM] = UNICODE_SYMBOL,   [UNICODE_SC] = UNICODE_SYMBOL,   [UNICODE_SK] = UNICODE_SYMBOL,
        [UNICODE_SO] = UNICODE_SYMBOL,   [UNICODE_ZS] = UNICODE_SEPARATOR, [UNICODE_ZL] = UNICODE_SEPARATOR,
        [UNICODE_ZP] = UNICODE_SEPARATOR,
    };

    return of[unicode_record(cp) & UNICODE_GENERAL];
}

bool unicode_same_name(const char *name, size_t n, const char *plain)
{
    for (size_t i = 0; i < n; i++) {
        char c = name[i];

        if (c == ' ' || c == '-' || c == '_')
            continue;
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        while (*plain == '_')
            plain++;
        if (c != (*plain >= 'A' && *plain <= 'Z' ? *plain - 'A' + 'a' : *plain) || !c)
            return false;
        plain++;
    }
    return !*plain;
}

static const struct unicode_list *find_list(const char *name, size_t n)
{
    for (int i = 0; i < unicode_n_lists; i++)
        if (unicode_same_name(name, n, unicode_lists[i].name))
            return &unicode_lists[i];
    return NULL;
}

struct ranges {
    uint32_t (*r)[2];
    size_t n, cap;
};

static void add(struct ranges *out, uint32_t cp)
{
    if (out->n && out->r[out->n - 1][1] + 1 == cp) {
        out->r[out->n - 1][1] = cp;
        return;
    }
    mem_grow(&out->r, &out->cap, out->n + 1, sizeof *out->r);
    out->r[out->n][0] = out->r[out->n][1] = cp;
    out->n++;
}

/* A block that is the one before again, which was all in or all out, costs one step. */
static void collect(struct ranges *out, const struct property *p, const struct unicode_list *l)
{
    const uint32_t(*r)[2] = l ? unicode_listed + l->first : NULL, (*end)[2] = l ? r + l->n : NULL;
    unsigned last = UINT32_MAX, in = 0;

    for (uint32_t at = 0; at < UNICODE_END; at += UNICODE_BLOCK) {
        unsigned m = unicode_mid[unicode_top[at >> 10] * 32u + (at >> 5 & 31)];

        if (m == last && r == end && (!in || in == UNICODE_BLOCK)) {
            if (in)
                out->r[out->n - 1][1] += in;
            continue;
        }
        last = m;
        in = 0;
        for (uint32_t cp = at; cp < at + UNICODE_BLOCK; cp++) {
            unsigned rec = unicode_low[m * UNICODE_BLOCK + cp % UNICODE_BLOCK];

            while (r != end && (*r)[1] < cp)
                r++;
            if ((p->general >> (rec & UNICODE_GENERAL) & 1) || (rec & p->flags) || (r != end && (*r)[0] <= cp)) {
                add(out, cp);
                in++;
            }
        }
    }
}

uint32_t (*unicode_ranges(const char *name, size_t name_n, size_t *n))[2]
{
    const struct unicode_list *l = find_list(name, name_n);
    struct ranges out = { 0 };

    *n = 0;
    for (size_t i = 0; !l && i < sizeof properties / sizeof *properties; i++) {
        const struct property *p = &properties[i];

        if (unicode_same_name(name, name_n, p->name) || unicode_same_name(name, name_n, p->alias)) {
            collect(&out, p, p->list ? find_list(p->list, strlen(p->list)) : NULL);
            *n = out.n;
            return out.r;
        }
    }
    if (!l)
        return NULL;
    out.r = xmalloc(l->n * sizeof *out.r);
    memcpy(out.r, unicode_listed + l->first, l->n * sizeof *out.r);
    *n = l->n;
    return out.r;
}

uint32_t unicode_fold(uint32_t cp)
{
    int a = 0, b = unicode_n_folds;

    while (a < b) {
        int m = (a + b) / 2;
        const struct unicode_fold *f = &unicode_folds[m];

        if (cp > f->last)
            a = m + 1;
        else if (cp < f->first)
            b = m;
        else
            return f->delta ? cp + (uint32_t)f->delta : f->first + ((cp - f->first) ^ 1);
    }
    return cp;
}
