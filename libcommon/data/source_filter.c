/* Decompression.  One driver over the four libraries, so that all of them check what follows a frame, see
 * the difference between the end and a cut, and name the byte.  (libarchive 3.6 could undo these too, but
 * its gzip filter does not compare the checksum, and it takes no zstd window above 2^27.) */
#include <bzlib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "libcommon/base/io.h"
#include "libcommon/base/mem.h"
#include "libcommon/data/source_in.h"

#define BUFFER ((size_t)1 << 17)
#define MOST ((size_t)1 << 30) /* zlib and bzlib count in 32 bits */
#define XZ_MEMORY ((uint64_t)256 << 20) /* xz -9 needs 65 MiB */

enum step { STEP_MORE, STEP_FRAME, STEP_BAD };

/* What is left to read and to fill; step() moves them on. */
struct span {
    const uint8_t *in;
    size_t in_n;
    uint8_t *out;
    size_t out_n;
};

/* A way of compression.  The state of one frame is made by start() and is gone after end(). */
struct filter_kind {
    const char *name;
    bool (*sniff)(const uint8_t *p, size_t n);
    void *(*start)(bool long_window);
    enum step (*step)(void *state, struct span *s, const char **why);
    void (*end)(void *state);
};

/* Damage is told by an error, and may be skipped; memory is at its end for all. */
static void no_memory(bool is_so, const char *library)
{
    if (is_so)
        die("out of memory: %s", library);
}

static void *gzip_start(bool long_window)
{
    z_stream *z = xcalloc(1, sizeof *z);

    (void)long_window;
    no_memory(inflateInit2(z, 15 + 16) != Z_OK, "zlib");
    return z;
}

static enum step gzip_step(void *state, struct span *s, const char **why)
{
    z_stream *z = state;
    int rc;

    z->next_in = (uint8_t *)(uintptr_t)s->in;
    z->avail_in = (unsigned)s->in_n;
    z->next_out = s->out;
    z->avail_out = (unsigned)s->out_n;
    rc = inflate(z, Z_NO_FLUSH);
    *s = (struct span){ z->next_in, z->avail_in, z->next_out, z->avail_out };
    no_memory(rc == Z_MEM_ERROR, "zlib");
    *why = z->msg ? z->msg : "damaged";
    return rc == Z_STREAM_END ? STEP_FRAME : rc == Z_OK || rc == Z_BUF_ERROR ? STEP_MORE : STEP_BAD;
}

static void gzip_end(void *state)
{
    inflateEnd(state);
    free(state);
}

static void *zstd_start(bool long_window)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();

    no_memory(!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, long_window ? 31 : 27)), "zstd");
    return z;
}

static enum step zstd_step(void *state, struct span *s, const char **why)
{
    ZSTD_inBuffer in = { s->in, s->in_n, 0 };
    ZSTD_outBuffer out = { s->out, s->out_n, 0 };
    size_t rc = ZSTD_decompressStream(state, &out, &in);

    *s = (struct span){ s->in + in.pos, s->in_n - in.pos, s->out + out.pos, s->out_n - out.pos };
    if (!ZSTD_isError(rc))
        return rc ? STEP_MORE : STEP_FRAME;
    no_memory(ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation, "zstd");
    *why = ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge
               ? "its window is above 2^27 bytes, which needs --long"
               : ZSTD_getErrorName(rc);
    return STEP_BAD;
}

static void zstd_end(void *state)
{
    ZSTD_freeDCtx(state);
}

static void *xz_start(bool long_window)
{
    lzma_stream *z = xcalloc(1, sizeof *z);

    no_memory(lzma_stream_decoder(z, long_window ? UINT64_MAX : XZ_MEMORY, LZMA_TELL_UNSUPPORTED_CHECK) != LZMA_OK,
              "liblzma");
    return z;
}

static enum step xz_step(void *state, struct span *s, const char **why)
{
    lzma_stream *z = state;
    lzma_ret rc;

    z->next_in = s->in;
    z->avail_in = s->in_n;
    z->next_out = s->out;
    z->avail_out = s->out_n;
    rc = lzma_code(z, LZMA_RUN);
    *s = (struct span){ z->next_in, z->avail_in, z->next_out, z->avail_out };
    no_memory(rc == LZMA_MEM_ERROR, "liblzma");
    *why = rc == LZMA_MEMLIMIT_ERROR      ? "it needs more than 256 MiB of memory, which needs --long"
           : rc == LZMA_UNSUPPORTED_CHECK ? "its kind of checksum is unknown"
           : rc == LZMA_OPTIONS_ERROR     ? "its options are unknown"
                                          : "damaged";
    return rc == LZMA_STREAM_END ? STEP_FRAME : rc == LZMA_OK || rc == LZMA_BUF_ERROR ? STEP_MORE : STEP_BAD;
}

static void xz_end(void *state)
{
    lzma_end(state);
    free(state);
}

static void *bzip2_start(bool long_window)
{
    bz_stream *z = xcalloc(1, sizeof *z);

    (void)long_window;
    no_memory(BZ2_bzDecompressInit(z, 0, 0) != BZ_OK, "libbz2");
    return z;
}

static enum step bzip2_step(void *state, struct span *s, const char **why)
{
    bz_stream *z = state;
    int rc;

    z->next_in = (char *)(uintptr_t)s->in;
    z->avail_in = (unsigned)s->in_n;
    z->next_out = (char *)s->out;
    z->avail_out = (unsigned)s->out_n;
    rc = BZ2_bzDecompress(z);
    *s = (struct span){ (uint8_t *)z->next_in, z->avail_in, (uint8_t *)z->next_out, z->avail_out };
    no_memory(rc == BZ_MEM_ERROR, "libbz2");
    *why = "damaged";
    return rc == BZ_STREAM_END ? STEP_FRAME : rc == BZ_OK ? STEP_MORE : STEP_BAD;
}

static void bzip2_end(void *state)
{
    BZ2_bzDecompressEnd(state);
    free(state);
}

/* Does p begin as the magic, or where it is cut by the end, as its first `least` bytes do? */
static bool begins(const uint8_t *p, size_t n, const char *magic, size_t size, size_t least)
{
    return n >= least && memcmp(p, magic, n < size ? n : size) == 0;
}

static bool gzip_sniff(const uint8_t *p, size_t n)
{
    return begins(p, n, "\x1f\x8b\x08", 3, 2);
}

static bool zstd_sniff(const uint8_t *p, size_t n)
{
    bool skippable = n >= 4 && (p[0] & 0xf0) == 0x50 && memcmp(p + 1, "\x2a\x4d\x18", 3) == 0;

    return skippable || begins(p, n, "\x28\xb5\x2f\xfd", 4, 2);
}

static bool xz_sniff(const uint8_t *p, size_t n)
{
    return begins(p, n, "\xfd" "7zXZ", 6, 2);
}

/* "BZh" and a digit, then the first block's magic or, of an empty file, the end's. */
static bool bzip2_sniff(const uint8_t *p, size_t n)
{
    return begins(p, n, "BZh", 3, 4) && p[3] >= '1' && p[3] <= '9' &&
           (begins(p + 4, n - 4, "\x31\x41\x59\x26\x53\x59", 6, 0) ||
            begins(p + 4, n - 4, "\x17\x72\x45\x38\x50\x90", 6, 0));
}

static const struct filter_kind kinds[] = {
    { "gzip", gzip_sniff, gzip_start, gzip_step, gzip_end },
    { "zstd", zstd_sniff, zstd_start, zstd_step, zstd_end },
    { "xz", xz_sniff, xz_start, xz_step, xz_end },
    { "bzip2", bzip2_sniff, bzip2_start, bzip2_step, bzip2_end },
};

static const struct filter_kind *kind_of(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].sniff(p, n))
            return &kinds[i];
    return NULL;
}

const char *source_filter_name(const uint8_t *p, size_t n)
{
    const struct filter_kind *k = kind_of(p, n);

    return k ? k->name : NULL;
}

struct filter {
    struct source_in in;
    struct source_in *below;
    const struct filter_kind *kind;
    bool long_window;
    void *state; /* of the current frame, or NULL between two */
    size_t at, n;
    uint8_t buf[BUFFER];
};

static int64_t located(const struct filter *f, const char *what, struct err *err)
{
    return err_set(err, "%.*s: byte %llu of the %s data: %s", SOURCE_NAME, f->in.name,
                   (unsigned long long)(f->below->offset - (f->n - f->at)), f->kind->name, what);
}

/* Between frames: 1 when another one was begun, 0 at the end of the data. */
static int64_t next_frame(struct filter *f, struct err *err)
{
    const uint8_t *p;
    int64_t n;

    if (f->at < f->n && f->n - f->at < 16) { /* the next magic may be cut by the end of the buffer */
        memmove(f->buf, f->buf + f->at, f->n - f->at);
        f->n -= f->at;
        f->at = 0;
        n = source_in_peek(f->below, &p, err);
        if (n < 0)
            return -1;
        n = n ? source_in_read(f->below, f->buf + f->n, sizeof f->buf - f->n, err) : 0;
        if (n < 0)
            return -1;
        f->n += (size_t)n;
    }
    if (f->at == f->n)
        return 0;
    if (!f->kind->sniff(f->buf + f->at, f->n - f->at))
        return located(f, "other bytes follow the compressed data", err);
    f->state = f->kind->start(f->long_window);
    return 1;
}

static int64_t filter_fill(struct source_in *in, void *buf, size_t n, struct err *err)
{
    struct filter *f = (struct filter *)in;
    size_t room = n < MOST ? n : MOST;

    for (;;) {
        struct span s;
        const char *why;
        enum step step;
        bool ended = false;
        int64_t got;

        if (f->at == f->n) {
            got = source_in_read(f->below, f->buf, sizeof f->buf, err);
            if (got < 0)
                return -1;
            f->at = 0;
            f->n = (size_t)got;
            ended = got == 0;
        }
        if (!f->state) {
            got = next_frame(f, err);
            if (got <= 0)
                return got;
        }
        s = (struct span){ f->buf + f->at, f->n - f->at, buf, room };
        step = f->kind->step(f->state, &s, &why);
        f->at = f->n - s.in_n;
        if (step == STEP_BAD)
            return located(f, why, err);
        if (step == STEP_FRAME) {
            f->kind->end(f->state);
            f->state = NULL;
        }
        if (s.out_n < room)
            return (int64_t)(room - s.out_n);
        if (ended && step == STEP_MORE)
            return located(f, "cut short", err);
    }
}

static void filter_close(struct source_in *in)
{
    struct filter *f = (struct filter *)in;

    if (f->state)
        f->kind->end(f->state);
    source_in_close(f->below);
    free(f);
}

int source_filter(struct source_in **in, bool long_window, struct err *err)
{
    struct filter *f;
    const struct filter_kind *kind;
    const uint8_t *p;
    int64_t n = source_in_peek(*in, &p, err);

    if (n <= 0)
        return n < 0 ? -1 : 0;
    kind = kind_of(p, (size_t)n);
    if (!kind)
        return 0;
    f = xcalloc(1, sizeof *f);
    f->in = (struct source_in){ .fill = filter_fill, .close = filter_close, .name = (*in)->name };
    f->below = *in;
    f->kind = kind;
    f->long_window = long_window;
    *in = &f->in;
    return 1;
}
