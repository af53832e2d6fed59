/* mem.h - allocation that cannot fail: where memory is exhausted it dies, naming the size. */
#ifndef LIBCOMMON_BASE_MEM_H
#define LIBCOMMON_BASE_MEM_H

#include <stddef.h>

/* Caller frees with free(). */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);

/* Make room for `need` elements of `size` bytes in *p, which holds *cap: grows by halves, at least to
 * `need`, so that appending is linear. */
void mem_grow(void *p, size_t *cap, size_t need, size_t size);

#endif
