# lmconvert: trees that Megatron-LM's and MindSpeed-LLM's own converters made, both ways; there and back to the byte;
# what is refused, and what is left after an error.
. "$SRC/tests/lib.sh"
list=$B/tests/unit/convert
gold=$shared/golden/convert

# a golden tree's listing, and that of a tree of ours, sorted
tensors() { (cd "$1" && "$list" tensors iter_*/*/model_optim_rng.pt) | LC_ALL=C sort; }
listed() { sed 1d "$gold/$1/tensors.tsv" | LC_ALL=C sort; }
weights() { "$list" tensors "$1" | LC_ALL=C sort; }
same_weights() { weights "$1" >.a && weights "$2" >.b && cmp .a .b; }

case_both() { # CASE OPTIONS...: HF to what the other converter wrote, and what it wrote to HF
    tree=$1
    shift
    hf=$gold/hf/$(sed -n 's,^input: .*golden/convert/hf/,,p' "$gold/$tree/cmd.txt")
    rm -rf ours back
    is "$tree: from HF" 0 '' '' lmconvert -q "$hf" ours --to megatron "$@"
    tensors ours >.ours
    listed "$tree" >.theirs
    ok "$tree: the same tensors" cmp .ours .theirs
    is "$tree: to HF" 0 '' '' lmconvert -q "$gold/$tree/mg" back --to hf --config "$hf"
    ok "$tree: the same weights" same_weights "$hf" back
}
if [ -d "$gold" ]; then
    while read -r name options; do
        # shellcheck disable=SC2086
        case_both $name $options
    done <<'END'
head_llama_tp1pp1
head_llama_tp2pp2 --tp 2 --pp 2
head_qwen25_tp1pp1
head_qwen25_tp2pp2 --tp 2 --pp 2
head_qwen25tied_pp2 --pp 2
meg_llama2_tp1pp1 --make-vocab-size-divisible-by 64
meg_llama2_tp2pp2 --tp 2 --pp 2 --make-vocab-size-divisible-by 64
meg_llama3_tp2pp2 --tp 2 --pp 2 --make-vocab-size-divisible-by 64
meg_qwen25_tp2 --tp 2 --make-vocab-size-divisible-by 64
n24_llama2gqa_tp1pp1
n24_llama2gqa_tp1pp2 --pp 2
n24_llama2gqa_tp2pp1 --tp 2
n24_llama2gqa_tp2pp2 --tp 2 --pp 2
n24_llama2mha_tp4 --tp 4
n24_llama3_tp2pp2 --tp 2 --pp 2
n24_qwen2_tp1pp2 --pp 2
n24_qwen2_tp2pp1 --tp 2
n24_qwen2tied_tp1pp1
n24_qwen2tied_tp2pp2 --tp 2 --pp 2
n24_llama2gqa_truevocab_pad --tp 2 --make-vocab-size-divisible-by 64
END
    # what only a reader meets: Transformer Engine's names, uneven stages, virtual ones
    while read -r tree hf; do
        rm -rf back
        is "$tree: to HF" 0 '' '' lmconvert -q "$gold/$tree/mg" back --to hf --config "$gold/hf/$hf"
        ok "$tree: the same weights" same_weights "$gold/hf/$hf" back
    done <<'END'
head_llama_te llama3
head_llama_layerlist llama3
head_llama_vpp llama3
n24_llama2gqa_layerlist llama2_gqa
n24_llama2gqa_vpp llama2_gqa
n24_llama2gqa_tp2_vpp llama2_gqa
END
    # what is refused, and why; a mixture of experts by its configuration, and with a wrong one by its args
    rm -rf back
    while IFS=: read -r tree hf why; do
        is "$tree is refused" 1 '' "~$why" lmconvert -q "$gold/$tree" back --to hf --config "$gold/hf/$hf"
    done <<'END'
head_llama_dualpipev/mg:llama3:model_optim_rng.pt: args.schedules_method is set
head_llama_noop/mg:llama3:model_optim_rng.pt: args.noop_layers is set
head_deepseek2_tp1pp1/mg:deepseek2:config.json: no such model_type: 'deepseek_v2'
head_deepseek2_tp1pp1/mg:llama3:model_optim_rng.pt: args.num_experts is set
n24_mixtral_tp1ep2/mg:llama2_gqa:mp_rank_00_000/model_optim_rng.pt: args.num_experts is set
n24_mixtral_tp2pp2ep2/mg:llama2_gqa:expert parallel
head_qwen3_tp1pp1/mg:qwen3:config.json: no such model_type: 'qwen3'
head_qwen3_tp1pp1/mg:qwen2:model_optim_rng.pt: tensor
n24_legacy_llama2gqa_tp2pp2/mg:llama2_gqa:mp_rank_00_000/model_optim_rng.pt: no layers of Megatron-core's names
n24_llama2gqa_tp1pp1/mg:llama2_mha:model_optim_rng.pt: tensor model.decoder.layers.0.self_attention.linear_qkv.weight: shape [64,32], not [96,32]
n24_qwen2_tp1pp2/mg:llama2_gqa:left over
torch_dist/dense:llama3:torch_dist/dense: a distributed checkpoint
torch_save/dtypes.pt:llama3:name the directory that holds mp_rank_*
END
    ok 'and leaves nothing' [ ! -e back ]
    # a source in shards, and shards as a destination
    rm -rf ours back
    ok 'from shards' lmconvert -q "$gold/hf/llama3" ours --to megatron --tp 2
    is 'to shards' 0 '' '' lmconvert -q ours back --to hf --max-shard-size 40K
    ok 'the same weights' same_weights "$gold/hf/llama3" back
    is 'to one file' 0 '' '' lmconvert -q back one --to hf
else
    skip 'trees of other converters' '../shared is absent'
fi

model() { # DIR DTYPE SEED KEYS: a model of random weights
    mkdir -p "$1"
    echo "{\"vocab_size\": 96, \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 4, \"num_attention_heads\": 8, \"num_key_value_heads\": 4, \"torch_dtype\" :\t\"as it was\", $4}" >"$1/config.json"
    "$list" model "$1" "$2" "$3"
}
model llama BF16 1 '"model_type": "llama", "attention_bias": true, "mlp_bias": true'
model mistral F16 2 '"model_type": "mistral", "sliding_window": 16, "head_dim": 8'
model qwen2 F32 3 '"model_type": "qwen2"'
model tied BF16 4 '"model_type": "qwen2", "tie_word_embeddings": true'
echo '{"eos_token_id": 3}' >llama/generation_config.json
echo '{}' >llama/tokenizer.json

# there and back, over every cut; and from one cut to another as if from HF
pad=1 differ=
for m in llama mistral qwen2 tied; do
    for tp in 1 2 4; do
        for pp in 1 2 4; do
            rm -rf there back
            lmconvert -q $m there --to megatron --tp $tp --pp $pp --make-vocab-size-divisible-by $pad >.out 2>&1 &&
                lmconvert -q there back --to hf >>.out 2>&1 && diff -r $m back >>.out 2>&1 || differ="$differ $m,$tp,$pp,$pad:$(cat .out)"
            pad=$((65 - pad))
        done
    done
done
is 'there and back, the same files' 0 '\n' '' echo "$differ"
# a header as another writer makes it: its order and blanks come back
cp -r tied odd
size=$(od -An -N2 -tu2 tied/model.safetensors | tr -d ' ') # below 65536
head -c $((size + 8)) tied/model.safetensors | tail -c "$size" |
    sed 's/"__metadata__":{[^}]*}/"__metadata__":{"made":"elsewhere","format":"pt"}/; s/ *$/ /; s/,"/, "/g' >header
new=$(wc -c <header)
{
    # shellcheck disable=SC2059
    printf "$(printf '\\%03o\\%03o\\0\\0\\0\\0\\0\\0' $((new % 256)) $((new / 256)))"
    cat header
    tail -c +$((size + 9)) tied/model.safetensors
} >odd/model.safetensors
rm -rf there back
is 'an odd header' 0 '' '' lmconvert -q odd there --to megatron --tp 2 --pp 2
is 'and back' 0 '' '' lmconvert -q there back --to hf
is 'comes back as it was' 0 '' '' diff -r odd back
is 'with another type' 0 '' '' lmconvert -q there other_type --to hf --dtype fp32
is 'it does not fit' 0 '' '' lmconvert -q odd other_type_too --to hf --dtype fp32
is 'on either way' 0 '' '' cmp other_type/model.safetensors other_type_too/model.safetensors
lmconvert -q tied a --to megatron --tp 4 --pp 1 --make-vocab-size-divisible-by 64
lmconvert -q tied b --to megatron --tp 2 --pp 4
is 'from one cut to another' 0 '' '' lmconvert -q a c --to megatron --tp 2 --pp 4
is 'is as if from HF' 0 '' '' diff -r b c
is 'an iteration by itself' 0 '' '' lmconvert -q c/iter_0000001 d --to hf
is 'is the model' 0 '' '' diff -r tied d
cp -r c released && mv released/iter_0000001 released/release && printf 'release\n' >released/latest_checkpointed_iteration.txt
rm -rf d
is 'a release' 0 '' '' lmconvert -q released d --to hf
is 'is the model, too' 0 '' '' diff -r tied d
rm -rf d
is 'one file, with the config beside' 0 '' '' lmconvert -q tied/model.safetensors d --to hf
is 'is the same directory' 0 '' '' diff -r tied d

# shards: as many bytes as they may have, and the index that transformers reads
rm -rf d && lmconvert -q qwen2 d --to hf --max-shard-size 20K
is 'no shard is larger, but for one tensor' 0 '' '' find d -name '*.safetensors' -size +21k
ok 'the index' sh -c 'n=$(ls d/*.safetensors | wc -l) && [ $n -gt 5 ] && ls d | grep -q "model-00001-of-$(printf %05d $n).safetensors" &&
    head -c 36 d/model.safetensors.index.json | tr "\n" " " | grep -q "{   \"metadata\": {     \"total_size\": "'
ok 'the same weights in shards' same_weights qwen2 d
rm -rf e
is 'from shards to one file' 0 '' '' sh -c 'lmconvert -q d e --to hf --max-shard-size 1G && cmp qwen2/model.safetensors e/model.safetensors'

# element types: only the one word of config.json changes; what does not fit is named
rm -rf d e
is 'fp32' 0 '' '' lmconvert -q llama d --to hf --dtype fp32
ok 'its config' sh -c "sed 's/\"as it was\"/\"float32\"/' llama/config.json | cmp - d/config.json"
is 'and bf16 again' 0 '' '' sh -c 'lmconvert -q d e --to hf --dtype bf16 && cmp llama/model.safetensors e/model.safetensors'
rm -rf d e f
ok 'through Megatron and fp16' sh -c 'lmconvert -q mistral d --to megatron --tp 2 --dtype fp32 && lmconvert -q d e --to hf --dtype fp16 &&
    cmp mistral/model.safetensors e/model.safetensors'

# errors: each names the file, the place, the values; nothing is left
refused() { # NAME WHY COMMAND...
    rm -rf no
    name=$1 why=$2
    shift 2
    is "$name" 1 '' "~$why" lmconvert -q "$@"
    left=$(find . -maxdepth 1 -name 'no' -o -maxdepth 1 -name '.no*')
    ok "$name: nothing is left" [ -z "$left" ]
}
config() { # FILE SED: llama's, changed
    sed "$2" llama/config.json >"$1"
}
config more.json 's/"num_hidden_layers": 4/"num_hidden_layers": 5/'
config less.json 's/"num_hidden_layers": 4/"num_hidden_layers": 2/'
config wide.json 's/"intermediate_size": 48/"intermediate_size": 64/'
config heads.json 's/"num_attention_heads": 8/"num_attention_heads": 4, "head_dim": 8/; s/"num_key_value_heads": 4/"num_key_value_heads": 2/'
config words.json 's/"vocab_size": 96/"vocab_size": 100/'
rm -rf m && lmconvert -q llama m --to megatron --tp 2 --pp 2
refused 'a missing tensor' 'llama: tensor model.layers.4.input_layernorm.weight: missing' llama no --to megatron --config more.json
refused 'one that is left over' 'llama/model.safetensors: tensor model.layers.2.input_layernorm.weight: left over' llama no --to hf --config less.json
refused 'a wrong shape' 'llama/model.safetensors: tensor model.layers.0.mlp.gate_proj.weight: shape [48,32], not [64,32]' llama no --to hf --config wide.json
refused 'other layers' 'm/iter_0000001: 4 layers, more.json says 5' m no --to hf --config more.json
refused 'fewer layers' 'mp_rank_00_001/model_optim_rng.pt: with the stages before it 4 layers and more, less.json says 2' m no --to hf --config less.json
refused 'other heads' 'mp_rank_00_000/model_optim_rng.pt: args.num_attention_heads is 8, heads.json and the files say 4' m no --to hf --config heads.json
refused 'more words' 'mp_rank_00_000/model_optim_rng.pt: tensor model.embedding.word_embeddings.weight: 96 rows in 2 ranks, words.json says vocab_size 100' m no --to hf --config words.json
lmconvert -q llama padded --to megatron --tp 2 --make-vocab-size-divisible-by 64
refused 'more words than were there, in the padding' 'mp_rank_00/model_optim_rng.pt: args.vocab_size is 96, words.json and the files say 100' padded no --to hf --config words.json
config few.json 's/"vocab_size": 96/"vocab_size": 80/'
refused 'fewer words' 'mp_rank_00/model_optim_rng.pt: args.vocab_size is 96, few.json and the files say 80' padded no --to hf --config few.json
ln -s nothing link
refused 'a link to nothing' 'link: a link to nothing' llama link --to hf
rm link
rm m/config.json
refused 'no config' 'm: no config.json is there: name one with --config' m no --to hf
is 'a config' 0 '' '' lmconvert -q m no --to hf --config llama
is 'and what is beside it' 0 '' '' diff -r llama no
mv m/iter_0000001/mp_rank_01_000 gone
refused 'a missing rank' 'm/iter_0000001/mp_rank_01_000: missing: the others are of 2 tensor parallel ranks and 2 pipeline stages' m no --to hf --config llama
mkdir m/iter_0000001/mp_rank_01_000
refused 'a missing file' 'm/iter_0000001/mp_rank_01_000/model_optim_rng.pt: No such file' m no --to hf --config llama
model other BF16 5 '"model_type": "llama", "attention_bias": true, "mlp_bias": true'
lmconvert -q other o --to megatron --tp 2 --pp 2
cp o/iter_0000001/mp_rank_01_000/* m/iter_0000001/mp_rank_01_000
refused 'copies that differ' 'mp_rank_01_000/model_optim_rng.pt: tensor model.decoder.layers.0.input_layernorm.weight is a copy of m/iter_0000001/mp_rank_00_000/model_optim_rng.pt: tensor model.decoder.layers.0.input_layernorm.weight, and differs from row 0 on' m no --to hf --config llama
lmconvert -q tied t --to megatron --pp 2 && model tied2 BF16 6 '"model_type": "qwen2", "tie_word_embeddings": true' && lmconvert -q tied2 t2 --to megatron --pp 2
cp t2/iter_0000001/mp_rank_00_001/* t/iter_0000001/mp_rank_00_001
refused 'a tied head that is another' 'mp_rank_00_001/model_optim_rng.pt: tensor model.output_layer.weight is a copy of t/iter_0000001/mp_rank_00_000/model_optim_rng.pt: tensor model.embedding.word_embeddings.weight, and differs' t no --to hf
rm -r m && lmconvert -q llama m --to megatron --tp 2 && pt=m/iter_0000001/mp_rank_01/model_optim_rng.pt
size=$(wc -c <$pt) whole=
cp $pt whole.pt
for at in 5 70 300 2000 $((size / 3)) $((size / 2)) $((2 * size / 3)) $((size - 9)); do
    printf '\377\1' | dd of=$pt bs=1 seek="$at" conv=notrunc 2>/dev/null
    rm -rf no
    if lmconvert -q m no --to hf 2>.err; then
        diff -r llama no >.out || whole="$whole $at" # a byte that says nothing
    else
        grep -q "$pt: " .err || whole="$whole $at:$(cat .err)"
    fi
    cp whole.pt $pt
done
is 'a damaged file is named' 0 '\n' '' echo "$whole"
head -c $((size / 2)) whole.pt >$pt
refused 'a cut file' "$pt: " m no --to hf
cp whole.pt $pt
echo x >m/latest_checkpointed_iteration.txt
refused 'a tracker that is none' 'm/latest_checkpointed_iteration.txt: neither an iteration nor' m no --to hf
echo 7 >m/latest_checkpointed_iteration.txt
refused 'a tracker of what is not there' 'm/latest_checkpointed_iteration.txt: m/iter_0000007 is not there' m no --to hf
refused 'heads that do not divide' 'llama/config.json: 8 attention heads do not divide into 3 tensor parallel ranks' llama no --to megatron --tp 3
refused 'layers that do not divide' 'llama/config.json: 4 layers do not divide into 3 pipeline stages' llama no --to megatron --pp 3
echo '{"model_type":"gpt2","vocab_size":8,"n_embd":4,"n_layer":1,"n_head":1,"n_positions":8}' >gpt2.json
mkdir gpt2 && cp gpt2.json gpt2/config.json && "$list" model gpt2 F32 1
refused 'GPT-2 to Megatron' "gpt2/config.json: model_type gpt2: Megatron's names of it are not known" gpt2 no --to megatron
is 'GPT-2 to GPT-2' 0 '' '' sh -c 'lmconvert -q gpt2 g --to hf && cmp g/model.safetensors gpt2/model.safetensors'
ok 'a value that does not fit' sh -c "model=big && mkdir big && sed 's/96/8/' llama/config.json >big/config.json && '$list' model big F32 1 &&
    size=\$(wc -c <big/model.safetensors) && printf '\0\0\200\107' | dd of=big/model.safetensors bs=1 seek=\$((size - 4)) conv=notrunc 2>/dev/null"
refused 'is named' 'big/model.safetensors: tensor model.norm.weight: 65536 is too large for F16' big no --to hf --dtype fp16
mkdir empty
refused 'an empty source' 'empty: neither model.safetensors, its index, mp_rank_00' empty no --to hf
refused 'no source' 'nowhere: No such file' nowhere no --to hf

# the destination
mkdir full && echo mine >full/file
is 'one that is not empty' 1 '' '~full: is there, and not empty' lmconvert -q llama full --to hf
is 'which is no model' 1 '' '~full: holds neither' lmconvert -q llama full --to hf --force
ok 'is as it was' grep -q mine full/file
is 'one that is' 0 '' '' sh -c 'lmconvert -q qwen2 full2 --to megatron && lmconvert -q llama full2/ --to hf --force && diff -r llama full2'
is 'an empty one' 0 '' '' sh -c 'lmconvert -q llama empty --to hf && diff -r llama empty'
is 'a file' 1 '' '~gpt2.json: not a directory' lmconvert -q llama gpt2.json --to hf
is 'the source' 1 '' '~source and destination are one' lmconvert -q llama ./llama/ --to hf --force
is 'in the source' 1 '' '~llama/in: in the source' lmconvert -q llama llama/in --to hf
is 'around the source' 1 '' '~or one is in the other' sh -c 'mkdir around && cp -r llama around && cp llama/config.json around && lmconvert -q around/llama around --to hf --force'
is 'in a directory that is not' 1 '' '~nowhere: No such' lmconvert -q llama nowhere/x --to hf
is 'nothing hidden is left' 0 '' '' sh -c 'ls -d .*lmconvert* 2>/dev/null | cat'

# the command line
for wrong in 'llama d' 'llama --to hf' 'llama d --to hf --tp 2' 'llama d --to hf --make-vocab-size-divisible-by 2' 'llama d e --to hf' \
    'llama d --to megatron --max-shard-size 1G' 'llama d --to megatron --tp 0' 'llama d --to gguf'; do
    # shellcheck disable=SC2086
    is "wrong: $wrong" 2 '' '~lmconvert' lmconvert $wrong
done

# limits: memory is that of some rows, a full disk leaves nothing, a killed run is made good
sed 's/"hidden_size": 32/"hidden_size": 512/; s/"intermediate_size": 48/"intermediate_size": 1536/; s/"vocab_size": 96/"vocab_size": 4096/' llama/config.json >large.json
mkdir large && cp large.json large/config.json && "$list" model large BF16 9
ok 'large enough to tell' [ "$(wc -c <large/model.safetensors)" -gt 30000000 ]
if (ulimit -d 12288 && lmconvert --version) >/dev/null 2>&1; then
    ok 'in 12 MB of memory' sh -c 'ulimit -d 12288 && lmconvert -q large l --to megatron --tp 2 --pp 2 && lmconvert -q l l2 --to hf && cmp large/model.safetensors l2/model.safetensors'
else
    ok 'converted' sh -c 'lmconvert -q large l --to megatron --tp 2 --pp 2 && lmconvert -q l l2 --to hf'
    skip 'in 12 MB of memory' 'a sanitizer takes more'
fi
is 'a full disk' 1 '' '~File too large' sh -c 'ulimit -f 1000 && lmconvert -q large no --to megatron --tp 2'
is 'leaves nothing' 0 '' '' sh -c 'ls -d .no* no 2>/dev/null | cat'
if strace -V >/dev/null 2>&1; then
    rm -rf l2 && ok 'killed' sh -c '! strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:signal=KILL:when=3 lmconvert -q l l2 --to hf'
    is 'and once more' 0 '' '' sh -c 'lmconvert -q l l2 --to hf && diff -r large l2 && ls -d .*lmconvert* 2>/dev/null | cat'
    is 'a signal leaves nothing' 0 '' '' sh -c '{ strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:signal=TERM:when=1 lmconvert -q large no --to hf; } 2>/dev/null; ls -d .*lmconvert* no 2>/dev/null | cat'
else
    skip 'killed' 'strace is not installed'
fi
plan
