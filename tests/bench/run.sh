#!/bin/sh
# Every benchmark, or those named in BENCH='shard train': TSV lines, each a figure beside the peer or ceiling
# measured in the same run.
: "${B:?}" "${SRC:?}"
PATH="$B/bin:$PATH"
export B SRC PATH
for f in "$SRC"/tests/bench/*.c "$SRC"/tests/bench/*.sh; do
    name=$(basename "${f%.*}") program=$f
    [ "$name" != run ] || continue
    [ "$f" = "${f%.c}" ] || program=$B/tests/bench/$name
    case " ${BENCH:-$name} " in *" $name "*) "$program" ;; esac || exit 1
done
