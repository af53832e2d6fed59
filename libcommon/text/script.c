/* script.c - a search of the table; see script.h. */
#include "libcommon/text/script.h"

int script_of(uint32_t cp)
{
    int low = 0, high = script_n_runs - 1;

    while (low <= high) {
        int mid = (low + high) / 2;

        if (cp < script_runs[mid].first)
            high = mid - 1;
        else if (cp > script_runs[mid].last)
            low = mid + 1;
        else
            return script_runs[mid].script;
    }
    return SCRIPT_COMMON;
}
