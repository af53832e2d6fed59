#!/bin/sh
# lmshard against cp and sync of the same bytes, both ways, interleaved, medians of 5:
#   name  MB  MB/s  MB/s of cp  ratio
: "${B:?}"
mb=${SHARD_MB:-256}
dir=$(mktemp -d "${BENCH_DIR:-$B}/shard.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
"$B/tests/bench/mkstream" "$mb" >s.tks || exit 1
"$B/bin/lmshard" -q -o p s.tks || exit 1
seconds() { # what it takes, with nothing else waiting to be written
    sync
    t0=$(date +%s.%N)
    "$@" || exit 1
    t1=$(date +%s.%N)
    echo "$t0 $t1" | awk '{ printf "%.4f\n", $2 - $1 }'
}
copy() { cp s.tks copy && sync copy; }
write() { "$B/bin/lmshard" -q -o q s.tks; }
extract() { "$B/bin/lmshard" -q -x p -o q.tks; }
for i in 1 2 3 4 5; do
    for what in copy write extract; do
        rm -f copy q.bin q.idx q.tks
        seconds $what >>$what.s
    done
done
median() { sort -n "$1" | sed -n 3p; }
for what in write extract; do
    echo "lmshard_$what $mb $(median $what.s) $(median copy.s)" |
        awk '{ printf "%s\t%d\t%.0f\t%.0f\t%.2f\n", $1, $2, $2 / $3, $2 / $4, $4 / $3 }'
done
