/* base64.h - RFC 4648's base 64, with its padding. */
#ifndef LIBCOMMON_BASE_BASE64_H
#define LIBCOMMON_BASE_BASE64_H

#include <stddef.h>

#define BASE64_BAD ((size_t)-1)

/* The bytes of n characters into out, which has room for as many: how many, or BASE64_BAD. */
size_t base64_decode(const char *s, size_t n, char *out);

#endif
