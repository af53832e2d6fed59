/* metrics.h - the log of a run: OUT/metrics.tsv (a header line, then one line a step, flushed) and
 * OUT/events.out.tfevents.* for TensorBoard (TFRecord framing; protobuf Event with a simple_value a
 * column, written by hand).
 *
 * metrics.tsv of a resumed run goes on behind the step it resumes from: lines of later steps, and a
 * last line cut by a kill, are removed first, so that the deterministic columns of a resumed run are
 * those of an uninterrupted one.  Numbers are printed so that they read back as the same double.
 * The events of a resumed run are a new file, which begins by telling TensorBoard to forget the steps
 * behind the one it resumes from.  lmcheckpoint(5) has every byte.
 */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

struct metrics;

/* columns: names, NULL at the end, borrowed until metrics_close(); "step" is always the first and not
 * among them.  resume_step: the last step to keep; 0 starts anew.  OUT must exist.  NULL on error, as is
 * a metrics.tsv of other columns. */
struct metrics *metrics_open(const char *out, const char *const *columns, int64_t resume_step, struct err *err);
/* One line, values in the order of columns, a NaN for what was not measured (an empty field); wall: seconds since 1970, for TensorBoard only. */
int metrics_put(struct metrics *m, int64_t step, const double *values, double wall, struct err *err);
/* Frees m in any case. */
int metrics_close(struct metrics *m, struct err *err);

/* Is it a file of TensorBoard's events?  How many (report.h), the checksums of all compared. */
struct report;
bool metrics_is_events(const void *data, size_t n);
int metrics_report(const void *data, size_t n, const char *name, struct report *r, struct err *err);

#endif
