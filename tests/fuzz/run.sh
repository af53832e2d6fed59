#!/bin/sh
# Every tests/fuzz/X.c under libFuzzer for FUZZ_SECONDS, from its corpus; findings stay in build/fuzz.
: "${SRC:?}" "${FUZZ_SECONDS:=120}"
cd "$SRC" || exit 1
command -v clang >/dev/null || { echo 'fuzz: clang is needed' >&2; exit 1; }
export LMPIPE_CACHE=off
san=address,undefined
flags="-O1 -g -fsanitize=fuzzer-no-link,$san -fno-sanitize-recover=all"
make -s -j2 CC=clang B=build/fuzz CFLAGS="$flags" build/fuzz/libtrain.a build/fuzz/libcommon.a || exit 1
bad=0
for f in tests/fuzz/*.c; do
    t=$(basename "$f" .c)
    [ "$t" != replay ] || continue
    case " ${TARGETS:-$t} " in *" $t "*) ;; *) continue ;; esac
    # shellcheck disable=SC2046
    clang -std=c11 -D_GNU_SOURCE -DLMPIPE_VERSION='"fuzz"' -DLIBFUZZER -I. -O1 -g -fsanitize=fuzzer,$san \
        -fno-sanitize-recover=all -pthread -o "build/fuzz/$t" "$f" build/fuzz/libtrain.a build/fuzz/libcommon.a \
        $(pkg-config --libs libarchive libzstd zlib liblzma) -lbz2 -lm \
        -Wl,--as-needed $(pkg-config --libs ompi-c 2>/dev/null || mpicc --showme:link) || exit 1
    mkdir -p "build/fuzz/new/$t"
    if "build/fuzz/$t" -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=1024 -max_len=65536 \
        -artifact_prefix="build/fuzz/$t." "build/fuzz/new/$t" "tests/fuzz/corpus/$t" >"build/fuzz/$t.log" 2>&1; then
        printf '%s\t%s\tclean\n' "$t" "$(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "build/fuzz/$t.log")"
    else
        printf '%s\tFOUND, see build/fuzz/%s.log\n' "$t" "$t"
        bad=1
    fi
done
exit $bad
