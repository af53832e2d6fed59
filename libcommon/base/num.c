#include "libcommon/base/num.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int num_format(char out[NUM_ROOM], double v)
{
    int n = 0;

    /* any decimal of DBL_DIG digits comes back, unless v is subnormal; 17 digits are always enough */
    for (int digits = fabs(v) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        n = snprintf(out, NUM_ROOM, "%.*g", digits, v);
        if (strtod(out, NULL) == v || isnan(v))
            break;
    }
    return n;
}
