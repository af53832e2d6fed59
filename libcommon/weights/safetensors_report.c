#include <inttypes.h>
#include <string.h>

#include "libcommon/format/report.h"
#include "libcommon/weights/safetensors_file.h"

static void put_tensor(struct report *r, const struct tensor *t)
{
    const char *shape = "";

    for (int i = 0; i < t->rank; i++)
        shape = report_printf(r, "%s%s%" PRId64, shape, i ? "," : "", t->shape[i]);
    report_pair(r, "tensor", t->name, strlen(t->name), report_printf(r, "%s [%s]", dtype_table[t->dtype].name, shape));
}

static const struct tensor *next(const struct tensor *t, size_t step)
{
    return (const void *)((const char *)t + step);
}

void safetensors_report_totals(struct report *r, const struct tensor *t, int n, size_t step)
{
    uint64_t elements[DTYPE_COUNT] = { 0 }, tensors[DTYPE_COUNT] = { 0 }, total = 0, bytes = 0;

    for (int i = 0; i < n; i++, t = next(t, step)) {
        tensors[t->dtype]++;
        elements[t->dtype] += (uint64_t)t->count;
        total += (uint64_t)t->count;
        bytes += t->size;
    }
    report_number(r, "tensors", (uint64_t)n);
    report_number(r, "parameters", total);
    report_number(r, "data_bytes", bytes);
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (tensors[d])
            report_pair(r, "dtype", dtype_table[d].name, strlen(dtype_table[d].name), report_printf(r, "%" PRIu64, elements[d]));
}

void safetensors_report_list(struct report *r, const struct tensor *t, int n, size_t step)
{
    for (int i = 0; i < n; i++, t = next(t, step))
        put_tensor(r, t);
}

void safetensors_report(const struct safetensors *s, bool list, struct report *r)
{
    report_number(r, "files", s->n_map ? (uint64_t)s->n_map : 1);
    safetensors_report_totals(r, s->tensor, s->n, sizeof *s->tensor);
    for (int i = 0; i < s->n_meta; i++)
        report_pair(r, "metadata", s->meta[i].key, strlen(s->meta[i].key), s->meta[i].value);
    if (list)
        safetensors_report_list(r, s->tensor, s->n, sizeof *s->tensor);
}
