/* hash.h - checksums: CRC-32C (Castagnoli, RFC 3720), CRC-32 (zip's, RFC 1952) and SHA-256 (FIPS 180-4). */
#ifndef LIBCOMMON_BASE_HASH_H
#define LIBCOMMON_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C of n more bytes; start with crc = 0.  The SSE4.2 instruction where there is one, else
 * tables of eight. */
uint32_t hash_crc32c(uint32_t crc, const void *data, size_t n);

/* The same, by tables always: the twin that tests hold against the other. */
uint32_t hash_crc32c_portable(uint32_t crc, const void *data, size_t n);

/* CRC-32 of n more bytes; start with crc = 0.  By carry-less multiplication where there is one; by zlib, the twin. */
uint32_t hash_crc32(uint32_t crc, const void *data, size_t n);
uint32_t hash_crc32_portable(uint32_t crc, const void *data, size_t n);

struct hash_sha256 {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};

void hash_sha256_init(struct hash_sha256 *s);
void hash_sha256_add(struct hash_sha256 *s, const void *data, size_t n);
void hash_sha256_end(struct hash_sha256 *s, uint8_t digest[32]);
/* n blocks of 64 bytes into the state h: by instructions where there are some; the portable twin. */
void hash_sha256_blocks(uint32_t h[8], const void *data, size_t n);
void hash_sha256_blocks_portable(uint32_t h[8], const void *data, size_t n);

/* 64-bit mix of a 64-bit key (the finaliser of splitmix64): for hash tables. */
static inline uint64_t hash_mix64(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* 64-bit hash of bytes for hash tables in memory (not stored, not stable between versions). */
uint64_t hash_bytes(const void *data, size_t n, uint64_t seed);

#endif
