/* image.h - structures as bytes and back, by one function for both ways.
 *
 * X_image(struct X *x, struct image *i) names the fields of x in their order.  Saving counts their bytes in i->n, and writes them to i->v where that is not NULL; loading fills
 * a zeroed x from bytes, whose every count is checked against what remains.  Arrays become the structure's own, as its
 * release function frees them.  After the first fault all that is loaded is zero, and i->bad is true.  What the counts do
 * not tell (an index that must be below another count, say) X_image() checks with image_check().
 *
 * The bytes are of this build of this machine's kind: numbers as they stand in memory.
 */
#ifndef LIBCOMMON_BASE_IMAGE_H
#define LIBCOMMON_BASE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"

struct image {
    char *v; /* the caller's, as long as was counted before */
    size_t n;
    const char *at, *end; /* what is loaded; NULL: saving */
    bool bad;
};

static inline bool image_loads(const struct image *i)
{
    return i->at;
}

/* n bytes at p. */
void image_bytes(struct image *i, void *p, size_t n);
#define image_field(i, x) image_bytes(i, &(x), sizeof(x))
/* n truths. */
void image_flags(struct image *i, bool *b, size_t n);
/* An array of *n elements of `size` bytes at *(void **)pp, from malloc(), which is never NULL when loaded; its capacity
 * is *n. */
void image_array(struct image *i, void *pp, size_t *n, size_t size);
/* The same of n elements, which is known; NULL stays NULL. */
void image_known(struct image *i, void *pp, size_t n, size_t size);
/* The same in an arena of its own (arena_table()). */
void image_table(struct image *i, void *pp, struct arena *a, size_t n, size_t size);
/* A string, NULL or ended by a NUL, from malloc(). */
void image_string(struct image *i, char **s);
/* good: what was loaded can be. */
void image_check(struct image *i, bool good);

#endif
