/* Sessions against the reference: generation with the cache, logits, losses; prompts in one piece or in
 * many, alone or with others. */
#include "train/infer.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/format/json.h"
#include "libcommon/weights/safetensors.h"
#include "tests/tap.h"

enum { ROWS = 2, LEN = 24, PROMPT = 8, NEW = 16 }; /* of the golden cases */

struct golden {
    struct safetensors st;
    int32_t ids[ROWS][LEN], generated[NEW];
    float *logits; /* [ROWS][LEN][vocab] */
    float loss, largest;
};

static void ids_of(const struct safetensors *st, const char *name, int32_t *out, int n)
{
    const struct tensor *t = safetensors_find(st, name);

    for (int i = 0; i < n; i++) {
        int64_t v;

        memcpy(&v, (const char *)t->data + 8 * i, 8);
        out[i] = (int32_t)v;
    }
}

static int golden_open(struct golden *g, const char *dir)
{
    char path[9000];
    struct err err;
    const struct tensor *t;

    snprintf(path, sizeof path, "%s/golden.safetensors", dir);
    if (safetensors_open(&g->st, path, &err) < 0)
        return -1;
    ids_of(&g->st, "input_ids", g->ids[0], ROWS * LEN);
    ids_of(&g->st, "generated", g->generated, NEW);
    memcpy(&g->loss, safetensors_find(&g->st, "loss")->data, sizeof g->loss);
    t = safetensors_find(&g->st, "logits");
    g->logits = xmalloc(t->size);
    memcpy(g->logits, t->data, t->size);
    g->largest = 0;
    for (int64_t i = 0; i < t->count; i++)
        g->largest = fmaxf(g->largest, fabsf(g->logits[i]));
    return 0;
}

static int argmax(const float *x, int64_t n)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

static float distance(const float *a, const float *b, int64_t n)
{
    float d = 0;

    for (int64_t i = 0; i < n; i++) {
        if (!(fabsf(a[i] - b[i]) <= d))
            d = fabsf(a[i] - b[i]);
    }
    return d;
}

/* Greedy continuation of the first tokens in a slot, one token a call. */
static int generates(struct infer *s, int32_t slot, const struct golden *g)
{
    struct infer_seq q = { .slot = slot, .ids = g->ids[0], .n = PROMPT };
    struct err err;
    int32_t next;

    infer_clear(s, slot);
    for (int i = 0; i < NEW; i++) {
        if (infer_feed(s, &q, 1, &err) < 0)
            return 0;
        next = argmax(q.logits, s->exec.run.config->vocab);
        if (next != g->generated[i])
            return 0;
        q.ids = &next;
        q.n = 1;
    }
    return 1;
}

/* Logits of a whole row's last token, out of a session of its own. */
static float *alone(struct model *m, struct par *par, const int32_t *ids, int64_t n, int64_t rows)
{
    int64_t vocab = m->config.vocab;
    float *out = xmalloc((size_t)vocab * sizeof *out);
    struct infer s;
    struct infer_seq q = { .ids = ids, .n = n };
    struct err err;

    if (infer_init(&s, m, par, &(struct infer_options){ rows, 1, LEN, true }, &err) < 0 ||
        infer_feed(&s, &q, 1, &err) < 0)
        die("%s", err.msg);
    memcpy(out, q.logits, (size_t)vocab * sizeof *out);
    infer_release(&s);
    return out;
}

/* Three prompts of different lengths in one call = each alone, then a token more for two of them. */
static void test_batch(struct model *m, struct par *par, const struct golden *g, const char *name)
{
    static const int64_t length[] = { PROMPT, LEN, 13 };
    int64_t vocab = m->config.vocab;
    struct infer s;
    struct infer_seq q[3] = { { 0 } }, more[2];
    struct err err;
    float d = 0;

    if (infer_init(&s, m, par, &(struct infer_options){ 20, 4, LEN, true }, &err) < 0)
        die("%s", err.msg);
    for (int i = 0; i < 3; i++)
        q[i] = (struct infer_seq){ .slot = 3 - i, .ids = g->ids[i & 1], .n = length[i] };
    OK(infer_feed(&s, q, 3, &err) == 0);
    for (int i = 0; i < 3; i++) {
        float *want = alone(m, par, q[i].ids, q[i].n, LEN);

        d = fmaxf(d, distance(q[i].logits, want, vocab));
        free(want);
    }
    OKF(d <= 1e-5f * g->largest, "%s: a batch differs by %g of %g", name, (double)d, (double)g->largest);
    if (m->config.rope.type != ROPE_DYNAMIC) {
        more[0] = (struct infer_seq){ .slot = 1, .ids = g->ids[0] + length[2], .n = 5 };
        more[1] = (struct infer_seq){ .slot = 3, .ids = g->ids[0] + length[0], .n = 1 };
        OK(infer_feed(&s, more, 2, &err) == 0);
        OK(distance(more[0].logits, g->logits + 17 * vocab, vocab) <= 1e-5f * g->largest);
        OK(distance(more[1].logits, g->logits + 8 * vocab, vocab) <= 1e-5f * g->largest);
    }
    infer_release(&s);
}

static void test_score(struct model *m, struct par *par, const struct golden *g, const char *name)
{
    struct infer s;
    struct infer_seq q[ROWS];
    int32_t target[ROWS][LEN];
    float loss[ROWS][LEN];
    double sum = 0;
    struct err err;

    for (int r = 0; r < ROWS; r++) {
        q[r] = (struct infer_seq){ .slot = r, .ids = g->ids[r], .n = LEN, .target = target[r], .loss = loss[r] };
        memcpy(target[r], g->ids[r] + 1, (LEN - 1) * sizeof *target[r]);
        target[r][LEN - 1] = -1;
        loss[r][LEN - 1] = 0;
    }
    for (int cached = 0; cached < 2; cached++) {
        if (infer_init(&s, m, par, &(struct infer_options){ cached ? 7 : ROWS * LEN, ROWS, LEN, cached }, &err) < 0 ||
            infer_feed(&s, q, ROWS, &err) < 0)
            die("%s", err.msg);
        sum = 0;
        for (int r = 0; r < ROWS; r++)
            for (int i = 0; i < LEN; i++)
                sum += (double)loss[r][i];
        sum /= ROWS * (LEN - 1);
        OKF(fabs(sum - (double)g->loss) <= 1e-5 * (double)g->loss, "%s: loss %g, not %g", name, sum, (double)g->loss);
        infer_release(&s);
    }
}

static void test_case(const char *dir, const char *name, struct par *par)
{
    struct model m;
    struct golden g = { 0 };
    struct infer s;
    struct err err = { "" };
    float *whole, *pieces;

    if (model_open(&m, dir, &err) < 0 || golden_open(&g, dir) < 0 ||
        infer_init(&s, &m, par, &(struct infer_options){ LEN, 2, LEN, true }, &err) < 0) {
        OKF(0, "%s: %s", name, err.msg);
        return;
    }
    OKF(generates(&s, 1, &g) && generates(&s, 0, &g), "%s: generated", name);
    whole = alone(&m, par, g.ids[1], LEN, LEN);
    pieces = alone(&m, par, g.ids[1], LEN, 5);
    OKF(distance(whole, g.logits + (ROWS * LEN - 1) * m.config.vocab, m.config.vocab) <= 1e-5f * g.largest,
        "%s: logits", name);
    OKF(distance(whole, pieces, m.config.vocab) <= 1e-5f * g.largest, "%s: in pieces", name);
    test_batch(&m, par, &g, name);
    test_score(&m, par, &g, name);
    free(whole);
    free(pieces);
    free(g.logits);
    safetensors_close(&g.st);
    infer_release(&s);
    model_close(&m);
}

/* Every golden case of a family that there is. */
static void test_golden(struct par *par)
{
    const char *shared = tap_shared("golden/models");
    char root[4096], dir[8192];
    struct dirent **list = NULL;
    int n, cases = 0;

    if (!shared) {
        SKIP("golden models", "no ../shared");
        return;
    }
    snprintf(root, sizeof root, "%s", shared);
    n = scandir(root, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        struct config c;
        struct err err;

        snprintf(dir, sizeof dir, "%s/%s", root, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && config_open(&c, dir, &err) == 0) {
            config_close(&c);
            test_case(dir, list[i]->d_name, par);
            cases++;
        }
        free(list[i]);
    }
    free(list);
    OKF(cases >= 20, "%d cases", cases);
}

/* The text after BOS, which is ids[0], by llama2.c's tokenizer.bin: u32 longest; then f32 score, i32
 * length, bytes of each piece. */
static size_t pieces_text(const struct io_map *t, const int32_t *ids, int n, char *out)
{
    size_t size = 0;

    for (int i = 1; i < n; i++) {
        const uint8_t *p = t->data + 4;
        int32_t len;
        unsigned byte;

        for (int k = 0;; k++) {
            memcpy(&len, p + 4, 4);
            if (k == ids[i])
                break;
            p += 8 + len;
        }
        p += 8;
        if (i == 1 && *p == ' ') {
            p++;
            len--;
        }
        if (len == 6 && sscanf((const char *)p, "<0x%02X>", &byte) == 1)
            out[size++] = (char)byte;
        else
            memcpy(out + size, p, (size_t)len), size += (size_t)len;
    }
    return size;
}

/* The published continuation of BOS: BOS and 200 tokens. */
static void test_stories_text(struct infer *s, const struct json_value *ids)
{
    int32_t all[201] = { 1 };
    char path[4096], text[4096];
    struct io_map tok, want;
    struct infer_seq q = { 0 };
    struct err err;
    size_t size;
    int same = 0;

    infer_clear(s, 0);
    for (int i = 1; i < 201; i++) {
        q.ids = &all[i - 1];
        q.n = 1;
        if (infer_feed(s, &q, 1, &err) < 0)
            die("%s", err.msg);
        all[i] = argmax(q.logits, 512);
    }
    for (int i = 0; i < ids->n; i++)
        same += all[i] == (int32_t)json_at(ids, i)->num;
    OKF(ids->n == 61 && same == 61, "%d of %d ids", same, ids->n);
    snprintf(path, sizeof path, "%s", tap_shared("data/models/stories260K/tok512.bin"));
    if (io_map(&tok, path, &err) < 0)
        die("%s", err.msg);
    snprintf(path, sizeof path, "%s", tap_shared("data/models/stories260K/expected_stdout_t0_n200.txt"));
    if (io_map(&want, path, &err) < 0)
        die("%s", err.msg);
    size = pieces_text(&tok, all, 201, text);
    OKF(want.size == 464 && size == 464 && memcmp(text, want.data, 464) == 0, "%zu bytes: %.*s", size, (int)size, text);
    io_unmap(&tok);
    io_unmap(&want);
}

static void test_stories(struct par *par)
{
    const char *shared = tap_shared("data/models/stories260K_hf");
    char dir[4000], path[4096];
    struct model m;
    struct infer s;
    struct io_map logits, json;
    struct arena a;
    struct json_value *ids;
    struct err err;
    int32_t id[33];
    float d = 0, *want;

    if (!shared) {
        SKIP("stories260K", "no ../shared");
        return;
    }
    snprintf(dir, sizeof dir, "%s", shared);
    snprintf(path, sizeof path, "%s/golden_logits_33x512.f32", dir);
    if (model_open(&m, dir, &err) < 0 || io_map(&logits, path, &err) < 0)
        die("%s", err.msg);
    snprintf(path, sizeof path, "%s/golden_ids.json", dir);
    arena_init(&a);
    if (io_map(&json, path, &err) < 0 || !(ids = json_tree(&a, json.data, json.size, path, &err)) ||
        infer_init(&s, &m, par, &(struct infer_options){ 16, 1, 256, true }, &err) < 0)
        die("%s", err.msg);
    want = xmalloc(logits.size);
    memcpy(want, logits.data, logits.size);
    for (int i = 0; i < 33; i++) {
        struct infer_seq q = { .ids = &id[i], .n = 1 };

        id[i] = (int32_t)json_at(ids, i)->num;
        if (infer_feed(&s, &q, 1, &err) < 0)
            die("%s", err.msg);
        d = fmaxf(d, distance(q.logits, want + i * 512, 512));
    }
    OKF(logits.size == 33 * 512 * 4 && d <= 1e-4f, "logits differ by %g", (double)d);
    test_stories_text(&s, ids);
    free(want);
    arena_release(&a);
    io_unmap(&json);
    io_unmap(&logits);
    infer_release(&s);
    model_close(&m);
}

/* GPT-2's learned positions end; ids and sequences have bounds. */
static void test_bounds(struct par *par)
{
    const char *dir = tap_shared("data/models/capp-gpt");
    static const int32_t good[] = { 7, 8, 9, 10, 11 }, bad[] = { 7, 53 }, negative[] = { -1 };
    struct model m;
    struct infer s;
    struct err err;

    if (!dir) {
        SKIP("capp-gpt", "no ../shared");
        return;
    }
    if (model_open(&m, dir, &err) < 0)
        die("%s", err.msg);
    OK(infer_init(&s, &m, par, &(struct infer_options){ 8, 1, 513, true }, &err) < 0 &&
       strstr(err.msg, "end at 512 (max_position_embeddings)"));
    OK(infer_init(&s, &m, par, &(struct infer_options){ 8, 1, (int64_t)1 << 40, true }, &err) < 0);
    OK(infer_init(&s, &m, par, &(struct infer_options){ 8, 1, 8, true }, &err) == 0);
    OK(infer_feed(&s, &(struct infer_seq){ .ids = bad, .n = 2 }, 1, &err) < 0 &&
       strstr(err.msg, "token 1: id 53 is not below the model's vocabulary of 53"));
    OK(infer_feed(&s, &(struct infer_seq){ .ids = negative, .n = 1 }, 1, &err) < 0 && strstr(err.msg, "id 4294967295 "));
    OK(infer_feed(&s, &(struct infer_seq){ .ids = good, .n = 0 }, 1, &err) < 0);
    OK(infer_feed(&s, &(struct infer_seq){ .ids = good, .n = 5 }, 1, &err) == 0);
    OK(infer_feed(&s, &(struct infer_seq){ .ids = good, .n = 4 }, 1, &err) < 0 &&
       strstr(err.msg, "4 tokens after 5: a sequence holds 1 to 8"));
    OK(infer_feed(&s, &(struct infer_seq){ .ids = good, .n = 3 }, 1, &err) == 0);
    infer_clear(&s, 0);
    OK(infer_feed(&s, &(struct infer_seq){ .ids = good, .n = 4 }, 1, &err) == 0);
    infer_release(&s);
    model_close(&m);
}

int main(void)
{
    struct par *par = par_new(2);

    test_golden(par);
    test_stories(par);
    test_bounds(par);
    par_free(par);
    return tap_done();
}
