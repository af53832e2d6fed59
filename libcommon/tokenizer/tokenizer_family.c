/* Families of byte-level BPE: how each cuts its text, by the names that --pattern, GGUF files and file names use.
 *
 * Expressions are in Oniguruma's syntax, as the families' own tokenizer.json hold them, or names of pretok.h.
 */
#include "libcommon/tokenizer/tokenizer_family.h"

#include <string.h>

#include "libcommon/tokenizer/pretok.h"

#define SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WHITE "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define ASCII_PUNCT "!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~"
#define DIGIT "{\"type\":\"Digits\",\"individual_digits\":true}"
#define BLOOM \
    " ?[^(\\s|[.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{0964}\\x{06D4}\\x{060C}])]+"
#define CJK "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"

/* White space, then letters of the scripts with case. */
#define DEEPSEEK_LETTERS \
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{293}" \
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}" \
    "\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}" \
    "\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}" \
    "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}" \
    "\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-" \
    "\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}" \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}" \
    "\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}" \
    "\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}" \
    "\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}" \
    "\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}" \
    "\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}" \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-" \
    "\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+"

static const struct tokenizer_family families[] = {
    { .names = "gpt2 r50k_base p50k_base p50k_edit gpt-2 phi-2 jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code "
               "roberta-bpe gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling",
      .step = { "gpt2" } },
    { .names = "gpt-neox mpt olmo modern-bert", .step = { "gpt2" }, .nfc = true },
    { .names = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
      .step = { "llama3" }, .whole = true, .bos = true },
    { .names = "cl100k_base glm4 chatglm-bpe dbrx smaug-bpe", .step = { "llama3" } },
    { .names = "qwen2 qwen deepseek-r1-qwen megrez kormo f2llmv2", .step = { "qwen2" }, .nfc = true },
    { .names = "stablelm2 hunyuan solar-open grok-2", .step = { "qwen2" } },
    { .names = "qwen35",
      .step = { SHORT "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" WHITE },
      .nfc = true },
    { .names = "o200k_base o200k_harmony gpt-oss gpt-4o llama4 kanana2 talkie minimax-m2",
      .step = { "o200k" } },
    { .names = "tekken", .step = { "tekken" }, .whole = true, .bos = true },
    { .names = "kimi-k2",
      .step = { "kimi" } },
    { .names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
      .step = { "\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+",
                "[" ASCII_PUNCT "][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" WHITE } },
    { .names = "deepseek-llm",
      .step = { "[\\r\\n]", DEEPSEEK_LETTERS,
                "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+", "\\s+$", CJK, DIGIT } },
    { .names = "deepseek-coder", .step = { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, DIGIT } },
    { .names = "falcon",
      .step = { "{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}", "gpt2",
                "{\"type\":\"Digits\",\"individual_digits\":false}", "[0-9][0-9][0-9]" } },
    { .names = "starcoder refact smollm codeshell exaone minerva-7b mellum2", .step = { DIGIT, "gpt2" } },
    { .names = "command-r", .step = { DIGIT, "gpt2" }, .nfc = true },
    { .names = "bloom poro-chat gpt3-finnish", .step = { BLOOM } },
    { .names = "viking", .step = { BLOOM, DIGIT } },
    { .names = "bailingmoe bailingmoe2 llada-moe",
      .step = { "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|"
                "\\s+(?!\\S)|\\s+" } },
    { .names = "seed-coder",
      .step = { SHORT "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" WHITE } },
};

bool tokenizer_has_word(const char *words, const char *s, size_t n)
{
    size_t len;

    for (; *words; words += len + (words[len] == ' ')) {
        len = strcspn(words, " ");
        if (len == n && memcmp(words, s, n) == 0)
            return true;
    }
    return false;
}

const struct tokenizer_family *tokenizer_family_named(const char *s, size_t n)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (tokenizer_has_word(families[i].names, s, n))
            return &families[i];
    return NULL;
}

const struct tokenizer_family *tokenizer_family_of(const char *pattern, struct tokenizer_family *room, struct err *err)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const struct tokenizer_family *f = tokenizer_family_named(pattern, strlen(pattern));

    if (f)
        return f;
    if (*pattern != '.' && !pattern[strspn(pattern, letters)]) {
        err_set(err, "'%.100s' is neither the name of a pattern nor an expression; the names are in lmtokenize(1)", pattern);
        return NULL;
    }
    *room = (struct tokenizer_family){ .step = { pattern }, .given = true };
    return room;
}

void tokenizer_put_family(const struct tokenizer_family *f, struct tokenizer_text *json)
{
    if (f->nfc)
        tokenizer_puts(json, "\"normalizer\":{\"type\":\"NFC\"},");
    tokenizer_puts(json, "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[");
    for (int i = 0; i < TOKENIZER_FAMILY_STEPS && f->step[i]; i++) {
        const char *known = pretok_expression(f->step[i]), *s = known ? known : f->step[i];

        if (*s == '{' && !f->given) {
            tokenizer_puts(json, s);
        } else {
            tokenizer_puts(json, "{\"type\":\"Split\",\"pattern\":{\"Regex\":");
            tokenizer_put_quoted(json, s, strlen(s));
            /* tiktoken drops what its expression does not match */
            tokenizer_puts(json, f->given && !known ? "},\"behavior\":\"Removed\",\"invert\":true}" : "},\"behavior\":\"Isolated\",\"invert\":false}");
        }
        tokenizer_puts(json, ",");
    }
    tokenizer_puts(json, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":false}]},"
                         "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false,\"use_regex\":false},");
}
