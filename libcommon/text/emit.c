#include "libcommon/text/emit.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"

static void put(struct emit *e, const char *s, size_t n)
{
    mem_grow(&e->out, &e->out_cap, e->n_out + n, 1);
    if (n)
        memcpy(e->out + e->n_out, s, n);
    e->n_out += n;
}

/* Give out the first n bytes held; at the end of a sequence also a character that is cut. */
static void give(struct emit *e, size_t n, bool end)
{
    size_t at = 0;

    while (at < n) {
        size_t good = utf8_valid(e->held + at, n - at), bad;
        bool cut;

        put(e, e->held + at, good);
        at += good;
        if (at == n)
            break;
        bad = utf8_ill_formed(e->held + at, n - at, &cut);
        if (cut && !end)
            break;
        put(e, "\xef\xbf\xbd", 3);
        at += bad;
    }
    e->n_held -= at;
    if (at)
        memmove(e->held, e->held + at, e->n_held);
}

/* Offset of the first stop string, or n_held. */
static size_t find_stop(const struct emit *e)
{
    size_t first = e->n_held;

    for (int i = 0; i < e->n_stop; i++) {
        const char *at = memmem(e->held, e->n_held, e->stop[i], strlen(e->stop[i]));

        if (at && (size_t)(at - e->held) < first)
            first = (size_t)(at - e->held);
    }
    return first;
}

/* Length of the longest tail that begins a stop string. */
static size_t begun(const struct emit *e)
{
    size_t most = 0;

    for (int i = 0; i < e->n_stop; i++) {
        size_t n = strlen(e->stop[i]) - 1;

        for (n = n < e->n_held ? n : e->n_held; n > most; n--)
            if (memcmp(e->held + e->n_held - n, e->stop[i], n) == 0)
                most = n;
    }
    return most;
}

void emit_add(struct emit *e, const char *bytes, size_t n)
{
    size_t stop;

    if (e->stopped || !n)
        return;
    mem_grow(&e->held, &e->held_cap, e->n_held + n, 1);
    memcpy(e->held + e->n_held, bytes, n);
    e->n_held += n;
    stop = find_stop(e);
    if (stop < e->n_held) {
        e->stopped = true;
        give(e, stop, true);
        e->n_held = 0;
        return;
    }
    give(e, e->n_held - begun(e), false);
}

void emit_end(struct emit *e)
{
    give(e, e->n_held, true);
}

void emit_clear(struct emit *e)
{
    e->n_held = e->n_out = 0;
    e->stopped = false;
}

void emit_release(struct emit *e)
{
    free(e->out);
    free(e->held);
    memset(e, 0, sizeof *e);
}
