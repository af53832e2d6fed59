#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/spm_in.h"

static void image_spec(struct spm_spec *s, struct image *i)
{
    image_string(i, &s->name);
    image_flags(i, &s->dummy_prefix, 1);
    image_flags(i, &s->squeeze, 1);
    image_flags(i, &s->escape, 1);
    image_flags(i, &s->has_map, 1);
    charsmap_image(&s->map, i);
}

static void image_info(struct spm_info *f, struct image *i)
{
    uint32_t model = f->model;

    image_field(i, model);
    image_check(i, model >= SPM_UNIGRAM && model <= SPM_CHAR);
    f->model = i->bad ? SPM_CHAR : (enum spm_model)model;
    image_field(i, f->n_pieces);
    image_field(i, f->unk);
    image_field(i, f->bos);
    image_field(i, f->eos);
    image_field(i, f->pad);
    image_flags(i, &f->byte_fallback, 1);
    image_flags(i, &f->dummy_prefix, 1);
    image_flags(i, &f->squeeze, 1);
    image_flags(i, &f->escape, 1);
    image_flags(i, &f->suffix, 1);
    image_flags(i, &f->charsmap, 1);
    image_check(i, f->n_pieces <= SPM_MOST && f->unk < f->n_pieces);
}

/* What the pieces stand for in a text. */
static void image_text(struct spm *m, struct image *i)
{
    size_t n = m->info.n_pieces, text_n = m->text_at ? m->text_at[n] : 0;

    image_array(i, &m->text, &text_n, 1);
    image_known(i, &m->text_at, n + 1, sizeof *m->text_at);
    image_check(i, m->text_at && m->text_at[n] == text_n);
    for (size_t k = 0; k < n && image_loads(i) && !i->bad; k++)
        image_check(i, m->text_at[k] <= m->text_at[k + 1]);
}

static void image_bpe(struct spm *m, struct image *i)
{
    merges_image(&m->merges, i);
    image_field(i, m->ascii);
    image_known(i, &m->made_by, m->info.n_pieces, sizeof *m->made_by);
    for (size_t k = 0; k < sizeof m->ascii / sizeof *m->ascii; k++)
        image_check(i, m->ascii[k] == MERGES_NONE || m->ascii[k] < m->merges.n);
    for (size_t k = 0; k < m->info.n_pieces && m->made_by && !i->bad; k++)
        image_check(i, m->made_by[k] == SPM_NONE || m->made_by[k] < m->merges.n);
}

void spm_image(struct spm **p, struct image *i)
{
    struct spm *m = *p = *p ? *p : xcalloc(1, sizeof *m);

    image_info(&m->info, i);
    if (i->bad)
        return;
    image_known(i, &m->score, m->info.n_pieces, sizeof *m->score);
    image_known(i, &m->type, m->info.n_pieces, sizeof *m->type);
    lexicon_image(&m->names, i);
    lexicon_image(&m->special, i);
    image_array(i, &m->unk_surface, &m->unk_surface_n, 1);
    image_text(m, i);
    for (int k = 0; k < 3; k++)
        image_string(i, &m->own[k]);
    image_spec(&m->normal, i);
    image_spec(&m->denormal, i);
    m->info.normalizer = m->normal.name ? m->normal.name : "";
    image_flags(i, &m->has_user, 1);
    for (int k = 0; k < 2; k++)
        trie_image(&m->user[k], i, m->info.n_pieces);
    border_image(&m->border, i);
    image_field(i, m->byte_id);
    charids_image(&m->chars, i);
    image_field(i, m->steepest);
    if (m->info.model == SPM_BPE)
        image_bpe(m, i);
    if (m->info.model == SPM_UNIGRAM)
        unigram_image(&m->unigram, i);
    image_check(i, m->score && m->type && m->names.n_ids <= m->info.n_pieces && m->special.n_ids <= m->info.n_pieces);
}
