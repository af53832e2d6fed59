#include "libcommon/data/docs.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/par.h"

struct block {
    struct source_block in;
    void *work;
    uint64_t done, bad;
    char *messages; /* of the bad ones, NUL-ended each */
    size_t messages_n, messages_cap;
    bool failed;
    struct err err;
    uint64_t bytes; /* of the input when it was read */
};

static int read_block(void *ctx, void *block, struct err *err)
{
    struct docs *d = ctx;
    struct block *b = block;
    int rc = source_read(d->source, &b->in, err);

    b->bytes = source_bytes(d->source);
    return rc;
}

static void add_message(struct block *b)
{
    size_t n = strlen(b->err.msg) + 1;

    if (b->bad++ >= DOCS_REPORTED)
        return;
    mem_grow(&b->messages, &b->messages_cap, b->messages_n + n, 1);
    memcpy(b->messages + b->messages_n, b->err.msg, n);
    b->messages_n += n;
}

/* The next document, taken: as source_next(). */
static int next(const struct docs *d, struct block *b, int thread)
{
    struct source_doc doc;
    int rc = source_next(&b->in, &doc, &b->err);

    if (rc <= 0 || d->take(d->ctx, b->work, &b->in, &doc, thread, &b->err) == 0)
        return rc;
    if (b->in.kind == SOURCE_BLOCK_WHOLE)
        return err_prefix(&b->err, "%s", b->in.name);
    return err_prefix(&b->err, "%s:%llu", b->in.name, (unsigned long long)b->in.at_line - 1);
}

static int work_block(void *ctx, void *block, int thread, struct err *err)
{
    const struct docs *d = ctx;
    struct block *b = block;
    int rc;

    (void)err;
    if (d->begin)
        d->begin(d->ctx, b->work);
    b->messages_n = 0;
    b->done = b->bad = 0;
    b->failed = false;
    while (!b->failed && (rc = next(d, b, thread)) != 0) {
        if (rc > 0)
            b->done++;
        else if (d->skip)
            add_message(b);
        else
            b->failed = true;
    }
    return 0;
}

/* Writes what stands before an error, then fails. */
static int write_block(void *ctx, void *block, struct err *err)
{
    struct docs *d = ctx;
    struct block *b = block;
    const char *m = b->messages;

    if (d->write && d->write(d->ctx, b->work, &b->in, err) < 0)
        return -1;
    for (uint64_t i = 0; i < b->bad && d->left_out + i < DOCS_REPORTED; i++, m += strlen(m) + 1) {
        io_progress_end(d->progress);
        d->bad(d->ctx, m);
    }
    d->left_out += b->bad;
    d->done += b->done;
    io_progress(d->progress, d->done, b->bytes);
    if (b->failed)
        *err = b->err;
    return b->failed ? -1 : 0;
}

int docs_run(struct docs *d, struct err *err)
{
    struct par_ordered p = { .read = read_block, .work = work_block, .write = write_block, .ctx = d };
    struct block *blocks;
    int rc;

    p.n_blocks = d->jobs > 1 ? 2 * d->jobs : 1;
    blocks = xcalloc((size_t)p.n_blocks, sizeof *blocks);
    p.blocks = xcalloc((size_t)p.n_blocks, sizeof *p.blocks);
    for (int i = 0; i < p.n_blocks; i++) {
        blocks[i].work = xcalloc(1, d->work_size);
        p.blocks[i] = &blocks[i];
    }
    d->done = d->left_out = 0;
    rc = par_ordered(&p, d->jobs, err);
    for (int i = 0; i < p.n_blocks; i++) {
        d->release(blocks[i].work);
        free(blocks[i].work);
        source_block_free(&blocks[i].in);
        free(blocks[i].messages);
    }
    free(blocks);
    free(p.blocks);
    return rc;
}
