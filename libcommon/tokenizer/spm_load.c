/* ModelProto: protobuf's wire format (varints, 32 and 64 bit values, byte strings), read field by field. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/tokenizer/spm_in.h"

struct wire {
    const uint8_t *start, *p, *end;
};

struct field {
    uint32_t number, kind; /* 0 varint, 1 64 bit, 2 bytes, 5 32 bit */
    uint64_t value;        /* or the length */
    const uint8_t *s;
};

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };

static int varint(struct wire *w, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; shift < 70 && w->p < w->end; shift += 7) {
        uint8_t c = *w->p++;

        if (shift == 63 && c > 1)
            return -1;
        *v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return 0;
    }
    return -1;
}

/* 1, 0 at the end, -1 on an error. */
static int next_field(struct wire *w, struct field *f)
{
    uint64_t key;

    if (w->p == w->end)
        return 0;
    if (varint(w, &key) < 0 || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return -1;
    *f = (struct field){ .number = (uint32_t)(key >> 3), .kind = key & 7, .s = w->p };
    switch (f->kind) {
    case VARINT:
        return varint(w, &f->value) < 0 ? -1 : 1;
    case BYTES:
        if (varint(w, &f->value) < 0)
            return -1;
        break;
    case FIXED32:
        f->value = 4;
        break;
    case FIXED64:
        f->value = 8;
        break;
    default:
        return -1;
    }
    if (f->value > (uint64_t)(w->end - w->p))
        return -1;
    f->s = w->p;
    w->p += f->value;
    return 1;
}

static struct wire inside(const struct field *f)
{
    return (struct wire){ f->s, f->s, f->s + f->value };
}

static char *copy(const struct field *f)
{
    char *s = xmalloc((size_t)f->value + 1);

    memcpy(s, f->s, (size_t)f->value);
    s[f->value] = 0;
    return s;
}

static void replace(char **s, const struct field *f)
{
    free(*s);
    *s = copy(f);
}

/* A list of numbered values of a message. */
struct setting {
    uint32_t number;
    bool *flag;
    char **string;
};

static int read_settings(const struct field *message, const struct setting *rows, size_t n, const char *what,
                         int (*other)(struct spm *m, const struct field *f, struct err *err), struct spm *m,
                         struct err *err)
{
    struct wire w = inside(message);
    struct field f;
    int rc;

    while ((rc = next_field(&w, &f)) > 0) {
        for (size_t i = 0; i < n; i++) {
            if (rows[i].number != f.number)
                continue;
            if (rows[i].flag && f.kind == VARINT)
                *rows[i].flag = f.value != 0;
            if (rows[i].string && f.kind == BYTES)
                replace(rows[i].string, &f);
        }
        if (other && other(m, &f, err) < 0)
            return -1;
    }
    return rc < 0 ? err_set(err, "%s: byte %zu: not protobuf", what, (size_t)(w.p - w.start)) : 0;
}

static int trainer_field(struct spm *m, const struct field *f, struct err *err)
{
    if (f->number == 3 && f->kind == VARINT) {
        if (f->value < SPM_UNIGRAM || f->value > SPM_CHAR)
            return err_set(err, "model type %llu is none of unigram, bpe, word, char", (unsigned long long)f->value);
        m->info.model = (enum spm_model)f->value;
    }
    if (f->number == 44 && f->kind == BYTES)
        m->unk_surface_n = strnlen((const char *)f->s, (size_t)f->value);
    return 0;
}

static int read_trainer(struct spm *m, const struct field *message, struct err *err)
{
    const struct setting rows[] = {
        { .number = 24, .flag = &m->info.suffix },
        { .number = 35, .flag = &m->info.byte_fallback },
        { .number = 44, .string = &m->unk_surface },
        { .number = 46, .string = &m->own[0] },
        { .number = 47, .string = &m->own[1] },
        { .number = 48, .string = &m->own[2] },
    };

    return read_settings(message, rows, sizeof rows / sizeof *rows, "trainer_spec", trainer_field, m, err);
}

static int read_spec(struct spm_spec *s, const struct field *message, const char *what, struct err *err)
{
    const struct setting rows[] = {
        { .number = 1, .string = &s->name },
        { .number = 3, .flag = &s->dummy_prefix },
        { .number = 4, .flag = &s->squeeze },
        { .number = 5, .flag = &s->escape },
    };
    struct wire w = inside(message);
    struct field f;

    if (read_settings(message, rows, sizeof rows / sizeof *rows, what, NULL, NULL, err) < 0)
        return -1;
    while (next_field(&w, &f) > 0) {
        if (f.number != 2 || f.kind != BYTES)
            continue;
        charsmap_release(&s->map);
        s->has_map = f.value > 0;
        if (s->has_map && charsmap_load(&s->map, f.s, (size_t)f.value, err) < 0)
            return err_prefix(err, "%s", what);
    }
    return 0;
}

struct pieces {
    struct spm *m;
    size_t n, score_cap, type_cap;
};

static int check_piece(const struct spm *m, size_t at, const struct field *name, struct err *err)
{
    size_t valid = utf8_valid(name->s, (size_t)name->value);

    if (!name->value)
        return err_set(err, "piece %zu is empty", at);
    if (valid < name->value)
        return err_set(err, "piece %zu: invalid UTF-8: 0x%02x", at, (unsigned)name->s[valid]);
    if (!isfinite(m->score[at]))
        return err_set(err, "piece %zu: the score is not finite", at);
    if (m->type[at] < SPM_NORMAL || m->type[at] > SPM_BYTE)
        return err_set(err, "piece %zu is of type %u", at, m->type[at]);
    return 0;
}

static int read_piece(struct pieces *p, const struct field *message, struct err *err)
{
    struct field f, name = { .s = (const uint8_t *)"" };
    struct wire w = inside(message);
    struct spm *m = p->m;
    size_t at = p->n++;
    uint64_t type = SPM_NORMAL;
    uint32_t bits = 0;
    bool text;
    int rc;

    if (at == SPM_MOST)
        return err_set(err, "more than %u pieces", SPM_MOST);
    while ((rc = next_field(&w, &f)) > 0) {
        if (f.number == 1 && f.kind == BYTES)
            name = f;
        else if (f.number == 2 && f.kind == FIXED32)
            bits = (uint32_t)f.s[0] | (uint32_t)f.s[1] << 8 | (uint32_t)f.s[2] << 16 | (uint32_t)f.s[3] << 24;
        else if (f.number == 3 && f.kind == VARINT)
            type = f.value;
    }
    if (rc < 0)
        return err_set(err, "piece %zu: not protobuf", at);
    mem_grow(&m->score, &p->score_cap, at + 1, sizeof *m->score);
    mem_grow(&m->type, &p->type_cap, at + 1, sizeof *m->type);
    memcpy(&m->score[at], &bits, sizeof bits);
    m->type[at] = (uint8_t)(type < 255 ? type : 255);
    if (check_piece(m, at, &name, err) < 0)
        return -1;
    text = type == SPM_NORMAL || type == SPM_USER_DEFINED || type == SPM_UNUSED;
    return lexicon_add(text ? &m->names : &m->special, (const char *)name.s, (size_t)name.value, at, SPM_MOST, err);
}

static int read_model(struct spm *m, const void *data, size_t n, struct err *err)
{
    struct pieces p = { .m = m };
    struct wire w = { data, data, (const uint8_t *)data + n };
    struct field f;
    int rc, bad = 0;

    while ((rc = next_field(&w, &f)) > 0) {
        if (f.kind == BYTES && f.number == 1)
            bad = read_piece(&p, &f, err);
        else if (f.kind == BYTES && f.number == 2)
            bad = read_trainer(m, &f, err);
        else if (f.kind == BYTES && f.number == 3)
            bad = read_spec(&m->normal, &f, "normalizer_spec", err);
        else if (f.kind == BYTES && f.number == 5)
            bad = read_spec(&m->denormal, &f, "denormalizer_spec", err);
        if (bad < 0)
            return -1;
    }
    if (rc < 0)
        return err_set(err, "byte %zu: not protobuf", (size_t)(w.p - w.start));
    if (!p.n)
        return err_set(err, "no pieces");
    m->info.n_pieces = (uint32_t)p.n;
    return 0;
}

struct spm *spm_parse(const void *data, size_t n, struct err *err)
{
    struct spm *m = xcalloc(1, sizeof *m);
    struct spm_spec spec = { .dummy_prefix = true, .squeeze = true, .escape = true };

    m->normal = m->denormal = spec;
    m->info = (struct spm_info){ .model = SPM_UNIGRAM, .unk = SPM_NONE };
    m->unk_surface = xstrdup(" \xe2\x81\x87 ");
    m->unk_surface_n = 5;
    if (read_model(m, data, n, err) < 0 || spm_prepare(m, err) < 0) {
        spm_free(m);
        return NULL;
    }
    return m;
}

/* The first two fields are pieces, or a piece is all; the first one has a string and what a piece may have. */
bool spm_sniff(const void *data, size_t n)
{
    struct wire w = { data, data, (const uint8_t *)data + n }, in;
    struct field f;
    bool named = false;
    int rc;

    if (!n || next_field(&w, &f) <= 0 || f.number != 1 || f.kind != BYTES)
        return false;
    in = inside(&f);
    while ((rc = next_field(&in, &f)) > 0) {
        if (f.number > 3 || f.kind != (f.number == 1 ? BYTES : f.number == 2 ? FIXED32 : VARINT))
            return false;
        named |= f.number == 1 && f.value > 0;
    }
    return rc == 0 && named && (w.p == w.end || next_field(&w, &f) > 0);
}
