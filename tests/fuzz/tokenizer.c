/* Bytes as tokenizer.json, then after a NUL as text: ids are in range and decode to the text or its normal
 * form, the pieces of the known patterns are the same by windows and one by one. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"
#include "libcommon/text/nfc.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "tests/fuzz/json_mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_pieces(const char *text, size_t n)
{
    static const char *const names[] = { "gpt2", "llama3", "qwen2", "o200k", "tekken", "kimi" };
    static struct pretok *p[6];
    size_t end[PRETOK_WINDOW], at, count;
    struct err err;

    for (int k = 0; k < 6; k++) {
        p[k] = p[k] ? p[k] : pretok_open(names[k], strlen(names[k]), &err);
        for (at = 0; at < n;) {
            count = pretok_ends(p[k], text, n, at, end, PRETOK_WINDOW, &err);
            check(count > 0 && count <= PRETOK_WINDOW);
            for (size_t i = 0; i < count; at = end[i++])
                check(end[i] == pretok_next(p[k], text, n, at, &err));
        }
    }
}

static void check_text(const struct tokenizer *t, const char *text, size_t n)
{
    struct tokenizer_encoder *e = tokenizer_encoder_new(t);
    struct tokenizer_ids ids = { 0 };
    struct tokenizer_text text_again = { 0 };
    size_t first = 0, len;
    bool ill = false;
    struct err err;

    for (int special = TOKENIZER_SPECIAL_NONE; special <= TOKENIZER_SPECIAL_ERROR; special++) {
        ids.n = first = 0;
        for (int again = 0; again < 2; again++) /* merged, then from the cache */
            if (tokenizer_encode(e, text, n, (enum tokenizer_special)special, &ids, &err) < 0)
                check(ids.n == (again ? first : 0));
            else
                first = again ? first : ids.n;
        check(ids.n == 2 * first || ids.n == 0);
        for (size_t i = 0; i < ids.n; i++) {
            check(ids.v[i] < tokenizer_info(t)->vocab_size && tokenizer_bytes(t, ids.v[i], &len));
            check(i < first || ids.v[i] == ids.v[i - first]);
        }
    }
    tokenizer_decode(t, ids.v, ids.n, &text_again, &ill);
    free(text_again.v);
    free(ids.v);
    tokenizer_encoder_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t json_n = nul ? (size_t)(nul - data) : size, n = size - json_n - (nul != NULL);
    const char *text = (const char *)data + size - n;
    char *normal = NULL, *again = NULL;
    size_t cap = 0, again_cap = 0, normal_n;
    struct tokenizer *t;
    struct err err;

    t = tokenizer_parse(data, json_n, nul ? NULL : "{\"bos_token\":\"a\",\"add_bos_token\":true}", nul ? 0 : 38, "fuzz", &err);
    if (t)
        check_text(t, text, n);
    tokenizer_free(t);
    if (utf8_valid(text, n) < n)
        return 0;
    check_pieces(text, n);
    normal_n = nfc_normalise(text, n, &normal, &cap);
    check(utf8_valid(normal, normal_n) == normal_n);
    check(nfc_normalise(normal, normal_n, &again, &again_cap) == normal_n &&
          (!normal_n || memcmp(normal, again, normal_n) == 0));
    free(normal);
    free(again);
    return 0;
}
