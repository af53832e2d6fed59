#include <inttypes.h>
#include <string.h>

#include "libcommon/base/num.h"
#include "libcommon/format/report.h"
#include "libcommon/weights/safetensors_file.h"
#include "libcommon/weights/torchzip_file.h"

static int put_value(struct torchzip_walk *w, const struct torchzip_value *v)
{
    struct report *r = w->ctx;
    const char *s = NULL;
    char number[NUM_ROOM];

    switch (v->type) {
    case TORCHZIP_NONE: s = "None"; break;
    case TORCHZIP_BOOL: s = v->i ? "True" : "False"; break;
    case TORCHZIP_INT: s = report_printf(r, "%" PRId64, v->i); break;
    case TORCHZIP_FLOAT: num_format(number, v->f); s = number; break;
    case TORCHZIP_STRING: s = report_printf(r, "%.*s", v->str.n < 1000 ? (int)v->str.n : 1000, v->str.s); break;
    case TORCHZIP_DTYPE: s = dtype_table[v->dtype].name; break;
    case TORCHZIP_OBJECT: s = report_printf(r, "%s.%s, not read", v->global->module, v->global->name); break;
    default: return 0;
    }
    report_pair(r, "value", w->path, w->n, s);
    return 0;
}

static void put_all(struct report *r, const struct torchzip *z, bool list)
{
    struct err err;
    struct torchzip_walk w = { .leaf = put_value, .ctx = r, .name = z->name, .most = SIZE_MAX, .err = &err };

    report_string(r, "form", z->zip ? "zip" : "pickles");
    report_number(r, "protocol", (uint64_t)z->protocol);
    report_number(r, "storages", (uint64_t)z->n_storages);
    safetensors_report_totals(r, (const struct tensor *)z->tensor, z->n, sizeof *z->tensor);
    if (!list)
        return;
    torchzip_walk(&w, z->root);
    safetensors_report_list(r, (const struct tensor *)z->tensor, z->n, sizeof *z->tensor);
}

int torchzip_report(const void *data, size_t size, const char *name, bool list, struct report *r, struct err *err)
{
    struct torchzip z;
    int rc;

    if (torchzip_parse(&z, data, size, name, err) < 0)
        return -1;
    put_all(r, &z, list);
    rc = torchzip_verify(&z, err);
    torchzip_close(&z);
    return rc;
}
