/* vec_attend.c - attention by tiles of queries x keys with an online softmax (Milakov & Gimelshein 2018;
 * Dao et al. 2022), in both directions.  Tiles that no query of theirs sees are never touched; products
 * of a tile are the instance's gemm, whose packing the tile's size repays; a query or two, as in
 * generation, walk the keys instead. */
#include <assert.h>
#include <math.h>

#include "train/kernel/vec.h"

/* Queries and keys of a tile: two tiles of scores stay in half of L2; in the scratch gemm's own follows them. */
enum { QUERIES = 64, KEYS = 256, TILE = QUERIES * KEYS, FEW = 4 };
static_assert(2 * TILE * sizeof(float) + KERNEL_GEMM_SCRATCH <= KERNEL_SCRATCH, "scratch of attention");

/* Keys [*from, *to) of those [k0, k1) that query i sees. */
static void seen(const struct kernel_attend *a, int64_t i, int64_t k0, int64_t k1, int64_t *from, int64_t *to)
{
    int64_t pos = i + a->nk - a->nq, first = a->window > 0 ? pos - a->window + 1 : 0;

    *to = pos + 1 < k1 ? pos + 1 : k1;
    *from = first > k0 ? first : k0;
    if (*from > *to)
        *from = *to = k0;
}

/* First key that query i sees, rounded down to tiles, so that they are the same for every block. */
static int64_t first_tile(const struct kernel_attend *a, int64_t i)
{
    int64_t first = a->window > 0 ? i + a->nk - a->nq - a->window + 1 : 0;

    return first > 0 ? first / KEYS * KEYS : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* x = exp(x - from), its sum. */
static float exponentials(int64_t n, float *x, float from)
{
    vf sum = { 0 };

    for (int64_t j = 0; j < n; j += VEC_LEN) {
        vf e = vec_exp(vec_load(x + j, n - j) - from);

        sum += vec_first(e, n - j, 0);
        vec_store(x + j, e, n - j);
    }
    return vec_sum(sum);
}

static void scale_row(int64_t n, float *x, float by)
{
    for (int64_t j = 0; j < n; j += VEC_LEN)
        vec_store(x + j, vec_load(x + j, n - j) * by, n - j);
}

static void zero(float *x, int64_t n)
{
    memset(x, 0, (size_t)n * sizeof *x);
}

/* State of a block of queries: largest score so far, sum of exp(score - largest). */
struct online {
    float most[QUERIES];
    double sum[QUERIES];
};

/* Scores of one query become weights; o is brought to the new largest score. */
static void online_row(const struct kernel_attend *a, struct online *st, int64_t row, int64_t i, int64_t k0, int64_t k1,
                       float *s)
{
    int64_t from, to;
    float most, by;

    seen(a, i, k0, k1, &from, &to);
    zero(s, from - k0);
    zero(s + (to - k0), k1 - to);
    if (from == to)
        return;
    s += from - k0;
    most = vec_largest(to - from, s);
    if (!(most <= st->most[row])) {
        by = expf(st->most[row] - most);
        st->sum[row] *= (double)by;
        if (by != 0)
            scale_row(a->d, a->o.p + i * a->o.ld, by);
        else
            zero(a->o.p + i * a->o.ld, a->d);
        st->most[row] = most;
    }
    st->sum[row] += (double)exponentials(to - from, s, st->most[row]);
}

/* o += weights v, for one query: columns in registers, down the keys. */
static void weigh(int64_t n, int64_t d, const float *s, struct kernel_mat v, float *o)
{
    enum { C = 8 };

    for (int64_t c = 0; c < d; c += C * VEC_LEN) {
        int64_t left = d - c;
        vf sum[C] = { { 0 } };

        if (left >= C * VEC_LEN)
            for (int64_t j = 0; j < n; j++)
                for (int u = 0; u < C; u++)
                    sum[u] += s[j] * *(const vf_any *)(v.p + j * v.ld + c + u * VEC_LEN);
        else
            for (int64_t u = 0; u * VEC_LEN < left; u++)
                for (int64_t j = 0; j < n; j++)
                    sum[u] += s[j] * vec_load(v.p + j * v.ld + c + u * VEC_LEN, left - u * VEC_LEN);
        for (int64_t u = 0; u < C && u * VEC_LEN < left; u++) {
            float *out = o + c + u * VEC_LEN;

            vec_store(out, vec_load(out, left - u * VEC_LEN) + sum[u], left - u * VEC_LEN);
        }
    }
}

static struct kernel_mat row_of(struct kernel_mat m, int64_t i)
{
    return (struct kernel_mat){ m.p + i * m.ld, m.ld };
}

/* One tile: scores, weights, their share of o. */
static void forward_tile(const struct kernels *k, const struct kernel_attend *a, struct online *st, int64_t i0,
                         int64_t nq, int64_t k0, int64_t nk, float *s)
{
    struct kernel_mat q = row_of(a->q, i0), key = row_of(a->k, k0), v = row_of(a->v, k0), o = row_of(a->o, i0);

    if (nq >= FEW) {
        k->gemm(false, true, nq, nk, a->d, a->scale, q.p, q.ld, key.p, key.ld, 0, s, KEYS, s + 2 * TILE);
    } else {
        for (int64_t i = 0; i < nq; i++) {
            k->gemv(nk, a->d, key.p, key.ld, q.p + i * q.ld, NULL, s + i * KEYS);
            scale_row(nk, s + i * KEYS, a->scale);
        }
    }
    for (int64_t i = 0; i < nq; i++)
        online_row(a, st, i, i0 + i, k0, k0 + nk, s + i * KEYS);
    if (nq >= FEW)
        k->gemm(false, false, nq, a->d, nk, 1, s, KEYS, v.p, v.ld, 1, o.p, o.ld, s + 2 * TILE);
    else
        for (int64_t i = 0; i < nq; i++)
            weigh(nk, a->d, s + i * KEYS, v, o.p + i * o.ld);
}

void VEC_NAME(attend)(const struct kernels *k, const struct kernel_attend *a, int64_t i0, int64_t i1, void *scratch)
{
    for (; i0 < i1; i0 += QUERIES) {
        int64_t nq = least(QUERIES, i1 - i0), end = i0 + nq + a->nk - a->nq;
        struct online st;

        for (int64_t i = 0; i < nq; i++) {
            st.most[i] = -__builtin_inff();
            st.sum[i] = 0;
            zero(a->o.p + (i0 + i) * a->o.ld, a->d);
        }
        for (int64_t k0 = first_tile(a, i0); k0 < end; k0 += KEYS)
            forward_tile(k, a, &st, i0, nq, k0, least(KEYS, end - k0), scratch);
        for (int64_t i = 0; i < nq; i++) {
            scale_row(a->d, a->o.p + (i0 + i) * a->o.ld, (float)(1 / st.sum[i]));
            if (a->lse)
                a->lse[(i0 + i) * a->lse_ld] = (float)((double)st.most[i] + log(st.sum[i]));
        }
    }
}

/* Scores become weights p; products d_o.v become gradients of the scores, p (d_o.v - d_o.o) scale. */
static void grad_row(const struct kernel_attend *a, int64_t i, float inner, int64_t k0, int64_t k1, float *s, float *ds)
{
    float lse = a->lse[i * a->lse_ld];
    int64_t from, to;

    seen(a, i, k0, k1, &from, &to);
    zero(s, from - k0);
    zero(ds, from - k0);
    zero(s + (to - k0), k1 - to);
    zero(ds + (to - k0), k1 - to);
    s += from - k0;
    ds += from - k0;
    for (int64_t j = 0, n = to - from; j < n; j += VEC_LEN) {
        vf p = vec_exp(vec_load(s + j, n - j) - lse);

        vec_store(s + j, p, n - j);
        vec_store(ds + j, p * (vec_load(ds + j, n - j) - inner) * a->scale, n - j);
    }
}

static void grad_tile(const struct kernels *k, const struct kernel_attend *a, const struct kernel_attend_grad *g,
                      const float *inner, int64_t i0, int64_t nq, int64_t k0, int64_t nk, float *s)
{
    struct kernel_mat q = row_of(a->q, i0), key = row_of(a->k, k0), v = row_of(a->v, k0);
    struct kernel_mat d_o = row_of(g->d_o, i0), dq = row_of(g->dq, i0), dk = row_of(g->dk, k0), dv = row_of(g->dv, k0);
    float *ds = s + TILE;

    k->gemm(false, true, nq, nk, a->d, a->scale, q.p, q.ld, key.p, key.ld, 0, s, KEYS, s + 2 * TILE);
    k->gemm(false, true, nq, nk, a->d, 1, d_o.p, d_o.ld, v.p, v.ld, 0, ds, KEYS, s + 2 * TILE);
    for (int64_t i = 0; i < nq; i++)
        grad_row(a, i0 + i, inner[i], k0, k0 + nk, s + i * KEYS, ds + i * KEYS);
    k->gemm(false, false, nq, a->d, nk, 1, ds, KEYS, key.p, key.ld, 1, dq.p, dq.ld, s + 2 * TILE);
    k->gemm(true, false, nk, a->d, nq, 1, ds, KEYS, q.p, q.ld, 1, dk.p, dk.ld, s + 2 * TILE);
    k->gemm(true, false, nk, a->d, nq, 1, s, KEYS, d_o.p, d_o.ld, 1, dv.p, dv.ld, s + 2 * TILE);
}

void VEC_NAME(attend_grad)(const struct kernels *k, const struct kernel_attend *a, const struct kernel_attend_grad *g,
                           void *scratch)
{
    for (int64_t j = 0; j < a->nk && !g->acc_kv; j++) {
        zero(g->dk.p + j * g->dk.ld, a->d);
        zero(g->dv.p + j * g->dv.ld, a->d);
    }
    for (int64_t i0 = 0; i0 < a->nq; i0 += QUERIES) {
        int64_t nq = least(QUERIES, a->nq - i0), end = i0 + nq + a->nk - a->nq;
        float inner[QUERIES];

        for (int64_t i = 0; i < nq; i++) {
            inner[i] = (float)vec_dot(a->d, g->d_o.p + (i0 + i) * g->d_o.ld, a->o.p + (i0 + i) * a->o.ld);
            zero(g->dq.p + (i0 + i) * g->dq.ld, a->d);
        }
        for (int64_t k0 = first_tile(a, i0); k0 < end; k0 += KEYS)
            grad_tile(k, a, g, inner, i0, nq, k0, least(KEYS, end - k0), scratch);
    }
}
