/* lmconvert - weights between Hugging Face's model directories and Megatron's checkpoints of many ranks.
 *
 * What the source is, it finds out; see train/convert.h, lmconvert(1).
 */
#include <signal.h>
#include <string.h>

#include "libcommon/base/opt.h"
#include "libcommon/weights/dtype.h"
#include "train/convert.h"

#define FORMS "hf|megatron"
#define DTYPES "keep|fp32|bf16|fp16"

static int to = -1, dtype;
static int64_t tp, pp, divisible, max_shard;
static const char *config;
static bool force;

static const struct opt opts[] = {
    { 0, "to", OPT_CHOICE, &to, FORMS, "a Hugging Face model directory, or a Megatron checkpoint", 0, 0 },
    { 0, "config", OPT_STR, &config, "DIR|FILE", "config.json, or a directory that holds it and the tokenizer's files", 0, 0 },
    { 0, "tp", OPT_INT, &tp, "N", "megatron: tensor parallel ranks", 1, 1 << 14 },
    { 0, "pp", OPT_INT, &pp, "N", "megatron: pipeline stages", 1, 1 << 14 },
    { 0, "make-vocab-size-divisible-by", OPT_INT, &divisible, "N", "megatron: pad the vocabulary to a multiple of N x tp", 1, 1 << 20 },
    { 0, "dtype", OPT_CHOICE, &dtype, DTYPES, "element type", 0, 0 },
    { 0, "max-shard-size", OPT_SIZE, &max_shard, "SIZE", "hf: bytes of a file of weights, if it can be", 1, INT64_MAX },
    { 0, "force", OPT_FLAG, &force, NULL, "replace a model or checkpoint that stands at DST", 0, 0 },
    { 0 },
};

static const struct opt_cmd cmd = {
    .name = "lmconvert",
    .purpose = "convert weights between Hugging Face and Megatron checkpoints",
    .operands = "SRC DST",
    .example = "lmconvert qwen2/ megatron/ --to megatron --tp 2 --pp 2",
    .opts = opts,
    .common = OPT_QUIET,
};

static volatile sig_atomic_t stopped; /* by this signal */

static void on_signal(int sig)
{
    stopped = sig;
}

static void listen_to_signals(void)
{
    static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction act = { .sa_handler = on_signal }, old;

    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++)
        if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(sigs[i], &act, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a write that is too large fails */
}

static void note(const char *message)
{
    err_warn("%s", message);
}

int main(int argc, char **argv)
{
    static const int dtypes[] = { -1, DTYPE_F32, DTYPE_BF16, DTYPE_F16 };
    struct opt_common common;
    int i = opt_parse(&cmd, &common, argc, argv);
    struct convert_options o = { .config = config, .max_shard = max_shard, .force = force, .quiet = common.quiet, .note = note,
                                 .stop = &stopped };
    struct convert *c;
    struct err err;
    int rc;

    if (to < 0)
        opt_die(&cmd, "--to hf or --to megatron is needed");
    if (argc - i != 2 || !*argv[i] || !*argv[i + 1])
        opt_die(&cmd, "a source and a destination are needed");
    o.to = (enum convert_form)to;
    if (o.to == CONVERT_HF && (tp || pp || divisible))
        opt_die(&cmd, "--tp, --pp and --make-vocab-size-divisible-by go with --to megatron");
    if (o.to == CONVERT_MEGATRON && max_shard)
        opt_die(&cmd, "--max-shard-size goes with --to hf");
    o.tp = tp ? tp : 1;
    o.pp = pp ? pp : 1;
    o.divisible = divisible ? divisible : 1;
    o.dtype = dtypes[dtype];
    listen_to_signals();
    c = convert_open(argv[i], &o, &err);
    rc = c ? convert_save(c, argv[i + 1], &err) : -1;
    if (rc < 0 && stopped) { /* end as if it had not been caught */
        signal(stopped, SIG_DFL);
        raise(stopped);
    }
    if (rc < 0)
        die("%s", err.msg);
    convert_close(c);
    return 0;
}
