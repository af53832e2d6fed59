/* regex_class.c - [ ] and backslashes of a regular expression; see regex_prog.h. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/text/regex_prog.h"
#include "libcommon/text/unicode.h"

#define CLASS_DEPTH 32

static int fail(const char **error, const char *what)
{
    *error = what;
    return -1;
}

/* Word characters that the table of Unicode does not have. */
static void add_words(struct regex_set *s, unsigned how)
{
    for (uint32_t cp = 0x80; !(how & (REGEX_IN_BRACKET | REGEX_RUST)) && cp < 0x100; cp++)
        if (regex_latin_word(cp))
            regex_set_add(s, cp, cp);
    for (uint32_t cp = 0x200c; how & REGEX_RUST && regex_rust_word(cp); cp++)
        regex_set_add(s, cp, cp);
}

/* Add a property by its name; '^' in front or `negative` turns it round. */
static int add_property(struct regex_set *s, const char *name, size_t n, bool negative, unsigned how)
{
    struct regex_set t = { 0 };

    if (n && *name == '^') {
        negative = !negative;
        name++;
        n--;
    }
    t.r = unicode_ranges(name, n, &t.n);
    if (!t.r)
        return -1;
    t.cap = t.n;
    if (unicode_same_name(name, n, "word"))
        add_words(&t, how);
    regex_set_sort(&t);
    if (negative)
        regex_set_negate(&t);
    regex_set_union(s, &t);
    regex_set_free(&t);
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to `most` digits of base 8 or 16; how many there were. */
static int number(const char **p, const char *end, int base, int most, uint32_t *v)
{
    int n = 0;

    for (*v = 0; n < most && *p < end; n++, (*p)++) {
        int d = hex_value(**p);

        if (d < 0 || d >= base)
            break;
        *v = *v * (uint32_t)base + (uint32_t)d;
    }
    return n;
}

static int code_point(const char **p, const char *end, char kind, uint32_t *cp, const char **error)
{
    bool braces = kind == 'x' && *p < end && **p == '{';
    int n;

    if (braces)
        (*p)++;
    n = number(p, end, 16, braces ? 8 : kind == 'u' ? 4 : 2, cp);
    if (kind == 'u' && n < 4)
        return fail(error, "\\u wants four hexadecimal digits");
    if (braces && (!n || *p == end || *(*p)++ != '}'))
        return fail(error, "\\x{ wants hexadecimal digits and }");
    if (*cp >= UNICODE_END || (*cp >= 0xd800 && *cp < 0xe000))
        return fail(error, "not a character");
    return 0;
}

/* \p{Name}: *p behind the p. */
static int property(struct regex_set *set, const char **p, const char *end, bool negative, unsigned how, const char **error)
{
    const char *name = *p + 1, *close;

    if (*p == end || **p != '{' || !(close = memchr(name, '}', (size_t)(end - name))))
        return fail(error, "\\p wants {Name}");
    if (add_property(set, name, (size_t)(close - name), negative, how) < 0)
        return fail(error, "a property that is not known");
    *p = close + 1;
    return 1;
}

int regex_escape(struct regex_set *set, uint32_t *cp, const char **p, const char *end, unsigned how, const char **error)
{
    static const struct {
        char c;
        const char *name;
        bool negative;
    } sets[] = {
        { 'd', "digit", false }, { 'D', "digit", true }, { 'w', "word", false },   { 'W', "word", true },
        { 's', "space", false }, { 'S', "space", true }, { 'h', "xdigit", false }, { 'H', "xdigit", true },
    };
    static const char plain[][2] = { "t\t", "n\n", "r\r", "f\f", "v\v", "a\a", "e\033" };
    char c;
    int n;

    if (++*p == end)
        return fail(error, "nothing behind the backslash");
    c = **p;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (c == sets[i].c) {
            ++*p;
            add_property(set, sets[i].name, strlen(sets[i].name), sets[i].negative, how);
            return 1;
        }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (c == plain[i][0]) {
            ++*p;
            *cp = (unsigned char)plain[i][1];
            return 0;
        }
    if (c == 'p' || c == 'P') {
        ++*p;
        return property(set, p, end, c == 'P', how, error);
    }
    if (c == 'x' || c == 'u') {
        ++*p;
        return code_point(p, end, c, cp, error);
    }
    if (c >= '0' && c <= '7') {
        number(p, end, 8, 3, cp);
        return *cp < 128 ? 0 : fail(error, "an octal number above 0177");
    }
    if (c == 'c' && end - *p > 1 && (*p)[1] > 0) {
        *cp = (uint32_t)(*p)[1] & 31;
        *p += 2;
        return 0;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return fail(error, "an escape that is not known here");
    n = utf8_decode(*p, (size_t)(end - *p), cp);
    *p += n;
    return n ? 0 : fail(error, "invalid UTF-8");
}

/* One level of [ ]: what its bytes add up to, between the && (of Rust also --) of it. */
struct level {
    struct regex_set sum, all; /* since the last one; of all before it */
    char cut;                  /* '&', '-'; 0: there was none */
    bool negative, empty;
};

/* [:name:] at *p: 1 taken, 0 there is none. */
static int posix(struct regex_set *s, const char **p, const char *end, unsigned how)
{
    static const char *const names[] = { "alpha", "alnum", "blank", "cntrl", "digit", "graph", "lower",
                                         "print", "space", "upper", "xdigit", "word", "ascii", "punct" };
    const char *name = *p + 2;
    size_t n = 0;
    bool negative;

    if (end - *p < 4 || (*p)[1] != ':')
        return 0;
    negative = *name == '^';
    name += negative;
    while (name + n < end && name[n] >= 'a' && name[n] <= 'z')
        n++;
    if (end - name - (ptrdiff_t)n < 2 || name[n] != ':' || name[n + 1] != ']')
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && !memcmp(names[i], name, n)) {
            struct regex_set t = { 0 }, ascii = { 0 };

            add_property(&t, name, n, false, REGEX_IN_BRACKET);
            if (!strcmp(names[i], "punct"))
                add_property(&t, "S", 1, false, REGEX_IN_BRACKET);
            if (how & REGEX_RUST) {
                regex_set_add(&ascii, 0, 127);
                regex_set_sort(&ascii);
                regex_set_sort(&t);
                regex_set_intersect(&t, &ascii);
                regex_set_free(&ascii);
            }
            if (negative)
                regex_set_negate(&t);
            regex_set_union(s, &t);
            regex_set_free(&t);
            *p = name + n + 2;
            return 1;
        }
    return 0;
}

/* What came since the last && or -- and what was before it become one, the sum. */
static void join(struct level *l)
{
    regex_set_sort(&l->sum);
    if (l->cut == '-')
        regex_set_negate(&l->sum);
    if (l->cut)
        regex_set_intersect(&l->sum, &l->all);
    regex_set_free(&l->all);
}

/* Close a level: its set into *out. */
static void finish(struct level *l, struct regex_set *out, bool fold)
{
    join(l);
    if (fold)
        regex_set_fold(&l->sum);
    if (l->negative)
        regex_set_negate(&l->sum);
    regex_set_union(out, &l->sum);
    regex_set_free(&l->sum);
}

/* A character or set at *p, neither bracket nor &&: as regex_escape(). */
static int element(struct regex_set *set, uint32_t *cp, const char **p, const char *end, unsigned how, const char **error)
{
    int n;

    if (**p == '\\') {
        if (end - *p > 1 && (*p)[1] == 'b') {
            *p += 2;
            *cp = '\b';
            return 0;
        }
        return regex_escape(set, cp, p, end, how | REGEX_IN_BRACKET, error);
    }
    n = utf8_decode(*p, (size_t)(end - *p), cp);
    *p += n;
    return n ? 0 : fail(error, "invalid UTF-8");
}

/* Does a '-' at p stand between two characters? */
static bool is_range(const char *p, const char *end, unsigned how)
{
    return end - p > 1 && *p == '-' && p[1] != ']' && p[1] != '[' && !(end - p > 2 && p[1] == '&' && p[2] == '&') &&
           !(how & REGEX_RUST && p[1] == '-');
}

static int characters(struct level *l, const char **p, const char *end, unsigned how, const char **error)
{
    uint32_t a, b;
    int rc = element(&l->sum, &a, p, end, how, error);

    if (rc)
        return rc < 0 ? -1 : 0;
    if (is_range(*p, end, how)) {
        const char *dash = (*p)++;

        rc = element(&l->sum, &b, p, end, how, error);
        if (rc < 0)
            return -1;
        if (rc) {
            regex_set_add(&l->sum, '-', '-');
            b = a;
        }
        if (b < a) {
            *p = dash;
            return fail(error, "a range that ends before it begins");
        }
        regex_set_add(&l->sum, a, b);
        return 0;
    }
    regex_set_add(&l->sum, a, a);
    return 0;
}

static void open_level(struct level *l, const char **p, const char *end, unsigned how)
{
    memset(l, 0, sizeof *l);
    l->negative = *p < end && **p == '^';
    *p += l->negative;
    l->empty = true;
    for (; how & REGEX_RUST && *p < end && **p == '-'; ++*p) { /* there they are themselves, however many */
        regex_set_add(&l->sum, '-', '-');
        l->empty = false;
    }
}

/* Two bytes that stand between sets: && of both, -- and ~~ of Rust alone.  0: there are none. */
static char operation(const char *p, const char *end, unsigned how)
{
    bool twice = end - p > 1 && p[0] == p[1];

    return twice && (*p == '&' || (how & REGEX_RUST && (*p == '-' || *p == '~'))) ? *p : 0;
}

static int levels(struct level *level, int *top, struct regex_set *out, const char **p, const char *end, unsigned how,
                  const char **error)
{
    open_level(&level[0], p, end, how);
    for (;;) {
        struct level *l = &level[*top];

        if (*p >= end)
            return fail(error, "[ without its ]");
        if (**p == ']' && !(l->empty && memchr(*p + 1, ']', (size_t)(end - *p - 1)))) {
            if (l->empty)
                return fail(error, "an empty [ ]");
            ++*p;
            finish(l, *top ? &level[*top - 1].sum : out, how & REGEX_FOLDED && !*top);
            if ((*top)-- == 0)
                return 0;
            continue;
        }
        l->empty = false;
        if (**p == '[') {
            if (posix(&l->sum, p, end, how))
                continue;
            if (*top + 1 == CLASS_DEPTH)
                return fail(error, "[ ] nested too deeply");
            ++*p;
            open_level(&level[++*top], p, end, how);
        } else if (operation(*p, end, how)) {
            join(l);
            l->all = l->sum;
            memset(&l->sum, 0, sizeof l->sum);
            l->cut = **p;
            if (l->cut == '~')
                return fail(error, "~~ in [ ] is not supported");
            *p += 2;
        } else if (characters(l, p, end, how, error) < 0) {
            return -1;
        }
    }
}

int regex_class(struct regex_set *out, const char **p, const char *end, unsigned how, const char **error)
{
    struct level level[CLASS_DEPTH];
    int top = 0, rc = levels(level, &top, out, p, end, how, error);

    for (; rc < 0 && top >= 0; top--) {
        regex_set_free(&level[top].sum);
        regex_set_free(&level[top].all);
    }
    return rc;
}
