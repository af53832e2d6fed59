/* cache, image: what is kept is found whole or not at all, in a directory that is the user's own; structures there and back. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "libcommon/base/cache.h"
#include "libcommon/base/image.h"
#include "libcommon/base/rng.h"
#include "libcommon/text/trie.h"
#include "libcommon/tokenizer/lexicon.h"
#include "libcommon/tokenizer/merges.h"
#include "tests/tap.h"

static char name[] = "kept/0101010101010101010101010101010101010101010101010101010101010101";
static uint8_t key[32];

static bool finds(const uint8_t *k, const char *want)
{
    struct cache_entry e = { 0 };
    bool found = cache_find(k, &e), same = found && e.n == strlen(want) && memcmp(e.data, want, e.n) == 0;

    if (found)
        cache_release(&e);
    return same;
}

static void keep(const char *what)
{
    cache_keep(key, what, strlen(what));
}

static void test_kept(void)
{
    uint8_t other[32] = { 0 };
    struct stat st;

    memset(key, 1, sizeof key);
    setenv("LMPIPE_CACHE", "kept", 1);
    OK(!finds(key, "bytes"));
    keep("bytes");
    OK(stat("kept", &st) == 0 && (st.st_mode & 0777) == 0700);
    OK(stat(name, &st) == 0 && (st.st_mode & 0777) == 0600);
    OK(finds(key, "bytes") && !finds(other, "bytes"));
    keep("others");
    OK(finds(key, "others"));
    setenv("LMPIPE_CACHE", "off", 1);
    OK(!finds(key, "others"));
    setenv("LMPIPE_CACHE", "", 1);
    OK(!finds(key, "others"));
}

static void test_places(void)
{
    char here[4000];

    unsetenv("LMPIPE_CACHE");
    setenv("XDG_CACHE_HOME", "relative", 1); /* which its standard says to leave aside */
    setenv("HOME", "relative", 1);
    keep("bytes");
    OK(access("relative", F_OK) < 0 && !finds(key, "bytes"));
    setenv("HOME", getcwd(here, sizeof here), 1);
    keep("bytes");
    OK(access(".cache/lmpipe", F_OK) == 0 && finds(key, "bytes"));
}

/* Change byte `at` of the file. */
static void flip(off_t at)
{
    int fd = open(name, O_RDWR);
    char c = 0;

    if (pread(fd, &c, 1, at) == 1) {
        c ^= 4;
        OK(pwrite(fd, &c, 1, at) == 1);
    }
    close(fd);
}

static void test_damaged(void)
{
    struct stat st;
    int lost = 0;

    setenv("LMPIPE_CACHE", "kept", 1);
    keep("some bytes that are kept");
    OK(stat(name, &st) == 0 && finds(key, "some bytes that are kept"));
    for (off_t at = 0; at < st.st_size; at++) {
        flip(at);
        lost += !finds(key, "some bytes that are kept");
        flip(at);
    }
    OKF(lost == st.st_size, "%d of %d", lost, (int)st.st_size);
    for (off_t n = st.st_size - 1; n >= 0; n -= 7) {
        OK(truncate(name, n) == 0 && !finds(key, "some bytes that are kept"));
    }
    keep("again");
    OK(finds(key, "again"));
    OK(unlink(name) == 0 && symlink("other", name) == 0 && !finds(key, "again"));
    OK(unlink(name) == 0 && mkfifo(name, 0600) == 0 && !finds(key, "again"));
    unlink(name);
    keep("again");
    OK(chmod(name, 0620) == 0 && !finds(key, "again"));
    OK(chmod(name, 0600) == 0 && finds(key, "again"));
    OK(chmod("kept", 0770) == 0 && !finds(key, "again"));
    OK(chmod("kept", 0700) == 0 && finds(key, "again"));
}

/* As many as are allowed, the last used ones. */
static void test_room(void)
{
    struct cache_entry first;
    uint8_t k[32] = { 0 };
    int there = 0;

    setenv("LMPIPE_CACHE", "many", 1);
    for (int i = 0; i < CACHE_FILES + 8; i++) {
        char path[80] = "many/";

        k[0] = (uint8_t)i;
        cache_keep(k, &i, sizeof i);
        for (int b = 0; b < 32; b++)
            snprintf(path + 5 + 2 * b, 3, "%02x", k[b]);
        OK(utimes(path, (struct timeval[2]){ { 1000 + i, 0 }, { 1000 + i, 0 } }) == 0);
        k[0] = 0;
        finds(k, ""); /* the first one is used */
    }
    for (int i = 0; i < CACHE_FILES + 8; i++) {
        struct cache_entry e;

        k[0] = (uint8_t)i;
        if (cache_find(k, &e)) {
            there++;
            cache_release(&e);
        }
    }
    OKF(there == CACHE_FILES, "%d", there);
    k[0] = 0;
    OK(cache_find(k, &first));
    cache_release(&first);
}

/* ---- image ---- */

struct things {
    uint32_t number;
    char *array, *string, *none;
    size_t n;
    struct lexicon words;
    struct merges merges;
    struct trie trie;
};

static void image_things(struct things *t, struct image *i)
{
    image_field(i, t->number);
    image_array(i, &t->array, &t->n, 1);
    image_string(i, &t->string);
    image_string(i, &t->none);
    lexicon_image(&t->words, i);
    merges_image(&t->merges, i);
    trie_image(&t->trie, i, 1000);
}

static void release_things(struct things *t)
{
    free(t->array);
    free(t->string);
    free(t->none);
    lexicon_release(&t->words);
    merges_release(&t->merges);
    trie_release(&t->trie);
}

static void make_things(struct things *t)
{
    struct trie_key keys[300];
    char words[300][4];
    struct err err;

    *t = (struct things){ .number = 7, .n = 3, .array = memcpy(malloc(3), "abc", 3), .string = strdup("hello") };
    for (uint32_t i = 0; i < 300; i++) {
        snprintf(words[i], 4, "%u", i);
        lexicon_add(&t->words, words[i], strlen(words[i]), i, LEXICON_MOST, &err);
        keys[i] = (struct trie_key){ words[i], strlen(words[i]), i };
        merges_pair(&t->merges, i, i + 1, merges_add(&t->merges, i / 2));
    }
    lexicon_index(&t->words, &err);
    merges_finish(&t->merges);
    trie_build(&t->trie, keys, 300);
}

static bool same_things(const struct things *a, const struct things *b)
{
    bool same = a->number == b->number && a->n == b->n && memcmp(a->array, b->array, a->n) == 0 && strcmp(a->string, b->string) == 0 && !b->none;
    uint32_t value[2];
    char word[16];

    for (uint32_t i = 0; i < 400; i++) {
        size_t n = (size_t)snprintf(word, sizeof word, "%u", i);

        same &= lexicon_find(&a->words, word, n) == lexicon_find(&b->words, word, n);
        same &= merges_find(&a->merges, i, i + 1) == merges_find(&b->merges, i, i + 1);
        value[0] = value[1] = 0;
        same &= trie_longest(&a->trie, word, n, &value[0]) == trie_longest(&b->trie, word, n, &value[1]) && value[0] == value[1];
    }
    return same;
}

static void test_image(void)
{
    struct things made, back = { 0 };
    struct image size = { 0 }, i;
    char *bytes;
    int cut = 0, bent = 0;

    make_things(&made);
    image_things(&made, &size);
    bytes = malloc(size.n);
    i = (struct image){ .v = bytes };
    image_things(&made, &i);
    OK(i.n == size.n);
    i = (struct image){ .at = bytes, .end = bytes + size.n };
    image_things(&back, &i);
    OK(!i.bad && i.at == i.end && same_things(&made, &back));
    release_things(&back);
    for (size_t n = 0; n < size.n; n += n < 200 ? 1 : 97) { /* cut off */
        struct things t = { 0 };

        i = (struct image){ .at = bytes, .end = bytes + n };
        image_things(&t, &i);
        cut += !i.bad;
        release_things(&t);
    }
    OK(!cut);
    for (uint64_t k = 0; k < 3000; k++) { /* what holds is safe to use */
        size_t at = rng_u64(5, k, 0) % size.n;
        struct things t = { 0 };
        char was = bytes[at];

        bytes[at] ^= (char)(1 << rng_u64(5, k, 1) % 8);
        i = (struct image){ .at = bytes, .end = bytes + size.n };
        image_things(&t, &i);
        if (!i.bad)
            bent += !t.string || !same_things(&made, &t);
        release_things(&t);
        bytes[at] = was;
    }
    OK(bent > 100);
    free(bytes);
    release_things(&made);
}

int main(void)
{
    umask(022);
    test_kept();
    test_places();
    test_damaged();
    test_room();
    test_image();
    return tap_done();
}
