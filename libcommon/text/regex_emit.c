/* regex_emit.c - the tree of a pattern to the program of the machine; see regex_prog.h. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/regex_prog.h"
#include "libcommon/text/unicode.h"

#define MOST_INSN 32768
#define MOST_WORK 262144 /* nodes emitted, copies of repeats counted */
#define MOST_BEHIND 255
#define NOWHERE UINT32_MAX

struct emitter {
    struct regex *re;
    const char *error;
    uint32_t work;
};

static void emit_node(struct emitter *e, const struct regex_node *n);

static uint32_t emit(struct emitter *e, enum regex_op op, uint32_t x, uint32_t y)
{
    struct regex *re = e->re;

    if (re->n_insn == MOST_INSN) {
        e->error = "too large";
        return 0;
    }
    mem_grow(&re->insn, &re->cap_insn, re->n_insn + 1, sizeof *re->insn);
    re->insn[re->n_insn] = (struct regex_insn){ .op = (uint8_t)op, .x = x, .y = y };
    return (uint32_t)re->n_insn++;
}

static uint32_t here(const struct emitter *e)
{
    return (uint32_t)e->re->n_insn;
}

/* Instructions that shall go to one place are chained through x; give them the place. */
static void land(struct emitter *e, uint32_t chain)
{
    while (chain != NOWHERE && !e->error) {
        uint32_t next = e->re->insn[chain].x;

        e->re->insn[chain].x = here(e);
        chain = next;
    }
}

static uint16_t new_mark(struct emitter *e)
{
    if (e->re->marks == REGEX_MARKS)
        e->error = "more look-arounds and atomic groups than are supported";
    else
        e->re->marks++;
    return (uint16_t)(e->re->marks - 1);
}

static uint32_t new_slots(struct emitter *e, uint32_t n)
{
    uint32_t at = e->re->slots;

    if (at + n > REGEX_SLOTS)
        e->error = "more groups than are supported";
    else
        e->re->slots += n;
    return at;
}

static uint32_t canonical(uint32_t cp)
{
    uint32_t least = cp;

    for (uint32_t f = unicode_fold(cp); f != cp; f = unicode_fold(f))
        if (f < least)
            least = f;
    return least;
}

static void emit_char(struct emitter *e, uint32_t cp)
{
    struct regex *re = e->re;
    struct regex_insn *last = re->n_insn ? &re->insn[re->n_insn - 1] : NULL;
    char utf8[4];
    int n = utf8_encode(cp, utf8);

    mem_grow(&re->bytes, &re->cap_bytes, re->n_bytes + 4, 1);
    memcpy(re->bytes + re->n_bytes, utf8, (size_t)n);
    re->n_bytes += (size_t)n;
    if (last && last->op == REGEX_OP_STRING && last->how && last->x + last->y + (uint32_t)n == re->n_bytes)
        last->y += (uint32_t)n;
    else
        emit(e, REGEX_OP_STRING, (uint32_t)(re->n_bytes - (size_t)n), (uint32_t)n);
}

/* A set of one character and what is equal but for case; false: there is nothing else. */
static bool case_set(struct regex_set *set, uint32_t cp)
{
    memset(set, 0, sizeof *set);
    for (uint32_t f = unicode_fold(cp); f != cp; f = unicode_fold(f))
        regex_set_add(set, f, f);
    if (!set->n)
        return false;
    regex_set_add(set, cp, cp);
    return true;
}

static void emit_case_char(struct emitter *e, uint32_t cp)
{
    struct regex_set set;

    if (case_set(&set, cp))
        emit(e, REGEX_OP_SET, regex_add_set(e->re, &set), 0);
    else
        emit_char(e, cp);
}

/* Is the folded string at s a full folding?  Its length. */
static size_t full_fold_at(const struct unicode_full_fold *f, const uint32_t *s, size_t n)
{
    size_t k = 0;

    for (; k < 3 && f->to[k]; k++)
        if (k == n || canonical(f->to[k]) != canonical(s[k]))
            return 0;
    return k;
}

/* Characters of which s begins with the full folding of length k. */
static bool full_fold_set(struct regex_set *set, const uint32_t *s, size_t n, size_t k)
{
    memset(set, 0, sizeof *set);
    for (int i = 0; i < unicode_n_full_folds; i++)
        if (full_fold_at(&unicode_full_folds[i], s, n) == k)
            regex_set_add(set, unicode_full_folds[i].cp, unicode_full_folds[i].cp);
    if (set->n)
        regex_set_fold(set);
    return set->n > 0;
}

/* A string but for case: at each place one character, or one that folds to two or three of the string.
 * jump[i]: the jumps to place i. */
static void emit_folded(struct emitter *e, const uint32_t *s, size_t n)
{
    uint32_t *jump = xmalloc((n + 4) * sizeof *jump);
    struct regex_set set;

    for (size_t i = 0; i < n + 4; i++)
        jump[i] = NOWHERE;
    for (size_t i = 0; i < n && !e->error; i++) {
        land(e, jump[i]);
        for (size_t k = 2; k <= 3 && !e->error; k++) {
            uint32_t split;

            if (!full_fold_set(&set, s + i, n - i, k)) {
                regex_set_free(&set);
                continue;
            }
            split = emit(e, REGEX_OP_SPLIT, 0, 0);
            emit(e, REGEX_OP_SET, regex_add_set(e->re, &set), 0);
            jump[i + k] = emit(e, REGEX_OP_JUMP, jump[i + k], 0);
            e->re->insn[split].x = here(e);
        }
        emit_case_char(e, s[i]);
    }
    land(e, jump[n]);
    free(jump);
}

static size_t full_fold(uint32_t cp, uint32_t *out)
{
    for (int i = 0; i < unicode_n_full_folds; i++)
        if (unicode_full_folds[i].cp == cp) {
            size_t k = 0;

            for (; k < 3 && unicode_full_folds[i].to[k]; k++)
                out[k] = unicode_full_folds[i].to[k];
            return k;
        }
    *out = cp;
    return 1;
}

static void emit_string(struct emitter *e, const struct regex_node *n)
{
    uint32_t *s;
    size_t k = 0;

    if (!n->fold) {
        uint32_t first = here(e);

        for (size_t i = 0; i < n->n && !e->error; i++) {
            emit_char(e, n->cp[i]);
            if (!e->error && here(e) > first)
                e->re->insn[here(e) - 1].how = 1; /* the next character may join it */
        }
        if (here(e) > first)
            e->re->insn[here(e) - 1].how = 0;
        return;
    }
    s = xmalloc(3 * n->n * sizeof *s);
    for (size_t i = 0; i < n->n; i++)
        k += full_fold(n->cp[i], s + k);
    emit_folded(e, s, k);
    free(s);
}

/* Does it always take one character, of a set?  Then *set is its number. */
static bool single(struct emitter *e, const struct regex_node *n, uint32_t *set)
{
    struct regex_set s;
    uint32_t folded[3];

    if (n->kind == REGEX_CAT && n->first && !n->first->next)
        return single(e, n->first, set);
    if (n->kind == REGEX_SET) {
        *set = n->set;
        return true;
    }
    if (n->kind != REGEX_STRING || n->n != 1 || (n->fold && full_fold(*n->cp, folded) > 1))
        return false;
    if (!n->fold || !case_set(&s, *n->cp)) {
        memset(&s, 0, sizeof s);
        regex_set_add(&s, *n->cp, *n->cp);
    }
    *set = regex_add_set(e->re, &s);
    return true;
}

struct width {
    uint64_t min, max; /* characters; max is UINT64_MAX where there is no bound */
};

static uint64_t times(uint64_t a, uint64_t b)
{
    return !a || !b ? 0 : a > UINT64_MAX / b || a == UINT64_MAX || b == REGEX_FOREVER ? UINT64_MAX : a * b;
}

static struct width width(const struct regex_node *n)
{
    struct width w = { 0, 0 }, c;

    switch (n->kind) {
    case REGEX_STRING:
        return (struct width){ n->fold ? (n->n + 2) / 3 : n->n, n->fold ? 3 * n->n : n->n };
    case REGEX_SET:
        return (struct width){ 1, 1 };
    case REGEX_BACKREF:
        return (struct width){ 0, UINT64_MAX };
    case REGEX_CAT:
        for (n = n->first; n; n = n->next) {
            c = width(n);
            w.min = w.min > UINT64_MAX - c.min ? UINT64_MAX : w.min + c.min;
            w.max = w.max > UINT64_MAX - c.max ? UINT64_MAX : w.max + c.max;
        }
        return w;
    case REGEX_ALT:
        w = width(n->first);
        for (n = n->first->next; n; n = n->next) {
            c = width(n);
            w.min = c.min < w.min ? c.min : w.min;
            w.max = c.max > w.max ? c.max : w.max;
        }
        return w;
    case REGEX_REPEAT:
        c = width(n->first);
        return (struct width){ times(c.min, n->min), times(c.max, n->max) };
    case REGEX_GROUP:
    case REGEX_ATOMIC:
        return width(n->first);
    default:
        return w;
    }
}

/* x* over what is no single character; what takes nothing ends the loop. */
static void emit_loop(struct emitter *e, const struct regex_node *n)
{
    bool empty = !width(n->first).min;
    uint32_t slot = empty ? new_slots(e, 1) : 0, stuck = NOWHERE;
    uint32_t split = emit(e, n->how == REGEX_LAZY ? REGEX_OP_SPLIT_LAZY : REGEX_OP_SPLIT, 0, 0);

    if (empty)
        emit(e, REGEX_OP_SAVE, slot, 0);
    emit_node(e, n->first);
    if (empty)
        stuck = emit(e, REGEX_OP_STUCK, slot, 0);
    emit(e, REGEX_OP_JUMP, split, 0);
    if (e->error)
        return;
    e->re->insn[split].x = here(e);
    if (stuck != NOWHERE)
        e->re->insn[stuck].y = here(e);
}

static void emit_optional(struct emitter *e, const struct regex_node *n, uint32_t copies)
{
    uint32_t chain = NOWHERE;

    for (uint32_t i = 0; i < copies && !e->error; i++) {
        chain = emit(e, n->how == REGEX_LAZY ? REGEX_OP_SPLIT_LAZY : REGEX_OP_SPLIT, chain, 0);
        emit_node(e, n->first);
    }
    land(e, chain);
}

static void emit_repeat(struct emitter *e, const struct regex_node *n)
{
    uint32_t set, at;
    uint16_t mark = 0;

    if (single(e, n->first, &set)) {
        at = emit(e, REGEX_OP_LOOP, set, n->min);
        if (!e->error) {
            e->re->insn[at].z = n->max;
            e->re->insn[at].how = (uint8_t)n->how;
        }
        return;
    }
    if (n->how == REGEX_POSSESSIVE) {
        mark = new_mark(e);
        at = emit(e, REGEX_OP_MARK, 0, 0);
        e->re->insn[at].reg = mark;
    }
    for (uint32_t i = 0; i < n->min && !e->error; i++)
        emit_node(e, n->first);
    if (n->max == REGEX_FOREVER)
        emit_loop(e, n);
    else
        emit_optional(e, n, n->max - n->min);
    if (n->how == REGEX_POSSESSIVE) {
        at = emit(e, REGEX_OP_CUT, 0, 0);
        e->re->insn[at].reg = mark;
    }
}

static void emit_alternatives(struct emitter *e, const struct regex_node *n)
{
    uint32_t ends = NOWHERE;

    for (n = n->first; n && !e->error; n = n->next) {
        uint32_t split = n->next ? emit(e, REGEX_OP_SPLIT, 0, 0) : 0;

        emit_node(e, n);
        if (n->next && !e->error) {
            ends = emit(e, REGEX_OP_JUMP, ends, 0);
            e->re->insn[split].x = here(e);
        }
    }
    land(e, ends);
}

static void emit_marked(struct emitter *e, const struct regex_node *n)
{
    uint16_t mark = new_mark(e);
    uint32_t at = emit(e, REGEX_OP_MARK, 0, 0), split = NOWHERE, end;
    struct width w = width(n->first);

    if (n->kind == REGEX_LOOK && n->negative)
        split = emit(e, REGEX_OP_SPLIT, 0, 0);
    if (n->behind && w.max > MOST_BEHIND)
        e->error = "look-behind that may take more than 255 characters";
    if (n->behind)
        emit(e, REGEX_OP_BACK, (uint32_t)w.min, (uint32_t)w.max);
    emit_node(e, n->first);
    if (n->behind) {
        end = emit(e, REGEX_OP_BEHIND, 0, 0);
        e->re->insn[end].reg = mark;
    }
    end = emit(e, n->kind == REGEX_ATOMIC ? REGEX_OP_CUT : n->negative ? REGEX_OP_REFUSE : REGEX_OP_LOOK, 0, 0);
    if (e->error)
        return;
    e->re->insn[end].reg = e->re->insn[at].reg = mark;
    if (n->kind == REGEX_LOOK)
        e->re->insn[at].x = here(e);
    if (split != NOWHERE)
        e->re->insn[split].x = here(e);
}

static void emit_node(struct emitter *e, const struct regex_node *n)
{
    uint32_t at;

    if (++e->work > MOST_WORK)
        e->error = "too large";
    if (e->error)
        return;
    switch (n->kind) {
    case REGEX_EMPTY:
        break;
    case REGEX_STRING:
        emit_string(e, n);
        break;
    case REGEX_SET:
        emit(e, REGEX_OP_SET, n->set, 0);
        break;
    case REGEX_CAT:
        for (n = n->first; n; n = n->next)
            emit_node(e, n);
        break;
    case REGEX_ALT:
        emit_alternatives(e, n);
        break;
    case REGEX_REPEAT:
        emit_repeat(e, n);
        break;
    case REGEX_GROUP:
        if (e->re->groups)
            emit(e, REGEX_OP_SAVE, 2 * (n->group - 1), 0);
        emit_node(e, n->first);
        if (e->re->groups)
            emit(e, REGEX_OP_SAVE, 2 * (n->group - 1) + 1, 0);
        break;
    case REGEX_ATOMIC:
    case REGEX_LOOK:
        emit_marked(e, n);
        break;
    case REGEX_ASSERT:
        at = emit(e, REGEX_OP_ASSERT, 0, 0);
        e->re->insn[at].how = (uint8_t)n->assertion;
        break;
    case REGEX_BACKREF:
        at = emit(e, REGEX_OP_BACKREF, 2 * (n->group - 1), 0);
        e->re->insn[at].how = n->fold;
        break;
    }
}

int regex_emit(struct regex *re, const struct regex_node *tree, struct err *err)
{
    struct emitter e = { .re = re };

    new_slots(&e, 2 * re->groups);
    emit_node(&e, tree);
    emit(&e, REGEX_OP_MATCH, 0, 0);
    return e.error ? err_set(err, "pattern: %s", e.error) : 0;
}
