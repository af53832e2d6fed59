/* Normalizers: what becomes of each text between added tokens before it is cut. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/text/nfc.h"
#include "libcommon/text/tokenizer_in.h"

static int parse_plain(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    const char *type = tokenizer_type(v);

    (void)l;
    for (int i = 0; i < tokenizer_n_normalizers; i++)
        if (strcmp(tokenizer_normalizers[i].type, type) == 0)
            tokenizer_add_step(list, &tokenizer_normalizers[i], NULL);
    return 0;
}

static int nfc(const void *args, const char *text, size_t n, bool first, struct tokenizer_text *out, struct err *err)
{
    (void)args;
    (void)first;
    (void)err;
    if (nfc_check(text, n) == n)
        return 0;
    out->n = nfc_normalise(text, n, &out->v, &out->cap);
    return 1;
}

const struct tokenizer_step_row tokenizer_normalizers[] = {
    { .type = "NFC", .parse = parse_plain, .rewrite = nfc },
};
const int tokenizer_n_normalizers = sizeof tokenizer_normalizers / sizeof *tokenizer_normalizers;

int tokenizer_normalise(const struct tokenizer *t, const char *text, size_t *n, const char **out,
                        struct tokenizer_text room[2], struct err *err)
{
    int k = 0;

    *out = text;
    for (size_t i = 0; i < t->normalizer.n && *n; i++) {
        const struct tokenizer_step *s = &t->normalizer.v[i];
        int rc;

        room[k].n = 0;
        rc = s->row->rewrite(s->args, *out, *n, true, &room[k], err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        *out = room[k].v;
        *n = room[k].n;
        k = !k;
    }
    return 0;
}
