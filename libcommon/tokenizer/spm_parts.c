/* A text whose parts hang together: of a part that was seen before the ids are known, with the sums that they hold for. */
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/tokenizer/spm_in.h"

bool spm_hangs_together(const struct spm *m)
{
    return m->info.model == SPM_UNIGRAM || !m->info.byte_fallback;
}

const struct border *spm_border(const struct spm *m)
{
    return spm_hangs_together(m) ? NULL : spm_part_border(m);
}

/* Ids, which grow. */
struct ids {
    uint32_t **v;
    size_t *n, *cap;
    size_t from; /* where those of the text begin */
};

/* The limit that stands before ids in the cache. */
static float limit_of(const uint32_t *kept)
{
    float limit;

    memcpy(&limit, kept, sizeof limit);
    return limit;
}

/* What the cache holds of a part, where it holds now. */
static bool take(const struct spm *m, struct spm_scratch *s, const uint32_t *kept, size_t n, struct ids *out)
{
    uint32_t *v = *out->v + out->from;
    size_t at = *out->n - out->from;

    if (!spm_holds(m, s, limit_of(kept), v, at))
        return false;
    if (n == 1) {
        *out->n = out->from + spm_lone(s, v, at);
        return true;
    }
    memcpy(v + at, kept + 1, (n - 1) * sizeof *v);
    *out->n += n - 1;
    s->steps += n - 1;
    return true;
}

static bool is_one_char(const char *part, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (((uint8_t)part[i] & 0xc0) != 0x80)
            return false;
    return true;
}

/* Append the ids of a part; what the cache is to hold of it is s->kept, nothing where it is not to be known again. */
static void make(const struct spm *m, struct spm_scratch *s, const char *part, size_t n, struct ids *out)
{
    uint32_t *v = *out->v + out->from;
    size_t at = *out->n - out->from, k = spm_encode_part(m, s, part, n, v, at) - at;
    bool lone = s->limit <= 0 && !m->info.byte_fallback && is_one_char(part, n);
    float limit = lone ? 1e30F : s->limit;

    *out->n += k;
    s->kept_n = limit > 0 ? 1 + (lone ? 0 : k) : 0;
    mem_grow(&s->kept, &s->kept_cap, k + 1, sizeof *s->kept);
    memcpy(s->kept, &limit, sizeof limit);
    memcpy(s->kept + 1, v + at, k * sizeof *v);
}

static void short_part(const struct spm *m, struct spm_scratch *s, const char *part, size_t i, struct ids *out)
{
    uint64_t low = s->batch.low[i], high = s->batch.high[i];
    const struct wordcache_entry *e = wordcache_find(&s->cache, low, high);

    if (e && take(m, s, wordcache_ids(&s->cache, e), e->n, out)) {
        wordcache_settle(&s->cache, e);
        return;
    }
    make(m, s, part, (size_t)(high >> 56), out);
    if (!e && s->kept_n)
        wordcache_add(&s->cache, low, high, s->kept, s->kept_n);
}

static void long_part(const struct spm *m, struct spm_scratch *s, const char *part, size_t n, uint64_t hash, struct ids *out)
{
    const uint32_t *kept = NULL;
    size_t k;

    if (n <= WORDCACHE_LONGEST) {
        kept = wordcache_find_long(&s->cache, part, n, hash, &k);
        if (kept && take(m, s, kept, k, out))
            return;
    }
    make(m, s, part, n, out);
    if (!kept && n <= WORDCACHE_LONGEST && s->kept_n && s->kept_n <= UINT16_MAX)
        wordcache_add_long(&s->cache, part, n, hash, s->kept, s->kept_n);
}

/* Parts [i, k) as long as they stand at their first two places in the cache with at most two ids, and hold. */
static size_t take_hits(const struct spm *m, struct spm_scratch *s, size_t i, size_t k, struct ids *out)
{
    const struct wordcache_batch *b = &s->batch;
    uint32_t *v = *out->v + out->from;
    size_t n = *out->n - out->from;

    for (; i < k; i++) {
        const struct wordcache_entry *e = b->place[i];

        if (!wordcache_is(e, b->low[i], b->high[i]))
            e = wordcache_second(&s->cache, e);
        if (!wordcache_is(e, b->low[i], b->high[i]) || e->n - 1 >= 3 || !spm_holds(m, s, limit_of(e->id), v, n))
            break;
        if (e->n == 1) {
            n = spm_lone(s, v, n);
            continue;
        }
        memcpy(v + n, e->id + 1, 2 * sizeof *v); /* of which n - 1 count */
        n += e->n - 1;
        s->steps += e->n - 1;
    }
    *out->n = out->from + n;
    return i;
}

/* The k parts of the batch, the first of which begins at `at`. */
static void encode_batch(const struct spm *m, struct spm_scratch *s, const char *text, size_t at, size_t k, struct ids *out)
{
    const struct wordcache_batch *b = &s->batch;

    for (size_t i = 0; i < k; i++) {
        size_t start;

        i = take_hits(m, s, i, k, out);
        if (i == k)
            break;
        start = i ? b->end[i - 1] : at;
        if (b->high[i])
            short_part(m, s, text + start, i, out);
        else
            long_part(m, s, text + start, b->end[i] - start, b->low[i], out);
    }
}

void spm_encode(const struct spm *m, struct spm_scratch *s, const char *normal, size_t n, uint32_t **ids, size_t *n_ids, size_t *cap)
{
    const struct border *border = spm_part_border(m);
    struct wordcache_batch *b = &s->batch;
    struct ids out = { ids, n_ids, cap, *n_ids };

    spm_begin(s);
    if (!spm_hangs_together(m)) {
        mem_grow(ids, cap, *n_ids + 3 * n, sizeof **ids);
        *n_ids += spm_encode_part(m, s, normal, n, *ids + *n_ids, 0);
        return;
    }
    for (size_t at = 0, k; at < n; at = b->end[k - 1]) {
        b->end[0] = n;
        k = border ? border_ends(border, normal, n, at, b->end, WORDCACHE_BATCH) : 1;
        mem_grow(ids, cap, *n_ids + 3 * (b->end[k - 1] - at) + 2, sizeof **ids);
        wordcache_keys(&s->cache, b, normal, n, at, k);
        encode_batch(m, s, normal, at, k, &out);
    }
}
