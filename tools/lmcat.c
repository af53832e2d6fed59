/* lmcat - documents out of files and archives, as JSONL.
 *
 * One line a document: {"text":"..."}, with "id" behind it where there is one.  Strings of JSONL input keep
 * their spelling; a line that already is what would be written passes through.  See lmcat(1).
 */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/data/docs.h"

static struct opt_common common;
static struct source_options options;
static int64_t max_doc = (int64_t)SOURCE_MAX_DOC;

static const struct opt opts[] = {
    { 'k', "key", OPT_STR, &options.key, "KEY", "take the text from this key of JSONL (text)", 0, 0 },
    { 0, "lines", OPT_FLAG, &options.lines, NULL, "a text file has one document a line", 0, 0 },
    { 0, "from", OPT_CHOICE, &options.from, "auto|jsonl|txt", "what the files hold; auto: by content", 0, 0 },
    { 0, "max-doc", OPT_SIZE, &max_doc, "SIZE", "a larger document is an error (256M)", 1, (int64_t)1 << 40 },
    { 0, "long", OPT_FLAG, &options.long_window, NULL, "allow zstd windows above 128 MiB", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmcat",
    .purpose = "documents out of files and archives, as JSONL",
    .operands = "[FILE...]",
    .example = "printf 'one\\ntwo\\n' | lmcat --lines",
    .opts = opts,
    .common = OPT_JOBS | OPT_OUTPUT | OPT_QUIET | OPT_ONERROR,
};

/* A run of output: in the block itself, or in the task's own buffer. */
struct span {
    bool own;
    size_t at, n;
};

struct task {
    char *out; /* what does not stand in the block as it is written */
    size_t out_n, out_cap;
    struct span *spans;
    size_t n_spans, spans_cap;
};

struct run {
    struct io_out out;
    struct io_progress progress;
};

static void add_span(struct task *t, bool own, size_t at, size_t n)
{
    struct span *last = t->n_spans ? &t->spans[t->n_spans - 1] : NULL;

    if (last && last->own == own && last->at + last->n == at) {
        last->n += n;
        return;
    }
    mem_grow(&t->spans, &t->spans_cap, t->n_spans + 1, sizeof *t->spans);
    t->spans[t->n_spans++] = (struct span){ own, at, n };
}

static char *put(char *o, const void *s, size_t n)
{
    return (char *)memcpy(o, s, n) + n;
}

/* A string in quotes; `json`: it is in JSON's escapes already. */
static char *put_string(char *o, const struct json_raw *r, bool json)
{
    if (!json)
        return o + json_quote(r->s, r->n, o);
    return put(put(put(o, "\"", 1), r->s, r->n), "\"", 1);
}

/* Bytes that put_string() writes. */
static size_t quoted(const struct json_raw *r, bool json)
{
    return json ? r->n + 2 : json_quote(r->s, r->n, NULL);
}

/* Does the line stand in the block exactly as it would be written?  {"text":"T"} or {"text":"T","id":"I"} */
static bool verbatim(const struct source_block *b, const struct source_doc *d)
{
    const char *after = d->text.s + d->text.n, *end = d->line + d->line_len;

    if (!d->json || d->line < b->data || d->line >= b->data + b->size ||
        d->line + d->line_len == b->data + b->size || d->text.s != d->line + 9 ||
        memcmp(d->line, "{\"text\":\"", 9) != 0)
        return false;
    if (d->id.s) {
        if (d->id.s != after + 8 || memcmp(after, "\",\"id\":\"", 8) != 0)
            return false;
        after = d->id.s + d->id.n;
    }
    return end - after == 2 && memcmp(after, "\"}", 2) == 0;
}

static int take(void *ctx, void *work, const struct source_block *b, const struct source_doc *d, int thread, struct err *err)
{
    struct task *t = work;
    size_t room;
    char *o;

    (void)ctx;
    (void)thread;
    (void)err;
    if (verbatim(b, d)) {
        add_span(t, false, (size_t)(d->line - b->data), d->line_len + 1);
        return 0;
    }
    room = quoted(&d->text, d->json) + (d->id.s ? quoted(&d->id, d->json) : 0) + 32;
    mem_grow(&t->out, &t->out_cap, t->out_n + room, 1);
    o = put(t->out + t->out_n, "{\"text\":", 8);
    o = put_string(o, &d->text, d->json);
    if (d->id.s)
        o = put_string(put(o, ",\"id\":", 6), &d->id, d->json);
    o = put(o, "}\n", 2);
    room = (size_t)(o - t->out) - t->out_n;
    add_span(t, true, t->out_n, room);
    t->out_n += room;
    return 0;
}

static void begin(void *ctx, void *work)
{
    struct task *t = work;

    (void)ctx;
    if (t->out_cap > (size_t)64 << 20) { /* of one large document */
        free(t->out);
        t->out = NULL;
        t->out_cap = 0;
    }
    t->out_n = t->n_spans = 0;
}

static int write_task(void *ctx, void *work, const struct source_block *b, struct err *err)
{
    struct run *r = ctx;
    const struct task *t = work;

    for (size_t i = 0; i < t->n_spans; i++) {
        const struct span *s = &t->spans[i];

        if (io_put(&r->out, (s->own ? t->out : b->data) + s->at, s->n, err) < 0)
            return -1;
    }
    return 0;
}

static void bad(void *ctx, const char *message)
{
    (void)ctx;
    if (!common.quiet)
        err_warn("%s: skipped", message);
}

static void release(void *work)
{
    struct task *t = work;

    free(t->out);
    free(t->spans);
}

int main(int argc, char **argv)
{
    struct run r = { 0 };
    struct docs d = {
        .ctx = &r,
        .work_size = sizeof(struct task),
        .begin = begin,
        .take = take,
        .write = write_task,
        .bad = bad,
        .release = release,
        .progress = &r.progress,
    };
    struct err err, flush;
    int i = opt_parse(&cmd, &common, argc, argv), rc;

    options.replace = common.on_error == OPT_REPLACE;
    options.max_doc = (uint64_t)max_doc;
    for (int k = i; k < argc; k++)
        if (io_same_file(argv[k], common.output ? common.output : "/dev/stdout"))
            die("%s: is also the output", argv[k]);
    if (io_create(&r.out, common.output, false, &err) < 0)
        die("%s", err.msg);
    d.source = source_new(&options, argv + i, argc - i);
    d.jobs = (int)common.jobs;
    d.skip = common.on_error == OPT_SKIP;
    io_progress_start(&r.progress, "docs", source_total(d.source), common.quiet);
    rc = docs_run(&d, &err);
    io_progress_end(&r.progress);
    source_free(d.source);
    if (rc < 0) { /* what stands before the error goes out, where it can */
        if (!common.output)
            io_flush(&r.out, &flush);
        die("%s", err.msg);
    }
    if (io_commit(&r.out, &err) < 0)
        die("%s", err.msg);
    if (d.left_out && !common.quiet)
        err_warn("%llu bad documents skipped, %llu written", (unsigned long long)d.left_out, (unsigned long long)d.done);
    return 0;
}
