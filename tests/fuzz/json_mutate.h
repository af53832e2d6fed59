/* json_mutate.h - for a fuzz target whose bytes hold JSON: every other mutation puts a value of another kind, or another value of
 * the same bytes, in the place of one; libFuzzer by itself keeps the structure too seldom for that.
 */
#ifndef TESTS_FUZZ_JSON_MUTATE_H
#define TESTS_FUZZ_JSON_MUTATE_H

#ifdef LIBFUZZER
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/rng.h"
#include "libcommon/format/json.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* The first value behind a byte at or behind data[at] that may have one behind it; its length, 0: there is none. */
static size_t mutate_value(const uint8_t *data, size_t size, size_t at, size_t *begin)
{
    for (; at + 1 < size; at++) {
        struct json j;
        size_t n;

        if (data[at] != ':' && data[at] != ',' && data[at] != '[')
            continue;
        json_init(&j, data + at + 1, size - at - 1);
        if (json_skip(&j) < 0)
            continue;
        n = (size_t)(j.p - j.start);
        if (at + 1 + n < size && data[at + 1 + n] == ':') /* a key */
            continue;
        *begin = at + 1;
        return n;
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    static const char *const kinds[] = {
        "null", "true", "false", "0", "-1", "1.5", "1e300", "4294967295", "9007199254740993", "18446744073709551616", "\"\"", "\"x\"",
        "\"\\u0000\"", "\"\\ud83d\\ude00\"", "[]", "{}", "[[]]", "[0,1]", "{\"type\":\"x\"}", "{\"x\":{}}",
    };
    enum { KINDS = sizeof kinds / sizeof *kinds };
    size_t at, begin = 0, n, with_n;
    const uint8_t *with;
    uint32_t random[4];
    uint8_t *copy;

    rng_block(seed, 0, 0, random);
    if (size < 2 || seed & 1 || !(n = mutate_value(data, size, random[0] % size, &at)))
        return LLVMFuzzerMutate(data, size, most);
    with = (const uint8_t *)kinds[random[1] % KINDS];
    with_n = strlen((const char *)with);
    if (random[2] % 4 == 0) {
        with_n = mutate_value(data, size, random[3] % size, &begin);
        with = data + begin;
    }
    if (!with_n || size - n + with_n > most)
        return LLVMFuzzerMutate(data, size, most);
    copy = malloc(with_n);
    if (!copy)
        abort();
    memcpy(copy, with, with_n);
    memmove(data + at + with_n, data + at + n, size - at - n);
    memcpy(data + at, copy, with_n);
    free(copy);
    return size - n + with_n;
}
#endif

#endif
