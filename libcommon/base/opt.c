#include "libcommon/base/opt.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/num.h"

static struct opt_common common_values;
static bool want_help, want_version, want_dump;

static const struct opt common_opts[] = {
    { 'j', "jobs", OPT_INT, &common_values.jobs, "N", "threads; 0: all there are (the default)", 0, 1024 },
    { 'o', "output", OPT_STR, &common_values.output, "FILE", "write to FILE, whole or not at all", 0, 0 },
    { 'q', "quiet", OPT_FLAG, &common_values.quiet, NULL, "no progress, no summary", 0, 0 },
    { 0, "on-error", OPT_CHOICE, &common_values.on_error, "fail|skip|replace", "what to do with a bad record", 0, 0 },
    { 'h', "help", OPT_FLAG, &want_help, NULL, "print this", 0, 0 },
    { 0, "version", OPT_FLAG, &want_version, NULL, "print the version", 0, 0 },
    { 0, "dump-options", OPT_FLAG, &want_dump, NULL, NULL, 0, 0 },
};
enum { N_COMMON = 4, N_ALL = sizeof common_opts / sizeof *common_opts };
/* Every program takes these, so that one line of options serves a pipeline; who has no use for them does not
 * list them. */
enum { EVERYWHERE = OPT_JOBS | OPT_QUIET | OPT_ONERROR };

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!a[i] || (a[i] == '_' ? '-' : a[i]) != (b[i] == '_' ? '-' : b[i]))
            return false;
    return a[n] == 0;
}

static const struct opt *by_name(const struct opt *opts, const char *name, size_t n)
{
    for (; opts && opts->name; opts++)
        if (same_name(opts->name, name, n))
            return opts;
    return NULL;
}

int opt_size(const char *s, int64_t *out)
{
    static const char suffix[] = "KMGT";
    char *end;
    const char *u;
    int64_t v, scale = 1;

    errno = 0;
    v = strtoll(s, &end, 10);
    if (end == s || errno || v < 0)
        return -1;
    if (*end) {
        u = strchr(suffix, toupper((unsigned char)*end));
        if (!u || end[1])
            return -1;
        scale = (int64_t)1 << (10 * (u - suffix + 1));
    }
    return __builtin_mul_overflow(v, scale, out) ? -1 : 0;
}

static int set_int(const struct opt *o, const char *v, struct err *err)
{
    int64_t n;
    char *end;
    bool bounded = o->min || o->max;

    if (o->type == OPT_SIZE) {
        if (opt_size(v, &n) < 0)
            return err_set(err, "%s: not a size: '%s'", o->name, v);
    } else {
        errno = 0;
        n = strtoll(v, &end, 10);
        if (end == v || *end || errno)
            return err_set(err, "%s: not a whole number: '%s'", o->name, v);
    }
    if (bounded ? n < o->min || n > o->max : n < 0)
        return err_set(err, "%s: %s is not within %" PRId64 "..%" PRId64, o->name, v, o->min,
                       bounded ? o->max : INT64_MAX);
    *(int64_t *)o->var = n;
    return 0;
}

static int set_choice(const struct opt *o, const char *v, struct err *err)
{
    const char *p = o->arg;
    size_t n = strlen(v);

    for (int i = 0; p; i++) {
        size_t len = strcspn(p, "|");

        if (len == n && strncmp(p, v, n) == 0) {
            *(int *)o->var = i;
            return 0;
        }
        p = p[len] ? p + len + 1 : NULL;
    }
    return err_set(err, "%s: '%s' is none of %s", o->name, v, o->arg);
}

static int set_float(const struct opt *o, const char *v, struct err *err)
{
    char *end;
    double d = strtod(v, &end);

    if (end == v || *end || !isfinite(d))
        return err_set(err, "%s: not a number: '%s'", o->name, v);
    *(double *)o->var = d;
    return 0;
}

static int set(const struct opt *o, const char *v, struct err *err)
{
    struct opt_list *l;

    switch (o->type) {
    case OPT_FLAG:
        *(bool *)o->var = true;
        return 0;
    case OPT_BOOL:
        if (strcmp(v, "1") != 0 && strcmp(v, "0") != 0 && strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
            return err_set(err, "%s: '%s' is none of 0 1 true false", o->name, v);
        *(bool *)o->var = *v == '1' || *v == 't';
        return 0;
    case OPT_INT:
    case OPT_SIZE:
        return set_int(o, v, err);
    case OPT_FLOAT:
        return set_float(o, v, err);
    case OPT_CHOICE:
        return set_choice(o, v, err);
    case OPT_LIST:
        l = o->var;
        l->v = xrealloc(l->v, ((size_t)l->n + 1) * sizeof *l->v);
        l->v[l->n++] = v;
        return 0;
    case OPT_STR:
    case OPT_MAYBE:
        break;
    }
    *(const char **)o->var = v;
    return 0;
}

int opt_assign(const struct opt *opts, const char *key, const char *value, struct err *err)
{
    const struct opt *o = by_name(opts, key, strlen(key));

    if (!o)
        return err_set(err, "no such key: '%s'", key);
    return set(o, value, err);
}

static char *trim(char *s, char *end)
{
    while (s < end && isspace((unsigned char)*s))
        s++;
    while (end > s && isspace((unsigned char)end[-1]))
        end--;
    *end = 0;
    return s;
}

int opt_read(const struct opt *opts, struct arena *keep, const char *text, size_t size, const char *name, struct err *err)
{
    const char *p = text, *stop = text + size;

    if (size && memchr(text, 0, size))
        return err_set(err, "%s: holds a NUL byte", name);
    for (int line = 1; p < stop; line++) {
        const char *nl = memchr(p, '\n', (size_t)(stop - p));
        size_t n = (size_t)((nl ? nl : stop) - p);
        char *copy = arena_strndup(keep, p, n), *key, *eq, *value;

        p += n + 1;
        for (char *c = strchr(copy, '#'); c; c = strchr(c + 1, '#'))
            if (c == copy || c[-1] == ' ' || c[-1] == '\t')
                *c = 0;
        key = trim(copy, copy + strlen(copy));
        if (!*key)
            continue;
        eq = strchr(key, '=');
        if (!eq)
            return err_set(err, "%s:%d: not key = value: '%s'", name, line, key);
        value = trim(eq + 1, eq + 1 + strlen(eq + 1));
        if (*value == '#')
            *value = 0;
        key = trim(key, eq);
        if (opt_assign(opts, key, value, err) < 0)
            return err_prefix(err, "%s:%d", name, line);
    }
    return 0;
}

int opt_format(const struct opt *o, char *buf, size_t size)
{
    const char *p = o->arg;
    const char *s;
    char number[NUM_ROOM];

    switch (o->type) {
    case OPT_FLAG:
    case OPT_BOOL:
        return snprintf(buf, size, "%s = %d", o->name, *(bool *)o->var);
    case OPT_INT:
    case OPT_SIZE:
        return snprintf(buf, size, "%s = %" PRId64, o->name, *(int64_t *)o->var);
    case OPT_FLOAT:
        num_format(number, *(double *)o->var);
        return snprintf(buf, size, "%s = %s", o->name, number);
    case OPT_CHOICE:
        for (int i = *(int *)o->var; i > 0 && p; i--) {
            p = strchr(p, '|');
            p = p ? p + 1 : NULL;
        }
        return snprintf(buf, size, "%s = %.*s", o->name, p ? (int)strcspn(p, "|") : 0, p ? p : "");
    case OPT_STR:
    case OPT_MAYBE:
    case OPT_LIST:
        break;
    }
    s = o->type == OPT_LIST ? NULL : *(const char **)o->var;
    return snprintf(buf, size, "%s = %s", o->name, s ? s : "");
}

static bool takes(const struct opt_cmd *cmd, int i)
{
    return i >= N_COMMON || (cmd->common >> i & 1);
}

static void usage_line(const struct opt_cmd *cmd, FILE *f)
{
    fprintf(f, "usage: %s [OPTION]...%s%s\n", cmd->name, cmd->operands ? " " : "", cmd->operands ? cmd->operands : "");
}

void opt_die(const struct opt_cmd *cmd, const char *fmt, ...)
{
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    err_warn("%s", e.msg);
    usage_line(cmd, stderr);
    exit(2);
}

static void help_row(const struct opt *o)
{
    char left[128];
    int n;

    if (!o->help)
        return;
    n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
                  : snprintf(left, sizeof left, "      --%s", o->name);
    if (o->arg && n > 0)
        snprintf(left + n, sizeof left - (size_t)n, o->type == OPT_MAYBE ? "[=%s]" : " %s", o->arg);
    if (strlen(left) > 30)
        printf("%s\n%32s%s\n", left, "", o->help);
    else
        printf("%-32s%s\n", left, o->help);
}

static void help(const struct opt_cmd *cmd)
{
    usage_line(cmd, stdout);
    printf("%s\n\n", cmd->purpose);
    for (const struct opt *o = cmd->opts; o && o->name; o++)
        help_row(o);
    for (int i = 0; i < N_ALL; i++)
        if (takes(cmd, i))
            help_row(&common_opts[i]);
    printf("\nexample:\n  %s\n\nThe manual: man %s\n", cmd->example, cmd->name);
}

static void dump_row(const struct opt *o)
{
    static const char *const types[] = { "flag", "bool", "int", "size", "float", "str", "list", "choice", "maybe" };

    if (o->help)
        printf("%c\t%s\t%s\t%s\t%s\n", o->letter ? o->letter : '-', o->name, types[o->type], o->arg ? o->arg : "", o->help);
}

static void dump(const struct opt_cmd *cmd)
{
    printf("purpose\t%s\nexample\t%s\n", cmd->purpose, cmd->example);
    for (const struct opt *o = cmd->opts; o && o->name; o++)
        dump_row(o);
    for (int i = 0; i < N_ALL; i++)
        if (takes(cmd, i))
            dump_row(&common_opts[i]);
}

/* Where the options are looked up: the tool's own table, then the common one. */
static const struct opt *find(const struct opt_cmd *cmd, const char *name, size_t n, char letter)
{
    for (const struct opt *o = cmd->opts; o && o->name; o++)
        if (letter ? o->letter == letter : same_name(o->name, name, n))
            return o;
    for (int i = 0; i < N_ALL; i++)
        if ((takes(cmd, i) || EVERYWHERE >> i & 1) &&
            (letter ? common_opts[i].letter == letter : same_name(common_opts[i].name, name, n)))
            return &common_opts[i];
    return NULL;
}

static void set_or_die(const struct opt_cmd *cmd, const struct opt *o, const char *value)
{
    struct err err;

    if (set(o, value, &err) < 0)
        opt_die(cmd, "%s%s", cmd->keys ? "" : "--", err.msg);
}

/* argv[i] is "--name", "--name=value"; returns the index of the last word used. */
static int long_option(const struct opt_cmd *cmd, int argc, char **argv, int i)
{
    const char *name = argv[i] + 2, *eq = strchr(name, '=');
    const struct opt *o = find(cmd, name, eq ? (size_t)(eq - name) : strlen(name), 0);

    if (!o)
        opt_die(cmd, "unknown option %s", argv[i]);
    if (o->type == OPT_FLAG) {
        if (eq)
            opt_die(cmd, "--%s takes no value", o->name);
        set_or_die(cmd, o, NULL);
    } else if (eq || o->type == OPT_MAYBE) {
        set_or_die(cmd, o, eq ? eq + 1 : "");
    } else {
        if (i + 1 >= argc)
            opt_die(cmd, "--%s needs a value: %s", o->name, o->arg);
        set_or_die(cmd, o, argv[++i]);
    }
    return i;
}

/* argv[i] is "-x", "-xVALUE", "-xy"; returns the index of the last word used. */
static int short_options(const struct opt_cmd *cmd, int argc, char **argv, int i)
{
    for (const char *p = argv[i] + 1; *p; p++) {
        const struct opt *o = find(cmd, NULL, 0, *p);

        if (!o)
            opt_die(cmd, "unknown option -%c", *p);
        if (o->type == OPT_FLAG || (o->type == OPT_MAYBE && !p[1])) {
            set_or_die(cmd, o, "");
            continue;
        }
        if (p[1]) {
            set_or_die(cmd, o, p + 1);
        } else {
            if (i + 1 >= argc)
                opt_die(cmd, "-%c needs a value: %s", *p, o->arg);
            set_or_die(cmd, o, argv[++i]);
        }
        break;
    }
    return i;
}

static int finish(const struct opt_cmd *cmd, struct opt_common *common)
{
    if (want_help || want_version || want_dump) {
        if (want_help)
            help(cmd);
        else if (want_version)
            printf("%s (lmpipe) %s\n", cmd->name, LMPIPE_VERSION);
        else
            dump(cmd);
        if (fflush(stdout) != 0)
            die("standard output: write:");
        exit(0);
    }
    if (common_values.on_error != OPT_FAIL && !(cmd->common & OPT_ONERROR))
        opt_die(cmd, "--on-error: there is nothing to skip or replace here");
    if (common_values.jobs == 0)
        common_values.jobs = cpu_count();
    cpu_tier(); /* a wrong LMPIPE_CPU is told by every program, before any work */
    *common = common_values;
    return 0;
}

int opt_parse(const struct opt_cmd *cmd, struct opt_common *common, int argc, char **argv)
{
    char **operands;
    int n = 0, i;

    err_progname = cmd->name;
    io_init();
    operands = xmalloc(sizeof *operands * (size_t)(argc + 1));
    for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            operands[n++] = argv[i];
        else if (argv[i][1] == '-')
            i = long_option(cmd, argc, argv, i);
        else
            i = short_options(cmd, argc, argv, i);
    }
    for (i++; i < argc; i++)
        operands[n++] = argv[i];
    memcpy(argv + argc - n, operands, sizeof *operands * (size_t)n);
    free(operands);
    finish(cmd, common);
    return argc - n;
}
