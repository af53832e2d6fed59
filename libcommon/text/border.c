#include "libcommon/text/border.h"

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
        return b->ascii[left][right];
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
            b->ascii[left][right] = 1;
        } else if (left != UINT32_MAX) {
            uint32_t h = hash(left, right);

            b->other[h / 64] |= (uint64_t)1 << h % 64;
        }
        left = right;
    }
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

size_t border_ends(const struct border *b, const char *text, size_t n, size_t at, size_t *end, size_t max)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t k = 0;
    uint32_t left;

    if (at == n)
        return 0;
    left = folded(b, next_char(s, &at));
    while (at < n) {
        size_t here = at;
        uint32_t right;

        while (left < 128 && s[at] < 128 && b->ascii[left][s[at]]) { /* mostly */
            left = s[at++];
            if (at == n)
                goto out;
        }
        here = at;
        right = folded(b, next_char(s, &at));
        if (!joined(b, left, right)) {
            end[k++] = here;
            if (k == max)
                return k;
        }
        left = right;
    }
out:
    end[k++] = n;
    return k;
}
