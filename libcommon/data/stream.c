/* What reader and writer share: the header, and the range check of tokens. */
#include "libcommon/data/stream.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/base/hash.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/utf8.h"
#include "libcommon/data/stream_wire.h"
#include "libcommon/format/json.h"

void stream_add_pg(struct stream_header *h, const char *json)
{
    struct json j;

    json_init(&j, json, strlen(json));
    assert(json_skip(&j) == 0 && json_next(&j) == JSON_END);
    stream_add_text(h, "PG", json);
}

void stream_add_text(struct stream_header *h, const char *key, const char *value)
{
    size_t old = h->text ? strlen(h->text) : 0, k = strlen(key), v = strlen(value);

    h->text = xrealloc(h->text, old + k + v + 3);
    memcpy(h->text + old, key, k);
    h->text[old + k] = '\t';
    memcpy(h->text + old + k + 1, value, v);
    memcpy(h->text + old + k + 1 + v, "\n", 2);
}

const char *stream_text(const struct stream_header *h, const char *key, size_t *n)
{
    const char *found = NULL, *nl;
    size_t k = strlen(key);

    for (const char *p = h->text; p && *p; p = nl + 1) {
        nl = p + strcspn(p, "\n");
        if (strncmp(p, key, k) == 0 && p[k] == '\t') {
            found = p + k + 1;
            *n = (size_t)(nl - found);
        }
        if (!*nl)
            break;
    }
    return found;
}

/* What a header may hold, whoever wrote it. */
static int check(const struct stream_header *h, struct err *err)
{
    if (h->dtype != STREAM_U16 && h->dtype != STREAM_I32)
        return err_set(err, "token type %u is neither 4 (int32) nor 8 (uint16)", h->dtype);
    if (h->kind > STREAM_ROWS)
        return err_set(err, "kind %u is neither 0 (documents) nor 1 (rows)", h->kind);
    if (h->flags & ~(STREAM_LOSS | STREAM_SEGMENTS))
        return err_set(err, "columns 0x%x are not known", h->flags);
    if ((h->kind == STREAM_ROWS) != (h->row_len > 0))
        return err_set(err, "row length %" PRIu32 " in a stream of %s", h->row_len,
                       h->kind == STREAM_ROWS ? "rows" : "documents");
    return 0;
}

/* Lines "key<TAB>value\n", then zeros. */
static int check_text(const char *p, size_t n, size_t *len, struct err *err)
{
    const char *end = memchr(p, 0, n);
    size_t used = end ? (size_t)(end - p) : n;

    for (size_t i = used; i < n; i++)
        if (p[i])
            return err_set(err, "header text goes on behind a NUL");
    if (utf8_valid(p, used) < used)
        return err_set(err, "header text is not UTF-8 at its byte %zu", utf8_valid(p, used));
    for (size_t i = 0; i < used;) {
        const char *nl = memchr(p + i, '\n', used - i);

        if (!nl || !memchr(p + i, '\t', (size_t)(nl - p) - i))
            return err_set(err, "header text is not lines of key, tab, value");
        i = (size_t)(nl - p) + 1;
    }
    *len = used;
    return 0;
}

uint8_t *stream_header_pack(const struct stream_header *h, size_t *n, struct err *err)
{
    struct stream_wire_header w = {
        .major = STREAM_MAJOR, .minor = STREAM_MINOR, .dtype = h->dtype,    .kind = h->kind,
        .flags = h->flags,     .bos = h->bos,         .eod = h->eod,        .pad = h->pad,
        .row_len = h->row_len, .vocab_size = h->vocab_size,
    };
    size_t text = h->text ? strlen(h->text) : 0, ignored;
    uint32_t crc;
    uint8_t *p;

    *n = (size_t)stream_pad8(sizeof w + text + 4);
    if (check(h, err) < 0 || (text && check_text(h->text, text, &ignored, err) < 0))
        return NULL;
    if (*n > STREAM_HEADER_MAX) {
        err_set(err, "a header of %zu bytes: at most %zu", *n, STREAM_HEADER_MAX);
        return NULL;
    }
    memcpy(w.magic, STREAM_MAGIC, sizeof w.magic);
    memcpy(w.fingerprint, h->fingerprint, sizeof w.fingerprint);
    w.header_len = (uint32_t)*n;
    p = xcalloc(1, *n);
    memcpy(p, &w, sizeof w);
    if (text)
        memcpy(p + sizeof w, h->text, text);
    crc = hash_crc32c(0, p, *n - 4);
    memcpy(p + *n - 4, &crc, 4);
    return p;
}

bool stream_is(const void *data, size_t n)
{
    return n >= 4 && memcmp(data, STREAM_MAGIC, 4) == 0;
}

size_t stream_header_len(const struct stream_wire_header *w, struct err *err)
{
    if (memcmp(w->magic, STREAM_MAGIC, sizeof w->magic) != 0) {
        err_set(err, memcmp(w->magic, STREAM_MAGIC, 4) == 0 ? "a token stream damaged in transfer (line ends were changed)"
                                                            : "not a token stream");
        return 0;
    }
    if (w->header_len < sizeof *w + 8 || w->header_len > STREAM_HEADER_MAX || w->header_len % 8) {
        err_set(err, "header length %" PRIu32 " is not a multiple of 8 within %zu..%zu", w->header_len, sizeof *w + 8,
                STREAM_HEADER_MAX);
        return 0;
    }
    return w->header_len;
}

int stream_header_parse(struct stream_header *h, const uint8_t *p, size_t n, struct err *err)
{
    struct stream_wire_header w;
    uint32_t crc;
    size_t len;

    memcpy(&w, p, sizeof w);
    memcpy(&crc, p + n - 4, 4);
    if (crc != hash_crc32c(0, p, n - 4))
        return err_set(err, "damaged header (CRC-32C is %08" PRIx32 ", not %08" PRIx32 ")", hash_crc32c(0, p, n - 4), crc);
    if (w.major > STREAM_MAJOR)
        return err_set(err, "stream version %u.%u is newer than %d.x", w.major, w.minor, STREAM_MAJOR);
    *h = (struct stream_header){
        .dtype = w.dtype, .kind = w.kind, .flags = w.flags, .vocab_size = w.vocab_size, .bos = w.bos,
        .eod = w.eod,     .pad = w.pad,   .row_len = w.row_len,
    };
    memcpy(h->fingerprint, w.fingerprint, sizeof h->fingerprint);
    if (check(h, err) < 0 || check_text((const char *)p + sizeof w, n - 4 - sizeof w, &len, err) < 0)
        return -1;
    h->text = xmalloc(len + 1);
    memcpy(h->text, p + sizeof w, len);
    h->text[len] = 0;
    return 0;
}

const char *stream_differs(const struct stream_header *a, const struct stream_header *b, bool any_tokenizer)
{
    return a->dtype != b->dtype             ? "token type"
           : a->kind != b->kind             ? "kind"
           : a->flags != b->flags           ? "columns"
           : a->row_len != b->row_len       ? "row length"
           : a->vocab_size != b->vocab_size ? "vocabulary size"
           : !any_tokenizer && memcmp(a->fingerprint, b->fingerprint, sizeof a->fingerprint) != 0
               ? "tokenizer"
               : NULL;
}

/* Fixed inner loops, which compilers turn into vectors. */
enum { LANES = 64 };

uint64_t stream_find_bad(const void *tokens, uint64_t n, enum stream_dtype dtype, uint32_t limit)
{
    const uint16_t *s = tokens;
    const uint32_t *v = tokens;
    uint64_t i = 0;

    if (limit == 0 || (dtype == STREAM_U16 && limit > UINT16_MAX))
        return n;
    for (; i + LANES <= n; i += LANES) {
        if (dtype == STREAM_U16) {
            uint16_t bad = 0, top = (uint16_t)(limit - 1);

            for (int k = 0; k < LANES; k++)
                bad |= s[i + k] > top;
            if (bad)
                break;
        } else {
            uint32_t bad = 0;

            for (int k = 0; k < LANES; k++)
                bad |= v[i + k] >= limit;
            if (bad)
                break;
        }
    }
    while (i < n && (dtype == STREAM_U16 ? s[i] : v[i]) < limit)
        i++;
    return i;
}
