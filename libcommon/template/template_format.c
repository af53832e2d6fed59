/* template_format.c - "%s" % value and "{}".format(value), with the specifications that numbers and strings have. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/template/template_in.h"

enum { MOST_WIDTH = 10000, MOST_PRECISION = 100 };

struct spec {
    char align, sign, type; /* align: < > ^ = */
    bool comma, alternate;
    const char *fill;
    size_t fill_n;
    int width, precision; /* -1: not given */
};

static const char *digits(const char *p, const char *end, int *out)
{
    for (*out = 0; p < end && *p >= '0' && *p <= '9'; p++)
        *out = *out < MOST_WIDTH ? *out * 10 + (*p - '0') : MOST_WIDTH + 1;
    return p;
}

static void put_times(struct template_run *r, const char *s, size_t n, int64_t times)
{
    for (; times > 0; times--)
        template_put(r, s, n);
}

/* sign and body in a field of the spec's width. */
static int put_field(struct template_run *r, const struct spec *s, const char *sign, const char *body, size_t n)
{
    int64_t room = s->width - (int64_t)strlen(sign) - (int64_t)template_chars(body, n), left;

    if (s->width > MOST_WIDTH)
        return template_fail(r, "a field wider than %d", MOST_WIDTH);
    left = s->align == '<' || s->align == '=' ? 0 : s->align == '^' ? room / 2 : room;
    put_times(r, s->fill, s->fill_n, left);
    template_put(r, sign, strlen(sign));
    if (s->align == '=')
        put_times(r, s->fill, s->fill_n, room);
    template_put(r, body, n);
    if (s->align != '=' && room > 0)
        put_times(r, s->fill, s->fill_n, room - (left > 0 ? left : 0));
    return template_charge(r, (size_t)s->width / 8 + 1);
}

/* The digits of |v|, without grouping; its length. */
static int magnitude(char out[512], const struct spec *s, const struct value *v)
{
    int precision = s->precision < 0 ? 6 : s->precision;
    uint64_t i = template_integer(v) ? (v->u.i < 0 ? -(uint64_t)v->u.i : (uint64_t)v->u.i) : 0;
    double f = fabs(template_double(v));

    switch (s->type) {
    case 'x':
        return snprintf(out, 512, "%s%" PRIx64, s->alternate ? "0x" : "", i);
    case 'X':
        return snprintf(out, 512, "%s%" PRIX64, s->alternate ? "0X" : "", i);
    case 'o':
        return snprintf(out, 512, "%s%" PRIo64, s->alternate ? "0o" : "", i);
    case 'e':
        return snprintf(out, 512, "%.*e", precision, f);
    case 'E':
        return snprintf(out, 512, "%.*E", precision, f);
    case 'g':
        return snprintf(out, 512, "%.*g", precision, f);
    case 'G':
        return snprintf(out, 512, "%.*G", precision, f);
    case 'f':
    case 'F':
        return snprintf(out, 512, "%.*f", precision, f);
    case '%':
        return snprintf(out, 512, "%.*f%%", precision, f * 100);
    default:
        return snprintf(out, 512, "%.*" PRIu64, s->precision < 0 ? 1 : s->precision, i);
    }
}

static int put_number(struct template_run *r, const struct spec *s, const struct value *v)
{
    char body[512], grouped[700];
    const char *sign = signbit(template_double(v)) ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "";
    size_t n, whole, to = 0;

    if (!isfinite(template_double(v)) || fabs(template_double(v)) > 1e300 || s->precision > MOST_PRECISION)
        return template_fail(r, "a number that cannot be formatted");
    n = (size_t)magnitude(body, s, v);
    if (!s->comma)
        return put_field(r, s, sign, body, n);
    whole = strspn(body, "0123456789");
    for (size_t i = 0; i < n; i++) {
        if (i && i < whole && (whole - i) % 3 == 0)
            grouped[to++] = ',';
        grouped[to++] = body[i];
    }
    return put_field(r, s, sign, grouped, to);
}

/* str() or repr() cut to the precision. */
static int put_text(struct template_run *r, const struct spec *s, const struct value *v, bool repr)
{
    size_t mark = template_mark(r), n = 0;
    struct value text;

    if (template_show(r, v, repr, 0) < 0 || template_take(r, mark, &text) < 0)
        return -1;
    for (int i = 0; i != s->precision && n < text.n; i++)
        n += template_char(text.u.s + n, text.u.s + text.n);
    return put_field(r, s, "", text.u.s, n);
}

/* %...: behind the percent sign up to the type. */
static const char *percent_spec(const char *p, const char *end, struct spec *s)
{
    *s = (struct spec){ .align = '>', .fill = " ", .fill_n = 1, .precision = -1 };
    for (; p < end && *p && strchr("-+ #0", *p); p++) {
        if (*p == '-')
            s->align = '<';
        else if (*p == '0' && s->align != '<')
            s->align = '=';
        else if (*p == '#')
            s->alternate = true;
        else if (*p == '+' || *p == ' ')
            s->sign = *p == '+' || s->sign == '+' ? '+' : ' ';
    }
    p = digits(p, end, &s->width);
    if (p < end && *p == '.')
        p = digits(p + 1, end, &s->precision);
    s->type = p < end ? *p++ : 0;
    return p;
}

static int put_percent(struct template_run *r, struct spec *s, const struct value *v)
{
    struct value whole, text;
    char c[4];

    if (s->type == 'c' && template_integer(v) && v->u.i >= 0 && v->u.i < 0x110000 && (v->u.i < 0xd800 || v->u.i > 0xdfff)) {
        text = template_str(c, (size_t)utf8_encode((uint32_t)v->u.i, c));
        return put_text(r, s, &text, false);
    }
    if (s->type == 'c' && v->kind == V_STRING && template_length(v) == 1)
        return put_text(r, s, v, false);
    if (s->type == 's' || s->type == 'r') {
        s->align = s->align == '=' ? '>' : s->align;
        return put_text(r, s, v, s->type == 'r');
    }
    if (!s->type || !strchr("diuxXofFeEgG", s->type))
        return template_fail(r, "unsupported format character '%c'", s->type);
    if (!template_number(v) || (strchr("xXo", s->type) && v->kind == V_FLOAT))
        return v->kind == V_UNDEFINED ? template_undefined_error(r, v)
                                      : template_fail(r, "%%%c format: a number is required, not %s", s->type, template_kind(v));
    if (s->align == '=')
        s->fill = "0";
    if (strchr("diu", s->type) && v->kind == V_FLOAT) {
        if (!(fabs(v->u.f) < 9e18))
            return template_fail(r, "an integer beyond 64 bits");
        whole = template_int((int64_t)v->u.f);
        v = &whole;
    }
    return put_number(r, s, v);
}

/* %(key)s: the value, and p behind the bracket. */
static int mapped(struct template_run *r, const char **p, const char *end, const struct value *args, struct value *out)
{
    const char *close = memchr(*p, ')', (size_t)(end - *p));
    struct value key;
    const struct value *found;
    int rc = 0;

    if (!close)
        return template_fail(r, "incomplete format key");
    if (args->kind != V_DICT)
        return template_fail(r, "format requires a mapping");
    key = template_str(*p + 1, (size_t)(close - *p) - 1);
    found = template_dict_get(r, args->u.dict, &key, &rc);
    if (!found)
        return rc < 0 ? -1 : template_fail(r, "no key '%.*s' to format", (int)(key.n < 80 ? key.n : 80), key.u.s);
    *out = *found;
    *p = close + 1;
    return 0;
}

int template_percent(struct template_run *r, const struct value *format, const struct value *args, struct value *out)
{
    const char *p = format->u.s, *end = p + format->n;
    const struct value *list = args->kind == V_TUPLE ? args->u.v : args;
    size_t n = args->kind == V_TUPLE ? args->n : 1, next = 0, mark = template_mark(r);
    bool mapping = args->kind == V_DICT;

    while (p < end) {
        const char *stop = memchr(p, '%', (size_t)(end - p));
        struct value v;
        struct spec s;

        template_put(r, p, (size_t)((stop ? stop : end) - p));
        if (!stop)
            break;
        p = stop + 1;
        if (p < end && *p == '%') {
            template_put(r, p++, 1);
            continue;
        }
        if (p < end && *p == '(') {
            if (mapped(r, &p, end, args, &v) < 0)
                return -1;
        } else if (next < n) {
            v = list[next++];
        } else {
            return template_fail(r, "not enough arguments for format string");
        }
        p = percent_spec(p, end, &s);
        if (put_percent(r, &s, &v) < 0)
            return -1;
    }
    if (next < n && !mapping && args->kind != V_LIST && args->kind != V_UNDEFINED)
        return template_fail(r, "not all arguments converted during string formatting");
    return template_take(r, mark, out);
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static int brace_spec(struct template_run *r, const char *p, const char *end, struct spec *s, bool number)
{
    size_t n = p < end ? template_char(p, end) : 0;
    bool zero = false;

    *s = (struct spec){ .align = number ? '>' : '<', .fill = " ", .fill_n = 1, .precision = -1 };
    if (n && p + n < end && strchr("<>^=", p[n])) {
        s->fill = p;
        s->fill_n = n;
        s->align = p[n];
        p += n + 1;
    } else if (n && *p && strchr("<>^=", *p)) {
        s->align = *p++;
    } else {
        zero = true;
    }
    if (p < end && (*p == '+' || *p == '-' || *p == ' '))
        s->sign = *p++;
    if (p < end && *p == '#') {
        s->alternate = true;
        p++;
    }
    if (p < end && *p == '0') {
        s->fill = zero ? "0" : s->fill;
        s->align = zero && number ? '=' : s->align;
        p++;
    }
    p = digits(p, end, &s->width);
    if (p < end && *p == ',') {
        s->comma = true;
        p++;
    }
    if (p < end && *p == '.')
        p = digits(p + 1, end, &s->precision);
    s->type = p < end ? *p++ : 0;
    if (p != end || (s->type && !strchr(number ? "dxXofFeEgG%" : "s", s->type)))
        return template_fail(r, "an unsupported format specification");
    return 0;
}

/* The value that "name", "0" or "" of a field stands for. */
static int field_value(struct template_run *r, const char *s, size_t n, const struct args *args, int *next, struct value *out)
{
    int i = 0;

    if (!n || (*s >= '0' && *s <= '9')) {
        if (n && digits(s, s + n, &i) != s + n)
            return template_fail(r, "an unsupported replacement field");
        if (!n)
            i = (*next)++;
        if (i >= args->n)
            return template_fail(r, "replacement index %d out of range", i);
        *out = args->v[i];
        return 0;
    }
    for (i = 0; i < args->n_kw; i++)
        if (args->kw[i].n == n && memcmp(args->kw[i].name, s, n) == 0) {
            *out = args->kw[i].value;
            return 0;
        }
    return template_fail(r, "no argument '%.*s' to format", (int)(n < 80 ? n : 80), s);
}

static int put_brace(struct template_run *r, const char *p, const char *end, const struct args *args, int *next)
{
    const char *colon = memchr(p, ':', (size_t)(end - p)), *name_end = colon ? colon : end;
    bool repr = name_end - p >= 2 && name_end[-2] == '!' && name_end[-1] == 'r', number;
    struct value v;
    struct spec s;

    if (field_value(r, p, (size_t)(name_end - p) - (repr ? 2 : 0), args, next, &v) < 0)
        return -1;
    number = template_number(&v) && !repr && (v.kind != V_BOOL || colon);
    if (brace_spec(r, colon ? colon + 1 : end, end, &s, number) < 0)
        return -1;
    if (colon && colon + 1 < end && !number && v.kind != V_STRING && !repr)
        return template_fail(r, "a format specification for a %s", template_kind(&v));
    if (!number)
        return put_text(r, &s, &v, repr);
    if (!s.type && v.kind == V_FLOAT && s.precision < 0 && !s.comma && !s.sign && s.align != '=')
        return put_text(r, &s, &v, false);
    if (!s.type && v.kind == V_FLOAT)
        return template_fail(r, "a format specification of a float without a type");
    if (v.kind == V_FLOAT && strchr("dxXo", s.type))
        return template_fail(r, "unknown format code '%c' for a float", s.type);
    if (v.kind != V_FLOAT && s.precision >= 0 && (!s.type || strchr("dxXo", s.type)))
        return template_fail(r, "precision not allowed in integer format");
    return put_number(r, &s, &v);
}

int template_format(struct template_run *r, const struct value *format, const struct args *args, struct value *out)
{
    const char *p = format->u.s, *end = p + format->n;
    size_t mark = template_mark(r);
    int next = 0;

    while (p < end) {
        size_t plain = 0;
        const char *close;

        while (p + plain < end && p[plain] != '{' && p[plain] != '}')
            plain++;
        template_put(r, p, plain);
        p += plain;
        if (p == end)
            break;
        if (p + 1 < end && p[1] == *p) {
            template_put(r, p, 1);
            p += 2;
            continue;
        }
        close = *p == '{' ? memchr(p, '}', (size_t)(end - p)) : NULL;
        if (!close)
            return template_fail(r, "single '%c' in format string", *p);
        if (put_brace(r, p + 1, close, args, &next) < 0)
            return -1;
        p = close + 1;
    }
    return template_take(r, mark, out);
}
