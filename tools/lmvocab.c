/* lmvocab - train a vocabulary on text: byte-level BPE, SentencePiece's BPE and Unigram.
 *
 * Blocks of the input are counted in parallel, a table of words a thread; libcommon/vocab/bpe_train.h and
 * sp_train.h have the rules.  See lmvocab(1).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/opt.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/docs.h"
#include "libcommon/vocab/bpe_train.h"
#include "libcommon/tokenizer/pretok.h"
#include "libcommon/tokenizer/tokenizer_family.h"
#include "libcommon/vocab/sp_train.h"

#define MOST_TOKENS (1 << 21)
#define MOST_SEEDS (1 << 21)

enum { BPE, SP_BPE, UNIGRAM };

static struct opt_common common;
static struct source_options source_options;
static struct opt_list special, control, user_defined;
static int64_t size, min_frequency, max_length;
static int type;
static const char *pattern;
/* of SentencePiece */
static struct sp_train_options sp;
static double character_coverage, shrinking_factor;
static int64_t max_piece, max_sentence, id[SP_RESERVED], seeds, sub_iterations;

/* Which types an option is for. */
enum { F_BPE = 1 << BPE, F_SP = 1 << SP_BPE | 1 << UNIGRAM, F_UNIGRAM = 1 << UNIGRAM, F_ALL = F_BPE | F_SP };

static const uint8_t is_for[] = {
    F_ALL, F_ALL, F_ALL, F_ALL, F_BPE, F_BPE, F_BPE, F_BPE, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP,
    F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_SP, F_UNIGRAM, F_UNIGRAM, F_UNIGRAM,
};

static const struct opt opts[] = {
    { 'n', "vocab-size", OPT_INT, &size, "SIZE", "tokens of the vocabulary, special ones and bytes included", 1, MOST_TOKENS },
    { 0, "type", OPT_CHOICE, &type, "bpe|sp-bpe|unigram", "byte-level BPE (default), or what SentencePiece trains", 0, 0 },
    { 'k', "key", OPT_STR, &source_options.key, "KEY", "take the text from this key of JSONL (text)", 0, 0 },
    { 0, "from", OPT_CHOICE, &source_options.from, "auto|jsonl|txt", "what the files hold; auto: by content", 0, 0 },
    { 0, "pattern", OPT_STR, &pattern, "PATTERN", "bpe: a name of lmtokenize(1), as gpt2 (default), or a regular expression", 0, 0 },
    { 0, "special", OPT_LIST, &special, "STR", "bpe: a special token; may be given again", 0, 0 },
    { 0, "min-frequency", OPT_INT, &min_frequency, "N", "bpe: no merge of a pair that is seen less often (1)", 0, 0 },
    { 0, "max-token-length", OPT_INT, &max_length, "N", "bpe: tokens of fewer than N bytes", 0, INT32_MAX },
    { 0, "character-coverage", OPT_FLOAT, &character_coverage, "SHARE", "of the text that required characters make up (0.9995)", 0, 0 },
    { 0, "byte-fallback", OPT_BOOL, &sp.byte_fallback, "BOOL", "256 pieces for the bytes of unknown characters (false)", 0, 0 },
    { 0, "split-digits", OPT_BOOL, &sp.split_digits, "BOOL", "a digit is a piece of its own (false)", 0, 0 },
    { 0, "split-by-unicode-script", OPT_BOOL, &sp.split_by_unicode_script, "BOOL", "one script a piece (true)", 0, 0 },
    { 0, "split-by-number", OPT_BOOL, &sp.split_by_number, "BOOL", "digits join no letters (true)", 0, 0 },
    { 0, "split-by-whitespace", OPT_BOOL, &sp.split_by_whitespace, "BOOL", "no space within a piece (true)", 0, 0 },
    { 0, "allow-whitespace-only-pieces", OPT_BOOL, &sp.allow_whitespace_only_pieces, "BOOL", "pieces of spaces (false)", 0, 0 },
    { 0, "add-dummy-prefix", OPT_BOOL, &sp.add_dummy_prefix, "BOOL", "a space in front of the text (true)", 0, 0 },
    { 0, "remove-extra-whitespaces", OPT_BOOL, &sp.remove_extra_whitespaces, "BOOL", "spaces at the ends, and twice (true)", 0, 0 },
    { 0, "normalization-rule-name", OPT_CHOICE, &sp.normalization, "nmt_nfkc|nfkc|identity", "how text is normalised (nmt_nfkc)", 0, 0 },
    { 0, "control-symbols", OPT_LIST, &control, "STR,...", "pieces that text does not give; may be given again", 0, 0 },
    { 0, "user-defined-symbols", OPT_LIST, &user_defined, "STR,...", "pieces that are never parted; may be given again", 0, 0 },
    { 0, "unk-id", OPT_INT, &id[SP_UNK], "ID", "of <unk> (0)", 0, MOST_TOKENS },
    { 0, "bos-id", OPT_INT, &id[SP_BOS], "ID", "of <s> (1); -1: none", -1, MOST_TOKENS },
    { 0, "eos-id", OPT_INT, &id[SP_EOS], "ID", "of </s> (2); -1: none", -1, MOST_TOKENS },
    { 0, "pad-id", OPT_INT, &id[SP_PAD], "ID", "of <pad> (-1, none)", -1, MOST_TOKENS },
    { 0, "max-sentencepiece-length", OPT_INT, &max_piece, "N", "characters of a piece (16)", 1, 512 },
    { 0, "max-sentence-length", OPT_INT, &max_sentence, "N", "bytes of a line; longer ones are left out (4192)", 10, 1 << 30 },
    { 0, "seed-sentencepiece-size", OPT_INT, &seeds, "N", "unigram: pieces to begin with (1000000)", 1, MOST_SEEDS },
    { 0, "num-sub-iterations", OPT_INT, &sub_iterations, "N", "unigram: rounds of EM before a pruning (2)", 1, 10 },
    { 0, "shrinking-factor", OPT_FLOAT, &shrinking_factor, "SHARE", "unigram: of the pieces that a pruning keeps (0.75)", 0, 0 },
    { 0 },
};

#define N_OPTS (sizeof opts / sizeof *opts - 1)
_Static_assert(N_OPTS == sizeof is_for, "an entry an option");

static const struct opt_cmd cmd = {
    .name = "lmvocab",
    .purpose = "train a vocabulary on text: BPE or Unigram",
    .operands = "[FILE...]",
    .example = "printf 'the cat\\nthe hat\\n' | lmvocab -n 260 --special '<|endoftext|>' -o tokenizer.json",
    .opts = opts,
    .common = OPT_JOBS | OPT_OUTPUT | OPT_QUIET | OPT_ONERROR,
};

struct run {
    struct bpe_train_words **words; /* a table a thread, or */
    struct sp_train *sp;
    struct io_progress progress;
};

/* Of a block in flight: a text of JSONL without its escapes. */
struct work {
    char *text;
    size_t cap;
};

static int count(struct run *r, const char *text, size_t n, int thread, struct err *err)
{
    if (!r->sp)
        return bpe_train_words_add(r->words[thread], text, n, err);
    sp_train_add(r->sp, text, n, thread);
    return 0;
}

static int take(void *ctx, void *work, const struct source_block *b, const struct source_doc *d, int thread, struct err *err)
{
    struct run *r = ctx;
    struct work *w = work;

    (void)b;
    if (!d->text.escaped)
        return count(r, d->text.s, d->text.n, thread, err);
    mem_grow(&w->text, &w->cap, d->text.n, 1);
    return count(r, w->text, source_text(d, w->text), thread, err);
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

/* Count the words of all files. */
static int count_words(struct run *r, char **files, int n, struct err *err)
{
    struct docs d = {
        .source = source_new(&source_options, files, n),
        .jobs = (int)common.jobs,
        .skip = common.on_error == OPT_SKIP,
        .ctx = r,
        .work_size = sizeof(struct work),
        .take = take,
        .bad = bad,
        .release = release,
        .progress = &r->progress,
    };
    int rc;

    io_progress_start(&r->progress, "docs", source_total(d.source), common.quiet);
    rc = docs_run(&d, err);
    io_progress_end(&r->progress);
    source_free(d.source);
    if (rc == 0 && d.left_out && !common.quiet)
        err_warn("%" PRIu64 " bad documents skipped", d.left_out);
    return rc;
}

/* Symbols apart at commas. */
static void add_symbols(struct opt_list *out, const struct opt_list *in)
{
    for (int i = 0; i < in->n; i++)
        for (char *s = xstrdup(in->v[i]), *next; s; s = next) {
            next = strchr(s, ',');
            if (next)
                *next++ = 0;
            out->v = xrealloc(out->v, ((size_t)out->n + 1) * sizeof *out->v);
            out->v[out->n++] = s;
        }
}

static void check_texts(const char *option, const struct opt_list *l, const struct opt_list *other)
{
    for (int i = 0; i < l->n; i++) {
        if (!*l->v[i])
            opt_die(&cmd, "--%s: an empty string", option);
        if (utf8_valid(l->v[i], strlen(l->v[i])) != strlen(l->v[i]))
            opt_die(&cmd, "--%s: '%s' is not UTF-8", option, l->v[i]);
        for (int k = 0; k < i; k++)
            if (!strcmp(l->v[i], l->v[k]))
                opt_die(&cmd, "--%s: '%s' is given twice", option, l->v[i]);
        for (int k = 0; other && k < other->n; k++)
            if (!strcmp(l->v[i], other->v[k]))
                opt_die(&cmd, "--%s: '%s' is given twice", option, l->v[i]);
    }
}

/* Options as they are before the command line, to know what it gives. */
static char before[N_OPTS][64];

static void set_defaults(void)
{
    sp = sp_train_defaults();
    character_coverage = (double)sp.character_coverage;
    shrinking_factor = (double)sp.shrinking_factor;
    max_piece = sp.max_sentencepiece_length;
    max_sentence = sp.max_sentence_length;
    seeds = sp.seed_sentencepiece_size;
    sub_iterations = sp.num_sub_iterations;
    for (int i = 0; i < SP_RESERVED; i++)
        id[i] = sp.id[i];
    for (size_t i = 0; i < N_OPTS; i++)
        opt_format(&opts[i], before[i], sizeof before[i]);
}

static void check_type(void)
{
    for (size_t i = 0; i < N_OPTS; i++) {
        char now[64];
        bool given = opts[i].type == OPT_LIST && ((const struct opt_list *)opts[i].var)->n;

        opt_format(&opts[i], now, sizeof now);
        if ((given || strcmp(now, before[i])) && !(is_for[i] & 1 << type))
            opt_die(&cmd, "--%s is not for this --type", opts[i].name);
    }
}

static void check_options(void)
{
    struct opt_list c = { NULL, 0 }, u = { NULL, 0 };

    if (!size)
        opt_die(&cmd, "-n SIZE is needed");
    check_type();
    check_texts("special", &special, NULL);
    if (type == BPE && size < 256 + special.n)
        opt_die(&cmd, "-n %" PRId64 " is less than the 256 bytes and %d special tokens", size, special.n);
    if (!(character_coverage >= 0.98 && character_coverage <= 1))
        opt_die(&cmd, "--character-coverage: %g is not within 0.98..1", character_coverage);
    if (!(shrinking_factor >= 0.5 && shrinking_factor <= 0.95))
        opt_die(&cmd, "--shrinking-factor: %g is not within 0.5..0.95", shrinking_factor);
    add_symbols(&c, &control);
    add_symbols(&u, &user_defined);
    check_texts("control-symbols", &c, NULL);
    check_texts("user-defined-symbols", &u, &c);
    sp.unigram = type == UNIGRAM;
    sp.vocab_size = (uint32_t)size;
    sp.character_coverage = (float)character_coverage;
    sp.shrinking_factor = (float)shrinking_factor;
    sp.max_sentencepiece_length = (uint32_t)max_piece;
    sp.max_sentence_length = (uint32_t)max_sentence;
    sp.seed_sentencepiece_size = (uint32_t)seeds;
    sp.num_sub_iterations = (uint32_t)sub_iterations;
    sp.control_symbols = c.v;
    sp.n_control = c.n;
    sp.user_defined_symbols = u.v;
    sp.n_user_defined = u.n;
    for (int i = 0; i < SP_RESERVED; i++)
        sp.id[i] = (int32_t)id[i];
}

static bool output_ends(const char *suffix)
{
    size_t n = common.output ? strlen(common.output) : 0, k = strlen(suffix);

    return n > k && !strcasecmp(common.output + n - k, suffix);
}

static bool wants_model(void)
{
    return output_ends(".model");
}

/* What is there and no file, /dev/stdout say, may have any name. */
static void check_output(void)
{
    struct stat st;

    if (!common.output || !strcmp(common.output, "-") || wants_model() || output_ends(".json"))
        return;
    if (stat(common.output, &st) < 0 || S_ISREG(st.st_mode))
        opt_die(&cmd, "%s: the name of a vocabulary ends in .json or .model", common.output);
}

/* What --pattern names, as pretok.h takes it. */
static const char *the_pattern(void)
{
    const char *name = pattern ? pattern : "gpt2";
    struct tokenizer_family room;
    const struct tokenizer_family *f;
    struct err err;

    if (pretok_expression(name))
        return name;
    f = tokenizer_family_of(name, &room, &err);
    if (!f)
        opt_die(&cmd, "--pattern: %s", err.msg);
    if (f->given)
        return name;
    if (f->step[1] || *f->step[0] == '{' || f->nfc)
        opt_die(&cmd, "--pattern: '%s' is not one expression alone: it cuts in steps, or normalises", name);
    return f->step[0];
}

static int train_bpe(char **files, int n, struct io_out *out, size_t *tokens, struct err *err)
{
    struct bpe_train_options o = {
        .size = (uint32_t)size,
        .special = special.v,
        .n_special = special.n,
        .min_frequency = (uint64_t)min_frequency,
        .max_length = (uint32_t)max_length,
    };
    const char *name = the_pattern();
    struct pretok *p = pretok_open(name, strlen(name), err);
    int jobs = (int)common.jobs, rc;
    struct bpe_train *t = NULL;
    struct run r = { .words = xcalloc((size_t)jobs, sizeof *r.words) };

    if (!p)
        opt_die(&cmd, "--pattern: %s", err->msg);
    if (wants_model())
        opt_die(&cmd, "%s: a byte-level vocabulary is written as tokenizer.json only", common.output);
    for (int i = 0; i < jobs; i++)
        r.words[i] = bpe_train_words_new(p);
    rc = io_create(out, common.output, false, err) < 0 ? -1 : count_words(&r, files, n, err);
    for (int i = 1; i < jobs; i++) {
        if (rc == 0)
            bpe_train_words_merge(r.words[0], r.words[i]);
        bpe_train_words_free(r.words[i]);
    }
    if (rc == 0 && (t = bpe_train(r.words[0], &o, err)))
        *tokens = t->n_tokens;
    rc = t ? bpe_train_write(t, pretok_pattern(p), out, err) : -1;
    bpe_train_words_free(r.words[0]);
    free(r.words);
    bpe_train_free(t);
    pretok_free(p);
    return rc;
}

static int train_sp(char **files, int n, struct io_out *out, size_t *tokens, struct err *err)
{
    struct run r = { .sp = sp_train_new(&sp, (int)common.jobs, err) };
    struct par *par;
    int rc;

    if (!r.sp)
        opt_die(&cmd, "%s", err->msg);
    rc = io_create(out, common.output, wants_model(), err) < 0 ? -1 : count_words(&r, files, n, err);
    if (rc == 0 && sp_train_too_long(r.sp) && !common.quiet)
        err_warn("%" PRIu64 " lines of more than %" PRId64 " bytes left out (--max-sentence-length)", sp_train_too_long(r.sp), max_sentence);
    if (rc == 0 && sp_train_with_reserved(r.sp) && !common.quiet)
        err_warn("%" PRIu64 " lines with U+2585, which is reserved, left out", sp_train_with_reserved(r.sp));
    par = par_new((int)common.jobs);
    if (rc == 0)
        rc = sp_train(r.sp, par, tokens, err) ? 0 : -1;
    par_free(par);
    if (rc == 0)
        rc = (wants_model() ? sp_train_write_model : sp_train_write_json)(r.sp, out, err);
    sp_train_free(r.sp);
    return rc;
}

int main(int argc, char **argv)
{
    struct io_out out = { .fd = -1 };
    struct err err;
    size_t tokens = 0;
    int i;

    set_defaults();
    i = opt_parse(&cmd, &common, argc, argv);
    check_options();
    source_options.lines = source_options.newline = true;
    source_options.replace = common.on_error == OPT_REPLACE;
    for (int k = i; k < argc; k++)
        if (common.output && io_same_file(argv[k], common.output))
            opt_die(&cmd, "%s is both input and output", argv[k]);
    check_output();
    if ((type == BPE ? train_bpe : train_sp)(argv + i, argc - i, &out, &tokens, &err) < 0 || io_commit(&out, &err) < 0)
        die("%s", err.msg);
    if (tokens < (size_t)size && !common.quiet && type == BPE)
        err_warn("%zu tokens of %" PRId64 ": no pair is left that is seen often enough (%" PRId64 ")", tokens, size,
                 min_frequency ? min_frequency : 1);
    if (tokens < (size_t)size && !common.quiet && type != BPE)
        err_warn("%zu pieces of %" PRId64 ": the text has no more", tokens, size);
    return 0;
}
