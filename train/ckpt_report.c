#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/format/report.h"
#include "train/ckpt_file.h"

static int put_file(void *ctx, const char *path, uint64_t size, const uint8_t sha256[32], struct err *err)
{
    struct report *r = ctx;

    (void)sha256;
    (void)err;
    report_pair(r, "holds", path, strlen(path), report_printf(r, "%" PRIu64, size));
    return 0;
}

int ckpt_report(const char *path, struct report *r, struct err *err)
{
    const char *name = report_printf(r, "%s/state.json", path);
    struct ckpt_state s;
    struct io_map m;
    int rc = ckpt_verify(path, err) < 0 ? -1 : ckpt_map(&m, path, "state.json", CKPT_TEXT_MOST, err);

    if (rc < 0)
        return -1;
    rc = ckpt_parse_state(&s, m.data, m.size, name, err);
    io_unmap(&m);
    if (rc < 0 || ckpt_map(&m, path, "MANIFEST", CKPT_TEXT_MOST, err) < 0)
        return -1;
    report_number(r, "step", (uint64_t)s.step);
    report_number(r, "samples", s.samples);
    report_number(r, "loss_tokens", s.tokens);
    report_number(r, "seed", s.seed);
    rc = ckpt_check_manifest(m.data, m.size, path, put_file, r, err);
    io_unmap(&m);
    return rc;
}

int ckpt_report_run(const char *out, struct report *r, struct err *err)
{
    int64_t *steps, n = ckpt_list(out, false, &steps, err);
    int rc = n < 0 ? -1 : 0;

    for (int64_t i = 0; i < n; i++) {
        const char *name = report_printf(r, "step_%" PRId64, steps[i]);

        report_item(r, "checkpoint", name, strlen(name));
    }
    if (n > 0)
        report_number(r, "newest", (uint64_t)steps[n - 1]);
    for (int64_t i = 0; i < n && rc == 0; i++) {
        char *path = ckpt_step_path(out, "step_", steps[i], "");

        rc = ckpt_verify(path, err);
        free(path);
    }
    free(steps);
    return rc;
}
