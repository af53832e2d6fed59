#include "libcommon/base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/err.h"

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (!p)
        die("out of memory: %zu bytes", size);
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        die("out of memory: %zu x %zu bytes", n, size);
    return p;
}

void *xrealloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);

    if (!p)
        die("out of memory: %zu bytes", size);
    return p;
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(xmalloc(n), s, n);
}

void mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
    void **slot = p;
    size_t want = *cap + *cap / 2;

    if (need <= *cap)
        return;
    if (want < need)
        want = need;
    if (want < 16)
        want = 16;
    if (want > SIZE_MAX / size)
        die("out of memory: %zu x %zu bytes", want, size);
    *slot = xrealloc(*slot, want * size);
    *cap = want;
}
