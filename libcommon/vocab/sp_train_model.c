/* sp_train_model.c - SentencePiece's .model: a ModelProto of sentencepiece_model.proto, in protobuf's wire format.
 * Fields that have their default are left out, but for those that lmtokenize and others look at first. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/vocab/sp_train_in.h"

enum { VARINT = 0, BYTES = 2, FLOAT = 5 };
enum { MODEL_PIECE = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { NORM_NAME = 1, NORM_MAP = 2, NORM_DUMMY_PREFIX = 3, NORM_EXTRA_WHITESPACES = 4 };

struct message {
    char *s;
    size_t n, cap;
};

static void put_varint(struct message *m, uint64_t v)
{
    mem_grow(&m->s, &m->cap, m->n + 10, 1);
    for (; v >= 128; v >>= 7)
        m->s[m->n++] = (char)(v | 128);
    m->s[m->n++] = (char)v;
}

/* Negative numbers take ten bytes, as int32 does. */
static void put_int(struct message *m, int field, int64_t v)
{
    put_varint(m, (uint64_t)field << 3 | VARINT);
    put_varint(m, (uint64_t)v);
}

static void put_bytes(struct message *m, int field, const char *s, size_t n)
{
    put_varint(m, (uint64_t)field << 3 | BYTES);
    put_varint(m, n);
    mem_grow(&m->s, &m->cap, m->n + n + 1, 1);
    if (n)
        memcpy(m->s + m->n, s, n);
    m->n += n;
}

static void put_float(struct message *m, int field, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, 4);
    put_varint(m, (uint64_t)field << 3 | FLOAT);
    mem_grow(&m->s, &m->cap, m->n + 4, 1);
    for (int i = 0; i < 4; i++)
        m->s[m->n++] = (char)(bits >> 8 * i);
}

static void put_trainer(struct message *m, const struct sp_train *t)
{
    const struct sp_train_options *o = t->o, d = sp_train_defaults();
    const struct {
        int field;
        int64_t value, usual;
    } ints[] = {
        { 3, o->unigram ? 1 : 2, 0 },
        { 4, (int64_t)t->n_pieces, 0 },
        { 14, o->seed_sentencepiece_size, d.seed_sentencepiece_size },
        { 17, o->num_sub_iterations, d.num_sub_iterations },
        { 18, o->max_sentence_length, d.max_sentence_length },
        { 20, o->max_sentencepiece_length, d.max_sentencepiece_length },
        { 21, o->split_by_unicode_script, d.split_by_unicode_script },
        { 22, o->split_by_whitespace, d.split_by_whitespace },
        { 23, o->split_by_number, d.split_by_number },
        { 25, o->split_digits, d.split_digits },
        { 26, o->allow_whitespace_only_pieces, d.allow_whitespace_only_pieces },
        { 35, o->byte_fallback, d.byte_fallback },
        { 40, o->id[SP_UNK], d.id[SP_UNK] },
        { 41, o->id[SP_BOS], d.id[SP_BOS] },
        { 42, o->id[SP_EOS], d.id[SP_EOS] },
        { 43, o->id[SP_PAD], d.id[SP_PAD] },
    };

    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        if (ints[i].value != ints[i].usual)
            put_int(m, ints[i].field, ints[i].value);
    if (o->character_coverage < d.character_coverage || o->character_coverage > d.character_coverage)
        put_float(m, 10, o->character_coverage);
    if (o->shrinking_factor < d.shrinking_factor || o->shrinking_factor > d.shrinking_factor)
        put_float(m, 15, o->shrinking_factor);
    for (int i = 0; i < o->n_control; i++)
        put_bytes(m, 30, o->control_symbols[i], strlen(o->control_symbols[i]));
    for (int i = 0; i < o->n_user_defined; i++)
        put_bytes(m, 31, o->user_defined_symbols[i], strlen(o->user_defined_symbols[i]));
    for (int i = 0; i < SP_RESERVED; i++)
        if (strcmp(o->piece[i], d.piece[i]))
            put_bytes(m, 45 + i, o->piece[i], strlen(o->piece[i]));
}

static void put_normalizer(struct message *m, const struct sp_train *t)
{
    static const char *const name[] = { [SP_NMT_NFKC] = "nmt_nfkc", [SP_NFKC] = "nfkc", [SP_IDENTITY] = "identity" };
    const char *s = name[t->o->normalization];

    put_bytes(m, NORM_NAME, s, strlen(s));
    put_bytes(m, NORM_MAP, t->map_blob, t->map_size);
    put_int(m, NORM_DUMMY_PREFIX, t->o->add_dummy_prefix);
    put_int(m, NORM_EXTRA_WHITESPACES, t->o->remove_extra_whitespaces);
}

static int put_message(struct io_out *out, int field, struct message *part, struct err *err)
{
    struct message whole = { .n = 0 };
    int rc;

    put_bytes(&whole, field, part->s, part->n);
    rc = io_put(out, whole.s, whole.n, err);
    free(whole.s);
    part->n = 0;
    return rc;
}

int sp_train_write_model(const struct sp_train *t, struct io_out *out, struct err *err)
{
    struct message m = { .n = 0 };
    int rc = 0;

    for (size_t i = 0; i < t->n_pieces && rc == 0; i++) {
        const struct sp_piece *p = &t->piece[i];

        put_bytes(&m, PIECE_TEXT, p->s, p->n);
        put_float(&m, PIECE_SCORE, p->score);
        if (p->type != SP_NORMAL)
            put_int(&m, PIECE_TYPE, p->type);
        rc = put_message(out, MODEL_PIECE, &m, err);
    }
    if (rc == 0) {
        put_trainer(&m, t);
        rc = put_message(out, MODEL_TRAINER, &m, err);
    }
    if (rc == 0) {
        put_normalizer(&m, t);
        rc = put_message(out, MODEL_NORMALIZER, &m, err);
    }
    free(m.s);
    return rc;
}
