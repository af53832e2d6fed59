#include "libcommon/tokenizer/merges.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

#define NO_RANK UINT32_MAX
#define BLOCK 16
#define TINY 16

void merges_release(struct merges *m)
{
    arena_release(&m->pair_table);
    free(m->filter);
    free(m->made);
    free(m->rank);
    free(m->undone);
    *m = (struct merges){ 0 };
}

static uint64_t pair_key(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 43 | (uint64_t)right << 22;
}

static uint64_t pair_hash(uint64_t key)
{
    return key * 0x9e3779b97f4a7c15;
}

static void insert_pair(struct merges *m, uint64_t key, uint32_t index)
{
    size_t mask = ((size_t)1 << m->pair_bits) - 1, i = (size_t)(pair_hash(key) >> (64 - m->pair_bits));

    while (m->pair[i] && (~m->pair[i] ^ key) >> 22)
        i = (i + 1) & mask;
    m->n_pairs += !m->pair[i];
    m->pair[i] = ~(key | index);
}

/* Make room for twice `need` pairs. */
static void grow_pairs(struct merges *m, size_t need)
{
    struct arena table = m->pair_table;
    uint64_t *old = m->pair;
    size_t n = old ? (size_t)1 << m->pair_bits : 0;

    for (m->pair_bits = old ? m->pair_bits : 10; (size_t)1 << m->pair_bits < 2 * need; m->pair_bits++)
        ;
    m->pair = arena_table(&m->pair_table, sizeof *m->pair << m->pair_bits);
    m->n_pairs = 0;
    for (size_t i = 0; i < n; i++)
        if (old[i])
            insert_pair(m, ~old[i] >> 22 << 22, (uint32_t)~old[i] & MERGES_MOST);
    arena_release(&table);
}

uint32_t merges_add(struct merges *m, uint32_t made)
{
    mem_grow(&m->made, &m->cap, m->n + 1, sizeof *m->made);
    m->made[m->n] = made;
    return (uint32_t)m->n++;
}

void merges_pair(struct merges *m, uint32_t left, uint32_t right, uint32_t index)
{
    if (!m->pair || 2 * m->n_pairs >= (size_t)1 << m->pair_bits)
        grow_pairs(m, m->n_pairs + 1);
    insert_pair(m, pair_key(left, right), index);
}

void merges_pairs(struct merges *m, const struct merges_pair *p, size_t n)
{
    if (!m->pair || 2 * (m->n_pairs + n) > (size_t)1 << m->pair_bits)
        grow_pairs(m, m->n_pairs + n);
    for (size_t i = 0; i < n; i++) {
        const struct merges_pair *ahead = &p[i + 16 < n ? i + 16 : i];

        __builtin_prefetch(&m->pair[pair_hash(pair_key(ahead->left, ahead->right)) >> (64 - m->pair_bits)]);
        insert_pair(m, pair_key(p[i].left, p[i].right), p[i].index);
    }
}

void merges_add_all(struct merges *m, struct merges_pair *p, size_t n)
{
    mem_grow(&m->made, &m->cap, m->n + n, sizeof *m->made);
    for (size_t i = 0; i < n; i++)
        p[i].index = merges_add(m, p[i].index);
    merges_pairs(m, p, n);
}

/* Most pairs have no merge, which the filter tells without going to the table, for which the processor's caches
 * are too small. */
static inline uint32_t find(const struct merges *m, uint32_t left, uint32_t right)
{
    uint64_t key = pair_key(left, right), hash = pair_hash(key), bit = hash >> (64 - m->filter_bits), found;
    size_t mask = ((size_t)1 << m->pair_bits) - 1;

    if (!(m->filter[bit / 64] >> bit % 64 & 1))
        return MERGES_NONE;
    for (size_t i = (size_t)(hash >> (64 - m->pair_bits)); (found = ~m->pair[i]) != UINT64_MAX; i = (i + 1) & mask)
        if (!((found ^ key) >> 22)) {
            __builtin_prefetch(&m->made[found & MERGES_MOST]);
            return (uint32_t)found & MERGES_MOST;
        }
    return MERGES_NONE;
}

uint32_t merges_find(const struct merges *m, uint32_t left, uint32_t right)
{
    return find(m, left, right);
}

void merges_table(const struct merges *m, const uint32_t id[128], uint32_t table[128 * 128])
{
    for (int left = 0; left < 128; left++)
        for (int right = 0; right < 128; right++) {
            bool both = id[left] != MERGES_NONE && id[right] != MERGES_NONE;

            table[left << 7 | right] = both ? find(m, id[left], id[right]) : MERGES_NONE;
        }
}

void merges_finish(struct merges *m)
{
    size_t slots;

    if (!m->pair)
        grow_pairs(m, 0);
    for (m->filter_bits = 12; (size_t)1 << m->filter_bits < 8 * m->n_pairs; m->filter_bits++)
        ;
    m->filter = xcalloc((size_t)1 << (m->filter_bits - 6), sizeof *m->filter);
    slots = (size_t)1 << m->pair_bits;
    for (size_t i = 0; i < slots; i++)
        if (m->pair[i]) {
            uint64_t bit = pair_hash(~m->pair[i] >> 22 << 22) >> (64 - m->filter_bits);

            m->filter[bit / 64] |= (uint64_t)1 << bit % 64;
        }
}

/* Is every index in its bounds, and a place empty, so that each search ends? */
static bool is_sound(const struct merges *m)
{
    size_t slots = (size_t)1 << m->pair_bits, used = 0, far = 0;

    for (size_t i = 0; i < slots; i++) {
        size_t full = m->pair[i] != 0;

        used += full;
        far += full & (((uint32_t)~m->pair[i] & MERGES_MOST) >= m->n);
    }
    return used < slots && !far;
}

void merges_image(struct merges *m, struct image *i)
{
    image_array(i, &m->made, &m->n, sizeof *m->made);
    image_known(i, &m->rank, m->n, sizeof *m->rank);
    image_known(i, &m->undone, m->n, sizeof *m->undone);
    for (size_t k = 0; m->undone && k < m->n; k++)
        image_check(i, ((const uint8_t *)m->undone)[k] <= 1);
    image_field(i, m->n_pairs);
    image_field(i, m->pair_bits);
    image_field(i, m->filter_bits);
    image_check(i, m->pair_bits < 32 && m->filter_bits >= 6 && m->filter_bits < 36);
    if (i->bad)
        return;
    image_table(i, &m->pair, &m->pair_table, (size_t)1 << m->pair_bits, sizeof *m->pair);
    image_known(i, &m->filter, (size_t)1 << (m->filter_bits - 6), sizeof *m->filter);
    if (image_loads(i)) {
        m->cap = m->n;
        image_check(i, !i->bad && m->filter && is_sound(m));
    }
}

static inline uint32_t rank_of(const struct merges *m, uint32_t index)
{
    return index == MERGES_NONE || !m->rank ? index : m->rank[index];
}

/* A list of at most MERGES_SHORT ids: each with the merge with the next one, what that is worth, rank and place in
 * one number, and the least of each block of those. */
struct pending {
    uint32_t value[MERGES_SHORT + 1], index[MERGES_SHORT + 1], least[(MERGES_SHORT + 1) / BLOCK];
    uint8_t next[MERGES_SHORT + 1], prev[MERGES_SHORT + 1];
};

static void set_least(struct pending *p, size_t block)
{
    uint32_t least = NO_RANK;

    for (size_t i = block * BLOCK; i < (block + 1) * BLOCK; i++)
        least = p->value[i] < least ? p->value[i] : least;
    p->least[block] = least;
}

/* Where the index is the rank (m->rank is NULL), it is not kept beside. */
static inline void set_value(const struct merges *m, struct pending *p, bool ranked, size_t at, uint32_t index)
{
    if (ranked)
        p->index[at] = index;
    if (ranked && index != MERGES_NONE)
        index = m->rank[index];
    p->value[at] = index == MERGES_NONE ? NO_RANK : index << 8 | (uint32_t)at;
}

static inline void start_short(const struct merges *m, struct pending *p, bool ranked, const uint32_t *id, size_t n,
                               const uint32_t *first)
{
    size_t blocks = (n + BLOCK - 1) / BLOCK;

    for (size_t i = 0; i < blocks * BLOCK; i++) {
        set_value(m, p, ranked, i, i + 1 >= n ? MERGES_NONE : first ? first[i] : find(m, id[i], id[i + 1]));
        p->next[i] = (uint8_t)(i + 1);
        p->prev[i] = (uint8_t)(i - 1);
    }
    for (size_t i = 0; i < blocks; i++)
        set_least(p, i);
}

static inline __attribute__((always_inline)) size_t merge_short(const struct merges *m, bool ranked, uint32_t *id,
                                                                size_t n, const uint32_t *first)
{
    size_t blocks = (n + BLOCK - 1) / BLOCK, used = 0;
    struct pending p;

    start_short(m, &p, ranked, id, n, first);
    for (;;) {
        uint32_t best = NO_RANK;
        size_t at, next, prev;

        for (size_t i = 0; i < blocks; i++)
            best = p.least[i] < best ? p.least[i] : best;
        if (best == NO_RANK)
            break;
        at = best & 255;
        next = p.next[at];
        prev = at ? p.prev[at] : at;
        id[at] = m->made[ranked ? p.index[at] : best >> 8];
        p.value[next] = NO_RANK;
        if (next / BLOCK != at / BLOCK)
            set_least(&p, next / BLOCK);
        next = p.next[at] = p.next[next];
        set_value(m, &p, ranked, at, next < n ? find(m, id[at], id[next]) : MERGES_NONE);
        if (next < n)
            p.prev[next] = (uint8_t)at;
        if (at)
            set_value(m, &p, ranked, prev, find(m, id[prev], id[at]));
        if (prev / BLOCK != at / BLOCK)
            set_least(&p, prev / BLOCK);
        set_least(&p, at / BLOCK);
    }
    for (size_t i = 0; i < n; i = p.next[i])
        id[used++] = id[i];
    return used;
}

/* A list of at most TINY ids, kept without gaps: most words. */
static inline __attribute__((always_inline)) size_t merge_tiny(const struct merges *m, bool ranked, uint32_t *id,
                                                               size_t n, const uint32_t *first)
{
    uint32_t index[TINY], rank[TINY];

    for (size_t i = 0; i + 1 < n; i++) {
        index[i] = first ? first[i] : find(m, id[i], id[i + 1]);
        rank[i] = ranked ? rank_of(m, index[i]) : index[i];
    }
    while (n > 1) {
        uint32_t best = NO_RANK;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            at = rank[i] < best ? i : at;
            best = rank[i] < best ? rank[i] : best;
        }
        if (best == NO_RANK)
            break;
        id[at] = m->made[ranked ? index[at] : best];
        n--;
        for (size_t i = at + 1; i < n; i++) {
            id[i] = id[i + 1];
            rank[i - 1] = rank[i];
            index[i - 1] = index[i];
        }
        if (at + 1 < n) {
            index[at] = find(m, id[at], id[at + 1]);
            rank[at] = ranked ? rank_of(m, index[at]) : index[at];
        }
        if (at) {
            index[at - 1] = find(m, id[at - 1], id[at]);
            rank[at - 1] = ranked ? rank_of(m, index[at - 1]) : index[at - 1];
        }
    }
    return n;
}

static void push(const struct merges *m, struct merges_scratch *s, const uint32_t *id, uint32_t at, uint32_t index)
{
    uint64_t v = (uint64_t)rank_of(m, index) << 32 | at;
    size_t i;

    if (index == MERGES_NONE)
        return;
    if (m->undone && m->undone[index]) {
        s->parts[index][0] = id[at];
        s->parts[index][1] = id[s->next[at]];
    }
    mem_grow(&s->heap, &s->heap_cap, s->heap_n + 1, sizeof *s->heap);
    for (i = s->heap_n++; i && s->heap[(i - 1) / 4] > v; i = (i - 1) / 4)
        s->heap[i] = s->heap[(i - 1) / 4];
    s->heap[i] = v;
}

static uint64_t pop(struct merges_scratch *s)
{
    uint64_t top = s->heap[0], v = s->heap[--s->heap_n];
    size_t i = 0;

    for (;;) {
        size_t child = 4 * i + 1, least = child;

        for (size_t k = child + 1; k < child + 4 && k < s->heap_n; k++)
            if (s->heap[k] < s->heap[least])
                least = k;
        if (child >= s->heap_n || s->heap[least] >= v)
            break;
        s->heap[i] = s->heap[least];
        i = least;
    }
    s->heap[i] = v;
    return top;
}

static void start_long(const struct merges *m, struct merges_scratch *s, const uint32_t *id, uint32_t n,
                       const uint32_t *first)
{
    mem_grow(&s->next, &s->next_cap, n, sizeof *s->next);
    mem_grow(&s->prev, &s->prev_cap, n, sizeof *s->prev);
    if (m->undone)
        mem_grow(&s->parts, &s->parts_cap, m->n, sizeof *s->parts);
    s->heap_n = 0;
    for (uint32_t i = 0; i < n; i++) {
        s->next[i] = i + 1;
        s->prev[i] = i - 1;
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        push(m, s, id, i, first ? first[i] : find(m, id[i], id[i + 1]));
}

/* Many ids: a heap of (rank, position); what no longer holds when it comes up is dropped.  Merges to be undone are
 * seen in SentencePiece's order: all neighbours, then of each merge the one to its left first. */
static size_t merge_long(const struct merges *m, struct merges_scratch *s, uint32_t *id, size_t n,
                         const uint32_t *first)
{
    uint32_t end = (uint32_t)n;
    size_t used = 0;

    start_long(m, s, id, end, first);
    while (s->heap_n) {
        uint64_t top = pop(s);
        uint32_t at = (uint32_t)top, next = s->next[at], index;

        if (id[at] == MERGES_NONE || next >= end)
            continue;
        index = find(m, id[at], id[next]);
        if (rank_of(m, index) != (uint32_t)(top >> 32))
            continue;
        id[at] = m->made[index];
        id[next] = MERGES_NONE;
        s->next[at] = next = s->next[next];
        if (at)
            push(m, s, id, s->prev[at], find(m, id[s->prev[at]], id[at]));
        if (next < end) {
            s->prev[next] = at;
            push(m, s, id, at, find(m, id[at], id[next]));
        }
    }
    for (uint32_t i = 0; i < end; i = s->next[i])
        id[used++] = id[i];
    return used;
}

size_t merges_run(const struct merges *m, struct merges_scratch *s, uint32_t *id, size_t n, const uint32_t *first)
{
    if (n < 2)
        return n;
    if (n <= TINY && !m->undone)
        return m->rank ? merge_tiny(m, true, id, n, first) : merge_tiny(m, false, id, n, first);
    if (n <= MERGES_SHORT && !m->undone)
        return m->rank ? merge_short(m, true, id, n, first) : merge_short(m, false, id, n, first);
    n = merge_long(m, s, id, n, first);
    if (s->next_cap > 1 << 20) { /* of one long list; what is undone is still to be read */
        free(s->next);
        free(s->prev);
        free(s->heap);
        s->next = s->prev = NULL;
        s->heap = NULL;
        s->next_cap = s->prev_cap = s->heap_cap = 0;
    }
    return n;
}

void merges_scratch_release(struct merges_scratch *s)
{
    free(s->next);
    free(s->prev);
    free(s->heap);
    free(s->parts);
    *s = (struct merges_scratch){ 0 };
}
