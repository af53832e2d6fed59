#!/bin/sh
# Every benchmark, or those named in BENCH='shard train': TSV lines, each a figure beside the peer or ceiling
# measured in the same run.
: "${B:?}" "${SRC:?}"
PATH="$B/bin:$PATH"
export B SRC PATH
for f in "$SRC"/tests/bench/*.c; do
    name=$(basename "$f" .c)
    case " ${BENCH:-$name} " in *" $name "*) "$B/tests/bench/$name" ;; esac || exit 1
done
