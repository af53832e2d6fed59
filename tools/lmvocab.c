/* lmvocab - train a byte-level BPE vocabulary on text.
 *
 * Blocks of the input are counted in parallel, a table of words a thread; libcommon/text/bpe_train.h has the
 * rules of the merges.  See lmvocab(1).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/docs.h"
#include "libcommon/text/bpe_train.h"
#include "libcommon/text/pretok.h"

#define MOST_TOKENS (1 << 21)

static struct opt_common common;
static struct source_options source_options;
static struct opt_list special;
static int64_t size, min_frequency, max_length;
static const char *pattern = "gpt2";

static const struct opt opts[] = {
    { 'n', "size", OPT_INT, &size, "SIZE", "tokens of the vocabulary, special ones and bytes included", 0, MOST_TOKENS },
    { 0, "pattern", OPT_STR, &pattern, "PATTERN", "gpt2 (default), cl100k_base or a regular expression", 0, 0 },
    { 0, "special", OPT_LIST, &special, "STR", "a special token; may be given again", 0, 0 },
    { 0, "min-frequency", OPT_INT, &min_frequency, "N", "no merge of a pair that is seen less often (1)", 0, 0 },
    { 0, "max-token-length", OPT_INT, &max_length, "N", "tokens of fewer than N bytes", 0, INT32_MAX },
    { 'k', "key", OPT_STR, &source_options.key, "KEY", "take the text from this key of JSONL (text)", 0, 0 },
    { 0, "from", OPT_CHOICE, &source_options.from, "auto|jsonl|txt", "what the files hold; auto: by content", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmvocab",
    .purpose = "train a byte-level BPE vocabulary on text",
    .operands = "[FILE...]",
    .example = "printf 'the cat\\nthe hat\\n' | lmvocab -n 260 --special '<|endoftext|>' -o tokenizer.json",
    .opts = opts,
    .common = OPT_JOBS | OPT_OUTPUT | OPT_QUIET | OPT_ONERROR,
};

struct run {
    struct bpe_train_words **words; /* a table a thread */
    struct io_progress progress;
};

/* Of a block in flight: a text of JSONL without its escapes. */
struct work {
    char *text;
    size_t cap;
};

static int take(void *ctx, void *work, const struct source_block *b, const struct source_doc *d, int thread, struct err *err)
{
    struct run *r = ctx;
    struct work *w = work;

    (void)b;
    if (!d->text.escaped)
        return bpe_train_words_add(r->words[thread], d->text.s, d->text.n, err);
    mem_grow(&w->text, &w->cap, d->text.n, 1);
    return bpe_train_words_add(r->words[thread], w->text, source_text(d, w->text), err);
}

static void bad(void *ctx, const char *message)
{
    (void)ctx;
    if (!common.quiet)
        err_warn("%s: skipped", message);
}

static void release(void *work)
{
    free(((struct work *)work)->text);
}

/* Count the words of all files; they are in r->words[0] then. */
static int count_words(struct run *r, struct source *source, const struct pretok *p, struct err *err)
{
    int jobs = (int)common.jobs, rc;
    struct docs d = {
        .source = source,
        .jobs = jobs,
        .skip = common.on_error == OPT_SKIP,
        .ctx = r,
        .work_size = sizeof(struct work),
        .take = take,
        .bad = bad,
        .release = release,
        .progress = &r->progress,
    };

    r->words = xcalloc((size_t)jobs, sizeof *r->words);
    for (int i = 0; i < jobs; i++)
        r->words[i] = bpe_train_words_new(p);
    io_progress_start(&r->progress, "docs", source_total(source), common.quiet);
    rc = docs_run(&d, err);
    io_progress_end(&r->progress);
    for (int i = 1; i < jobs; i++) {
        if (rc == 0)
            bpe_train_words_merge(r->words[0], r->words[i]);
        bpe_train_words_free(r->words[i]);
    }
    if (rc == 0 && d.left_out && !common.quiet)
        err_warn("%" PRIu64 " bad documents skipped", d.left_out);
    return rc;
}

static void check_options(void)
{
    if (!size)
        opt_die(&cmd, "-n SIZE is needed");
    for (int i = 0; i < special.n; i++) {
        if (!*special.v[i])
            opt_die(&cmd, "--special: an empty string");
        if (utf8_valid(special.v[i], strlen(special.v[i])) != strlen(special.v[i]))
            opt_die(&cmd, "--special: '%s' is not UTF-8", special.v[i]);
        for (int k = 0; k < i; k++)
            if (!strcmp(special.v[i], special.v[k]))
                opt_die(&cmd, "--special: '%s' is given twice", special.v[i]);
    }
    if (size < 256 + special.n)
        opt_die(&cmd, "-n %" PRId64 " is less than the 256 bytes and %d special tokens", size, special.n);
}

static struct bpe_train *train(char **files, int n, const struct pretok *p, struct err *err)
{
    struct bpe_train_options o = {
        .size = (uint32_t)size,
        .special = special.v,
        .n_special = special.n,
        .min_frequency = (uint64_t)min_frequency,
        .max_length = (uint32_t)max_length,
    };
    struct source *source = source_new(&source_options, files, n);
    struct bpe_train *t = NULL;
    struct run r;

    if (count_words(&r, source, p, err) == 0)
        t = bpe_train(r.words[0], &o, err);
    bpe_train_words_free(r.words[0]);
    free(r.words);
    source_free(source);
    return t;
}

int main(int argc, char **argv)
{
    int i = opt_parse(&cmd, &common, argc, argv);
    struct bpe_train *t;
    struct pretok *p;
    struct io_out out;
    struct err err;

    check_options();
    source_options.lines = source_options.newline = true;
    source_options.replace = common.on_error == OPT_REPLACE;
    for (int k = i; k < argc; k++)
        if (common.output && io_same_file(argv[k], common.output))
            opt_die(&cmd, "%s is both input and output", argv[k]);
    p = pretok_open(pattern, strlen(pattern), &err);
    if (!p)
        opt_die(&cmd, "--pattern: %s", err.msg);
    if (io_create(&out, common.output, false, &err) < 0 || !(t = train(argv + i, argc - i, p, &err)) ||
        bpe_train_write(t, pretok_pattern(p), &out, &err) < 0 || io_commit(&out, &err) < 0)
        die("%s", err.msg);
    if (t->n_tokens < (size_t)size && !common.quiet)
        err_warn("%zu tokens of %" PRId64 ": no pair is left that is seen often enough (%" PRId64 ")", t->n_tokens, size,
                 min_frequency ? min_frequency : 1);
    bpe_train_free(t);
    pretok_free(p);
    return 0;
}
