# Ranks under mpirun.
. "$SRC/tests/lib.sh"
comm=$B/tests/unit/comm
if ! command -v mpirun >/dev/null; then
    skip 'many ranks' 'mpirun is not installed'
    plan
    exit 0
fi
case $B in *thread*)
    skip 'many ranks' 'OpenMPI is not made for the thread sanitizer'
    plan
    exit 0
    ;;
esac
ranks() { # N COMMAND...
    n_ranks=$1
    shift
    timeout 60 "$SRC/tests/mpirun.sh" mpirun -n "$n_ranks" "$@"
}
# says STATUS MESSAGE N COMMAND...: the job ends so, and only one rank has said it
says() {
    status=$1 message=$2
    shift 2
    ranks "$@" >.said 2>&1
    [ $? = "$status" ] && [ "$(grep -c -- "$message" .said)" = 1 ] || { cat .said; false; }
}
for size in 1 2 3 4; do
    ok "$size ranks: sums, copies, the least instruction set" ranks 1 env LMPIPE_CPU=portable "$comm" ranks portable \
        $([ $size = 1 ] || echo : -n $((size - 1)) "$comm" ranks portable)
done
ok 'one of three says what is wrong, and the job ends' says 3 'rank 1 says' 3 "$comm" 1
ok 'rank 0 leaves before it begins' says 5 'rank 0 leaves' 3 "$comm" early 5
ok 'with status 0, too' says 0 'rank 0 leaves' 2 "$comm" early 0

# training: what n ranks make is what one process makes
awk 'BEGIN { for (d = 0; d < 200; d++) { s = ""; for (i = 0; i < 20 + d % 13; i++) s = s (i ? " " : "") (3 * i + d) % 31; print s } }' >ids
lmtokenize -q --from ids --vocab-size 32 --to stream -o docs.tks ids
lmpack -q -L 16 -o rows.tks docs.tks
lmpack -q -L 16 --method concat --drop-last -o concat.tks docs.tks
lmshard -q -o bin docs.tks
cat >llama.json <<'EOF'
{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16}
EOF
cat >run.conf <<'EOF'
model = llama.json
data = rows.tks
micro_batch_size = 2
global_batch_size = 8
train_iters = 200
lr = 1e-3
lr_warmup_iters = 20
threads = 1
EOF
# near A B STEPS: what does not depend on time is the same to 1e-6 in both logs
near() {
    paste "$1/metrics.tsv" "$2/metrics.tsv" | awk -F '\t' -v steps="$3" '
        function far(a, b) { return a == "" || b == "" ? a != b : a - b > 1e-6 * a || b - a > 1e-6 * a }
        NR > 1 { n++; for (i = 1; i <= 10; i++) if ((i < 6 || i > 8) && far($i, $(i + 10))) { print; bad = 1 } }
        END { exit bad || n != steps }'
}
same() { # the bits of two checkpoints
    for f in model optimizer/exp_avg optimizer/exp_avg_sq; do
        cmp "$1/$f.safetensors" "$2/$f.safetensors" || return 1
    done
}
lmtrain -q run.conf out=one
for n_ranks in 2 4; do
    ok "$n_ranks ranks" ranks $n_ranks lmtrain -q run.conf out=n$n_ranks save_interval=100
    ok 'the loss of one process, over 200 steps' near one n$n_ranks 200
done
ok 'again, with nothing in common' env LMPIPE_COMM=mpi timeout 60 "$SRC/tests/mpirun.sh" mpirun -n 2 lmtrain run.conf out=again
ok 'one line a step' test "$(grep -c '^step' .err)" = 200
ok 'the same bits' same n2/step_200 again/step_200
part='train_iters=6 lr_warmup_iters=2 data_order=sequential eval_interval=3 eval_iters=2'
for how in 'data=bin data_order=megatron seq_length=15 split=80,20,0' \
    'valid=rows.tks full_validation=1 calculate_per_token_loss=0 micro_batch_size=1 dump=DUMP'; do
    rm -rf x1 x2
    lmtrain -q run.conf $part out=x1 $(echo "$how" | sed s/DUMP/d1/)
    ok "2 ranks, $how" ranks 2 lmtrain -q run.conf $part out=x2 $(echo "$how" | sed s/DUMP/d2/)
    ok 'the losses' near x1 x2 6
done
ok 'a dump of every step, of the same header and tokens' sh -c 'for i in 1 2 3 4 5 6; do
    head -c $((8 + 8 * 16 * 8)) d1/step_00000$i.safetensors | cmp - d2/step_00000$i.safetensors 2>&1 | grep -q EOF &&
        [ "$(wc -c <d1/step_00000$i.safetensors)" = "$(wc -c <d2/step_00000$i.safetensors)" ] || exit 1; done'
# a pipe that ends within a batch
rows=$(($(wc -w <ids) / 16))
lmtrain -q run.conf data=concat.tks data_order=sequential train_iters=$((rows / 8)) lr_decay_iters=1000 out=p1
for n_ranks in 2 3; do
    ok "a pipe, to $n_ranks ranks" sh -c ". '$SRC/tests/lib.sh'; '$SRC/tests/mpirun.sh' mpirun -n $n_ranks lmtrain -q run.conf \
        data=- train_iters=1000 out=p$n_ranks global_batch_size=$((n_ranks == 3 ? 12 : 8)) <concat.tks"
    ok 'every row of it' test "$(tail -n 1 p$n_ranks/metrics.tsv | cut -f 10)" = "$rows"
done
sed 's/layers": 2/layers": 12/' llama.json >deep.json
ok 'more sums than are on their way at once, of ranks without a row' sh -c "head -n 1 ids | lmtokenize -q --from ids --vocab-size 32 --to stream | lmpack -q -L 16 |
    LMPIPE_COMM=mpi timeout 60 '$SRC/tests/mpirun.sh' mpirun -n 3 lmtrain -q run.conf model=deep.json data=- global_batch_size=6 out=deep"
ok 'the losses of its full batches' sh -c '. "$SRC/tests/lib.sh"; head -n "$(wc -l <p1/metrics.tsv)" p2/metrics.tsv >cut && mv cut p2/metrics.tsv'
ok 'are those of the file' near p1 p2 "$((rows / 8))"
grep -o 'mpirun -n 2 lmtrain run.conf [^`]*' "$SRC/README.md" >example
mkdir readme
sed "s/200/6/; s/20\$/2/; s,= \(llama\|rows\),= ../\1," run.conf >readme/run.conf
ok 'the example of README' sh -c "cd readme && '$SRC/tests/mpirun.sh' sh -e ../example && test -s run/step_6/MANIFEST"
# what four ranks saved
for n_ranks in 1 2; do
    cp -r n4 r$n_ranks
    rm -rf r$n_ranks/step_200
    ok "goes on, on $n_ranks" ranks $n_ranks lmtrain -q run.conf out=r$n_ranks resume=auto
    ok 'to the losses of one' near one r$n_ranks 200
done

# what is wrong is said once
ok 'a wrong option' says 2 'lmtrain: lr:' 3 lmtrain run.conf lr=fast
sed 's/32,/30,/' llama.json >small.json
ok 'a share that is no whole one' says 2 'global_batch_size 8 is no multiple of 6' 3 lmtrain run.conf
ok 'no such data' says 1 'none: neither a file' 3 lmtrain run.conf data=none seq_length=8 global_batch_size=12
ok 'a token outside the vocabulary' says 1 'is not within' 2 lmtrain run.conf model=small.json data=bin split=1,0,0 seq_length=15
ok 'a loss that is no number' says 1 'lmtrain: step' 2 lmtrain run.conf lr=1e30 lr_warmup_iters=0 clip_grad=0
mkdir -p bad/metrics.tsv
ok 'a log that only rank 0 writes' says 1 'bad/metrics.tsv:' 2 lmtrain run.conf out=bad

# signals
ranks_of() { # PID of mpirun: the ranks' own
    for stat in /proc/[0-9]*/stat; do
        awk -v parent="$1" '$2 == "(lmtrain)" && $4 == parent { print $1 }' "$stat" 2>/dev/null
    done
}
# signalled NAME SIGNAL WHOM: a long run of two ranks gets it; its exit status in $rc, the step of its last line in $step
signalled() {
    timeout 60 "$SRC/tests/mpirun.sh" mpirun -n 2 lmtrain run.conf out=$1 train_iters=1000000 save_interval=10 >.said 2>&1 &
    job=$!
    until [ "$(cat $1/metrics.tsv 2>/dev/null | wc -l)" -gt 30 ] || ! kill -0 $job 2>/dev/null; do sleep 0.1; done
    mpirun=$(awk -v parent=$job '$4 == parent { print $1 }' /proc/[0-9]*/stat 2>/dev/null | head -n 1)
    case $3 in
    mpirun) kill -$2 $mpirun ;;
    *) kill -$2 $(ranks_of $mpirun | sed -n "$3p") ;;
    esac
    wait $job
    rc=$?
    step=$(tail -n 1 $1/metrics.tsv | cut -f 1)
}
signalled usr1 USR1 mpirun
ok 'SIGUSR1 to mpirun saves and stops' [ $rc = 0 -a -s usr1/step_$step/MANIFEST ]
signalled term TERM 2
ok 'SIGTERM to one rank saves and ends the job' [ $rc = 143 -a -s term/step_$step/MANIFEST ]
rm -f fifo && mkfifo fifo
timeout 60 "$SRC/tests/mpirun.sh" mpirun -n 2 lmtrain run.conf data=- out=waiting train_iters=1000000 <fifo >.said 2>&1 &
job=$!
exec 3>fifo
head -c $(($(wc -c <rows.tks) - 100)) rows.tks >&3
until [ -e waiting/metrics.tsv ] || ! kill -0 $job 2>/dev/null; do sleep 0.1; done
kill -USR1 $(ranks_of "$(awk -v parent=$job '$4 == parent { print $1 }' /proc/[0-9]*/stat 2>/dev/null | head -n 1)" | sed -n 2p)
wait $job
rc=$?
exec 3>&-
ok 'SIGUSR1 to the rank that waits for the one that waits for a pipe' [ $rc = 0 -a -s waiting/step_0/MANIFEST ]
signalled kill KILL 1
ok 'a rank that is killed takes the job with it' [ $rc = 137 ]
last=$(ls -d kill/step_* | sed 's/.*_//' | sort -n | tail -n 1)
is 'and its last checkpoint is whole' 0 '' "~going on from kill/step_$last" lmtrain run.conf out=kill resume=auto train_iters=$((last + 1))
plan
