/* sp_train_unigram.c - Unigram: expectation, maximisation, pruning; see sp_train.h.
 *
 * Sums over words are whole numbers, fractions of them scaled by a power of two, so that they do not depend on
 * the order of the words.  A character that is no piece (any more) counts for the first piece, as it does in the
 * reference, where that is the id of an unknown one.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/vocab/sp_lattice.h"

#define TINY_BITS 400
#define TINY 0x1p-400 /* probabilities below are scaled up */
#define UNKNOWN_PENALTY 10.0
#define LEAST_EXPECTED 0.5
#define WORDS 1024 /* of a task */
#define IMPOSSIBLE (-1e30)

struct piece {
    double score;
    uint32_t at, n; /* in the lattice's text, characters */
    uint32_t word;
    bool alive;
};

/* Of a thread. */
struct scratch {
    double *alpha, *beta;
    int *scaled, *beta_scaled;
    uint32_t *from; /* of a place: the edge of the best way there */
    int64_t *sum;   /* of a piece */
};

struct model {
    struct sp_lattice lattice;
    const struct sp_train *t;
    struct par *par;
    struct piece *piece; /* n_required characters, then the others, then the one that stands for unknown ones */
    float *p, *score;    /* of a piece, what the loops over edges need; score = log p */
    uint32_t n, n_chars;
    double unknown;  /* score */
    uint32_t narrow; /* words of so many characters need no scaling */
    struct scratch *scratch;
    double scale; /* of expected counts */
    double *sum;  /* of a piece, in the end */
    uint32_t *renamed;
    struct loss {
        double loss;
        uint32_t piece;
    } *loss;
};

static double digamma(double x)
{
    double r = 0, x2;

    for (; x < 7; x++)
        r -= 1 / x;
    x -= 0.5;
    x2 = 1 / (x * x);
    return r + log(x) + x2 * (1.0 / 24 - x2 * (7.0 / 960 - x2 * (31.0 / 8064 - x2 * 127.0 / 30720)));
}

/* Characters that are no pieces, and what is no character of the alphabet, have the score of unknown ones. */
static void set_probabilities(struct model *m)
{
    double least = DBL_MAX;

    for (uint32_t i = 0; i < m->n; i++)
        if (m->piece[i].alive && m->piece[i].score < least)
            least = m->piece[i].score;
    m->unknown = least - UNKNOWN_PENALTY;
    m->narrow = (uint32_t)(500 / -m->unknown); /* exp(-500) is 2^-721 */
    for (uint32_t i = 0; i <= m->n; i++) {
        struct piece *p = &m->piece[i];

        if (!p->alive)
            p->score = i < m->n_chars || i == m->n ? m->unknown : IMPOSSIBLE;
        m->score[i] = (float)p->score;
        m->p[i] = (float)exp(p->score);
    }
}

/* What unknown characters have got goes to the first piece. */
static void move_unknown(struct model *m)
{
    uint32_t first = 0;

    while (first < m->n && !m->piece[first].alive)
        first++;
    for (uint32_t i = 0; i <= m->n; i++)
        if (!m->piece[i].alive && (i < m->n_chars || i == m->n) && first < m->n) {
            m->sum[first] += m->sum[i];
            m->sum[i] = 0;
        }
}

/* fn on every word, many at once; then m->sum is the sum of what the threads have. */
static void each_word(struct model *m, void (*fn)(void *ctx, long task, int thread), double scale)
{
    int threads = par_threads(m->par);

    for (int k = 0; k < threads; k++)
        memset(m->scratch[k].sum, 0, ((size_t)m->n + 1) * sizeof(int64_t));
    par_for(m->par, (m->lattice.n_words + WORDS - 1) / WORDS, fn, m);
    for (uint32_t i = 0; i <= m->n; i++) {
        int64_t sum = 0;

        for (int k = 0; k < threads; k++)
            sum += m->scratch[k].sum[i];
        m->sum[i] = (double)sum / scale;
    }
    move_unknown(m);
}

/* Expectation. */

/* TINY to the k. */
static double tiny(int k)
{
    return k ? ldexp(1, k < -2 ? 1023 : k > 2 ? -2000 : -TINY_BITS * k) : 1;
}

/* Add v TINY^k to *sum TINY^*scaled; a sum of 0 takes any scale. */
static void add_scaled(double *sum, int *scaled, double v, int k)
{
    if (!(*sum > 0) || k < *scaled) {
        *sum = *sum * tiny(*scaled - k) + v;
        *scaled = k;
    } else {
        *sum += v * tiny(k - *scaled);
    }
}

static void scale_up(double *sum, int *scaled)
{
    if (*sum < TINY) {
        *sum /= TINY;
        ++*scaled;
    }
}

/* The probability of all ways to each place, in alpha; a word that is `wide` may need TINY^scaled. */
static inline const uint32_t *forward(const struct model *m, struct scratch *s, const uint32_t *edge,
                                      const uint16_t *n_edges, uint32_t n, bool wide)
{
    memset(s->alpha, 0, ((size_t)n + 1) * sizeof *s->alpha);
    s->alpha[0] = 1;
    s->scaled[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (wide)
            scale_up(&s->alpha[i], &s->scaled[i]);
        for (uint32_t k = 0; k < n_edges[i]; k++, edge++) {
            double v = s->alpha[i] * (double)m->p[*edge >> SP_EDGE_BITS];
            uint32_t to = i + (*edge & SP_EDGE_LENGTH);

            if (wide)
                add_scaled(&s->alpha[to], &s->scaled[to], v, s->scaled[i]);
            else
                s->alpha[to] += v;
        }
    }
    return edge;
}

/* The expected counts of the pieces; `edge` is the end of the word's. */
static inline void backward(const struct model *m, struct scratch *s, const uint32_t *edge, const uint16_t *n_edges,
                            uint32_t n, double weight, bool wide)
{
    double z = s->alpha[n];

    s->beta[n] = 1;
    s->beta_scaled[n] = 0;
    for (uint32_t i = n; i--;) {
        double a = s->alpha[i] / z, sum = 0;
        int scaled = 0;

        for (uint32_t k = n_edges[i]; k--;) {
            uint32_t e = *--edge, id = e >> SP_EDGE_BITS, to = i + (e & SP_EDGE_LENGTH);
            double v = (double)m->p[id] * s->beta[to], share = a * v;

            if (wide) {
                add_scaled(&sum, &scaled, v, s->beta_scaled[to]);
                share *= tiny(s->scaled[i] + s->beta_scaled[to] - s->scaled[n]);
            } else {
                sum += v;
            }
            s->sum[id] += (int64_t)(weight * share + 0.5);
        }
        s->beta[i] = sum;
        s->beta_scaled[i] = scaled;
        if (wide)
            scale_up(&s->beta[i], &s->beta_scaled[i]);
    }
}

static void expect_words(void *ctx, long task, int thread)
{
    const struct model *m = ctx;
    const struct sp_lattice *l = &m->lattice;
    struct scratch *s = &m->scratch[thread];

    for (uint32_t w = (uint32_t)task * WORDS; w < l->n_words && w < ((uint32_t)task + 1) * WORDS; w++) {
        const uint32_t *edge = l->edge + l->edge_at[w];
        const uint16_t *n_edges = l->n_edges + l->word_at[w];
        uint32_t n = sp_lattice_chars(l, w);
        double weight = (double)l->count[w] * m->scale;

        if (n > m->narrow)
            backward(m, s, forward(m, s, edge, n_edges, n, true), n_edges, n, weight, true);
        else
            backward(m, s, forward(m, s, edge, n_edges, n, false), n_edges, n, weight, false);
    }
}

/* Pieces expected too seldom go; the others' scores are a Bayesian estimate (digamma). */
static uint32_t maximise(struct model *m)
{
    uint32_t alive = 0;
    double sum = 0;

    for (uint32_t i = 0; i < m->n; i++) {
        struct piece *p = &m->piece[i];

        p->alive = p->alive && m->sum[i] >= LEAST_EXPECTED;
        if (p->alive)
            sum += m->sum[i];
        alive += p->alive;
    }
    sum = digamma(sum);
    for (uint32_t i = 0; i < m->n; i++)
        if (m->piece[i].alive)
            m->piece[i].score = digamma(m->sum[i]) - sum;
    set_probabilities(m);
    return alive;
}

/* The best way. */

/* Through n places, by edges that end in time, but not by the piece `without`; the score.  s->from[i] is the edge by
 * which place i is reached. */
static double best_way(const struct model *m, struct scratch *s, const uint32_t *edge, const uint16_t *n_edges, uint32_t n,
                       uint32_t without)
{
    for (uint32_t i = 1; i <= n; i++)
        s->alpha[i] = 2 * IMPOSSIBLE;
    s->alpha[0] = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n_edges[i]; k++, edge++) {
            uint32_t id = *edge >> SP_EDGE_BITS, to = i + (*edge & SP_EDGE_LENGTH);
            double score = s->alpha[i] + (double)m->score[id];

            if (to <= n && id != without && score > s->alpha[to]) {
                s->alpha[to] = score;
                s->from[to] = *edge;
            }
        }
    return s->alpha[n];
}

static void count_best(void *ctx, long task, int thread)
{
    const struct model *m = ctx;
    const struct sp_lattice *l = &m->lattice;
    struct scratch *s = &m->scratch[thread];

    for (uint32_t w = (uint32_t)task * WORDS; w < l->n_words && w < ((uint32_t)task + 1) * WORDS; w++) {
        uint32_t n = sp_lattice_chars(l, w);

        best_way(m, s, l->edge + l->edge_at[w], l->n_edges + l->word_at[w], n, UINT32_MAX);
        for (; n; n -= s->from[n] & SP_EDGE_LENGTH)
            s->sum[s->from[n] >> SP_EDGE_BITS] += (int64_t)l->count[w];
    }
}

/* Pruning. */

struct pruning {
    struct model *m;
    double *loss; /* of a piece that may go */
    bool *goes, *stays;
    double all, words; /* pieces of all best ways; words */
};

/* What the likelihood loses when a piece's place is taken by the best other way to spell it. */
static void judge(struct pruning *r, uint32_t id, struct scratch *s)
{
    const struct model *m = r->m;
    const struct sp_lattice *l = &m->lattice;
    const struct piece *p = &m->piece[id];
    const uint32_t *edge = l->edge + l->edge_at[p->word];
    double f = m->sum[id], alternative = 0, all;
    uint32_t first = 0, n = 0;

    r->goes[id] = !p->alive || f < 0.5;
    r->stays[id] = !r->goes[id] && p->n == 1;
    if (r->goes[id] || r->stays[id])
        return;
    for (uint32_t at = l->word_at[p->word]; at < p->at; at++)
        edge += l->n_edges[at];
    r->goes[id] = best_way(m, s, edge, l->n_edges + p->at, p->n, id) > (double)m->score[id];
    if (r->goes[id])
        return;
    for (uint32_t at = p->n; at; at -= s->from[at] & SP_EDGE_LENGTH)
        n++;
    all = log(r->all + f * (n - 1));
    while (first < m->n && !m->piece[first].alive)
        first++;
    for (uint32_t at = p->n; at; at -= s->from[at] & SP_EDGE_LENGTH) {
        uint32_t other = s->from[at] >> SP_EDGE_BITS;

        alternative += log(m->sum[m->piece[other].alive ? other : first] + f) - all;
    }
    r->loss[id] = f / r->words * (log(f) - log(r->all) - alternative);
}

static void judge_pieces(void *ctx, long task, int thread)
{
    struct pruning *r = ctx;

    for (uint32_t i = (uint32_t)task * WORDS; i < r->m->n && i < ((uint32_t)task + 1) * WORDS; i++)
        judge(r, i, &r->m->scratch[thread]);
}

static int by_loss(const void *a, const void *b)
{
    const struct loss *x = a, *y = b;

    if (x->loss != y->loss)
        return x->loss > y->loss ? -1 : 1;
    return x->piece < y->piece ? -1 : 1;
}

/* Alive are those that stay and, up to `most` in all, those of the largest loss. */
static void prune(struct model *m, size_t most)
{
    struct pruning r = { .m = m };
    size_t n = 0, stay = 0;

    r.loss = xmalloc(m->n * sizeof *r.loss);
    r.goes = xmalloc(m->n);
    r.stays = xmalloc(m->n);
    each_word(m, count_best, 1);
    for (uint32_t i = 0; i < m->n; i++)
        r.all += m->sum[i];
    for (uint32_t w = 0; w < m->lattice.n_words; w++)
        r.words += (double)m->lattice.count[w];
    par_for(m->par, (m->n + WORDS - 1) / WORDS, judge_pieces, &r);
    for (uint32_t i = 0; i < m->n; i++) {
        m->piece[i].alive = r.stays[i];
        stay += r.stays[i];
        if (!r.goes[i] && !r.stays[i])
            m->loss[n++] = (struct loss){ r.loss[i], i };
    }
    qsort(m->loss, n, sizeof *m->loss, by_loss);
    for (size_t i = 0; i < n && stay + i < most; i++)
        m->piece[m->loss[i].piece].alive = true;
    free(r.loss);
    free(r.goes);
    free(r.stays);
}

/* Pieces that are no more and their edges are dropped; characters keep theirs. */
static void compact(struct model *m)
{
    struct sp_lattice *l = &m->lattice;
    uint32_t n = m->n_chars, to = 0;

    for (uint32_t i = 0; i <= m->n; i++) {
        if (i < m->n_chars) {
            m->renamed[i] = i;
        } else if (m->piece[i].alive || i == m->n) {
            m->piece[n] = m->piece[i];
            m->renamed[i] = n++;
        } else {
            m->renamed[i] = UINT32_MAX;
        }
    }
    for (uint32_t w = 0; w < l->n_words; w++) {
        const uint32_t *edge = l->edge + l->edge_at[w];

        l->edge_at[w] = to;
        for (uint32_t at = l->word_at[w]; at + 1 < l->word_at[w + 1]; at++) {
            uint16_t kept = 0;

            for (uint32_t k = 0; k < l->n_edges[at]; k++, edge++) {
                uint32_t id = m->renamed[*edge >> SP_EDGE_BITS];

                if (id != UINT32_MAX) {
                    l->edge[to++] = id << SP_EDGE_BITS | (*edge & SP_EDGE_LENGTH);
                    kept++;
                }
            }
            l->n_edges[at] = kept;
        }
    }
    l->edge_at[l->n_words] = to;
    m->n = n - 1;
    set_probabilities(m);
}

/* The beginning. */

static uint32_t word_at(const struct sp_lattice *l, uint32_t at)
{
    uint32_t low = 0, high = l->n_words;

    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;

        if (l->word_at[mid] <= at)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* Those found in the most places first: what is needed often lies together. */
static int by_places(const void *a, const void *b)
{
    const struct sp_seed *const *x = a, *const *y = b;
    uint32_t n = (*x)->last - (*x)->first, k = (*y)->last - (*y)->first;

    return n != k ? (n > k ? -1 : 1) : *x < *y ? -1 : 1;
}

static void order_seeds(struct model *m)
{
    struct sp_lattice *l = &m->lattice;
    const struct sp_seed **order = xmalloc((l->n_seeds + 1) * sizeof *order);
    uint32_t *id = xmalloc((l->n_seeds + 1) * sizeof *id);

    for (uint32_t i = 0; i < l->n_seeds; i++)
        order[i] = &l->seed[i];
    qsort(order, l->n_seeds, sizeof *order, by_places);
    for (uint32_t i = 0; i < l->n_seeds; i++) {
        const struct sp_seed *s = order[i];

        id[s - l->seed] = m->n_chars + i;
        m->piece[m->n_chars + i] =
            (struct piece){ .score = (double)s->score, .at = s->at, .n = s->n, .word = word_at(l, s->at), .alive = true };
    }
    for (uint32_t i = 0; i < l->edge_at[l->n_words]; i++) {
        uint32_t old = (l->edge[i] >> SP_EDGE_BITS) - m->n_chars;

        if (old < l->n_seeds)
            l->edge[i] = id[old] << SP_EDGE_BITS | (l->edge[i] & SP_EDGE_LENGTH);
    }
    free(order);
    free(id);
}

static void first_pieces(struct model *m)
{
    const struct sp_train *t = m->t;
    const struct sp_lattice *l = &m->lattice;
    double all = 0;

    m->n_chars = (uint32_t)t->n_required;
    m->n = m->n_chars + l->n_seeds;
    m->piece = xcalloc((size_t)m->n + 1, sizeof *m->piece);
    for (uint32_t i = 0; i < m->n_chars; i++)
        m->piece[i] = (struct piece){ .score = (double)t->required_count[i], .n = 1, .alive = true };
    order_seeds(m);
    for (uint32_t i = 0; i < m->n; i++)
        all += m->piece[i].score;
    for (uint32_t i = 0; i < m->n; i++)
        m->piece[i].score = log(m->piece[i].score) - log(all);
}

static void make_scratch(struct model *m)
{
    size_t n = (size_t)m->n + 1, longest = m->lattice.longest + 1u;
    double characters = 1;
    int exponent;

    if (longest < m->t->o->max_sentencepiece_length + 1)
        longest = m->t->o->max_sentencepiece_length + 1;
    m->scratch = xcalloc((size_t)par_threads(m->par), sizeof *m->scratch);
    for (int i = 0; i < par_threads(m->par); i++)
        m->scratch[i] = (struct scratch){
            .alpha = xmalloc(longest * sizeof(double)),
            .beta = xmalloc(longest * sizeof(double)),
            .scaled = xmalloc(longest * sizeof(int)),
            .beta_scaled = xmalloc(longest * sizeof(int)),
            .from = xmalloc(longest * sizeof(uint32_t)),
            .sum = xmalloc(n * sizeof(int64_t)),
        };
    m->p = xmalloc(n * sizeof *m->p);
    m->score = xmalloc(n * sizeof *m->score);
    m->sum = xmalloc(n * sizeof *m->sum);
    m->renamed = xmalloc(n * sizeof *m->renamed);
    m->loss = xmalloc(n * sizeof *m->loss);
    for (uint32_t w = 0; w < m->lattice.n_words; w++)
        characters += (double)m->lattice.count[w] * sp_lattice_chars(&m->lattice, w);
    frexp(characters, &exponent);
    m->scale = ldexp(1, exponent > 30 ? 61 - exponent : 31);
}

static void free_model(struct model *m)
{
    for (int i = 0; m->scratch && i < par_threads(m->par); i++) {
        free(m->scratch[i].alpha);
        free(m->scratch[i].beta);
        free(m->scratch[i].scaled);
        free(m->scratch[i].beta_scaled);
        free(m->scratch[i].from);
        free(m->scratch[i].sum);
    }
    free(m->scratch);
    free(m->p);
    free(m->score);
    free(m->sum);
    free(m->renamed);
    free(m->loss);
    free(m->piece);
    sp_lattice_free(&m->lattice);
}

/* The end. */

struct last {
    const char *s;
    uint32_t n;
    float score;
};

static int by_score(const void *a, const void *b)
{
    const struct last *x = a, *y = b;
    int order;

    if (x->score < y->score || x->score > y->score)
        return x->score > y->score ? -1 : 1;
    order = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);
    return order ? order : x->n < y->n ? -1 : x->n > y->n;
}

static size_t spell(const struct model *m, uint32_t id, char *out)
{
    const struct piece *p = &m->piece[id];
    size_t n = 0;

    if (id < m->n_chars)
        return (size_t)utf8_encode(m->t->required[id], out);
    for (uint32_t i = 0; i < p->n; i++)
        n += (size_t)utf8_encode(m->t->required[m->lattice.text[p->at + i] - SP_CHAR], out + n);
    return n;
}

/* Every required character, those that are no pieces below all others, and the best of the rest. */
static void finish(const struct model *m, struct sp_train *t)
{
    size_t room = 0, n = m->n_chars, all = n, at = 0, most = t->o->vocab_size - t->n_given;
    float lowest = (float)(m->unknown + UNKNOWN_PENALTY), below = 0;
    struct last *last = xmalloc(m->n * sizeof *last);
    char *bytes;

    for (uint32_t i = 0; i < m->n; i++)
        room += 4 * (size_t)m->piece[i].n;
    bytes = xmalloc(room);
    for (uint32_t i = 0; i < m->n; i++) {
        struct last *k = &last[i < n ? i : all];

        *k = (struct last){ bytes + at, (uint32_t)spell(m, i, bytes + at), (float)m->piece[i].score };
        if (i < n && !m->piece[i].alive) {
            k->score = lowest + below;
            below += 0.0001f;
        }
        at += k->n;
        all += i >= n && m->piece[i].alive;
    }
    qsort(last + n, all - n, sizeof *last, by_score);
    n = all < most ? all : most;
    qsort(last, n, sizeof *last, by_score);
    t->tokens = xcalloc(1, sizeof *t->tokens);
    t->learnt = xmalloc(n * sizeof *t->learnt);
    t->score = xmalloc(n * sizeof *t->score);
    for (size_t i = 0; i < n; i++) {
        t->learnt[i] = bpe_train_token(t->tokens, last[i].s, last[i].n, 0);
        t->score[i] = last[i].score;
    }
    t->n_learnt = n;
    free(bytes);
    free(last);
}

int sp_train_unigram(struct sp_train *t, struct par *par, struct err *err)
{
    struct model m = { .t = t, .par = par };
    size_t wanted = (size_t)(t->o->vocab_size * 1.1);
    int rc = sp_lattice_make(&m.lattice, t, par, err);

    if (rc == 0) {
        first_pieces(&m);
        make_scratch(&m);
        set_probabilities(&m);
        for (uint32_t alive = UINT32_MAX; alive > wanted;) {
            double share = (double)(t->o->shrinking_factor * (float)alive);

            if (alive != UINT32_MAX)
                prune(&m, share > (double)wanted ? (size_t)share : wanted);
            compact(&m);
            for (uint32_t i = 0; i < t->o->num_sub_iterations; i++) {
                each_word(&m, expect_words, m.scale);
                alive = maximise(&m);
            }
        }
        finish(&m, t);
    }
    free_model(&m);
    return rc;
}
