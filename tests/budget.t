# Sizes, layers, symbol names, self-contained headers: the rules that keep the tree readable.
. "$SRC/tests/lib.sh"
cd "$SRC" || exit 1

sources() { find libcommon train tools tests -name '*.c' -o -name '*.h' | sort; }

# what exceeds a budget is named with its reason in tests/budget.allow: PATH or PATH:FUNCTION
allowed() { grep -qs "^$1 " tests/budget.allow; }

long_files() {
    sources | while read -r f; do
        n=$(wc -l <"$f")
        case $f in *.h) most=200 ;; tools/*) most=400 ;; *) most=800 ;; esac
        [ "$n" -le "$most" ] || allowed "$f" || echo "$f has $n lines of $most"
    done
}
long_functions() {
    sources | grep '\.c$' | xargs awk '
        FNR == 1 { open = 0 }
        /^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        /^{/ { open = FNR }
        /^}/ { if (open && FNR - open > 100) print FILENAME ":" name, FNR - open, "lines"; open = 0 }' |
    while read -r what rest; do allowed "$what" || echo "$what $rest"; done
}
includes() { [ $# -eq 0 ] || grep -Hn "^#include \"" "$@" 2>/dev/null; }
layers() {
    includes $(find libcommon -name '*.[ch]') | grep -v '"libcommon/'
    includes libcommon/base/*.[ch] | grep -v '"libcommon/base/'
    includes libcommon/format/*.[ch] | grep -vE '"libcommon/(base|format)/'
    includes libcommon/text/*.[ch] | grep -vE '"libcommon/(base|format|text)/'
    includes libcommon/tokenizer/*.[ch] | grep -vE '"libcommon/(base|format|text|tokenizer)/'
    includes libcommon/vocab/*.[ch] | grep -vE '"libcommon/(base|format|text|tokenizer|vocab)/'
    includes libcommon/template/*.[ch] | grep -vE '"libcommon/(base|format|text|template)/'
    includes libcommon/data/*.[ch] | grep -vE '"libcommon/(base|format|text|tokenizer|data)/'
    includes libcommon/weights/*.[ch] | grep -vE '"libcommon/(base|format|weights)/'
    includes $(find train -name '*.[ch]') | grep -vE '"(libcommon|train)/'
    includes train/arch/*.[ch] | grep -vE '"(train/arch/|train/(arch|op|config)\.h|libcommon/base/)'
    includes $(find tools -name "*.c" | grep -vE "/lm(convert|train|gen|chat|eval|plan|info)\.c") | grep "\"train/"
    includes tools/*.c | grep -E '"train/(arch|kernel|dist)/'
    grep -Hn 'include <mpi.h>' $(sources) | grep -v '^train/dist/comm_mpi.c'
    grep -Hn 'immintrin' $(find libcommon train tools -name '*.h')
    grep -Hn immintrin $(find tools train -name "*.c") /dev/null | grep -v '^train/kernel/'
    true
}
banned() {
    grep -HnE '\b(strcpy|strcat|sprintf|gets|atoi|atof|strtok|alloca|rand|system)\(' $(sources) |
        grep -vE 'strcpy\(dir,'
    true
}
# every global symbol of x.o begins with x_; a family of files x_y.c may use the family's prefix
symbols() {
    find libcommon train -name '*.c' | while read -r f; do
        o=$B/obj/${f%.c}.o
        [ -e "$o" ] || continue
        base=$(basename "$f" .c)
        nm --defined-only -g "$o" | awk -v p="${base%%_*}" -v f="$f" '
            $3 !~ "^" p "_" && $3 != "die" && $3 !~ /^x(malloc|calloc|realloc|strdup)$/ { print f ": " $3 }'
    done
}
headers() {
    find libcommon train -name '*.h' | while read -r h; do
        ${CC:-cc} -std=c11 -D_GNU_SOURCE -I. -fsyntax-only -x c "$h" 2>/dev/null || echo "$h does not stand alone"
    done
}
for t in long_files long_functions layers banned symbols headers; do
    $t >"$B/log/budget.$t" 2>&1
    if [ -s "$B/log/budget.$t" ]; then
        report 'not ok' "$t"
        sed 's/^/# /' "$B/log/budget.$t" | head -n 30
    else
        report ok "$t"
    fi
    rm -f "$B/log/budget.$t"
done
plan
