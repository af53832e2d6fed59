#include "train/open.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "libcommon/base/tree.h"
#include "train/ckpt.h"
#include "train/convert.h"

int open_model(struct model *m, const char *dir, struct err *err)
{
    struct stat st;
    int64_t step;

    if (stat(dir, &st) == 0 && !S_ISDIR(st.st_mode))
        return err_set(err, "%s: not a directory: a model is named by the one that holds its config.json", dir);
    if (model_open(m, dir, err) == 0)
        return 0;
    if (convert_is_megatron(dir))
        return err_set(err, "%s: a Megatron checkpoint, which is not read as a model: lmconvert %s DIR --to hf makes one of it", dir, dir);
    step = tree_holds(dir, "config.json") ? -1 : ckpt_newest(dir);
    return step < 0 ? -1 : err_set(err, "%s: a run, not a model: name a checkpoint in it, the newest is step_%" PRId64, dir, step);
}

struct tokenizer *open_tokenizer(const char *path, const char *dir, struct err *err)
{
    char *file = tokenizer_file(path ? path : dir, err);

    free(file);
    if (file)
        return tokenizer_open(path ? path : dir, err);
    if (!path)
        err_set(err, "%s: no tokenizer is in it, by none of the names of lmtokenize(1): name the model's with -t", dir);
    return NULL;
}

struct chat *open_chat(const char *path, const char *dir, struct err *err)
{
    char *of = path ? tokenizer_dir(path) : NULL;
    struct chat *c = chat_open(of ? of : dir, err);

    free(of);
    return c;
}
