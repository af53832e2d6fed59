/* regex.c - the backtracking machine; see regex.h, and regex_prog.h for what its instructions mean.
 *
 * Alternatives wait on an explicit stack.  A loop over one set of characters waits in one entry however
 * many it has taken, so that ordinary patterns need a few entries whatever the text.
 */
#include "libcommon/text/regex.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/text/regex_prog.h"
#include "libcommon/text/unicode.h"

#define LOCAL 64        /* entries of the stack before it goes to the heap */
#define FIRST_VISITS 48 /* instructions looked at for the first bytes of a branch */

enum wait_kind { WAIT_BRANCH, WAIT_SLOT, WAIT_GREEDY, WAIT_LAZY };

/* What to do when the way taken fails. */
struct wait {
    enum wait_kind kind;
    uint32_t pc; /* WAIT_SLOT: the slot; WAIT_LAZY: the loop */
    size_t a;    /* BRANCH, LAZY: place; SLOT: old value; GREEDY: the least place */
    size_t b;    /* GREEDY: place; LAZY: characters that may still be taken */
};

struct machine {
    const struct regex *re;
    const char *text;
    size_t n, at; /* text[0..n), the search began at `at` */
    uint64_t steps;
    struct wait local[LOCAL], *stack;
    size_t depth, cap;
    size_t slot[REGEX_SLOTS];
    size_t mark_depth[REGEX_MARKS], mark_at[REGEX_MARKS];
    bool full;
};

uint32_t regex_add_set(struct regex *re, struct regex_set *s)
{
    regex_set_sort(s);
    mem_grow(&re->set, &re->cap_set, re->n_set + 1, sizeof *re->set);
    re->set[re->n_set] = *s;
    memset(s, 0, sizeof *s);
    return (uint32_t)re->n_set++;
}

/* First bytes. */

static void first_set(struct regex_first *f, const struct regex_set *s)
{
    f->bits[0] |= s->ascii[0];
    f->bits[1] |= s->ascii[1];
    for (size_t i = 0; i < s->n; i++) {
        char a[4], b[4];
        uint32_t lo = s->r[i][0] < 128 ? 128 : s->r[i][0], hi = s->r[i][1];

        if (hi < 128)
            continue;
        /* the first byte grows with the code point, surrogates included in none */
        lo = lo >= 0xd800 && lo < 0xe000 ? 0xe000 : lo;
        hi = hi >= 0xd800 && hi < 0xe000 ? 0xd7ff : hi;
        if (lo > hi)
            continue;
        utf8_encode(lo, a);
        utf8_encode(hi, b);
        for (unsigned c = (unsigned char)a[0]; c <= (unsigned char)b[0]; c++)
            f->bits[c / 64] |= (uint64_t)1 << c % 64;
    }
}

/* Collect the bytes that what stands at pc can begin with; look-arounds count as taking nothing.  The end of
 * an atomic group that began before pc (atomic: groups since then) is reached whatever follows it: a branch
 * that gets there shuts out the others. */
static void first_bytes(const struct regex *re, uint32_t pc, struct regex_first *f, int *visits, int atomic)
{
    for (; ++*visits <= FIRST_VISITS; pc++) {
        const struct regex_insn *in = &re->insn[pc];

        switch (in->op) {
        case REGEX_OP_STRING:
            f->bits[(unsigned char)re->bytes[in->x] / 64] |= (uint64_t)1 << (unsigned char)re->bytes[in->x] % 64;
            return;
        case REGEX_OP_SET:
            first_set(f, &re->set[in->x]);
            return;
        case REGEX_OP_LOOP:
            if (in->z)
                first_set(f, &re->set[in->x]);
            if (in->y)
                return;
            break;
        case REGEX_OP_SPLIT:
        case REGEX_OP_SPLIT_LAZY:
            first_bytes(re, in->x, f, visits, atomic);
            break;
        case REGEX_OP_JUMP:
            pc = in->x - 1;
            break;
        case REGEX_OP_MARK:
            if (in->x)
                pc = in->x - 1;
            else
                atomic++;
            break;
        case REGEX_OP_CUT:
            if (!atomic--)
                *visits = FIRST_VISITS;
            break;
        case REGEX_OP_STUCK:
        case REGEX_OP_SAVE:
        case REGEX_OP_ASSERT:
            break;
        default:
            *visits = FIRST_VISITS;
            break;
        }
    }
    memset(f, 0xff, sizeof *f);
}

static uint32_t add_first(struct regex *re, uint32_t pc)
{
    int visits = 0;

    mem_grow(&re->first, &re->cap_first, re->n_first + 1, sizeof *re->first);
    memset(&re->first[re->n_first], 0, sizeof *re->first);
    first_bytes(re, pc, &re->first[re->n_first], &visits, 0);
    return (uint32_t)re->n_first++;
}

static struct regex *compile(const char *pattern, size_t n, bool rust, struct err *err)
{
    struct regex *re = xcalloc(1, sizeof *re);
    struct regex_node *tree;
    struct arena a;
    int rc = -1;

    re->rust = rust;
    arena_init(&a);
    tree = regex_parse(re, &a, pattern, n, err);
    if (tree)
        rc = regex_emit(re, tree, err);
    arena_release(&a);
    if (rc < 0) {
        regex_free(re);
        return NULL;
    }
    add_first(re, 0);
    for (uint32_t pc = 0; pc < re->n_insn; pc++)
        if (re->insn[pc].op == REGEX_OP_SPLIT || re->insn[pc].op == REGEX_OP_SPLIT_LAZY) {
            re->insn[pc].y = add_first(re, pc + 1);
            add_first(re, re->insn[pc].x);
        }
    return re;
}

struct regex *regex_new(const char *pattern, size_t n, struct err *err)
{
    return compile(pattern, n, false, err);
}

struct regex *regex_new_rust(const char *pattern, size_t n, struct err *err)
{
    return compile(pattern, n, true, err);
}

void regex_free(struct regex *re)
{
    if (!re)
        return;
    for (size_t i = 0; i < re->n_set; i++)
        regex_set_free(&re->set[i]);
    free(re->set);
    free(re->bytes);
    free(re->insn);
    free(re->first);
    free(re);
}

/* The machine. */

static void push(struct machine *m, enum wait_kind kind, uint32_t pc, size_t a, size_t b)
{
    if (m->depth == m->cap) {
        if (m->cap >= REGEX_STACK) {
            m->full = true;
            return;
        }
        m->cap *= 4;
        if (m->stack == m->local) {
            m->stack = xmalloc(m->cap * sizeof *m->stack);
            memcpy(m->stack, m->local, sizeof m->local);
        } else {
            m->stack = xrealloc(m->stack, m->cap * sizeof *m->stack);
        }
    }
    m->stack[m->depth++] = (struct wait){ kind, pc, a, b };
}

/* The character at p < n: its length.  Ill-formed bytes stand for U+FFFD one by one. */
static size_t take(const struct machine *m, size_t p, uint32_t *cp)
{
    unsigned char c = (unsigned char)m->text[p];
    int k;

    if (c < 128) {
        *cp = c;
        return 1;
    }
    k = utf8_decode(m->text + p, m->n - p, cp);
    if (k)
        return (size_t)k;
    *cp = 0xfffd;
    return 1;
}

/* Where the character before p > least begins. */
static size_t back(const struct machine *m, size_t p, size_t least)
{
    do
        p--;
    while (p > least && (m->text[p] & 0xc0) == 0x80);
    return p;
}

/* \b goes by \w outside [ ]. */
static bool word_at(const struct machine *m, size_t p)
{
    uint32_t cp;

    if (p >= m->n)
        return false;
    take(m, p, &cp);
    return unicode_word(cp) || (m->re->rust ? regex_rust_word(cp) : regex_latin_word(cp));
}

static bool holds(const struct machine *m, enum regex_assertion a, size_t p)
{
    const char *t = m->text;
    size_t n = m->n;
    bool before;

    switch (a) {
    case REGEX_LINE_BEGIN:
        return p == 0 || ((p < n || m->re->rust) && t[p - 1] == '\n');
    case REGEX_LINE_END:
        return p == n || t[p] == '\n';
    case REGEX_TEXT_BEGIN:
        return p == 0;
    case REGEX_TEXT_END:
        return p == n;
    case REGEX_TEXT_END_LINE:
        return p == n || (p + 1 == n && t[p] == '\n');
    case REGEX_SEARCH_BEGIN:
        return p == m->at;
    default:
        before = p && word_at(m, back(m, p, 0));
        return (before != word_at(m, p)) == (a == REGEX_WORD);
    }
}

static bool may_begin(const struct machine *m, uint32_t first, size_t p)
{
    const struct regex_first *f = &m->re->first[first];
    unsigned c = p < m->n ? (unsigned char)m->text[p] : 256;

    return (f->bits[c / 64] >> c % 64 & 1) || f->bits[4] & 1;
}

/* Set loop at p: where it is after all that it can take (the least, when lazy), or SIZE_MAX. */
static size_t loop(struct machine *m, const struct regex_insn *in, uint32_t pc, size_t p)
{
    const struct regex_set *set = &m->re->set[in->x];
    size_t k = 0, least = p, most = in->how == REGEX_LAZY ? in->y : in->z, from = p;
    uint32_t cp;

    for (; p < m->n && k < most; k++) {
        size_t len = take(m, p, &cp);

        if (!regex_set_has(set, cp))
            break;
        p += len;
        if (k < in->y)
            least = p;
    }
    m->steps += (p - from) / 4;
    if (k < in->y)
        return SIZE_MAX;
    if (in->how == REGEX_GREEDY && p > least)
        push(m, WAIT_GREEDY, pc + 1, least, p);
    if (in->how == REGEX_LAZY && in->z > in->y)
        push(m, WAIT_LAZY, pc, p, in->z == REGEX_FOREVER ? SIZE_MAX : in->z - in->y);
    return p;
}

/* Drop the alternatives since a mark; what restores slots stays, or is done when `undo`. */
static void cut(struct machine *m, size_t mark, bool undo)
{
    size_t k = mark;

    if (undo) {
        for (; m->depth > mark; m->depth--)
            if (m->stack[m->depth - 1].kind == WAIT_SLOT)
                m->slot[m->stack[m->depth - 1].pc] = m->stack[m->depth - 1].a;
        return;
    }
    m->steps += (m->depth - mark) / 4;
    for (size_t i = mark; i < m->depth; i++)
        if (m->stack[i].kind == WAIT_SLOT)
            m->stack[k++] = m->stack[i];
    m->depth = k;
}

/* Take up the latest alternative: its instruction, and *p; UINT32_MAX where there is none. */
static uint32_t retry(struct machine *m, size_t *p)
{
    while (m->depth) {
        struct wait *w = &m->stack[m->depth - 1];
        uint32_t cp, pc = w->pc;

        switch (w->kind) {
        case WAIT_BRANCH:
            *p = w->a;
            m->depth--;
            return pc;
        case WAIT_SLOT:
            m->slot[pc] = w->a;
            m->depth--;
            break;
        case WAIT_GREEDY:
            *p = w->b = back(m, w->b, w->a);
            if (w->b == w->a)
                m->depth--;
            return pc;
        case WAIT_LAZY:
            if (w->a < m->n) {
                size_t len = take(m, w->a, &cp);

                if (regex_set_has(&m->re->set[m->re->insn[pc].x], cp)) {
                    *p = w->a += len;
                    if (w->b != SIZE_MAX && !--w->b)
                        m->depth--;
                    return pc + 1;
                }
            }
            m->depth--;
            break;
        }
        m->steps++;
    }
    return UINT32_MAX;
}

/* Alternatives for every width of a look-behind at p: the place of the least, or SIZE_MAX. */
static size_t look_back(struct machine *m, const struct regex_insn *in, uint32_t pc, size_t p)
{
    size_t place = SIZE_MAX, k = 0;

    for (;; k++) {
        if (k >= in->x) {
            if (place != SIZE_MAX)
                push(m, WAIT_BRANCH, pc + 1, place, 0);
            place = p;
        }
        if (k == in->y || !p)
            return place;
        p = back(m, p, 0);
    }
}

/* Does group [a, b) stand at p, but for case where `fold`?  Its end there, or SIZE_MAX. */
static size_t same_again(const struct machine *m, size_t a, size_t b, size_t p, bool fold)
{
    uint32_t x, y;

    if (a == SIZE_MAX || b == SIZE_MAX || b < a)
        return SIZE_MAX;
    while (a < b) {
        uint32_t f;

        if (p >= m->n)
            return SIZE_MAX;
        a += take(m, a, &x);
        p += take(m, p, &y);
        for (f = unicode_fold(x); fold && f != x && f != y;)
            f = unicode_fold(f);
        if (x != y && !(fold && f == y))
            return SIZE_MAX;
    }
    return p;
}

static void save(struct machine *m, uint32_t slot, size_t p)
{
    push(m, WAIT_SLOT, slot, m->slot[slot], 0);
    m->slot[slot] = p;
}

static uint32_t split(struct machine *m, const struct regex_insn *in, uint32_t pc, size_t p)
{
    bool lazy = in->op == REGEX_OP_SPLIT_LAZY, next = may_begin(m, in->y, p), other = may_begin(m, in->y + 1, p);
    uint32_t here = lazy ? in->x : pc + 1, there = lazy ? pc + 1 : in->x;

    if (!(lazy ? other : next))
        return there;
    if (lazy ? next : other)
        push(m, WAIT_BRANCH, there, p, 0);
    return here;
}

/* One instruction: the next one, UINT32_MAX to fail.  Moves *p. */
static uint32_t step(struct machine *m, const struct regex_insn *in, uint32_t pc, size_t *p)
{
    uint32_t cp;
    size_t q = *p;

    switch (in->op) {
    case REGEX_OP_STRING:
        if (m->n - q < in->y || memcmp(m->text + q, m->re->bytes + in->x, in->y))
            return UINT32_MAX;
        *p = q + in->y;
        return pc + 1;
    case REGEX_OP_SET:
        if (q == m->n)
            return UINT32_MAX;
        *p = q + take(m, q, &cp);
        return regex_set_has(&m->re->set[in->x], cp) ? pc + 1 : UINT32_MAX;
    case REGEX_OP_LOOP:
        *p = loop(m, in, pc, q);
        break;
    case REGEX_OP_SPLIT:
    case REGEX_OP_SPLIT_LAZY:
        return split(m, in, pc, q);
    case REGEX_OP_JUMP:
        return in->x;
    case REGEX_OP_ASSERT:
        return holds(m, in->how, q) ? pc + 1 : UINT32_MAX;
    case REGEX_OP_MARK:
        m->mark_depth[in->reg] = m->depth;
        m->mark_at[in->reg] = q;
        break;
    case REGEX_OP_LOOK:
        *p = m->mark_at[in->reg];
        cut(m, m->mark_depth[in->reg], false);
        break;
    case REGEX_OP_CUT:
        cut(m, m->mark_depth[in->reg], false);
        break;
    case REGEX_OP_REFUSE:
        cut(m, m->mark_depth[in->reg], true);
        return UINT32_MAX;
    case REGEX_OP_BACK:
        *p = look_back(m, in, pc, q);
        break;
    case REGEX_OP_BEHIND:
        return q == m->mark_at[in->reg] ? pc + 1 : UINT32_MAX;
    case REGEX_OP_SAVE:
        save(m, in->x, q);
        break;
    case REGEX_OP_STUCK:
        return q == m->slot[in->x] ? in->y : pc + 1;
    case REGEX_OP_BACKREF:
        *p = same_again(m, m->slot[in->x], m->slot[in->x + 1], q, in->how);
        break;
    }
    return *p == SIZE_MAX ? UINT32_MAX : pc + 1;
}

/* Match at p: 1 with *end, 0 no, -1 the limit. */
static int match(struct machine *m, size_t p, size_t *end, uint64_t limit)
{
    uint32_t pc = 0;

    m->depth = 0;
    for (uint32_t i = 0; i < m->re->slots; i++)
        m->slot[i] = SIZE_MAX;
    for (;;) {
        const struct regex_insn *in = &m->re->insn[pc];

        if (in->op == REGEX_OP_MATCH) {
            *end = p;
            return 1;
        }
        pc = step(m, in, pc, &p);
        if (++m->steps > limit || m->full)
            return -1;
        if (pc == UINT32_MAX)
            pc = retry(m, &p);
        if (pc == UINT32_MAX)
            return 0;
    }
}

int regex_search(const struct regex *re, const char *text, size_t n, size_t at, size_t *begin, size_t *end,
                 struct err *err)
{
    struct machine m;
    uint64_t limit = REGEX_STEPS + (uint64_t)REGEX_STEPS_BYTE * n;
    uint32_t cp;
    int rc = 0;

    m.re = re;
    m.text = text;
    m.n = n;
    m.at = at;
    m.steps = 0;
    m.stack = m.local;
    m.cap = LOCAL;
    m.full = false;
    for (size_t p = at; p <= n; p += p < n ? take(&m, p, &cp) : 1) {
        if (!may_begin(&m, 0, p))
            continue;
        *begin = p;
        rc = match(&m, p, end, limit);
        if (rc)
            break;
    }
    if (m.stack != m.local)
        free(m.stack);
    if (rc < 0)
        return err_set(err, m.full ? "the pattern at byte %zu of the text takes more than its memory allows"
                                   : "the pattern at byte %zu of the text takes more steps than allowed",
                       *begin);
    return rc;
}

int regex_next(const struct regex *re, struct regex_scan *scan, const char *text, size_t n, size_t *begin, size_t *end,
               struct err *err)
{
    while (scan->at <= n) {
        int rc = regex_search(re, text, n, scan->at, begin, end, err);

        if (rc <= 0)
            return rc;
        if (*begin == *end && scan->matched && scan->last == *end) {
            uint32_t cp;
            int k = scan->at < n ? utf8_decode(text + scan->at, n - scan->at, &cp) : 1;

            scan->at += k ? (size_t)k : 1;
            continue;
        }
        scan->at = scan->last = *end;
        scan->matched = 1;
        return 1;
    }
    return 0;
}
