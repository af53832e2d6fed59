/* opt.h - one table of options a program: parsing, --help, configuration files, the manual's test.
 *
 * Long names may be written with '-' or '_'.  The common options are asked for by bits; -j, -q and
 * --on-error=fail are taken, unlisted, by the programs that do not ask as well.  --help, --version and --dump-options (the table as TSV, for tests and completion) are always there.
 */
#ifndef LIBCOMMON_BASE_OPT_H
#define LIBCOMMON_BASE_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"

enum opt_type {
    OPT_FLAG,   /* bool */
    OPT_BOOL,   /* bool, with a value: 0 1 true false (configuration keys) */
    OPT_INT,    /* int64_t within [min, max] */
    OPT_SIZE,   /* int64_t, suffix K M G T = 2^10.. */
    OPT_FLOAT,  /* double, finite */
    OPT_STR,    /* const char * */
    OPT_LIST,   /* struct opt_list, may be given again */
    OPT_CHOICE, /* int: the index of the value in arg, "none|parse|error" */
    OPT_MAYBE,  /* const char *: NULL not given, "" given without a value, else --name=value */
};

struct opt_list {
    const char **v; /* borrowed from argv */
    int n;
};

struct opt {
    char letter; /* 0: none */
    const char *name;
    enum opt_type type;
    void *var;
    const char *arg; /* metavariable, or the choices */
    const char *help;
    int64_t min, max; /* OPT_INT, OPT_SIZE; both 0: no bound but >= 0 */
};

enum opt_on_error { OPT_FAIL, OPT_SKIP, OPT_REPLACE };

struct opt_common {
    int64_t jobs; /* -j, resolved: >= 1 */
    const char *output;
    bool quiet;
    int on_error;
};

enum { OPT_JOBS = 1, OPT_OUTPUT = 2, OPT_QUIET = 4, OPT_ONERROR = 8 };

struct opt_cmd {
    const char *name, *purpose;
    const char *operands; /* "[FILE...]" */
    const char *example;  /* a command that works, printed by --help and run by a test */
    const struct opt *opts;
    unsigned common; /* OPT_JOBS | ... */
    /* NULL, or called for an operand that holds '=' (lmtrain's key=value) through opt_assign(). */
    bool keys;
};

/* Parse argv; options may follow operands, "--" ends them.  Operands are moved to the end of argv and
 * the index of the first is returned.  --help and --version print and exit 0; a wrong command line
 * prints a message and the usage line and exits 2. */
int opt_parse(const struct opt_cmd *cmd, struct opt_common *common, int argc, char **argv);

/* Set one option by name, as a configuration file does; -1 with a message that names key and value. */
int opt_assign(const struct opt *opts, const char *key, const char *value, struct err *err);

/* Read "key = value" lines ('#' starts a comment) into the table.  Values of strings live in *keep. */
int opt_read(const struct opt *opts, struct arena *keep, const char *text, size_t size, const char *name, struct err *err);

/* Print "name = value" of option o to buf as opt_read() would read it; the length as snprintf. */
int opt_format(const struct opt *o, char *buf, size_t size);

/* A usage error from main(): message, usage line, exit 2. */
_Noreturn void opt_die(const struct opt_cmd *cmd, const char *fmt, ...) ERR_PRINTF(2, 3);

/* "64M" -> 67108864; -1 on anything else. */
int opt_size(const char *s, int64_t *out);

#endif
