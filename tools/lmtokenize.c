/* lmtokenize - text to tokens, and back.
 *
 * Documents come out of libcommon/data/docs.h block by block, are encoded on many threads and go in order into
 * a token stream or lines of ids; -d turns a stream or lines of ids into text.  See lmtokenize(1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/data/docs.h"
#include "libcommon/data/ids.h"
#include "libcommon/data/stream.h"
#include "libcommon/data/tokenize.h"

#define SPARE ((size_t)64 << 20) /* a buffer above it served one large document */

enum form { JSONL, TXT, IDS, STREAM };
static const char *const forms[] = { "jsonl", "txt", "ids" };

static const char *tokenizer_path, *pattern, *key, *eod_name;
static int from = -1, to = -1, special, empty;
static bool bos, eos, decode;
static int64_t vocab_size;
static struct opt_common common;

static const struct opt opts[] = {
    { 't', "tokenizer", OPT_STR, &tokenizer_path, "DIR|FILE", "a model's directory, or its tokenizer's file", 0, 0 },
    { 0, "pattern", OPT_STR, &pattern, "NAME|REGEX", "how text is cut, for files that do not tell: ranks of tiktoken ...", 0, 0 },
    { 0, "from", OPT_CHOICE, &from, "jsonl|txt|ids|stream", "what to read (jsonl; with -d: stream)", 0, 0 },
    { 0, "to", OPT_CHOICE, &to, "jsonl|txt|ids|stream", "what to write (stream; with -d: jsonl)", 0, 0 },
    { 'k', "key", OPT_STR, &key, "KEY", "take the text from this key of JSONL (text)", 0, 0 },
    { 0, "special", OPT_CHOICE, &special, "none|parse|error", "what special strings in the text are", 0, 0 },
    { 0, "bos", OPT_FLAG, &bos, NULL, "begin each document as the tokenizer says", 0, 0 },
    { 0, "eos", OPT_FLAG, &eos, NULL, "end each document as the tokenizer says", 0, 0 },
    { 0, "eod", OPT_MAYBE, &eod_name, "TOKEN|ID", "end each document that has tokens with this one (eos_token)", 0, 0 },
    { 0, "empty", OPT_CHOICE, &empty, "boundary|drop|eod", "what a document without tokens becomes", 0, 0 },
    { 'd', "decode", OPT_FLAG, &decode, NULL, "tokens to text", 0, 0 },
    { 0, "vocab-size", OPT_INT, &vocab_size, "N", "--from ids without -t: ids are below N", 1, (int64_t)1 << 31 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmtokenize",
    .purpose = "text to tokens, and back",
    .operands = "[FILE...]",
    .example = "echo 'Hello world' | lmtokenize -t gpt2/ --from txt --to ids",
    .opts = opts,
    .common = OPT_JOBS | OPT_OUTPUT | OPT_QUIET | OPT_ONERROR,
};

/* What a block of documents becomes. */
struct work {
    char *out; /* documents as they are written: tokens of the stream's width, or text */
    struct doc {
        size_t n;  /* bytes in out */
        bool none; /* without a sequence */
    } *docs;
    size_t out_n, out_cap, n_docs, docs_cap;
};

struct run {
    struct tokenizer *tokenizer;       /* NULL with --vocab-size */
    const struct tokenizer_info *info; /* of it, or all nothing */
    struct tokenize_options options;
    struct tokenize *thread;
    struct stream_header header;
    size_t width; /* of a token in the stream */
    struct io_out out;
    struct stream_writer *w;
    struct io_progress progress;
};

static char *room(struct work *w, size_t n)
{
    mem_grow(&w->out, &w->out_cap, w->out_n + n, 1);
    return w->out + w->out_n;
}

static void put_tokens(struct work *w, const uint32_t *v, size_t n, size_t width)
{
    char *o = room(w, n * (to == IDS ? IDS_WIDEST : width) + 1);

    for (size_t i = 0; i < n && to == STREAM && width == 2; i++)
        memcpy(o + 2 * i, &(uint16_t){ (uint16_t)v[i] }, 2);
    if (to == STREAM && width == 4 && n)
        memcpy(o, v, 4 * n);
    w->out_n += to == STREAM ? n * width : ids_line(v, n, o);
}

static void put_text(struct work *w, const char *s, size_t n)
{
    size_t len = to == JSONL ? json_quote(s, n, NULL) : n;
    char *o = room(w, len + 10);

    if (to == JSONL) {
        o = (char *)memcpy(o, "{\"text\":", 8) + 8;
        o += json_quote(s, n, o);
        *o++ = '}';
    } else {
        o = (char *)memcpy(o, s, n) + n;
    }
    *o++ = '\n';
    w->out_n = (size_t)(o - w->out);
}

static int take(void *ctx, void *work, const struct source_block *b, const struct source_doc *d, int thread, struct err *err)
{
    struct run *r = ctx;
    struct work *w = work;
    struct tokenize *t = &r->thread[thread];
    size_t before = w->out_n;
    int rc;

    (void)b;
    if (decode) {
        if (tokenize_ids_text(t, d->text.s, d->text.n, err) < 0)
            return -1;
        put_text(w, t->text, t->text_n);
        return 0;
    }
    rc = tokenize_doc(t, d, err);
    if (rc <= 0)
        return rc;
    put_tokens(w, t->ids.v, t->ids.n, r->width);
    mem_grow(&w->docs, &w->docs_cap, w->n_docs + 1, sizeof *w->docs);
    w->docs[w->n_docs++] = (struct doc){ w->out_n - before, t->none };
    return 0;
}

/* Forget what was made of a block. */
static void begin(void *ctx, void *work)
{
    struct work *w = work;

    (void)ctx;
    if (w->out_cap > SPARE) {
        free(w->out);
        w->out = NULL;
        w->out_cap = 0;
    }
    w->out_n = w->n_docs = 0;
}

static int write_work(void *ctx, void *work, const struct source_block *b, struct err *err)
{
    struct run *r = ctx;
    const struct work *w = work;
    const char *at = w->out;

    (void)b;
    if (to != STREAM)
        return io_put(&r->out, w->out, w->out_n, err);
    for (size_t i = 0; i < w->n_docs; at += w->docs[i++].n) {
        uint32_t n = (uint32_t)(w->docs[i].n / r->width);
        struct stream_record rec = { .n = n };

        if (r->header.flags & STREAM_SEGMENTS) {
            rec.seg = &n;
            rec.n_seg = !w->docs[i].none;
        }
        if (stream_write_native(r->w, at, &rec, err) < 0)
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
    struct work *w = work;

    free(w->out);
    free(w->docs);
}

static int run_docs(struct run *r, struct docs *d, char **paths, int n_paths, struct err *err)
{
    struct source_options options = { .key = key, .from = from == JSONL ? SOURCE_JSONL : SOURCE_TXT, .lines = true,
                                      .replace = common.on_error == OPT_REPLACE };
    int rc;

    d->source = source_new(&options, paths, n_paths);
    d->jobs = (int)common.jobs;
    r->thread = xcalloc((size_t)d->jobs, sizeof *r->thread);
    for (int i = 0; i < d->jobs; i++)
        tokenize_init(&r->thread[i], &r->options);
    io_progress_start(&r->progress, "docs", source_total(d->source), common.quiet);
    rc = docs_run(d, err);
    for (int i = 0; i < d->jobs; i++)
        tokenize_release(&r->thread[i]);
    free(r->thread);
    source_free(d->source);
    return rc;
}

/* A record of a stream as text or ids; -1: a bad one, which is not left out. */
static int decode_record(struct run *r, struct docs *d, const char *path, const struct stream_record *rec,
                         struct tokenize *t, struct work *w, struct err *err)
{
    w->out_n = 0;
    if (to == IDS || tokenize_text(t, (const uint32_t *)rec->tokens, rec->n, err) == 0) {
        d->done++;
        if (to == IDS)
            put_tokens(w, (const uint32_t *)rec->tokens, rec->n, 0);
        else
            put_text(w, t->text, t->text_n);
        return io_put(&r->out, w->out, w->out_n, err);
    }
    err_prefix(err, "%s: document %llu", io_name(path), (unsigned long long)(d->done + d->left_out));
    if (!d->skip)
        return -1;
    if (d->left_out++ < DOCS_REPORTED)
        bad(NULL, err->msg);
    return 0;
}

static int run_stream(struct run *r, struct docs *d, const char *path, struct err *err)
{
    struct stream_reader *reader = stream_open(path, false, err);
    struct stream_record rec;
    struct work w = { 0 };
    struct tokenize t;
    int rc = -1;

    if (!reader)
        return -1;
    tokenize_init(&t, &r->options);
    io_progress_start(&r->progress, "docs", 0, common.quiet);
    if (!r->tokenizer || tokenize_check(stream_header(reader), io_name(path), r->info, tokenizer_path, err) == 0)
        while ((rc = stream_read(reader, &rec, err)) == 1 && (rc = decode_record(r, d, path, &rec, &t, &w, err)) == 0)
            io_progress(&r->progress, d->done, stream_totals(reader)->bytes);
    stream_close(reader);
    tokenize_release(&t);
    free(w.out);
    return rc;
}

/* How the header tells of the options that change the bytes. */
static void add_pg(struct stream_header *h, uint32_t eod)
{
    static const char *const empties[] = { "boundary", "drop", "eod" };
    static const char *const specials[] = { "none", "parse", "error" }, *const errors[] = { "fail", "skip", "replace" };
    const char *text_key = key ? key : "text";
    size_t n = strlen(text_key);
    char *quoted = xcalloc(6 * n + 3, 1), *pg = xmalloc(6 * n + 400), id[16] = "null";

    json_quote(text_key, n, quoted);
    if (eod != STREAM_NONE)
        snprintf(id, sizeof id, "%u", eod);
    snprintf(pg, 6 * n + 400,
             "{\"tool\":\"lmtokenize\",\"version\":\"" LMPIPE_VERSION
             "\",\"options\":{\"bos\":%s,\"empty\":\"%s\",\"eod\":%s,\"eos\":%s,\"from\":\"%s\",\"key\":%s,"
             "\"on-error\":\"%s\",\"special\":\"%s\"}}",
             bos ? "true" : "false", empties[empty], id, eos ? "true" : "false", forms[from], quoted,
             errors[common.on_error], specials[special]);
    stream_add_pg(h, pg);
    free(quoted);
    free(pg);
}

/* The token of --eod. */
static uint32_t find_eod(const struct run *r)
{
    size_t n = strlen(eod_name);
    struct tokenizer_ids ids = { 0 };
    uint32_t id = STREAM_NONE;
    struct err err;

    if (!n && (id = r->info->eos) == STREAM_NONE)
        opt_die(&cmd, "%s: no eos_token of a tokenizer_config.json that is in the vocabulary: which token ends a document?  "
                      "--eod=TOKEN|ID", tokenizer_path ? tokenizer_path : "--eod");
    if (n && strspn(eod_name, "0123456789") < n)
        id = r->tokenizer ? tokenizer_id(r->tokenizer, eod_name, n) : id;
    else if (n && ids_parse(eod_name, n, r->options.limit, &ids.v, &ids.n, &ids.cap, &err) == 0)
        id = ids.v[0];
    free(ids.v);
    if (id == STREAM_NONE)
        opt_die(&cmd, "--eod: '%s' is not in the vocabulary", eod_name);
    return id;
}

static void check_options(void)
{
    bool listing; /* ids of a stream, with -d or without */

    from = from >= 0 ? from : decode ? STREAM : JSONL;
    to = to >= 0 ? to : decode ? JSONL : STREAM;
    listing = from == STREAM && to == IDS;
    if (decode && !listing && (from < IDS || to > TXT))
        opt_die(&cmd, "-d reads a stream or ids and writes jsonl or txt, or the ids of a stream");
    if (!decode && to < IDS)
        opt_die(&cmd, "--to %s: text is what -d writes", forms[to]);
    if (!decode && from == STREAM && to != IDS)
        opt_die(&cmd, "--from stream: to text it is turned by -d, to ids by --to ids");
    if ((decode || listing) && (bos || eos || eod_name || empty || key))
        opt_die(&cmd, "--bos, --eos, --eod, --empty and -k do not go with -d%s", decode ? "" : ", nor with --from stream");
    if (empty == TOKENIZE_EOD && !eod_name)
        opt_die(&cmd, "--empty eod needs --eod");
    if (pattern && !tokenizer_path)
        opt_die(&cmd, "--pattern goes with -t");
    if (vocab_size && (decode || from != IDS || tokenizer_path))
        opt_die(&cmd, "--vocab-size goes with --from ids, in the place of -t");
    if (!vocab_size && !tokenizer_path && !listing)
        opt_die(&cmd, "-t DIR|FILE is needed%s", from == IDS && !decode ? ", or --vocab-size N" : "");
    if (key && from != JSONL)
        opt_die(&cmd, "-k goes with --from jsonl");
}

static void open_tokenizer(struct run *r)
{
    static const struct tokenizer_info nothing = { .bos = STREAM_NONE, .eos = STREAM_NONE, .pad = STREAM_NONE };
    struct err err;

    r->info = &nothing;
    r->options = (struct tokenize_options){
        .ids = from == IDS,
        .limit = (uint32_t)vocab_size,
        .empty = empty,
        .special = special,
        .replace = common.on_error == OPT_REPLACE,
    };
    if (tokenizer_path) {
        r->tokenizer = tokenizer_open_pattern(tokenizer_path, pattern, &err);
        if (!r->tokenizer)
            die("%s", err.msg);
        r->options.tokenizer = r->tokenizer;
        r->info = tokenizer_info(r->tokenizer);
        r->options.limit = r->info->vocab_size;
    }
    r->options.prefix = r->info->prefix;
    r->options.suffix = r->info->suffix;
    r->options.n_prefix = bos ? r->info->n_prefix : 0;
    r->options.n_suffix = eos ? r->info->n_suffix : 0;
    if (bos && !r->options.n_prefix)
        opt_die(&cmd, "--bos: the tokenizer puts nothing in front of a text");
    if (eos && !r->options.n_suffix)
        opt_die(&cmd, "--eos: the tokenizer puts nothing behind a text (a token between documents: --eod)");
    r->options.eod = eod_name ? find_eod(r) : STREAM_NONE;
}

int main(int argc, char **argv)
{
    int i = opt_parse(&cmd, &common, argc, argv), rc = 0;
    struct run r = { 0 };
    struct docs d = { .ctx = &r, .work_size = sizeof(struct work), .begin = begin, .take = take, .write = write_work,
                      .bad = bad, .release = release, .progress = &r.progress };
    bool reads_stdin = i == argc;
    struct err err, flush;

    check_options();
    d.skip = common.on_error == OPT_SKIP;
    for (int k = i; k < argc; k++) {
        reads_stdin |= strcmp(argv[k], "-") == 0;
        if (common.output && io_same_file(argv[k], common.output))
            opt_die(&cmd, "%s is both input and output", argv[k]);
    }
    if (reads_stdin && tokenizer_path && strcmp(tokenizer_path, "-") == 0)
        opt_die(&cmd, "-t -: standard input cannot be the tokenizer and what is read");
    open_tokenizer(&r);
    if (io_create(&r.out, common.output, to == STREAM, &err) < 0)
        die("%s", err.msg);
    if (to == STREAM) {
        tokenize_header(&r.options, r.info, &r.header);
        add_pg(&r.header, r.options.eod);
        r.width = r.header.dtype == STREAM_U16 ? 2 : 4;
        r.w = stream_writer_new(&r.out, &r.header, &err);
        if (!r.w)
            die("%s", err.msg);
    }
    if (from != STREAM)
        rc = run_docs(&r, &d, argv + i, argc - i, &err);
    else if (i == argc)
        rc = run_stream(&r, &d, "-", &err);
    for (; from == STREAM && i < argc && rc == 0; i++)
        rc = run_stream(&r, &d, argv[i], &err);
    io_progress_end(&r.progress);
    if (rc < 0) {
        if (r.w)
            stream_abort(r.w, err.msg);
        else if (!common.output)
            io_flush(&r.out, &flush);
        die("%s", err.msg);
    }
    if ((r.w && stream_end(r.w, &err) < 0) || io_commit(&r.out, &err) < 0)
        die("%s", err.msg);
    if (d.left_out && !common.quiet)
        err_warn("%llu bad documents skipped, %llu written", (unsigned long long)d.left_out, (unsigned long long)d.done);
    tokenizer_free(r.tokenizer);
    free(r.header.text);
    return 0;
}
