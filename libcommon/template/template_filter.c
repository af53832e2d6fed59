/* template_filter.c - the filters of single values. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/template/template_in.h"

static int do_abs(struct template_run *r, const struct call *c, struct value *out)
{
    if (c->self.kind == V_UNDEFINED)
        return template_undefined_error(r, &c->self);
    if (!template_number(&c->self))
        return template_fail(r, "bad operand type for abs(): '%s'", template_kind(&c->self));
    if (template_integer(&c->self) && c->self.u.i == INT64_MIN)
        return template_fail(r, "an integer beyond 64 bits");
    *out = c->self.kind == V_FLOAT ? template_float(fabs(c->self.u.f)) : template_int(c->self.u.i < 0 ? -c->self.u.i : c->self.u.i);
    return 0;
}

static int do_attr(struct template_run *r, const struct call *c, struct value *out)
{
    struct value name;

    if (c->self.kind == V_UNDEFINED)
        return template_undefined_error(r, &c->self);
    if (template_str_arg(r, &c->a[0], "the attribute", &name) < 0)
        return -1;
    return template_member(r, &c->self, name.u.s, name.n, out);
}

static int do_length(struct template_run *r, const struct call *c, struct value *out)
{
    int64_t n = template_length(&c->self);

    if (n < 0)
        return template_fail(r, "object of type '%s' has no len()", template_kind(&c->self));
    *out = template_int(n);
    return template_charge(r, c->self.kind == V_STRING ? c->self.n / 64 : 0);
}

static int do_default(struct template_run *r, const struct call *c, struct value *out)
{
    bool use = c->self.kind == V_UNDEFINED || (template_truth(&c->a[1]) && !template_truth(&c->self));

    (void)r;
    *out = !use ? c->self : c->a[0].kind == V_ABSENT ? template_str("", 0) : c->a[0];
    return 0;
}

static int do_escape(struct template_run *r, const struct call *c, struct value *out)
{
    struct value s;

    return template_string(r, &c->self, &s) < 0 ? -1 : template_escape(r, &s, out);
}

static int do_forceescape(struct template_run *r, const struct call *c, struct value *out)
{
    struct value s;

    if (template_string(r, &c->self, &s) < 0)
        return -1;
    s.safe = false;
    return template_escape(r, &s, out);
}

static int do_safe(struct template_run *r, const struct call *c, struct value *out)
{
    if (template_string(r, &c->self, out) < 0)
        return -1;
    out->safe = true;
    return 0;
}

static int do_string(struct template_run *r, const struct call *c, struct value *out)
{
    return template_string(r, &c->self, out);
}

static int change_case(struct template_run *r, const struct call *c, enum template_case how, struct value *out)
{
    struct value s;

    return template_string(r, &c->self, &s) < 0 ? -1 : template_case(r, &s, how, out);
}

static int do_upper(struct template_run *r, const struct call *c, struct value *out)
{
    return change_case(r, c, TEMPLATE_UPPER, out);
}

static int do_lower(struct template_run *r, const struct call *c, struct value *out)
{
    return change_case(r, c, TEMPLATE_LOWER, out);
}

static int do_capitalize(struct template_run *r, const struct call *c, struct value *out)
{
    return change_case(r, c, TEMPLATE_CAPITAL, out);
}

static int do_title(struct template_run *r, const struct call *c, struct value *out)
{
    return change_case(r, c, TEMPLATE_TITLE, out);
}

/* A filter that is a method of str(self). */
static int as_method(struct template_run *r, const char *name, const struct call *c, struct value *out)
{
    struct value s;

    if (template_string(r, &c->self, &s) < 0)
        return -1;
    return template_call_row(r, template_row(TEMPLATE_METHODS, name, strlen(name), 1u << V_STRING), &s, c->args, out);
}

static int do_trim(struct template_run *r, const struct call *c, struct value *out)
{
    return as_method(r, "strip", c, out);
}

static int do_replace(struct template_run *r, const struct call *c, struct value *out)
{
    struct value args_v[3] = { { 0 } };
    struct args args = { .v = args_v, .n = c->a[2].kind == V_ABSENT || c->a[2].kind == V_NONE ? 2 : 3 };
    struct call method = { .self = c->self, .args = &args };

    args_v[2] = c->a[2];
    for (int i = 0; i < 2; i++)
        if (template_string(r, &c->a[i], &args_v[i]) < 0)
            return -1;
    return as_method(r, "replace", &method, out);
}

static int do_center(struct template_run *r, const struct call *c, struct value *out)
{
    struct value width = c->a[0].kind == V_ABSENT ? template_int(80) : c->a[0];
    struct args args = { .v = &width, .n = 1 };
    struct call method = { .self = c->self, .args = &args };

    return as_method(r, "center", &method, out);
}

static int do_format(struct template_run *r, const struct call *c, struct value *out)
{
    struct value s, args = template_list(V_TUPLE, c->args->v, (size_t)c->args->n);
    struct dict *d = template_dict(r);

    if (c->args->n && c->args->n_kw)
        return template_fail(r, "can't handle positional and keyword arguments at the same time");
    for (int i = 0; i < c->args->n_kw; i++) {
        struct value key = template_str(c->args->kw[i].name, c->args->kw[i].n);

        if (template_dict_set(r, d, &key, &c->args->kw[i].value) < 0)
            return -1;
    }
    if (c->args->n_kw)
        args = (struct value){ .kind = V_DICT, .u.dict = d };
    return template_string(r, &c->self, &s) < 0 ? -1 : template_percent(r, &s, &args, out);
}

/* The digits of a string, without _ and white space around, NUL-ended; NULL: it is none of a number's. */
static const char *number_text(struct template_run *r, const struct value *s)
{
    struct value v = template_strip(*s, true, true);
    char *text = template_alloc(r, (v.n < 400 ? v.n : 400) + 1);
    size_t n = 0;

    for (size_t i = 0; i < v.n && n < 400; i++) {
        if (v.u.s[i] == '_' && (i == 0 || i + 1 == v.n || v.u.s[i + 1] == '_' || v.u.s[i - 1] == '_'))
            return NULL;
        if (v.u.s[i] != '_')
            text[n++] = v.u.s[i];
    }
    text[n] = 0;
    return v.n && n == strlen(text) && n < 400 ? text : NULL;
}

static bool to_double(struct template_run *r, const struct value *v, double *out)
{
    const char *text;
    char *end;

    if (template_number(v)) {
        *out = template_double(v);
        return true;
    }
    text = v->kind == V_STRING ? number_text(r, v) : NULL;
    if (!text || strpbrk(text, "xXpP()"))
        return false;
    *out = strtod(text, &end);
    return end > text && !*end;
}

static bool to_int(struct template_run *r, const struct value *s, int base, int64_t *out)
{
    const char *text = number_text(r, s), *digits;
    char *end;

    if (!text)
        return false;
    digits = text + (*text == '-' || *text == '+');
    if (base && (base < 2 || base > 36))
        return false;
    if (digits[0] == '0' && digits[1] && ((digits[1] | 0x20) == 'b' || (digits[1] | 0x20) == 'o') && (base == 0 || base == 2 || base == 8)) {
        int own = (digits[1] | 0x20) == 'b' ? 2 : 8;

        if (base && base != own)
            return false;
        errno = 0;
        *out = strtoll(digits + 2, &end, own) * (*text == '-' ? -1 : 1);
        return !errno && end > digits + 2 && !*end;
    }
    if (base != 0 && base != 16 && digits[0] && (digits[1] | 0x20) == 'x')
        return false;
    errno = 0;
    *out = strtoll(text, &end, base);
    return !errno && end > text && !*end && *digits != '-' && *digits != '+' && *digits != ' ';
}

static int do_int(struct template_run *r, const struct call *c, struct value *out)
{
    int64_t base, i;
    double f;

    if (c->self.kind == V_UNDEFINED)
        return template_undefined_error(r, &c->self);
    if (template_int_arg(r, &c->a[1], "base", 10, &base) < 0)
        return -1;
    if (c->self.kind == V_BIG || template_integer(&c->self)) {
        *out = c->self.kind == V_BIG ? c->self : template_int(c->self.u.i);
        return 0;
    }
    *out = c->a[0].kind == V_ABSENT ? template_int(0) : c->a[0];
    if (c->self.kind == V_STRING && base >= 0 && base <= 36 && to_int(r, &c->self, (int)base, &i)) {
        *out = template_int(i);
    } else if (to_double(r, &c->self, &f) && isfinite(f)) {
        if (!(fabs(f) < 0x1p63))
            return template_fail(r, "an integer beyond 64 bits");
        *out = template_int((int64_t)f);
    } else if (c->self.kind == V_FLOAT && isinf(c->self.u.f)) {
        return template_fail(r, "cannot convert float infinity to integer");
    }
    return 0;
}

static int do_float(struct template_run *r, const struct call *c, struct value *out)
{
    double f;

    if (c->self.kind == V_UNDEFINED)
        return template_undefined_error(r, &c->self);
    *out = c->a[0].kind == V_ABSENT ? template_float(0) : c->a[0];
    if (to_double(r, &c->self, &f))
        *out = template_float(f);
    return 0;
}

/* As Python rounds: to the nearest of the exact value, ties to even. */
static double round_to(double f, int64_t precision)
{
    char text[400];

    if (!isfinite(f) || precision > 300)
        return f;
    if (precision >= 0) {
        snprintf(text, sizeof text, "%.*f", (int)(precision < 60 ? precision : 60), f);
        return fabs(f) < 1e60 ? strtod(text, NULL) : f;
    }
    return nearbyint(f / pow(10, (double)-precision)) * pow(10, (double)-precision);
}

static int do_round(struct template_run *r, const struct call *c, struct value *out)
{
    struct value method = template_str("common", 6);
    int64_t precision;
    double f, scale;

    if (c->self.kind == V_UNDEFINED)
        return template_undefined_error(r, &c->self);
    if (template_int_arg(r, &c->a[0], "precision", 0, &precision) < 0 ||
        (c->a[1].kind != V_ABSENT && template_str_arg(r, &c->a[1], "method", &method) < 0))
        return -1;
    if (!template_number(&c->self))
        return template_fail(r, "'%s' cannot be rounded", template_kind(&c->self));
    f = template_double(&c->self);
    scale = pow(10, (double)precision);
    if (method.n == 6 && !memcmp(method.u.s, "common", 6)) {
        if (template_integer(&c->self) && precision >= 0)
            *out = template_int(c->self.u.i);
        else
            *out = template_integer(&c->self) ? template_int((int64_t)round_to(f, precision)) : template_float(round_to(f, precision));
        return 0;
    }
    if (method.n == 4 && !memcmp(method.u.s, "ceil", 4))
        *out = template_float(ceil(f * scale) / scale);
    else if (method.n == 5 && !memcmp(method.u.s, "floor", 5))
        *out = template_float(floor(f * scale) / scale);
    else
        return template_fail(r, "method must be common, ceil or floor");
    return 0;
}

/* Lines as str.splitlines() cuts them, the text having a newline put behind it. */
static int do_indent(struct template_run *r, const struct call *c, struct value *out)
{
    bool first = template_truth(&c->a[1]), blank = template_truth(&c->a[2]), start = true;
    struct value s = c->self, width = c->a[0], lines;
    const struct value *e;
    struct args none = { 0 };
    int64_t n;
    size_t count, mark;

    if (s.kind != V_STRING)
        return s.kind == V_UNDEFINED ? template_undefined_error(r, &s) : template_fail(r, "cannot indent a %s", template_kind(&s));
    if (width.kind != V_STRING) {
        struct value blank_s = template_str(" ", 1), times;

        if (template_int_arg(r, &width, "width", 4, &n) < 0)
            return -1;
        times = template_int(n);
        if (template_binary(r, N_MUL, &blank_s, &times, &width) < 0)
            return -1;
    }
    mark = template_mark(r);
    template_put(r, s.u.s, s.n);
    template_put(r, "\n", 1);
    if (template_take(r, mark, &s) < 0 ||
        template_call_row(r, template_row(TEMPLATE_METHODS, "splitlines", 10, 1u << V_STRING), &s, &none, &lines) < 0)
        return -1;
    e = lines.u.v;
    count = lines.n;
    mark = template_mark(r);
    for (size_t i = 0; i < count; i++, start = false) {
        if (!start)
            template_put(r, "\n", 1);
        if (start ? first : blank || e[i].n)
            template_put(r, width.u.s, width.n);
        template_put(r, e[i].u.s, e[i].n);
        if (template_charge(r, 1 + width.n / 64) < 0)
            return -1;
    }
    if (template_take(r, mark, out) < 0)
        return -1;
    out->safe = c->self.safe;
    return 0;
}

static int do_wordcount(struct template_run *r, const struct call *c, struct value *out)
{
    struct value s;
    int64_t n = 0;

    if (template_string(r, &c->self, &s) < 0)
        return -1;
    for (size_t i = 0, in = 0; i < s.n; i++) {
        char b = s.u.s[i];
        bool word = (b & 0x80) || b == '_' || (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z');

        n += word && !in;
        in = word;
    }
    *out = template_int(n);
    return 0;
}

const struct row template_filters[] = {
    { "abs", do_abs, "", 0 },
    { "attr", do_attr, "name", 0 },
    { "capitalize", do_capitalize, "", 0 },
    { "center", do_center, "width=", 0 },
    { "count", do_length, "", 0 },
    { "d", do_default, "default_value=,boolean=", 0 },
    { "default", do_default, "default_value=,boolean=", 0 },
    { "e", do_escape, "", 0 },
    { "escape", do_escape, "", 0 },
    { "float", do_float, "default=", 0 },
    { "forceescape", do_forceescape, "", 0 },
    { "format", do_format, "*", 0 },
    { "indent", do_indent, "width=,first=,blank=", 0 },
    { "int", do_int, "default=,base=", 0 },
    { "length", do_length, "", 0 },
    { "lower", do_lower, "", 0 },
    { "replace", do_replace, "old,new,count=", 0 },
    { "round", do_round, "precision=,method=", 0 },
    { "safe", do_safe, "", 0 },
    { "string", do_string, "", 0 },
    { "title", do_title, "", 0 },
    { "tojson", template_json, "ensure_ascii=,indent=,separators=,sort_keys=", 0 },
    { "trim", do_trim, "chars=", 0 },
    { "upper", do_upper, "", 0 },
    { "wordcount", do_wordcount, "", 0 },
    { NULL, NULL, NULL, 0 },
};
