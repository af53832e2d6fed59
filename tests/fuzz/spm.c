/* Bytes as a SentencePiece .model, then after eight bytes 0xff as a text: what loads encodes, the same from its
 * borders on and from the cache, to ids in range, and decodes. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/border.h"
#include "libcommon/tokenizer/spm_in.h"
#include "libcommon/tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

struct ids {
    uint32_t *v;
    size_t n;
};

static struct ids encode(const struct spm *m, const char *normal, size_t n, bool cut)
{
    struct spm_scratch *s = spm_scratch_new(m);
    const struct border *b = cut ? spm_part_border(m) : NULL;
    struct ids ids = { xmalloc((3 * n + 1) * sizeof *ids.v), 0 };
    size_t end[100];

    spm_begin(s);
    for (size_t at = 0, k; at < n;) {
        end[0] = n;
        k = b ? border_ends(b, normal, n, at, end, 100) : 1;
        for (size_t i = 0; i < k; at = end[i++]) {
            check(end[i] > at);
            ids.n = spm_encode_part(m, s, normal + at, end[i] - at, ids.v, ids.n);
            check(ids.n <= 3 * n);
        }
    }
    spm_scratch_free(s);
    return ids;
}

static void check_text(const struct spm *m, struct tokenizer *t, const char *text, size_t n)
{
    char *normal = NULL, *decoded = NULL;
    size_t cap = 0, decoded_cap = 0, normal_n = spm_normalise(m, text, n, &normal, &cap);
    struct ids whole, parts;
    struct tokenizer_ids again = { 0 };
    struct tokenizer_encoder *e = tokenizer_encoder_new(t);
    struct err err;

    check(utf8_valid(normal, normal_n) == normal_n);
    whole = encode(m, normal, normal_n, false);
    parts = encode(m, normal, normal_n, true);
    check(whole.n == parts.n && (!whole.n || memcmp(whole.v, parts.v, whole.n * sizeof *whole.v) == 0));
    if (n < 200) { /* what is learned far from the beginning of a text */
        char *many = xmalloc(32 * n + 1);

        for (size_t i = 0; i < 32; i++)
            memcpy(many + i * n, text, n);
        check(tokenizer_encode(e, many, 32 * n, TOKENIZER_SPECIAL_NONE, &again, &err) == 0);
        free(many);
    }
    for (int k = 0; k < 2; k++) {
        again.n = 0;
        check(tokenizer_encode(e, text, n, TOKENIZER_SPECIAL_NONE, &again, &err) == 0 && again.n == whole.n);
        check(!again.n || memcmp(again.v, whole.v, again.n * sizeof *again.v) == 0);
    }
    for (size_t i = 0; i < whole.n; i++)
        check(whole.v[i] < spm_info(m)->n_pieces);
    spm_decode(m, whole.v, whole.n, &decoded, &decoded_cap);
    free(whole.v);
    free(parts.v);
    free(again.v);
    free(normal);
    free(decoded);
    tokenizer_encoder_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t cut[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    const uint8_t *at = size ? memmem(data, size, cut, 8) : NULL;
    size_t model_n = at ? (size_t)(at - data) : size, n = at ? size - model_n - 8 : 0;
    const char *text = at ? (const char *)at + 8 : "";
    struct err err;
    struct spm *m = spm_parse(data, model_n, &err);
    struct tokenizer *t;

    if (!m)
        return 0;
    n = n < 2000 ? n : 2000;
    t = tokenizer_parse(data, model_n, NULL, 0, "fuzz", &err);
    check(!t == !spm_sniff(data, model_n));
    if (t)
        check_text(m, t, text, n);
    tokenizer_free(t);
    spm_free(m);
    return 0;
}
