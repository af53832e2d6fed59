/* arena.h - one lifetime, one arena.
 *
 * A growing arena (arena_init) serves parse trees and tables: chunks are chained and freed together.
 * A fixed one (arena_reserve) is one mapping with huge pages asked for, zeroed by the kernel: the
 * model's, the optimiser's and the training step's memory.  What is allocated is 64-byte aligned,
 * belongs to the arena and lives until arena_release() or the arena_reset() that passes it.
 */
#ifndef LIBCOMMON_BASE_ARENA_H
#define LIBCOMMON_BASE_ARENA_H

#include <stddef.h>

#define ARENA_ALIGN 64

struct arena_chunk;

struct arena {
    char *base;               /* current chunk */
    size_t used, size;        /* of the current chunk */
    size_t total;             /* bytes handed out since the last reset */
    struct arena_chunk *next; /* chunks filled before; NULL for a fixed arena */
    int fixed;
};

void arena_init(struct arena *a);
/* One mapping of `size` bytes; dies when the kernel refuses it. */
void arena_reserve(struct arena *a, size_t size);
/* Start the arena with a zeroed block, a table of its own, with huge pages where it would fill one. */
void *arena_table(struct arena *a, size_t size);
/* As arena_reserve(), in a mapping of `size` bytes at base that is the caller's and becomes the arena's. */
void arena_adopt(struct arena *a, void *base, size_t size);
/* Never NULL: dies when memory, or a fixed arena, is exhausted. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_calloc(struct arena *a, size_t n, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
/* Forget everything handed out; keeps the current chunk. */
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

#endif
