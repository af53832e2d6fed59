/* Templates: what compiles renders within its bounds, to valid UTF-8, twice the same. */
#include "libcommon/template/template.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char vars[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"S \\u00e9\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
    "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":1,\"function\":{\"name\":\"f\",\"arguments\":{\"x\":0.5}}}]}],"
    "\"tools\":null,\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"add_generation_prompt\":true,\"n\":-3,\"f\":1e300,\"l\":[3,\"b\",[1]]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct template_run *run;
    static const struct json_value *object;
    static struct arena arena;
    struct template_input in = { .vars = &object, .n_vars = 1, .memory = 1 << 20, .steps = 100000 };
    struct template_result out, again;
    struct template *t;
    struct err err;

    if (!run) {
        run = template_run_new();
        arena_init(&arena);
        object = json_tree(&arena, vars, sizeof vars - 1, "vars", &err);
    }
    t = template_new((const char *)data, size, "fuzz", &err);
    if (t && template_render(t, run, &in, &out, &err) == 0) {
        char *copy = malloc(out.n + 1);

        if (!copy || utf8_valid(out.text, out.n) != out.n || out.n > in.memory)
            abort();
        memcpy(copy, out.n ? out.text : "", out.n);
        if (template_render(t, run, &in, &again, &err) < 0 || again.n != out.n || (out.n && memcmp(copy, again.text, out.n)))
            abort();
        free(copy);
    }
    template_free(t);
    return 0;
}
