/* lmgen - continue prompts: one streamed as it is generated, or a JSONL batch, several at once.
 *
 * Text takes the way prompt -> ids (tokenizer, or --ids) -> generate.h -> emit.h -> output.  See lmgen(1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/data/ids.h"
#include "libcommon/data/source.h"
#include "libcommon/text/emit.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "train/generate.h"
#include "train/open.h"

/* Tokens made by default; sequences at once, and read at once; tokens of a micro-batch. */
enum { NEW = 128, SLOTS = 8, BATCH = 256, ROWS = 512 };

static const char *model_dir, *tokenizer_path;
static int64_t most, seed;
static struct sample_options sampling = { .top_p = 1, .penalty = 1 };
static struct opt_list stops;
static bool ignore_eos, by_ids, chat;
static struct source_options source_options = { .key = "prompt" };

static const struct opt opts[] = {
    { 'm', "model", OPT_STR, &model_dir, "DIR", "model directory: config.json and safetensors", 0, 0 },
    { 't', "tokenizer", OPT_STR, &tokenizer_path, "DIR|FILE", "a tokenizer's file or directory (the model's)", 0, 0 },
    { 'n', "tokens", OPT_INT, &most, "N", "tokens to generate at most (128)", 1, INT32_MAX },
    { 0, "temp", OPT_FLOAT, &sampling.temperature, "T", "temperature; 0: always the most likely token (0)", 0, 0 },
    { 0, "top-k", OPT_INT, &sampling.top_k, "K", "with --temp: sample from the K most likely tokens; 0: off (0)", 0, 0 },
    { 0, "top-p", OPT_FLOAT, &sampling.top_p, "P", "with --temp: from the fewest tokens of probability P (1)", 0, 0 },
    { 0, "min-p", OPT_FLOAT, &sampling.min_p, "P", "with --temp: from those with P times the highest probability (0)", 0, 0 },
    { 0, "repetition-penalty", OPT_FLOAT, &sampling.penalty, "R", "make tokens that occurred less likely (1)", 0, 0 },
    { 0, "seed", OPT_INT, &seed, "S", "of the random numbers (0)", 0, 0 },
    { 0, "stop", OPT_LIST, &stops, "STR", "stop before this string; may be given again", 0, 0 },
    { 0, "ignore-eos", OPT_FLAG, &ignore_eos, NULL, "go on past the token that ends a text", 0, 0 },
    { 0, "chat", OPT_FLAG, &chat, NULL, "prompts are conversations, put into the model's chat template", 0, 0 },
    { 0, "ids", OPT_FLAG, &by_ids, NULL, "prompts and output are token ids", 0, 0 },
    { 'k', "key", OPT_STR, &source_options.key, "KEY", "take the prompt from this key of JSONL (prompt)", 0, 0 },
    { 0, "from", OPT_CHOICE, &source_options.from, "auto|jsonl|txt", "kind of standard input; auto: by content", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmgen",
    .purpose = "generate text with a language model",
    .operands = "[PROMPT]",
    .example = "lmgen -m qwen2/ --temp 0.8 --top-p 0.95 'Once upon a time'",
    .opts = opts,
    .common = OPT_JOBS | OPT_OUTPUT | OPT_QUIET,
};

/* One prompt on its way. */
struct prompt {
    struct job *job;
    char *text, *id; /* id NULL: none */
    size_t n, n_id;
    struct emit emit;
    bool finished;
};

struct job {
    struct model model;
    struct par *par;
    struct tokenizer *tok; /* NULL with --ids */
    struct tokenizer_encoder *encoder;
    struct chat *chat; /* NULL without --chat */
    struct template_run *rendering;
    struct tm now;
    struct infer session;
    bool open, batch; /* session; JSONL in and out */
    struct io_out out;
    struct io_progress progress;
    struct source *source;
    struct source_block block;
    struct generate_request request[BATCH];
    struct prompt prompt[BATCH];
    int n, written; /* of the batch */
    uint64_t count;
};

static void append(struct tokenizer_ids *out, const uint32_t *v, int n)
{
    for (int i = 0; i < n; i++) {
        mem_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v);
        out->v[out->n++] = v[i];
    }
}

/* What the sequence begins with: what the tokenizer puts in front, the prompt, or BOS alone. */
static int encode(struct job *j, const struct prompt *p, struct tokenizer_ids *out, struct err *err)
{
    int64_t vocab = j->model.config.vocab, bos = j->model.config.bos;

    if (j->tok) {
        const struct tokenizer_info *info = tokenizer_info(j->tok);

        if (!j->chat) /* a template writes what it wants in front */
            append(out, info->prefix, info->n_prefix);
        if (tokenizer_encode(j->encoder, p->text, p->n, TOKENIZER_SPECIAL_PARSE, out, err) < 0)
            return -1;
        if (bos < 0 && info->bos != TOKENIZER_NONE)
            bos = info->bos;
    } else if (ids_parse(p->text, p->n, (uint32_t)vocab, &out->v, &out->n, &out->cap, err) < 0) {
        return err_prefix(err, "prompt");
    }
    if (!out->n && (bos < 0 || bos >= vocab))
        return err_set(err, "prompt: it is empty, and the model has no BOS token to begin with");
    if (!out->n)
        append(out, &(uint32_t){ (uint32_t)bos }, 1);
    return 0;
}

static int prepare(struct job *j, struct prompt *p, struct generate_request *r, struct err *err)
{
    struct tokenizer_ids ids = { 0 };
    int64_t room;
    int rc = encode(j, p, &ids, err);

    *r = (struct generate_request){ .n = (int64_t)ids.n, .sequence = j->count, .ctx = p };
    room = infer_positions(&j->model) - r->n + 1; /* the last token is not fed */
    r->most = most ? most : NEW < room ? NEW : room;
    if (rc == 0 && (room < 1 || r->most > room))
        rc = err_set(err, "prompt: %" PRId64 " tokens and %" PRId64 " more: the model's positions end at %" PRId64
                     " (max_position_embeddings)", r->n, most, infer_positions(&j->model));
    if (rc == 0) {
        r->ids = xmalloc((size_t)(r->n + r->most) * sizeof *r->ids);
        for (int64_t i = 0; i < r->n; i++)
            r->ids[i] = (int32_t)ids.v[i];
        if (infer_check(&j->model, r->ids, r->n, err) < 0)
            rc = err_prefix(err, "prompt");
    }
    free(ids.v);
    return rc;
}

static int put_json(struct job *j, const struct prompt *p, const struct generate_request *r, struct err *err)
{
    static const char *const ends[] = { "length", "eos", "stop" };
    struct io_out *o = &j->out;

    if (io_put(o, "{\"prompt\":", 10, err) < 0 || json_put_string(o, p->text, p->n, err) < 0 ||
        io_put(o, ",\"text\":", 8, err) < 0 || json_put_string(o, p->emit.out, p->emit.n_out, err) < 0 ||
        io_printf(o, err, ",\"finish_reason\":\"%s\"", ends[r->end]) < 0)
        return -1;
    if (p->id && (io_put(o, ",\"id\":", 6, err) < 0 || json_put_string(o, p->id, p->n_id, err) < 0))
        return -1;
    if (io_put(o, "}\n", 2, err) < 0)
        return -1;
    return io_flush(o, err);
}

/* Text that is complete goes out at once. */
static int put_text(struct job *j, struct emit *e, struct err *err)
{
    if (!e->n_out)
        return 0;
    if (io_put(&j->out, e->out, e->n_out, err) < 0)
        return -1;
    e->n_out = 0;
    return io_flush(&j->out, err);
}

static bool on_token(struct generate_request *r, int32_t id)
{
    struct prompt *p = r->ctx;
    struct err err;
    char number[16];

    if (p->job->tok) {
        bool special = tokenizer_is_special(p->job->tok, (uint32_t)id);
        size_t n = 0;
        const char *s = special ? NULL : tokenizer_bytes(p->job->tok, (uint32_t)id, &n);

        emit_add(&p->emit, s, s ? n : 0);
    } else {
        emit_add(&p->emit, number, (size_t)snprintf(number, sizeof number, "%s%d", r->made > 1 ? " " : "", (int)id));
    }
    if (!p->job->batch && put_text(p->job, &p->emit, &err) < 0)
        die("%s", err.msg);
    return p->emit.stopped;
}

/* Finished sequences are written in the order of the input. */
static int on_done(struct generate_request *r, struct err *err)
{
    struct prompt *p = r->ctx;
    struct job *j = p->job;

    emit_end(&p->emit);
    p->finished = true;
    if (!j->batch)
        return put_text(j, &p->emit, err);
    while (j->written < j->n && j->prompt[j->written].finished) {
        if (put_json(j, &j->prompt[j->written], &j->request[j->written], err) < 0)
            return -1;
        j->written++;
    }
    io_progress(&j->progress, j->count - (uint64_t)(j->n - j->written), j->source ? source_bytes(j->source) : 0);
    return 0;
}

static int run_batch(struct job *j, struct err *err)
{
    struct infer_options o = { .slots = j->batch ? SLOTS : 1, .capacity = 1, .cached = true };
    struct generate g = { .session = &j->session, .sample = sampling, .ignore_eos = ignore_eos,
                          .token = on_token, .done = on_done };
    int rc;

    for (int i = 0; i < j->n; i++)
        if (j->request[i].n + j->request[i].most - 1 > o.capacity)
            o.capacity = j->request[i].n + j->request[i].most - 1;
    if (!j->open || o.capacity > j->session.o.capacity) {
        o.rows = o.slots * o.capacity < ROWS ? o.slots * o.capacity : ROWS;
        if (j->open)
            infer_release(&j->session);
        j->open = infer_init(&j->session, &j->model, j->par, &o, err) == 0;
        if (!j->open)
            return -1;
    }
    j->written = 0;
    rc = generate_run(&g, j->request, j->n, err);
    for (int i = 0; i < j->n; i++) {
        free(j->request[i].ids);
        free(j->prompt[i].text);
        free(j->prompt[i].id);
        emit_release(&j->prompt[i].emit);
    }
    j->n = 0;
    return rc;
}

/* What is said, plain or a JSON object, becomes the text that the template makes of it. */
static int converse(struct job *j, char **text, size_t *n, bool plain, struct err *err)
{
    struct template_result result;

    if (chat_text(j->chat, j->rendering, *text, *n, plain, &j->now, &result, err) < 0)
        return -1;
    *text = xrealloc(*text, result.n + 1);
    memcpy(*text, result.text, result.n);
    (*text)[*n = result.n] = 0;
    return 0;
}

/* Add a prompt (a conversation in JSON, if it is a record) to the batch; `text` is taken over. */
static int add_prompt(struct job *j, char *text, size_t n, bool record, char *id, size_t n_id, struct err *err)
{
    struct prompt *p = &j->prompt[j->n];

    if (j->chat && converse(j, &text, &n, !record, err) < 0)
        return -1;
    *p = (struct prompt){ .job = j, .text = text, .n = n, .id = id, .n_id = n_id,
                          .emit = { .stop = stops.v, .n_stop = stops.n } };
    if (prepare(j, p, &j->request[j->n], err) < 0)
        return -1;
    j->n++;
    j->count++;
    return j->n == BATCH ? run_batch(j, err) : 0;
}

static int add_document(struct job *j, const struct source_doc *d, struct err *err)
{
    bool record = d->json && !d->text.s;
    size_t size = record ? d->line_len : d->text.n;
    char *text = xmalloc(size + 1), *id = d->id.s && d->json ? xmalloc(d->id.n + 1) : NULL;
    size_t n = record ? size : source_text(d, text), n_id = id ? json_unescape(&d->id, id) : 0;

    if (record)
        memcpy(text, d->line, size);
    j->batch = d->json;
    if (!d->json && j->count)
        return err_set(err, "%s: more than one prompt", j->block.name);
    if (!d->json && n && text[n - 1] == '\n')
        n--;
    if (add_prompt(j, text, n, record, id, n_id, err) == 0)
        return 0;
    return d->json ? err_prefix(err, "%s:%" PRIu64, j->block.name, j->block.at_line - 1) : -1;
}

static int run_input(struct job *j, struct err *err)
{
    struct source_doc d;
    int rc;

    j->source = source_new(&source_options, NULL, 0);
    while ((rc = source_read(j->source, &j->block, err)) == 1) {
        while ((rc = source_next(&j->block, &d, err)) == 1)
            if (add_document(j, &d, err) < 0)
                return -1;
        if (rc < 0)
            return -1;
    }
    if (rc < 0)
        return -1;
    if (!j->count && source_options.from != SOURCE_JSONL && add_prompt(j, xstrdup(""), 0, false, NULL, 0, err) < 0)
        return -1;
    return run_batch(j, err);
}

static void check_options(void)
{
    if (!model_dir)
        opt_die(&cmd, "-m DIR is needed");
    if (!(sampling.temperature >= 0))
        opt_die(&cmd, "--temp: %g is below 0", sampling.temperature);
    if (!(sampling.top_p >= 0 && sampling.top_p <= 1))
        opt_die(&cmd, "--top-p: %g is not within 0..1", sampling.top_p);
    if (!(sampling.min_p >= 0 && sampling.min_p <= 1))
        opt_die(&cmd, "--min-p: %g is not within 0..1", sampling.min_p);
    if (!(sampling.temperature > 0) && (sampling.top_k || sampling.top_p < 1 || sampling.min_p > 0))
        opt_die(&cmd, "--top-k, --top-p and --min-p are for sampling: give a --temp above 0");
    if (!(sampling.penalty > 0))
        opt_die(&cmd, "--repetition-penalty: %g is not above 0", sampling.penalty);
    for (int i = 0; i < stops.n; i++)
        if (!*stops.v[i])
            opt_die(&cmd, "--stop: the string is empty");
    if (by_ids && stops.n)
        opt_die(&cmd, "--stop goes with text, not with --ids");
    if (by_ids && chat)
        opt_die(&cmd, "--chat goes with text, not with --ids");
    if (by_ids && tokenizer_path)
        opt_die(&cmd, "--ids needs no tokenizer");
    sampling.seed = (uint64_t)seed;
    source_options.records = chat;
}

/* The operands, with blanks between: several only where they are ids. */
static char *join(char **v, int n)
{
    size_t size = 1;
    char *s;

    for (int i = 0; i < n; i++)
        size += strlen(v[i]) + 1;
    s = xcalloc(1, size);
    for (int i = 0, at = 0; i < n; i++)
        at += snprintf(s + at, size - (size_t)at, "%s%s", i ? " " : "", v[i]);
    return s;
}

int main(int argc, char **argv)
{
    static struct job j;
    struct opt_common common;
    struct err err, late;
    int i = opt_parse(&cmd, &common, argc, argv), rc;

    check_options();
    if (argc - i > 1 && !by_ids)
        opt_die(&cmd, "one operand too many: %s", argv[argc - 1]);
    if (open_model(&j.model, model_dir, &err) < 0)
        die("%s", err.msg);
    if (!by_ids && !(j.tok = open_tokenizer(tokenizer_path, model_dir, &err)))
        die("%s", err.msg);
    j.encoder = j.tok ? tokenizer_encoder_new(j.tok) : NULL;
    if (chat && !(j.chat = open_chat(tokenizer_path, model_dir, &err)))
        die("%s", err.msg);
    j.rendering = template_run_new();
    j.now = *localtime(&(time_t){ time(NULL) });
    if (io_create(&j.out, common.output, false, &err) < 0)
        die("%s", err.msg);
    j.par = par_new((int)common.jobs);
    io_progress_start(&j.progress, "prompts", 0, common.quiet || i < argc);
    if (i < argc) {
        char *s = join(argv + i, argc - i);

        rc = add_prompt(&j, s, strlen(s), false, NULL, 0, &err);
    } else {
        rc = run_input(&j, &err);
    }
    /* of a batch, what stands before a bad line is written */
    if (j.n && (rc == 0 || j.batch) && run_batch(&j, rc < 0 ? &late : &err) < 0)
        rc = -1;
    io_progress_end(&j.progress);
    if (rc < 0)
        die("%s", err.msg);
    if (!j.batch && !j.out.path && isatty(STDOUT_FILENO) && io_put(&j.out, "\n", 1, &err) < 0)
        die("%s", err.msg);
    if (io_commit(&j.out, &err) < 0)
        die("%s", err.msg);
    if (j.open)
        infer_release(&j.session);
    source_block_free(&j.block);
    source_free(j.source);
    chat_free(j.chat);
    template_run_free(j.rendering);
    tokenizer_encoder_free(j.encoder);
    tokenizer_free(j.tok);
    par_free(j.par);
    model_close(&j.model);
    return 0;
}
