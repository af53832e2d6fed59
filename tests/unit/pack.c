/* Packing: best fit against a search of everything that waits, concatenation against the string. */
#include "libcommon/data/pack.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rng.h"
#include "tests/tap.h"

/* Rows as they come: tokens, loss and segments one after the other. */
struct rows {
    uint32_t length;
    uint64_t n;
    int32_t *tokens;
    uint8_t *loss;
    uint32_t *seg, *n_seg;
    size_t cap_t, cap_l, cap_s, cap_n, segs;
};

static int take(void *ctx, const struct pack_row *row, struct err *err)
{
    struct rows *r = ctx;
    size_t at = r->n * r->length;

    if (r->n == 1000000)
        return err_set(err, "no more room");
    mem_grow(&r->tokens, &r->cap_t, at + r->length, sizeof *r->tokens);
    mem_grow(&r->loss, &r->cap_l, at + r->length, 1);
    mem_grow(&r->seg, &r->cap_s, r->segs + row->n_seg, sizeof *r->seg);
    mem_grow(&r->n_seg, &r->cap_n, r->n + 1, sizeof *r->n_seg);
    memcpy(r->tokens + at, row->tokens, r->length * sizeof *r->tokens);
    memcpy(r->loss + at, row->loss, r->length);
    for (uint32_t i = 0; i < row->n_seg; i++)
        r->seg[r->segs++] = row->seg[i];
    r->n_seg[r->n++] = row->n_seg;
    return 0;
}

static void forget(struct rows *r)
{
    free(r->tokens);
    free(r->loss);
    free(r->seg);
    free(r->n_seg);
}

/* A slow best fit: what waits is a list in order of arrival that is searched for each choice. */
struct slow {
    uint32_t length;
    uint64_t window, waiting, rows, row[5000];
    int n, id[5000];
    uint32_t len[5000];
    int out[5000], n_out; /* ids as they leave, -1 at the end of a row */
};

static void slow_leave(struct slow *s, int i)
{
    s->out[s->n_out++] = s->id[i];
    s->waiting -= s->len[i];
    s->n--;
    memmove(s->id + i, s->id + i + 1, (size_t)(s->n - i) * sizeof *s->id);
    memmove(s->len + i, s->len + i + 1, (size_t)(s->n - i) * sizeof *s->len);
    memmove(s->row + i, s->row + i + 1, (size_t)(s->n - i) * sizeof *s->row);
}

static void slow_row(struct slow *s)
{
    uint32_t room = s->length;
    int best = s->rows - s->row[0] >= 2 * (s->window / s->length + 1) ? 0 : -1;

    for (;;) {
        for (int i = 0; best < 0 && i < s->n; i++)
            if (s->len[i] <= room) {
                best = i;
                for (int k = i + 1; k < s->n; k++)
                    if (s->len[k] <= room && s->len[k] > s->len[best])
                        best = k;
            }
        if (best < 0)
            break;
        room -= s->len[best];
        slow_leave(s, best);
        best = -1;
    }
    s->out[s->n_out++] = -1;
    s->rows++;
}

static void slow_add(struct slow *s, int id, uint32_t len)
{
    s->id[s->n] = id;
    s->row[s->n] = s->rows;
    s->len[s->n++] = len;
    s->waiting += len;
    while (s->waiting > s->window)
        slow_row(s);
}

/* Pieces of at most a row, each of tokens with its number; sizes by a seed. */
static void test_bestfit(uint32_t length, uint64_t window, int n, uint64_t seed)
{
    struct rows rows = { .length = length };
    struct slow *s = xcalloc(1, sizeof *s);
    struct pack_options o = { .length = length, .pad = 7, .item = 4, .window = window, .put = take, .ctx = &rows };
    struct pack *p = pack_new(&o);
    int32_t *doc = xmalloc(length * sizeof *doc);
    struct err err;
    int at = 0, same = 1, used = 0;
    uint64_t padding = 0;
    size_t seg = 0;

    s->length = length;
    s->window = window;
    for (int i = 0; i < n; i++) {
        uint32_t len = 1 + (uint32_t)(rng_u64(seed, 0, (uint64_t)i) % length);

        if (i % 3 == 0)
            len = 1 + len % (length / 50 + 1);
        for (uint32_t k = 0; k < len; k++)
            doc[k] = 100 + i;
        same &= pack_add(p, doc, NULL, len / 2, &err) == 0 && /* in two parts */
                pack_add(p, doc, NULL, len - len / 2, &err) == 0 && pack_end_document(p, &err) == 0;
        slow_add(s, i, len);
    }
    same &= pack_finish(p, &err) == 0;
    while (s->n)
        slow_row(s);
    for (uint64_t r = 0; r < rows.n && same; r++) {
        uint64_t tok = r * length;

        for (uint32_t k = 0; k < rows.n_seg[r]; k++, seg++) {
            bool pad = at < s->n_out && s->out[at] == -1;

            same &= pad ? k == rows.n_seg[r] - 1 : at < s->n_out;
            for (uint32_t i = 0; i < rows.seg[seg] && same; i++, tok++)
                same &= rows.tokens[tok] == (pad ? 7 : 100 + s->out[at]) && rows.loss[tok] == !pad;
            padding += pad ? rows.seg[seg] : 0;
            used += !pad;
            at += !pad;
        }
        same &= tok == (r + 1) * length && s->out[at] == -1;
        at++;
    }
    OKF(same && at == s->n_out && used == n && rows.n == s->rows, "length %u window %llu: %d of %d", length,
        (unsigned long long)window, at, s->n_out);
    OK(pack_stats(p)->rows == rows.n && pack_stats(p)->padding == padding && pack_stats(p)->documents == (uint64_t)n);
    pack_free(p);
    forget(&rows);
    free(doc);
    free(s);
}

/* Documents 0 1 2 ... of the given lengths through any options; the rows as text: pieces with their
 * lengths, '_' for tokens without loss, '|' between rows. */
static char *pack_text(struct pack_options o, const int *lens, int n, struct pack_stats *stats)
{
    struct rows rows = { .length = o.length };
    static char text[1000];
    struct pack *p;
    struct err err;
    size_t at = 0, seg = 0;

    o.item = 4;
    o.pad = '.';
    o.put = take;
    o.ctx = &rows;
    p = pack_new(&o);
    for (int i = 0; i < n; i++) {
        int32_t doc[100];
        uint8_t loss[100];

        for (int k = 0; k < lens[i]; k++) {
            doc[k] = 'a' + i;
            loss[k] = k > 0;
        }
        pack_add(p, doc, o.has_loss ? loss : NULL, (uint64_t)lens[i], &err);
        pack_end_document(p, &err);
    }
    pack_finish(p, &err);
    for (uint64_t r = 0; r < rows.n; r++) {
        uint64_t tok = r * o.length;

        for (uint32_t k = 0; k < rows.n_seg[r]; k++, seg++) {
            at += (size_t)snprintf(text + at, sizeof text - at, "%s", k ? " " : "");
            for (uint32_t i = 0; i < rows.seg[seg]; i++, tok++)
                at += (size_t)snprintf(text + at, sizeof text - at, "%s%c", rows.loss[tok] ? "" : "_", rows.tokens[tok]);
        }
        at += (size_t)snprintf(text + at, sizeof text - at, "|");
    }
    text[at] = 0;
    *stats = *pack_stats(p);
    pack_free(p);
    forget(&rows);
    return text;
}

static void test_cases(void)
{
    static const struct {
        struct pack_options o;
        int lens[6], n;
        const char *want;
        struct pack_stats stats; /* documents empty split truncated dropped rows padding lost */
    } rows[] = {
        { { .length = 4 }, { 2, 3, 1, 2 }, 4, "bbb c|aa dd|", { 4, 0, 0, 0, 0, 2, 0, 0 } },
        { { .length = 4 }, { 3, 3, 0 }, 3, "aaa _.|bbb _.|", { 3, 1, 0, 0, 0, 2, 2, 0 } },
        { { .length = 4 }, { 9, 3 }, 2, "aaaa|aaaa|bbb a|", { 2, 0, 1, 0, 0, 3, 0, 0 } },
        { { .length = 4 }, { 8 }, 1, "aaaa|aaaa|", { 1, 0, 1, 0, 0, 2, 0, 0 } },
        { { .length = 4, .overlong = PACK_TRUNCATE }, { 9, 4 }, 2, "aaaa|bbbb|", { 2, 0, 0, 1, 0, 2, 0, 5 } },
        { { .length = 4, .overlong = PACK_DROP }, { 9, 4, 5 }, 3, "bbbb|", { 3, 0, 0, 0, 2, 1, 0, 14 } },
        { { .length = 4, .drop_last = true }, { 3, 4 }, 2, "bbbb|", { 2, 0, 0, 0, 0, 1, 0, 3 } },
        { { .length = 4, .has_loss = true }, { 2, 3 }, 2, "_bbb _.|_aa _._.|", { 2, 0, 0, 0, 0, 2, 3, 0 } },
        /* a window of one token: in the order of the documents */
        { { .length = 4, .window = 1 }, { 2, 3, 1 }, 3, "aa _._.|bbb _.|c _._._.|", { 3, 0, 0, 0, 0, 3, 6, 0 } },
        { { .length = 4, .method = PACK_CONCAT }, { 2, 3, 0, 5 }, 4, "aa bb|b ddd|dd _._.|", { 4, 1, 2, 0, 0, 3, 2, 0 } },
        { { .length = 4, .method = PACK_CONCAT, .drop_last = true }, { 2, 3 }, 2, "aa bb|", { 2, 0, 1, 0, 0, 1, 0, 1 } },
        { { .length = 4, .method = PACK_CONCAT, .drop_last = true }, { 4, 4 }, 2, "aaaa|bbbb|", { 2, 0, 0, 0, 0, 2, 0, 0 } },
        { { .length = 4 }, { 0 }, 0, "", { 0 } },
        { { .length = 4, .method = PACK_CONCAT }, { 0 }, 1, "", { 1, 1, 0, 0, 0, 0, 0, 0 } },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pack_options o = rows[i].o;
        struct pack_stats stats;
        const char *text;

        o.window = o.window ? o.window : 100;
        text = pack_text(o, rows[i].lens, rows[i].n, &stats);
        OKF(strcmp(text, rows[i].want) == 0, "%zu: %s", i, text);
        OKF(memcmp(&stats, &rows[i].stats, sizeof stats) == 0, "%zu", i);
    }
}

/* Full rows keep coming; a piece that never fits beside them still leaves within the bound. */
static void test_age(void)
{
    enum { LENGTH = 64, WINDOW = 640, N = 200 };
    struct rows rows = { .length = LENGTH };
    struct pack_options o = { .length = LENGTH, .item = 4, .window = WINDOW, .put = take, .ctx = &rows };
    struct pack *p = pack_new(&o);
    int32_t doc[LENGTH];
    uint64_t when = 0;
    struct err err;

    for (int i = 0; i < N; i++) {
        for (int k = 0; k < LENGTH; k++)
            doc[k] = i;
        pack_add(p, doc, NULL, i ? LENGTH : 1, &err);
        pack_end_document(p, &err);
    }
    pack_finish(p, &err);
    while (when < rows.n && rows.tokens[when * LENGTH] != 0)
        when++;
    OKF(when == 2 * (WINDOW / LENGTH + 1), "row %llu", (unsigned long long)when);
    pack_free(p);
    forget(&rows);
}

int main(void)
{
    static const uint32_t lengths[] = { 2, 3, 63, 64, 65, 4096, 4097, 300000 };

    test_cases();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (uint64_t w = 0; w < 3; w++)
            test_bestfit(lengths[i], w * w * 30 * lengths[i], lengths[i] > 100000 ? 100 : 1000, i + 10 * w);
    test_age();
    return tap_done();
}
