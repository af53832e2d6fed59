/* lmeval - measure a language model.  One row of `tasks` a task; see lmeval(1).
 *
 * ppl: every token is predicted once, from as many tokens of its document as the context holds, in
 * windows that overlap; several windows run at once.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/source.h"
#include "libcommon/data/stream.h"
#include "libcommon/data/tokenize.h"
#include "libcommon/text/unicode.h"
#include "train/infer.h"
#include "train/rope.h"
#include "train/open.h"

/* Context by default, at most; tokens of a micro-batch, unless a window is larger; windows in it. */
enum { CONTEXT = 4096, ROWS = 1024, WINDOWS = 256 };

static const char *model_dir, *tokenizer_path;
static int64_t context, stride;
static struct source_options source_options;

static const struct opt opts[] = {
    { 'm', "model", OPT_STR, &model_dir, "DIR", "model directory: config.json and safetensors", 0, 0 },
    { 't', "tokenizer", OPT_STR, &tokenizer_path, "DIR|FILE", "a tokenizer's file or directory (the model's)", 0, 0 },
    { 0, "context", OPT_INT, &context, "N", "tokens of a window (the model's positions, at most 4096)", 1, INT32_MAX },
    { 0, "stride", OPT_INT, &stride, "N", "tokens from one window to the next (half the context)", 1, INT32_MAX },
    { 'k', "key", OPT_STR, &source_options.key, "KEY", "take the text from this key of JSONL (text)", 0, 0 },
    { 0, "from", OPT_CHOICE, &source_options.from, "auto|jsonl|txt", "what a text file holds; auto: by content", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmeval",
    .purpose = "measure a language model",
    .operands = "ppl [FILE]",
    .example = "lmeval ppl -m qwen2/ --context 1024 test.txt",
    .opts = opts,
    .common = OPT_JOBS | OPT_OUTPUT | OPT_QUIET,
};

static struct opt_common common;

/* What every task works with. */
struct job {
    struct model model;
    struct par *par;
    const char *path;
    struct io_map map;
    struct io_out out;
    struct io_progress progress;
};

struct ppl {
    struct job *job;
    struct tokenizer_encoder *encoder;
    const struct tokenizer_info *info;
    struct infer session;
    /* Windows that wait. */
    struct infer_seq window[WINDOWS];
    int n;
    int64_t rows, rows_max;
    int32_t *ids, *target; /* [rows_max] */
    float *loss;
    /* Totals. */
    double nll;
    uint64_t documents, tokens, words, bytes;
};

static int run_windows(struct ppl *p, struct err *err)
{
    if (p->n && infer_feed(&p->session, p->window, p->n, err) < 0)
        return -1;
    for (int64_t i = 0; i < p->rows; i++)
        if (p->target[i] >= 0) {
            p->nll += (double)p->loss[i];
            p->tokens++;
        }
    p->n = 0;
    p->rows = 0;
    return 0;
}

/* Tokens [begin, end) of a document as a window, which predicts those of (scored, last]. */
static int add_window(struct ppl *p, const int32_t *x, const uint8_t *mask, const int64_t span[2], int64_t scored,
                      int64_t last, struct err *err)
{
    int64_t n = span[1] - span[0], wanted = 0;

    if ((p->rows + n > p->rows_max || p->n == WINDOWS) && run_windows(p, err) < 0)
        return -1;
    memcpy(p->ids + p->rows, x + span[0], (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        int64_t next = span[0] + i + 1;
        bool score = next > scored && next <= last && (!mask || mask[next]);

        p->target[p->rows + i] = score ? x[next] : -1;
        wanted += score;
    }
    if (!wanted)
        return 0;
    p->window[p->n] = (struct infer_seq){ .slot = p->n, .ids = p->ids + p->rows, .n = n, .target = p->target + p->rows,
                                          .loss = p->loss + p->rows };
    p->n++;
    p->rows += n;
    return 0;
}

/* n tokens; mask NULL: all but the first are predicted.  A document that fits runs with its last token,
 * too, though it predicts nothing: rope scaling may depend on the length. */
static int add_tokens(struct ppl *p, const int32_t *x, int64_t n, const uint8_t *mask, struct err *err)
{
    int64_t scored = 0, last;

    if (infer_check(&p->job->model, x, n, err) < 0)
        return -1;
    for (; scored < n - 1; scored = last) {
        int64_t span[2];

        last = scored ? scored + stride : context;
        last = last < n - 1 ? last : n - 1;
        span[0] = last > context ? last - context : 0;
        span[1] = span[0] + context < n ? span[0] + context : n;
        if (add_window(p, x, mask, span, scored, last, err) < 0)
            return -1;
    }
    p->documents++;
    return 0;
}

/* A record's segments are documents of their own. */
static int add_record(struct ppl *p, const struct stream_record *rec, struct err *err)
{
    const uint8_t *loss = rec->loss;
    const int32_t *x = rec->tokens;

    if (!rec->seg)
        return add_tokens(p, x, (int64_t)rec->n, loss, err);
    for (uint32_t s = 0; s < rec->n_seg; s++) {
        if (add_tokens(p, x, rec->seg[s], loss, err) < 0)
            return -1;
        x += rec->seg[s];
        loss += loss ? rec->seg[s] : 0;
    }
    return 0;
}

/* Were the stream's tokens made for this model?  Without a tokenizer of the model nobody knows, unless by
 * the size of the vocabulary. */
static int check_stream(const struct job *j, const struct stream_header *h, struct err *err)
{
    static const uint8_t unknown[sizeof h->fingerprint];
    struct tokenizer *tok;
    int rc;

    if (h->vocab_size > j->model.config.vocab)
        return err_set(err, "%s: its vocabulary of %" PRIu32 " tokens is above the model's of %" PRId64, j->path,
                       h->vocab_size, j->model.config.vocab);
    if (memcmp(h->fingerprint, unknown, sizeof unknown) == 0)
        return 0;
    tok = open_tokenizer(tokenizer_path, model_dir, err);
    if (!tok && tokenizer_path)
        return -1;
    if (!tok && !common.quiet)
        err_warn("%s: not known whether its tokenizer is the model's: %s", j->path, err->msg);
    rc = tok ? tokenize_check(h, j->path, tokenizer_info(tok), tokenizer_path ? tokenizer_path : model_dir, err) : 0;
    tokenizer_free(tok);
    return rc;
}

static int stream_documents(struct ppl *p, struct err *err)
{
    struct stream_reader *r = stream_open_memory(p->job->map.data, p->job->map.size, p->job->path, false, err);
    struct stream_record rec;
    uint64_t n = 0;
    int rc;

    if (!r)
        return -1;
    rc = check_stream(p->job, stream_header(r), err);
    for (; rc == 0 && (rc = stream_read(r, &rec, err)) == 1; rc = 0) {
        n++;
        if (add_record(p, &rec, err) < 0) {
            rc = err_prefix(err, "%s: record %" PRIu64, p->job->path, n);
            break;
        }
        io_progress(&p->job->progress, p->tokens, stream_totals(r)->bytes);
    }
    stream_close(r);
    return rc;
}

/* len(re.split(r"\s+", text)), lm-evaluation-harness's count: white space and 1.  To Python the separators
 * U+001C to U+001F are white space, too. */
static uint64_t count_words(const char *text, size_t n)
{
    uint64_t words = 1;
    bool space = false, was;
    uint32_t c;

    for (size_t at = 0; at < n; at += (size_t)utf8_decode(text + at, n - at, &c)) {
        was = space;
        utf8_decode(text + at, n - at, &c);
        space = unicode_space(c) || (c >= 0x1c && c <= 0x1f);
        words += space && !was;
    }
    return words;
}

static int add_text(struct ppl *p, const char *text, size_t n, struct err *err)
{
    struct tokenizer_ids ids = { 0 };
    int32_t *x;
    int rc = -1;

    for (int i = 0; i < p->info->n_prefix; i++) {
        mem_grow(&ids.v, &ids.cap, ids.n + 1, sizeof *ids.v);
        ids.v[ids.n++] = p->info->prefix[i];
    }
    if (tokenizer_encode(p->encoder, text, n, TOKENIZER_SPECIAL_NONE, &ids, err) == 0) {
        x = xmalloc((ids.n + 1) * sizeof *x);
        for (size_t i = 0; i < ids.n; i++)
            x[i] = (int32_t)ids.v[i];
        rc = add_tokens(p, x, (int64_t)ids.n, NULL, err);
        free(x);
    }
    free(ids.v);
    p->words += count_words(text, n);
    p->bytes += n;
    return rc;
}

static int block_documents(struct ppl *p, struct source_block *b, struct err *err)
{
    struct source_doc d;
    int rc;

    while ((rc = source_next(b, &d, err)) == 1) {
        char *text = xmalloc(d.text.n + 1);

        if (add_text(p, text, source_text(&d, text), err) < 0)
            rc = d.json ? err_prefix(err, "%s:%" PRIu64, b->name, b->at_line - 1) : err_prefix(err, "%s", b->name);
        free(text);
        if (rc < 0)
            break;
    }
    return rc;
}

static int text_documents(struct ppl *p, struct err *err)
{
    struct source *s = source_new_memory(&source_options, p->job->map.data, p->job->map.size, p->job->path);
    struct source_block b = { 0 };
    int rc;

    while ((rc = source_read(s, &b, err)) == 1 && (rc = block_documents(p, &b, err)) == 0)
        io_progress(&p->job->progress, p->tokens, source_bytes(s));
    source_block_free(&b);
    source_free(s);
    return rc;
}

static int put_number(struct io_out *o, const char *name, double v, struct err *err)
{
    return isfinite(v) ? io_printf(o, err, ",\"%s\":%.10g", name, v) : io_printf(o, err, ",\"%s\":null", name);
}

static int put_ppl(const struct ppl *p, struct err *err)
{
    struct io_out *o = &p->job->out;
    double loss = p->nll / (double)p->tokens;

    if (!p->tokens)
        return err_set(err, "%s: nothing to predict in %" PRIu64 " documents", p->job->path, p->documents);
    if (!isfinite(loss))
        return err_set(err, "%s: the loss is not finite", p->job->path);
    if (io_printf(o, err, "{\"tokens\":%" PRIu64, p->tokens) < 0 || put_number(o, "loss", loss, err) < 0 ||
        put_number(o, "ppl", exp(loss), err) < 0)
        return -1;
    if (p->bytes && (put_number(o, "word_ppl", exp(p->nll / (double)p->words), err) < 0 ||
                     put_number(o, "byte_ppl", exp(p->nll / (double)p->bytes), err) < 0 ||
                     put_number(o, "bits_per_byte", p->nll / (double)p->bytes / log(2), err) < 0))
        return -1;
    return io_put(o, "}\n", 2, err);
}

static int ppl_run(struct ppl *p, struct err *err)
{
    struct job *j = p->job;
    struct infer_options o = { .slots = WINDOWS, .capacity = context };
    struct tokenizer *tok = NULL;
    bool stream = stream_is(j->map.data, j->map.size);
    int rc = -1;

    p->rows_max = o.rows = context > ROWS ? context : ROWS;
    if (infer_init(&p->session, &j->model, j->par, &o, err) < 0)
        return -1;
    p->ids = xmalloc((size_t)p->rows_max * sizeof *p->ids);
    p->target = xmalloc((size_t)p->rows_max * sizeof *p->target);
    p->loss = xmalloc((size_t)p->rows_max * sizeof *p->loss);
    if (stream) {
        rc = stream_documents(p, err);
    } else if ((tok = open_tokenizer(tokenizer_path, model_dir, err))) {
        p->encoder = tokenizer_encoder_new(tok);
        p->info = tokenizer_info(tok);
        rc = text_documents(p, err);
        tokenizer_encoder_free(p->encoder);
    }
    if (rc == 0)
        rc = run_windows(p, err);
    tokenizer_free(tok);
    infer_release(&p->session);
    free(p->ids);
    free(p->target);
    free(p->loss);
    return rc;
}

static int ppl(struct job *j, struct err *err)
{
    struct ppl *p = xcalloc(1, sizeof *p);
    int64_t positions = infer_positions(&j->model);
    int rc;

    if (!context) {
        context = positions; /* where angles grow with the length, max_pos is no end */
        if (!rope_by_length(&j->model.config) && j->model.config.max_pos < positions)
            context = j->model.config.max_pos;
        context = context < CONTEXT ? context : CONTEXT;
    }
    if (!stride)
        stride = context > 1 ? context / 2 : 1;
    if (stride > context)
        opt_die(&cmd, "--stride: %" PRId64 " is above the context of %" PRId64, stride, context);
    p->job = j;
    rc = ppl_run(p, err);
    io_progress_end(&j->progress);
    if (rc == 0)
        rc = put_ppl(p, err);
    free(p);
    return rc;
}

static const struct {
    const char *name;
    int (*run)(struct job *j, struct err *err);
} tasks[] = {
    { "ppl", ppl },
};

enum { TASKS = sizeof tasks / sizeof *tasks };

/* The first operand's task. */
static int find_task(const char *word)
{
    char names[256] = "";
    int n = 0;

    for (int i = 0; i < TASKS; i++) {
        if (word && strcmp(tasks[i].name, word) == 0)
            return i;
        n += snprintf(names + n, sizeof names - (size_t)n, " %s", tasks[i].name);
    }
    if (word)
        opt_die(&cmd, "'%s' is no task; the first operand is one of:%s", word, names);
    opt_die(&cmd, "a task is needed:%s", names);
}

int main(int argc, char **argv)
{
    struct job j = { 0 };
    struct err err;
    int i = opt_parse(&cmd, &common, argc, argv), task = find_task(argv[i]);
    const char *path = argc - i > 1 ? argv[i + 1] : "-";

    if (argc - i > 2)
        opt_die(&cmd, "one operand too many: %s", argv[argc - 1]);
    if (!model_dir)
        opt_die(&cmd, "-m DIR is needed");
    j.path = io_name(path);
    if (open_model(&j.model, model_dir, &err) < 0 || io_map(&j.map, path, &err) < 0 ||
        io_create(&j.out, common.output, false, &err) < 0)
        die("%s", err.msg);
    j.par = par_new((int)common.jobs);
    io_progress_start(&j.progress, "tokens", j.map.size, common.quiet);
    if (tasks[task].run(&j, &err) < 0 || io_commit(&j.out, &err) < 0)
        die("%s", err.msg);
    par_free(j.par);
    io_unmap(&j.map);
    model_close(&j.model);
    return 0;
}
