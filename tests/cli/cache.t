# The cache of tokenizers: what comes from it is what the files give, and nothing else comes from it.
. "$SRC/tests/lib.sh"
tok=$SRC/tests/golden/tok
LMPIPE_CACHE=$PWD/cache
export LMPIPE_CACHE
head -n 60 "$tok/gpt2.jsonl" | cut -d '"' -f 1-4 | sed 's/$/"}/' >in.jsonl
# small ones are not kept: blanks make a file large enough
large() { { printf '{%300000s' ''; tail -c +2 "$1"; } >"$2"; }
kept() { [ "$(find cache -type f 2>/dev/null | wc -l)" = "$1" ]; }
both() { "$@" >cold 2>&1; "$@" >warm 2>&1; LMPIPE_CACHE=off "$@" >off 2>&1; cmp cold off && cmp warm off; }

large "$tok/gpt2.json" large.json
ok 'cold, warm and off' both lmtokenize -q -t large.json in.jsonl
ok 'one is kept' kept 1
lmtokenize -q -t "$tok/gpt2.json" in.jsonl >out
ok 'a small one is not' kept 1
cp large.json again.json && large "$tok/llama3.json" other.json
ok 'of another name' sh -c 'lmtokenize -q -t again.json in.jsonl >again && cmp again off'
ok 'and another one' both lmtokenize -q -t other.json in.jsonl
ok 'special tokens, decoding' both sh -c 'lmtokenize -q --special parse -t other.json in.jsonl | lmtokenize -d -q -t other.json'
ok 'lminfo' both lminfo large.json

# a file of the same size and time, with two ids exchanged
cp -p large.json was.json
sed 's/"a":64/"a":65/; s/"b":65/"b":64/' large.json >new.json
cat new.json >large.json && touch -r was.json large.json
ok 'another file in its place' sh -c 'cmp -s new.json was.json && exit 1; lmtokenize -q -t large.json in.jsonl >new; LMPIPE_CACHE=off lmtokenize -q -t large.json in.jsonl | cmp - new'
cat was.json >large.json
mkdir model && cp large.json model/tokenizer.json
echo '{"add_eos_token":true,"eos_token":"<|eod|>"}' >model/tokenizer_config.json
ok 'with a configuration' both lmtokenize -q --eos -t model in.jsonl
echo '{"add_eos_token":true,"eos_token":"a"}' >model/tokenizer_config.json
ok 'with another one' both lmtokenize -q --eos -t model in.jsonl

# damage: every kept file, bytes here and there, and cut off
rm -rf cache
lmtokenize -q -t large.json in.jsonl >cold
f=$(find cache -type f) size=$(wc -c <"$f")
cp "$f" whole
bad=0
for at in 0 9 40 44 48 56 63 64 65 80 100 1000 5000 $((size / 2)) $((size - 9)) $((size - 1)); do
    cp whole "$f"
    printf '\377\001' | dd of="$f" bs=1 seek="$at" conv=notrunc status=none
    lmtokenize -q -t large.json in.jsonl >out && cmp -s out cold || { bad=1; echo "# byte $at"; }
done
ok 'damaged' [ $bad = 0 ]
for len in 0 1 63 64 65 $((size / 2)) $((size - 1)); do
    head -c "$len" whole >"$f"
    lmtokenize -q -t large.json in.jsonl >out && cmp -s out cold || { bad=1; echo "# $len bytes"; }
done
ok 'cut off' [ $bad = 0 ]
ok 'and it was mended' cmp whole "$f"

# where nothing can be kept
ok 'no directory can be made' sh -c 'LMPIPE_CACHE=/dev/null/x lmtokenize -q -t large.json in.jsonl | cmp - cold'
ok 'a file in its place' sh -c ': >file; LMPIPE_CACHE=file lmtokenize -q -t large.json in.jsonl | cmp - cold'
ok 'a full disk' sh -c 'rm -rf cache; (ulimit -f 100; exec lmtokenize -q -t large.json in.jsonl) | cmp - cold'
ok 'and nothing is left of it' kept 0
ok 'others can write there' sh -c 'mkdir -p cache && chmod 777 cache; lmtokenize -q -t large.json in.jsonl | cmp - cold; rc=$?; chmod 700 cache; exit $rc'
ok 'and nothing is kept there' kept 0
ok 'many at once' sh -c 'for i in 1 2 3 4 5 6; do lmtokenize -q -t large.json in.jsonl >out.$i & done; wait; for i in 1 2 3 4 5 6; do cmp out.$i cold || exit 1; done'
ok 'one of them is kept' kept 1
ok 'killed while it is written' sh -c 'rm -rf cache; for i in 1 2 3 4 5; do timeout -s KILL 0.00$i lmtokenize -q -t large.json in.jsonl >/dev/null; done; lmtokenize -q -t large.json in.jsonl | cmp - cold'

# every kind that is kept
if [ -d "$shared/data/tokenizers" ]; then
    d=$shared/data/tokenizers
    for t in gpt2 llama2/tokenizer.json llama2/tokenizer.model t5/tokenizer.json t5/spiece.model gpt2/encoder.json gpt2/gpt2.tiktoken \
        llama2/ggml-vocab-llama-spm.gguf gpt2/ggml-vocab-gpt-2.gguf; do
        rm -rf cache
        ok "$t" both lmtokenize -q -t "$d/$t" in.jsonl
        ok "$t, kept" kept 1
        ok "$t, -d" both sh -c "lmtokenize -q --to ids -t $d/$t in.jsonl | lmtokenize -d -q --from ids --on-error=replace -t $d/$t"
    done
else
    skip 'every kind that is kept' 'no ../shared'
fi
plan
