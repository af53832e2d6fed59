#include "libcommon/tokenizer/spm_in.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

static void free_spec(struct spm_spec *s)
{
    free(s->name);
    charsmap_release(&s->map);
}

void spm_free(struct spm *m)
{
    if (!m)
        return;
    free(m->score);
    free(m->type);
    free(m->unk_surface);
    free(m->text);
    free(m->text_at);
    free(m->made_by);
    for (int i = 0; i < 3; i++)
        free(m->own[i]);
    lexicon_release(&m->names);
    lexicon_release(&m->special);
    free_spec(&m->normal);
    free_spec(&m->denormal);
    trie_release(&m->user[0]);
    trie_release(&m->user[1]);
    charids_release(&m->chars);
    merges_release(&m->merges);
    unigram_release(&m->unigram);
    free(m);
}

const struct spm_info *spm_info(const struct spm *m)
{
    return &m->info;
}

const char *spm_piece(const struct spm *m, uint32_t id, size_t *n, enum spm_type *type)
{
    const char *s = lexicon_string(&m->names, id, n);

    if (id >= m->info.n_pieces)
        return NULL;
    *type = (enum spm_type)m->type[id];
    return s ? s : lexicon_string(&m->special, id, n);
}

uint32_t spm_id(const struct spm *m, const char *s, size_t n)
{
    uint32_t id = lexicon_find(&m->special, s, n);

    return id == LEXICON_NONE ? lexicon_find(&m->names, s, n) : id;
}

struct spm_scratch *spm_scratch_new(const struct spm *m)
{
    struct spm_scratch *s = xcalloc(1, sizeof *s);

    s->m = m;
    if (spm_hangs_together(m))
        wordcache_init(&s->cache);
    return s;
}

void spm_scratch_free(struct spm_scratch *s)
{
    if (!s)
        return;
    free(s->id);
    free(s->stack);
    merges_scratch_release(&s->merges);
    unigram_scratch_release(&s->unigram);
    wordcache_release(&s->cache);
    free(s->kept);
    free(s->unknown);
    free(s);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "<0xHH>" spells, or -1. */
static int byte_of(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || hex(s[3]) < 0 || hex(s[4]) < 0)
        return -1;
    return hex(s[3]) << 4 | hex(s[4]);
}

static int take_special(struct spm *m, const struct lexicon_item *t, struct err *err)
{
    const char *s = m->special.bytes + t->at;
    int byte = byte_of(s, t->len);
    uint32_t cp;

    if (lexicon_find(&m->names, s, t->len) != LEXICON_NONE)
        return err_set(err, "piece %u: '%.*s' is there twice", t->id, (int)(t->len < 100 ? t->len : 100), s);
    switch (m->type[t->id]) {
    case SPM_UNKNOWN:
        if (m->info.unk != SPM_NONE)
            return err_set(err, "pieces %u and %u are both the unknown one", m->info.unk, t->id);
        m->info.unk = t->id;
        break;
    case SPM_BYTE:
        if (!m->info.byte_fallback || byte < 0)
            return err_set(err, "piece %u: '%.*s' is not a byte, or there is no byte fallback", t->id,
                           (int)(t->len < 100 ? t->len : 100), s);
        m->byte_id[byte] = t->id;
        break;
    default:
        if (utf8_decode(s, t->len, &cp) == (int)t->len)
            return err_set(err, "piece %u: a control piece of one character is not supported", t->id);
    }
    return 0;
}

/* The pieces of types that are not looked for in text. */
static int take_specials(struct spm *m, struct err *err)
{
    memset(m->byte_id, 0xff, sizeof m->byte_id);
    for (size_t i = 0; i < m->special.n; i++)
        if (take_special(m, &m->special.item[i], err) < 0)
            return -1;
    if (m->info.unk == SPM_NONE)
        return err_set(err, "there is no unknown piece");
    for (int c = 0; c < 256 && m->info.byte_fallback; c++)
        if (m->byte_id[c] == SPM_NONE)
            return err_set(err, "there is no piece for the byte 0x%02x", (unsigned)c);
    return 0;
}

/* A piece as it stands in the normal form the model is given: with the byte 0x20 for U+2581 where spaces are escaped;
 * 0: it can not stand there. */
static size_t compact(const struct spm *m, const char *s, size_t n, char *out)
{
    size_t used = 0;

    if (!m->normal.escape) {
        memcpy(out, s, n);
        return n;
    }
    for (size_t at = 0; at < n;) {
        if (s[at] == ' ')
            return 0;
        if (n - at >= 3 && memcmp(s + at, SPM_BAR, 3) == 0) {
            out[used++] = ' ';
            at += 3;
        } else {
            out[used++] = s[at++];
        }
    }
    return used;
}

/* Keys of the pieces of a type (0: all), compact or not, into k; their strings into room. */
static size_t make_keys(const struct spm *m, int type, bool small, char *room, struct trie_key *k)
{
    size_t n = 0;

    for (size_t i = 0; i < m->names.n; i++) {
        const struct lexicon_item *t = &m->names.item[i];
        const char *s = m->names.bytes + t->at;

        if (type && m->type[t->id] != type)
            continue;
        k[n] = (struct trie_key){ s, t->len, t->id };
        if (small) {
            k[n].s = room;
            k[n].n = compact(m, s, t->len, room);
            room += k[n].n;
        }
        n += k[n].n > 0;
    }
    return n;
}

static int no_nul(const struct spm *m, bool all, struct err *err)
{
    for (size_t i = 0; i < m->names.n; i++) {
        const struct lexicon_item *t = &m->names.item[i];

        if ((all || m->type[t->id] == SPM_USER_DEFINED) && memchr(m->names.bytes + t->at, 0, t->len))
            return err_set(err, "piece %u holds a NUL", t->id);
    }
    return 0;
}

static void prepare_user(struct spm *m)
{
    struct trie_key *k = xmalloc((m->names.n + 1) * sizeof *k);
    char *room = xmalloc(m->names.bytes_n + 1);

    for (int small = 0; small < 2; small++) {
        size_t n = make_keys(m, SPM_USER_DEFINED, small, room, k);

        m->has_user |= n > 0;
        trie_build(&m->user[small], k, n);
    }
    free(room);
    free(k);
}

static int prepare_unigram(struct spm *m, struct err *err)
{
    struct trie_key *k;
    double *score;
    float least = FLT_MAX, most = FLT_MIN;
    char *room;
    size_t n;

    if (no_nul(m, true, err) < 0)
        return -1;
    for (uint32_t i = 0; i < m->info.n_pieces; i++)
        if (m->type[i] == SPM_NORMAL) {
            least = m->score[i] < least ? m->score[i] : least;
            most = m->score[i] > most ? m->score[i] : most;
        }
    k = xmalloc((m->names.n + 1) * sizeof *k);
    room = xmalloc(m->names.bytes_n + 1);
    score = xcalloc((size_t)m->info.n_pieces + 1, sizeof *score);
    for (size_t i = 0; i < m->names.n; i++) {
        const struct lexicon_item *t = &m->names.item[i];

        score[t->id] = m->type[t->id] == SPM_USER_DEFINED ? (double)((float)t->len * most) - 0.1 : (double)m->score[t->id];
    }
    n = make_keys(m, 0, true, room, k);
    for (size_t i = 0; i < n;) /* unused ones are not looked for */
        if (m->type[k[i].value] == SPM_UNUSED)
            k[i] = k[--n];
        else
            i++;
    unigram_build(&m->unigram, k, n, score, m->info.n_pieces);
    m->unigram.single = true;
    m->unigram.unk = m->info.unk;
    m->unigram.unk_score = (double)(least - 10.0F);
    m->steepest = fabs(m->unigram.unk_score);
    for (uint32_t i = 0; i < m->info.n_pieces; i++)
        m->steepest = fabs(score[i]) > m->steepest ? fabs(score[i]) : m->steepest;
    free(room);
    free(k);
    return 0;
}

/* What pieces stand for in a text: U+2581 is a space. */
static void prepare_text(struct spm *m)
{
    size_t n = 0, unk_n = m->unk_surface_n;

    m->text = xmalloc(m->names.bytes_n + m->special.bytes_n + unk_n + 1);
    m->text_at = xmalloc(((size_t)m->info.n_pieces + 1) * sizeof *m->text_at);
    for (uint32_t id = 0; id < m->info.n_pieces; id++) {
        uint8_t type = m->type[id];
        size_t len;
        const char *s = lexicon_string(&m->names, id, &len);

        if (!s)
            s = lexicon_string(&m->special, id, &len);
        m->text_at[id] = n;
        if (type == SPM_UNKNOWN)
            memcpy(m->text + n, m->unk_surface, unk_n);
        n += type == SPM_UNKNOWN ? unk_n : 0;
        if (type == SPM_BYTE)
            m->text[n++] = (char)byte_of(s, len);
        if (type == SPM_UNKNOWN || type == SPM_BYTE || type == SPM_CONTROL)
            continue;
        for (size_t at = 0; at < len;) {
            bool bar = len - at >= 3 && memcmp(s + at, SPM_BAR, 3) == 0;

            m->text[n++] = bar ? ' ' : s[at];
            at += bar ? 3 : 1;
        }
    }
    m->text_at[m->info.n_pieces] = n;
}

static void prepare_border(struct spm *m)
{
    m->border.fold = m->normal.escape;
    for (size_t i = 0; i < m->names.n; i++)
        border_add(&m->border, m->names.bytes + m->names.item[i].at, m->names.item[i].len);
}

static void prepare_chars(struct spm *m)
{
    for (size_t i = 0; i < m->names.n; i++) {
        const struct lexicon_item *t = &m->names.item[i];
        uint32_t cp;

        if (utf8_decode(m->names.bytes + t->at, t->len, &cp) == (int)t->len)
            charids_set(&m->chars, cp, t->id);
    }
}

static uint32_t own_id(const struct spm *m, int k, const char *usual)
{
    const char *s = m->own[k] && *m->own[k] ? m->own[k] : usual;
    uint32_t id = spm_id(m, s, strlen(s));

    return id != SPM_NONE && m->type[id] == SPM_CONTROL ? id : SPM_NONE;
}

int spm_prepare(struct spm *m, struct err *err)
{
    struct spm_info *info = &m->info;

    if (lexicon_index(&m->names, err) < 0 || lexicon_index(&m->special, err) < 0)
        return err_prefix(err, "pieces");
    if (take_specials(m, err) < 0 || no_nul(m, false, err) < 0)
        return -1;
    info->bos = own_id(m, 0, "<s>");
    info->eos = own_id(m, 1, "</s>");
    info->pad = own_id(m, 2, "<pad>");
    info->dummy_prefix = m->normal.dummy_prefix;
    info->squeeze = m->normal.squeeze;
    info->escape = m->normal.escape;
    info->charsmap = m->normal.has_map;
    info->normalizer = m->normal.name ? m->normal.name : "";
    prepare_text(m);
    prepare_user(m);
    prepare_border(m);
    prepare_chars(m);
    if (info->model == SPM_BPE)
        spm_prepare_bpe(m);
    return info->model == SPM_UNIGRAM ? prepare_unigram(m, err) : 0;
}
