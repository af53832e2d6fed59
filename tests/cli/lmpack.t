# lmpack: rows by both methods, what it reports, what it refuses.
. "$SRC/tests/lib.sh"
streams=$SRC/tests/fuzz/corpus/stream

# the tokens of a stream of rows, as text, through the .bin that lmshard makes of it
tokens() { lmshard -q --flatten --dtype int32 -o t "$1" && od -An -v -w"$2" -td4 t.bin | tr -s ' '; }
pack() {
    lmpack "$@" -o rows.tks "$streams/documents" && tokens rows.tks 12
}

# documents 1 2 3, none, 4 9; the padding is 9, which ends documents
is 'bestfit' 0 ' 1 2 3\n 4 9 9\n' \
    'lmpack: 2 rows of 3, 16.667 %% padding; 3 documents: 0 split, 0 truncated, 0 dropped, 1 empty; 0 tokens left out\n' \
    pack -L 3
is 'concat' 0 ' 1 2 3\n 4 9 9\n' '*' pack -L 3 --method concat
is '-q says nothing' 0 ' 1 2 3\n 4 9 9\n' '' pack -q -L 3
is 'split' 0 ' 1 2 4\n 9 3 9\n' \
    'lmpack: 3 rows of 2, 16.667 %% padding; 3 documents: 1 split, 0 truncated, 0 dropped, 1 empty; 0 tokens left out\n' \
    pack -L 2
is 'truncate' 0 ' 1 2 4\n 9\n' '~0 split, 1 truncated, 0 dropped, 1 empty; 1 tokens left out' pack -L 2 --overlong truncate
is 'drop' 0 ' 4 9\n' '~0 split, 0 truncated, 1 dropped, 1 empty; 3 tokens left out' pack -L 2 --overlong drop
is 'concat, --drop-last' 0 ' 1 2 3\n 4\n' '~1 tokens left out' pack -L 2 --method concat --drop-last
is 'a stream without documents' 0 '' '~0 rows of 8, 0.000 % padding; 0 documents' sh -c \
    "lmpack -L 8 '$streams/empty' >rows.tks && lmshard -q --flatten -o t rows.tks && cat t.bin"

lmpack -q -L 3 <"$streams/documents" >rows.tks
ok 'from a pipe to a pipe, the same bytes' sh -c \
    "cat '$streams/documents' | lmpack -q -L 3 | cmp - rows.tks && lmpack -q -L 3 -o again '$streams/documents' && cmp again rows.tks"
ok 'the header says how' grep -qaF \
    '{"tool":"lmpack","version":"'"$(lmpack --version | sed 's/.* //')"'","options":{"drop-last":false,"length":3,"method":"bestfit","overlong":"split"}}' rows.tks
ok 'and what came before' grep -qaF '{"tool":"x"}' rows.tks
# tokens 7 8 9 5 -1 2, of which all but the -1 are targets
ok 'a loss mask is kept' sh -c "lmpack -q -L 6 '$streams/columns' >l.tks && tail -c 104 l.tks | od -An -v -tx1 -N1 | grep -qx ' 2f'"
is 'segments and mask have no place in an index' 1 '' "~loss mask and segments of rows" lmshard -o t rows.tks

is 'rows are not packed again' 1 '' '~these are rows already, of 3 tokens' lmpack -L 3 rows.tks
head -c 200 "$streams/documents" >cut.tks
is 'a cut stream' 1 '*' '~lmpack: cut.tks: byte 200: truncated stream: ' lmpack -L 3 cut.tks
ok 'tells the next program' sh -c 'lmpack -L 3 cut.tks 2>/dev/null | lmshard --flatten -o u 2>err; [ $? = 1 ] && grep -q "producer failed: cut.tks: byte 200" err && [ ! -e u.idx ]'
is 'a cut stream leaves no file' 1 '' '*' sh -c 'lmpack -L 3 -o v cut.tks; rc=$?; ls -A | grep "^v$\|tmp"; exit $rc'
is 'a full disk' 1 '' '~No space left' sh -c "lmpack -q -L 3 '$streams/documents' >/dev/full"
is 'no length' 2 '' '~-L LEN is needed' lmpack
is 'a length of one' 2 '' '~length: 1 is not within 2..16777216' lmpack -L 1
is 'a method that is none' 2 '' "~'x' is none of bestfit|concat" lmpack -L 3 --method x
is '--overlong with concat' 2 '' '~--overlong goes with' lmpack -L 3 --method concat --overlong drop
is '--isolate with bestfit' 2 '' '~--isolate goes with' lmpack -L 3 --isolate
is 'the input as output' 2 '' '~is both input and output' lmpack -L 3 -o rows.tks rows.tks
is 'LMPIPE_CPU of another name' 1 '' "lmpack: LMPIPE_CPU: 'avx' is none of portable avx2 avx512\n" sh -c 'LMPIPE_CPU=avx lmpack -L 4 </dev/null'
plan
