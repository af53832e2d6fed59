/* Where pieces begin, for 64 bytes at once: the patterns as algebra on masks.
 *
 * A window begins where a piece begins, so nothing before it matters (no pattern looks back).  What it
 * cannot decide, because that depends on bytes behind it, it leaves out: the next window begins at the last
 * start found.  Every byte of a character has the character's class.
 *
 * In names: p is "the byte before is", n "the next byte is".
 */
#include "libcommon/tokenizer/pretok_in.h"

struct window {
    uint64_t letter, number, other, white; /* of all characters; every known byte has one, or is Han */
    uint64_t upper, lower, han;            /* letters with a case, where it counts; then marks are letters */
    uint64_t inner;                        /* bytes within a character, behind its first */
    int n;                                 /* bytes known; whole characters */
};

static uint64_t first_bits(int n)
{
    return n < 64 ? ((uint64_t)1 << n) - 1 : ~(uint64_t)0;
}

/* Add the ideographs, which are all of one class. */
static void add_ideographs(struct window *w, uint64_t first, enum pretok_class class)
{
    uint64_t inner = first << 1 | first << 2;

    *(class == PRETOK_HAN ? &w->han : &w->letter) |= first | inner;
    w->inner |= inner;
}

/* Add what is not ASCII.  cased: by the classes that tell cases apart; before a mark behind punctuation, and before Han
 * that is no letter, nothing is known any more: they go with what is before them, or do not. */
static inline struct window classes(const struct pretok *p, const struct pretok_masks *m, const char *text, int n, const bool cased)
{
    struct window w = { .letter = m->letter, .number = m->number, .white = m->white, .n = n };
    uint64_t ideograph = n < 3 ? 0 : m->ideograph & first_bits(n - 2);
    uint64_t high = m->high & first_bits(n) & ~(ideograph | ideograph << 1 | ideograph << 2);

    add_ideographs(&w, ideograph, p->ideograph);
    if (cased) {
        w.upper = m->upper;
        w.lower = m->letter & ~m->upper;
    }
    while (high) {
        int at = __builtin_ctzll(high), len;
        uint64_t all, before;
        enum pretok_class class = PRETOK_OTHER;
        uint8_t c = (uint8_t)text[at];

        len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (at + len > n) {
            w.n = at;
            break;
        }
        class = pretok_class(p, text + at, &len);
        all = first_bits(len) << at;
        if (cased && class > PRETOK_SPACE) {
            before = (w.letter | w.number | w.white | w.han) << 1 | 1;
            if (class > PRETOK_HAN || (class == PRETOK_MARK && !(before >> at & 1))) {
                w.n = at;
                break;
            }
            w.upper |= class == PRETOK_UPPER ? all : 0;
            w.lower |= class == PRETOK_LOWER ? all : 0;
            w.han |= class == PRETOK_HAN ? all : 0;
            class = class == PRETOK_HAN ? class : PRETOK_LETTER;
        }
        w.letter |= class == PRETOK_LETTER ? all : 0;
        w.number |= class == PRETOK_NUMBER ? all : 0;
        w.white |= class == PRETOK_SPACE ? all : 0;
        w.inner |= all & (all << 1);
        high &= ~all;
    }
    w.letter &= first_bits(w.n);
    w.number &= first_bits(w.n);
    w.white &= first_bits(w.n);
    w.upper &= first_bits(w.n);
    w.lower &= first_bits(w.n);
    w.han &= first_bits(w.n);
    w.inner &= first_bits(w.n);
    w.other = first_bits(w.n) & ~(w.letter | w.number | w.white | w.han);
    return w;
}

/* The first bytes of the characters of which bits stands at the last bytes; white space has 3 at most. */
static uint64_t to_first(uint64_t bits, uint64_t inner)
{
    for (int i = 0; i < 2 && (bits & inner); i++)
        bits = (bits & ~inner) | (bits & inner) >> 1;
    return bits;
}

/* Length of the contraction 's 't 're 've 'm 'll 'd at s, of which three bytes can be read, or 0.
 * fold: in either case, and with U+017F, which folds to s. */
static int contraction(const char *s, bool fold)
{
    char a = fold && s[1] >= 'A' && s[1] <= 'Z' ? (char)(s[1] | 0x20) : s[1];
    char b = fold && s[2] >= 'A' && s[2] <= 'Z' ? (char)(s[2] | 0x20) : s[2];

    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return 3;
    return fold && (uint8_t)a == 0xc5 && (uint8_t)b == 0xbf ? 3 : 0;
}

/* A quote that begins a piece takes the letters of a contraction with it. */
static uint64_t contractions(uint64_t starts, uint64_t quotes, const char *text, int n, bool fold)
{
    for (quotes &= starts; quotes; quotes &= quotes - 1) {
        int at = __builtin_ctzll(quotes), len;

        if (at + 3 > n)
            return starts & first_bits(at + 1);
        len = contraction(text + at, fold);
        if (!len)
            continue;
        starts &= ~(first_bits(len - 1) << (at + 1));
        if (at + len < 64)
            starts |= (uint64_t)1 << (at + len);
    }
    return starts;
}

uint64_t pretok_starts_gpt2(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n)
{
    struct window w = classes(p, m, text, valid_n, false);
    uint64_t known = first_bits(w.n), space = m->space & known, p_space = space << 1;
    uint64_t last_white = w.white & ~(w.white >> 1) & (known >> 1);
    uint64_t starts = (w.letter & ~(w.letter << 1)) | (w.number & ~(w.number << 1)) | (w.other & ~(w.other << 1));

    starts &= ~p_space;
    starts |= (w.white & ~(w.white << 1)) | to_first(last_white, w.inner);
    return contractions(starts, m->quote & known, text, w.n, false);
}

/* Pieces of numbers: every `most` characters from where a run begins. */
static uint64_t number_starts(const struct window *w, int most)
{
    uint64_t first = w->number & ~(w->number << 1), all = first;
    int count = 0;

    if (most == 1)
        return w->number & ~w->inner;
    if (!(w->number & w->inner)) {
        uint64_t inside = w->number & w->number << 1 & w->number << 2; /* two before are numbers, too */

        for (first = first << 3 & inside; first; first = first << 3 & inside)
            all |= first;
        return all;
    }
    for (uint64_t chars = w->number & ~w->inner; chars; chars &= chars - 1) {
        uint64_t bit = chars & -chars;

        count = bit & first ? 0 : (count + 1) % most;
        all |= count ? 0 : bit;
    }
    return all;
}

/* White space without the newlines that belong to punctuation before them: \s*[\r\n]+ ends behind the last
 * newline of a run, \s+(?!\S) before its last character. */
static uint64_t white_starts(const struct window *w, uint64_t white, uint64_t newline)
{
    uint64_t blank = white & ~newline, known = first_bits(w->n);
    uint64_t behind = blank & newline << 1; /* a newline: of those in a run only the last counts */
    uint64_t last = blank & ~(white >> 1) & (known >> 1);

    if ((blank + behind) & newline)
        for (uint64_t b = behind; b; b &= b - 1) {
            uint64_t bit = b & -b;

            if ((blank + bit) & ~blank & newline)
                behind &= ~bit;
        }
    return (white & ~(white << 1)) | behind | to_first(last, w->inner);
}

/* Without those in a run of white space that goes on behind the window, perhaps to another newline. */
static uint64_t before_white(const struct window *w, uint64_t white, uint64_t starts)
{
    uint64_t before = first_bits(w->n) & ~white;

    if (!w->n || !(white >> (w->n - 1) & 1))
        return starts;
    return starts & (before ? first_bits(65 - __builtin_clzll(before)) : 1);
}

uint64_t pretok_starts_llama3(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n)
{
    struct window w = classes(p, m, text, valid_n, false);
    uint64_t known = first_bits(w.n), newline = m->newline & known, space = m->space & known;
    uint64_t taken = newline & ~(newline + (newline & w.other << 1)); /* by punctuation before them */
    uint64_t white = w.white & ~taken, blank = white & ~newline;
    uint64_t other = w.other & ~(w.other << 1) & ~(space << 1), single = other, starts;

    for (int i = 0; i < 3 && w.inner; i++)
        single |= single << 1 & w.inner; /* all bytes of the first character */
    starts = w.letter & ~(w.letter << 1) & ~(blank << 1) & ~(single << 1);
    starts |= other | number_starts(&w, p->known->digits) | white_starts(&w, white, newline & ~taken);
    starts = contractions(starts, m->quote & other, text, w.n, true);
    return before_white(&w, white, starts);
}

/* Where a run of letters begins another piece, U*W+ or U+W*: U are upper-case letters and those without case, W lower-case
 * and those without.  At an upper-case letter whose last letter with a case before it is lower-case; and, as a word takes
 * all up to the last letter that is in W, at those upper-case letters that end the run, if one without case is before. */
static uint64_t case_starts(const struct window *w, uint64_t starts)
{
    uint64_t both = w->letter & ~(w->upper | w->lower), low = w->lower << 1;
    uint64_t behind = (both + (low & both)) & ~both; /* a run of both that is behind a lower-case letter */

    starts |= w->upper & (low | behind);
    for (uint64_t begin = w->upper & both << 1; begin; begin &= begin - 1) {
        int at = __builtin_ctzll(begin), end = at + __builtin_ctzll(~(w->upper >> at));

        if (end >= w->n)
            return starts & first_bits(at);
        starts |= w->letter >> end & 1 ? 0 : begin & -begin;
    }
    return starts;
}

/* A word takes the contraction behind it. */
static uint64_t word_contractions(const struct window *w, uint64_t starts, uint64_t quotes, const char *text)
{
    uint64_t both = w->letter & ~(w->upper | w->lower);
    int end = 0;

    for (quotes &= w->letter << 1 & first_bits(w->n); quotes; quotes &= quotes - 1) {
        int at = __builtin_ctzll(quotes), len;

        if (at == end)
            continue; /* behind one: it begins a word */
        if (at + 3 > w->n)
            return starts & first_bits(at);
        len = contraction(text + at, true);
        if (!len)
            continue;
        end = at + len;
        starts &= ~(first_bits(len) << at);
        if (end < 64)
            starts |= (uint64_t)1 << end;
        if (end < 64 && both >> end & 1) /* case_starts() took the contraction's letters for the word's */
            return starts & first_bits(end + 1);
    }
    return starts;
}

/* What punctuation takes behind it: a run of the tail's characters from its first newline that other characters are before
 * (slashes are both). */
static uint64_t tails(uint64_t tail, uint64_t newline, uint64_t other)
{
    uint64_t begin = newline & other << 1, taken = 0;

    while (begin) {
        uint64_t first = begin & -begin;

        taken |= tail & ~(tail + first) & ~(first - 1);
        begin &= ~taken;
    }
    return taken;
}

uint64_t pretok_starts_cased(const struct pretok *p, const struct pretok_masks *m, const char *text, int valid_n)
{
    const struct pretok_known *k = p->known;
    struct window w = classes(p, m, text, valid_n, true);
    uint64_t known = first_bits(w.n), newline = m->newline & known, space = m->space & known;
    uint64_t tail = newline | (k->slash ? m->slash & known : 0);
    uint64_t taken = tails(tail, newline, w.other);
    uint64_t white = w.white & ~taken, blank = white & ~newline, others = w.other & ~taken;
    uint64_t other = others & ~(others << 1) & ~(space << 1), single = other, starts;

    for (int i = 0; i < 3 && w.inner; i++)
        single |= single << 1 & w.inner; /* all bytes of the first character */
    starts = w.letter & ~(w.letter << 1) & ~(blank << 1) & ~(single << 1);
    starts |= other | (w.han & ~(w.han << 1)) | number_starts(&w, k->digits) | white_starts(&w, white, newline & ~taken);
    starts = case_starts(&w, starts);
    if (k->contracts)
        starts = word_contractions(&w, starts, m->quote, text);
    return before_white(&w, white, starts);
}
