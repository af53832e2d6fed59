#!/bin/sh
# Two ranks of one thread each against one process of two threads, the same steps of Llama 110M in turns: TSV,
# medians.
#   ranks.sh [ROUNDS]
: "${B:?}" "${SRC:?}"
PATH="$B/bin:$PATH" LC_ALL=C
export PATH LC_ALL
command -v mpirun >/dev/null || { echo 'ranks: mpirun is needed' >&2; exit 1; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
cat >model.json <<'END'
{"model_type": "llama", "vocab_size": 32000, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
 "num_attention_heads": 12, "num_key_value_heads": 4, "max_position_embeddings": 1024}
END
awk 'BEGIN { for (d = 0; d < 24; d++) for (i = 0; i < 256; i++) printf "%d%s", int(32000 * rand()), i < 255 ? " " : "\n" }' |
    lmtokenize -q --from ids --vocab-size 32000 --to stream | lmpack -q -L 256 -o rows.tks
steps() { # COMMAND...: tokens a second of each step but the first, which touches new memory
    "$@" model=model.json data=rows.tks eval_iters=0 train_iters=6 lr=1e-4 global_batch_size=4 2>&1 |
        sed -n 's/^step [2-9].* \([0-9]*\) tok.s.*/\1/p'
}
median() { sort -n "$1" | awk '{ x[NR] = $1 } END { print (x[int((NR + 1) / 2)] + x[int((NR + 2) / 2)]) / 2 }'; }
for round in $(seq "${1:-3}"); do
    steps lmtrain threads=2 micro_batch_size=4 >>one
    steps "$SRC/tests/mpirun.sh" mpirun -n 2 lmtrain threads=1 micro_batch_size=2 >>two
done
one=$(median one) two=$(median two)
printf 'ranks\tllama-110M\t2 ranks of 1 thread\t%.1f tok/s\t1 process of 2 threads\t%.1f tok/s\t%.1f %%\n' "$two" "$one" \
    "$(echo "$two $one" | awk '{ print 100 * $1 / $2 }')"
