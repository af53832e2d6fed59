#!/bin/sh
# Faults at every system call of what writes files, and kill -9 at random moments of training.
#
# Each row of `cases` is run once for every point: the Nth write, fsync, rename ... of the program is made to
# fail, or to kill it.  After a kill the output must be the old one, none, or the new one, whole, and a second
# run must give the new one.  After an error the program must have said so and left the output as after a kill;
# or have done its work all the same (EINTR).  KILLS=50 sets the number of random kills.
: "${B:?}" "${SRC:?}" "${KILLS:=50}"
PATH="$B/bin:$PATH" LC_ALL=C
export PATH LC_ALL
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
command -v strace >/dev/null || { echo 'torture: strace is needed' >&2; exit 1; }

awk 'BEGIN { for (d = 0; d < 300; d++) { s = ""; for (i = 0; i < 20 + d % 13; i++) s = s (i ? " " : "") (3 * i + d) % 31; print s } }' >ids
lmtokenize -q --from ids --vocab-size 32 --to stream -o docs.tks ids
lmpack -q -L 16 --method concat -o rows.tks docs.tks
lmpack -q -L 16 -o packed.tks docs.tks
cat >model.json <<'END'
{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
 "num_attention_heads": 4, "max_position_embeddings": 16}
END
cat >run.conf <<'END'
model = model.json
data = rows.tks
train_iters = 4
lr = 1e-2
threads = 1
save_interval = 2
keep = 1
END

# NAME | make the old output | command | is it old, none or new, and whole? | is it new?
cases='
lmshard | lmshard -q --flatten -o w/p packed.tks | lmshard -q -o w/p docs.tks | pair | lmshard -q --verify w/p && same_pair
lmvocab | lmvocab -q -n 260 --from txt -o w/t.json ids | lmvocab -q -j1 -n 300 --from txt -o w/t.json ids | vocab | cmp w/t.json new/t.json
checkpoint | lmtrain -q run.conf out=w/run train_iters=2 | lmtrain -q run.conf out=w/run resume=auto | run_is_whole | same_run
'
pair() { [ ! -e w/p.idx ] || { cmp -s w/p.bin old/p.bin && cmp -s w/p.idx old/p.idx; } || same_pair; }
same_pair() { cmp -s w/p.bin new/p.bin && cmp -s w/p.idx new/p.idx; }
vocab() { cmp -s w/t.json old/t.json || cmp -s w/t.json new/t.json; }
deterministic() { cut -f 1-5,9,10 "$1"; }
same_run() {
    deterministic w/run/metrics.tsv >w.log && deterministic new/run/metrics.tsv | cmp -s - w.log &&
        for f in model.safetensors optimizer/exp_avg.safetensors optimizer/exp_avg_sq.safetensors state.json; do
            cmp -s w/run/step_4/$f new/run/step_4/$f || return 1
        done
}
# what stands there is enough to come to the same end
run_is_whole() { lmtrain -q run.conf out=w/run resume=auto 2>.said && same_run && ! grep -q . .said; }

calls='write pwrite64 fsync fdatasync ftruncate rename unlink mkdir rmdir openat close'
points() { # CALL COMMAND...: how often it is made
    call=$1
    shift
    strace -f -qq -o .trace -e trace="$call" "$@" >/dev/null 2>&1
    grep -c . .trace
}
bad=0 all=0
fault() { # NAME COMMAND WHOLE NEW CALL N MODE
    case $7 in
    kill) inject=signal=SIGKILL ;;
    *) inject=error=$7 ;;
    esac
    rm -rf w && cp -r old w
    # shellcheck disable=SC2086
    strace -f -qq -o /dev/null -e trace="$5" -e inject="$5:$inject:when=$6" $2 >/dev/null 2>.err
    rc=$? all=$((all + 1)) why=
    if [ "$7" = kill ] || [ $rc -ne 0 ]; then
        [ "$7" = kill ] || [ -s .err ] || why='said nothing'
        [ "$7" = kill ] || [ $rc -lt 128 ] || why="died of a signal, $rc"
        eval "$3" >/dev/null 2>&1 || why="what is left is not whole"
        # shellcheck disable=SC2086
        [ -n "$why" ] || { $2 >/dev/null 2>.err && eval "$4"; } >/dev/null 2>&1 || why='a second run does not mend it'
    else
        eval "$4" >/dev/null 2>&1 || why='ended with 0, and its work is not done'
    fi
    [ -z "$why" ] || { bad=$((bad + 1)); printf '%s\t%s at %s %d\t%s\n' "$1" "$7" "$5" "$6" "$why"; }
}
echo "$cases" | grep . >table
while IFS='|' read -r name old command whole new <&3; do
    name=$(echo $name) before=$all bad_before=$bad
    rm -rf w old new && mkdir w
    eval "$old"
    cp -r w old
    eval "$command"
    cp -r w new
    for call in $calls; do
        # shellcheck disable=SC2086
        first=$(points $call ${command%% -q*} --version) n=$(rm -rf w && cp -r old w && points $call $command)
        i=$((first + 1))
        while [ $i -le "$n" ]; do
            for mode in kill ENOSPC EIO EINTR; do fault "$name" "$command" "$whole" "$new" $call $i $mode; done
            i=$((i + 1))
        done
    done
    printf '%s\t%d faults\t%d bad\n' "$name" $((all - before)) $((bad - bad_before))
done 3<table

# kill -9 at random moments, again and again, until the run is done; against one that was left alone
conf='run.conf train_iters=400 save_interval=10 keep=2'
# shellcheck disable=SC2086
lmtrain -q $conf out=whole
kills=0 runs=0 wrong=0
while [ $kills -lt "$KILLS" ]; do
    rm -rf killed
    runs=$((runs + 1))
    while :; do
        # shellcheck disable=SC2086
        lmtrain -q $conf out=killed resume=auto 2>/dev/null &
        pid=$!
        sleep "$(awk -v s="$runs$kills" 'BEGIN { srand(s); print 0.02 + 0.3 * rand() }')"
        kill -9 $pid 2>/dev/null || { wait $pid; break; }
        wait $pid 2>/dev/null
        kills=$((kills + 1))
    done
    deterministic whole/metrics.tsv >whole.log
    deterministic killed/metrics.tsv | cmp -s - whole.log || wrong=$((wrong + 1))
    for f in model.safetensors optimizer/exp_avg.safetensors optimizer/exp_avg_sq.safetensors; do
        cmp -s whole/step_400/$f killed/step_400/$f || wrong=$((wrong + 1))
    done
done
printf 'training\t%d kills in %d runs\t%d runs differ\n' $kills $runs $wrong
[ $bad -eq 0 ] && [ $wrong -eq 0 ]
