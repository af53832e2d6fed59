#include "libcommon/data/pack.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"

enum { LEVELS = 4 }; /* 64^4 = PACK_MOST */

struct piece {
    struct piece *next;          /* of the same length, arrived later */
    struct piece *older, *newer; /* of all that wait */
    uint64_t row;                /* rows put when it came */
    uint32_t n;
    uint8_t data[]; /* n items, then n bytes of loss */
};

struct queue {
    struct piece *first, *last;
};

struct pack {
    struct pack_options opt;
    struct pack_stats stats;
    size_t item;
    uint64_t age; /* rows that a piece may wait */
    /* the document's piece that is being gathered */
    uint8_t *tokens, *loss; /* [length] */
    uint32_t n;
    uint64_t document; /* tokens of the document so far */
    bool was_split;    /* the document lies in more than one row */
    /* the row that is being filled */
    uint8_t *row, *row_loss; /* [length] */
    uint32_t filled, n_seg;
    uint32_t *seg; /* [seg_cap] */
    size_t seg_cap;
    /* best fit: what waits.  Bit and queue `length - n` belong to pieces of n tokens. */
    struct queue *queue;      /* [length] */
    uint64_t *bits[LEVELS];   /* a bit of level k + 1 is set when its word of level k is not 0 */
    struct piece *oldest, *newest;
    uint64_t waiting; /* tokens */
};

struct pack *pack_new(const struct pack_options *opt)
{
    struct pack *p = xcalloc(1, sizeof *p);
    size_t words = opt->length;

    p->opt = *opt;
    p->item = (size_t)opt->item;
    p->age = 2 * (opt->window / opt->length + 1);
    p->tokens = xmalloc(opt->length * p->item);
    p->loss = xmalloc(opt->length);
    p->row = xmalloc(opt->length * p->item);
    p->row_loss = xmalloc(opt->length);
    if (opt->method == PACK_BESTFIT) {
        p->queue = xcalloc(opt->length, sizeof *p->queue);
        for (int k = 0; k < LEVELS; k++) {
            words = (words + 63) / 64;
            p->bits[k] = xcalloc(words, sizeof **p->bits);
        }
    }
    return p;
}

void pack_free(struct pack *p)
{
    if (!p)
        return;
    for (struct piece *q = p->oldest, *newer; q; q = newer) {
        newer = q->newer;
        free(q);
    }
    for (int k = 0; k < LEVELS; k++)
        free(p->bits[k]);
    free(p->queue);
    free(p->tokens);
    free(p->loss);
    free(p->row);
    free(p->row_loss);
    free(p->seg);
    free(p);
}

const struct pack_stats *pack_stats(const struct pack *p)
{
    return &p->stats;
}

static void set_bit(struct pack *p, uint32_t i)
{
    for (int k = 0; k < LEVELS; k++, i /= 64)
        p->bits[k][i / 64] |= (uint64_t)1 << i % 64;
}

static void clear_bit(struct pack *p, uint32_t i)
{
    for (int k = 0; k < LEVELS; k++, i /= 64) {
        p->bits[k][i / 64] &= ~((uint64_t)1 << i % 64);
        if (p->bits[k][i / 64])
            break;
    }
}

/* The lowest bit that is set from i on, or `length`: up while a word has none, then down. */
static uint32_t next_bit(const struct pack *p, uint32_t i)
{
    uint32_t limit = p->opt.length;
    int k = 0;

    for (; k < LEVELS && i < limit; k++) {
        uint64_t word = p->bits[k][i / 64] & ~(uint64_t)0 << i % 64;

        if (word) {
            i = i / 64 * 64 + (uint32_t)__builtin_ctzll(word);
            while (k-- > 0)
                i = i * 64 + (uint32_t)__builtin_ctzll(p->bits[k][i]);
            return i;
        }
        i = i / 64 + 1;
        limit = (limit + 63) / 64;
    }
    return p->opt.length;
}

static void enqueue(struct pack *p)
{
    size_t bytes = p->n * p->item;
    struct piece *q = xmalloc(sizeof *q + bytes + (p->opt.has_loss ? p->n : 0));
    struct queue *of = &p->queue[p->opt.length - p->n];

    *q = (struct piece){ .older = p->newest, .row = p->stats.rows, .n = p->n };
    memcpy(q->data, p->tokens, bytes);
    if (p->opt.has_loss)
        memcpy(q->data + bytes, p->loss, p->n);
    *(of->first ? &of->last->next : &of->first) = q;
    of->last = q;
    *(p->newest ? &p->newest->newer : &p->oldest) = q;
    p->newest = q;
    set_bit(p, p->opt.length - p->n);
    p->waiting += p->n;
    p->n = 0;
}

/* The first of a queue that is not empty; the caller frees it. */
static struct piece *dequeue(struct pack *p, uint32_t key)
{
    struct piece *q = p->queue[key].first;

    p->queue[key].first = q->next;
    if (!q->next)
        clear_bit(p, key);
    *(q->older ? &q->older->newer : &p->oldest) = q->newer;
    *(q->newer ? &q->newer->older : &p->newest) = q->older;
    p->waiting -= q->n;
    return q;
}

static void fill(struct pack *p, const void *tokens, const uint8_t *loss, uint32_t n)
{
    memcpy(p->row + p->filled * p->item, tokens, n * p->item);
    if (loss)
        memcpy(p->row_loss + p->filled, loss, n);
    else
        memset(p->row_loss + p->filled, 1, n);
    p->filled += n;
}

static void end_segment(struct pack *p, uint32_t n)
{
    mem_grow(&p->seg, &p->seg_cap, p->n_seg + 1, sizeof *p->seg);
    p->seg[p->n_seg++] = n;
}

static int put_row(struct pack *p, bool last, struct err *err)
{
    uint32_t padding = p->opt.length - p->filled;
    struct pack_row row = { .tokens = p->row, .loss = p->row_loss };
    int rc = 0;

    if (padding && last && p->opt.drop_last) {
        p->stats.lost += p->filled;
    } else {
        for (uint32_t i = p->filled; i < p->opt.length; i++)
            memcpy(p->row + i * p->item, &p->opt.pad, p->item);
        memset(p->row_loss + p->filled, 0, padding);
        if (padding)
            end_segment(p, padding);
        row.seg = p->seg;
        row.n_seg = p->n_seg;
        p->stats.rows++;
        p->stats.padding += padding;
        rc = p->opt.put(p->opt.ctx, &row, err);
    }
    p->filled = p->n_seg = 0;
    return rc;
}

static int bestfit_row(struct pack *p, bool ending, struct err *err)
{
    uint32_t length = p->opt.length;
    uint32_t key = p->stats.rows - p->oldest->row >= p->age ? length - p->oldest->n : next_bit(p, 0);

    for (; key < length; key = next_bit(p, p->filled)) { /* room for length - filled tokens */
        struct piece *q = dequeue(p, key);

        fill(p, q->data, p->opt.has_loss ? q->data + q->n * p->item : NULL, q->n);
        end_segment(p, q->n);
        free(q);
    }
    return put_row(p, ending && !p->oldest, err);
}

static int add_bestfit(struct pack *p, const uint8_t *tokens, const uint8_t *loss, uint64_t n, struct err *err)
{
    while (n) {
        uint32_t take = p->opt.length - p->n;

        if (take == 0) { /* the piece is a row long and the document goes on */
            if (p->opt.overlong != PACK_SPLIT)
                return 0;
            p->was_split = true;
            enqueue(p);
            while (p->waiting > p->opt.window)
                if (bestfit_row(p, false, err) < 0)
                    return -1;
            continue;
        }
        take = n < take ? (uint32_t)n : take;
        memcpy(p->tokens + p->n * p->item, tokens, take * p->item);
        if (loss)
            memcpy(p->loss + p->n, loss, take);
        p->n += take;
        tokens += take * p->item;
        loss += loss ? take : 0;
        n -= take;
    }
    return 0;
}

static int add_concat(struct pack *p, const uint8_t *tokens, const uint8_t *loss, uint64_t n, struct err *err)
{
    while (n) {
        uint32_t take = p->opt.length - p->filled;

        if (take == 0) {
            p->was_split |= p->n > 0;
            if (p->n)
                end_segment(p, p->n);
            p->n = 0;
            if (put_row(p, false, err) < 0)
                return -1;
            continue;
        }
        take = n < take ? (uint32_t)n : take;
        fill(p, tokens, loss, take);
        p->n += take; /* of the document in this row */
        tokens += take * p->item;
        loss += loss ? take : 0;
        n -= take;
    }
    return 0;
}

int pack_add(struct pack *p, const void *tokens, const uint8_t *loss, uint64_t n, struct err *err)
{
    p->document += n;
    return p->opt.method == PACK_CONCAT ? add_concat(p, tokens, loss, n, err) : add_bestfit(p, tokens, loss, n, err);
}

/* What becomes of a document longer than a row that is not split. */
static void cut_overlong(struct pack *p)
{
    uint64_t kept = p->opt.overlong == PACK_TRUNCATE ? p->opt.length : 0;

    p->stats.truncated += kept > 0;
    p->stats.dropped += kept == 0;
    p->stats.lost += p->document - kept;
    p->n = (uint32_t)kept;
}

int pack_end_document(struct pack *p, struct err *err)
{
    bool bestfit = p->opt.method == PACK_BESTFIT;
    int rc = 0;

    p->stats.documents++;
    p->stats.empty += p->document == 0;
    if (bestfit && p->document > p->opt.length && p->opt.overlong != PACK_SPLIT)
        cut_overlong(p);
    p->stats.split += p->was_split;
    if (p->n && bestfit)
        enqueue(p);
    else if (p->n)
        end_segment(p, p->n);
    while (bestfit && rc == 0 && p->waiting > p->opt.window)
        rc = bestfit_row(p, false, err);
    p->n = 0;
    p->document = 0;
    p->was_split = false;
    return rc;
}

int pack_finish(struct pack *p, struct err *err)
{
    if (p->opt.method == PACK_CONCAT)
        return p->filled ? put_row(p, true, err) : 0;
    while (p->oldest)
        if (bestfit_row(p, true, err) < 0)
            return -1;
    return 0;
}
