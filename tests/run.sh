#!/bin/sh
# Run every test (TAP on stdout, two at a time), print what failed or was skipped, and close with
# one line: N passed, N failed, N skipped.  TESTS='unit/json cli/lmcat.t' runs a part.
: "${B:?}" "${SRC:?}"
cd "$SRC" || exit 1
PATH="$B/bin:$PATH" LC_ALL=C
logs=$B/log LMPIPE_CACHE=$B/cache
export B SRC PATH LC_ALL LMPIPE_CACHE
rm -rf "$logs" "$LMPIPE_CACHE"
mkdir -p "$logs"
list() {
    if [ -n "$TESTS" ]; then
        printf '%s\n' $TESTS
    else
        ls tests/*.t tests/cli/*.t 2>/dev/null | sed 's,^tests/,,'
        ls tests/unit/*.c 2>/dev/null | sed 's,^tests/,,; s,\.c$,,'
        ls tests/fuzz/*.c 2>/dev/null | sed 's,^tests/,,; s,\.c$,,; /\/replay$/d'
    fi
}
one='
    t=$1 log=$2/$(echo "$1" | tr / _)
    dir=$(mktemp -d) || exit 1
    case $t in
    *.t) (cd "$dir" && exec sh "$SRC/tests/$t") ;;
    fuzz/*) (cd "$dir" && exec "$B/tests/$t" "$SRC/tests/fuzz/corpus/${t#fuzz/}") ;;
    *) (cd "$dir" && exec "$B/tests/$t") ;;
    esac >"$log" 2>&1 </dev/null
    rc=$?
    rm -rf "$dir"
    planned=$(sed -n "s/^1\.\.\([0-9]*\).*/\1/p" "$log" | tail -n 1)
    ran=$(grep -c "^\(not \)\{0,1\}ok\b" "$log")
    [ "$rc" = 0 ] || echo "not ok - $t ended with status $rc" >>"$log"
    [ "$planned" = "$ran" ] || echo "not ok - $t planned ${planned:-nothing} and ran $ran tests" >>"$log"
    printf "%s %s\n" "$t" "$(grep -c "^not ok" "$log" | sed "s/^0\$/ok/; s/^[1-9].*/FAILED/")"
'
list | xargs -P "${TEST_JOBS:-2}" -I{} sh -c "$one" sh {} "$logs"
awk '
    /^not ok/ { failed++; print FILENAME ": " $0; next }
    /^ok.*# SKIP/ { skipped++; print FILENAME ": " $0; next }
    /^ok/ { passed++ }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 || passed == 0 }
' "$logs"/*
