# The example of every --help, those of the manual pages as they are printed, and README's, in a directory that holds
# what they name.
. "$SRC/tests/lib.sh"

# what the examples read: texts, a vocabulary, a tiny model, streams, pairs, a run.conf
prepare() {
    set -e
    mkdir corpus data qwen2 gpt2 llama3
    awk 'BEGIN { for (i = 0; i < 400; i++) printf "{\"text\":\"Once upon a time there were %d cats and %d hats.\\n\"}\n", i, i * i }' >text.jsonl
    for n in 1 2; do zstd -qc text.jsonl >corpus/$n.jsonl.zst; done
    sed 's/"text"/"content"/; 3s/.*/bad/' text.jsonl | gzip -c >dump.json.gz
    sed 's/.*"text":"//; s/\\n.*//' text.jsonl >text.txt
    cp text.txt test.txt
    cp text.txt held-out.txt
    tar -cf books.tar text.txt test.txt
    zstd -qc books.tar >wiki.tar.zst
    printf '{"prompt":"Once"}\n{"prompt":"cats"}\n' >prompts.jsonl
    lmvocab -q -n 300 --special '<|endoftext|>' --special '<|begin_of_text|>' -o qwen2/tokenizer.json text.jsonl
    echo '{"eos_token":"<|endoftext|>"}' >qwen2/tokenizer_config.json
    echo '{"eos_token":"<|endoftext|>","bos_token":"<|begin_of_text|>","add_bos_token":true}' >llama3/tokenizer_config.json
    cp qwen2/*.json gpt2
    cp qwen2/tokenizer.json llama3
    lmtokenize -q -t qwen2 --eod -o train.tks text.jsonl
    lmpack -q -L 65 -o rows.tks train.tks
    for p in a b; do lmshard -q -o $p train.tks; done
    cat >config.json <<'END'
{"model_type":"qwen2","vocab_size":300,"hidden_size":16,"intermediate_size":32,"num_hidden_layers":2,
"num_attention_heads":2,"num_key_value_heads":2,"max_position_embeddings":1024,"rms_norm_eps":1e-6,"eos_token_id":0}
END
    echo 'micro_batch_size = 2' >run.conf
    lmtrain -q run.conf model=config.json tokenizer=qwen2 data=rows.tks train_iters=1 lr=1e-3 out=tiny
    mv tiny/step_1/* qwen2
    rm -r tiny
    mkdir a b
    cp qwen2/config.json qwen2/model.safetensors a
    cp qwen2/config.json qwen2/model.safetensors b
}
mkdir prepared
(cd prepared && prepare) >log 2>&1
is 'what the examples name is there' 0 '' '' cat log

# run NAME SCRIPT: every command of it succeeds, in a copy of that directory
run() {
    rm -rf work
    cp -r prepared work
    name=$1 script=$PWD/$2
    ok "$name" sh -c "cd work && exec '$SRC/tests/mpirun.sh' sh -e '$script'"
}
for c in $(find "$SRC/tools" -name '*.c' | sort); do
    t=$(basename "$c" .c)
    "$t" --dump-options | sed -n 's/^example	//p' >example
    run "$t --help" example
done
# the lines of .Dl and of literal blocks between EXAMPLES and the next section
for page in "$SRC"/man/*.1 "$SRC/man/lmpipe.7"; do
    awk '/^\.Sh/ { on = /EXAMPLES/ } !on { next }
        /^\.Ed/ { literal = 0 } literal { print } /^\.Bd -literal/ { literal = 1 } sub(/^\.Dl /, "")' "$page" |
        sed 's/\\(dq/"/g; s/\\e/\\/g; s/\\&//g' >example
    run "$(basename "$page")" example
done
grep '^    lmconvert' "$SRC/README.md" >example
run 'the conversion of README' example
plan
