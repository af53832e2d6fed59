#include "libcommon/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *err_progname = "lmpipe";
void (*err_die_hook)(void);

ERR_PRINTF(3, 0) static void format(char *out, size_t size, const char *fmt, va_list ap)
{
    int saved = errno;
    size_t flen = strlen(fmt);
    int n = vsnprintf(out, size, fmt, ap);

    if (n < 0)
        n = 0;
    if (flen && fmt[flen - 1] == ':' && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, " %s", strerror(saved));
    errno = saved;
}

int err_set(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    char old[sizeof e->msg];
    va_list ap;
    int n;

    memcpy(old, e->msg, sizeof old);
    va_start(ap, fmt);
    n = vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof e->msg)
        snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %s", old);
    return -1;
}

static void print(const char *msg)
{
    char line[4 * sizeof(struct err) + 64];
    size_t n = (size_t)snprintf(line, 64, "%.60s: ", err_progname);

    for (; *msg && n < sizeof line - 8; msg++) {
        unsigned char c = (unsigned char)*msg;

        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
        else
            line[n++] = (char)c;
    }
    line[n++] = '\n';
    fwrite(line, 1, n, stderr); /* one call: lines of several processes do not mix */
}

void err_warn(const char *fmt, ...)
{
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    format(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    print(e.msg);
}

void die(const char *fmt, ...)
{
    struct err e;
    va_list ap;

    va_start(ap, fmt);
    format(e.msg, sizeof e.msg, fmt, ap);
    va_end(ap);
    print(e.msg);
    if (err_die_hook)
        err_die_hook();
    exit(1);
}
