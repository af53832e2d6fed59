/* emit.h - text as it is generated, token by token: whole characters only, up to a stop string.
 *
 * Bytes that may yet become a character or a stop string are held back.  What comes out is valid UTF-8;
 * each ill-formed part (utf8.h) becomes U+FFFD.
 */
#ifndef LIBCOMMON_TEXT_EMIT_H
#define LIBCOMMON_TEXT_EMIT_H

#include <stdbool.h>
#include <stddef.h>

/* Zero it, set the stop strings (borrowed, none empty). */
struct emit {
    const char *const *stop;
    int n_stop;
    bool stopped;      /* a stop string came: it and what follows is left out */
    char *out;         /* what came out; the caller takes it and sets n_out to 0 */
    size_t n_out, out_cap;
    char *held;
    size_t n_held, held_cap;
};

void emit_add(struct emit *e, const char *bytes, size_t n);
/* The sequence is over: what was held back comes out. */
void emit_end(struct emit *e);
/* Another sequence begins. */
void emit_clear(struct emit *e);
void emit_release(struct emit *e);

#endif
