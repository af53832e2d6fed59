#include "libcommon/base/image.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

#define ALIGN 8

static size_t padding(size_t n)
{
    return -n & (ALIGN - 1);
}

/* The next n bytes of what is loaded, or NULL. */
static const char *take(struct image *i, size_t n)
{
    size_t left = (size_t)(i->end - i->at);
    const char *s = i->at;

    i->bad |= n > left || padding(n) > left - n;
    if (i->bad)
        return NULL;
    i->at += n + padding(n);
    return s;
}

void image_bytes(struct image *i, void *p, size_t n)
{
    const char *s;

    if (!image_loads(i)) {
        if (i->v && n)
            memcpy(i->v + i->n, p, n);
        if (i->v)
            memset(i->v + i->n + n, 0, padding(n));
        i->n += n + padding(n);
        return;
    }
    s = take(i, n);
    if (s && n)
        memcpy(p, s, n);
    else if (n)
        memset(p, 0, n);
}

void image_flags(struct image *i, bool *b, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        uint8_t byte = !image_loads(i) && b[k];

        image_bytes(i, &byte, 1);
        image_check(i, byte <= 1);
        b[k] = byte == 1;
    }
}

/* Can as many be there? */
static bool fits(struct image *i, size_t n, size_t size)
{
    i->bad |= n > (size_t)(i->end - i->at) / size;
    return !i->bad;
}

static void put_pointer(void *pp, void *p)
{
    memcpy(pp, &p, sizeof p);
}

static void *pointer(const void *pp)
{
    void *p;

    memcpy(&p, pp, sizeof p);
    return p;
}

void image_array(struct image *i, void *pp, size_t *n, size_t size)
{
    image_field(i, *n);
    if (image_loads(i)) {
        if (!fits(i, *n, size))
            *n = 0;
        put_pointer(pp, xmalloc(*n * size + 1));
    }
    image_bytes(i, pointer(pp), *n * size);
}

void image_known(struct image *i, void *pp, size_t n, size_t size)
{
    bool there = !image_loads(i) && pointer(pp);

    image_flags(i, &there, 1);
    if (image_loads(i))
        put_pointer(pp, there && fits(i, n, size) ? xmalloc(n * size + 1) : NULL);
    if (pointer(pp))
        image_bytes(i, pointer(pp), n * size);
}

void image_table(struct image *i, void *pp, struct arena *a, size_t n, size_t size)
{
    if (image_loads(i))
        put_pointer(pp, fits(i, n, size) ? arena_table(a, n * size + 1) : NULL);
    if (pointer(pp))
        image_bytes(i, pointer(pp), n * size);
}

void image_string(struct image *i, char **s)
{
    size_t n = *s && !image_loads(i) ? strlen(*s) + 1 : 0;

    image_array(i, s, &n, 1);
    image_check(i, !n || !(*s)[n - 1]);
    if (image_loads(i) && (i->bad || !n)) {
        free(*s);
        *s = NULL;
    }
}

void image_check(struct image *i, bool good)
{
    i->bad |= image_loads(i) && !good;
}
