/* charids.h - ids of single characters: a table of pages of 256 code points. */
#ifndef LIBCOMMON_TOKENIZER_CHARIDS_H
#define LIBCOMMON_TOKENIZER_CHARIDS_H

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/image.h"

#define CHARIDS_NONE UINT32_MAX
#define CHARIDS_PAGES (0x110000 / 256)

/* Zero it first. */
struct charids {
    uint32_t *page[CHARIDS_PAGES]; /* NULL: none of the page has an id */
};

/* And back (image.h). */
void charids_image(struct charids *c, struct image *i);
/* cp < 0x110000. */
void charids_set(struct charids *c, uint32_t cp, uint32_t id);
void charids_release(struct charids *c);

static inline uint32_t charids_get(const struct charids *c, uint32_t cp)
{
    const uint32_t *page = c->page[cp >> 8];

    return page ? page[cp & 255] : CHARIDS_NONE;
}

#endif
