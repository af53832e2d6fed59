# TAP for shell tests; see tests/cli/*.t.  Each test runs in a scratch directory of its own.
#   is NAME STATUS OUT ERR CMD...   exact status, stdout and stderr (printf escapes; ERR '*' is any,
#                                   '~WORD' must contain WORD)
#   ok NAME CMD...                  CMD succeeds
#   skip NAME WHY                   count a skip
#   plan                            the last line of every test
n=0
shared=$SRC/../shared
report() {
    n=$((n + 1))
    echo "$1 $n - $2"
}
ok() {
    name=$1
    shift
    if "$@" >.out 2>.err; then report ok "$name"; else
        report 'not ok' "$name"
        sed 's/^/# /' .out .err | tail -n 20
    fi
}
skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}
is() {
    name=$1 status=$2 out=$3 errs=$4
    shift 4
    "$@" >.out 2>.err
    rc=$?
    verdict=ok
    [ "$rc" = "$status" ] || verdict='not ok'
    if [ "$out" != '*' ]; then printf "$out" | cmp -s - .out || verdict='not ok'; fi
    case $errs in
    '*') ;;
    '~'*) grep -qF -- "${errs#\~}" .err || verdict='not ok' ;;
    *) printf "$errs" | cmp -s - .err || verdict='not ok' ;;
    esac
    report "$verdict" "$name"
    if [ "$verdict" != ok ]; then
        echo "# status $rc, wanted $status"
        sed 's/^/# out: /' .out | head -n 10
        sed 's/^/# err: /' .err | head -n 10
    fi
}
plan() { echo "1..$n"; }
