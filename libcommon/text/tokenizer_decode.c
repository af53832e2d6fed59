/* Decoders: tokens to text. */
#include <string.h>

#include "libcommon/text/tokenizer_in.h"

static int parse_byte_level(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v);

const struct tokenizer_step_row tokenizer_decoders[] = {
    { .type = "ByteLevel", .parse = parse_byte_level },
};
const int tokenizer_n_decoders = sizeof tokenizer_decoders / sizeof *tokenizer_decoders;

static int parse_byte_level(struct tokenizer_loader *l, struct tokenizer_steps *list, const struct json_value *v)
{
    (void)l;
    (void)v;
    tokenizer_add_step(list, &tokenizer_decoders[0], NULL);
    return 0;
}
