/* sp_train.c - what is given, and the pieces in the end; see sp_train.h. */
#include "libcommon/vocab/sp_train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/text/charsmap_build.h"
#include "libcommon/vocab/sp_train_in.h"

struct sp_train_options sp_train_defaults(void)
{
    return (struct sp_train_options){
        .max_sentencepiece_length = 16,
        .max_sentence_length = 4192,
        .character_coverage = 0.9995f,
        .split_by_unicode_script = true,
        .split_by_number = true,
        .split_by_whitespace = true,
        .add_dummy_prefix = true,
        .remove_extra_whitespaces = true,
        .normalization = SP_NMT_NFKC,
        .id = { 0, 1, 2, -1 },
        .piece = { "<unk>", "<s>", "</s>", "<pad>" },
        .seed_sentencepiece_size = 1000000,
        .num_sub_iterations = 2,
        .shrinking_factor = 0.75f,
    };
}

/* What is given. */

static struct sp_given *given_id(struct sp_train *t, int32_t id)
{
    for (size_t i = 0; i < t->n_given; i++)
        if (t->given[i].id == id)
            return &t->given[i];
    return NULL;
}

static struct sp_given *given_piece(struct sp_train *t, const char *s)
{
    for (size_t i = 0; i < t->n_given; i++)
        if (!strcmp(t->given[i].s, s))
            return &t->given[i];
    return NULL;
}

static int give_reserved(struct sp_train *t, struct err *err)
{
    for (int i = 0; i < SP_RESERVED; i++) {
        int32_t id = t->o->id[i];

        if (id < 0 && i == SP_UNK)
            return err_set(err, "%s must have an id", t->o->piece[i]);
        if (id < 0)
            continue;
        if ((uint32_t)id >= t->o->vocab_size)
            return err_set(err, "the id of %s, %d, is not below the size, %u", t->o->piece[i], (int)id, (unsigned)t->o->vocab_size);
        if (given_id(t, id))
            return err_set(err, "%s and %s have the same id, %d", given_id(t, id)->s, t->o->piece[i], (int)id);
        if (given_piece(t, t->o->piece[i]))
            return err_set(err, "two of the reserved pieces are %s", t->o->piece[i]);
        t->given[t->n_given++] = (struct sp_given){ t->o->piece[i], id, i == SP_UNK ? SP_UNKNOWN : SP_CONTROL, false };
    }
    return 0;
}

/* A symbol at the lowest id that is free; a reserved piece that is named only changes its kind. */
static int give(struct sp_train *t, const char *s, enum sp_type type, int32_t *next, struct err *err)
{
    struct sp_given *g = given_piece(t, s);

    if (!*s)
        return err_set(err, "a symbol is empty");
    if (g && (g->named || g->type == SP_UNKNOWN))
        return err_set(err, "%s is given twice", s);
    if (g) {
        g->type = type;
        g->named = true;
        return 0;
    }
    while (given_id(t, *next))
        ++*next;
    t->given[t->n_given++] = (struct sp_given){ s, *next, type, true };
    return 0;
}

static int give_all(struct sp_train *t, struct err *err)
{
    const struct sp_train_options *o = t->o;
    int32_t next = 0;

    t->given = xcalloc((size_t)(SP_RESERVED + o->n_control + o->n_user_defined + 256), sizeof *t->given);
    if (give_reserved(t, err) < 0)
        return -1;
    for (int i = 0; i < o->n_control; i++)
        if (give(t, o->control_symbols[i], SP_CONTROL, &next, err) < 0)
            return -1;
    for (int i = 0; i < o->n_user_defined; i++)
        if (give(t, o->user_defined_symbols[i], SP_USER_DEFINED, &next, err) < 0)
            return -1;
    for (int i = 0; i < 256 && o->byte_fallback; i++) {
        snprintf(t->byte_names[i], sizeof t->byte_names[i], "<0x%02X>", (unsigned)i);
        if (give(t, t->byte_names[i], SP_BYTE, &next, err) < 0)
            return -1;
    }
    return 0;
}

static void index_symbols(struct sp_train *t)
{
    struct trie_key *key = xmalloc((t->n_given + 1) * sizeof *key);

    for (size_t i = 0; i < t->n_given; i++) {
        key[i] = (struct trie_key){ t->given[i].s, strlen(t->given[i].s), (uint32_t)i };
        t->first[(uint8_t)*t->given[i].s] = true;
    }
    trie_build(&t->symbols, key, t->n_given);
    free(key);
}

struct sp_train *sp_train_new(const struct sp_train_options *o, int threads, struct err *err)
{
    struct sp_train *t = xcalloc(1, sizeof *t);

    t->o = o;
    memset(t->plain, o->normalization == SP_IDENTITY, sizeof t->plain);
    if (give_all(t, err) < 0)
        goto fail;
    if (o->normalization != SP_IDENTITY) {
        t->map_blob = charsmap_build(o->normalization == SP_NMT_NFKC, &t->map_size);
        if (charsmap_load(&t->map, t->map_blob, t->map_size, err) < 0)
            goto fail;
        memcpy(t->plain, t->map.plain, sizeof t->plain);
    }
    index_symbols(t);
    t->n_counters = threads;
    t->counter = xcalloc((size_t)threads, sizeof *t->counter);
    for (int i = 0; i < threads; i++)
        t->counter[i].words = bpe_train_words_new(NULL);
    return t;
fail:
    sp_train_free(t);
    return NULL;
}

void sp_train_free(struct sp_train *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->n_counters; i++) {
        bpe_train_words_free(t->counter[i].words);
        free(t->counter[i].text);
    }
    free(t->counter);
    charsmap_release(&t->map);
    trie_release(&t->symbols);
    bpe_train_free(t->tokens);
    free(t->map_blob);
    free(t->given);
    free(t->required);
    free(t->required_count);
    free(t->rank);
    free(t->piece);
    free(t->learnt);
    free(t->score);
    free(t);
}

/* The pieces. */

static int place_pieces(struct sp_train *t, struct err *err)
{
    size_t n = t->n_given + t->n_learnt, k = 0;

    t->piece = xcalloc(n, sizeof *t->piece);
    for (size_t i = 0; i < t->n_given; i++)
        if ((size_t)t->given[i].id >= n)
            return err_set(err, "%s has the id %d, but there are only %zu pieces", t->given[i].s, (int)t->given[i].id, n);
    for (size_t i = 0; i < t->n_given; i++) {
        const struct sp_given *g = &t->given[i];

        t->piece[g->id] = (struct sp_piece){ g->s, (uint32_t)strlen(g->s), 0, g->type };
    }
    for (size_t i = 0; i < n; i++)
        if (!t->piece[i].s) {
            const struct bpe_train_token *token = &t->tokens->token[t->learnt[k]];

            t->piece[i] = (struct sp_piece){ t->tokens->bytes + token->at, token->n, t->score[k++], SP_NORMAL };
        }
    t->n_pieces = n;
    return 0;
}

const struct sp_piece *sp_train(struct sp_train *t, struct par *par, size_t *n, struct err *err)
{
    if (sp_train_alphabet(t, err) < 0)
        return NULL;
    if ((t->o->unigram ? sp_train_unigram(t, par, err) : sp_train_bpe(t, err)) < 0 || place_pieces(t, err) < 0)
        return NULL;
    *n = t->n_pieces;
    return t->piece;
}
