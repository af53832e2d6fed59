/* lmpack - documents of a token stream to rows of a fixed length.
 *
 * Reads by blocks, so that a document of any size passes; see libcommon/data/pack.h for the packing,
 * lmpack(1) and lmstream(5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/data/pack.h"
#include "libcommon/data/stream.h"

#define METHODS "bestfit|concat"
#define OVERLONG "split|truncate|drop"
#define WINDOW_BYTES ((uint64_t)64 << 20) /* of tokens that wait */

static int64_t length;
static int method, overlong;
static bool isolate, drop_last;

static const struct opt opts[] = {
    { 'L', "length", OPT_INT, &length, "LEN", "tokens in a row", 2, PACK_MOST },
    { 0, "method", OPT_CHOICE, &method, METHODS, "whole documents where they fit best, or cut the string of all", 0, 0 },
    { 0, "overlong", OPT_CHOICE, &overlong, OVERLONG, "bestfit: a document longer than a row", 0, 0 },
    { 0, "isolate", OPT_FLAG, &isolate, NULL, "concat: keep documents apart by segments", 0, 0 },
    { 0, "drop-last", OPT_FLAG, &drop_last, NULL, "leave out the last row if it has padding", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmpack",
    .purpose = "pack the documents of a token stream into rows",
    .operands = "[FILE]",
    .example = "echo '1 2 3' | lmtokenize --from ids --vocab-size 9 | lmpack -L 4 -o rows.tks",
    .opts = opts,
    .common = OPT_OUTPUT | OPT_QUIET,
};

struct job {
    struct stream_reader *r;
    struct stream_writer *w;
    struct pack *p;
    uint8_t *loss; /* of a block, a byte a token */
    size_t loss_cap, item;
    struct io_progress progress;
};

static int put_row(void *ctx, const struct pack_row *row, struct err *err)
{
    struct job *j = ctx;
    struct stream_record rec = { .n = (uint64_t)length, .loss = row->loss, .seg = row->seg, .n_seg = row->n_seg };

    return stream_write_native(j->w, row->tokens, &rec, err);
}

static int add_block(struct job *j, const struct stream_block *b, struct err *err)
{
    const uint8_t *tokens = b->tokens, *loss = NULL;

    if (b->loss_bits) {
        mem_grow(&j->loss, &j->loss_cap, b->n_tokens, 1);
        for (uint64_t i = 0; i < b->n_tokens; i++)
            j->loss[i] = b->loss_bits[i / 8] >> i % 8 & 1;
        loss = j->loss;
    }
    for (uint32_t i = 0; i < b->n_records; i++) {
        if (pack_add(j->p, tokens, loss, b->len[i], err) < 0)
            return -1;
        tokens += b->len[i] * j->item;
        loss += loss ? b->len[i] : 0;
        if (!(b->continued && i == b->n_records - 1) && pack_end_document(j->p, err) < 0)
            return -1;
    }
    return 0;
}

static int run(struct job *j, struct err *err)
{
    struct stream_block b;
    int rc;

    while ((rc = stream_read_block(j->r, &b, err)) == 1) {
        if (add_block(j, &b, err) < 0)
            return -1;
        io_progress(&j->progress, stream_totals(j->r)->records, stream_totals(j->r)->bytes);
    }
    return rc < 0 ? -1 : pack_finish(j->p, err);
}

/* The rows' header from the documents': what padding is, and by which options. */
static struct stream_header make_header(const struct stream_header *in)
{
    static const char *const methods[] = { "bestfit", "concat" }, *const overlongs[] = { "split", "truncate", "drop" };
    struct stream_header h = *in;
    char pg[400], how[128];

    h.kind = STREAM_ROWS;
    h.row_len = (uint32_t)length;
    h.flags = STREAM_LOSS | (method == PACK_BESTFIT || isolate ? STREAM_SEGMENTS : 0);
    if (h.pad == STREAM_NONE)
        h.pad = h.eod == STREAM_NONE ? 0 : h.eod;
    h.text = in->text && *in->text ? xstrdup(in->text) : NULL;
    if (method == PACK_BESTFIT)
        snprintf(how, sizeof how, "\"length\":%" PRId64 ",\"method\":\"%s\",\"overlong\":\"%s\"", length, methods[method],
                 overlongs[overlong]);
    else
        snprintf(how, sizeof how, "\"isolate\":%s,\"length\":%" PRId64 ",\"method\":\"%s\"", isolate ? "true" : "false", length,
                 methods[method]);
    snprintf(pg, sizeof pg, "{\"tool\":\"lmpack\",\"version\":\"" LMPIPE_VERSION "\",\"options\":{\"drop-last\":%s,%s}}",
             drop_last ? "true" : "false", how);
    stream_add_pg(&h, pg);
    return h;
}

static void report(const struct pack_stats *s)
{
    double all = (double)s->rows * (double)length;

    err_warn("%" PRIu64 " rows of %" PRId64 ", %.3f %% padding; %" PRIu64 " documents: %" PRIu64 " split, %" PRIu64
             " truncated, %" PRIu64 " dropped, %" PRIu64 " empty; %" PRIu64 " tokens left out",
             s->rows, length, all > 0 ? 100 * (double)s->padding / all : 0, s->documents, s->split, s->truncated,
             s->dropped, s->empty, s->lost);
}

static void pack_stream(const char *path, const struct opt_common *common)
{
    struct err err;
    struct job j = { .r = stream_open(path, false, &err) };
    struct stream_header h;
    struct io_out out;
    int rc;

    if (!j.r)
        die("%s", err.msg);
    if (stream_header(j.r)->kind == STREAM_ROWS)
        die("%s: these are rows already, of %" PRIu32 " tokens", io_name(path), stream_header(j.r)->row_len);
    h = make_header(stream_header(j.r));
    if (io_create(&out, common->output, true, &err) < 0 || !(j.w = stream_writer_new(&out, &h, &err)))
        die("%s", err.msg);
    j.item = h.dtype == STREAM_U16 ? 2 : 4;
    j.p = pack_new(&(struct pack_options){
        .length = (uint32_t)length,
        .pad = h.pad,
        .item = (int)j.item,
        .has_loss = stream_header(j.r)->flags & STREAM_LOSS,
        .method = method,
        .overlong = overlong,
        .drop_last = drop_last,
        .window = WINDOW_BYTES / j.item,
        .put = put_row,
        .ctx = &j,
    });
    io_progress_start(&j.progress, "docs", 0, common->quiet);
    rc = run(&j, &err);
    io_progress_end(&j.progress);
    if (rc < 0)
        stream_abort(j.w, err.msg);
    if (rc < 0 || stream_end(j.w, &err) < 0 || io_commit(&out, &err) < 0)
        die("%s", err.msg);
    if (!common->quiet)
        report(pack_stats(j.p));
    pack_free(j.p);
    free(j.loss);
    free(h.text);
    stream_close(j.r);
}

int main(int argc, char **argv)
{
    struct opt_common common;
    int i = opt_parse(&cmd, &common, argc, argv), n = argc - i;

    if (!length)
        opt_die(&cmd, "-L LEN is needed");
    if (n > 1)
        opt_die(&cmd, "one operand too many: %s", argv[argc - 1]);
    if (method == PACK_CONCAT && overlong != PACK_SPLIT)
        opt_die(&cmd, "--overlong goes with --method bestfit");
    if (method == PACK_BESTFIT && isolate)
        opt_die(&cmd, "--isolate goes with --method concat (bestfit always does)");
    if (n && common.output && io_same_file(argv[i], common.output))
        opt_die(&cmd, "%s is both input and output", argv[i]);
    pack_stream(n ? argv[i] : "-", &common);
    return 0;
}
