# No memory at some of the allocations of each row of tests/fault/walk.sh; `make fault` walks all.
. "$SRC/tests/lib.sh"
if LD_PRELOAD=$B/tests/fault/malloc.so FAULT_AT=1 lmshard --version 2>&1 | grep -q '^lmshard: out of memory'; then
    STEP=16 "$SRC/tests/fault/walk.sh" >rows
    grep '^#' rows
    while IFS='	' read -r name faults without bad; do
        ok "$name: $faults, $without, $bad" [ "$bad" = '0 bad' ]
    done <<X
$(grep -v '^#' rows)
X
else
    skip 'no memory' "the programs have a sanitizer's malloc"
fi
plan
