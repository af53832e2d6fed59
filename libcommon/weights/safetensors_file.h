/* safetensors_file.h - what the files of safetensors share: reading shard by shard. */
#ifndef LIBCOMMON_WEIGHTS_SAFETENSORS_FILE_H
#define LIBCOMMON_WEIGHTS_SAFETENSORS_FILE_H

#include "libcommon/weights/safetensors.h"

/* Append the tensors of one file in memory; name must outlive s.  The caller calls safetensors_sort() after the
 * last, and safetensors_close() on failure. */
int safetensors_add(struct safetensors *s, const void *data, size_t size, const char *name, struct err *err);

/* Into name order; a name twice is an error. */
int safetensors_sort(struct safetensors *s, struct err *err);

/* Set count and size from dtype and shape; -1 where they overflow or are not whole bytes. */
int safetensors_measure(struct tensor *t, struct err *err);

/* Into a report: numbers and types of n tensors, `step` bytes apart; each of them. */
struct report;
void safetensors_report_totals(struct report *r, const struct tensor *t, int n, size_t step);
void safetensors_report_list(struct report *r, const struct tensor *t, int n, size_t step);

#endif
