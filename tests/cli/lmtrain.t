. "$SRC/tests/lib.sh"
# numbered words: what comes next can be learned
awk 'BEGIN { for (d = 0; d < 200; d++) { s = ""; for (i = 0; i < 20 + d % 13; i++) s = s (i ? " " : "") (3 * i + d) % 31; print s } }' >ids
lmtokenize -q --from ids --vocab-size 32 --to stream -o docs.tks ids
lmpack -q -L 16 --method concat -o rows.tks docs.tks
lmpack -q -L 16 -o packed.tks docs.tks
lmshard -q -o bin docs.tks
cat >llama.json <<'EOF'
{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16}
EOF
cat >gpt2.json <<'EOF'
{"model_type": "gpt2", "vocab_size": 32, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 16}
EOF
cat >run.conf <<'EOF'
# six steps
model = llama.json
micro-batch-size = 2   # of
global_batch_size = 4
train_iters = 6
lr = 1e-2
lr_warmup_iters = 2
EOF
col() { awk -F '\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } NR > 1 { print $c }' "$2"; }
log() { for c in step tokens loss valid_loss lr grad_norm samples; do col $c "$1/metrics.tsv"; done; }

is 'a run' 0 '' '~step 6/6 loss' lmtrain run.conf data=rows.tks out=a threads=1
is 'its run.conf: short numbers, defaults too, not what has neither' 0 'train_iters = 6\nlr = 0.01\nadam_beta1 = 0.9\nadam_beta2 = 0.999\nadam_eps = 1e-08\n' '' \
    sh -c 'grep -E "^(lr|train_iters|adam.*|valid|eval_interval) =" a/step_6/run.conf'
ok 'its checkpoint' test -s a/step_6/model.safetensors -a -s a/step_6/config.json -a -s a/step_6/MANIFEST
is 'the header of metrics.tsv' 0 'step\ttokens\tloss\tlr\tgrad_norm\ttokens_per_s\tmfu\trss_mb\tvalid_loss\tsamples\n' '' head -n 1 a/metrics.tsv
is 'the rate of each step' 0 '0\n0.005\n0.01\n0.0075\n0.005\n0.0025\n' '' col lr a/metrics.tsv
is '60 tokens a step count, the last of a row does not' 0 '60\n120\n180\n240\n300\n360\n' '' col tokens a/metrics.tsv
# a model large enough to be seen beside 64 MB: parameters x 16 bytes and what the plan says, no more
cat >wide.json <<'EOF'
{"model_type": "llama", "vocab_size": 32, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 4,
 "num_attention_heads": 8, "num_key_value_heads": 8, "max_position_embeddings": 16}
EOF
lmtrain run.conf model=wide.json data=rows.tks out=wide train_iters=3 threads=2 2>wide.log
holds() {
    awk -v rss="$(col rss_mb wide/metrics.tsv | tail -n 1)" '/parameters; MB:/ {
        plan = 16e-6 * $1; step = $NF; seen = 1; rss *= 1.048576 }
        END { if (seen && rss > plan && rss <= plan + step + 64) exit 0; print plan, step, rss; exit 1 }' wide.log
}
is 'the peak of memory is what the start line says, and 64 MB' 0 '' '' holds
is '-q: no line a step' 0 '' '' lmtrain -q run.conf data=rows.tks out=quiet
same() {
    ok "$1" sh -c "for f in model optimizer/exp_avg optimizer/exp_avg_sq; do
        cmp $2/step_6/\$f.safetensors $3/step_6/\$f.safetensors || exit 1; done; cmp $2/log $3/log"
}
log a >a/log
for t in 1 2 3; do
    lmtrain -q --threads $t run.conf data=rows.tks out=t$t && log t$t >t$t/log
    same "the same bits: $t threads" a t$t
done
for t in 1 2; do
    LMPIPE_CPU=portable lmtrain -q run.conf data=rows.tks out=h$t threads=$t && log h$t >h$t/log
done
same 'the same bits under the portable kernels: 1 and 2 threads' h1 h2
is 'what the command line says counts more' 0 '0.0001\n' '' sh -c "lmtrain -q --lr 1e-4 run.conf lr_warmup_iters=0 lr_decay_style=constant train_iters=1 data=rows.tks out=last && awk -F '\t' 'NR == 2 { print \$4 }' last/metrics.tsv"

# stop and go on
is 'resume=auto starts where there is nothing' 0 '' '' lmtrain -q run.conf data=rows.tks out=r resume=auto save_interval=2 keep=2
ok 'keep=2' sh -c 'test ! -e r/step_2 && test -e r/step_4 && test -e r/step_6'
is 'a run does not start over another' 1 '' '~resume=auto' lmtrain -q run.conf data=rows.tks out=r
rm -rf r/step_6
is 'resume' 0 '' '~step 5/6' lmtrain run.conf data=rows.tks out=r resume=auto
log r >r/log
same 'resumed is as uninterrupted' a r
is 'resume from a directory' 0 '' '' lmtrain -q run.conf data=rows.tks out=from resume=r/step_4
is 'another seed' 1 '' '~seed' lmtrain -q run.conf data=rows.tks out=other resume=r/step_4 seed=7
cp -r r damaged
printf 'x' | dd of=damaged/step_6/model.safetensors bs=1 seek=3000 conv=notrunc 2>/dev/null
is 'a damaged checkpoint is named, the one before is taken' 0 '' '~step_6' lmtrain run.conf data=rows.tks out=damaged resume=auto
ok 'and it comes to the same' cmp damaged/step_6/model.safetensors a/step_6/model.safetensors
is 'one that is named must be whole' 1 '' '~lmtrain: damaged/step_5/model.safetensors: damaged' sh -c 'cp -r damaged/step_6 damaged/step_5 && printf x | dd of=damaged/step_5/model.safetensors bs=1 seek=900 conv=notrunc 2>/dev/null; lmtrain -q run.conf data=rows.tks out=named resume=damaged/step_5'
if strace -V >/dev/null 2>&1; then
    for resume in auto a/step_6; do
        ok "resume=$resume verifies a checkpoint once" sh -c "strace -f -e trace=openat lmtrain -q run.conf data=rows.tks out=a resume=$resume 2>&1 | grep -c step_6/run.conf | grep -qx 1"
    done
else
    skip 'resume= verifies a checkpoint once' 'strace is not installed'
fi
is 'a checkpoint is a model' 0 '' '' lmtrain -q run.conf model=a/step_6 data=rows.tks train_iters=1 lr_warmup_iters=0
ok 'run.conf beside a checkpoint repeats the run' sh -c 'lmtrain -q a/step_6/run.conf out=again && cmp again/step_6/model.safetensors a/step_6/model.safetensors'

signalled() { # SIGNAL STATUS
    lmtrain -q run.conf data=rows.tks out=s$1 train_iters=100000000 &
    pid=$!
    until [ "$(cat s$1/metrics.tsv 2>/dev/null | wc -l)" -gt 3 ] || ! kill -0 $pid; do sleep 0.1; done
    kill -$1 $pid
    wait $pid
    [ $? = $2 ] && step=$(tail -n 1 s$1/metrics.tsv | cut -f 1) && test -s s$1/step_$step/MANIFEST
}
ok 'SIGUSR1 saves and stops' signalled USR1 0
ok 'SIGTERM saves, then ends by it' signalled TERM 143
waiting() { # SIGNAL STATUS BYTES: it comes while a pipe has no more of them
    rm -f fifo && mkfifo fifo
    timeout -s KILL 30 lmtrain -q run.conf data=- out=w$1$3 train_iters=100000000 <fifo &
    exec 3>fifo
    head -c "$3" rows.tks >&3
    until pid=$(cat /proc/$!/task/*/children) && [ -n "$pid" ] && { [ "$3" = 0 ] || [ -e w$1$3/metrics.tsv ]; } || ! kill -0 $!; do sleep 0.1; done
    sleep 0.3 # it waits, or will
    kill -"$1" $pid
    wait $!
    rc=$?
    exec 3>&-
    [ $rc = $2 ]
}
ok 'SIGUSR1 while a pipe is waited for' waiting USR1 0 $(($(wc -c <rows.tks) - 100))
ok 'SIGTERM likewise' waiting TERM 143 $(($(wc -c <rows.tks) - 100))
ok 'and before the first byte' waiting INT 130 0

# kinds of data
is 'packed rows' 0 '' '' lmtrain -q run.conf data=packed.tks
is 'a .bin/.idx' 0 '' '' lmtrain -q run.conf data=bin split=90,10,0 eval_interval=3 seq_length=15 out=bin-out
ok 'its validation split, at steps 3 and 6' test "$(col valid_loss bin-out/metrics.tsv | grep -c .)" = 2
is 'a pipe ends the run' 0 '' '' sh -c 'lmpack -q -L 16 --method concat --drop-last docs.tks | lmtrain -q run.conf data=- train_iters=1000 out=pipe'
ok 'every row of the pipe was trained on' test "$(col samples pipe/metrics.tsv | tail -n 1)" = "$(($(wc -w <ids) / 16))"
is 'split= of rows' 1 '' 'lmtrain: rows.tks: split=9,1,0 is for a .bin/.idx: rows are all trained on\n' lmtrain -q run.conf data=rows.tks split=9,1,0
is 'eval_iters= without validation data' 0 '' '~lmtrain: warning: no validation: there is no valid=' lmtrain run.conf data=rows.tks eval_iters=1
is 'of a split without a share for it' 0 '' '~no validation: there is no valid=' lmtrain run.conf data=bin seq_length=15 split=1,0,0 eval_interval=1
is 'eval_iters= and full_validation=' 0 '' '~eval_iters= has no effect' lmtrain run.conf data=rows.tks valid=packed.tks full_validation=1 eval_iters=1
ok 'not a word of what was not asked for' sh -c 'lmtrain run.conf data=rows.tks 2>said; ! grep "valid\|eval_iters" said'
is 'validation on the whole set' 0 '' '' lmtrain -q run.conf data=rows.tks valid=packed.tks full_validation=1 out=v
is 'mean of means' 0 '' '' lmtrain -q run.conf data=packed.tks calculate_per_token_loss=0
is 'gpt2' 0 '' '' lmtrain -q run.conf model=gpt2.json data=rows.tks out=g
for style in linear cosine constant inverse-square-root WSD; do
    is "lr_decay_style=$style" 0 '' '' lmtrain -q run.conf data=rows.tks lr_decay_style=$style lr_wsd_decay_iters=2
done
ok 'a recipe of fewer steps than its warmup was' sh -c 'cat ids ids >text && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL \
    make -s -f "$SRC/train/recipes/shakespeare-char.mk" TEXT=text OUT=recipe B="$B" STEPS=3 && test -s recipe/run/step_3/MANIFEST'
is 'it learns' 0 '1\n' '' sh -c 'lmtrain -q run.conf data=rows.tks train_iters=150 micro_batch_size=16 global_batch_size=16 out=learn && awk -F "\t" "NR == 2 { first = \$3 } END { print (\$3 < 0.5 * first) }" learn/metrics.tsv'

# bad input
is 'no model' 2 '' '~model= is needed' lmtrain data=rows.tks
is 'no rate' 2 '' '~lr= is needed' lmtrain model=llama.json data=rows.tks train_iters=1
is 'no such key' 2 '' "~no such key: 'nonsense'" lmtrain run.conf nonsense=1
is 'no such key in a file' 1 '' "~no such key: 'x'" sh -c 'echo "x = 1" >bad.conf; lmtrain bad.conf'
is 'a value out of range' 2 '' '~micro_batch_size' lmtrain run.conf data=rows.tks micro_batch_size=0
is 'no multiple' 2 '' '~global_batch_size 4 is no multiple of micro_batch_size 3' lmtrain run.conf data=rows.tks micro_batch_size=3
is 'documents' 1 '' '~lmpack' lmtrain -q run.conf data=docs.tks
is 'another length' 1 '' '~seq_length' lmtrain -q run.conf data=rows.tks seq_length=8
is 'no data' 1 '' '~none: neither a file nor a prefix' lmtrain -q run.conf data=none seq_length=8
is 'more positions than learned ones' 1 '' '~16 positions' lmtrain -q run.conf model=gpt2.json data=bin split=1,0,0 seq_length=17
sed 's/32/30/' llama.json >small.json
is 'a stream of a larger vocabulary' 1 '' '~ids of a vocabulary of 32, the model has 30' lmtrain -q run.conf model=small.json data=rows.tks
is 'a token outside the vocabulary' 1 '' '~is not within' lmtrain -q run.conf model=small.json data=bin split=1,0,0 seq_length=15
mkdir -p tok tok2
lmvocab -q -n 256 --from txt -o tok/tokenizer.json ids
lmvocab -q -n 300 --from txt -o tok2/tokenizer.json ids
lmtokenize -q -t tok --from txt ids | lmpack -q -L 16 -o other.tks
sed 's/32/256/' llama.json >bytes.json
is 'a tokenizer that is not the data'"'"'s' 1 '' '~other.tks: made with another tokenizer than tok2' lmtrain -q run.conf model=bytes.json data=other.tks tokenizer=tok2
is 'no such tokenizer' 1 '' '~tokenizer: nowhere: ' lmtrain -q run.conf data=rows.tks tokenizer=nowhere
is 'the tokenizer beside a config goes into checkpoints' 0 '' '' sh -c 'cp bytes.json tok/config.json; lmtrain -q run.conf model=tok/config.json data=other.tks out=wt && cmp wt/step_6/tokenizer.json tok/tokenizer.json'
# a .model: beside a config, named as a file, under a name of its own
mkdir sp && cp bytes.json sp/config.json
lmvocab -q -n 40 --type sp-bpe --from txt -o sp/tokenizer.model ids
cp sp/tokenizer.model own.model
lmtokenize -q -t sp --from txt ids | lmpack -q -L 16 -o sp.tks
is 'a .model goes into checkpoints' 0 '' '' sh -c 'lmtrain -q run.conf model=sp/config.json data=sp.tks out=ws && cmp ws/step_6/tokenizer.model own.model'
is 'a .model of another name' 0 '' '' sh -c 'lmtrain -q run.conf model=bytes.json tokenizer=own.model data=sp.tks out=wo && cmp wo/step_6/tokenizer.model own.model && lmtokenize -q -t wo/step_6 --from txt ids | lmpack -q -L 16 | cmp - sp.tks'
is 'a .model that is not the data'"'"'s' 1 '' '~other.tks: made with another tokenizer than sp/tokenizer.model' lmtrain -q run.conf model=bytes.json data=other.tks tokenizer=sp/tokenizer.model
is 'a directory without tokenizer' 1 '' '~tokenizer: t1: no tokenizer in the directory: neither tokenizer.json, tokenizer.model' lmtrain -q run.conf data=rows.tks tokenizer=t1
is 'a file that is no tokenizer' 1 '' '~tokenizer: llama.json: there is no model' lmtrain -q run.conf data=rows.tks tokenizer=llama.json
is 'a tokenizer that no directory holds so' 1 '' '~tokenizer: x.tiktoken: tiktoken ranks, which is not found in its directory by that name' sh -c 'echo "YQ== 0" >x.tiktoken; cp x.tiktoken a.tiktoken; lmtrain -q run.conf data=rows.tks tokenizer=x.tiktoken'
# one added token more: the same fingerprint, another size
mkdir sp41 && cp own.model sp41/tokenizer.model
echo '{"added_tokens_decoder":{"40":{"content":"<|x|>","special":true}}}' >sp41/tokenizer_config.json
lmtokenize -q -t sp41 --from txt ids | lmpack -q -L 16 -o sp41.tks
is 'data of the same pieces and more' 1 '' '~sp41.tks: made with another tokenizer than sp: of 41 tokens, not 40' lmtrain -q run.conf model=sp/config.json tokenizer=sp data=sp41.tks
is 'as valid=' 1 '' '~sp.tks and sp41.tks: tokens of different tokenizers, of 40 and 41 tokens' lmtrain -q run.conf model=bytes.json data=sp.tks valid=sp41.tks eval_interval=2 eval_iters=1
is 'decoded' 1 '' '~made with another tokenizer than sp: of 41 tokens, not 40' sh -c 'lmtokenize -t sp41 --from txt ids | lmtokenize -d -t sp'
is 'a cut config' 1 '' '~cut.json' sh -c 'head -c 50 llama.json >cut.json; lmtrain -q run.conf model=cut.json data=rows.tks'
is 'another family' 1 '' "~no such model_type: 'bert': known are llama, mistral, " sh -c 'sed s/llama/bert/ llama.json >bert.json; lmtrain -q run.conf model=bert.json data=rows.tks'
while read -r where key value message; do
    sed "s/\"vocab_size\"/\"$key\": $value, &/" $where.json >odd.json
    is "config: $key: $value" 1 '' "~$message" lmtrain -q run.conf model=odd.json data=rows.tks
done <<'END'
gpt2 scale_attn_by_inverse_layer_idx true scale_attn_by_inverse_layer_idx: true is not supported
gpt2 scale_attn_weights false scale_attn_weights: false is not supported
llama partial_rotary_factor 0.5 partial_rotary_factor: 0.5 is not supported
llama quantization_config {"bits":4} quantization_config: what it says is not supported
llama rope_scaling {"type":"linear"} rope_scaling: 'factor' is missing
llama rope_scaling {"rope_type":"llama3","factor":8} rope_scaling: 'low_freq_factor' is missing
END
is 'no weights in a directory' 1 '' '~safetensors' sh -c 'mkdir -p nw; cp llama.json nw/config.json; lmtrain -q run.conf model=nw data=rows.tks'
is 'weights of another shape' 1 '' '~embed_tokens' sh -c 'cp -r a/step_6 shape; sed -i "s/\"vocab_size\": *32/\"vocab_size\": 33/" shape/config.json; lmtrain -q run.conf model=shape data=rows.tks'
is 'nothing to learn from' 1 '' '~no token of its 1 sequences counts' sh -c 'echo 5 | lmtokenize --from ids --vocab-size 32 | lmpack -q -L 4 -o one.tks; lmtrain -q run.conf data=one.tks micro_batch_size=1 global_batch_size=1'
is 'more memory than there is' 1 '' '~global_batch_size=1000000000' lmtrain -q run.conf data=rows.tks global_batch_size=1000000000
is 'an output that cannot be made' 1 '' '~mkdir' lmtrain -q run.conf data=rows.tks out=no/such/place
is 'a loss that is no number' 1 '' '~step' lmtrain -q run.conf data=rows.tks lr=1e30 lr_warmup_iters=0 clip_grad=0
plan
