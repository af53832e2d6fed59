/* Bytes that grow, and the byte alphabet of byte-level models. */
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/format/json.h"
#include "libcommon/tokenizer/bpe.h"
#include "libcommon/tokenizer/tokenizer_in.h"

void tokenizer_put(struct tokenizer_text *out, const char *s, size_t n)
{
    mem_grow(&out->v, &out->cap, out->n + n + 1, 1);
    if (n) /* s may be NULL */
        memcpy(out->v + out->n, s, n);
    out->n += n;
}

void tokenizer_puts(struct tokenizer_text *out, const char *s)
{
    tokenizer_put(out, s, strlen(s));
}

void tokenizer_put_quoted(struct tokenizer_text *out, const char *s, size_t n)
{
    mem_grow(&out->v, &out->cap, out->n + 6 * n + 2, 1);
    out->n += json_quote(s, n, out->v + out->n);
}

void tokenizer_spell(const char *s, size_t n, struct tokenizer_text *out)
{
    mem_grow(&out->v, &out->cap, out->n + 2 * n, 1);
    for (size_t i = 0; i < n; i++)
        out->n += (size_t)utf8_encode(bpe_letter((uint8_t)s[i]), out->v + out->n);
}

bool tokenizer_unspell(const char *s, size_t n, struct tokenizer_text *out)
{
    bool plain;

    mem_grow(&out->v, &out->cap, out->n + n, 1);
    out->n += bpe_unspell(s, n, out->v + out->n, &plain);
    return !plain;
}
