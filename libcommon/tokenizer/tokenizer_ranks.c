/* Ranks of tiktoken: lines of a token in base64, a blank and its rank, which is its id.
 *
 * The file has neither a pattern nor special tokens: these go by a name, which the user gives or the file has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/base64.h"
#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/bpe.h"
#include "libcommon/tokenizer/tokenizer_family.h"
#include "libcommon/tokenizer/tokenizer_load.h"

/* What belongs to a name, or to a file NAME.tiktoken or `file`, with n ranks. */
static const struct named {
    const char *name, *file;
    size_t n;
    const char *bos, *eos;
    bool add_bos;
    const char *prefix[2]; /* special tokens in front of each text */
    bool normalized;       /* special tokens are looked for in the normal form */
    struct special {
        uint32_t id;
        const char *content; /* '#' in it: of `count` tokens, numbered from `from` */
        uint32_t count, from;
    } special[22];
} names[] = {
    { .name = "gpt2", .n = 50256, .bos = "<|endoftext|>", .eos = "<|endoftext|>", .special = { { 50256, "<|endoftext|>", 1, 0 } } },
    { .name = "r50k_base", .n = 50256, .eos = "<|endoftext|>", .special = { { 50256, "<|endoftext|>", 1, 0 } } },
    { .name = "p50k_base", .n = 50280, .eos = "<|endoftext|>", .special = { { 50256, "<|endoftext|>", 1, 0 } } },
    { .name = "p50k_edit", .n = 50280, .eos = "<|endoftext|>",
      .special = { { 50256, "<|endoftext|>", 1, 0 }, { 50281, "<|fim_prefix|>", 1, 0 }, { 50282, "<|fim_middle|>", 1, 0 },
                   { 50283, "<|fim_suffix|>", 1, 0 } } },
    { .name = "cl100k_base", .n = 100256, .eos = "<|endoftext|>",
      .special = { { 100257, "<|endoftext|>", 1, 0 }, { 100258, "<|fim_prefix|>", 1, 0 }, { 100259, "<|fim_middle|>", 1, 0 },
                   { 100260, "<|fim_suffix|>", 1, 0 }, { 100276, "<|endofprompt|>", 1, 0 } } },
    { .name = "o200k_base", .n = 199998, .eos = "<|endoftext|>", .special = { { 199999, "<|endoftext|>", 1, 0 }, { 200018, "<|endofprompt|>", 1, 0 } } },
    { .name = "o200k_harmony", .n = 199998, .bos = "<|startoftext|>", .eos = "<|return|>",
      .special = { { 199998, "<|startoftext|>", 1, 0 }, { 199999, "<|endoftext|>", 1, 0 }, { 200000, "<|reserved_#|>", 2, 200000 },
                   { 200002, "<|return|>", 1, 0 }, { 200003, "<|constrain|>", 1, 0 }, { 200004, "<|reserved_#|>", 1, 200004 },
                   { 200005, "<|channel|>", 1, 0 }, { 200006, "<|start|>", 1, 0 }, { 200007, "<|end|>", 1, 0 },
                   { 200008, "<|message|>", 1, 0 }, { 200009, "<|reserved_#|>", 3, 200009 }, { 200012, "<|call|>", 1, 0 },
                   { 200013, "<|reserved_#|>", 5, 200013 }, { 200018, "<|endofprompt|>", 1, 0 },
                   { 200019, "<|reserved_#|>", 1069, 200019 } } },
    { .name = "llama3", .file = "tokenizer.model", .n = 128000, .bos = "<|begin_of_text|>", .eos = "<|end_of_text|>", .add_bos = true,
      .special = { { 128000, "<|begin_of_text|>", 1, 0 }, { 128001, "<|end_of_text|>", 1, 0 },
                   { 128002, "<|reserved_special_token_#|>", 2, 0 }, { 128004, "<|finetune_right_pad_id|>", 1, 0 },
                   { 128005, "<|reserved_special_token_#|>", 1, 2 }, { 128006, "<|start_header_id|>", 1, 0 },
                   { 128007, "<|end_header_id|>", 1, 0 }, { 128008, "<|eom_id|>", 1, 0 }, { 128009, "<|eot_id|>", 1, 0 },
                   { 128010, "<|python_tag|>", 1, 0 }, { 128011, "<|reserved_special_token_#|>", 245, 3 } } },
    { .name = "qwen", .n = 151643, .eos = "<|endoftext|>", .normalized = true,
      .special = { { 151643, "<|endoftext|>", 1, 0 }, { 151644, "<|im_start|>", 1, 0 }, { 151645, "<|im_end|>", 1, 0 },
                   { 151646, "<|extra_#|>", 205, 0 } } },
    { .name = "glm4", .file = "tokenizer.model", .n = 151329, .eos = "<|endoftext|>", .prefix = { "[gMASK]", "<sop>" },
      .special = { { 151329, "<|endoftext|>", 1, 0 }, { 151330, "[MASK]", 1, 0 }, { 151331, "[gMASK]", 1, 0 }, { 151332, "[sMASK]", 1, 0 },
                   { 151333, "<sop>", 1, 0 }, { 151334, "<eop>", 1, 0 }, { 151335, "<|system|>", 1, 0 }, { 151336, "<|user|>", 1, 0 },
                   { 151337, "<|assistant|>", 1, 0 }, { 151338, "<|observation|>", 1, 0 }, { 151339, "<|begin_of_image|>", 1, 0 },
                   { 151340, "<|end_of_image|>", 1, 0 }, { 151341, "<|begin_of_video|>", 1, 0 }, { 151342, "<|end_of_video|>", 1, 0 } } },
    { .name = "kimi-k2", .file = "tiktoken.model", .n = 163584, .bos = "[BOS]", .eos = "[EOS]",
      .special = { { 163584, "[BOS]", 1, 0 }, { 163585, "[EOS]", 1, 0 }, { 163586, "<|im_end|>", 1, 0 }, { 163587, "<|im_user|>", 1, 0 },
                   { 163588, "<|im_assistant|>", 1, 0 }, { 163589, "<|reserved_token_#|>", 1, 163589 },
                   { 163590, "<|start_header_id|>", 1, 0 }, { 163591, "<|end_header_id|>", 1, 0 },
                   { 163592, "<|reserved_token_#|>", 1, 163592 }, { 163593, "[EOT]", 1, 0 }, { 163594, "<|im_system|>", 1, 0 },
                   { 163595, "<|tool_calls_section_begin|>", 1, 0 }, { 163596, "<|tool_calls_section_end|>", 1, 0 },
                   { 163597, "<|tool_call_begin|>", 1, 0 }, { 163598, "<|tool_call_argument_begin|>", 1, 0 },
                   { 163599, "<|tool_call_end|>", 1, 0 }, { 163600, "<|reserved_token_#|>", 1, 163600 }, { 163601, "<|im_middle|>", 1, 0 },
                   { 163602, "<|reserved_token_#|>", 236, 163602 }, { 163838, "[UNK]", 1, 0 }, { 163839, "[PAD]", 1, 0 } } },
};

enum { NAMES = sizeof names / sizeof *names };

struct line {
    const char *s; /* of the token */
    size_t n;
    uint64_t rank;
};

/* The line at *p, which moves behind it, CR LF or LF; 0: an empty one; -1: not such a line. */
static int next_line(const char **p, const char *end, struct line *l)
{
    const char *at = *p, *eol = memchr(at, '\n', (size_t)(end - at)), *digit, *stop = eol ? eol : end;

    *p = eol ? eol + 1 : end;
    if (stop > at && stop[-1] == '\r')
        stop--;
    if (stop == at)
        return 0;
    digit = memchr(at, ' ', (size_t)(stop - at));
    if (!digit || stop - digit < 2 || stop - digit > 11)
        return -1;
    *l = (struct line){ .s = at, .n = (size_t)(digit - at) };
    while (++digit < stop) {
        if (*digit < '0' || *digit > '9')
            return -1;
        l->rank = l->rank * 10 + (uint64_t)(*digit - '0');
    }
    return 1;
}

bool tokenizer_is_ranks(const struct tokenizer_source *s)
{
    const char *p = s->data, *end = p + s->n;
    char token[4 * BPE_LONGEST];
    struct line l;

    return s->n && next_line(&p, end, &l) == 1 && l.n && l.n <= sizeof token && base64_decode(l.s, l.n, token) != BASE64_BAD;
}

static size_t count_lines(const struct tokenizer_source *s)
{
    const char *p = s->data, *end = p + s->n;
    struct line l;
    size_t n = 0;

    while (p < end)
        n += next_line(&p, end, &l) == 1;
    return n;
}

int tokenizer_read_ranks(struct tokenizer_loader *l, struct bpe *b)
{
    const char *p = l->source->ranks, *end = p + l->source->ranks_n;
    struct tokenizer_text token = { 0 };
    int rc = 0;

    for (size_t number = 1; p < end && rc == 0; number++) {
        struct line line;
        int got = next_line(&p, end, &line);
        size_t n = 0;

        if (got == 0)
            continue;
        if (got > 0) {
            mem_grow(&token.v, &token.cap, line.n, 1);
            n = base64_decode(line.s, line.n, token.v);
        }
        if (got < 0 || n == BASE64_BAD)
            rc = err_set(l->err, "%s:%zu: not a token in base64, a blank and its rank", l->name, number);
        else if (bpe_add_bytes(b, token.v, n, line.rank, l->err) < 0)
            rc = err_prefix(l->err, "%s:%zu", l->name, number);
    }
    free(token.v);
    if (rc == 0 && (bpe_index(b, l->err) < 0 || bpe_merge_all(b, l->err) < 0))
        rc = err_prefix(l->err, "%s", l->name);
    return rc;
}

/* The row of a name that the user gives, or of the file's, where it has as many ranks. */
static const struct named *find_named(const struct tokenizer_source *s)
{
    const char *base = tokenizer_base_name(s->name), *name = s->pattern ? s->pattern : base;
    size_t n = s->pattern ? strlen(name) : strcspn(base, "."), ranks = count_lines(s);

    if (!s->pattern && strcmp(base + n, ".tiktoken") != 0)
        n = 0;
    for (int i = 0; i < NAMES; i++) {
        bool named = strlen(names[i].name) == n && memcmp(names[i].name, name, n) == 0;

        if (!s->pattern && names[i].file)
            named = named || strcmp(names[i].file, base) == 0;
        if (named && names[i].n == ranks)
            return &names[i];
    }
    return NULL;
}

/* The i-th content of a row. */
static size_t spell(const struct special *x, uint32_t i, char *content, size_t room)
{
    size_t n = strcspn(x->content, "#");

    return (size_t)(x->content[n] ? snprintf(content, room, "%.*s%u%s", (int)n, x->content, x->from + i, x->content + n + 1)
                                  : snprintf(content, room, "%s", x->content));
}

/* The special tokens of the table, but for ids that tokenizer_config.json names. */
static void put_specials(const struct named *row, const struct json_value *config, struct tokenizer_text *json)
{
    const struct json_value *decoder = json_get(config, "added_tokens_decoder");
    const char *before = "";

    tokenizer_puts(json, "\"added_tokens\":[");
    for (const struct special *x = row ? row->special : NULL; x && x < row->special + 22 && x->count; x++)
        for (uint32_t i = 0; i < x->count; i++) {
            char id[16], content[64];

            snprintf(id, sizeof id, "%u", x->id + i);
            if (json_get(decoder, id))
                continue;
            tokenizer_puts(json, before);
            tokenizer_puts(json, "{\"id\":");
            tokenizer_puts(json, id);
            tokenizer_puts(json, ",\"content\":");
            tokenizer_put_quoted(json, content, spell(x, i, content, sizeof content));
            tokenizer_puts(json, row->normalized ? ",\"special\":true,\"normalized\":true}" : ",\"special\":true,\"normalized\":false}");
            before = ",";
        }
    tokenizer_puts(json, "],");
}

/* What stands in front of each text: special tokens of the table. */
static void put_prefix(const struct named *row, struct tokenizer_text *json)
{
    if (!row || !row->prefix[0])
        return;
    tokenizer_puts(json, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[");
    for (int i = 0; i < 2; i++) {
        tokenizer_puts(json, "{\"SpecialToken\":{\"type_id\":0,\"id\":");
        tokenizer_put_quoted(json, row->prefix[i], strlen(row->prefix[i]));
        tokenizer_puts(json, "}},");
    }
    tokenizer_puts(json, "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{");
    for (int i = 0; i < 2; i++) {
        char id[40];

        tokenizer_puts(json, i ? "," : "");
        tokenizer_put_quoted(json, row->prefix[i], strlen(row->prefix[i]));
        for (const struct special *x = row->special; x->count; x++)
            if (strcmp(x->content, row->prefix[i]) == 0)
                tokenizer_put(json, id, (size_t)snprintf(id, sizeof id, ":{\"ids\":[%u]}", x->id));
    }
    tokenizer_puts(json, "}},");
}

/* What tokenizer_config.json would say, where there is none. */
static void put_config(const struct named *row, struct tokenizer_text *config)
{
    const char *const keys[] = { "{\"bos_token\":", ",\"eos_token\":" }, *const values[] = { row->bos, row->eos };

    for (int i = 0; i < 2; i++) {
        tokenizer_puts(config, keys[i]);
        if (values[i])
            tokenizer_put_quoted(config, values[i], strlen(values[i]));
        else
            tokenizer_puts(config, "null");
    }
    tokenizer_puts(config, row->add_bos ? ",\"add_bos_token\":true}" : "}");
}

int tokenizer_load_ranks(struct tokenizer *t, const struct tokenizer_source *s, struct err *err)
{
    const struct named *row = find_named(s);
    const char *base = tokenizer_base_name(s->name), *pattern = s->pattern ? s->pattern : row ? row->name : NULL;
    struct tokenizer_source json = *s;
    struct tokenizer_text text = { 0 }, made = { 0 };
    struct tokenizer_family room;
    const struct tokenizer_family *f;
    const struct json_value *config = NULL;
    struct arena a;
    int rc;

    f = pattern ? tokenizer_family_of(pattern, &room, err) : tokenizer_family_named(base, strcspn(base, "."));
    if (!f)
        return pattern ? -1 : err_set(err, "%s: ranks of tiktoken, and the name of the file does not tell the pattern: --pattern NAME|REGEX", s->name);
    arena_init(&a);
    rc = tokenizer_config_tree(s, &a, &config, err);
    if (rc == 0) {
        tokenizer_puts(&text, "{");
        put_specials(row, config, &text);
        tokenizer_put_family(f, &text);
        put_prefix(row, &text);
        tokenizer_puts(&text, "\"model\":{\"type\":\"ranks\"}}");
        json.data = text.v;
        json.n = text.n;
        json.ranks = s->data;
        json.ranks_n = s->n;
        json.given_ids = true;
        json.rust = f->given;
        if (!s->config && row) {
            put_config(row, &made);
            json.config = made.v;
            json.config_n = made.n;
        }
        rc = tokenizer_load(t, &json, err);
    }
    free(text.v);
    free(made.v);
    arena_release(&a);
    return rc;
}
