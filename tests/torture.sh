#!/bin/sh
# Faults at every system call of what writes files, and kill -9 at random moments of training.
#
# Each row of `cases` is run once for every point: the Nth write, fsync, rename ... of the program is made to
# fail, or to kill it.  After a kill the output must be the old one, none, or the new one, whole, and a second
# run must give the new one.  After an error the program must have said so and left the output as after a kill;
# or have done its work all the same (EINTR).  KILLS=50 sets the number of random kills of each training.
: "${B:?}" "${SRC:?}" "${KILLS:=50}"
PATH="$B/bin:$PATH" LC_ALL=C
export PATH LC_ALL
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
for tool in strace mpirun; do
    command -v $tool >/dev/null || { echo "torture: $tool is needed" >&2; exit 1; }
done

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

lmtrain -q model=model.json data=rows.tks train_iters=1 lr=1e-2 micro_batch_size=1 out=first
mkdir hf && cp first/step_1/config.json first/step_1/model.safetensors hf
lmconvert -q hf mg --to megatron --tp 2

# NAME | make the old output | command | is it old, none or new, and whole? | is it new?
cases='
lmshard | lmshard -q --flatten -o w/p packed.tks | lmshard -q -o w/p docs.tks | pair | lmshard -q --verify w/p && same_pair
lmvocab | lmvocab -q -n 260 --from txt -o w/t.json ids | lmvocab -q -j1 -n 300 --from txt -o w/t.json ids | vocab | cmp w/t.json new/t.json
lmconvert to megatron | lmconvert -q hf w/out --to hf | lmconvert -q hf w/out --to megatron --tp 2 --force | tree | same_tree
lmconvert to hf | lmconvert -q hf w/out --to megatron | lmconvert -q mg w/out --to hf --force | tree | same_tree
lmconvert, new | : | lmconvert -q hf w/out --to megatron --force | tree | same_tree
checkpoint | lmtrain -q run.conf out=w/run train_iters=2 | lmtrain -q run.conf out=w/run resume=auto | run_is_whole | same_run
'
pair() { [ ! -e w/p.idx ] || { cmp -s w/p.bin old/p.bin && cmp -s w/p.idx old/p.idx; } || same_pair; }
same_pair() { cmp -s w/p.bin new/p.bin && cmp -s w/p.idx new/p.idx; }
vocab() { cmp -s w/t.json old/t.json || cmp -s w/t.json new/t.json; }
tree() { [ ! -e w/out ] || diff -r w/out old/out || diff -r w/out new/out; }
same_tree() { diff -r w/out new/out && [ -z "$(ls -A w | grep '^\.')" ]; }
deterministic() { cut -f 1-5,9,10 "$1"; }
same_training() { # A B STEP: logs and checkpoints
    deterministic "$1/metrics.tsv" >a.log && deterministic "$2/metrics.tsv" | cmp -s - a.log &&
        for f in model.safetensors optimizer/exp_avg.safetensors optimizer/exp_avg_sq.safetensors state.json; do
            cmp -s "$1/step_$3/$f" "$2/step_$3/$f" || return 1
        done
}
same_run() { same_training w/run new/run 4; }
# what stands there is enough to come to the same end
run_is_whole() { lmtrain -q run.conf out=w/run resume=auto 2>.said && same_run && ! grep -q . .said; }

calls='write pwrite64 fsync fdatasync ftruncate rename renameat2 unlink unlinkat mkdir rmdir flock openat close'
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

# NAME | command: kill -9 of one of its processes that train, or of all there is, at random moments, again and again
# until it is done; against one that was left alone
trainings='
1 process | lmtrain
2 ranks | "$SRC/tests/mpirun.sh" mpirun -n 2 lmtrain
'
steps=400
descendants() { # PID: and all that it has started
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do descendants "$child"; done
}
random() { awk -v seed="$kills$runs$1" -v n="$1" 'BEGIN { srand(seed); srand(seed + 1e6 * rand()); print n * rand() }'; }
victims() { # PID: one of its processes that train, by chance, or with the same chance it and all of them
    family=$(descendants "$1")
    set --
    for p in $family; do [ "$(cat /proc/"$p"/comm 2>/dev/null)" != lmtrain ] || set -- "$@" "$p"; done
    which=$(random $(($# + 1)))
    which=${which%.*}
    [ "$which" = 0 ] && echo "$family" || eval "echo \${$which}"
}
train() { # OUT: the command of this row
    eval "$command -q run.conf train_iters=$steps save_interval=10 keep=2 out=$1 resume=auto" 2>/dev/null
}
now() { date +%s.%N; }
echo "$trainings" | grep . >table
while IFS='|' read -r name command <&3; do
    rm -rf whole
    began=$(now)
    train whole
    seconds=$(echo "$(now) $began" | awk '{ print $1 - $2 }')
    kills=0 runs=0 wrong=0
    while [ $kills -lt "$KILLS" ]; do
        rm -rf killed
        runs=$((runs + 1))
        while :; do
            train killed &
            pid=$!
            sleep "$(random "$seconds")"
            # shellcheck disable=SC2046
            kill -9 $(victims $pid) 2>/dev/null || { wait $pid; break; }
            kills=$((kills + 1))
            timeout 60 tail --pid=$pid -f /dev/null || {
                wrong=$((wrong + 1))
                echo "$name: goes on without the one that was killed"
                # shellcheck disable=SC2046
                kill -9 $(descendants $pid)
            }
            wait $pid 2>/dev/null
        done
        same_training whole killed $steps || wrong=$((wrong + 1))
    done
    printf 'training, %s\t%d kills in %d runs\t%d runs differ\n' "$(echo $name)" $kills $runs $wrong
    bad=$((bad + wrong))
done 3<table
[ $bad -eq 0 ]
