/* num.h - numbers as text. */
#ifndef LIBCOMMON_BASE_NUM_H
#define LIBCOMMON_BASE_NUM_H

enum { NUM_ROOM = 32 }; /* bytes that any double takes, and its NUL */

/* The fewest digits, as %g has them, that strtod() reads back as v; the length.  A NaN is "nan". */
int num_format(char out[NUM_ROOM], double v);

#endif
