/* trie.h - strings found as prefixes of a text, byte by byte: a double array.
 *
 * Step from state to state with trie_step(), beginning at TRIE_ROOT; a state where a string ends has its value.
 * Building takes time and memory linear in the bytes of the strings.
 */
#ifndef LIBCOMMON_TEXT_TRIE_H
#define LIBCOMMON_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/image.h"

#define TRIE_ROOT 0u
#define TRIE_NONE UINT32_MAX

/* The child of state s by byte c is base[s] ^ c, when that unit's `parent` is s. */
struct trie {
    struct trie_unit {
        uint32_t base, parent;
        uint32_t value; /* TRIE_NONE: no string ends here */
    } *unit;
    size_t n;
};

struct trie_key {
    const char *s;
    size_t n; /* of two equal strings the first counts; an empty one is left out */
    uint32_t value;
};

/* The keys are reordered. */
void trie_build(struct trie *t, struct trie_key *keys, size_t n);
void trie_release(struct trie *t);

/* And back (image.h); values are below n_values, or TRIE_NONE. */
void trie_image(struct trie *t, struct image *i, uint32_t n_values);

/* The next state, or TRIE_NONE. */
static inline uint32_t trie_step(const struct trie *t, uint32_t state, uint8_t c)
{
    uint32_t next = t->unit[state].base ^ c;

    return t->unit[next].parent == state ? next : TRIE_NONE;
}

/* The longest string that begins s[0..n): its length, 0 for none, and its value. */
size_t trie_longest(const struct trie *t, const char *s, size_t n, uint32_t *value);

#endif
