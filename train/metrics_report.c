#include <inttypes.h>
#include <string.h>

#include "libcommon/format/report.h"
#include "train/metrics_file.h"

/* The event at p, of n bytes and more: its size, or -1. */
static int64_t parse_record(const uint8_t *p, size_t n, const char **why)
{
    uint64_t size;
    uint32_t crc;

    *why = "cut";
    if (n < METRICS_HEAD)
        return -1;
    memcpy(&size, p, 8);
    memcpy(&crc, p + 8, 4);
    *why = "the checksum of the length is wrong";
    if (metrics_crc(p, 8) != crc)
        return -1;
    *why = "cut";
    if (size > n - METRICS_HEAD || n - METRICS_HEAD - size < sizeof crc)
        return -1;
    memcpy(&crc, p + METRICS_HEAD + size, sizeof crc);
    *why = "the checksum of the event is wrong";
    return metrics_crc(p + METRICS_HEAD, size) == crc ? (int64_t)size : -1;
}

bool metrics_is_events(const void *data, size_t n)
{
    static const char version[] = "brain.Event:";
    const uint8_t *p = data;
    uint32_t crc;

    if (n < METRICS_HEAD)
        return false;
    memcpy(&crc, p + 8, 4);
    return metrics_crc(p, 8) == crc && memmem(p, n < 128 ? n : 128, version, sizeof version - 1);
}

int metrics_report(const void *data, size_t n, const char *name, struct report *r, struct err *err)
{
    const uint8_t *p = data, *end = p + n;
    uint64_t events = 0;

    while (p < end) {
        const char *why;
        int64_t size = parse_record(p, (size_t)(end - p), &why);

        if (size < 0)
            return err_set(err, "%s: byte %zu: event %" PRIu64 ": %s", name, (size_t)(p - (const uint8_t *)data), events, why);
        p += METRICS_HEAD + (size_t)size + sizeof(uint32_t);
        events++;
    }
    report_number(r, "events", events);
    return 0;
}
