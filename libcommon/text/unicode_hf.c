#include "libcommon/text/unicode_hf.h"

#include "libcommon/text/unicode_hf_table.h"

bool unicode_hf_is(enum unicode_hf set, uint32_t cp)
{
    const struct unicode_hf_range *v = unicode_hf_sets[set].v;
    int low = 0, high = unicode_hf_sets[set].n - 1;

    if (cp < 128)
        return unicode_hf_sets[set].ascii[cp / 64] >> cp % 64 & 1;
    while (low <= high) {
        int mid = (low + high) / 2;

        if (cp < v[mid].first)
            high = mid - 1;
        else if (cp > v[mid].last)
            low = mid + 1;
        else
            return true;
    }
    return false;
}

uint32_t unicode_hf_lower(uint32_t cp)
{
    int low = 0, high = unicode_hf_n_lowers - 1;

    if (cp < 0x80)
        return cp - 'A' < 26 ? cp + 32 : cp;
    while (low <= high) {
        int mid = (low + high) / 2;
        const struct unicode_hf_lower *r = &unicode_hf_lowers[mid];

        if (cp < r->first)
            high = mid - 1;
        else if (cp > r->last)
            low = mid + 1;
        else
            return (cp - r->first) % r->step ? cp : (uint32_t)((int32_t)cp + r->delta);
    }
    return cp;
}

int unicode_hf_script(uint32_t cp)
{
    int low = 0, high = unicode_hf_n_scripts - 1;

    while (low <= high) {
        int mid = (low + high) / 2;
        const struct unicode_hf_script *r = &unicode_hf_scripts[mid];

        if (cp < r->first)
            high = mid - 1;
        else if (cp > r->last)
            low = mid + 1;
        else
            return (int)r->script;
    }
    return -1;
}
