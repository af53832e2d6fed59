#include "libcommon/base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"

char *tree_join(const char *dir, const char *name)
{
    size_t n = strlen(dir), size = n + strlen(name) + 2;
    char *s = xmalloc(size);

    snprintf(s, size, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
    return s;
}

bool tree_holds(const char *dir, const char *name)
{
    char *path = tree_join(dir, name);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

bool tree_is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e = NULL;

    while (d && (e = readdir(d)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
        ;
    if (d)
        closedir(d);
    return d && !e;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int tree_remove(const char *path, struct err *err)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 ? err_set(err, "%s: remove:", path) : 0;
}

int tree_copy(const char *from, const char *name, const char *to, struct err *err)
{
    char *source = tree_join(from, name), *path = tree_join(to, name);
    struct stat st;
    struct io_map m = { 0 };
    int rc;

    if (stat(source, &st) < 0)
        rc = err_set(err, "%s:", source);
    else if (!S_ISREG(st.st_mode))
        rc = err_set(err, "%s: not a regular file", source);
    else
        rc = io_map(&m, source, err);
    if (rc == 0)
        rc = io_save(path, m.data, m.size, err);
    io_unmap(&m);
    free(source);
    free(path);
    return rc;
}

int tree_publish(const char *tmp, const char *path, const char *old, struct err *err)
{
    if (rename(tmp, path) == 0)
        return io_sync_dir(path, err);
    if (errno != ENOTEMPTY && errno != EEXIST)
        return err_set(err, "%s: rename:", path);
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return io_sync_dir(path, err) < 0 ? -1 : tree_remove(tmp, err);
    if (errno != EINVAL && errno != ENOSYS)
        return err_set(err, "%s: exchange:", path);
    if (rename(path, old) < 0)
        return err_set(err, "%s: rename:", path);
    if (rename(tmp, path) < 0) {
        err_set(err, "%s: rename:", path);
        rename(old, path);
        return -1;
    }
    return io_sync_dir(path, err) < 0 ? -1 : tree_remove(old, err);
}
