#include "libcommon/data/ids.h"

#include <stdbool.h>
#include <string.h>

#include "libcommon/base/mem.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

int ids_parse(const char *line, size_t n, uint32_t limit, uint32_t **v, size_t *used, size_t *cap, struct err *err)
{
    for (size_t at = 0; at < n;) {
        size_t from = at;
        uint64_t id = 0;
        bool good = true;

        if (is_blank(line[at])) {
            at++;
            continue;
        }
        for (; at < n && !is_blank(line[at]); at++) {
            good &= line[at] >= '0' && line[at] <= '9';
            id = id > UINT32_MAX ? id : id * 10 + (uint64_t)(line[at] - '0');
        }
        if (!good)
            return err_set(err, "byte %zu: '%.*s' is not an id", from, (int)(at - from < 40 ? at - from : 40), line + from);
        if (id >= limit)
            return err_set(err, "byte %zu: id %.*s is not below %u", from, (int)(at - from < 40 ? at - from : 40),
                           line + from, limit);
        mem_grow(v, cap, *used + 1, sizeof **v);
        (*v)[(*used)++] = (uint32_t)id;
    }
    return 0;
}

size_t ids_line(const uint32_t *v, size_t n, char *out)
{
    char *o = out;

    for (size_t i = 0; i < n; i++) {
        char digits[IDS_WIDEST];
        size_t k = sizeof digits;
        uint32_t id = v[i];

        digits[--k] = i + 1 < n ? ' ' : '\n';
        do
            digits[--k] = (char)('0' + id % 10);
        while (id /= 10);
        memcpy(o, digits + k, sizeof digits - k);
        o += sizeof digits - k;
    }
    if (!n)
        *o++ = '\n';
    return (size_t)(o - out);
}
