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
    timeout 60 "$SRC/tests/mpirun.sh" -n "$n_ranks" "$@"
}
# says STATUS MESSAGE N COMMAND...: the job ends so, and only one rank has said it
says() {
    status=$1 message=$2
    shift 2
    ranks "$@" >.said 2>&1
    [ $? = "$status" ] && [ "$(grep -c -- "$message" .said)" = 1 ] || { cat .said; false; }
}
for size in 1 2 3 4; do
    ok "$size ranks: sums, copies" ranks $size "$comm" ranks
done
ok 'one of three says what is wrong, and the job ends' says 3 'rank 1 says' 3 "$comm" 1
ok 'rank 0 leaves before it begins' says 5 'rank 0 leaves' 3 "$comm" early 5
ok 'with status 0, too' says 0 'rank 0 leaves' 2 "$comm" early 0
plan
