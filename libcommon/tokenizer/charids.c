#include "libcommon/tokenizer/charids.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

void charids_set(struct charids *c, uint32_t cp, uint32_t id)
{
    uint32_t **page = &c->page[cp >> 8];

    if (!*page) {
        *page = xmalloc(256 * sizeof **page);
        memset(*page, 0xff, 256 * sizeof **page);
    }
    (*page)[cp & 255] = id;
}

void charids_image(struct charids *c, struct image *i)
{
    for (size_t k = 0; k < CHARIDS_PAGES && !i->bad; k++)
        image_known(i, &c->page[k], 256, sizeof **c->page);
}

void charids_release(struct charids *c)
{
    for (size_t i = 0; i < CHARIDS_PAGES; i++)
        free(c->page[i]);
    memset(c, 0, sizeof *c);
}
