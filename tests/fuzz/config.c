/* Bytes as a config.json: what is accepted has sizes that later arithmetic can bear. */
#include <stdlib.h>

#include "train/arch.h"
#include "train/rope.h"
#include "tests/fuzz/json_mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { POSITIONS = 4 };
    static float table[POSITIONS * 512];
    struct config c;
    struct err err;

    if (config_parse(&c, data, size, "fuzz", &err) < 0)
        return 0;
    for (int d = 0; d <= DIM_POS; d++)
        if (arch_dim(&c, d) < 1)
            abort();
    for (int64_t l = 0; l < c.layers; l++)
        if (c.windowed[l] && c.window < 1)
            abort();
    config_is_eos(&c, 0);
    if (c.rope.type != ROPE_NONE)
        rope_fill(&c, c.max_pos + 1, POSITIONS, table);
    config_close(&c);
    return 0;
}
