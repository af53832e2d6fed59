/* lmshard - a token stream to Megatron's .bin and .idx, and back.
 *
 * Whole blocks of tokens go from the stream to the .bin; lengths follow record by record, a record
 * over several blocks being added up.  See lmshard(1), lmstream(5), lmindex(5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/data/index.h"
#include "libcommon/data/stream.h"

static const char *extract, *verify, *dtype_name, *output;
static bool flatten;

static const struct opt opts[] = {
    { 'x', "extract", OPT_STR, &extract, "PREFIX", "give the stream back", 0, 0 },
    { 0, "verify", OPT_STR, &verify, "PREFIX", "check PREFIX.bin and PREFIX.idx", 0, 0 },
    { 0, "dtype", OPT_STR, &dtype_name, "TYPE", "uint8 int8 int16 uint16 int32 int64; default by vocabulary", 0, 0 },
    { 'o', "output", OPT_STR, &output, "PREFIX", "write PREFIX.bin and PREFIX.idx; with -x the file PREFIX", 0, 0 },
    { 0, "flatten", OPT_FLAG, &flatten, NULL, "drop what the output has no place for", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmshard",
    .purpose = "token stream to and from Megatron .bin/.idx",
    .operands = "[STREAM]",
    .example = "echo '1 2 3' | lmtokenize --from ids --vocab-size 9 | lmshard -o train",
    .opts = opts,
    .common = OPT_QUIET,
};

/* The index's type: as told, as the stream says it was, else by the vocabulary (Megatron's rule). */
static unsigned choose_type(const struct stream_header *h, struct err *err)
{
    const char *name = dtype_name;
    size_t n = name ? strlen(name) : 0;
    unsigned code;

    if (!name)
        name = stream_text(h, "idx_dtype", &n);
    if (!name)
        return h->vocab_size > 0 && h->vocab_size < 65500 ? INDEX_U16 : INDEX_I32;
    code = index_type_code(name, n);
    if (!code || !index_type(code)->max) {
        err_set(err, "'%.*s' is not a type of tokens", (int)n, name);
        return 0;
    }
    return code;
}

static void check_columns(const struct stream_header *h, const char *name, bool quiet)
{
    bool mask = h->flags & STREAM_LOSS, rows = h->kind == STREAM_ROWS && (h->flags & STREAM_SEGMENTS);
    const char *what = mask && rows ? "loss mask and segments of rows" : mask ? "loss mask" : "segments of rows";

    if (!mask && !rows)
        return;
    if (!flatten)
        die("%s: an index has no place for the stream's %s (--flatten drops them)", name, what);
    if (!quiet)
        err_warn("%s: dropping the stream's %s", name, what);
}

/* The lengths of the block's records; *open is the tokens so far of one that goes on. */
static int put_lengths(struct index_writer *w, const struct stream_block *b, bool segments, uint64_t *open,
                       struct err *err)
{
    const uint32_t *seg = b->seglen;

    for (uint32_t i = 0; i < b->n_records; i++) {
        *open += b->len[i];
        if (b->continued && i == b->n_records - 1)
            break;
        if (!segments && index_put_sequence(w, *open, err) < 0)
            return -1;
        for (uint32_t k = 0; segments && k < b->nseg[i]; k++)
            if (index_put_sequence(w, *seg++, err) < 0)
                return -1;
        if (index_put_document(w, err) < 0)
            return -1;
        *open = 0;
    }
    return 0;
}

/* All of the stream; 0 at its end. */
static int copy(struct stream_reader *r, struct index_writer *w, bool quiet, struct err *err)
{
    const struct stream_header *h = stream_header(r);
    struct io_progress progress;
    struct stream_block b;
    uint64_t open = 0;
    int rc;

    io_progress_start(&progress, "docs", 0, quiet);
    while ((rc = stream_read_block(r, &b, err)) == 1) {
        if (index_put_tokens(w, b.tokens, b.n_tokens, h->dtype, err) < 0 ||
            put_lengths(w, &b, h->kind == STREAM_DOCUMENTS && b.nseg, &open, err) < 0) {
            rc = -1;
            break;
        }
        io_progress(&progress, stream_totals(r)->records, stream_totals(r)->bytes);
    }
    io_progress_end(&progress);
    return rc;
}

static void run_shard(const char *path, const char *prefix, bool quiet)
{
    struct err err;
    struct stream_reader *r = stream_open(path, false, &err);
    struct index_writer *w;
    unsigned type;

    if (!r)
        die("%s", err.msg);
    check_columns(stream_header(r), io_name(path), quiet);
    type = choose_type(stream_header(r), &err);
    w = type ? index_writer_new(prefix, type, &err) : NULL;
    if (!w)
        die("%s", err.msg);
    if (copy(r, w, quiet, &err) < 0) {
        index_abort(w);
        die("%s", err.msg);
    }
    if (index_commit(w, &err) < 0)
        die("%s", err.msg);
    stream_close(r);
}

/* Is any document other than one sequence? */
static bool has_segments(const struct index *x)
{
    for (uint64_t d = 0; d < x->n_documents; d++)
        if (index_document(x, d + 1) - index_document(x, d) != 1)
            return true;
    return false;
}

struct extract {
    const struct index *x;
    struct stream_writer *w;
    int32_t *wide;
    uint32_t *seg;
    size_t wide_cap, seg_cap;
    bool native, segments;
    uint64_t at; /* the next document's first token */
};

static int extract_document(struct extract *e, uint64_t d, struct err *err)
{
    uint64_t first = index_document(e->x, d), end = index_document(e->x, d + 1);
    uint64_t at = e->at;
    struct stream_record rec = { 0 };

    if (end - first > UINT32_MAX)
        return err_set(err, "document %" PRIu64 " has %" PRIu64 " sequences", d, end - first);
    mem_grow(&e->seg, &e->seg_cap, end - first, sizeof *e->seg);
    for (uint64_t i = first; i < end; i++)
        rec.n += e->seg[i - first] = index_length(e->x, i);
    e->at += rec.n;
    if (e->segments) {
        rec.seg = e->seg;
        rec.n_seg = (uint32_t)(end - first);
    }
    if (e->native)
        return stream_write_native(e->w, e->x->bin + at * e->x->item, &rec, err);
    mem_grow(&e->wide, &e->wide_cap, rec.n, sizeof *e->wide);
    if (index_tokens(e->x, at, rec.n, e->wide, err) < 0)
        return -1;
    rec.tokens = e->wide;
    return stream_write(e->w, &rec, err);
}

static int extract_all(struct index *x, struct io_out *out, bool quiet, struct err *err)
{
    const struct index_type *type = index_type(x->dtype);
    struct stream_header h = { .bos = STREAM_NONE, .eod = STREAM_NONE, .pad = STREAM_NONE };
    struct extract e = { .x = x, .segments = has_segments(x) };
    struct io_progress progress;
    int rc = 0;

    h.dtype = type->min == 0 && type->max <= UINT16_MAX ? STREAM_U16 : STREAM_I32;
    h.flags = e.segments ? STREAM_SEGMENTS : 0;
    e.native = x->dtype == h.dtype;
    stream_add_text(&h, "idx_dtype", type->name);
    stream_add_pg(&h, "{\"tool\":\"lmshard\",\"version\":\"" LMPIPE_VERSION "\"}");
    e.w = stream_writer_new(out, &h, err);
    free(h.text);
    if (!e.w)
        return -1;
    io_progress_start(&progress, "docs", x->n_tokens * x->item, quiet);
    for (uint64_t d = 0; d < x->n_documents && rc == 0; d++) {
        rc = extract_document(&e, d, err);
        io_map_passed(&x->bin_map, e.at * x->item);
        io_progress(&progress, d, out->bytes);
    }
    io_progress_end(&progress);
    if (rc == 0)
        rc = stream_end(e.w, err);
    else
        stream_abort(e.w, err->msg);
    free(e.wide);
    free(e.seg);
    return rc;
}

static void run_extract(bool quiet)
{
    struct index x;
    struct io_out out;
    struct err err;

    if (index_open(&x, extract, &err) < 0)
        die("%s", err.msg);
    if (!index_type(x.dtype)->max)
        die("%s.idx: %s values are not tokens", extract, index_type(x.dtype)->name);
    if (x.modes && !flatten)
        die("%s.idx: a stream has no place for its modes (--flatten drops them)", extract);
    if (x.modes && !quiet)
        err_warn("%s.idx: dropping its modes", extract);
    if (io_create(&out, output, true, &err) < 0)
        die("%s", err.msg);
    if (extract_all(&x, &out, quiet, &err) < 0)
        die("%s: %s", extract, err.msg);
    if (io_commit(&out, &err) < 0)
        die("%s", err.msg);
    index_close(&x);
}

/* One line: what the pair holds, read to its last byte. */
static void run_verify(void)
{
    enum { CHUNK = 65536 };
    static int32_t v[CHUNK];
    int32_t low = INT32_MAX, high = INT32_MIN;
    struct index x;
    struct err err;

    if (index_open(&x, verify, &err) < 0)
        die("%s", err.msg);
    for (uint64_t at = 0; at < x.n_tokens && index_type(x.dtype)->max; at += CHUNK) {
        uint64_t n = x.n_tokens - at < CHUNK ? x.n_tokens - at : CHUNK;

        if (index_tokens(&x, at, n, v, &err) < 0)
            die("%s.bin: %s", verify, err.msg);
        io_map_passed(&x.bin_map, at * x.item);
        for (uint64_t i = 0; i < n; i++) {
            low = v[i] < low ? v[i] : low;
            high = v[i] > high ? v[i] : high;
        }
    }
    printf("%s: %s, %" PRIu64 " documents, %" PRIu64 " sequences, %" PRIu64 " tokens", verify,
           index_type(x.dtype)->name, x.n_documents, x.n_sequences, x.n_tokens);
    if (low <= high)
        printf(" within %" PRId32 "..%" PRId32, low, high);
    printf("%s\n", x.modes ? ", with modes" : "");
    index_close(&x);
    if (fflush(stdout) != 0)
        die("standard output: write:");
}

/* Is `file` one of the pair's? */
static bool is_of_pair(const char *prefix, const char *file)
{
    static const char *const ends[] = { ".bin", ".idx" };
    char path[4096];

    for (int i = 0; i < 2; i++)
        if (snprintf(path, sizeof path, "%s%s", prefix, ends[i]) < (int)sizeof path && io_same_file(path, file))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct opt_common common;
    int i = opt_parse(&cmd, &common, argc, argv), n = argc - i;
    unsigned code = dtype_name ? index_type_code(dtype_name, strlen(dtype_name)) : INDEX_I32;

    if (extract && verify)
        opt_die(&cmd, "-x or --verify, not both");
    if (n > (extract || verify ? 0 : 1))
        opt_die(&cmd, "one operand too many: %s", argv[argc - 1]);
    if (dtype_name && (extract || verify))
        opt_die(&cmd, "--dtype is for writing an index");
    if (!index_type(code)->max)
        opt_die(&cmd, "--dtype: '%s' is not a type of tokens", dtype_name);
    if (verify && (output || flatten))
        opt_die(&cmd, "--verify writes nothing");
    if (output && !*output)
        opt_die(&cmd, "-o: an empty name");
    if (extract && output && is_of_pair(extract, output))
        opt_die(&cmd, "%s is both input and output", output);
    if (!extract && !verify && n && output && is_of_pair(output, argv[i]))
        opt_die(&cmd, "%s is both input and output", argv[i]);
    if (verify)
        run_verify();
    else if (extract)
        run_extract(common.quiet);
    else if (output && strcmp(output, "-") != 0)
        run_shard(n ? argv[i] : "-", output, common.quiet);
    else
        opt_die(&cmd, "-o PREFIX is needed");
    return 0;
}
