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
else
    skip 'trees of other converters' '../shared is absent'
fi
plan
