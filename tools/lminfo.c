/* lminfo - what a file is, what it holds, and whether it is whole.
 *
 * Every kind of file is a row of formats[]: how it is known, how it is described and checked.  What
 * is found goes into a report of keys and values, printed as lines or as a JSON object.  See lminfo(1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/opt.h"
#include "libcommon/base/tree.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/index.h"
#include "libcommon/data/stream.h"
#include "libcommon/format/json.h"
#include "libcommon/format/report.h"
#include "libcommon/tokenizer/spm.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "libcommon/weights/safetensors.h"
#include "libcommon/weights/torchzip.h"
#include "train/ckpt.h"
#include "train/convert.h"
#include "train/metrics.h"
#include "train/model.h"

static bool as_json, list;

static const struct opt opts[] = {
    { 0, "json", OPT_FLAG, &as_json, NULL, "one JSON object a file", 0, 0 },
    { 'l', "list", OPT_FLAG, &list, NULL, "list every tensor and plain value too", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lminfo",
    .purpose = "say what a file holds and verify it",
    .operands = "FILE|DIR...",
    .example = "lminfo --json train.tks qwen2/",
    .opts = opts,
    .common = OPT_OUTPUT | OPT_QUIET,
};

static struct opt_common common;

struct input {
    const char *path;
    bool is_dir, absent; /* absent: perhaps the prefix of a pair */
    struct io_map map;   /* of a file */
    const char *verified; /* what show() has checked, where that is not always the same */
};

static bool has(const struct input *in, size_t at, const void *magic, size_t n)
{
    return in->map.size >= at + n && memcmp(in->map.data + at, magic, n) == 0;
}

static bool holds(const struct input *in, const char *name)
{
    return in->is_dir && tree_holds(in->path, name);
}

/* ---- weights ---- */

static bool has_key(const struct input *in, const char *key)
{
    return json_has_key(in->map.data, in->map.size, key);
}

static int show_weights(struct report *r, struct input *in, struct err *err)
{
    struct safetensors s;
    bool one = safetensors_is(in->map.data, in->map.size);

    if ((one ? safetensors_parse(&s, in->map.data, in->map.size, in->path, err) : safetensors_open(&s, in->path, err)) < 0)
        return -1;
    safetensors_report(&s, list, r);
    safetensors_close(&s);
    return 0;
}

static int show_torch(struct report *r, struct input *in, struct err *err)
{
    return torchzip_report(in->map.data, in->map.size, in->path, list, r, err);
}

/* ---- tokenizers ---- */

static bool is_tokenizer(const struct input *in)
{
    if (in->is_dir)
        return tokenizer_is_in(in->path);
    return has_key(in, "added_tokens") || tokenizer_has_merges(in->path) || tokenizer_is(in->map.data, in->map.size, in->path);
}

static int show_tokenizer(struct report *r, struct input *in, struct err *err)
{
    return tokenizer_report(in->is_dir ? NULL : in->map.data, in->map.size, in->path, r, err);
}

/* ---- model directories ---- */

static bool is_model(const struct input *in)
{
    return holds(in, "config.json") || holds(in, "model.safetensors") || holds(in, "model.safetensors.index.json");
}

static int show_model(struct report *r, struct input *in, struct err *err)
{
    return model_report(in->path, list, r, &in->verified, err);
}

static bool is_megatron(const struct input *in)
{
    return in->is_dir && convert_is_megatron(in->path);
}

static int show_megatron(struct report *r, struct input *in, struct err *err)
{
    return convert_report(in->path, list, r, &in->verified, err);
}

static bool is_checkpoint(const struct input *in)
{
    return holds(in, "MANIFEST");
}

static int show_checkpoint(struct report *r, struct input *in, struct err *err)
{
    in->verified = "SHA-256 of every file";
    return ckpt_report(in->path, r, err) < 0 ? -1 : show_model(r, in, err);
}

static bool is_run(const struct input *in)
{
    return in->is_dir && ckpt_newest(in->path) != -1; /* what keeps it from being read is told by show_run() */
}

static int show_run(struct report *r, struct input *in, struct err *err)
{
    return ckpt_report_run(in->path, r, err);
}

static int show_events(struct report *r, struct input *in, struct err *err)
{
    return metrics_report(in->map.data, in->map.size, in->path, r, err);
}

/* ---- tokens ---- */

static bool is_stream(const struct input *in)
{
    return has(in, 0, "\x89TKS\r\n\x1a\n", 8);
}

static int show_stream(struct report *r, struct input *in, struct err *err)
{
    struct stream_reader *s = stream_open_memory(in->map.data, in->map.size, in->path, false, err);
    struct stream_block b;
    struct io_progress p;
    const struct stream_totals *t;
    int rc;

    if (!s)
        return -1;
    stream_report(stream_header(s), r);
    io_progress_start(&p, "records", in->map.size, common.quiet);
    t = stream_totals(s);
    while ((rc = stream_read_block(s, &b, err)) == 1)
        io_progress(&p, t->records, t->bytes);
    io_progress_end(&p);
    if (rc == 0) {
        report_number(r, "blocks", t->blocks);
        report_number(r, "records", t->records);
        report_number(r, "tokens", t->tokens);
        report_number(r, "payload_bytes", t->bytes);
    }
    stream_close(s);
    return rc;
}

/* PREFIX of PREFIX.idx, PREFIX.bin or PREFIX itself. */
static const char *prefix_of(struct report *r, const struct input *in)
{
    size_t n = strlen(in->path);
    const char *end = n > 4 ? in->path + n - 4 : "";
    bool suffix = strcmp(end, ".idx") == 0 || strcmp(end, ".bin") == 0;

    return report_printf(r, "%.*s", (int)(suffix ? n - 4 : n), in->path);
}

static bool is_index(const struct input *in)
{
    struct report r = { 0 };
    const char *prefix = prefix_of(&r, in);
    bool names = in->absent || strlen(prefix) < strlen(in->path);
    bool pair = names && access(report_printf(&r, "%s.idx", prefix), F_OK) == 0;

    report_release(&r);
    return pair || has(in, 0, "MMIDIDX\0", 9);
}

static int show_index(struct report *r, struct input *in, struct err *err)
{
    struct index x;

    if (index_open(&x, prefix_of(r, in), err) < 0)
        return -1;
    index_report(&x, r);
    index_close(&x);
    return 0;
}

/* ---- JSON and text ---- */

static bool is_json(const struct input *in)
{
    return json_form(in->map.data, in->map.size, in->path) == JSON_DOCUMENT;
}

static bool is_jsonl(const struct input *in)
{
    return json_form(in->map.data, in->map.size, in->path) == JSON_LINES;
}

static int show_json(struct report *r, struct input *in, struct err *err)
{
    return json_report(in->map.data, in->map.size, in->path, r, err);
}

static int show_jsonl(struct report *r, struct input *in, struct err *err)
{
    return json_report_lines(in->map.data, in->map.size, in->path, r, err);
}

/* The first bytes are UTF-8, perhaps cut, without controls but blanks and the escape of terminals. */
static bool is_text(const struct input *in)
{
    size_t n = in->map.size < 4096 ? in->map.size : 4096;

    for (size_t i = 0; i < n; i++)
        if (in->map.data[i] < 0x20 && (!in->map.data[i] || !strchr("\t\n\v\f\r\033", in->map.data[i])))
            return false;
    return n && utf8_valid(in->map.data, n) + 3 >= n;
}

static int show_text(struct report *r, struct input *in, struct err *err)
{
    return report_text(r, in->map.data, in->map.size, in->path, err);
}

/* ---- the table ---- */

static const struct format {
    const char *name;
    bool (*is)(const struct input *in); /* or NULL: by its magic, or where n is 0 by that key of its JSON */
    int (*show)(struct report *r, struct input *in, struct err *err);
    const char *verified; /* what show() has checked; NULL: it tells */
    size_t at, n;
    const char *magic;
    bool (*bytes)(const void *data, size_t size); /* or NULL: as is(), of what the file holds */
} formats[] = {
    { "checkpoint", is_checkpoint, show_checkpoint, NULL, 0, 0, NULL, NULL },
    { "Megatron checkpoint", is_megatron, show_megatron, NULL, 0, 0, NULL, NULL },
    { "model directory", is_model, show_model, NULL, 0, 0, NULL, NULL },
    { "run", is_run, show_run, "SHA-256 of every file of every checkpoint", 0, 0, NULL, NULL },
    { "gguf", NULL, show_tokenizer, "keys and tensor descriptions", 0, 4, "GGUF", NULL },
    { "tokenizer", is_tokenizer, show_tokenizer, "syntax", 0, 0, NULL, NULL },
    { "SentencePiece model", NULL, show_tokenizer, "structure", 0, 0, NULL, spm_sniff },
    { "token stream", is_stream, show_stream, "checksums, totals and tokens", 0, 0, NULL, NULL },
    { "token index", is_index, show_index, "index and sizes", 0, 0, NULL, NULL },
    { "safetensors", NULL, show_weights, "header, shapes, offsets and size", 0, 0, NULL, safetensors_is },
    { "torch", NULL, show_torch, "pickle, shapes, strides, sizes and checksums", 0, 0, NULL, torchzip_is },
    { "TensorBoard events", NULL, show_events, "checksums of every event", 0, 0, NULL, metrics_is_events },
    { "safetensors index", NULL, show_weights, "headers, shapes, offsets and sizes", 0, 0, "weight_map", NULL },
    { "model configuration", NULL, show_json, "syntax", 0, 0, "model_type", NULL },
    { "jsonl", is_jsonl, show_jsonl, "syntax of every line", 0, 0, NULL, NULL },
    { "json", is_json, show_json, "syntax", 0, 0, NULL, NULL },
    /* named only: lmcat reads what some of them hold */
    { "gzip", NULL, NULL, "nothing", 0, 2, "\x1f\x8b", NULL },
    { "zstd", NULL, NULL, "nothing", 0, 4, "\x28\xb5\x2f\xfd", NULL },
    { "xz", NULL, NULL, "nothing", 0, 6, "\xfd" "7zXZ\0", NULL },
    { "bzip2", NULL, NULL, "nothing", 0, 3, "BZh", NULL },
    { "zip", NULL, NULL, "nothing", 0, 4, "PK\3\4", NULL },
    { "tar", NULL, NULL, "nothing", 257, 5, "ustar", NULL },
    { "parquet", NULL, NULL, "nothing", 0, 4, "PAR1", NULL },
    { "arrow", NULL, NULL, "nothing", 0, 6, "ARROW1", NULL },
    { "numpy array", NULL, NULL, "nothing", 0, 6, "\x93NUMPY", NULL },
    { "pickle", NULL, NULL, "nothing", 0, 2, "\x80\2", NULL },
    { "text", is_text, show_text, "UTF-8", 0, 0, NULL, NULL },
};

static const struct format *find_format(const struct input *in)
{
    for (const struct format *f = formats; f < formats + sizeof formats / sizeof *formats; f++)
        if (f->is      ? f->is(in)
            : f->bytes ? f->bytes(in->map.data, in->map.size)
            : f->n     ? has(in, f->at, f->magic, f->n)
                       : has_key(in, f->magic))
            return f;
    return NULL;
}

static int open_input(struct input *in, const char *path, struct err *err)
{
    struct stat st;

    *in = (struct input){ .path = io_name(path) };
    if (strcmp(path, "-") != 0 && stat(path, &st) < 0) {
        in->absent = true;
        return is_index(in) ? 0 : err_set(err, "%s:", path);
    }
    in->is_dir = strcmp(path, "-") != 0 && S_ISDIR(st.st_mode);
    if (in->is_dir)
        return access(path, R_OK | X_OK) < 0 ? err_set(err, "%s:", path) : 0;
    return io_map(&in->map, path, err);
}

/* What can be told of a kind that is not known. */
static int unknown(struct report *r, const struct input *in, struct err *err)
{
    size_t n = in->map.size < 8 ? in->map.size : 8;

    if (in->is_dir)
        return err_set(err, "%s: a directory with neither MANIFEST, config.json, model.safetensors, mp_rank_00, step_N nor a tokenizer", in->path);
    if (!n)
        return err_set(err, "%s: empty", in->path);
    return err_set(err, "%s: unknown kind of file: it begins with the bytes %s", in->path, report_hex(r, in->map.data, n));
}

/* 0, or 1 after a warning: one bad file does not hide the others. */
static int show(const char *path, struct io_out *out)
{
    struct report r = { 0 };
    const struct format *f = NULL;
    struct input in;
    struct err err, write_err;
    int rc = open_input(&in, path, &err);

    report_string(&r, "file", path);
    if (rc == 0) {
        f = find_format(&in);
        rc = f ? 0 : unknown(&r, &in, &err);
    }
    if (f)
        report_string(&r, "format", f->name);
    if (in.map.size)
        report_number(&r, "bytes", in.map.size);
    if (f && f->show)
        rc = f->show(&r, &in, &err);
    if (rc < 0)
        report_string(&r, "error", err.msg);
    else
        report_string(&r, "verified", f->verified ? f->verified : in.verified);
    if ((out->bytes && !as_json && io_put(out, "\n", 1, &write_err) < 0) || report_write(&r, as_json, out, &write_err) < 0)
        die("%s", write_err.msg);
    if (rc < 0)
        err_warn("%s", err.msg);
    io_unmap(&in.map);
    report_release(&r);
    return rc < 0;
}

int main(int argc, char **argv)
{
    int i = opt_parse(&cmd, &common, argc, argv), status = 0;
    struct io_out out;
    struct err err;

    if (i == argc)
        opt_die(&cmd, "no file is named");
    if (io_create(&out, common.output, false, &err) < 0)
        die("%s", err.msg);
    for (; i < argc; i++)
        status |= show(argv[i], &out);
    if (io_commit(&out, &err) < 0)
        die("%s", err.msg);
    return status;
}
