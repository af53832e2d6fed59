#include "libcommon/tokenizer/bytecut.h"

#include <stdbool.h>
#include <string.h>

static uint64_t six_bytes(const char *s)
{
    uint32_t low;
    uint16_t high;

    memcpy(&low, s, 4);
    memcpy(&high, s + 4, 2);
    return low | (uint64_t)high << 32;
}

/* Of the six bytes around a place. */
static size_t hash(const char *place)
{
    return (size_t)(six_bytes(place - 3) * 0x9e3779b97f4a7c15 >> (64 - BYTECUT_BITS));
}

static size_t middle(const char *place)
{
    return (size_t)(uint8_t)place[-1] << 8 | (uint8_t)place[0];
}

static bool begins_three(char c)
{
    return ((uint8_t)c & 0xf0) == 0xe0;
}

void bytecut_add(struct bytecut *b, const char *token, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        size_t bit;

        if (!begins_three(token[i]))
            continue;
        bit = i < 3 || n - i < 3 ? middle(token + i) : hash(token + i);
        (i < 3 || n - i < 3 ? b->less : b->three)[bit / 64] |= (uint64_t)1 << bit % 64;
    }
}

size_t bytecut_end(const struct bytecut *b, const char *s, size_t n, size_t at)
{
    for (size_t i = at + 3; i + 3 <= n; i++) {
        size_t two, six;

        if (!begins_three(s[i]) || !begins_three(s[i - 3]))
            continue;
        two = middle(s + i);
        six = hash(s + i);
        if (!(b->less[two / 64] >> two % 64 & 1) && !(b->three[six / 64] >> six % 64 & 1))
            return i;
    }
    return n;
}
