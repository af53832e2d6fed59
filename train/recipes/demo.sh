#!/bin/sh
# The whole job on the text of this tree itself, in the directory $1: a vocabulary, tokens, rows, a small
# Llama trained on them, its perplexity before and after, and what it writes.  B is the build directory.
set -e
out=${1:?usage: demo.sh DIR}
: "${B:?}"
PATH=$B/bin:$PATH
say() { printf '\n== %s\n' "$*"; }
rm -rf "$out"
mkdir -p "$out/model" "$out/run"

say "text: the sources and manual pages of this tree"
find tools libcommon train man -name '*.[ch157]' | LC_ALL=C sort >"$out/files"
awk 'NR % 10' "$out/files" | xargs lmcat >"$out/train.jsonl"
awk '!(NR % 10)' "$out/files" | xargs lmcat >"$out/valid.jsonl"
wc -c "$out/train.jsonl" "$out/valid.jsonl"

say "lmvocab, lmtokenize, lmpack, lmshard"
lmvocab -q -n 1024 --pattern gpt2 --special '<|end|>' -o "$out/model/tokenizer.json" "$out/train.jsonl"
for part in train valid; do
    lmtokenize -q -t "$out/model" --eod='<|end|>' "$out/$part.jsonl" >"$out/$part-docs.tks"
    lmpack -L 128 --method concat -o "$out/$part.tks" "$out/$part-docs.tks"
    lmshard -q -o "$out/$part" "$out/$part-docs.tks"
done
lminfo "$out/train.tks"

say "lmtrain: a Llama of about a million parameters; its perplexity before and after"
cat >"$out/model/config.json" <<EOF
{"model_type": "llama", "vocab_size": 1024, "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4,
 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
 "tie_word_embeddings": true, "eos_token_id": 0}
EOF
cat >"$out/run.conf" <<EOF
model = $out/model/config.json
tokenizer = $out/model
data = $out/train.tks
valid = $out/valid.tks
out = $out/run
micro_batch_size = 16
train_iters = 200
lr = 3e-3
min_lr = 3e-4
lr_decay_style = cosine
lr_warmup_iters = 20
adam_beta2 = 0.99
weight_decay = 0.1
eval_interval = 200
full_validation = 1
EOF
lmtrain -q "$out/run.conf" train_iters=1 lr_warmup_iters=0 lr=1e-9 min_lr=0 out="$out/run/start"
lmtrain "$out/run.conf" 2>&1 | awk 'NR % 25 == 0 || /valid/'
for model in start/step_1 step_200; do
    printf '%s: ' "$model"
    lmeval ppl -q -m "$out/run/$model" "$out/valid.jsonl"
done

say "lmgen"
lmgen -q -m "$out/run/step_200" -n 120 --temp 0.7 --seed 1 'static int '

printf '\n\nEverything is in %s: *.jsonl text, *.tks token streams, *.bin and *.idx for Megatron-LM,\n' "$out"
printf 'run/step_200 the model (an HF directory), run/metrics.tsv its log.\n'
