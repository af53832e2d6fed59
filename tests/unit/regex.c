/* Regular expressions: 141 patterns of published tokenizers against Oniguruma's splits, single constructs,
 * errors and limits. */
#include "libcommon/text/regex.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/data/source.h"
#include "libcommon/format/json.h"
#include "tests/tap.h"

static struct err err;

/* The pieces expected, one after the other. */
struct pieces {
    const struct json_value *next;
    const char *text;
    bool bad;
};

static void piece(struct pieces *p, size_t a, size_t b)
{
    if (a == b)
        return;
    if (!p->next || p->next->len != b - a || memcmp(p->next->str, p->text + a, b - a))
        p->bad = true;
    else
        p->next = p->next->next;
}

/* Matches, or what is between them, or both: each what the oracle says? */
static bool agrees(const struct regex *re, const char *text, size_t n, const struct json_value *want, bool in, bool out)
{
    struct pieces p = { want->child, text, false };
    struct regex_scan scan = { 0 };
    size_t a, b, at = 0;
    int rc;

    while ((rc = regex_next(re, &scan, text, n, &a, &b, &err)) == 1) {
        if (out)
            piece(&p, at, a);
        if (in)
            piece(&p, a, b);
        at = b;
    }
    if (out)
        piece(&p, at, n);
    return !rc && !p.bad && !p.next;
}

static struct json_value *read_gz(struct arena *a, const char *path)
{
    struct source_options o = { .from = SOURCE_TXT };
    char *paths[] = { xstrdup(path) };
    struct source *s = source_new(&o, paths, 1);
    struct source_block b = { 0 };
    struct source_doc d;
    struct json_value *v = NULL;

    if (source_read(s, &b, &err) == 1 && source_next(&b, &d, &err) == 1) {
        char *text = arena_alloc(a, d.text.n);

        v = json_tree(a, text, source_text(&d, text), path, &err);
    }
    source_block_free(&b);
    source_free(s);
    free(paths[0]);
    return v;
}

/* One of "patterns" (id or name, pattern) or "additionalCases" (name, patternId): how many splits are right. */
static int check_case(const struct json_value *c, const struct json_value *pattern, const struct json_value *inputs,
                      const struct json_value *tokens)
{
    const struct json_value *name = json_get(c, "name"), *how = json_get(c, "behavior"), *own = json_get(c, "inputs");
    const struct json_value *want = json_get(tokens, (name ? name : json_get(c, "id"))->str);
    struct regex *re = regex_new(pattern->str, pattern->len, &err);
    bool isolated = how && !strcmp(how->str, "Isolated"), invert = !json_get(c, "invert");
    int n = 0;

    if (!re)
        printf("# %s: %s\n", pattern->str, err.msg);
    if (own)
        inputs = own;
    for (int i = 0; re && want && i < want->n; i++) {
        const struct json_value *in = json_at(inputs, i);

        if (in && agrees(re, in->str, in->len, json_at(want, i), invert || isolated, !invert || isolated))
            n++;
        else
            printf("# %s: input %d differs\n", pattern->str, i);
    }
    regex_free(re);
    return n;
}

static const struct json_value *pattern_of(const struct json_value *patterns, const char *id)
{
    for (const struct json_value *p = patterns->child; p; p = p->next)
        if (!strcmp(json_get(p, "id")->str, id))
            return json_get(p, "pattern");
    return NULL;
}

static int check_all(const struct json_value *file, const struct json_value *tokens)
{
    const struct json_value *patterns = json_get(file, "patterns"), *c;
    const struct json_value *inputs = json_get(json_get(file, "defaults"), "inputs");
    int good = 0;

    for (c = patterns->child; c; c = c->next)
        good += check_case(c, json_get(c, "pattern"), inputs, tokens);
    for (c = json_get(file, "additionalCases")->child; c; c = c->next)
        good += check_case(c, pattern_of(patterns, json_get(c, "patternId")->str), inputs, tokens);
    return good;
}

static void test_hub(void)
{
    const char *path = tap_shared("data/tokenizers/vectors/splitRegexPatterns.json");
    const struct json_value *file = NULL, *oracle = NULL;
    struct arena a;
    struct io_map m;
    int good;

    if (!path) {
        SKIP("hub patterns", "../shared is absent");
        return;
    }
    arena_init(&a);
    if (io_map(&m, path, &err) == 0)
        file = json_tree(&a, m.data, m.size, "patterns", &err);
    path = tap_shared("data/tokenizers/vectors/splitRegexOracle.json.gz");
    if (path)
        oracle = read_gz(&a, path);
    OK(file && oracle && json_get(file, "patterns")->n == 141);
    good = file && oracle ? check_all(file, json_get(oracle, "tokens")) : 0;
    OKF(good == 2027, "%d of 2027 splits", good);
    io_unmap(&m);
    arena_release(&a);
}

/* The matches of a pattern as "a|b|c", as Ruby's scan gives them. */
static const char *matches(const char *pattern, const char *text)
{
    static char out[512];
    struct regex *re = regex_new(pattern, strlen(pattern), &err);
    struct regex_scan scan = { 0 };
    size_t a, b, n = 0;
    int rc = re ? 0 : -1;

    while (re && (rc = regex_next(re, &scan, text, strlen(text), &a, &b, &err)) == 1)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "", (int)(b - a), text + a);
    regex_free(re);
    out[n] = 0;
    return rc < 0 ? err.msg : out;
}

static void test_constructs(void)
{
    static const struct {
        const char *pattern, *text, *want;
    } t[] = {
        { "a|ab", "abab", "a|a" },
        { "a*?b", "aab", "aab" },
        { "a+?", "aa", "a|a" },
        { "(?:ab){2,3}?", "abababab", "abab|abab" },
        { "(?:ab){,2}c", "ababc", "ababc" },
        { "x{2}?y", "xxy", "xxy" },
        { "x{2}?y", "y", "y" },
        { "a{1,2}+b", "aaab", "aaab" },
        { "a{", "a{", "a{" },
        { "a{1,x}", "a{1,x}", "a{1,x}" },
        { "(?:a|b)++b", "abab", "" },
        { "(?>a|ab)c", "abc", "" },
        { "(?:a?)*b", "aab", "aab" },
        { "(?:a*)+?b", "aab", "aab" },
        { "(?:|a)*b", "ab", "ab" },
        { "(?>|b)a", "ba", "a" },
        { "(?:x|(?>|b)a)c", "bac", "ac" },
        { "(a|b)\\1", "abba", "bb" },
        { "(?i:(a)\\1)", "aA", "aA" },
        { "(?:(a)|b)*\\1", "aba", "aba" },
        { "(?i:ss)", "ss SS \xc3\x9f \xc5\xbf" "S", "ss|SS|\xc3\x9f|\xc5\xbf" "S" },
        { "(?i:\xc3\x9f)", "ss \xe1\xba\x9e", "ss|\xe1\xba\x9e" },
        { "(?i:ffi)", "\xef\xac\x83 f\xef\xac\x81 \xef\xac\x80i", "\xef\xac\x83|f\xef\xac\x81|\xef\xac\x80i" },
        { "(?i:[x\xc3\x9f]+)", "SsX\xc3\x9f", "SsX\xc3\x9f" },
        { "(?i:[^\xc3\x9f])", "ss\xe1\xba\x9e", "s|s" },
        { "(?i:\\p{Lu})", "aA", "A" },
        { "[\\w]+", "a\xc2\xb2", "a" },
        { "\\w+", "a\xc2\xb2", "a\xc2\xb2" },
        { "(?i:'s)", "'s'S'\xc5\xbf\xe2\x80\x99s", "'s|'S|'\xc5\xbf" },
        { "(?i)a(?-i)b", "AbAB", "Ab" },
        { "a(?i)b|c", "aB aC C", "aB|aC" },
        { "(?i:[a-c&&[^b]]+)", "aBC", "a|C" },
        { "(?i:[^a])", "aAb", "b" },
        { "[a-w&&[^c-g]z]+", "abch", "ab|h" },
        { "[]a]+", "]a[", "]a" },
        { "[a\\]-]+", "a-]b", "a-]" },
        { "[\\d-z]+", "1-z", "1-z" },
        { "[[:^alpha:]]+", "ab12", "12" },
        { "[[:punct:]]+", "a$,b", "$," },
        { "[\\p{^L}]+", "ab12", "12" },
        { "\\P{L}+", "ab12", "12" },
        { "\\p{^L}\\P{^L}", "1a", "1a" },
        { "\\h+", "xfF9g", "fF9" },
        { "\\R", "a\r\nb\nc\xe2\x80\xa8", "\r\n|\n|\xe2\x80\xa8" },
        { ".", "a\nb", "a|b" },
        { "(?m:.)", "a\nb", "a|\n|b" },
        { "(?x: a b # c\n )", "ab", "ab" },
        { "a(?#b)c", "ac", "ac" },
        { "^a", "a\na", "a|a" },
        { "a$", "a\na", "a|a" },
        { "\\Aa", "a\na", "a" },
        { "a\\Z", "a\na\n", "a" },
        { "a\\z", "a\na\n", "" },
        { "\\ba\\B", "ab ba", "a" },
        { "a\\b", "a\xc2\xb2 a", "a" },
        { "\\Ga", "aaba", "a|a" },
        { "(?<=a|bc)d", "ad bcd cd", "d|d" },
        { "(?<!a)b", "ab b", "b" },
        { "(?<=^|,)x", "x,x", "x|x" },
        { "(?<=\xc3\xa9{2})x", "\xc3\xa9x\xc3\xa9\xc3\xa9x", "x" },
        { "a(?=b)", "ab ac", "a" },
        { "a(?!b)", "ab ac", "a" },
        { "(?=(a+))\\1", "aaa", "aaa" },
        { "(?!(a)b)a", "ab ac", "a" },
        { "(?<n>a)b", "ab", "ab" },
        { "\\x41\\x{1F600}\\u00e9\\101\\t", "A\xf0\x9f\x98\x80\xc3\xa9" "A\t", "A\xf0\x9f\x98\x80\xc3\xa9" "A\t" },
        { "\\cA", "\001", "\001" },
    };

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        OKF(!strcmp(matches(t[i].pattern, t[i].text), t[i].want), "%s on %s: %s, not %s", t[i].pattern, t[i].text,
            matches(t[i].pattern, t[i].text), t[i].want);
}

static void test_errors(void)
{
    static const struct {
        const char *pattern, *want;
    } t[] = {
        { "a(b", "pattern: byte 3: ( without its )" },
        { "a)b", "pattern: byte 1: ) without its (" },
        { "[a", "pattern: byte 2: [ without its ]" },
        { "[]", "pattern: byte 1: an empty [ ]" },
        { "[z-a]", "pattern: byte 2: a range that ends before it begins" },
        { "*a", "pattern: byte 0: a quantifier behind nothing" },
        { "a|+", "pattern: byte 2: a quantifier behind nothing" },
        { "\\", "pattern: byte 1: nothing behind the backslash" },
        { "\\p{Foo}", "pattern: byte 2: a property that is not known" },
        { "\\pL", "pattern: byte 2: \\p wants {Name}" },
        { "\\u12", "pattern: byte 4: \\u wants four hexadecimal digits" },
        { "\\x{110000}", "pattern: byte 10: not a character" },
        { "\\X", "pattern: byte 1: an escape that is not known here" },
        { "(?~a)", "pattern: byte 2: a kind of group that is not supported" },
        { "(a)\\2", "pattern: byte 5: a reference to a group that is not there" },
        { "a{100001}", "pattern: byte 9: a repeat of more than 100000" },
        { "a{3,2}", "pattern: byte 6: a repeat whose most is below its least" },
        { "(?<=a*)b", "pattern: look-behind that may take more than 255 characters" },
        { "(?:(?:ab){1000}){1000}", "pattern: too large" },
        { "(?:(?:(?:){100000}){100000}){100000}", "pattern: too large" },
        { "a\xff", "pattern: byte 1: invalid UTF-8" },
        { "(?i", "pattern: byte 3: ( without its )" },
    };
    char deep[400];

    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        OKF(!strcmp(matches(t[i].pattern, "x"), t[i].want), "%s: %s", t[i].pattern, matches(t[i].pattern, "x"));
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    OKF(strstr(matches(deep, ""), "nested too deeply"), "%s", err.msg);
    memset(deep, '[', sizeof deep - 1);
    OKF(strstr(matches(deep, ""), "nested too deeply"), "%s", err.msg);
    memset(deep, '?', sizeof deep - 1);
    deep[0] = 'a';
    OKF(strstr(matches(deep, ""), "too many quantifiers"), "%s", err.msg);
}

/* Time and memory: what would take forever is an error; what is linear is none, however long. */
static void test_limits(void)
{
    size_t n = 1 << 21, a, b;
    char *text = xmalloc(n);
    struct regex *re = regex_new("(?:a|a)*b", 9, &err);

    memset(text, 'a', n);
    OK(re && regex_search(re, text, 40, 0, &a, &b, &err) == -1 && strstr(err.msg, "more steps than allowed"));
    OK(re && regex_search(re, text, n, 0, &a, &b, &err) == -1 && strstr(err.msg, "more than its memory allows"));
    regex_free(re);
    memset(text, ' ', n);
    re = regex_new("\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", 23, &err);
    OK(re && regex_search(re, text, n, 0, &a, &b, &err) == 1 && a == 0 && b == n);
    text[n - 1] = 'x';
    OK(re && regex_search(re, text, n, 0, &a, &b, &err) == 1 && a == 0 && b == n - 2);
    regex_free(re);
    free(text);
}

int main(void)
{
    test_hub();
    test_constructs();
    test_errors();
    test_limits();
    return tap_done();
}
