/* malloc.c - preloaded into a program by tests/fault/walk.sh: allocations fail as if memory were at its end.
 *
 *   FAULT_AT=N       the Nth one after main() has begun fails
 *   FAULT_ON=1       all after it as well
 *   FAULT_COUNT=FILE where to write, at exit, how many were asked for
 *
 * Counted are the program's calls and those of the libraries it uses: of malloc and its kin, of mmap and of
 * pthread_create, which allocates inside libc.  A program that hangs is ended by SIGALRM.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATIENCE = 30 }; /* seconds */

/* glibc's own, under its other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t align, size_t size);
int __libc_start_main(int (*program)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack);

static int (*real_main)(int, char **, char **);
static bool begun, all_after;
static long at, count;

/* Is it this call that fails? */
static bool fails(void)
{
    long n;

    if (!begun)
        return false;
    n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    if (!at || (all_after ? n < at : n != at))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    return fails() ? NULL : __libc_memalign(align, size);
}

void *memalign(size_t align, size_t size);
void *memalign(size_t align, size_t size)
{
    return aligned_alloc(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
    void *got = aligned_alloc(align, size);

    if (got)
        *p = got;
    return got ? 0 : ENOMEM;
}

void *mmap(void *where, size_t size, int prot, int flags, int fd, off_t offset)
{
    return fails() ? MAP_FAILED : (void *)(uintptr_t)syscall(SYS_mmap, where, size, prot, flags, fd, offset);
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");

    memcpy(&real, &symbol, sizeof real);
    return fails() ? EAGAIN : real(t, attr, fn, arg);
}

static void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *f;

    begun = false;
    f = path ? fopen(path, "w") : NULL;
    if (f && (fprintf(f, "%ld\n", count) < 0 || fclose(f) != 0))
        abort();
}

static int watched_main(int argc, char **argv, char **env)
{
    const char *n = getenv("FAULT_AT");

    at = n ? strtol(n, NULL, 10) : 0;
    all_after = getenv("FAULT_ON");
    atexit(tell);
    alarm(PATIENCE);
    begun = true;
    return real_main(argc, argv, env);
}

int __libc_start_main(int (*program)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack)
{
    int (*real)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
    void *symbol = dlsym(RTLD_NEXT, "__libc_start_main");

    memcpy(&real, &symbol, sizeof real);
    real_main = program;
    return real(watched_main, argc, argv, init, fini, rtld_fini, stack);
}
