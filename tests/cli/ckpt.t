# Checkpoints killed at each step of saving: there is always one that is whole, the newest or the one
# before it, and the next save clears up.  tests/unit/ckpt saves and judges.
. "$SRC/tests/lib.sh"
ckpt=$B/tests/unit/ckpt

old() { # steps 1 and 2; saving 3 with two to keep retires 1
    rm -rf w
    mkdir w
    "$ckpt" save w 1 && "$ckpt" save w 2
}
killed_at() { # STEP CALL NTH: false when it ran to its end
    ! strace -qq -o /dev/null -e trace="$2" -e inject="$2:signal=KILL:when=$3" "$ckpt" save w "$1" >.out 2>&1
}
ok 'saved' old
if strace -V >/dev/null 2>&1; then
    for step in 3 2; do # a new one; one in the place of another
        steps=0 states=
        for call in fsync rename,renameat2 unlink,unlinkat rmdir mkdir write; do
            i=1
            old
            cp -r w ready
            while killed_at $step $call $i; do
                steps=$((steps + 1)) i=$((i + 1))
                found=$("$ckpt" newest w)
                case $found in w/step_2 | w/step_$step) ;; *) states="$states $call,$i:$found" ;; esac
                "$ckpt" save w 4
                left=$(ls -A w | grep '^\.')
                [ -z "$left" ] && [ "$("$ckpt" newest w)" = w/step_4 ] || states="$states $call,$i,after:$left"
                rm -rf w
                cp -r ready w
            done
            rm -rf ready
        done
        ok "step $step, killed at $steps steps:$states" [ "$steps" -gt 30 -a -z "$states" ]
    done
else
    skip 'killed at each step' 'strace is not installed'
fi
# where names cannot be exchanged
if strace -V >/dev/null 2>&1; then
    old
    ok 'no exchange' strace -qq -o /dev/null -e inject=renameat2:error=EINVAL "$ckpt" save w 2
    is 'replaced all the same' 0 'step_1\nstep_2\n' '' ls -A w
    is 'and whole' 0 'w/step_2\n' '' "$ckpt" newest w
else
    skip 'no exchange' 'strace is not installed'
fi
plan
