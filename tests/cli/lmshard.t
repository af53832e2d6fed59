# lmshard: streams to .bin/.idx and back, refusals, damage.
. "$SRC/tests/lib.sh"
streams=$SRC/tests/fuzz/corpus/stream
indexes=$SRC/tests/fuzz/corpus/index

# an .idx by hand: TYPE, then as one number a byte; u64 NUMBER below 256
u64() { printf '\\%03o\\0\\0\\0\\0\\0\\0\\0' "$@"; }
head_of() { printf 'MMIDIDX\0\0'; printf "$(u64 1)\\$(printf %o "$1")$(u64 "$2" "$3")"; }

ok 'a stream becomes a pair' lmshard -o p "$streams/documents"
printf '\1\0\2\0\3\0\4\0\11\0' >want.bin
{
    head_of 8 3 4
    printf '\3\0\0\0\0\0\0\0\2\0\0\0'
    printf "$(u64 0 6 6)$(u64 0 1 2 3)"
} >want.idx
ok 'its .bin' cmp want.bin p.bin
ok 'its .idx' cmp want.idx p.idx
is '--verify' 0 'p: uint16, 3 documents, 3 sequences, 5 tokens within 1..9\n' '' lmshard --verify p
ok 'from a pipe' sh -c "cat '$streams/documents' | lmshard -o q - && cmp p.idx q.idx && cmp p.bin q.bin"
ok 'two streams one after the other' lmshard -o two "$streams/two"
is 'are one' 0 'two: uint16, 6 documents, 6 sequences, 10 tokens within 1..9\n' '' lmshard --verify two
ok 'nothing without a token' lmshard -o none "$streams/empty"
is 'is a pair' 0 'none: int32, 0 documents, 0 sequences, 0 tokens\n' '' lmshard --verify none

for t in uint8 int8 int16 uint16 int32 int64; do
    ok "--dtype $t" lmshard --dtype $t -o t "$streams/documents"
    ok "$t comes back through a stream" sh -c \
        "lmshard -x t -o t.tks && lmshard -o u t.tks && cmp t.bin u.bin && cmp t.idx u.idx"
done
for p in two sentences none; do
    cp "$indexes/$p" c.idx
    case $p in two) size=10 ;; sentences) size=176 ;; none) size=0 ;; esac
    head -c $size /dev/zero >c.bin
    ok "index '$p' comes back" sh -c "lmshard -x c | lmshard -o d && cmp c.idx d.idx && cmp c.bin d.bin"
done

# one sequence of 600000 tokens, over several blocks, in a document of two sequences
yes abc | head -c 1200006 >big.bin
{
    head_of 8 2 2
    printf '\300\047\011\0\3\0\0\0'
    printf '\0\0\0\0\0\0\0\0\200\117\022\0\0\0\0\0'
    printf "$(u64 0 2)"
} >big.idx
ok 'a document larger than a block' sh -c 'lmshard -x big | lmshard -o d && cmp big.idx d.idx && cmp big.bin d.bin'

is 'a token that does not fit' 1 '' '~token 4 is 300: not within the 0..255 of uint8' sh -c '
    printf "\1\0\2\0\3\0\4\0\54\1" >p.bin; lmshard -x p | lmshard --dtype uint8 -o t'
is 'a loss mask' 1 '' "~an index has no place for the stream's loss mask (--flatten" lmshard -o c "$streams/columns"
is 'is dropped by --flatten' 0 '' "~dropping the stream's loss mask" lmshard --flatten -o c "$streams/columns"
is 'sequences stay' 0 'c: int32, 4 documents, 6 sequences, 6 tokens within -1..9\n' '' lmshard --verify c
is 'rows with segments' 1 '' "~no place for the stream's segments of rows" lmshard -o r "$streams/rows"
is '-q says nothing of it' 0 '' '' lmshard -q --flatten -o r "$streams/rows"
is 'a row is a document' 0 'r: uint16, 2 documents, 2 sequences, 8 tokens within 0..4\n' '' lmshard --verify r

cp p.bin old.bin
cp p.idx old.idx
is 'a producer that failed' 1 '' "~byte 136: the stream's producer failed: disk on fire" lmshard -o p "$streams/aborted"
head -c 200 "$streams/documents" >cut.tks
is 'a cut stream' 1 '' '~lmshard: cut.tks: byte 200: truncated stream: ' lmshard -o p cut.tks
is 'no stream' 1 '' '~want.idx: byte 0: not a token stream' lmshard -o p want.idx
is 'no file' 1 '' 'lmshard: absent: No such file or directory\n' lmshard -o p absent
ok 'the old pair is still there' sh -c 'cmp p.bin old.bin && cmp p.idx old.idx'
is 'no such place' 1 '' '~no/p.bin' lmshard -o no/p "$streams/documents"
is 'no temporary is left' 0 '' '' sh -c 'ls -A | grep tmp || :'

head -c 100 want.idx >cut.idx
cp want.bin cut.bin
is 'a cut index' 1 '' 'lmshard: cut.idx: 100 bytes, not 102: truncated\n' lmshard -x cut
is 'a cut .bin' 1 '' '~old.bin: 9 bytes; the index has 5 tokens of 2' sh -c 'head -c 9 want.bin >old.bin; lmshard --verify old'
is 'an .idx alone' 1 '' 'lmshard: lone.bin: No such file or directory\n' sh -c 'cp want.idx lone.idx; lmshard -x lone'
{
    head_of 7 0 1
    u64 0 | xargs -0 printf
} >f.idx
: >f.bin
is 'float32' 1 '' '~f.idx: float32 values are not tokens' lmshard -x f
cp "$indexes/modes" m.idx
head -c 48 /dev/zero >m.bin
is 'modes' 1 '' '~m.idx: a stream has no place for its modes' lmshard -x m
ok 'modes are dropped by --flatten' sh -c 'lmshard --flatten -x m | lmshard -o n'
is 'a full disk' 1 '' '~No space left' sh -c 'lmshard -x two >/dev/full'

is 'no prefix' 2 '' '~-o PREFIX is needed' lmshard "$streams/documents"
is 'two operands' 2 '' '~one operand too many: b' lmshard -o p a b
is 'a type that is none' 2 '' "~'float32' is not a type of tokens" lmshard --dtype float32 -o p
is '-x and --verify' 2 '' '~not both' lmshard -x p --verify p

# killed at each step: the old pair, no .idx, or the new pair
same() { cmp -s "$1.bin" w/p.bin && cmp -s "$1.idx" w/p.idx; }
old_pair() {
    rm -rf w
    mkdir w
    cp a.bin w/p.bin
    cp a.idx w/p.idx
}
lmshard -o same "$streams/documents"
is 'a pair over itself' 2 '' '~same.idx is both input and output' lmshard -x same -o same.idx
cp "$streams/documents" own.bin
is 'a stream over itself' 2 '' '~own.bin is both input and output' lmshard -o own own.bin
is 'an empty prefix' 2 '' '~-o: an empty name' lmshard -o '' "$streams/documents"
killed_at() { # CALL NTH: false when it ran to its end
    ! strace -qq -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" \
        lmshard -o w/p "$streams/documents" >.out 2>&1
}
if strace -V >/dev/null 2>&1; then
    lmshard -q --flatten -o a "$streams/rows"
    lmshard -o b "$streams/documents"
    steps=0 states=
    for call in write pwrite64 fsync unlink rename; do
        i=1
        old_pair
        while killed_at $call $i; do
            steps=$((steps + 1)) i=$((i + 1))
            if [ ! -e w/p.idx ]; then states="$states none"; elif same a; then states="$states old"; elif same b; then
                states="$states new"; else states="$states MIXED($call,$i)"; fi
            old_pair
        done
        same b || states="$states UNFINISHED"
    done
    ok "killed at $steps steps:$states" [ "$steps" -gt 10 -a "${states#*[A-Z]}" = "$states" ]
else
    skip 'killed at each step' 'strace is not installed'
fi

if [ -d "$shared/golden/data" ] && [ -d "$shared/data/formats/megatron_indexed" ]; then
    find "$shared/golden/data" "$shared/data/formats/megatron_indexed" -name '*.idx' | sort | while read -r f; do
        p=${f%.idx}
        if [ -e "$p.bin" ]; then
            lmshard -x "$p" >s.tks && lmshard -o back s.tks && cmp "$p.bin" back.bin && cmp "$p.idx" back.idx &&
                echo same || echo "not the same: $p"
        else
            lmshard -x "$p" 2>.err && echo "not noticed: $p"
            grep -q "$p.bin: No such file" .err && echo lone
        fi
    done >result 2>&1
    ok "pairs of ../shared come back: $(grep -c same result), and $(grep -c lone result) without .bin" \
        sh -c '! grep -v "^same$\|^lone$" result && [ "$(grep -c "^same$" result)" -gt 400 ]'
else
    skip 'pairs of ../shared' '../shared is absent'
fi
ok '--help tells of a prefix' sh -c "lmshard --help | grep -q -- '-o, --output PREFIX'"
plan
