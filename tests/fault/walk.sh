#!/bin/sh
# No memory, at every allocation: each row of `cases` is run with its 1st, 2nd, 3rd ... allocation failing, alone
# and with all that follow.  STEP=N takes every Nth only.
#
# The program must say so and end with a status above 0, and what it leaves must be whole: no file but those of a
# run that was let alone, each with the same bytes.  Where libc or a library does without the memory (qsort does),
# the run must have done all its work.  One line a row: name, faults, how many were done without, how many are bad.
: "${B:?}" "${SRC:?}" "${STEP:=1}"
PATH="$B/bin:$PATH" LC_ALL=C LMPIPE_CACHE=off
export PATH LC_ALL LMPIPE_CACHE
lib=$B/tests/fault/malloc.so
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
tok=$SRC/tests/golden/tok corpus=$SRC/tests/fuzz/corpus

# inputs
sed -n '/<[nlr]>/d; 1,40p' "$tok/gpt2.jsonl" | cut -d '"' -f 1-4 | sed 's/$/"}/' >in.jsonl
printf 'hello world\n\nit is 12 o clock, and \303\251 too\n' >in.txt
printf '1 2 3\n\n4 5\n6\n' >in.ids
cp "$tok/llama3.json" tokenizer.json
{ printf '{%300000s' ''; tail -c +2 "$tok/gpt2.json"; } >large.json
LMPIPE_CACHE=warm lmtokenize -q -t large.json in.jsonl >out
for z in gzip zstd xz bzip2; do $z -qc in.txt >in.$z 2>/dev/null || rm -f in.$z; done
mkdir members && cp in.txt in.gzip members
tar cf in.tar -C members in.txt in.gzip
cp "$corpus/source/zip" in.source && tail -c +2 in.source >in.zip # its first byte is the fuzz target's
lmtokenize --from ids --vocab-size 9 -o docs.tks in.ids
lmtokenize -t "$tok/gpt2.json" --eod=7 -o text.tks in.jsonl
lmpack -q -L 4 -o rows.tks docs.tks
lmshard -q -o pair docs.tks
lmshard -q --dtype int64 -o wide docs.tks
mkdir sharded
cp "$corpus/safetensors/two" sharded/all.safetensors
printf '{"weight_map":{"b":"all.safetensors","e":"all.safetensors","w":"all.safetensors"}}' >sharded/model.safetensors.index.json
cat >config.json <<X
{"model_type": "llama", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
 "num_attention_heads": 2, "max_position_embeddings": 8}
X
lmtrain -q -j1 model=config.json tokenizer=tokenizer.json data=rows.tks out=run train_iters=1 lr=1e-3
lmconvert -q run meg --to megatron --pp 1

# NAME | command, which writes below w/ and to standard output
cases="
lmshard | lmshard -q -o w/p docs.tks
lmshard text | lmshard -q -o w/p <text.tks
lmshard rows | lmshard -q --flatten --dtype int32 -o w/p rows.tks
lmshard --verify | lmshard --verify pair
lmshard -x | lmshard -q -x pair -o w/s
lmshard -x int64 | lmshard -q -x wide -o w/s
lmtokenize gpt2 | lmtokenize -q -j1 -t $tok/gpt2.json --eod=7 -o w/s in.jsonl
lmtokenize llama3 | lmtokenize -q -j1 -t $tok/llama3.json --special parse -o w/s in.jsonl
lmtokenize to the cache | LMPIPE_CACHE=w/cache lmtokenize -q -j1 -t large.json -o w/s in.jsonl
lmtokenize from the cache | LMPIPE_CACHE=warm lmtokenize -q -j1 -t large.json -o w/s in.jsonl
lmtokenize qwen2 | lmtokenize -q -j1 -t $tok/qwen2.json --from txt in.txt
lmtokenize -j2 | lmtokenize -q -j2 -t $tok/gpt2.json --from txt -o w/s in.txt in.jsonl
lmtokenize ids | lmtokenize -q -j1 --from ids --vocab-size 9 -o w/s in.ids
lmtokenize -d | lmtokenize -q -j1 -d -t $tok/gpt2.json -o w/t text.tks
lmtokenize -d ids | lmtokenize -q -j1 -d --from ids -t $tok/gpt2.json in.ids
lmtokenize gzip | lmtokenize -q -j1 -t $tok/gpt2.json --from txt --to ids -o w/i in.gzip
lmtokenize zstd | lmtokenize -q -j1 -t $tok/gpt2.json --from txt --to ids -o w/i in.zstd
lmtokenize xz | lmtokenize -q -j1 -t $tok/gpt2.json --from txt --to ids -o w/i in.xz
lmtokenize bzip2 | lmtokenize -q -j1 -t $tok/gpt2.json --from txt --to ids -o w/i in.bzip2
lmtokenize tar | lmtokenize -q -j1 -t $tok/gpt2.json --from txt --to ids -o w/i in.tar
lmtokenize tar from a pipe | lmtokenize -q -j1 -t $tok/gpt2.json --from txt --to ids -o w/i <in.tar
lmcat zip | lmcat -q -j1 --on-error=replace --from txt -o w/j in.zip
lmtokenize zip | lmtokenize -q -j1 -t $tok/gpt2.json --on-error=replace --from txt --to ids -o w/i in.zip
lminfo stream | lminfo -o w/i docs.tks
lminfo index | lminfo --json pair
lminfo safetensors | lminfo -l sharded/all.safetensors
lminfo safetensors index | lminfo -l sharded
lminfo torch | lminfo -l $corpus/torch/zip
lminfo torch old | lminfo -l $corpus/torch/old
lminfo tokenizer | lminfo tokenizer.json
lminfo checkpoint | lminfo -l run/step_1
lminfo run | lminfo run
lminfo events | lminfo run/events.out.*
lminfo megatron | lminfo -l meg
lminfo configuration | lminfo config.json
lminfo jsonl | lminfo in.jsonl
lminfo text | lminfo in.txt
lminfo compressed | lminfo in.gzip
lminfo several | lminfo --json -o w/i docs.tks - tokenizer.json <config.json
"

# Is what stands below w/ whole?
whole() {
    find w -type f | while read -r f; do
        cmp -s "$f" "new/${f#w/}" || exit 1
    done
}
clear() {
    for f in w/* w/.[!.]*; do
        [ ! -e "$f" ] || rm -rf w
    done
    [ -d w ] || mkdir w
}
run() { eval "LD_PRELOAD='$lib' $*" >out 2>err; }
fault() { # NAME COMMAND N ON
    clear
    run "FAULT_AT=$3 ${4:+FAULT_ON=1} $2"
    rc=$? why=
    all=$((all + 1))
    if [ $rc -ge 128 ]; then
        why="died of signal $((rc - 128))"
    elif [ $rc -eq 0 ]; then
        without=$((without + 1))
        { diff -r w new && cmp -s out new.out; } >/dev/null || why='ended with 0, and its work is not done'
    elif ! grep -qE "^$program: .*(memory|cannot start a thread|cannot load the locale)" err; then
        why="said: $(cat err)"
    fi
    whole || why='left what is not whole'
    [ -z "$why" ] || { bad=$((bad + 1)); printf '# %s: allocation %d%s: %s\n' "$1" "$3" "${4:+ and on}" "$why"; }
}
total=0
echo "$cases" | grep . >table
while IFS='|' read -r name command <&3; do
    name=${name% } command=${command# } bad=0 all=0 without=0
    program=${command#LMPIPE_CACHE=* } program=${program%% *}
    rm -rf new w
    mkdir w
    if run "FAULT_COUNT=count $command"; then
        cp -r w new
        cp out new.out
        read -r n <count
        i=$((total % STEP % n + 1))
        while [ $i -le "$n" ]; do
            for on in '' on; do fault "$name" "$command" $i $on; done
            i=$((i + STEP))
        done
    else
        sed 's/^/# /' err
        bad=1
    fi
    [ $all -gt 0 ] || bad=1
    total=$((total + 1 + bad * 1000000))
    printf '%s\t%d faults\t%d done without\t%d bad\n' "$name" $all $without $bad
done 3<table
[ $total -lt 1000000 ]
