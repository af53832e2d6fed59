/* err.h - errors.
 *
 * A library function that can fail returns -1 (or NULL) and fills the caller's struct err; only
 * main() prints and exits.  A message is "file:place: what is wrong, with the value", in lower case,
 * without a full stop and without the program's name, which err_warn() and die() put in front.
 * Control characters of a message (names of archive members, say) are printed as \xNN.
 */
#ifndef LIBCOMMON_BASE_ERR_H
#define LIBCOMMON_BASE_ERR_H

#include <stddef.h>

#define ERR_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct err {
    char msg[1024];
};

/* Fill *e and return -1.  A format that ends in ':' is followed by strerror(errno). */
int err_set(struct err *e, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Put "prefix: " in front of the message already in *e; returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) ERR_PRINTF(2, 3);

/* Print "program: message" on stderr; die() then exits with 1. */
void err_warn(const char *fmt, ...) ERR_PRINTF(1, 2);
_Noreturn void die(const char *fmt, ...) ERR_PRINTF(1, 2);

/* Name put in front of messages; opt_parse() sets it. */
extern const char *err_progname;

/* Called by die() before it exits; removes temporaries (io.h). */
extern void (*err_die_hook)(void);

#endif
