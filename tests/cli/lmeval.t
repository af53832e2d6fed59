# lmeval ppl: a model known by hand, the reference's losses, windows against whole documents.
. "$SRC/tests/lib.sh"
. "$SRC/tests/model.sh"
chain_model m

# near NAME KEY=VALUE...: the last output's numbers are these to the tolerance
tolerance=1e-6
near() {
    name=$1
    shift
    ok "$name" awk -v line="$(cat last)" -v want="$*" -v tol=$tolerance 'BEGIN {
        n = split(want, w, " ")
        for (i = 1; i <= n; i++) {
            split(w[i], kv, "=")
            if (!match(line, "\"" kv[1] "\":[-+.0-9e]+")) { print kv[1], "is not in", line; exit 1 }
            got = substr(line, RSTART + length(kv[1]) + 3, RLENGTH - length(kv[1]) - 3)
            if ((got - kv[2]) ^ 2 > (kv[2] * tol) ^ 2) { print kv[1], got, "is not", kv[2]; exit 1 }
        }
    }'
}
ppl() { lmeval ppl "$@" >last; }
stream() { lmtokenize --from ids --vocab-size "$1"; }
calc() { awk "BEGIN { x = 1 / sqrt(1 / 8 + 1e-6); hit = log(exp(x) + 7) - x; miss = log(exp(x) + 7); printf \"%.12g\", $1 }"; }

# documents 0 1 2, nothing, 5, 4 5 7 0: hit hit; hit miss hit
printf '0 1 2\n\n5\n4 5 7 0\n' | stream 8 >s.tks
ok 'a stream' ppl -m m s.tks
near 'its loss' tokens=5 loss="$(calc '(4 * hit + miss) / 5')" ppl="$(calc 'exp((4 * hit + miss) / 5)')"
ok 'no words, no bytes' sh -c '! grep -q "word\|byte\|bits" last'
ok 'from standard input, one thread' sh -c 'lmeval ppl -j1 -m m <s.tks | cmp - last'
ok 'to a file' sh -c 'lmeval ppl -o out -m m s.tks && cmp out last'
ok 'any windows' sh -c 'lmeval ppl --context 2 --stride 1 -m m s.tks | cmp - last'
ok 'windows of one token' sh -c 'lmeval ppl --context 1 -m m s.tks | cmp - last'

# rows: 3 0 1 2 and 4 5 packed, 6 7 padded with 0
printf '3 0 1 2\n4 5\n6 7\n' | stream 8 | lmpack -q -L 6 >rows.tks
ok 'packed rows' ppl -m m rows.tks
near 'documents do not see each other' tokens=5 loss="$(calc '(4 * hit + miss) / 5')"

printf 'abc a' >a.txt
ok 'text' ppl -m m a.txt
near 'per word and byte' tokens=4 loss="$(calc '(2 * hit + 2 * miss) / 4')" word_ppl="$(calc 'exp((2 * hit + 2 * miss) / 2)')" \
    byte_ppl="$(calc 'exp((2 * hit + 2 * miss) / 5)')" bits_per_byte="$(calc '(2 * hit + 2 * miss) / 5 / log(2)')"
# words of " c\n\n" and "bc": 3 and 1
printf '{"text":" c\\n\\n"}\n{"x":1,"text":"bc"}\n' >a.jsonl
ok 'JSONL' ppl -m m a.jsonl
near 'documents do not see each other there' tokens=4 loss="$(calc '(3 * miss + hit) / 4')" word_ppl="$(calc 'exp((3 * miss + hit) / 4)')" \
    byte_ppl="$(calc 'exp((3 * miss + hit) / 6)')"
printf '{"content":"bc"}' >k.jsonl
ok '--key' ppl -m m -k content k.jsonl
near 'is that' tokens=1 loss="$(calc hit)"
ok '--from txt' sh -c "printf 'ab\n' | lmeval ppl -m m --from txt >last"
near 'with its newline' tokens=2 loss="$(calc '(hit + miss) / 2')" word_ppl="$(calc 'exp((hit + miss) / 2)')"
# what separates words for Python: U+001C and U+00A0 do
sed 's/"b":1/"Ĝ":1/; s/"Ã":3,"©":4/"Â":3,"ł":4/' m/tokenizer.json >space.json
printf 'a\034a\302\240a' >space.txt
ok 'white space' ppl -m m -t space.json space.txt
near 'separates three words' tokens=5 loss="$(calc '(2 * hit + 3 * miss) / 5')" word_ppl="$(calc 'exp((2 * hit + 3 * miss) / 3)')"
is 'special strings are text, and < is no token' 1 '' '~0x3c' sh -c "printf 'a<eos>a' | lmeval ppl -m m"

# ids and loss of a golden case
golden() {
    f=$shared/golden/models/$1/golden.safetensors
    size=$(od -An -tu8 -N8 "$f" | tr -d ' ')
    head=$(tail -c +9 "$f" | head -c "$size" | sed 's/"__metadata__":{[^}]*},*//')
    at() { echo "$head" | sed 's/.*"'"$1"'":{[^}]*"data_offsets":\[\([0-9]*\),.*/\1/'; }
    od -An -v -w192 -td8 -j $((8 + size + $(at input_ids))) -N384 "$f" | stream "$2" >g.tks
    loss=$(od -An -tf4 -j $((8 + size + $(at loss))) -N4 "$f" | tr -d ' ')
}
if [ -d "$shared/golden/models" ]; then
    for c in gpt2 llama_gqa llama_rope_dynamic mistral_swa qwen2_swa; do
        vocab=$(grep -o '"vocab_size": [0-9]*' "$shared/golden/models/$c/config.json" | tr -dc 0-9)
        golden $c "$vocab"
        ok "$c" ppl -m "$shared/golden/models/$c" --context 24 g.tks
        near 'its loss is the reference' tokens=46 loss="$loss"
    done
    # windows of 10 tokens, 4 new ones each: the loss of each token out of documents that end with it
    s=$shared/data/models/stories260K_hf
    ids=$(tr -d '[],' <"$s/golden_ids.json" | cut -d ' ' -f 1-25)
    nll() { lmeval ppl -m "$s" "$1" | sed 's/.*"tokens":\([0-9]*\),"loss":\([^,]*\),.*/\1 \2/'; }
    part() { echo "$ids" | cut -d ' ' -f "$(($1 + 1))-$(($2 + 1))" | stream 512 >p.tks; nll p.tks; }
    i=1 last=10
    while [ $i -lt 25 ]; do
        if [ $i -gt $last ]; then last=$((last + 4 < 24 ? last + 4 : 24)); fi
        b=$((last > 10 ? last - 10 : 0))
        part $b $i
        if [ $((i - 1)) -gt $b ]; then part $b $((i - 1)); else echo 0 0; fi
        i=$((i + 1))
    done >parts
    want=$(awk '{ if (NR % 2) sum += $1 * $2; else sum -= $1 * $2 } END { printf "%.10g", sum / 24 }' parts)
    echo "$ids" | stream 512 >w.tks
    ok 'windows' ppl -m "$s" --context 10 --stride 4 w.tks
    tolerance=1e-5 # differences of sums out of micro-batches of other shapes
    near 'see what they should' tokens=24 loss="$want"
else
    skip 'golden losses' 'no ../shared'
fi

is 'nothing to predict' 1 '' '~w.tks: nothing to predict in 1 documents' sh -c 'echo 5 | lmtokenize --from ids --vocab-size 8 >w.tks; lmeval ppl -m m w.tks'
printf '1 2\n3 9\n' | stream 10 >v.tks
is 'a larger vocabulary' 1 '' "lmeval: v.tks: its vocabulary of 10 tokens is above the model's of 8\n" lmeval ppl -m m v.tks
ok 'a stream that does not know its own' sh -c 'lmshard -o v v.tks && lmshard -x v -o w.tks'
is 'ids beyond the vocabulary' 1 '' "lmeval: w.tks: record 2: token 1: id 9 is not below the model's vocabulary of 8\n" lmeval ppl -m m w.tks
# the same tokens by the model's own tokenizer, and by one that has two of them exchanged
echo '{"text":"abc"}' | lmtokenize -t m -o own.tks
sed 's/"a":0,"b":1/"b":0,"a":1/' m/tokenizer.json >other.json
echo '{"text":"bac"}' | lmtokenize -t other.json -o other.tks
ok 'its own tokenizer' sh -c 'lmeval ppl -m m own.tks 2>err && [ ! -s err ]'
is 'another tokenizer' 1 '' 'lmeval: other.tks: made with another tokenizer than m\n' lmeval ppl -m m other.tks
is 'or than that of -t' 1 '' 'lmeval: own.tks: made with another tokenizer than other.json\n' lmeval ppl -m m -t other.json own.tks
ok 'that of -t' lmeval ppl -m m -t other.json other.tks
mkdir bare run run/step_3
cp m/config.json m/model.safetensors bare
is 'a model without tokenizer' 0 '*' '~lmeval: own.tks: not known whether its tokenizer is the model'"'"'s: bare: no tokenizer is in it' lmeval ppl -m bare own.tks
ok 'quiet' sh -c 'lmeval ppl -q -m bare own.tks 2>err && [ ! -s err ]'
is 'text needs one' 1 '' '~bare: no tokenizer is in it, by none of the names of lmtokenize(1): name the model'"'"'s with -t' lmeval ppl -m bare a.txt
is 'a run is no model' 1 '' 'lmeval: run: a run, not a model: name a checkpoint in it, the newest is step_3\n' lmeval ppl -m run a.txt
head -c 150 s.tks >cut.tks
is 'a cut stream' 1 '' '~cut.tks: byte 150: truncated' lmeval ppl -m m cut.tks
printf '{"text":"a"}\n{"text":1}\n' >bad
is 'bad JSONL' 1 '' '~bad:2: ' lmeval ppl -m m bad
is 'no file' 1 '' '~nowhere: No such file' lmeval ppl -m m nowhere
is 'no model' 1 '' '~nowhere: No such file' lmeval ppl -m nowhere s.tks
is 'a full disk' 1 '' '~No space left' sh -c 'lmeval ppl -m m s.tks >/dev/full'
if [ -d "$shared/data/models" ]; then
    is 'learned positions end' 1 '' '~end at 512 (max_position_embeddings)' lmeval ppl -m "$shared/data/models/capp-gpt" --context 513 s.tks
else
    skip 'learned positions end' 'no ../shared'
fi
is 'no task' 2 '' '~a task is needed: ppl' lmeval -m m
is 'no such task' 2 '' "~'mmlu' is no task; the first operand is one of: ppl" lmeval mmlu -m m
is '-m is needed' 2 '' '~-m DIR is needed' lmeval ppl s.tks
is 'two files' 2 '' '~one operand too many: s.tks' lmeval ppl -m m a.txt s.tks
is 'a stride beyond the context' 2 '' '~--stride: 9 is above the context of 8' lmeval ppl -m m --context 8 --stride 9 s.tks
plan
