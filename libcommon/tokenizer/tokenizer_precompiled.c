/* The normalizer Precompiled: SentencePiece's charsmap as HF applies it, to a grapheme cluster of less than 6 bytes as a
 * whole, else to its characters; the shortest rule that begins it stands for all of it. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/base64.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/charsmap.h"
#include "libcommon/tokenizer/tokenizer_load.h"
#include "libcommon/text/unicode_hf.h"

enum { SHORT = 6 };

/* Does a cluster go on from one character to the next?  Hangul by the ranges of its parts; emoji joined together and
 * conjuncts are longer than SHORT and are left to their characters anyway. */
static bool goes_on(uint32_t a, uint32_t b)
{
    bool l = a >= 0x1100 && a < 0x1160, v = (a >= 0x1160 && a < 0x11a8) || (a >= 0xac00 && a < 0xd7a4);

    if (a == '\r' && b == '\n')
        return true;
    if (unicode_hf_is(UNICODE_HF_BREAK, a) || unicode_hf_is(UNICODE_HF_BREAK, b))
        return false;
    return unicode_hf_is(UNICODE_HF_EXTEND, b) || unicode_hf_is(UNICODE_HF_PREPEND, a) || (l && b >= 0x1100 && b < 0x11a8) ||
           (v && b >= 0x1160 && b < 0x1200);
}

static size_t cluster(const char *text, size_t n, size_t *first_len)
{
    uint32_t cp = 0, next = 0;
    size_t at = (size_t)utf8_decode(text, n, &cp);

    *first_len = at;
    if (at < n && cp < 0x300 && (uint8_t)text[at] < 0x80 && !(cp == '\r' && text[at] == '\n'))
        return at;
    while (at < n) {
        int len = utf8_decode(text + at, n - at, &next);

        if (!goes_on(cp, next))
            break;
        at += (size_t)len;
        cp = next;
    }
    return at;
}

static bool put(const struct charsmap *c, const char *s, size_t n, struct tokenizer_text *out)
{
    const char *to;
    size_t to_n;

    if (!charsmap_shortest(c, s, n, &to, &to_n))
        return false;
    tokenizer_put(out, to, to_n);
    return true;
}

/* How many bytes of s[0..n) are ASCII that no rule begins with, each before another one or the end: clusters of their own. */
static size_t plain(const struct charsmap *c, const char *s, size_t n)
{
    size_t i = 0;

    while (i < n && (uint8_t)s[i] < 128 && c->plain[(uint8_t)s[i]] && (i + 1 == n || (uint8_t)s[i + 1] < 128))
        i++;
    return i;
}

/* The text's first character ends at mark, 0 where it is not here; where nothing has come of it, what is at `at` has its place, as
 * huggingface/tokenizers counts. */
static size_t move_mark(size_t mark, size_t at, const struct tokenizer_text *out)
{
    return mark && mark <= at && !out->n ? at + 1 : mark;
}

static int rewrite(const void *args, const char *text, size_t n, size_t *first, struct tokenizer_text *out, struct err *err)
{
    const struct charsmap *c = args;
    size_t mark = *first, len, one;

    (void)err;
    for (size_t at = 0; at < n; at += len) {
        mark = move_mark(mark, at, out);
        len = at < mark ? 0 : plain(c, text + at, n - at);
        if (len) {
            tokenizer_put(out, text + at, len);
            continue;
        }
        len = cluster(text + at, n - at, &one);
        if (len >= SHORT || !put(c, text + at, len, out)) {
            uint32_t cp;

            for (size_t i = at; i < at + len; i += one) {
                one = (size_t)utf8_decode(text + i, n - i, &cp);
                mark = move_mark(mark, i, out);
                if (!put(c, text + i, one, out))
                    tokenizer_put(out, text + i, one);
                if (i < mark)
                    *first = out->n;
            }
        } else if (at < mark) {
            *first = out->n;
        }
    }
    return 1;
}

static void release(void *args)
{
    charsmap_release(args);
    free(args);
}

static const struct tokenizer_step_row row = { .type = "Precompiled", .rewrite = rewrite, .release = release };

int tokenizer_parse_precompiled(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const struct json_value *s = json_get(v, "precompiled_charsmap");
    struct charsmap *c;
    char *blob;
    size_t n;
    int rc;

    if (!s || s->type != JSON_STRING)
        return err_set(l->err, "%s: normalizer: Precompiled without precompiled_charsmap", l->name);
    blob = xmalloc(s->len + 1);
    n = base64_decode(s->str, s->len, blob);
    if (n == BASE64_BAD) {
        free(blob);
        return err_set(l->err, "%s: normalizer: precompiled_charsmap is not base64", l->name);
    }
    c = xcalloc(1, sizeof *c);
    rc = charsmap_load(c, blob, n, l->err);
    free(blob);
    tokenizer_add_step(list, &row, c);
    return rc < 0 ? err_prefix(l->err, "%s: normalizer", l->name) : 0;
}
