/* tokenizer.h - text to token ids and back, as the model's own tokenizer does it.
 *
 * HF tokenizer.json, all of its steps and models, as huggingface/tokenizers 0.23.2 reads it; SentencePiece .model as
 * sentencepiece 0.2.1 does (any bytes are text for it).  What is not supported in a file is an error that names it;
 * "truncation" and "padding" are left aside, as transformers does.  Added tokens that are not special are part of every
 * text's vocabulary; special:true ones are parsed only when asked for.
 * A struct tokenizer is read-only after loading and is shared by threads; each thread has an encoder of its
 * own (scratch and word cache).
 */
#ifndef LIBCOMMON_TOKENIZER_TOKENIZER_H
#define LIBCOMMON_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

#define TOKENIZER_NONE UINT32_MAX

enum tokenizer_special {
    TOKENIZER_SPECIAL_NONE,  /* special strings in the text are text */
    TOKENIZER_SPECIAL_PARSE, /* they become their ids, as HF does */
    TOKENIZER_SPECIAL_ERROR, /* they are an error */
};

struct tokenizer;
struct tokenizer_encoder;

struct tokenizer_info {
    uint32_t vocab_size;      /* ids are below it: highest id + 1, added tokens included */
    uint8_t fingerprint[32];  /* of the token stream format, man/lmstream.5 */
    uint32_t bos, eos, pad;   /* bos_token, eos_token, pad_token of tokenizer_config.json, or TOKENIZER_NONE */
    /* What the post-processor (or add_bos_token / add_eos_token of tokenizer_config.json) adds. */
    const uint32_t *prefix, *suffix;
    int n_prefix, n_suffix;
    const char *pattern_name; /* "gpt2", "llama3", "qwen2": a hand-written scanner; NULL: none */
};

/* A directory that holds one of the files of lmtokenize(1) (and tokenizer_config.json, where there
 * is one), or such a file; what it is, its bytes tell.
 * NULL on error.  tokenizer_free(NULL) is fine. */
struct tokenizer *tokenizer_open(const char *path, struct err *err);
/* The same; pattern, for files that have none: a name of lmtokenize(1), or a regular expression; NULL: none. */
struct tokenizer *tokenizer_open_pattern(const char *path, const char *pattern, struct err *err);
/* The file of a directory that tokenizer_open() reads, or the path of a file itself; free().  NULL: the directory holds
 * none of the names that err lists. */
char *tokenizer_file(const char *path, struct err *err);
/* The directory that stands for the same tokenizer: path, or that of a file which is its tokenizer_file(); free().
 * NULL: the file is another one. */
char *tokenizer_dir(const char *path);
/* Hand out the files that the tokenizer may consist of, with the names by which a directory that holds a copy of them
 * stands for it.  take NULL: see whether it can be done.  -1 when it cannot, or take() fails. */
int tokenizer_each_file(const char *path, int (*take)(void *ctx, const char *path, const char *name, struct err *err), void *ctx,
                        struct err *err);
/* From memory; config may be NULL.  The bytes need not outlive the call. */
struct tokenizer *tokenizer_parse(const void *json, size_t n, const void *config, size_t config_n, const char *name,
                                  struct err *err);
void tokenizer_free(struct tokenizer *t);
const struct tokenizer_info *tokenizer_info(const struct tokenizer *t);

/* Is the file one, other than tokenizer.json?  Does the directory hold one? */
bool tokenizer_is(const void *data, size_t n, const char *path);
bool tokenizer_is_in(const char *dir);
/* Is it a vocabulary by its name, with its merges beside it (GPT-2's files)? */
bool tokenizer_has_merges(const char *path);
/* What a tokenizer holds (report.h): the n bytes of the file path, or with data NULL that of the directory; of GGUF all keys,
 * with a tokenizer or without.  -1: the file is damaged; a tokenizer that is not supported is reported as such. */
struct report;
int tokenizer_report(const void *data, size_t n, const char *path, struct report *r, struct err *err);

/* Id of a token by its string (an added token's content, else a vocabulary entry's text), or
 * TOKENIZER_NONE. */
uint32_t tokenizer_id(const struct tokenizer *t, const char *s, size_t n);

struct tokenizer_encoder *tokenizer_encoder_new(const struct tokenizer *t);
void tokenizer_encoder_free(struct tokenizer_encoder *e);

/* Ids, growing; zero it first, free(v) at the end. */
struct tokenizer_ids {
    uint32_t *v;
    size_t n, cap;
};

/* Append the ids of one text of valid UTF-8 (checked: invalid bytes are an error that names the
 * offset; for a .model each is U+FFFD).  Adds no BOS or EOS.  -1 on error, with out->n as it was. */
int tokenizer_encode(struct tokenizer_encoder *e, const char *text, size_t n, enum tokenizer_special special,
                     struct tokenizer_ids *out, struct err *err);

/* The bytes of one id as the decoder gives them within a text (borrowed), or NULL for an id without a token.  They
 * may be part of a character. */
const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *n);
/* Bytes that grow; free(v). */
struct tokenizer_text {
    char *v;
    size_t n, cap;
};
/* Append the text of n ids, as the decoder makes it; ids without a token are passed over.  Byte-level tokens may make
 * bytes that are no character; where the decoder itself writes U+FFFD for such, *ill becomes true. */
void tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n, struct tokenizer_text *out, bool *ill);
/* Is it an added token with special:true that decoders leave out?  HF does not where normalizers change its content. */
bool tokenizer_is_special(const struct tokenizer *t, uint32_t id);

#endif
