/* Chat templates: single constructs, as Jinja2 3.1.6 renders them; errors and limits; and the renderings of
 * published templates in ../shared. */
#include "libcommon/template/template.h"

#include <stdbool.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/par.h"
#include "tests/tap.h"

static struct err err;

#define VARS \
    "{\"s\":\"h\\u00e9llo\",\"n\":3,\"f\":2.5,\"z\":null,\"t\":true,\"big\":123456789012345678901234567890," \
    "\"l\":[3,1,2],\"d\":{\"a\":1,\"items\":[1],\"\\u00e9\":\"x\"},\"m\":[{\"role\":\"user\",\"content\":\"hi\"}," \
    "{\"role\":\"assistant\",\"content\":\"ho\"}]}"

/* want NULL: an error that says `text`. */
static const struct {
    const char *template, *want, *says;
} cases[] = {
    { "{{ s }} {{ n }} {{ f }} {{ z }} {{ t }} {{ big }} {{ l }} {{ nothing }}|",
      "h\303\251llo 3 2.5 None True 123456789012345678901234567890 [3, 1, 2] |", NULL },
    { "{{ d }}", "{'a': 1, 'items': [1], '\303\251': 'x'}", NULL },
    { "{{ ['a\\'b', 'a\"b\\n', '\\x07\\u200b\\xe9'] }}", "[\"a'b\", 'a\"b\\n', '\\x07\\u200b\303\251']", NULL },
    /* white space */
    { "a\n  {% if t %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc", NULL },
    { "a \n {%- if t -%} \n b \n {%- endif -%} \n c", "abc", NULL },
    { "a\n  {%+ if t +%}\nb{% endif %}", "a\n  \nb", NULL },
    { "  {# c #}\n  x {#- d -#} \n y", "  xy", NULL },
    { "x\r\ny\rz\n\n", "x\ny\nz\n", NULL },
    { "{% raw %}\n {{ x }} {% endraw %}\ny", "\n {{ x }} y", NULL },
    { "{{ 'a' -}}  \n  b", "ab", NULL },
    { "  {% set x = 1 %}  {{ x }}", "  1", NULL },
    /* operators */
    { "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 7.5 // 2 }}", "3 -4 2 3.5 1024 0.5 4 3.0", NULL },
    { "{{ (1 + 2 * 3) ~ 'x' ~ none }} {{ 'ab' * 2 }} {{ [1] + [2] }} {{ (1,) + (2, 3) }}", "7xNone abab [1, 2] (1, 2, 3)", NULL },
    { "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' in 'cat' }} {{ 3 in l }} {{ 4 not in l }} {{ 'a' in d }} {{ 1 == 1.0 }} {{ true == 1 }}",
      "True False True True True True True True", NULL },
    { "{{ 0 or '' or 'x' }} {{ 1 and 0 }} {{ not '' }} {{ 'a' if false else 'b' }}{{ 'c' if false }}", "x 0 True b", NULL },
    { "{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.5e300 }} {{ 0.1 + 0.2 }} {{ -0.0 }}",
      "1e+16 1000000000000000.0 0.0001 1e-05 1.5e+300 0.30000000000000004 -0.0", NULL },
    { "{{ '%s is %d, %.2f, %5s|%-4d|%04d|%r|%%' % ('x', 3.9, 1.005, 'ab', 7, -5, 'q') }}", "x is 3, 1.00,    ab|7   |-005|'q'|%", NULL },
    { "{{ '%(a)s' % d }} {{ '%s' % l }} {{ '%x' % 255 }}", "1 [3, 1, 2] ff", NULL },
    { "{{ '{:>5}|{:05.1f}|{a}|{{}}|{:,}'.format('x', 2.25, 1234567, a=1) }}", "    x|002.2|1|{}|1,234,567", NULL },
    /* indices */
    { "{{ s[1] }} {{ s[-1] }} {{ s[1:3] }} {{ s[::-1] }} {{ l[:2] }} {{ l[-2:] }} {{ l[9] }}|{{ l['x'] }}|{{ d['a'] }} {{ d.a }} {{ d['items'][0] }}",
      "\303\251 o \303\251l oll\303\251h [3, 1] [1, 2] ||1 1 1", NULL },
    { "{{ m[0].role }} {{ m.0.content }} {{ m[1]['role'] }} {{ z.x }}|{{ n.x }}|{{ d.items() | list }}", "user hi assistant ||[('a', 1), ('items', [1]), ('\303\251', 'x')]", NULL },
    { "{{ d.__class__ }}|{{ s.__len__ }}|{{ l.append }}|{{ d.pop }}", "|||", NULL },
    /* statements */
    { "{% for x in l %}{{ loop.index }}{{ loop.first }}{{ loop.last }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}",
      "1TrueFalse3,2FalseFalse1,3FalseTrue2", NULL },
    { "{% for x in [] %}x{% else %}none{% endfor %}{% for x in l if x > 1 %}{{ x }}/{{ loop.length }} {% endfor %}", "none3/2 2/2 ", NULL },
    { "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}", "32", NULL },
    { "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a + b + c }}{% endfor %}", "a=1;items=[1];\303\251=x;6", NULL },
    { "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}", "4 2 3 1", NULL },
    { "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "6", NULL },
    { "{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c %}x{{ a }}{% endset %}{{ c }}{% set e | upper %}y{% endset %}{{ e }}", "12x1Y", NULL },
    { "{% macro m(a, b='-', c=a) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }} {{ m(1, 2, 3, 4, x=5) }} {{ m(b=2, a=1) }}",
      "1-1(){} 123(4,){'x': 5} 121(){}", NULL },
    { "{% macro m(t) %}<{{ caller(t) }}>{% endmacro %}{% call(x) m('a') %}{{ x }}!{% endcall %}", "<a!>", NULL },
    { "{% macro f(n) %}{{ n }}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "3210", NULL },
    { "{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}{% set x = 2 %}{{ f() }}", "12", NULL },
    { "{% filter upper %}a{{ s }}{% endfilter %}{% with x = 1, y = 2 %}{{ x + y }}{% endwith %}{{ x }}", "AH\303\211LLO3", NULL },
    { "{% for x in [1, 2] %}{% continue %}{% else %}E{% endfor %}{% for x in [1, 2] %}{{ x }}{% break %}{% else %}E{% endfor %}", "E1E", NULL },
    { "{% for x in [1, 2] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% else %}E{% endfor %}{{ '\xc4\xb0x'.swapcase() }}", "1i\xcc\x87X", NULL },
    { "{% for x in [1, [2, [3]]] recursive %}{{ loop.depth }}{% if x is number %}{{ x }}{% else %}({{ loop(x) }}){% endif %}{% endfor %}", "111(222(33))", NULL },
    { "{% for x in 'aab' %}{{ loop.changed(x) }}{{ loop.cycle(1, 2) }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}", "True1a False2ab True1a ", NULL },
    { "{{ 'a' 'b' \"c\" }} {{ '\\t\\x41\\u00e9\\101\\q' }}", "abc \tA\303\251A\\q", NULL },
    /* filters and tests */
    { "{{ l | sort }} {{ l | sort(reverse=true) | join('-') }} {{ l | max }} {{ l | sum }} {{ l | first }} {{ l | last }} {{ l | length }}", "[1, 2, 3] 3-2-1 3 6 3 2 3", NULL },
    { "{{ ' x ' | trim }}|{{ 'xay' | trim('xy') }}|{{ 'a b' | title }}|{{ 'aB' | capitalize }}|{{ 'stra\\xdfe' | upper }}|{{ '\\u039f\\u03a3' | lower }}", "x|a|A B|Ab|STRASSE|\316\277\317\202", NULL },
    { "{{ m | map(attribute='role') | join(',') }} {{ ['a'] | map('upper') | list }} {{ m | selectattr('role', 'equalto', 'user') | list | length }} {{ l | reject('odd') | list }}",
      "user,assistant ['A'] 1 [2]", NULL },
    { "{{ nothing | default('x') }} {{ '' | default('y', true) }} {{ z | default('q') }} {{ '42.9' | int }} {{ 'x' | int(7) }} {{ '1.5' | float }} {{ 2.5 | round }} {{ 1.25 | round(1) }}",
      "x y None 42 7 1.5 2.0 1.2", NULL },
    { "{{ d | tojson }} {{ '<\\u2028\"\\n\\x01' | tojson }} {{ [1.0, none, true, (1,)] | tojson }} {{ {'b': 1, 'a': {}} | tojson(sort_keys=true, indent=1) }}",
      "{\"a\": 1, \"items\": [1], \"\303\251\": \"x\"} \"<\342\200\250\\\"\\n\\u0001\" [1.0, null, true, [1]] {\n \"a\": {},\n \"b\": 1\n}", NULL },
    { "{{ 'a\\nb\\n\\nc' | indent(2) }} {{ {'b': 1, 'A': 2} | dictsort }} {{ ['b', 'B', 'a'] | unique | list }}", "a\n  b\n\n  c [('A', 2), ('b', 1)] ['b', 'a']", NULL },
    { "{{ [1, 2, 3] | batch(2, 'x') | list }} {{ m | groupby('role') | length }} {{ [3, 4] | slice(2) | list }} {{ 'abc' | reverse }}", "[[1, 2], [3, 'x']] 2 [[3], [4]] cba", NULL },
    { "{{ n is number and s is string and l is iterable and l is sequence and d is mapping and z is none and nothing is undefined and t is true and f is float }}", "True", NULL },
    { "{{ 4 is divisibleby 2 }} {{ 3 is odd }} {{ 2 is in l }} {{ s is not defined }} {{ 'A' is upper }} {{ t is integer }} {{ nothing is sequence }}", "True True True False True False True", NULL },
    { "{{ 'a<b' | e }} {{ '<' | safe + '>' }} {{ '<' | safe ~ '>' }}", "a&lt;b <&gt; <>", NULL },
    /* methods and functions */
    { "{{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.rsplit(',', 1) }} {{ 'abc'.partition('b') }} {{ 'a\\nb'.splitlines() }}", "['a', 'b', 'c'] ['a', 'b'] ['a,b', 'c'] ('a', 'b', 'c') ['a', 'b']", NULL },
    { "{{ s.upper() }} {{ s.startswith('h') }} {{ s.endswith(('x', 'o')) }} {{ s.find('l') }} {{ s.replace('l', 'L', 1) }} {{ 'xax'.strip('x') }} {{ '7'.zfill(3) }} {{ 'aXbX'.count('X') }}",
      "H\303\211LLO True True 2 h\303\251Llo a 007 2", NULL },
    { "{{ d.get('a') }} {{ d.get('q', 5) }} {{ d.keys() | list }} {{ range(3) | list }} {{ range(5, 0, -2) | list }} {{ dict(a=1, **{'b': 2}) }} {{ 'q' in d.keys() }}",
      "1 5 ['a', 'items', '\303\251'] [0, 1, 2] [5, 3, 1] {'a': 1, 'b': 2} False", NULL },
    { "{{ strftime_now('%d %b %Y|%Y-%m-%d %H:%M:%S %j %A %-d %f%z') }}", "03 Feb 2025|2025-02-03 04:05:06 034 Monday 3 000000", NULL },
    { "{{ {'a': 1}.items() }} {{ range(2) }} {{ namespace(a=1) }}", "dict_items([('a', 1)]) range(0, 2) <Namespace {'a': 1}>", NULL },
    { "{% generation %}{% set q = 1 %}a{% endgeneration %}{{ q }}b", "ab", NULL },
    /* errors: of the template */
    { "{{ 1", NULL, "t:1: a tag is not closed by }}" },
    { "a\n{# x", NULL, "t:2: a comment is not closed by #}" },
    { "a\n\n{% if t %}x", NULL, "t:3: the template ends where {% elif %} is due" },
    { "{% endif %}", NULL, "t:1: unknown tag 'endif'" },
    { "{% include 'x' %}", NULL, "t:1: unknown tag 'include'" },
    { "{{ 'abc }}", NULL, "t:1: a string is not closed: 'abc }}" },
    { "{{ a b }}", NULL, "t:1: 'b' where }} is due" },
    { "{{ (1 ] }}", NULL, "t:1: unexpected ]" },
    { "{{ }}", NULL, "t:1: }} where an expression is due" },
    { "{{ 99999999999999999999 }}", NULL, "t:1: 99999999999999999999: an integer beyond 64 bits" },
    { "{{ '\\ud800' }}", NULL, "t:1: not an escape: \\ud800" },
    { "\xff", NULL, "t: byte 0: invalid UTF-8" },
    { "{% set true = 1 %}", NULL, "t:1: cannot assign to 'true'" },
    { "{% macro m(a=1, b) %}{% endmacro %}", NULL, "t:1: a parameter without default behind one that has it" },
    /* errors: of the rendering */
    { "\n{{ raise_exception('no: ' ~ n) }}", NULL, "t:2: no: 3" },
    { "{{ nothing.x }}", NULL, "t:1: 'nothing' is undefined" },
    { "{{ d.q.r }}", NULL, "t:1: 'dict' has no attribute 'q'" },
    { "{% for x in z %}{% endfor %}", NULL, "t:1: 'NoneType' object is not iterable" },
    { "{{ 'a' + d }}", NULL, "t:1: can only concatenate str (not \"dict\") to str" },
    { "{{ 1 < 'a' }}", NULL, "t:1: 'int' and 'str' have no order" },
    { "{{ 1 // 0 }}", NULL, "t:1: division by zero" },
    { "{{ 9223372036854775807 + 1 }}", NULL, "t:1: an integer beyond 64 bits" },
    { "{{ s | nofilter }}", NULL, "t:1: no filter named 'nofilter'" },
    { "{{ s is notest }}", NULL, "t:1: no test named 'notest'" },
    { "{{ l.append(1) }}", NULL, "t:1: 'list' has no attribute 'append'" },
    { "{{ nofunction() }}", NULL, "t:1: 'nofunction' is undefined" },
    { "{{ s() }}", NULL, "t:1: 'str' object is not callable" },
    { "{{ s | replace('a') }}", NULL, "t:1: replace: the argument 'new' is missing" },
    { "{{ s | trim(a=1) }}", NULL, "t:1: trim: an unexpected argument 'a'" },
    { "{{ [].x.y }}", NULL, "t:1: 'list' has no attribute 'x'" },
    { "{{ (l | map('string')) | tojson }}", NULL, "t:1: object of type generator is not JSON serializable" },
    { "{{ nothing | tojson }}", NULL, "t:1: object of type Undefined is not JSON serializable" },
    { "{{ {[1]: 2} }}", NULL, "t:1: a 'list' cannot be a key" },
    { "{% break %}", NULL, "t:1: break or continue outside a loop" },
    { "{% macro m() %}{% endmacro %}{{ m(1) }}", NULL, "t:1: macro 'm' takes not more than 0 arguments" },
    { "{% set n.x = 1 %}", NULL, "t:1: cannot assign attribute on non-namespace object" },
    { "{% set a, b = l %}", NULL, "t:1: 3 values to unpack, 2 expected" },
    { "{{ range(100001) }}", NULL, "t:1: a range of more than 100000" },
    /* limits */
    { "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", NULL, "deep" },
    { "{{ 'x' * 1000000000000 }}", NULL, "bytes of memory" },
    { "{{ [0] * 100000000000 }}", NULL, "bytes of memory" },
    { "{{ 'x'.center(100000000000) }}", NULL, "bytes of memory" },
    { "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", NULL, "bytes of memory" },
    { "{% set ns = namespace(x='x') %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", NULL, "bytes of memory" },
    { "{% set ns = namespace(x=[1]) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x }}{{ ns.x | tojson }}", NULL, "too many steps" },
    { "{% set ns = namespace(x=[1]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", NULL, "nested more than" },
    { "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", NULL, "nested more than" },
};

static const struct tm now = { .tm_year = 125, .tm_mon = 1, .tm_mday = 3, .tm_hour = 4, .tm_min = 5, .tm_sec = 6, .tm_wday = 1, .tm_yday = 33 };

/* Render; NULL on an error, in err. */
static const char *render(struct template_run *r, const char *text, size_t n, const char *name, const struct template_input *in,
                          struct template_result *out)
{
    struct template *t = template_new(text, n, name, &err);
    int rc = t ? template_render(t, r, in, out, &err) : -1;

    template_free(t);
    return rc < 0 ? NULL : out->text;
}

static void check_case(size_t i, struct template_run *r, const struct template_input *in)
{
    struct template_result out;
    const char *got = render(r, cases[i].template, strlen(cases[i].template), "t", in, &out), *want = cases[i].want;

    if (!want)
        OKF(!got && strstr(err.msg, cases[i].says), "%s: %s", cases[i].template, got ? "rendered" : err.msg);
    else
        OKF(got && out.n == strlen(want) && !memcmp(got, want, out.n), "%s: %.*s", cases[i].template, got ? (int)out.n : 999,
            got ? got : err.msg);
}

/* The steps and bytes of a caller, and memory that is kept from one rendering to the next. */
static void check_limits(struct template_run *r, struct template_input in)
{
    static const char text[] = "{% for i in range(100) %}{{ i ~ 'x' * 100 }}{% endfor %}";
    struct template *t = template_new(text, sizeof text - 1, "t", &err);
    struct template_result out;

    OK(t && template_render(t, r, &in, &out, &err) == 0 && out.n == 10190);
    in.steps = 100;
    OK(t && template_render(t, r, &in, &out, &err) < 0 && strstr(err.msg, "t:1: it takes too many steps"));
    in.steps = 0;
    in.memory = 10000;
    OK(t && template_render(t, r, &in, &out, &err) < 0 && strstr(err.msg, "t:1: more than 10000 bytes"));
    in.memory = 0;
    OK(t && template_render(t, r, &in, &out, &err) == 0 && out.n == 10190);
    template_free(t);
}

static void check_spans(struct template_run *r, const struct template_input *in)
{
    static const char text[] = "{% for x in m %}{{ x.role }}:{% generation %}{{ x.content }}.{% endgeneration %}\n{% endfor %}";
    struct template_result out;

    OK(render(r, text, sizeof text - 1, "t", in, &out) && out.n == 21 && out.n_spans == 2 && out.spans[0].start == 5 &&
       out.spans[0].end == 8 && out.spans[1].start == 18 && out.spans[1].end == 21);
}

/* One template, a thread each with a run of its own. */
struct shared_template {
    const struct template *t;
    const struct template_input *in;
    bool good[8];
};

static void render_part(void *ctx, long slice, int thread)
{
    struct shared_template *s = ctx;
    struct template_run *r = template_run_new();
    struct template_result out;
    struct err own;

    (void)thread;
    s->good[slice] = true;
    for (int i = 0; i < 50; i++)
        s->good[slice] &= template_render(s->t, r, s->in, &out, &own) == 0 && out.n == 10 && !memcmp(out.text, "user 3;1;2", 10);
    template_run_free(r);
}

static void check_threads(const struct template_input *in)
{
    static const char text[] = "{% macro f(x) %}{{ x }}{{ ';' if not loop.last }}{% endmacro %}{{ m[0].role }} {{ l | join(';') }}";
    struct shared_template s = { .in = in };
    struct template *t = template_new(text, sizeof text - 1, "t", &err);
    struct par *par = par_new(4);
    bool good = true;

    s.t = t;
    par_for(par, 8, render_part, &s);
    for (int i = 0; i < 8; i++)
        good &= s.good[i];
    OK(good);
    par_free(par);
    template_free(t);
}

/* ---- ../shared */

struct shared {
    struct template_run *run;
    struct template_input in;
    size_t good, bad, refused, spans;
};

static bool read_line(FILE *f, struct arena *a, struct json_value **v)
{
    static char *line;
    static size_t cap;
    ssize_t n = getline(&line, &cap, f);

    arena_reset(a);
    *v = n > 0 ? json_tree(a, line, (size_t)n, "line", &err) : NULL;
    return *v;
}

/* Does the text of the masked tokens hold the spans in order?  Where a token lies across a border, it holds up to two
 * bytes more. */
static bool spans_say(const struct template_result *out, const struct json_value *want)
{
    const char *p = want->str, *end = p + want->len;
    size_t n = 0;

    for (size_t i = 0; p && i < out->n_spans; i++) {
        size_t size = out->spans[i].end - out->spans[i].start;

        p = memmem(p, (size_t)(end - p), out->text + out->spans[i].start, size);
        p = p ? p + size : NULL;
        n += size;
    }
    return p && want->len - n <= 4 * out->n_spans;
}

static void check_line(struct shared *s, const struct json_value *line, const char *text, size_t n)
{
    const struct json_value *want = json_get(line, "text"), *said = json_get(line, "assistant_text");
    struct template_result out;
    const char *got = render(s->run, text, n, json_get(line, "template")->str, &s->in, &out);
    bool same = want ? got && out.n == want->len && !memcmp(got, want->str, out.n) : !got && strchr(err.msg, ':');

    if (same && want && said) {
        s->spans++;
        same = spans_say(&out, said);
    }
    *(same ? want ? &s->good : &s->refused : &s->bad) += 1;
    if (!same)
        printf("# %s %s: %s\n", json_get(line, "template")->str, json_get(line, "case")->str, got ? "differs" : err.msg);
}

static void check_file(const char *file, struct tm clock, const char *vars_key, size_t good, size_t refused, size_t spans)
{
    const char *path = tap_shared(file);
    FILE *f = path ? fopen(path, "r") : NULL;
    struct shared s = { .run = template_run_new(), .in = { .now = clock, .n_vars = 2 } };
    struct arena a;
    struct json_value *line;

    if (!f) {
        SKIP(file, "no ../shared");
        template_run_free(s.run);
        return;
    }
    arena_init(&a);
    while (read_line(f, &a, &line)) {
        const struct json_value *own = json_get(line, "template_text"), *vars[2] = { line, line };
        struct io_map text = { 0 };
        char name[256];

        vars[0] = json_get(line, vars_key);
        s.in.vars = vars;
        snprintf(name, sizeof name, "data/tokenizers/chat/templates/%s.jinja", json_get(line, "template")->str);
        if (!own && io_map(&text, tap_shared(name), &err) < 0) {
            s.bad++;
            continue;
        }
        check_line(&s, line, own ? own->str : (const char *)text.data, own ? own->len : text.size);
        if (!own)
            io_unmap(&text);
    }
    OKF(s.good == good && s.refused == refused && s.bad == 0 && s.spans == spans, "%s: %zu the same, %zu refused, %zu differ, %zu with spans",
        file, s.good, s.refused, s.bad, s.spans);
    fclose(f);
    arena_release(&a);
    template_run_free(s.run);
}

int main(void)
{
    struct template_run *r = template_run_new();
    struct arena a;
    const struct json_value *vars;
    struct template_input in = { .vars = &vars, .n_vars = 1, .now = now, .memory = 16 << 20, .steps = 1000000 };

    arena_init(&a);
    vars = json_tree(&a, VARS, sizeof VARS - 1, "vars", &err);
    OK(vars != NULL);
    for (size_t i = 0; vars && i < sizeof cases / sizeof *cases; i++)
        check_case(i, r, &in);
    check_limits(r, in);
    check_spans(r, &in);
    check_threads(&in);
    check_file("data/tokenizers/chat/rendered.jsonl", (struct tm){ .tm_year = 126, .tm_mon = 7, .tm_mday = 22, .tm_wday = 6, .tm_yday = 233 },
               "vars", 503, 82, 0);
    check_file("golden/chat/renderings.jsonl", (struct tm){ .tm_year = 124, .tm_mon = 6, .tm_mday = 26, .tm_hour = 10, .tm_min = 30, .tm_wday = 5, .tm_yday = 207 },
               "extra", 110, 2, 54);
    template_run_free(r);
    arena_release(&a);
    return tap_done();
}
