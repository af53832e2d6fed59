#include "libcommon/data/index.h"
#include "libcommon/format/report.h"

void index_report(const struct index *x, struct report *r)
{
    report_string(r, "dtype", index_type(x->dtype)->name);
    report_number(r, "documents", x->n_documents);
    report_number(r, "sequences", x->n_sequences);
    report_number(r, "tokens", x->n_tokens);
    report_string(r, "modes", x->modes ? "yes" : "no");
}
