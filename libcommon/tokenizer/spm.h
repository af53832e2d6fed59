/* spm.h - SentencePiece's .model files, as sentencepiece 0.2.1 reads them: text to ids, ids to text.
 *
 * The file is a ModelProto (sentencepiece_model.proto): pieces with scores and types, a trainer's and a
 * normalizer's settings.  Models: BPE, Unigram, word, char.  Text may be any bytes: one that is no UTF-8 becomes
 * U+FFFD.  BOS and EOS are the caller's.  Not taken, where sentencepiece does: pieces that are no UTF-8 or hold a
 * NUL, a normal piece spelled as a control, byte or unknown one, a control piece of one character.
 * A struct spm is read-only after loading; a struct spm_scratch belongs to one thread.
 */
#ifndef LIBCOMMON_TOKENIZER_SPM_H
#define LIBCOMMON_TOKENIZER_SPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

enum spm_type { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER_DEFINED, SPM_UNUSED, SPM_BYTE };
enum spm_model { SPM_UNIGRAM = 1, SPM_BPE, SPM_WORD, SPM_CHAR };

#define SPM_NONE UINT32_MAX
#define SPM_MOST 983038 /* pieces; ids above stand for characters that are none (spm_bpe.c) */

struct border;
struct spm;
struct spm_scratch;

/* The bytes need not outlive the call. */
struct spm *spm_parse(const void *data, size_t n, struct err *err);
void spm_free(struct spm *m);
/* As bytes, and back: *m NULL before, to be freed then (image.h). */
struct image;
void spm_image(struct spm **m, struct image *i);
/* Do these bytes look like such a file? */
bool spm_sniff(const void *data, size_t n);

struct spm_info {
    enum spm_model model;
    uint32_t n_pieces, unk, bos, eos, pad; /* SPM_NONE: it has none */
    bool byte_fallback, dummy_prefix, squeeze, escape, suffix;
    bool charsmap;
    const char *normalizer; /* its name */
};

const struct spm_info *spm_info(const struct spm *m);
/* The piece of an id as the file spells it, borrowed; NULL. */
const char *spm_piece(const struct spm *m, uint32_t id, size_t *n, enum spm_type *type);
uint32_t spm_id(const struct spm *m, const char *s, size_t n);

struct spm_scratch *spm_scratch_new(const struct spm *m);
void spm_scratch_free(struct spm_scratch *s);

/* The normal form of a text into *out, which grows; its length.  It is made for the model: where spaces are escaped,
 * one byte 0x20 stands for each U+2581; 16 bytes behind it can be read. */
size_t spm_normalise(const struct spm *m, const char *text, size_t n, char **out, size_t *cap);
/* Where the normal form may be cut into parts whose ids depend on nothing else; NULL: nowhere. */
const struct border *spm_border(const struct spm *m);
/* Append the ids of the normal form of a text, or of one of its parts, of fewer than 1 GiB, to *ids, which grow. */
void spm_encode(const struct spm *m, struct spm_scratch *s, const char *normal, size_t n, uint32_t **ids, size_t *n_ids, size_t *cap);

/* The text of ids as sentencepiece decodes them into *out, which grows: its length.  Ids of nothing are left out. */
size_t spm_decode(const struct spm *m, const uint32_t *ids, size_t n_ids, char **out, size_t *cap);
/* The bytes that an id stands for inside a text, borrowed: none for a control piece; NULL: there is no such id. */
const char *spm_bytes(const struct spm *m, uint32_t id, size_t *n);

#endif
