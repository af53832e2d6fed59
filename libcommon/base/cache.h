/* cache.h - what can be made again, kept in the user's cache directory: bytes by a key.
 *
 * The directory is $LMPIPE_CACHE (none where that is empty or "off"), else $XDG_CACHE_HOME/lmpipe, else ~/.cache/lmpipe, and made
 * when something is kept.  It and its files are the user's own, which no one else can write, or they are not used; a file has
 * its key in it, and a checksum over the bytes.  The key is a hash of all that the bytes follow from, so nothing in it goes stale.
 * Nothing here fails: what cannot be kept, or found whole, is made again.  At most CACHE_FILES files and CACHE_BYTES, the
 * least recently used go; any number of processes may use it at a time.
 */
#ifndef LIBCOMMON_BASE_CACHE_H
#define LIBCOMMON_BASE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_FILES 32
#define CACHE_BYTES ((uint64_t)512 << 20)

struct cache_entry {
    void *map;
    size_t map_n;
    const void *data; /* borrowed until cache_release() */
    size_t n;
};

bool cache_find(const uint8_t key[32], struct cache_entry *e);
void cache_release(struct cache_entry *e);
void cache_keep(const uint8_t key[32], const void *data, size_t n);

#endif
