# lmcat: every kind of file, made here by the tools of others; cut, damaged and hostile ones.
. "$SRC/tests/lib.sh"

json='{"text":"a\\n\\u00e9"}\n{"text":"b","id":"7"}\n'
printf "$json" >d.jsonl
printf 'one\ntwo "2"\n' >t.txt
text='{"text":"one\\ntwo \\"2\\"\\n"}\n'
seq 1 20000 | sed 's/.*/{"text":"line &, of many: & & & & &"}/' >big.jsonl

# kinds, alone and compressed, as files and on a pipe
for z in cat gzip zstd xz bzip2; do
    case $z in cat) c=cat ;; *) c="$z -c" ;; esac
    for f in d.jsonl t.txt big.jsonl; do $c <$f >$z.$f; done
    is "$z: JSONL" 0 "$json" '' lmcat $z.d.jsonl
    is "$z: JSONL on a pipe" 0 "$json" '' sh -c "cat $z.d.jsonl | lmcat"
    is "$z: text" 0 "$text" '' lmcat - <$z.t.txt
    ok "$z: many lines" sh -c "lmcat $z.big.jsonl | cmp - big.jsonl"
    ok "$z: many lines, -j1" sh -c "lmcat -j1 $z.big.jsonl | cmp - big.jsonl"
    ok "$z: two frames" sh -c "cat $z.big.jsonl $z.d.jsonl | lmcat >out && cat big.jsonl d.jsonl | cmp - out"
done
is 'several files' 0 "$text$json" '' lmcat t.txt d.jsonl
is '--lines' 0 '{"text":"one"}\n{"text":"two \\"2\\""}\n' '' lmcat --lines t.txt
is '--from txt' 0 '{"text":"{\\"text\\":1}"}\n' '' sh -c "printf '{\"text\":1}' | lmcat --from txt"
is '--from jsonl' 1 '' "lmcat: t.txt:1: not an object with a string at key 'text': not JSONL; --from txt reads plain text\n" lmcat --from jsonl t.txt
is '-k' 0 '{"text":"x"}\n' '' sh -c "echo '{\"text\":\"a\",\"body\":\"x\"}' | lmcat -k body"
ok '-o' sh -c 'lmcat -o o.jsonl d.jsonl && cmp o.jsonl d.jsonl'
is '-o is an input' 1 '' 'lmcat: d.jsonl: is also the output\n' lmcat -o d.jsonl d.jsonl
is '-o after an error leaves nothing' 1 '' '~absent' sh -c 'lmcat -o no.jsonl d.jsonl absent; rc=$?; ls no.jsonl .no* 2>/dev/null; exit $rc'

# lines: ends, marks, blanks, NUL
is 'CR LF, a mark, blank lines, no last newline' 0 '{"text":"a"}\n{"text":"b"}\n' '' \
    sh -c "printf '\357\273\277{\"text\":\"a\"}\r\n\r\n \n{\"text\":\"b\"}' | lmcat"
is 'text lines with CR LF' 0 '{"text":"a"}\n{"text":""}\n{"text":"b\\r"}\n' '' sh -c "printf 'a\r\n\r\nb\r' | lmcat --lines"
is 'NUL in a text' 0 '{"text":"a\\u0000\\u001fb\\t"}\n' '' sh -c "printf 'a\000\037b\t' | lmcat"
is 'nothing' 0 '' '' lmcat /dev/null
is 'nothing, compressed' 0 '' '' sh -c 'for z in gzip zstd xz bzip2; do : | $z -c | lmcat || exit 1; done'
is 'other keys go, the last of two counts' 0 '{"text":"b","id":"x"}\n' '' \
    sh -c "echo '{\"a\":[{\"text\":\"no\"}],\"text\":\"a\",\"text\":\"b\",\"id\":1,\"id\":\"x\"}' | lmcat"
is 'blanks go' 0 '{"text":"b"}\n' '' sh -c "echo ' {\"text\" : \"b\"} ' | lmcat"

# bad lines
printf '{"text":"a"}\n{"text":"b"\n{"txt":"c"}\n{"text":3}\n{"text":"\377"}\n[1]\n{"text":"z"}\n' >bad.jsonl
is 'a bad line' 1 '{"text":"a"}\n' 'lmcat: bad.jsonl:2: byte 11: unexpected end\n' lmcat bad.jsonl
is '--on-error=skip' 0 '{"text":"a"}\n{"text":"z"}\n' "lmcat: bad.jsonl:2: byte 11: unexpected end: skipped
lmcat: bad.jsonl:3: there is no key 'text': skipped
lmcat: bad.jsonl:4: not a string: the value of key 'text': skipped
lmcat: bad.jsonl:5: byte 9: invalid UTF-8: skipped
lmcat: bad.jsonl:6: not an object with a string at key 'text': skipped
lmcat: 5 bad documents skipped, 2 written\n" lmcat --on-error=skip bad.jsonl
is '--on-error=skip -q' 0 '*' '' lmcat --on-error=skip -q bad.jsonl
is '--on-error=replace mends text only' 1 '{"text":"a"}\n' '~bad.jsonl:2: ' lmcat --on-error=replace bad.jsonl
is 'replaced: UTF-8' 0 '{"text":"\357\277\275\357\277\275x"}\n' '' \
    sh -c "printf '{\"text\":\"\342\202\377x\"}' | lmcat --on-error=replace"
is 'replaced: half a surrogate pair' 0 '{"text":"\\ufffdx\\ud83d\\ude00"}\n' '' \
    sh -c "echo '{\"text\":\"\\ud800x\\ud83d\\ude00\"}' | lmcat --on-error=replace"
is 'a text that is not UTF-8' 1 '' 'lmcat: l1.txt: byte 1: invalid UTF-8: 0xe9\n' sh -c "printf 'h\351' >l1.txt; lmcat l1.txt"
is 'a line that is not UTF-8' 1 '{"text":"a"}\n' 'lmcat: l2.txt:2: byte 1: invalid UTF-8: 0xe9\n' \
    sh -c "printf 'a\nh\351\n' >l2.txt; lmcat --lines l2.txt"
is 'a file that is absent' 1 "$json" 'lmcat: absent: No such file or directory\n' lmcat d.jsonl absent
is 'a directory' 1 '' '~lmcat: .: byte 0: read: Is a directory' lmcat .

# archives
mkdir -p in/d
cp d.jsonl in/d/x
cp t.txt in/y
: >in/empty
gzip -c d.jsonl >in/z.gz
ln -s y in/link
nl=$(printf 'a\nb\033[2J')
printf 'odd' >"in/$nl"
members="{\"text\":\"odd\",\"id\":\"in/a\\\\nb\\\\u001b[2J\"}\n$json{\"text\":\"one\\\\ntwo \\\\\"2\\\\\"\\\\n\",\"id\":\"in/y\"}\n$json"
list="in/$nl
in/d
in/empty
in/link
in/y
in/z.gz"
for format in ustar pax gnu; do
    printf '%s\0' "in/$nl" in/d in/empty in/link in/y in/z.gz | tar --null -T - --format=$format -cf $format.tar
    is "tar $format" 0 "$members" '' lmcat $format.tar
    is "tar $format on a pipe" 0 "$members" '' sh -c "cat $format.tar | lmcat"
done
zip -qry a.zip "in/$nl" in/d in/empty in/link in/y in/z.gz
zip -qr - "in/$nl" in/d in/empty in/y in/z.gz | cat >stream.zip # zip stores a link, which it cannot do to a pipe
is 'zip' 0 "$members" '' lmcat a.zip
# the type of a member stands in the directory only, which a pipe shows too late: a link is a file there
ok 'zip on a pipe' sh -c 'lmcat a.zip >1; cat a.zip | lmcat | grep -v in/link | cmp - 1'
is 'zip written to a pipe' 0 "$members" '' lmcat stream.zip
zip -q0r stored.zip in/y
is 'zip, stored, with a comment' 0 '*' '' sh -c 'echo "a comment" | zip -qz stored.zip >/dev/null && lmcat stored.zip'
for z in gzip zstd xz bzip2; do
    $z -c pax.tar >$z.tar
    is "tar, $z" 0 "$members" '' lmcat $z.tar
done
is '--lines in a tar' 0 '{"text":"one","id":"in/y"}\n{"text":"two \\"2\\"","id":"in/y"}\n' '' \
    sh -c 'tar -cf y.tar in/y && lmcat --lines y.tar'
is 'two tars, one behind the other' 0 "{\"text\":\"odd\",\"id\":\"o\"}\n{\"text\":\"odd\",\"id\":\"o\"}\n" '' \
    sh -c 'printf odd >o; tar -cf o.tar o; cat o.tar o.tar | lmcat'
is 'no member: tar' 0 '' '' sh -c 'mkdir e; tar -cf e.tar e; lmcat e.tar'
tar -cf nest.tar o o.tar t.txt
is 'an archive in an archive' 1 '{"text":"odd","id":"o"}\n' 'lmcat: nest.tar:o.tar: a tar archive within an archive: only one level is read\n' lmcat nest.tar
is 'an archive in an archive, skipped' 0 '*' '~1 bad documents skipped, 2 written' lmcat --on-error=skip nest.tar
is 'compressed twice' 1 '' '~twice.gz: gzip data within compressed data' sh -c 'gzip -c gzip.t.txt >twice.gz; lmcat twice.gz'
is "a member's error is located, its name escaped" 1 '' '~bad.tar:b\x0ad:2: byte 11: unexpected end' \
    sh -c 'mv bad.jsonl "b
d"; tar -cf bad.tar "b
d"; lmcat -o x bad.tar'

# cut at several places: always an error, and located
uncaught=0
for f in gzip.big.jsonl zstd.big.jsonl xz.big.jsonl bzip2.big.jsonl pax.tar ustar.tar a.zip stream.zip gzip.tar; do
    size=$(wc -c <$f)
    for cut in 4 6 20 100 511 $((size / 3)) $((size / 2)) $((size - 700)) $((size - 21)) $((size - 8)) $((size - 1)); do
        # the tars end in blocks of zeros that tar adds to fill its record
        case $f in pax.tar | ustar.tar) [ $cut -gt 511 ] && [ $cut -lt $((size - 6000)) ] || continue ;; esac
        [ $cut -gt 0 ] && [ $cut -lt $size ] || continue
        head -c $cut $f >cut
        for how in 'lmcat cut' 'cat cut | lmcat'; do
            sh -c "$how" >.out 2>.err
            [ $? = 1 ] && grep -q '^lmcat: .*: byte ' .err || { echo "# $f cut at $cut: $how"; uncaught=$((uncaught + 1)); }
        done
    done
done
ok 'every cut is an error with its place' [ $uncaught = 0 ]
head -c 1024 ustar.tar >cut.tar
is 'a tar that ends between members' 1 '*' '~cut short: the two zero blocks that end a tar are missing' lmcat cut.tar
is 'bytes behind gzip data' 1 '*' '~other bytes follow the compressed data' sh -c '(cat gzip.t.txt; echo x) | lmcat'
is 'bytes behind a tar' 1 '*' '~of the tar archive: ' sh -c '(cat ustar.tar; echo x) | lmcat'
for z in gzip zstd xz bzip2; do
    c="$z -c"
    [ $z != zstd ] || c='zstd -c --check'
    $c <big.jsonl >flip
    perl -e 'open F,"+<","flip"; seek F,(-s F)/2,0; read F,$c,1; seek F,(-s F)/2,0; print F chr(ord($c)^16)'
    is "$z: a flipped bit" 1 '*' "~flip:" lmcat flip
done

# bounds
is '--max-doc: a file' 1 '' 'lmcat: t.txt: above the 5 bytes of --max-doc\n' lmcat --max-doc 5 t.txt
is '--max-doc: a line' 1 '' '~d.jsonl: line 1 is above the 10 bytes of --max-doc' lmcat --max-doc 10 d.jsonl
is '--max-doc: skipped' 0 '{"text":"s","id":"s"}\n' '*' \
    sh -c 'printf s >s; tar -cf s.tar t.txt s; lmcat --max-doc 5 --on-error=skip s.tar'
perl -e 'print "{\"text\":\"", "a" x 5000000, "\"}\n{\"text\":\"b\"}\n{\"text\":\n"' >long.jsonl
is 'a line above a block and --max-doc' 0 '{"text":"b"}\n' '~lmcat: long.jsonl: line 1 is above the 2097152 bytes of --max-doc: skipped' \
    lmcat --max-doc 2M --on-error=skip long.jsonl
is 'lines behind it keep their numbers' 0 '*' '~lmcat: long.jsonl:3: byte 8: unexpected end: skipped' \
    lmcat --max-doc 2M --on-error=skip long.jsonl
head -n 2 long.jsonl >two.jsonl
ok 'a line of several blocks' sh -c 'lmcat two.jsonl | cmp - two.jsonl'
# a bomb: 4 GiB of zeros in a few kB, under a limit on memory
ok 'a bomb in a zip' sh -c 'head -c 1G /dev/zero | zip -q bomb.zip - && ulimit -v 1000000 && ! lmcat -j1 --max-doc 64M bomb.zip 2>said && grep -q max-doc said'
ok 'a bomb in zstd' sh -c 'head -c 1G /dev/zero | zstd -q >bomb.zst && ulimit -v 1000000 && ! lmcat -j1 --max-doc 64M bomb.zst 2>said && grep -q max-doc said'
ok 'a sparse tar of 1 TiB' sh -c 'truncate -s 1T hole && tar -Scf hole.tar hole && ulimit -v 1000000 && ! lmcat -j1 --max-doc 64M hole.tar 2>said && grep -q max-doc said'
head -n 100 big.jsonl >wide.raw
cat wide.raw | zstd -q --long=28 --ultra -20 >wide.zst
is 'a zstd window above 2^27' 1 '' '~its window is above 2^27 bytes, which needs --long' lmcat wide.zst
ok 'a zstd window above 2^27, --long' sh -c 'lmcat --long wide.zst | cmp - wide.raw'
ok 'nothing is written' sh -c 'mkdir w && cd w && tar -Pcf ../up.tar ../t.txt /etc/hostname 2>/dev/null; lmcat ../up.tar >/dev/null && [ -z "$(ls -A)" ]'
is 'a full disk' 1 '' '~write: No space left' sh -c 'lmcat big.jsonl >/dev/full'
ok 'any -j gives the same' sh -c 'for j in 1 2 3 8; do lmcat -j$j big.jsonl xz.big.jsonl gzip.tar pax.tar | cksum; done | sort -u | wc -l | grep -qx 1'

# files of others
data=$shared/data
if [ -d "$data" ]; then
    ok 'c4' sh -c "lmcat '$data'/corpora/c4/*.gz >c4.jsonl && zcat '$data'/corpora/c4/*.gz | grep -c . | grep -qx \$(grep -c '^{\"text\":' c4.jsonl)"
    ok 'udhr: all its texts but the empty one' sh -c "lmcat '$data'/corpora/udhr2.zip | wc -l | grep -qx 387"
    undo='perl -ne "if (/^begin /) { \$on = 1; next } last if /^end/; print unpack q(u), \$_ if \$on"'
    for f in "$data"/suites/libarchive/*.uu; do
        b=$(basename "$f" .uu)
        sh -c "$undo" <"$f" >s.bin
        for how in 'lmcat s.bin' 'cat s.bin | lmcat' 'lmcat --on-error=replace s.bin'; do
            timeout 120 sh -c "$how" >/dev/null 2>.err
            rc=$?
            [ $rc = 0 ] && continue
            [ $rc = 1 ] && grep -q '^lmcat: .*:' .err || echo "$b: $how: status $rc"
        done
    done >libarchive.bad
    ok "libarchive's own files: read, or an error with its place" sh -c '! grep . libarchive.bad'
    # the zstd program is the judge: what it refuses, we refuse
    for f in "$data"/suites/zstd/golden-decompression*/*; do
        if zstd -qdc "$f" >want 2>/dev/null; then
            ok "zstd's $(basename "$f")" sh -c "lmcat --lines --from txt '$f' | wc -l | grep -qx \$(awk 'END { print NR }' want)"
        else
            is "zstd's $(basename "$f")" 1 '*' '~of the zstd data: ' lmcat "$f"
        fi
    done
else
    skip 'files of others' '../shared is absent'
fi
# what is not read yet does not pass for one text
printf 'text,id\nhello,1\n' >t.csv
gzip -c t.csv >t.TSV.gz
printf 'WARC/1.0\r\nWARC-Type: response\r\n\r\n' >page
printf '[\n  {"text": "a"}\n]\n' >array
printf '[see above]\n' >note
is 'a table' 1 '' 'lmcat: t.csv: a table, which is not read yet: --from txt takes it as one text\n' lmcat t.csv
is 'a compressed one' 1 '' '~t.TSV.gz: a table' lmcat t.TSV.gz
is 'a WARC' 1 '' '~lmcat: page: a WARC, which is not read' lmcat page
is 'a JSON array' 1 '' '~lmcat: array: a JSON array of objects, which is not read' lmcat array
is 'left out' 0 '{"text":"[see above]\\n"}\n' '~1 bad documents skipped' lmcat --on-error=skip t.csv note
is 'as a text' 0 '{"text":"text,id\\nhello,1\\n"}\n' '' lmcat --from txt t.csv
is 'as lines' 0 '{"text":"text,id"}\n{"text":"hello,1"}\n' '' lmcat --lines t.csv
plan
