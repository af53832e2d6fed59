#include "libcommon/base/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/io.h"

#define NAME 64       /* hexadecimal digits */
#define FORGOTTEN 600 /* seconds: a temporary file that is older is no one's */

static const char magic[8] = "lmcache\n";

struct head {
    char magic[8];
    uint8_t key[32];
    uint64_t n, crc; /* CRC-32C of the bytes behind */
};

static bool is_ours(const struct stat *st)
{
    return st->st_uid == geteuid() && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* The path of the directory; false: none is wanted, or none is known. */
static bool find_path(char *path, size_t n)
{
    const char *own = getenv("LMPIPE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int len;

    if (own && (!*own || strcmp(own, "off") == 0))
        return false;
    if (own)
        len = snprintf(path, n, "%s", own);
    else if (xdg && *xdg == '/')
        len = snprintf(path, n, "%s/lmpipe", xdg);
    else if (home && *home == '/')
        len = snprintf(path, n, "%s/.cache/lmpipe", home);
    else
        return false;
    return len > 0 && (size_t)len < n;
}

/* The directory itself, which its parent may lack; -1. */
static int open_dir(bool make)
{
    char path[4096], *slash;
    struct stat st;
    int fd;

    if (!find_path(path, sizeof path))
        return -1;
    if (make && mkdir(path, 0700) < 0 && (slash = strrchr(path, '/')) != NULL && slash > path) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
        mkdir(path, 0700);
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !is_ours(&st))) {
        close(fd);
        return -1;
    }
    return fd;
}

static void make_name(const uint8_t key[32], char name[NAME + 1])
{
    for (int i = 0; i < 32; i++)
        snprintf(name + 2 * i, 3, "%02x", key[i]);
}

/* The whole of the file, where it is what is kept under the key. */
static bool map_file(int fd, const uint8_t key[32], struct cache_entry *e)
{
    const struct head *h;
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_ours(&st) || st.st_size < (off_t)sizeof *h)
        return false;
    h = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (h == MAP_FAILED)
        return false;
    e->map = (void *)(uintptr_t)h;
    e->map_n = (size_t)st.st_size;
    e->data = h + 1;
    e->n = e->map_n - sizeof *h;
    if (memcmp(h->magic, magic, sizeof magic) == 0 && memcmp(h->key, key, 32) == 0 && h->n == e->n &&
        h->crc == hash_crc32c(0, e->data, e->n))
        return true;
    cache_release(e);
    return false;
}

bool cache_find(const uint8_t key[32], struct cache_entry *e)
{
    int dir = open_dir(false), fd = -1;
    char name[NAME + 1];
    bool found = false;

    make_name(key, name);
    if (dir >= 0)
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        found = map_file(fd, key, e);
        if (found)
            futimens(fd, NULL); /* it is used */
        close(fd);
    }
    if (dir >= 0)
        close(dir);
    return found;
}

void cache_release(struct cache_entry *e)
{
    munmap(e->map, e->map_n);
    *e = (struct cache_entry){ 0 };
}

struct census {
    size_t files;
    uint64_t bytes;
    char oldest[NAME + 1];
    struct timespec used;
};

static bool before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static void count(int dir, const char *name, struct census *c)
{
    size_t len = strlen(name);
    struct stat st;

    if (len < NAME || strspn(name, "0123456789abcdef") != NAME || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (len > NAME) {
        if (time(NULL) - st.st_mtim.tv_sec > FORGOTTEN)
            unlinkat(dir, name, 0);
        return;
    }
    c->bytes += (uint64_t)st.st_size;
    if (!c->files++ || before(st.st_mtim, c->used)) {
        memcpy(c->oldest, name, NAME + 1);
        c->used = st.st_mtim;
    }
}

/* Make room for another file of n bytes. */
static void make_room(int dir, uint64_t n)
{
    for (int tries = 0; tries < 2 * CACHE_FILES; tries++) {
        struct census c = { 0 };
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d) {
            if (fd >= 0)
                close(fd);
            return;
        }
        for (struct dirent *e; (e = readdir(d)) != NULL;)
            count(dir, e->d_name, &c);
        closedir(d);
        if (c.files < CACHE_FILES && c.bytes + n <= CACHE_BYTES)
            return;
        unlinkat(dir, c.oldest, 0);
    }
}

void cache_keep(const uint8_t key[32], const void *data, size_t n)
{
    struct head h = { .n = n, .crc = hash_crc32c(0, data, n) };
    char name[NAME + 1], tmp[NAME + 32];
    struct rlimit most;
    int dir, fd;
    bool whole;

    if (n > CACHE_BYTES / 4 || getrlimit(RLIMIT_FSIZE, &most) < 0 || most.rlim_cur < sizeof h + n) /* SIGXFSZ */
        return;
    dir = open_dir(true);
    if (dir < 0)
        return;
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.key, key, 32);
    make_name(key, name);
    make_room(dir, sizeof h + n);
    snprintf(tmp, sizeof tmp, "%s.%ld.tmp", name, (long)getpid());
    fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        whole = io_write(fd, &h, sizeof h) == 0 && io_write(fd, data, n) == 0;
        whole = close(fd) == 0 && whole;
        if (!whole || renameat(dir, tmp, dir, name) < 0)
            unlinkat(dir, tmp, 0);
    }
    close(dir);
}
