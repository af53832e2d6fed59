#include "libcommon/text/charsmap.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

/* Units of Darts-clone: 8 bits label, bit 8 a leaf follows, bit 9 the offset is in 256s, 22 bits offset; a leaf has
 * bit 31 and a value. */
static uint32_t offset(uint32_t unit)
{
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

static bool has_leaf(uint32_t unit)
{
    return unit >> 8 & 1;
}

/* From the state whose children are at *at ^ label, by c; *leaf: the place of the string there, or SIZE_MAX. */
static bool step(const struct charsmap *c, size_t *at, uint8_t label, size_t *leaf)
{
    size_t next = *at ^ label;
    uint32_t unit;

    if (next >= c->n)
        return false;
    unit = c->unit[next];
    if ((unit & (1u << 31 | 0xff)) != label)
        return false;
    *at = next ^ offset(unit);
    *leaf = SIZE_MAX;
    if (has_leaf(unit) && *at < c->n) {
        *leaf = c->unit[*at] & INT32_MAX;
        if (*leaf >= c->text_n || ((uint8_t)c->text[*leaf] & 0xc0) == 0x80)
            *leaf = SIZE_MAX;
    }
    return true;
}

static size_t search(const struct charsmap *c, const char *s, size_t n, bool shortest, const char **to, size_t *to_n)
{
    size_t at = c->n ? offset(c->unit[0]) : 0, leaf, len = 0, found = 0;

    for (size_t i = 0; i < n && step(c, &at, (uint8_t)s[i], &leaf); i++) {
        if (leaf == SIZE_MAX)
            continue;
        len = i + 1;
        found = leaf;
        if (shortest)
            break;
    }
    if (len) {
        *to = c->text + found;
        *to_n = strlen(*to);
    }
    return len;
}

size_t charsmap_longest(const struct charsmap *c, const char *s, size_t n, const char **to, size_t *to_n)
{
    return search(c, s, n, false, to, to_n);
}

size_t charsmap_shortest(const struct charsmap *c, const char *s, size_t n, const char **to, size_t *to_n)
{
    return search(c, s, n, true, to, to_n);
}

static bool is_plain(const struct charsmap *c, uint8_t first)
{
    size_t start = c->n ? offset(c->unit[0]) : 0, leaf;

    if (!step(c, &start, first, &leaf))
        return true;
    if (leaf != SIZE_MAX)
        return false;
    for (uint8_t second = 0; second < 128; second++) {
        size_t at = start;

        if (step(c, &at, second, &leaf))
            return false;
    }
    return true;
}

int charsmap_load(struct charsmap *c, const void *blob, size_t n, struct err *err)
{
    const uint8_t *b = blob;
    size_t size, valid;

    *c = (struct charsmap){ 0 };
    if (n < 4)
        return err_set(err, "a charsmap of %zu bytes", n);
    size = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    if (size > n - 4)
        return err_set(err, "a charsmap of %zu bytes has a trie of %zu", n, size);
    c->n = size / 4;
    c->unit = xmalloc(size + 4);
    for (size_t i = 0; i < c->n; i++) {
        const uint8_t *u = b + 4 + 4 * i;

        c->unit[i] = (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
    }
    c->text_n = n - 4 - size;
    c->text = xmalloc(c->text_n + 1);
    memcpy(c->text, b + 4 + size, c->text_n);
    c->text[c->text_n] = 0;
    valid = utf8_valid(c->text, c->text_n);
    if (valid < c->text_n) {
        err_set(err, "charsmap: byte %zu: invalid UTF-8: 0x%02x", 4 + size + valid, (unsigned)(uint8_t)c->text[valid]);
        charsmap_release(c);
        return -1;
    }
    c->printable = true;
    for (uint8_t i = 0; i < 128; i++) {
        c->plain[i] = is_plain(c, i);
        c->printable &= c->plain[i] || i < 0x20 || i == 0x7f;
    }
    for (int i = 0; i < 256; i++) {
        size_t start = c->n ? offset(c->unit[0]) : 0, leaf;

        c->begins[i] = step(c, &start, (uint8_t)i, &leaf);
    }
    return 0;
}

void charsmap_image(struct charsmap *c, struct image *i)
{
    size_t text_n = c->text ? c->text_n + 1 : 0;

    image_array(i, &c->unit, &c->n, sizeof *c->unit);
    image_array(i, &c->text, &text_n, 1);
    image_flags(i, c->plain, 128);
    image_flags(i, &c->printable, 1);
    image_flags(i, c->begins, 256);
    if (image_loads(i)) {
        image_check(i, !text_n || (!c->text[text_n - 1] && utf8_valid(c->text, text_n - 1) == text_n - 1));
        c->text_n = text_n && !i->bad ? text_n - 1 : 0;
    }
}

void charsmap_release(struct charsmap *c)
{
    free(c->unit);
    free(c->text);
    *c = (struct charsmap){ 0 };
}
