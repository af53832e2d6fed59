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
#include "libcommon/base/par.h"
#include "libcommon/data/source.h"

#define REPORTED 20 /* bad documents named, with --on-error=skip; the others are only counted */

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
    struct source_block in;
    char *out; /* what does not stand in the block as it is written */
    size_t out_n, out_cap;
    struct span *spans;
    size_t n_spans, spans_cap;
    uint64_t docs, bad;
    char *messages; /* of the bad ones, NUL-ended each */
    size_t messages_n, messages_cap;
    bool failed;
    struct err err;
    uint64_t bytes; /* of the input when it was read */
};

struct run {
    struct source *source;
    struct io_out out;
    struct io_progress progress;
    uint64_t docs, bad;
};

static int read_task(void *ctx, void *block, struct err *err)
{
    struct run *r = ctx;
    struct task *t = block;
    int rc = source_read(r->source, &t->in, err);

    t->bytes = source_bytes(r->source);
    return rc;
}

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

/* A string in quotes; `json`: it is in JSON's escapes already.  o has room for 6 bytes a byte. */
static char *put_string(char *o, const struct json_raw *r, bool json)
{
    static const char hex[] = "0123456789abcdef", from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *s = r->s, *end = s + r->n;

    *o++ = '"';
    while (s < end) {
        size_t plain = json ? r->n : json_scan(s, (size_t)(end - s));
        const char *found;

        o = put(o, s, plain);
        s += plain;
        if (s == end)
            break;
        found = *s ? strchr(from, *s) : NULL;
        *o++ = '\\';
        if (found)
            *o++ = to[found - from];
        else
            o = put(put(o, "u00", 3), (char[]){ hex[*s >> 4], hex[*s & 15] }, 2);
        s++;
    }
    *o++ = '"';
    return o;
}

/* Bytes that put_string() writes at most. */
static size_t quoted(const struct json_raw *r, bool json)
{
    size_t n = r->n + 2;

    for (const char *s = r->s, *end = s + r->n; !json && s < end; s++) {
        s += json_scan(s, (size_t)(end - s));
        n += 5;
    }
    return n;
}

/* Does the line stand in the block exactly as it would be written?  {"text":"T"} or {"text":"T","id":"I"} */
static bool verbatim(const struct task *t, const struct source_doc *d)
{
    const char *after = d->text.s + d->text.n, *end = d->line + d->line_len;

    if (!d->json || d->line < t->in.data || d->line >= t->in.data + t->in.size ||
        d->line + d->line_len == t->in.data + t->in.size || d->text.s != d->line + 9 ||
        memcmp(d->line, "{\"text\":\"", 9) != 0)
        return false;
    if (d->id.s) {
        if (d->id.s != after + 8 || memcmp(after, "\",\"id\":\"", 8) != 0)
            return false;
        after = d->id.s + d->id.n;
    }
    return end - after == 2 && memcmp(after, "\"}", 2) == 0;
}

static void add_doc(struct task *t, const struct source_doc *d)
{
    size_t room;
    char *o;

    t->docs++;
    if (verbatim(t, d)) {
        add_span(t, false, (size_t)(d->line - t->in.data), d->line_len + 1);
        return;
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
}

static void add_message(struct task *t, const struct err *e)
{
    size_t n = strlen(e->msg) + 1;

    if (t->bad++ >= REPORTED)
        return;
    mem_grow(&t->messages, &t->messages_cap, t->messages_n + n, 1);
    memcpy(t->messages + t->messages_n, e->msg, n);
    t->messages_n += n;
}

static int work_task(void *ctx, void *block, int thread, struct err *err)
{
    struct task *t = block;
    struct source_doc d;
    int rc;

    (void)ctx;
    (void)thread;
    (void)err;
    if (t->out_cap > (size_t)64 << 20) { /* of one large document */
        free(t->out);
        t->out = NULL;
        t->out_cap = 0;
    }
    t->out_n = t->n_spans = t->messages_n = 0;
    t->docs = t->bad = 0;
    t->failed = false;
    while (!t->failed && (rc = source_next(&t->in, &d, &t->err)) != 0) {
        if (rc > 0)
            add_doc(t, &d);
        else if (common.on_error == OPT_SKIP)
            add_message(t, &t->err);
        else
            t->failed = true;
    }
    return 0;
}

static void report(struct run *r, const struct task *t)
{
    const char *m = t->messages;

    for (uint64_t i = 0; i < t->bad && r->bad + i < REPORTED && !common.quiet; i++, m += strlen(m) + 1) {
        io_progress_end(&r->progress);
        err_warn("%s: skipped", m);
    }
    r->bad += t->bad;
}

/* Writes what stands before an error, then fails. */
static int write_task(void *ctx, void *block, struct err *err)
{
    struct run *r = ctx;
    struct task *t = block;

    for (size_t i = 0; i < t->n_spans; i++) {
        const struct span *s = &t->spans[i];

        if (io_put(&r->out, (s->own ? t->out : t->in.data) + s->at, s->n, err) < 0)
            return -1;
    }
    report(r, t);
    r->docs += t->docs;
    io_progress(&r->progress, r->docs, t->bytes);
    if (t->failed)
        *err = t->err;
    return t->failed ? -1 : 0;
}

static int cat(struct run *r, struct err *err)
{
    struct par_ordered p = { .read = read_task, .work = work_task, .write = write_task, .ctx = r };
    struct task *tasks;
    int rc;

    p.n_blocks = common.jobs > 1 ? 2 * (int)common.jobs : 1;
    tasks = xcalloc((size_t)p.n_blocks, sizeof *tasks);
    p.blocks = xcalloc((size_t)p.n_blocks, sizeof *p.blocks);
    for (int i = 0; i < p.n_blocks; i++)
        p.blocks[i] = &tasks[i];
    rc = par_ordered(&p, (int)common.jobs, err);
    for (int i = 0; i < p.n_blocks; i++) {
        source_block_free(&tasks[i].in);
        free(tasks[i].out);
        free(tasks[i].spans);
        free(tasks[i].messages);
    }
    free(tasks);
    free(p.blocks);
    return rc;
}

int main(int argc, char **argv)
{
    struct run r = { 0 };
    struct err err, flush;
    int i = opt_parse(&cmd, &common, argc, argv), rc;

    options.replace = common.on_error == OPT_REPLACE;
    options.max_doc = (uint64_t)max_doc;
    for (int k = i; k < argc; k++)
        if (io_same_file(argv[k], common.output ? common.output : "/dev/stdout"))
            die("%s: is also the output", argv[k]);
    if (io_create(&r.out, common.output, false, &err) < 0)
        die("%s", err.msg);
    r.source = source_new(&options, argv + i, argc - i);
    io_progress_start(&r.progress, "docs", source_total(r.source), common.quiet);
    rc = cat(&r, &err);
    io_progress_end(&r.progress);
    source_free(r.source);
    if (rc < 0) { /* what stands before the error goes out, where it can */
        if (!common.output)
            io_flush(&r.out, &flush);
        die("%s", err.msg);
    }
    if (io_commit(&r.out, &err) < 0)
        die("%s", err.msg);
    if (r.bad && !common.quiet)
        err_warn("%llu bad documents skipped, %llu written", (unsigned long long)r.bad, (unsigned long long)r.docs);
    return 0;
}
