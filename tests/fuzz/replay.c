/* replay.c - run a fuzz target over its corpus directory without libFuzzer, as `make test` does. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *buf;
    size_t n;

    if (!f)
        return 0;
    buf = malloc(1 << 22);
    if (!buf)
        abort();
    n = fread(buf, 1, 1 << 22, f);
    fclose(f);
    /* exact size on the heap, so that a sanitizer sees one byte too far */
    uint8_t *exact = malloc(n ? n : 1);
    if (!exact)
        abort();
    for (size_t i = 0; i < n; i++)
        exact[i] = buf[i];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(buf);
    return 1;
}

int main(int argc, char **argv)
{
    DIR *d = argc > 1 ? opendir(argv[1]) : NULL;
    struct dirent *e;
    char path[4096];
    int n = 0;

    if (!d) {
        printf("not ok 1 - no corpus\n1..1\n");
        return 1;
    }
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        n += replay_file(path);
    }
    closedir(d);
    printf("%s 1 - %d inputs of %s replayed\n1..1\n", n ? "ok" : "not ok", n, argv[1]);
    return !n;
}
