/* regex_prog.h - between the parts of regex: sets of code points, the tree that the parser makes, the
 * program that the machine runs.  Not for others.
 */
#ifndef LIBCOMMON_TEXT_REGEX_PROG_H
#define LIBCOMMON_TEXT_REGEX_PROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/base/arena.h"
#include "libcommon/base/err.h"

#define REGEX_FOREVER UINT32_MAX

/* A set of code points: ranges ascending and apart after regex_set_sort(). */
struct regex_set {
    uint64_t ascii[2]; /* a bit for each below 128, filled by regex_set_sort() */
    uint32_t (*r)[2];
    size_t n, cap;
};

void regex_set_add(struct regex_set *s, uint32_t a, uint32_t b);
void regex_set_sort(struct regex_set *s);
void regex_set_negate(struct regex_set *s);
void regex_set_union(struct regex_set *s, const struct regex_set *b);
void regex_set_intersect(struct regex_set *s, const struct regex_set *b);
/* Add what is equal but for case, one for one. */
void regex_set_fold(struct regex_set *s);
bool regex_set_has_slow(const struct regex_set *s, uint32_t cp);
void regex_set_free(struct regex_set *s);

static inline bool regex_set_has(const struct regex_set *s, uint32_t cp)
{
    return cp < 128 ? s->ascii[cp >> 6] >> (cp & 63) & 1 : regex_set_has_slow(s, cp);
}

/* Outside [ ] Oniguruma's table of ISO 8859-1 makes its superscripts and fractions word characters. */
static inline bool regex_latin_word(uint32_t cp)
{
    return cp == 0xb2 || cp == 0xb3 || cp == 0xb9 || (cp >= 0xbc && cp <= 0xbe);
}

/* Rust has Join_Control among them (UTS 18, annex C). */
static inline bool regex_rust_word(uint32_t cp)
{
    return cp == 0x200c || cp == 0x200d;
}

enum regex_kind {
    REGEX_EMPTY,
    REGEX_STRING, /* cp[0..n), fold: but for case */
    REGEX_SET,    /* set: index */
    REGEX_CAT,    /* children first..next */
    REGEX_ALT,
    REGEX_REPEAT, /* first, min..max, how */
    REGEX_GROUP,  /* first, group: number from 1 on */
    REGEX_ATOMIC,
    REGEX_LOOK,   /* first, behind, negative */
    REGEX_ASSERT, /* assertion */
    REGEX_BACKREF, /* group, fold */
};

enum regex_how { REGEX_GREEDY, REGEX_LAZY, REGEX_POSSESSIVE };

enum regex_assertion {
    REGEX_LINE_BEGIN,
    REGEX_LINE_END,
    REGEX_TEXT_BEGIN,
    REGEX_TEXT_END,
    REGEX_TEXT_END_LINE, /* \Z: the end, or before a newline there */
    REGEX_SEARCH_BEGIN,  /* \G */
    REGEX_WORD,
    REGEX_NOT_WORD,
};

struct regex_node {
    enum regex_kind kind;
    struct regex_node *first, *next;
    uint32_t *cp;
    size_t n;
    uint32_t min, max, set, group;
    enum regex_how how;
    enum regex_assertion assertion;
    bool fold, behind, negative;
};

enum regex_op {
    REGEX_OP_STRING, /* x: offset of bytes, y: how many */
    REGEX_OP_SET,    /* x: set */
    REGEX_OP_LOOP,   /* x: set, y: least, z: most, how */
    REGEX_OP_SPLIT,  /* go on behind, else at x; y: their first bytes */
    REGEX_OP_SPLIT_LAZY, /* go on at x, else behind; y: their first bytes */
    REGEX_OP_JUMP,   /* x */
    REGEX_OP_ASSERT, /* how: enum regex_assertion */
    REGEX_OP_MARK,   /* reg: remember stack and place; x: not 0: the end of a look-around */
    REGEX_OP_CUT,    /* reg: forget the alternatives since the mark */
    REGEX_OP_LOOK,   /* reg: the same, and go back to its place */
    REGEX_OP_REFUSE, /* reg: forget them and the one at the mark, fail */
    REGEX_OP_BACK,   /* x..y characters back from here */
    REGEX_OP_BEHIND, /* reg: fail unless at its place */
    REGEX_OP_SAVE,   /* x: slot = here */
    REGEX_OP_STUCK,  /* x: slot, y: where to go when nothing was taken since */
    REGEX_OP_BACKREF, /* x: slot of the begin; how: fold */
    REGEX_OP_MATCH,
};

struct regex_insn {
    uint8_t op, how;
    uint16_t reg;
    uint32_t x, y, z;
};

/* Bytes that a match from some instruction can begin with; bit 256: it may take none. */
struct regex_first {
    uint64_t bits[5];
};

#define REGEX_MARKS 64
#define REGEX_SLOTS 128

struct regex {
    struct regex_set *set;
    size_t n_set, cap_set;
    char *bytes;
    size_t n_bytes, cap_bytes;
    struct regex_insn *insn;
    size_t n_insn, cap_insn;
    struct regex_first *first; /* of a split: of what follows it, of x; first[0]: of the program */
    size_t n_first, cap_first;
    uint32_t groups; /* 0 where nothing refers to them */
    uint32_t slots, marks;
    bool rust; /* regex_new_rust() */
};

/* A set of the program: takes what *s owns. */
uint32_t regex_add_set(struct regex *re, struct regex_set *s);

/* A tree in the arena, sets in re.  NULL on error. */
struct regex_node *regex_parse(struct regex *re, struct arena *a, const char *pattern, size_t n, struct err *err);
/* How sets are read. */
enum { REGEX_IN_BRACKET = 1, REGEX_FOLDED = 2, REGEX_RUST = 4 };

/* Class behind its '[' at *p: moves *p behind its ']'.  -1: *error says what is wrong at *p. */
int regex_class(struct regex_set *out, const char **p, const char *end, unsigned how, const char **error);
/* A backslash at *p, in a bracket or outside: 1 a set (*set is filled), 0 a code point, -1 an error. */
int regex_escape(struct regex_set *set, uint32_t *cp, const char **p, const char *end, unsigned how, const char **error);
/* The program of a tree.  -1: it is too large. */
int regex_emit(struct regex *re, const struct regex_node *tree, struct err *err);

#endif
