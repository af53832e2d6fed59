#!/bin/sh
# Every tokenizer at hand against the package that it is from, on seeded strings: ids and, but for SentencePiece's, texts.
#
#   PYTHON=venv/bin/python tests/fuzz/diff.sh [strings [seed [name...]]]
#
# PYTHON has tokenizers 0.23.2, tiktoken 0.14 and sentencepiece 0.2.1; TOKENIZERS=DIR holds the tokenizers, REALTEXT=DIR en.txt and
# multi.txt; B=build.  One line a tokenizer: its name, what it was held against, what that printed last, seconds.  The whole
# takes hours at 200,000 strings.  The status tells whether all agree.
: "${PYTHON:=python3}" "${B:=build}" "${TOKENIZERS:=../shared/data/tokenizers}" "${REALTEXT:?DIR of en.txt and multi.txt}"
export REALTEXT
count=${1:-200000} seed=${2:-1}
[ $# -lt 2 ] && shift $# || shift 2
T=$TOKENIZERS G=$T/../../golden/vocab M=$T/../models
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0

# row NAME REFERENCE SCRIPT ARGUMENT...
row() {
    name=$1 reference=$2 script=$3
    shift 3
    [ -z "$only" ] || case " $only " in *" $name "*) ;; *) return ;; esac
    begin=$(date +%s)
    "$PYTHON" "$script" "$@" >"$tmp/out" 2>&1 || bad=1
    printf '%s\t%s\t%s\t%s\n' "$name" "$reference" "$(tail -n 1 "$tmp/out" | tr "\t" " ")" "$(($(date +%s) - begin))"
    grep -q ', 0 differences$\|	0 differ$' "$tmp/out" || { bad=1; head -n 9 "$tmp/out" | cut -c 1-300 | sed 's/^/# /'; }
}
hf() { row "$1" tokenizers tests/fuzz/hf.py "$B/bin/lmtokenize" "$2" "$count" "$seed" ${3:+"$3"}; }
spm() { row "$1" sentencepiece tests/golden/diff_spm.py "$count" "$seed" "$2"; }
tik() { row "$1" tiktoken tests/fuzz/tiktoken.py "$B/bin/lmtokenize" "$2" "$3" "$count" "$seed" ${4:+"$4"}; }

only=$*
"$PYTHON" - "$T/bert/vocab.txt" "$tmp/bert.json" <<'EOF'
import sys
from tokenizers import BertWordPieceTokenizer
BertWordPieceTokenizer(sys.argv[1]).save(sys.argv[2])
EOF
for m in llama2 mistral-v0.3 phi-3 t5 gpt2 qwen2.5 llama3.1 deepseek-coder deepseek-v3; do
    mkdir "$tmp/$m" # without a tokenizer_config.json, which the package does not read
    cp "$T/$m/tokenizer.json" "$tmp/$m"
    hf "$m.json" "$tmp/$m/tokenizer.json"
done
hf bert.txt "$tmp/bert.json" "$T/bert/vocab.txt"
hf bert.json "$tmp/bert.json"
hf gpt2.gguf "$T/gpt2/tokenizer.json" "$T/gpt2/ggml-vocab-gpt-2.gguf"
hf gpt2.encoder "$T/gpt2/tokenizer.json" "$T/gpt2/encoder.json"
hf qwen2.5.vocab "$T/qwen2.5/tokenizer.json" "$T/qwen2.5/vocab.json"
for m in "$T"/*/*.model "$G"/*.model "$M"/*/*.model tests/golden/spm/*.model; do
    case $m in */llama3.1/*) continue ;; esac
    d=$(basename "$(dirname "$m")")
    spm "$d.$(basename "$m")" "$m"
done
tik gpt2.tiktoken gpt2 "$T/gpt2/gpt2.tiktoken" gpt2
tik cl100k cl100k_base "$T/openai/cl100k_base.tiktoken" cl100k_base
tik o200k o200k_base "$T/openai/o200k_base.tiktoken" o200k_base
tik harmony o200k_harmony "$T/openai/o200k_base.tiktoken" o200k_harmony
tik llama3.tiktoken llama3 "$T/llama3.1/tokenizer.model" llama3
tik qwen.tiktoken qwen "$T/qwen2.5/qwen.tiktoken" qwen
tik tekken tekken "$T/openai/o200k_base.tiktoken" tekken
tik kimi-k2 kimi-k2 "$T/openai/o200k_base.tiktoken" kimi-k2
tik regex regex "$T/openai/cl100k_base.tiktoken" \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++\$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"
exit $bad
