#include "libcommon/data/source.h"

#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/source_in.h"

#define BLOCK ((size_t)1 << 20) /* bytes of a block of lines */
#define KEEP ((size_t)16 << 20) /* a larger buffer is not kept for the next block */

struct source {
    struct source_options o;
    char *const *paths; /* n of them; none: standard input; borrowed */
    int n, next;
    struct source_in *memory; /* the one file in memory, until it is begun */
    struct source_in *bottom; /* the current file, bytes as they are; or NULL */
    struct source_in *file;   /* the same with its filter, which owns it */
    struct source_archive *archive;
    struct source_in *in; /* of the documents: file, or a member, with its filter */
    char *name;           /* of it, for messages */
    char *id;             /* the member's name as valid UTF-8, or NULL */
    enum source_kind kind;
    uint64_t line;       /* the next line's number */
    char *carry;         /* the beginning of a line whose rest did not fit the last block */
    size_t carry_n, carry_cap;
    bool overlong; /* within a line above max_doc, which was reported */
    uint64_t done; /* bytes of finished files */
    uint64_t total;
    locale_t utf8; /* of archives: libarchive converts names by the thread's locale */
};

static struct source *new(const struct source_options *o)
{
    struct source *s = xcalloc(1, sizeof *s);

    s->o = *o;
    if (!s->o.key)
        s->o.key = "text";
    if (!s->o.max_doc)
        s->o.max_doc = SOURCE_MAX_DOC;
    return s;
}

struct source *source_new(const struct source_options *o, char *const *paths, int n)
{
    struct source *s = new(o);
    struct stat st;

    s->paths = paths;
    s->n = n;
    for (int i = 0; i < n; i++) {
        if (stat(paths[i], &st) < 0 || !S_ISREG(st.st_mode)) {
            s->total = 0; /* a pipe: not known */
            break;
        }
        s->total += (uint64_t)st.st_size;
    }
    return s;
}

struct source *source_new_memory(const struct source_options *o, const void *data, size_t n, const char *name)
{
    struct source *s = new(o);

    s->memory = source_in_memory(data, n, name);
    s->n = s->next = 1;
    s->total = n;
    return s;
}

/* The documents' own stream ends; a file that is no archive ends with it. */
static void end_input(struct source *s)
{
    if (s->in != s->file)
        source_in_close(s->in);
    s->in = NULL;
    s->carry_n = 0;
    s->overlong = false;
}

static void end_file(struct source *s)
{
    source_archive_close(s->archive);
    s->archive = NULL;
    if (s->bottom)
        s->done += s->bottom->offset;
    source_in_close(s->file);
    s->file = s->bottom = NULL;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    end_input(s);
    end_file(s);
    source_in_close(s->memory);
    if (s->utf8)
        freelocale(s->utf8);
    free(s->name);
    free(s->id);
    free(s->carry);
    free(s);
}

uint64_t source_bytes(const struct source *s)
{
    return s->done + (s->bottom ? s->bottom->offset : 0);
}

uint64_t source_total(const struct source *s)
{
    return s->total;
}

void source_block_free(struct source_block *b)
{
    free(b->data);
    free(b->name);
    free(b->id);
    free(b->fixed);
    memset(b, 0, sizeof *b);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool has_mark(const uint8_t *p, size_t n)
{
    return n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0;
}

/* '{' and on the same line '"' or '}': JSONL, even if it turns out to be damaged, which is then an error
 * with a place and not a text.  A pretty-printed object is a text. */
static bool looks_jsonl(const uint8_t *p, size_t n)
{
    size_t i = has_mark(p, n) ? 3 : 0;

    while (i < n && is_blank(p[i]))
        i++;
    if (i == n || p[i++] != '{')
        return false;
    while (i < n && (p[i] == ' ' || p[i] == '\t'))
        i++;
    return i < n && (p[i] == '"' || p[i] == '}');
}

/* A copy of the name, of which the end counts where it is too long for a message. */
static char *short_name(const char *name)
{
    size_t n = strlen(name);
    char *copy;

    if (n <= SOURCE_NAME)
        return xstrdup(name);
    copy = xmalloc(SOURCE_NAME + 4);
    snprintf(copy, SOURCE_NAME + 4, "...%s", name + n - SOURCE_NAME);
    return copy;
}

static void set_label(struct source *s, const char *member)
{
    size_t n = member ? strlen(member) : 0;

    free(s->name);
    free(s->id);
    s->name = short_name(s->in->name);
    s->id = member ? xmalloc(3 * n + 1) : NULL;
    if (member)
        s->id[utf8_repair(member, n, s->id)] = 0;
}

static void label_block(const struct source *s, struct source_block *b, enum source_kind kind)
{
    free(b->name);
    free(b->id);
    b->name = xstrdup(s->name);
    b->id = s->id ? xstrdup(s->id) : NULL;
    b->kind = kind;
    b->options = &s->o;
    b->line = b->at_line = s->line;
    b->at = 0;
}

/* A document that is not read goes out as a block of its own. */
ERR_PRINTF(3, 4) static int refuse(const struct source *s, struct source_block *b, const char *fmt, ...)
{
    va_list ap;

    label_block(s, b, SOURCE_BLOCK_BAD);
    va_start(ap, fmt);
    vsnprintf(b->bad.msg, sizeof b->bad.msg, fmt, ap);
    va_end(ap);
    err_prefix(&b->bad, "%s", s->name);
    return 1;
}

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t len = strlen(end);

    return n >= len && strncasecmp(s + n - len, end, len) == 0;
}

/* Records of a kind that is not read yet, which must not pass for one text; or NULL.  A table is not known but by
 * its name. */
static const char *unread(const char *name, const uint8_t *p, size_t n)
{
    static const char *const compressed[] = { ".gz", ".zst", ".xz", ".bz2" };
    size_t len = strlen(name), i = 1;

    if (n >= 5 && memcmp(p, "WARC/", 5) == 0)
        return "a WARC";
    while (i < n && strchr(" \t\r\n", p[i]) && p[i])
        i++;
    if (i < n && p[0] == '[' && p[i] == '{')
        return "a JSON array of objects";
    for (i = 0; i < sizeof compressed / sizeof *compressed; i++)
        if (ends_with(name, len, compressed[i]))
            len -= strlen(compressed[i]);
    return ends_with(name, len, ".csv") || ends_with(name, len, ".tsv") ? "a table" : NULL;
}

/* Of what kind are the documents of s->in?  1: the block says why they are not read; 0: go on. */
static int begin_input(struct source *s, struct source_block *b, const char *member, struct err *err)
{
    const uint8_t *p;
    const char *inner;
    uint8_t mark[3];
    int64_t n;
    bool jsonl;

    set_label(s, member);
    n = source_in_peek(s->in, &p, err);
    if (n < 0)
        return -1;
    inner = source_filter_name(p, (size_t)n);
    if (inner) {
        end_input(s);
        return refuse(s, b, "%s data within compressed data: only one level is read", inner);
    }
    inner = source_archive_name(p, (size_t)n);
    if (inner) {
        end_input(s);
        return refuse(s, b, "a %s archive within an archive: only one level is read", inner);
    }
    jsonl = s->o.from == SOURCE_JSONL || (s->o.from == SOURCE_AUTO && looks_jsonl(p, (size_t)n));
    inner = jsonl || s->o.lines || s->o.from != SOURCE_AUTO ? NULL : unread(s->name, p, (size_t)n);
    if (inner) {
        end_input(s);
        return refuse(s, b, "%s, which is not read yet: --from txt takes it as one text", inner);
    }
    s->kind = jsonl ? SOURCE_BLOCK_JSONL : s->o.lines ? SOURCE_BLOCK_LINES : SOURCE_BLOCK_WHOLE;
    s->line = 1;
    if (jsonl && has_mark(p, (size_t)n) && source_in_read(s->in, mark, sizeof mark, err) < 0)
        return -1;
    return 0;
}

static void use_utf8(struct source *s)
{
    if (!s->utf8)
        s->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!s->utf8)
        die("cannot load the locale C.UTF-8:");
    uselocale(s->utf8); /* until the end of source_read() */
}

/* Stand on the next member or file.  1: there is one; 2: there is one and its block is ready; 0: the end. */
static int next_input(struct source *s, struct source_block *b, struct err *err)
{
    const char *member = NULL;
    const uint8_t *p;
    uint64_t size;
    int64_t n;
    int rc;

    if (s->file && !s->archive)
        end_file(s);
    if (s->archive) {
        rc = source_archive_next(s->archive, &member, &s->in, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            end_file(s);
        else if (source_filter(&s->in, s->o.long_window, err) < 0)
            return -1;
    }
    if (!s->file) {
        if (!s->memory && s->next >= (s->n ? s->n : 1))
            return 0;
        s->bottom = s->memory ? s->memory : source_in_open(s->n ? s->paths[s->next] : "-", &size, err);
        if (!s->bottom)
            return -1;
        s->memory = NULL;
        s->next++;
        s->file = s->bottom;
        if (source_filter(&s->file, s->o.long_window, err) < 0)
            return -1;
        n = source_in_peek(s->file, &p, err);
        if (n < 0)
            return -1;
        if (source_archive_name(p, (size_t)n)) {
            use_utf8(s);
            s->archive = source_archive_open(s->file, err);
            return s->archive ? next_input(s, b, err) : -1;
        }
        s->in = s->file;
    }
    rc = begin_input(s, b, member, err);
    return rc < 0 ? -1 : rc + 1;
}

static int read_whole(struct source *s, struct source_block *b, struct err *err)
{
    int64_t n;

    b->size = 0;
    do {
        mem_grow(&b->data, &b->cap, b->size + BLOCK, 1);
        n = source_in_read(s->in, b->data + b->size, b->cap - b->size, err);
        if (n < 0)
            return -1;
        b->size += (size_t)n;
        if (b->size > s->o.max_doc) {
            end_input(s);
            return refuse(s, b, "above the %llu bytes of --max-doc", (unsigned long long)s->o.max_doc);
        }
    } while (n > 0);
    end_input(s);
    label_block(s, b, SOURCE_BLOCK_WHOLE);
    return b->size > 0;
}

static void carry(struct source *s, const char *p, size_t n)
{
    mem_grow(&s->carry, &s->carry_cap, n + 1, 1);
    memcpy(s->carry, p, n);
    s->carry_n = n;
}

/* Read to the end of a line above max_doc and keep what follows. */
static int skip_line(struct source *s, struct source_block *b, struct err *err)
{
    int64_t n;

    mem_grow(&b->data, &b->cap, BLOCK, 1);
    while ((n = source_in_read(s->in, b->data, BLOCK, err)) > 0) {
        const char *nl = memchr(b->data, '\n', (size_t)n);

        if (!nl)
            continue;
        carry(s, nl + 1, (size_t)(b->data + n - (nl + 1)));
        s->overlong = false;
        return 0;
    }
    if (n == 0)
        end_input(s);
    return (int)n;
}

static uint64_t count_lines(const char *p, size_t n)
{
    const char *end = p + n;
    uint64_t lines = 0;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* Fill the block up to the last newline of the first BLOCK bytes, or more where a line is longer. */
static int read_lines(struct source *s, struct source_block *b, struct err *err)
{
    size_t want = BLOCK > s->carry_n ? BLOCK : s->carry_n, searched = 0;
    const char *nl = NULL;
    int64_t n = 1;

    mem_grow(&b->data, &b->cap, want, 1);
    b->size = s->carry_n;
    if (b->size)
        memcpy(b->data, s->carry, b->size);
    s->carry_n = 0;
    while (!nl && n > 0 && b->size <= s->o.max_doc + 1) {
        mem_grow(&b->data, &b->cap, want, 1);
        while (b->size < want && (n = source_in_read(s->in, b->data + b->size, want - b->size, err)) > 0)
            b->size += (size_t)n;
        if (n < 0)
            return -1;
        nl = memrchr(b->data + searched, '\n', b->size - searched);
        searched = b->size;
        want += want / 2;
    }
    label_block(s, b, s->kind);
    if (n == 0) {
        end_input(s);
        return b->size > 0;
    }
    if (!nl) {
        s->overlong = true;
        return refuse(s, b, "line %llu is above the %llu bytes of --max-doc", (unsigned long long)s->line++,
                      (unsigned long long)s->o.max_doc);
    }
    carry(s, nl + 1, (size_t)(b->data + b->size - (nl + 1)));
    b->size -= s->carry_n;
    s->line += count_lines(b->data, b->size);
    return 1;
}

static int fill(struct source *s, struct source_block *b, struct err *err)
{
    int rc = 0;

    if (b->cap > KEEP) {
        free(b->data);
        b->data = NULL;
        b->cap = 0;
    }
    while (rc == 0) {
        if (!s->in) {
            rc = next_input(s, b, err);
            if (rc != 1)
                return rc > 0 ? 1 : rc;
        }
        rc = s->kind == SOURCE_BLOCK_WHOLE ? read_whole(s, b, err)
             : s->overlong                 ? skip_line(s, b, err)
                                           : read_lines(s, b, err);
    }
    return rc;
}

int source_read(struct source *s, struct source_block *b, struct err *err)
{
    locale_t old = uselocale(s->utf8); /* no change where there is none */
    int rc = fill(s, b, err);

    uselocale(old);
    return rc;
}
