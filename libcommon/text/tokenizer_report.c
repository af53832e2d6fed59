#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/format/json.h"
#include "libcommon/format/report.h"
#include "libcommon/text/pretok.h"
#include "libcommon/text/spm.h"
#include "libcommon/text/tokenizer_load.h"

static void put_ids(struct report *r, const char *key, const uint32_t *v, int n)
{
    for (int i = 0; i < n; i++)
        if (v[i] != TOKENIZER_NONE) {
            const char *s = report_printf(r, "%u", v[i]);

            report_json(r, key, s, strlen(s));
        }
}

static void put(struct report *r, const struct tokenizer *t)
{
    const struct tokenizer_info *info = &t->info;

    report_string(r, "tokenizer", t->model->description);
    report_number(r, "vocab_size", info->vocab_size);
    if (t->model->report)
        t->model->report(t->model_data, r);
    report_number(r, "added_tokens", t->n_added);
    for (size_t i = 0; i < t->pretokenizer.n; i++) {
        const struct pretok *p = tokenizer_step_pretok(&t->pretokenizer.v[i]);

        if (!p)
            continue;
        report_string(r, "pattern", pretok_pattern(p));
        report_string(r, "scanner", pretok_name(p) ? pretok_name(p) : "regular expression");
    }
    put_ids(r, "bos", &info->bos, 1);
    put_ids(r, "eos", &info->eos, 1);
    put_ids(r, "pad", &info->pad, 1);
    put_ids(r, "prefix", info->prefix, info->n_prefix);
    put_ids(r, "suffix", info->suffix, info->n_suffix);
    report_string(r, "fingerprint", report_hex(r, info->fingerprint, sizeof info->fingerprint));
}

/* Is it JSON, where it is no other kind of file? */
static int check(const void *data, size_t n, const char *name, struct err *err)
{
    struct json j;

    if (spm_sniff(data, n))
        return 0;
    json_init(&j, data, n);
    return json_skip(&j) < 0 || json_next(&j) == JSON_ERROR ? json_error(&j, name, err) : 0;
}

int tokenizer_report(const void *data, size_t n, const char *path, struct report *r, struct err *err)
{
    char file[4096];
    const char *name = data ? path : tokenizer_file(path, file, sizeof file);
    struct io_map m = { 0 };
    struct tokenizer *t;
    struct err why;
    int rc = data ? 0 : io_map(&m, name, err);

    if (rc == 0)
        rc = check(data ? data : m.data, data ? n : m.size, name, err);
    io_unmap(&m);
    if (rc < 0)
        return -1;
    t = data ? tokenizer_parse(data, n, NULL, 0, name, &why) : tokenizer_open(path, &why);
    if (t)
        put(r, t);
    else
        report_string(r, "tokenizer", report_printf(r, "not one that lmtokenize takes: %s", why.msg));
    tokenizer_free(t);
    return 0;
}
