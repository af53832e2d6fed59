/* open.h - a model and its tokenizer as a user names them: the errors tell what to name instead. */
#ifndef TRAIN_OPEN_H
#define TRAIN_OPEN_H

#include "libcommon/template/chat.h"
#include "libcommon/tokenizer/tokenizer.h"
#include "train/model.h"

/* model_open() of a directory; of a run's directory (lmcheckpoint(5)) an error that names its newest
 * checkpoint, of a Megatron checkpoint one that names lmconvert. */
int open_model(struct model *m, const char *dir, struct err *err);

/* tokenizer_open() of path (the option -t), or of the model's directory where path is NULL. */
struct tokenizer *open_tokenizer(const char *path, const char *dir, struct err *err);

/* chat_open() of the directory that path stands for (tokenizer_dir()), or of the model's. */
struct chat *open_chat(const char *path, const char *dir, struct err *err);

#endif
