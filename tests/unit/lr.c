/* Learning rates against Megatron-LM's tables, and by hand at the points where a phase begins or ends. */
#include "train/lr.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/base/io.h"
#include "libcommon/format/json.h"
#include "tests/tap.h"

static int choice(const char *list, const char *name)
{
    for (int i = 0;; i++) {
        size_t n = strcspn(list, "|");

        if (n == strlen(name) && strncmp(list, name, n) == 0)
            return i;
        if (!list[n])
            return -1;
        list += n + 1;
    }
}

static void by_hand(void)
{
    struct lr l = { .style = LR_COSINE, .max = 1, .min = 0.1, .warmup = 10, .decay = 110 };

    OK(lr_at(&l, 0) == 0);
    OK(lr_at(&l, 5) == 0.5);
    OK(lr_at(&l, 10) == 1);
    OK(fabs(lr_at(&l, 60) - 0.55) < 1e-15);
    OK(fabs(lr_at(&l, 110) - 0.1) < 1e-15);
    OK(lr_at(&l, 111) == 0.1);
    l.style = LR_WSD;
    l.wsd_style = LR_WSD_LINEAR;
    l.wsd_decay = 20;
    OK(lr_at(&l, 90) == 1);
    OK(fabs(lr_at(&l, 100) - 0.55) < 1e-15);
    l.style = LR_CONSTANT;
    OK(lr_at(&l, 1e9) == 1);
}

static void table(const struct json_value *t, int i)
{
    const char *style = json_get(t, "lr_decay_style")->str;
    const struct json_value *wsd = json_get(t, "lr_wsd_decay_style"), *row = json_get(t, "num_steps_lr_wd")->child;
    struct lr l = { .style = choice(LR_STYLES, style), .max = json_get(t, "max_lr")->num, .min = json_get(t, "min_lr")->num,
                    .warmup = json_get(t, "lr_warmup_steps")->num, .decay = json_get(t, "lr_decay_steps")->num };
    int rows = 0;
    double worst = 0;

    if (wsd && wsd->str) {
        l.wsd_style = choice(LR_WSD_STYLES, wsd->str);
        l.wsd_decay = json_get(t, "wsd_decay_steps")->num;
    }
    for (; row; row = row->next, rows++)
        worst = fmax(worst, fabs(lr_at(&l, json_at(row, 0)->num) - json_at(row, 1)->num));
    OKF(l.style >= 0 && l.wsd_style >= 0 && rows > 10 && worst <= 1e-17, "table %d, %s: off by %g in %d rows", i, style,
        worst, rows);
}

static void tables(const char *path)
{
    struct arena arena;
    struct io_map m;
    struct err err;
    const struct json_value *v;
    int i = 0;

    arena_init(&arena);
    if (io_map(&m, path, &err) < 0 || !(v = json_tree(&arena, m.data, m.size, path, &err))) {
        OKF(false, "%s", err.msg);
        return;
    }
    for (v = json_get(v, "megatron_schedules")->child; v; v = v->next)
        if (json_get(v, "init_lr")->num == 0)
            table(v, i++);
    OK(i >= 10);
    arena_release(&arena);
    io_unmap(&m);
}

int main(void)
{
    const char *path = tap_shared("golden/post/optim/golden.json");

    by_hand();
    if (path)
        tables(path);
    else
        SKIP("Megatron-LM's tables", "../shared is absent");
    return tap_done();
}
