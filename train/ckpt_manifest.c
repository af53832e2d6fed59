/* MANIFEST (lmcheckpoint(5)): what files a checkpoint has, their sizes and SHA-256, and its own. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/tree.h"
#include "train/ckpt_file.h"

#define NAME "MANIFEST"
#define FIRST "lmpipe checkpoint "
#define LAST "end "
enum { VERSION = 1, HEX = 64, PATH_MOST = 255 };

/* Without these it is no checkpoint. */
static const char *const required[] = { "config.json", "model.safetensors", "optimizer/exp_avg.safetensors",
                                        "optimizer/exp_avg_sq.safetensors", "state.json" };
enum { REQUIRED = sizeof required / sizeof *required };

int ckpt_map(struct io_map *m, const char *dir, const char *name, uint64_t most, struct err *err)
{
    char *path = tree_join(dir, name);
    struct stat st;
    int rc;

    memset(m, 0, sizeof *m);
    if (stat(path, &st) < 0)
        rc = err_set(err, "%s:", path);
    else if (!S_ISREG(st.st_mode))
        rc = err_set(err, "%s: not a regular file", path);
    else if ((uint64_t)st.st_size > most)
        rc = err_set(err, "%s: %" PRIu64 " bytes, more than %" PRIu64, path, (uint64_t)st.st_size, most);
    else
        rc = io_map(m, path, err);
    free(path);
    return rc;
}

static void hash(const void *data, size_t n, uint8_t digest[32])
{
    struct hash_sha256 h;

    hash_sha256_init(&h);
    hash_sha256_add(&h, data, n);
    hash_sha256_end(&h, digest);
}

static void hash_map(struct io_map *m, uint8_t digest[32])
{
    enum { PIECE = 16 << 20 };
    struct hash_sha256 h;

    hash_sha256_init(&h);
    for (size_t at = 0; at < m->size; at += PIECE) {
        hash_sha256_add(&h, m->data + at, m->size - at < PIECE ? m->size - at : PIECE);
        io_map_passed(m, at);
    }
    hash_sha256_end(&h, digest);
}

static void to_hex(const uint8_t digest[32], char hex[HEX + 1])
{
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(const char *s, size_t n, uint8_t digest[32])
{
    for (int i = 0; i < 32; i++) {
        int hi = n < HEX ? -1 : digit(s[2 * i]), lo = n < HEX ? -1 : digit(s[2 * i + 1]);

        if (hi < 0 || lo < 0)
            return false;
        digest[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

/* Relative, and below the directory whatever the file system thinks of its parts. */
static bool good_path(const char *s)
{
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    for (const char *p = s;; p++) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
        if (!*p)
            return strcmp(s, NAME) != 0;
    }
}

struct entry {
    uint8_t digest[32];
    uint64_t size;
    char path[PATH_MOST + 1];
};

/* "HEX SIZE PATH", n bytes without the newline. */
static bool parse_entry(struct entry *e, const char *s, size_t n)
{
    size_t at = HEX + 1, len;

    if (n < HEX + 4 || !from_hex(s, n, e->digest) || s[HEX] != ' ' || (s[at] == '0' && s[at + 1] != ' '))
        return false;
    for (e->size = 0; at < n && s[at] >= '0' && s[at] <= '9'; at++)
        if (__builtin_mul_overflow(e->size, 10, &e->size) || __builtin_add_overflow(e->size, s[at] - '0', &e->size))
            return false;
    if (at == HEX + 1 || at + 1 >= n || s[at] != ' ')
        return false;
    len = n - ++at;
    if (len > PATH_MOST || memchr(s + at, 0, len))
        return false;
    memcpy(e->path, s + at, len);
    e->path[len] = 0;
    return good_path(e->path);
}

/* The first line, which names the version; *p moves behind it. */
static int parse_first(const char **p, const char *end, const char *name, struct err *err)
{
    const char *s = *p, *nl = memchr(s, '\n', (size_t)(end - s));
    size_t head = sizeof FIRST - 1;
    unsigned version = 0;

    if (!nl || (size_t)(nl - s) <= head || (size_t)(nl - s) > head + 8 || memcmp(s, FIRST, head) != 0)
        return err_set(err, "%s: line 1: not a manifest of a checkpoint", name);
    for (s += head; s < nl && *s >= '0' && *s <= '9'; s++)
        version = 10 * version + (unsigned)(*s - '0');
    if (s < nl || version == 0)
        return err_set(err, "%s: line 1: not a manifest of a checkpoint", name);
    if (version > VERSION)
        return err_set(err, "%s: line 1: version %u of checkpoints is newer than %d", name, version, VERSION);
    *p = nl + 1;
    return 0;
}

/* The last line is the checksum of what is before it; NULL when it is not. */
static const char *find_last(const char *text, size_t n)
{
    size_t len = sizeof LAST - 1 + HEX + 1;
    const char *last = text + n - len;
    uint8_t digest[32], want[32];

    if (n <= len || text[n - 1] != '\n' || last[-1] != '\n' || memcmp(last, LAST, sizeof LAST - 1) != 0 ||
        !from_hex(last + sizeof LAST - 1, HEX, want))
        return NULL;
    hash(text, n - len, digest);
    return memcmp(digest, want, sizeof digest) == 0 ? last : NULL;
}

int ckpt_check_manifest(const void *text, size_t n, const char *name,
                        int (*file)(void *ctx, const char *path, uint64_t size, const uint8_t sha256[32], struct err *err),
                        void *ctx, struct err *err)
{
    const char *p = text, *end = find_last(p, n), *nl;
    struct entry e, before = { .path = "" };
    unsigned found = 0;

    if (!end)
        return err_set(err, "%s: damaged or cut: the last line is not the SHA-256 of the %zu bytes", name, n);
    if (parse_first(&p, end, name, err) < 0)
        return -1;
    for (int line = 2; p < end; p = nl + 1, line++) {
        nl = memchr(p, '\n', (size_t)(end - p));
        if (!parse_entry(&e, p, (size_t)(nl - p)))
            return err_set(err, "%s: line %d: not 'SHA-256 SIZE PATH'", name, line);
        if (strcmp(before.path, e.path) >= 0)
            return err_set(err, "%s: line %d: '%s' does not follow '%s'", name, line, e.path, before.path);
        if (file(ctx, e.path, e.size, e.digest, err) < 0)
            return -1;
        for (int i = 0; i < REQUIRED; i++)
            found |= (unsigned)(strcmp(e.path, required[i]) == 0) << i;
        before = e;
    }
    for (int i = 0; i < REQUIRED; i++)
        if (!(found >> i & 1))
            return err_set(err, "%s: no %s in it", name, required[i]);
    return 0;
}

static int check_file(void *ctx, const char *path, uint64_t size, const uint8_t sha256[32], struct err *err)
{
    const char *dir = ctx;
    struct io_map m;
    uint8_t digest[32];
    int rc = 0;

    if (ckpt_map(&m, dir, path, UINT64_MAX, err) < 0)
        return -1;
    if (m.size != size)
        rc = err_set(err, "%s/%s: %zu bytes, MANIFEST says %" PRIu64, dir, path, m.size, size);
    if (rc == 0) {
        hash_map(&m, digest);
        if (memcmp(digest, sha256, sizeof digest) != 0)
            rc = err_set(err, "%s/%s: damaged: its SHA-256 is not the one of MANIFEST", dir, path);
    }
    io_unmap(&m);
    return rc;
}

int ckpt_verify(const char *path, struct err *err)
{
    char *name = tree_join(path, NAME), *dir = xstrdup(path);
    struct io_map m;
    int rc = ckpt_map(&m, path, NAME, CKPT_TEXT_MOST, err);

    if (rc == 0)
        rc = ckpt_check_manifest(m.data, m.size, name, check_file, dir, err);
    io_unmap(&m);
    free(dir);
    free(name);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int ckpt_write_manifest(const char *dir, char **name, size_t n, struct err *err)
{
    size_t cap = 64 + n * (HEX + 24 + PATH_MOST) + HEX + 16, at;
    char *text = xmalloc(cap), *path = tree_join(dir, NAME), hex[HEX + 1];
    uint8_t digest[32];
    int rc = 0;

    at = (size_t)snprintf(text, cap, FIRST "%d\n", VERSION);
    qsort(name, n, sizeof *name, by_name);
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct io_map m;

        rc = ckpt_map(&m, dir, name[i], UINT64_MAX, err);
        hash_map(&m, digest);
        to_hex(digest, hex);
        at += (size_t)snprintf(text + at, cap - at, "%s %zu %s\n", hex, m.size, name[i]);
        io_unmap(&m);
    }
    hash(text, at, digest);
    to_hex(digest, hex);
    at += (size_t)snprintf(text + at, cap - at, LAST "%s\n", hex);
    if (rc == 0)
        rc = io_save(path, text, at, err);
    free(path);
    free(text);
    return rc;
}
