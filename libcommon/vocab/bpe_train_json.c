/* bpe_train_json.c - a trained vocabulary as tokenizer.json, laid out as HF tokenizers does it. */
#include <string.h>

#include "libcommon/format/json.h"
#include "libcommon/vocab/bpe_train.h"

static int put_token(const struct bpe_train *t, uint32_t id, struct io_out *out, struct err *err)
{
    return json_put_string(out, t->bytes + t->token[id].at, t->token[id].n, err);
}

static int put_special(const struct bpe_train *t, struct io_out *out, struct err *err)
{
    for (int i = 0; i < t->n_special; i++)
        if (io_printf(out, err, "%s    {\n      \"id\": %d,\n      \"content\": ", i ? ",\n" : "[\n", i) < 0 ||
            put_token(t, (uint32_t)i, out, err) < 0 ||
            io_printf(out, err,
                      ",\n      \"single_word\": false,\n      \"lstrip\": false,\n      \"rstrip\": false,\n"
                      "      \"normalized\": false,\n      \"special\": true\n    }") < 0)
            return -1;
    return io_printf(out, err, "%s", t->n_special ? "\n  ]" : "[]");
}

static int put_merges(const struct bpe_train *t, struct io_out *out, struct err *err)
{
    for (size_t i = 0; i < t->n_merges; i++)
        if (io_printf(out, err, "%s      [\n        ", i ? ",\n" : "[\n") < 0 ||
            put_token(t, t->merge[i][0], out, err) < 0 || io_printf(out, err, ",\n        ") < 0 ||
            put_token(t, t->merge[i][1], out, err) < 0 || io_printf(out, err, "\n      ]") < 0)
            return -1;
    return io_printf(out, err, "%s", t->n_merges ? "\n    ]" : "[]");
}

static int put_vocab(const struct bpe_train *t, struct io_out *out, struct err *err)
{
    for (uint32_t i = 0; i < t->n_tokens; i++)
        if (io_printf(out, err, "%s      ", i ? ",\n" : "{\n") < 0 || put_token(t, i, out, err) < 0 ||
            io_printf(out, err, ": %u", (unsigned)i) < 0)
            return -1;
    return io_printf(out, err, "\n    }");
}

int bpe_train_write(const struct bpe_train *t, const char *pattern, struct io_out *out, struct err *err)
{
    if (io_printf(out, err,
                  "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": ") < 0 ||
        put_special(t, out, err) < 0 ||
        io_printf(out, err,
                  ",\n  \"normalizer\": null,\n  \"pre_tokenizer\": {\n    \"type\": \"Sequence\",\n"
                  "    \"pretokenizers\": [\n      {\n        \"type\": \"Split\",\n        \"pattern\": {\n"
                  "          \"Regex\": ") < 0 ||
        json_put_string(out, pattern, strlen(pattern), err) < 0 ||
        io_printf(out, err,
                  "\n        },\n        \"behavior\": \"Isolated\",\n        \"invert\": false\n      },\n"
                  "      {\n        \"type\": \"ByteLevel\",\n        \"add_prefix_space\": false,\n"
                  "        \"trim_offsets\": true,\n        \"use_regex\": false\n      }\n    ]\n  },\n"
                  "  \"post_processor\": null,\n  \"decoder\": {\n    \"type\": \"ByteLevel\",\n"
                  "    \"add_prefix_space\": true,\n    \"trim_offsets\": true,\n    \"use_regex\": true\n  },\n"
                  "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
                  "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n"
                  "    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n"
                  "    \"vocab\": ") < 0 ||
        put_vocab(t, out, err) < 0 || io_printf(out, err, ",\n    \"merges\": ") < 0 || put_merges(t, out, err) < 0)
        return -1;
    return io_printf(out, err, "\n  }\n}");
}
