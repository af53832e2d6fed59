/* tap.h - TAP for unit tests: OK(condition), SKIP(name, why), and tap_done() at the end of main. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdio.h>
#include <stdlib.h>

static int tap_n, tap_failed;

#define OK(cond) tap_ok(!!(cond), __FILE__, __LINE__, #cond)
#define OKF(cond, ...) \
    do { \
        if (!tap_ok(!!(cond), __FILE__, __LINE__, #cond)) { \
            printf("# "); \
            printf(__VA_ARGS__); \
            printf("\n"); \
        } \
    } while (0)
#define SKIP(name, why) printf("ok %d - %s # SKIP %s\n", ++tap_n, name, why)

static inline int tap_ok(int good, const char *file, int line, const char *what)
{
    printf("%s %d - %s:%d: %s\n", good ? "ok" : "not ok", ++tap_n, file, line, what);
    if (!good)
        tap_failed++;
    return good;
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_n);
    return tap_failed > 0;
}

/* Path of ../shared beside the checkout, or NULL where it is absent. */
static inline const char *tap_shared(const char *name)
{
    static char path[4096];
    const char *src = getenv("SRC");
    FILE *f;

    snprintf(path, sizeof path, "%s/../shared/%s", src ? src : ".", name);
    f = fopen(path, "r");
    if (!f)
        return NULL;
    fclose(f);
    return path;
}

#endif
