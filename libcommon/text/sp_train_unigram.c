#include "libcommon/text/sp_train_in.h"
int sp_train_unigram(struct sp_train *t, struct par *par, struct err *err)
{
    (void)t; (void)par;
    return err_set(err, "later");
}
