#include "train/generate.h"

#include <stdlib.h>

#include "libcommon/base/mem.h"

struct state {
    const struct generate *g;
    struct generate_request **running; /* [slots], NULL: free */
    struct infer_seq *feed;            /* [slots] of those that run */
    struct sample sample;
};

/* What each slot is fed next; their number.  Free slots take the requests from *next on. */
static int gather(struct state *s, struct generate_request *r, int n, int *next)
{
    int feeds = 0;

    for (int32_t slot = 0; slot < s->g->session->o.slots; slot++) {
        struct generate_request *q = s->running[slot];

        if (q) {
            s->feed[feeds++] = (struct infer_seq){ .slot = slot, .ids = q->ids + q->n + q->made - 1, .n = 1 };
        } else if (*next < n) {
            q = s->running[slot] = &r[(*next)++];
            q->made = 0;
            infer_clear(s->g->session, slot);
            s->feed[feeds++] = (struct infer_seq){ .slot = slot, .ids = q->ids, .n = q->n };
        }
    }
    return feeds;
}

/* The request's next token: 1 when it was the last, 0, or -1. */
static int advance(struct state *s, struct generate_request *r, const float *logits, struct err *err)
{
    int32_t id = sample_next(&s->sample, logits, r->ids, r->n + r->made, r->sequence);

    if (id < 0)
        return err_set(err, "token %lld: the logits are not finite", (long long)(r->n + r->made));
    if (!s->g->ignore_eos && config_is_eos(s->g->session->exec.run.config, id)) {
        r->end = GENERATE_EOS;
        return 1;
    }
    r->ids[r->n + r->made++] = id;
    r->end = s->g->token(r, id) ? GENERATE_STOP : GENERATE_LENGTH;
    return r->end == GENERATE_STOP || r->made == r->most;
}

static int run(struct state *s, struct generate_request *r, int n, struct err *err)
{
    int next = 0, feeds;

    while ((feeds = gather(s, r, n, &next)) > 0) {
        if (infer_feed(s->g->session, s->feed, feeds, err) < 0)
            return -1;
        for (int i = 0; i < feeds; i++) {
            struct generate_request **q = &s->running[s->feed[i].slot];
            int rc = advance(s, *q, s->feed[i].logits, err);

            if (rc < 0 || (rc == 1 && s->g->done && s->g->done(*q, err) < 0))
                return -1;
            if (rc == 1)
                *q = NULL;
        }
    }
    return 0;
}

int generate_run(const struct generate *g, struct generate_request *r, int n, struct err *err)
{
    size_t slots = (size_t)g->session->o.slots;
    struct state s = { .g = g, .running = xcalloc(slots, sizeof *s.running), .feed = xcalloc(slots, sizeof *s.feed) };
    int rc;

    sample_init(&s.sample, &g->sample, g->session->exec.run.config->vocab);
    rc = run(&s, r, n, err);
    sample_release(&s.sample);
    free(s.running);
    free(s.feed);
    return rc;
}
