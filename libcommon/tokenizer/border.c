#include "libcommon/tokenizer/border.h"

#include <string.h>

#include "libcommon/base/utf8.h"

static inline uint32_t folded(const struct border *b, uint32_t cp)
{
    return cp == 0x2581 && b->fold ? ' ' : cp;
}

static inline uint32_t hash(uint32_t left, uint32_t right)
{
    return (uint32_t)(((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15 >> (64 - BORDER_BITS));
}

static inline bool joined(const struct border *b, uint32_t left, uint32_t right)
{
    uint32_t h;

    if ((left | right) < 128)
        return b->ascii[left << 7 | right];
    h = hash(left, right);
    return b->other[h / 64] >> h % 64 & 1;
}

void border_add(struct border *b, const char *s, size_t n)
{
    uint32_t left = UINT32_MAX, cp;
    int len;

    for (size_t at = 0; at < n && (len = utf8_decode(s + at, n - at, &cp)) > 0; at += (size_t)len) {
        uint32_t right = folded(b, cp);

        if (left < 128 && right < 128) {
            b->ascii[left << 7 | right] = 1;
        } else if (left != UINT32_MAX) {
            uint32_t h = hash(left, right);

            b->other[h / 64] |= (uint64_t)1 << h % 64;
        }
        left = right;
    }
}

void border_image(struct border *b, struct image *i)
{
    image_field(i, b->ascii);
    image_field(i, b->other);
    image_flags(i, &b->fold, 1);
}

bool border_between(const struct border *b, uint32_t left, uint32_t right)
{
    return !joined(b, folded(b, left), folded(b, right));
}

/* A character of valid UTF-8; *at goes behind it. */
static inline uint32_t next_char(const uint8_t *s, size_t *at)
{
    uint32_t c = s[*at];

    if (c < 0x80) {
        *at += 1;
    } else if (c < 0xe0) {
        c = (c & 0x1f) << 6 | (s[*at + 1] & 0x3f);
        *at += 2;
    } else if (c < 0xf0) {
        c = (c & 0x0f) << 12 | (s[*at + 1] & 0x3fu) << 6 | (s[*at + 2] & 0x3f);
        *at += 3;
    } else {
        c = (c & 0x07) << 18 | (s[*at + 1] & 0x3fu) << 12 | (s[*at + 2] & 0x3fu) << 6 | (s[*at + 3] & 0x3f);
        *at += 4;
    }
    return c;
}

static bool all_ascii(const uint8_t *s)
{
    uint64_t any = 0, v;

    for (int i = 0; i < BORDER_BLOCK; i += 8) {
        memcpy(&v, s + i, 8);
        any |= v;
    }
    return !(any & 0x8080808080808080);
}

/* Borders between the BORDER_BLOCK bytes before each of s[0..BORDER_BLOCK) and it, as bits. */
static uint64_t block_borders(const struct border *b, const uint8_t *s)
{
    uint64_t joined = 0;

    for (int i = 0; i < BORDER_BLOCK; i += 8) {
        uint32_t bits = 0;

        for (int k = 0; k < 8; k++)
            bits |= (uint32_t)b->ascii[(uint32_t)s[i + k - 1] << 7 | s[i + k]] << k;
        joined |= (uint64_t)bits << i;
    }
    return ~joined;
}

/* Borders behind the character `left`, up to that of the first character at or behind `stop`: *at goes there. */
static size_t char_borders(const struct border *b, const uint8_t *s, size_t *at, size_t stop, size_t *end)
{
    size_t here = *at, k = 0;
    uint32_t left = folded(b, next_char(s, at));

    while (*at < stop) {
        uint32_t right;

        here = *at;
        right = folded(b, next_char(s, at));
        end[k] = here;
        k += !joined(b, left, right);
        left = right;
    }
    *at = here;
    return k;
}

size_t border_ends(const struct border *b, const char *text, size_t n, size_t at, size_t *end, size_t max)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t k = 0;

    if (at == n)
        return 0;
    while (at < n) { /* at: a character whose left border is known */
        if (k + BORDER_BLOCK >= max)
            return k;
        if (s[at] < 128 && n - at > BORDER_BLOCK && all_ascii(s + at + 1)) {
            for (uint64_t m = block_borders(b, s + at + 1); m; m &= m - 1)
                end[k++] = at + 1 + (size_t)__builtin_ctzll(m);
            at += BORDER_BLOCK;
        } else {
            size_t stop = n - at > BORDER_BLOCK ? at + BORDER_BLOCK : n;

            k += char_borders(b, s, &at, stop, end + k);
            if (stop == n)
                break;
        }
    }
    end[k++] = n;
    return k;
}
