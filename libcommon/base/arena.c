#include "libcommon/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libcommon/base/err.h"
#include "libcommon/base/mem.h"

#define CHUNK ((size_t)64 << 10)
#define HUGE_PAGE ((size_t)2 << 20)

/* Stands in the first ARENA_ALIGN bytes of every chunk but the fixed one. */
struct arena_chunk {
    struct arena_chunk *next;
};

void arena_init(struct arena *a)
{
    memset(a, 0, sizeof *a);
}

void arena_reserve(struct arena *a, size_t size)
{
    void *p;

    size = (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        die("out of memory: an arena of %zu bytes", size);
    madvise(p, size, MADV_HUGEPAGE);
    arena_adopt(a, p, size);
}

void *arena_table(struct arena *a, size_t size)
{
    if (size >= HUGE_PAGE) {
        arena_reserve(a, size);
        return arena_alloc(a, size);
    }
    arena_init(a);
    return arena_calloc(a, size, 1);
}

void arena_adopt(struct arena *a, void *base, size_t size)
{
    arena_init(a);
    a->base = base;
    a->size = size;
    a->fixed = 1;
}

static void grow(struct arena *a, size_t size)
{
    size_t want = a->size * 2 > CHUNK ? a->size * 2 : CHUNK;
    struct arena_chunk *c;

    if (want > ((size_t)64 << 20))
        want = (size_t)64 << 20;
    if (want < size + ARENA_ALIGN)
        want = size + ARENA_ALIGN;
    want = (want + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    c = aligned_alloc(ARENA_ALIGN, want);
    if (!c)
        die("out of memory: %zu bytes", want);
    c->next = a->next;
    a->next = c;
    a->base = (char *)c;
    a->used = ARENA_ALIGN;
    a->size = want;
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *p;

    if (size > SIZE_MAX / 2)
        die("out of memory: %zu bytes", size);
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (!a->base || a->size - a->used < size) {
        if (a->fixed)
            die("arena of %zu bytes exhausted by %zu more", a->size, size);
        grow(a, size);
    }
    p = a->base + a->used;
    a->used += size;
    a->total += size;
    return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    void *p;

    if (size && n > SIZE_MAX / size)
        die("out of memory: %zu x %zu bytes", n, size);
    p = arena_alloc(a, n * size);
    return memset(p, 0, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);

    memcpy(p, s, n);
    p[n] = 0;
    return p;
}

void arena_reset(struct arena *a)
{
    if (!a->fixed && a->next) {
        struct arena_chunk *c = a->next->next;

        while (c) {
            struct arena_chunk *older = c->next;

            free(c);
            c = older;
        }
        a->next->next = NULL;
    }
    a->used = a->fixed || !a->next ? 0 : ARENA_ALIGN;
    a->total = 0;
}

void arena_release(struct arena *a)
{
    struct arena_chunk *c = a->next;

    if (a->fixed)
        munmap(a->base, a->size);
    while (c) {
        struct arena_chunk *older = c->next;

        free(c);
        c = older;
    }
    arena_init(a);
}
