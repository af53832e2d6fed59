# lmtokenize | lmshard gives the .bin and .idx of the reference's preprocessors, byte for byte.
. "$SRC/tests/lib.sh"
golden=$shared/golden/data
tok=$shared/data/tokenizers
[ -e "$golden/meg_c4_gpt2bpe" ] || { skip pretrain 'no ../shared'; plan; exit; }
for t in gpt2 llama3.1; do
    mkdir $t
    ln -s "$(realpath "$tok/$t/tokenizer.json")" "$(realpath "$golden/tokenizer_config/$t/tokenizer_config.json")" $t
done
ln -s "$(realpath "$tok/qwen2.5")" .

# case, tokenizer, dtype of the .bin, input, options of lmtokenize
while read -r case tokenizer dtype input options; do
    prefix=$golden/$case/${case}_text_document
    # shellcheck disable=SC2086
    lmtokenize -t "$tokenizer" $options "$golden/inputs/$input" 2>err | lmshard -q --dtype "$dtype" -o out - 2>>err
    ok "$case" sh -c "cmp out.bin '$prefix.bin' && cmp out.idx '$prefix.idx' || { cat err; false; }"
done <<'TABLE'
meg_c4_gpt2bpe gpt2 uint16 c4_40.jsonl --eod
meg_c4_120_gpt2bpe gpt2 uint16 c4_120.jsonl --eod=50256
meg_edge_gpt2bpe gpt2 uint16 edge.jsonl --eod=<|endoftext|>
meg_edge_gpt2bpe_noeod gpt2 uint16 edge.jsonl
meghead_edge_hf_gpt2 gpt2 uint16 edge.jsonl --special parse --eod
meg_c4_hf_qwen2.5 qwen2.5 int32 c4_40.jsonl --special parse --eod
meg_edge_hf_qwen2.5 qwen2.5 int32 edge.jsonl --special parse --eod
meghead_c4_hf_qwen2.5 qwen2.5 int32 c4_40.jsonl --special parse --eod
meg_c4_hf_llama3.1 llama3.1 int32 c4_40.jsonl --special parse --bos --eod
meg_edge_hf_llama3.1 llama3.1 int32 edge.jsonl --special parse --bos --eod
n24_pretrain_gpt2bpe gpt2 int32 edge.jsonl --eod --empty drop
n24_pretrain_txt gpt2 int32 lines.txt --from txt --special parse --eod --empty drop
n24_pretrain_nsubs gpt2 int32 c4_40.jsonl --special parse --eod --empty drop
n24_pretrain_edge_qwen qwen2.5 int32 edge.jsonl --special parse --eod --empty drop
n24_pretrain_qwen_eod qwen2.5 int32 c4_40.jsonl --special parse --eod --empty drop
n24_pretrain_edge_llama3 llama3.1 int32 edge.jsonl --special parse --bos --eod --empty drop
TABLE
plan
