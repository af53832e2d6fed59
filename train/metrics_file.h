/* metrics_file.h - the records of TensorBoard's files: a length of eight bytes, its checksum, the event, its checksum. */
#ifndef TRAIN_METRICS_FILE_H
#define TRAIN_METRICS_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "train/metrics.h"

enum { METRICS_HEAD = 12 }; /* bytes before an event */

/* CRC-32C as TFRecord masks it. */
uint32_t metrics_crc(const void *p, size_t n);

#endif
