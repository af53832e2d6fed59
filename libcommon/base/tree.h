/* tree.h - directories that appear whole or not at all: filled under a hidden name beside, renamed at the end. */
#ifndef LIBCOMMON_BASE_TREE_H
#define LIBCOMMON_BASE_TREE_H

#include <stdbool.h>

#include "libcommon/base/err.h"

/* "dir/name", malloced; dir may end in '/'. */
char *tree_join(const char *dir, const char *name);
/* Is there such a file? */
bool tree_holds(const char *dir, const char *name);
/* Is there nothing in the directory? */
bool tree_is_empty(const char *dir);
/* Remove a file, or a directory and all below it. */
int tree_remove(const char *path, struct err *err);
/* A copy of from/name as to/name (io.h). */
int tree_copy(const char *from, const char *name, const char *to, struct err *err);
/* tmp, whose files are fsynced, takes the name `path`; a directory that had it is removed afterwards.  Where the
 * two cannot be exchanged it has the name `old` for a moment. */
int tree_publish(const char *tmp, const char *path, const char *old, struct err *err);

#endif
