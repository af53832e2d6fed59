# Every tool has a manual page, and page and option table agree; --help holds.
. "$SRC/tests/lib.sh"

# options of a page: .It Fl x , Fl -name (and Ar); compare the sets of long names
page_options() { sed -n 's/^\.It //p' "$@" | grep -oE '(Fl (Fl |-)|Ic )[a-z0-9_-]+' | sed -E 's/(Fl (Fl |-)|Ic )//' | tr _ - | sort -u; }
# where the options of a tool are told beside its page
more_pages() { case $1 in lmtrain) echo "$SRC/man/lmrun.conf.5" ;; esac; }
table_options() { "$1" --dump-options | awk -F '\t' 'NF > 3 { print $2 }' | tr _ - | sort -u; }

for c in $(find "$SRC/tools" -name "*.c" | sort); do
    t=$(basename "$c" .c)
    page=$SRC/man/$t.1
    if [ ! -e "$page" ]; then
        report 'not ok' "$t has a page"
        continue
    fi
    table_options "$t" >table
    page_options "$page" $(more_pages "$t") >page
    ok "$t: the options of the page are those of the table" diff table page
    purpose=$("$t" --dump-options | sed -n 's/^purpose	//p')
    ok "$t: .Nd is the purpose" grep -qxF ".Nd $purpose" "$page"
    ok "$t --help" sh -c "$t --help | grep -q ^example:"
    ok "$t -h" sh -c "$t -h | grep -q ^example:"
    ok "$t --version" sh -c "$t --version | grep -q lmpipe"
    is "$t: an unknown option exits 2" 2 '' "~usage: $t" "$t" --no-such-option
    for s in EXIT\ STATUS EXAMPLES SEE\ ALSO; do
        ok "$t: section $s" grep -q "^.Sh $s" "$page"
    done
done
for p in "$SRC"/man/*; do
    sed -n 's/^\.Xr \(lm[^ ]*\) \([0-9]\).*/\1.\2/p' "$p" | while read -r x; do [ -e "$SRC/man/$x" ] || echo "$x"; done >missing
    is "$(basename "$p"): every page that it names is there" 0 '' '' cat missing
done
if command -v mandoc >/dev/null; then
    for p in $(find "$SRC/man" -name "*.[157]" | sort); do
        ok "mandoc $(basename "$p")" sh -c "mandoc -Tlint -Wwarning '$p' | grep -v 'referenced manual not found' | (! grep .)"
    done
else
    skip 'mandoc lint' 'mandoc is not installed'
fi
plan
