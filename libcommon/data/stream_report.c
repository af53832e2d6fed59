#include <string.h>

#include "libcommon/data/stream.h"
#include "libcommon/format/report.h"

static void put_id(struct report *r, const char *key, uint32_t id)
{
    if (id != STREAM_NONE)
        report_number(r, key, id);
}

void stream_report(const struct stream_header *h, struct report *r)
{
    static const uint8_t zero[32];
    const char *value;

    report_string(r, "kind", h->kind == STREAM_ROWS ? "rows" : "documents");
    report_string(r, "dtype", h->dtype == STREAM_U16 ? "uint16" : "int32");
    if (h->kind == STREAM_ROWS)
        report_number(r, "row_len", h->row_len);
    if (h->flags & STREAM_LOSS)
        report_item(r, "columns", "loss", 4);
    if (h->flags & STREAM_SEGMENTS)
        report_item(r, "columns", "segments", 8);
    report_number(r, "vocab_size", h->vocab_size);
    put_id(r, "bos", h->bos);
    put_id(r, "eod", h->eod);
    put_id(r, "pad", h->pad);
    report_string(r, "fingerprint", memcmp(h->fingerprint, zero, 32) == 0 ? "unknown" : report_hex(r, h->fingerprint, 32));
    for (int others = 0; others < 2; others++)
        for (const char *p = h->text; p && *p; p += strcspn(p, "\n") + 1) {
            value = p + strcspn(p, "\t") + 1;
            if (strncmp(p, "PG\t", 3) == 0 && !others)
                report_json(r, "PG", value, strcspn(value, "\n"));
            else if (strncmp(p, "PG\t", 3) != 0 && others)
                report_pair(r, "header", p, strcspn(p, "\t"), report_printf(r, "%.*s", (int)strcspn(value, "\n"), value));
        }
}
