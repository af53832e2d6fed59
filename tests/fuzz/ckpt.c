/* Bytes as a MANIFEST, as they are and with the checksum made right; and as a state.json. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "train/ckpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LAST = 4 + 64 + 1 };

static int file(void *ctx, const char *path, uint64_t size, const uint8_t sha256[32], struct err *err)
{
    uint64_t *sum = ctx;
    char slashed[300];

    (void)err;
    snprintf(slashed, sizeof slashed, "/%s/", path);
    if (strstr(slashed, "//") || strstr(slashed, "/../"))
        abort();
    *sum += size + sha256[31] + strlen(path);
    return 0;
}

static void seal(uint8_t *p, size_t n)
{
    struct hash_sha256 h;
    uint8_t digest[32];

    hash_sha256_init(&h);
    hash_sha256_add(&h, p, n - LAST);
    hash_sha256_end(&h, digest);
    p += n - LAST;
    memcpy(p, "end ", 4);
    for (int i = 0; i < 64; i++)
        p[4 + i] = (uint8_t)"0123456789abcdef"[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
    p[LAST - 1] = '\n';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ckpt_state s;
    struct err err;
    uint64_t sum = 0;
    uint8_t *copy;

    ckpt_parse_state(&s, data, size, "fuzz", &err);
    ckpt_check_manifest(data, size, "fuzz", file, &sum, &err);
    if (size < LAST)
        return 0;
    copy = malloc(size);
    if (!copy)
        abort();
    memcpy(copy, data, size);
    seal(copy, size);
    ckpt_check_manifest(copy, size, "fuzz", file, &sum, &err);
    free(copy);
    return 0;
}
