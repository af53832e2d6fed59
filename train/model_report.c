#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/base/tree.h"
#include "libcommon/format/json.h"
#include "libcommon/format/report.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "libcommon/weights/safetensors.h"
#include "train/model.h"

/* One more thing that was verified. */
static void add(struct report *r, const char **verified, const char *what)
{
    *verified = *verified ? report_printf(r, "%s, %s", *verified, what) : what;
}

static int put_config(struct report *r, const char *path, struct err *err)
{
    struct io_map m;
    int rc = io_map(&m, path, err);

    if (rc < 0)
        return -1;
    rc = json_report(m.data, m.size, path, r, err);
    io_unmap(&m);
    return rc;
}

int model_report_beside(const char *dir, struct report *r, const char **verified, struct err *err)
{
    size_t n = strlen(dir);

    if (tree_holds(dir, "config.json")) {
        if (put_config(r, report_printf(r, "%s%sconfig.json", dir, n && dir[n - 1] == '/' ? "" : "/"), err) < 0)
            return -1;
        add(r, verified, "syntax of config.json");
    }
    if (tokenizer_is_in(dir)) {
        if (tokenizer_report(NULL, 0, dir, r, err) < 0)
            return -1;
        add(r, verified, "structure of the tokenizer");
    }
    return 0;
}

int model_report(const char *dir, bool list, struct report *r, const char **verified, struct err *err)
{
    struct safetensors s;

    if (model_report_beside(dir, r, verified, err) < 0)
        return -1;
    if (!tree_holds(dir, "model.safetensors") && !tree_holds(dir, "model.safetensors.index.json")) {
        report_string(r, "weights", "none");
        return 0;
    }
    if (safetensors_open(&s, dir, err) < 0)
        return -1;
    safetensors_report(&s, list, r);
    safetensors_close(&s);
    add(r, verified, "headers, shapes, offsets and sizes of the weights");
    return 0;
}
