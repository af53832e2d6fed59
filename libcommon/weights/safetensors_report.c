#include <inttypes.h>
#include <string.h>

#include "libcommon/format/report.h"
#include "libcommon/weights/safetensors.h"

static void put_tensor(struct report *r, const struct tensor *t)
{
    const char *shape = "";

    for (int i = 0; i < t->rank; i++)
        shape = report_printf(r, "%s%s%" PRId64, shape, i ? "," : "", t->shape[i]);
    report_pair(r, "tensor", t->name, strlen(t->name), report_printf(r, "%s [%s]", dtype_table[t->dtype].name, shape));
}

void safetensors_report(const struct safetensors *s, bool list, struct report *r)
{
    uint64_t elements[DTYPE_COUNT] = { 0 }, tensors[DTYPE_COUNT] = { 0 }, total = 0, bytes = 0;

    for (int i = 0; i < s->n; i++) {
        tensors[s->tensor[i].dtype]++;
        elements[s->tensor[i].dtype] += (uint64_t)s->tensor[i].count;
        total += (uint64_t)s->tensor[i].count;
        bytes += s->tensor[i].size;
    }
    report_number(r, "files", s->n_map ? (uint64_t)s->n_map : 1);
    report_number(r, "tensors", (uint64_t)s->n);
    report_number(r, "parameters", total);
    report_number(r, "data_bytes", bytes);
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (tensors[d])
            report_pair(r, "dtype", dtype_table[d].name, strlen(dtype_table[d].name), report_printf(r, "%" PRIu64, elements[d]));
    for (int i = 0; i < s->n_meta; i++)
        report_pair(r, "metadata", s->meta[i].key, strlen(s->meta[i].key), s->meta[i].value);
    for (int i = 0; list && i < s->n; i++)
        put_tensor(r, &s->tensor[i]);
}
