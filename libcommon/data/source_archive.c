/* Members out of tar and zip archives, through libarchive, which reads them and nothing more: no member is
 * ever extracted.  libarchive takes an archive that ends between two members for a whole one; each kind
 * has a check of its own end against that.  Where memory is exhausted it (3.6) uses a NULL entry, a NULL client, or
 * calls exit(): entry and client are made here, and the exit is explained. */
#include "libcommon/data/source_in.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/mem.h"

#define BUFFER ((size_t)1 << 16)
#define ZIP_END 22 /* bytes of a zip's end record before its comment */
#define TAIL (ZIP_END + 65535)
#define TAR_BLOCK 512

struct archive_kind {
    const char *name;
    bool (*sniff)(const uint8_t *p, size_t n);
    int (*support)(struct archive *a);
    const char *option; /* for libarchive, or NULL */
    bool seeks;         /* members are found by a directory, where one can seek */
    /* After the last member: NULL, or what is wrong with the end. */
    const char *(*check)(const struct source_archive *a);
};

struct source_archive {
    struct source_in *below;
    const struct archive_kind *kind;
    struct archive *ar;
    struct archive_entry *entry; /* the current one */
    struct source_in member;
    char *member_name; /* "FILE:MEMBER", for messages */
    uint64_t members;  /* entries of any type */
    uint64_t data_end; /* where the last entry's data ended in a tar */
    uint64_t given;    /* bytes handed to libarchive */
    uint64_t zeros;    /* NUL bytes at the end of these */
    struct err below_err; /* of the last failed read below */
    bool below_failed;
    uint8_t tail[TAIL]; /* the last bytes handed over, tail_n of them (zip from a pipe) */
    size_t tail_n;
    uint8_t buf[BUFFER];
};

static uint64_t number(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* A tar header's checksum: six octal digits, the sum of its 512 bytes with blanks for the sum itself. */
static bool tar_sniff(const uint8_t *p, size_t n)
{
    unsigned sum = 8 * ' ', stored = 0;
    size_t i = 148;

    if (n < TAR_BLOCK)
        return n >= 262 && memcmp(p + 257, "ustar", 5) == 0;
    for (size_t k = 0; k < TAR_BLOCK; k++)
        if (k < 148 || k >= 156)
            sum += p[k];
    while (i < 156 && p[i] == ' ')
        i++;
    if (i == 156 || p[i] < '0' || p[i] > '7')
        return false;
    for (; i < 156 && p[i] >= '0' && p[i] <= '7'; i++)
        stored = stored * 8 + (unsigned)(p[i] - '0');
    return stored == sum;
}

/* A local file header, or the end record of an archive without members, or the mark of a split one. */
static bool zip_sniff(const uint8_t *p, size_t n)
{
    return n >= 4 && p[0] == 'P' && p[1] == 'K' &&
           ((p[2] == 3 && p[3] == 4) || (p[2] == 5 && p[3] == 6) || (p[2] == 7 && p[3] == 8));
}

static const char *tar_check(const struct source_archive *a)
{
    uint64_t end = (a->data_end + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;

    if (a->given < end + 2 * TAR_BLOCK || a->zeros < 2 * TAR_BLOCK)
        return "cut short: the two zero blocks that end a tar are missing";
    return NULL;
}

static const char *zip_check(const struct source_archive *a)
{
    const uint8_t *t = a->tail;

    for (size_t i = a->tail_n; i-- > 0;) {
        if (a->tail_n - i < ZIP_END || memcmp(t + i, "PK\5\6", 4) != 0 ||
            i + ZIP_END + number(t + i + 20, 2) != a->tail_n)
            continue;
        if (number(t + i + 10, 2) != (a->members & 0xffff) && number(t + i + 10, 2) != 0xffff)
            return "its directory counts another number of members";
        return NULL;
    }
    return "cut short, or other bytes follow: no directory stands at its end";
}

static const struct archive_kind kinds[] = {
    { "tar", tar_sniff, archive_read_support_format_tar, "tar:read_concatenated_archives", false, tar_check },
    { "zip", zip_sniff, archive_read_support_format_zip, NULL, true, zip_check },
};

static const struct archive_kind *kind_of(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].sniff(p, n))
            return &kinds[i];
    return NULL;
}

const char *source_archive_name(const uint8_t *p, size_t n)
{
    const struct archive_kind *k = kind_of(p, n);

    return k ? k->name : NULL;
}

static void keep_tail(struct source_archive *a, const uint8_t *p, size_t n)
{
    size_t k = n, keep;

    while (k && !p[k - 1])
        k--;
    a->zeros = k ? n - k : a->zeros + n;
    a->given += n;
    if (n > TAIL) {
        p += n - TAIL;
        n = TAIL;
    }
    keep = a->tail_n < TAIL - n ? a->tail_n : TAIL - n;
    memmove(a->tail, a->tail + a->tail_n - keep, keep);
    memcpy(a->tail + keep, p, n);
    a->tail_n = keep + n;
}

/* The archive that this thread is reading inside libarchive. */
static _Thread_local const struct source_archive *inside;

static void enter(const struct source_archive *a)
{
    inside = a;
    errno = 0; /* not every failure of libarchive sets its own */
}

static void no_memory(const char *name)
{
    inside = NULL;
    die("%.*s: out of memory: libarchive", SOURCE_NAME, name);
}

static void explain_exit(void)
{
    if (inside)
        err_warn("%.*s: out of memory: libarchive", SOURCE_NAME, inside->below->name);
}

static ssize_t on_read(struct archive *ar, void *ctx, const void **p)
{
    struct source_archive *a = ctx;
    int64_t n;

    inside = NULL;
    n = source_in_read(a->below, a->buf, sizeof a->buf, &a->below_err);
    enter(a);
    if (n < 0) {
        a->below_failed = true;
        archive_set_error(ar, -1, "read");
        return -1;
    }
    keep_tail(a, a->buf, (size_t)n);
    *p = a->buf;
    return n;
}

static la_int64_t on_seek(struct archive *ar, void *ctx, la_int64_t offset, int whence)
{
    struct source_archive *a = ctx;
    int64_t at = source_in_seek(a->below, offset, whence);

    (void)ar;
    return at < 0 ? ARCHIVE_FATAL : at;
}

static int failed(struct source_archive *a, const char *name, struct err *err)
{
    const char *what = archive_error_string(a->ar);

    inside = NULL;
    if (a->below_failed) {
        *err = a->below_err;
        return -1;
    }
    if (archive_errno(a->ar) == ENOMEM || errno == ENOMEM)
        no_memory(name);
    return err_set(err, "%.*s: byte %llu of the %s archive: %s", SOURCE_NAME, name,
                   (unsigned long long)a->below->offset, a->kind->name, what ? what : "damaged");
}

static int64_t member_fill(struct source_in *in, void *buf, size_t n, struct err *err)
{
    struct source_archive *a = (struct source_archive *)(void *)((char *)in - offsetof(struct source_archive, member));
    la_ssize_t got;

    enter(a);
    got = archive_read_data(a->ar, buf, n);
    if (got < 0)
        return failed(a, a->member_name, err);
    inside = NULL;
    return got;
}

static void member_close(struct source_in *in)
{
    (void)in; /* part of its archive */
}

/* Read what libarchive left, so that check() sees the end and a filter below its own; of a zip that can be
 * sought in, whose members were read by its directory, only the tail. */
static int drain(struct source_archive *a, struct err *err)
{
    int64_t size = a->kind->seeks ? source_in_seek(a->below, 0, SEEK_END) : -1, n;

    if (size >= 0) {
        a->tail_n = 0;
        if (source_in_seek(a->below, size > (int64_t)TAIL ? size - (int64_t)TAIL : 0, SEEK_SET) < 0)
            return err_set(err, "%.*s: seek:", SOURCE_NAME, a->below->name);
    }
    while ((n = source_in_read(a->below, a->buf, sizeof a->buf, err)) > 0)
        keep_tail(a, a->buf, (size_t)n);
    return n < 0 ? -1 : 0;
}

/* A reader of the kind, its callbacks set. */
static void set_up(struct source_archive *a)
{
    enter(a);
    a->ar = archive_read_new();
    if (!a->ar || a->kind->support(a->ar) != ARCHIVE_OK ||
        (a->kind->option && archive_read_set_options(a->ar, a->kind->option) != ARCHIVE_OK) ||
        archive_read_set_callback_data(a->ar, a) != ARCHIVE_OK ||
        archive_read_set_read_callback(a->ar, on_read) != ARCHIVE_OK ||
        (a->kind->seeks && a->below->seek && archive_read_set_seek_callback(a->ar, on_seek) != ARCHIVE_OK))
        no_memory(a->below->name);
    a->entry = archive_entry_new2(a->ar);
    if (!a->entry)
        no_memory(a->below->name);
}

struct source_archive *source_archive_open(struct source_in *in, struct err *err)
{
    static bool explained;
    struct source_archive *a;
    const uint8_t *p;
    int64_t n = source_in_peek(in, &p, err);

    if (n < 0)
        return NULL;
    a = xcalloc(1, sizeof *a);
    a->below = in;
    a->kind = kind_of(p, (size_t)n);
    a->member = (struct source_in){ .fill = member_fill, .close = member_close };
    if (!explained)
        atexit(explain_exit);
    explained = true;
    set_up(a);
    if (archive_read_open1(a->ar) != ARCHIVE_OK) {
        failed(a, in->name, err);
        source_archive_close(a);
        return NULL;
    }
    inside = NULL;
    return a;
}

void source_archive_close(struct source_archive *a)
{
    if (!a)
        return;
    archive_entry_free(a->entry);
    archive_read_free(a->ar);
    free(a->member_name);
    free(a);
}

static int ended(struct source_archive *a, struct err *err)
{
    const char *wrong;

    if (drain(a, err) < 0)
        return -1;
    wrong = a->kind->check(a);
    if (!wrong)
        return 0;
    return err_set(err, "%.*s: byte %llu of the %s archive: %s", SOURCE_NAME, a->below->name,
                   (unsigned long long)a->below->offset, a->kind->name, wrong);
}

static void start_member(struct source_archive *a, const char *name)
{
    size_t size = strlen(a->below->name) + strlen(name) + 2;

    free(a->member_name);
    a->member_name = xmalloc(size);
    snprintf(a->member_name, size, "%s:%s", a->below->name, name);
    a->member.name = a->member_name;
    a->member.offset = 0;
    a->member.held_at = a->member.held_n = 0;
}

int source_archive_next(struct source_archive *a, const char **name, struct source_in **data, struct err *err)
{
    for (;;) {
        struct archive_entry *e = a->entry;
        int rc;

        enter(a);
        if (a->members) {
            if (archive_read_data_skip(a->ar) < ARCHIVE_OK)
                return failed(a, a->member_name, err);
            a->data_end = (uint64_t)archive_filter_bytes(a->ar, 0);
        }
        rc = archive_read_next_header2(a->ar, e);
        if (rc == ARCHIVE_EOF && !a->below_failed) {
            inside = NULL;
            return ended(a, err);
        }
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN) /* a warning: a name it cannot convert, a lost attribute */
            return failed(a, a->members ? a->member_name : a->below->name, err);
        a->members++;
        *name = archive_entry_pathname(e);
        if (!*name)
            *name = archive_entry_pathname_utf8(e);
        if (!*name)
            *name = "(no name)";
        inside = NULL;
        start_member(a, *name);
        if (archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e)) {
            *data = &a->member;
            return 1;
        }
    }
}
