/* ids.h - tokens as text: one document a line, decimal ids separated by blanks. */
#ifndef LIBCOMMON_DATA_IDS_H
#define LIBCOMMON_DATA_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/err.h"

#define IDS_WIDEST 11 /* bytes of an id and what is behind it, at most */

/* The ids of a line of n bytes, each below limit, appended to *v, which holds *used of *cap and grows.  -1: a
 * word that is not an id. */
int ids_parse(const char *line, size_t n, uint32_t limit, uint32_t **v, size_t *used, size_t *cap, struct err *err);

/* The line of n ids, with its newline, into out, which has room for IDS_WIDEST bytes each and one; the length. */
size_t ids_line(const uint32_t *v, size_t n, char *out);

#endif
