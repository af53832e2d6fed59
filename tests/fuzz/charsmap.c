/* Two bytes of length, so many as a charsmap, the rest as a text: rules found lie in it, the longest is no shorter than
 * the shortest, what they become is UTF-8. */
#include "libcommon/text/charsmap.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size < 2 ? 0 : (size_t)data[0] | (size_t)data[1] << 8, text_n;
    const char *text, *to;
    struct charsmap c;
    struct err err;

    if (size < 2)
        return 0;
    n = n < size - 2 ? n : size - 2;
    if (charsmap_load(&c, data + 2, n, &err) < 0)
        return 0;
    text = (const char *)data + 2 + n;
    text_n = size - 2 - n;
    text_n = text_n < 1000 ? text_n : 1000;
    for (size_t at = 0; at < text_n; at++) {
        size_t to_n = 0, longest = charsmap_longest(&c, text + at, text_n - at, &to, &to_n), shortest;

        check(longest <= text_n - at);
        check(!longest || utf8_valid(to, to_n) == to_n);
        shortest = charsmap_shortest(&c, text + at, text_n - at, &to, &to_n);
        check(shortest <= longest && !shortest == !longest);
        if ((uint8_t)text[at] < 128 && c.plain[(uint8_t)text[at]] && (at + 1 == text_n || (uint8_t)text[at + 1] < 128))
            check(!longest);
    }
    charsmap_release(&c);
    return 0;
}
