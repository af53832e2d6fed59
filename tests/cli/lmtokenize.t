# lmtokenize: ids as the reference gives them, every form in and out, what is added, what is refused.
. "$SRC/tests/lib.sh"
tok=$SRC/tests/golden/tok
t=$tok/gpt2.json
mkdir model
cp "$t" model/tokenizer.json
printf '{"bos_token":"<s>","eos_token":{"content":"<|eod|>"},"add_eos_token":true}' >model/tokenizer_config.json
txt() { printf "$1" | lmtokenize --from txt --to ids -t model ${2:+$2} ${3:+$3} ${4:+$4}; }

# the reference's ids of the texts of tests/golden/make_tok.py, by every instruction set
for which in gpt2 llama3 qwen2; do
    for special in none parse; do
        sed 's/.*"'$special'":\[\([^]]*\)\].*/\1/; s/,/ /g' $tok/$which.jsonl >want
        for cpu in portable avx2 avx512; do
            ok "$which, --special $special, $cpu" sh -c "LMPIPE_CPU=$cpu lmtokenize -t $tok/$which.json --special $special --to ids $tok/$which.jsonl | cmp - want"
        done
    done
done

# special tokens in the texts of a .model, and what stands around them, as transformers' slow classes do (make_slow.py)
spm=$SRC/tests/golden/spm
mkdir spm
slow() { grep "\"model\":\"$1\".*\"legacy\":$2" $spm/slow.jsonl | sed 's/.*"'$3'":\[\([^]]*\)\].*/\1/; s/,/ /g'; }
for which in 'bpe true --bos' 'bpe_ties true --bos' 'bpe_ties false --bos' 'unigram true --eos' 'unigram_bytes true --eos'; do
    set -- $which
    cp $spm/$1.model spm/tokenizer.model
    echo "{\"legacy\":$2}" >spm/tokenizer_config.json
    grep "\"model\":\"$1\".*\"legacy\":$2" $spm/slow.jsonl >texts
    slow $1 $2 ids >want
    ok "$1.model, legacy $2" sh -c "[ -s want ] && lmtokenize -t spm --special parse --to ids texts | cmp - want"
    slow $1 $2 around >want
    ok "$1.model, legacy $2, named itself, $3" sh -c "lmtokenize -t spm/tokenizer.model --special parse $3 --to ids texts | cmp - want"
done
is 'add_bos_token:false' 2 '' '~--bos: the tokenizer puts nothing in front' sh -c "cp $spm/bpe.model spm/tokenizer.model; echo '{\"add_bos_token\":false}' >spm/tokenizer_config.json; lmtokenize -t spm --bos"
is '--special error' 1 '' "~special token '<s>' in the text" sh -c "echo 'a<s>' | lmtokenize -t $spm/bpe.model --from txt --special error --to ids"

# what transformers takes from tokenizer_config.json: T5Tokenizer's sentinels (make_slow.py); a ByteLevel's add_prefix_space; special tokens that -d leaves out, whose normal form tokenizers 0.23.2 writes
mkdir t5 prefix shown
cp $spm/unigram.model t5/spiece.model
sentinels() { echo "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":$1}" >t5/tokenizer_config.json; }
sentinels 3
for which in ids around; do
    sed 's/.*"'$which'":\[\([^]]*\)\].*/\1/; s/,/ /g' $spm/sentinels.jsonl >want
    [ $which = ids ] && eos= || eos=--eos
    ok "the sentinels of T5Tokenizer, $which" sh -c "[ -s want ] && lmtokenize -t t5 --special parse $eos --to ids $spm/sentinels.jsonl | cmp - want"
done
sentinels -1
is 'no number of them' 1 '' '~extra_ids is -1, not within 0..65536' sh -c 'echo a | lmtokenize -t t5 --from txt'
cat >prefix/tokenizer.json <<'END'
{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},
"model":{"type":"BPE","vocab":{"h":0,"\u0120":1,"\u0120h":2},"merges":["\u0120 h"]}}
END
is 'a ByteLevel without add_prefix_space' 0 '0\n' '' sh -c 'echo h | lmtokenize -t prefix --from txt --to ids'
echo '{"add_prefix_space":true}' >prefix/tokenizer_config.json
is 'with that of the config' 0 '2\n' '' sh -c 'echo h | lmtokenize -t prefix --from txt --to ids'
ok 'which lminfo tells' sh -c 'lminfo prefix | grep -q "^pre_tokenizer.*add_prefix_space true"'
cat >shown/tokenizer.json <<'END'
{"added_tokens":[{"id":1,"content":"<s>","special":true,"normalized":true}],"normalizer":{"type":"Prepend","prepend":"_"},
"decoder":{"type":"Fuse"},"model":{"type":"WordLevel","unk_token":"u","vocab":{"_a":0,"<s>":1,"u":2}}}
END
is 'a special token with normalized:true' 0 '_<s>_a\n' '' sh -c 'echo 1 0 | lmtokenize -d -t shown --from ids --to txt'
echo '{}' >shown/tokenizer_config.json
is 'and with a tokenizer_config.json' 0 '_a\n' '' sh -c 'echo 1 0 | lmtokenize -d -t shown --from ids --to txt'
is 'and asked for' 0 '<s>_a\n' '' sh -c 'echo 1 0 | lmtokenize -d --special parse -t shown --from ids --to txt'

# Mistral's tekken.json, as mistral_common reads it (make_tekken.py)
sed 's/.*"ids":\[\([^]]*\)\].*/\1/; s/,/ /g' $tok/tekken.jsonl >want
ok 'tekken.json' sh -c "[ -s want ] && lmtokenize -t $tok/tekken.json --to ids $tok/tekken.jsonl | cmp - want"
sed 's/.*"around":\[\([^]]*\)\].*/\1/; s/,/ /g' $tok/tekken.jsonl >want
mkdir tekken && cp $tok/tekken.json tekken
ok 'tekken.json of a directory, --bos' sh -c "lmtokenize -t tekken --bos --to ids $tok/tekken.jsonl | cmp - want"
is 'its special tokens' 0 '1 3 96 4 23\n' '' sh -c "echo '<s>[INST]H[/INST]<SPECIAL_23>' | lmtokenize -t $tok/tekken.json --from txt --special parse --to ids"
bad() { sed "$1" $tok/tekken.json >bad_tekken.json && lmtokenize -t bad_tekken.json --to ids $tok/tekken.jsonl; }
is 'tekken.json: a rank out of order' 1 '' '~vocab: entry 7 is no token_bytes of the rank 7' bad 's/"rank": 7,/"rank": 8,/'
is 'tekken.json: too few entries' 1 '' '~vocab: 322 entries, fewer than 976' bad 's/"default_vocab_size": 324/"default_vocab_size": 1000/'
is 'tekken.json: half a token' 1 '' '~default_vocab_size is no whole number' bad 's/"default_vocab_size": 324/"default_vocab_size": 300.5/'
is 'tekken.json: special tokens only' 1 '' '~config: 24 special tokens, but a vocabulary of 24' bad 's/"default_vocab_size": 324/"default_vocab_size": 24/'
is 'tekken.json: special tokens that are no list' 1 '' '~special_tokens are not a list' bad 's/"vocab":/"special_tokens": "x", "vocab":/'
is 'tekken.json: no config' 1 '' '~there is no config' bad 's/"config"/"other"/'
is 'tekken.json: a bad pattern' 1 '' '~pattern: byte 212: ( without its )' bad 's/"pattern": "/"pattern": "(/'

# text to ids and back
is 'txt' 0 '261 264 265\n\n64\n' '' txt 'hello world\n\na'
is 'a line that ends in CR LF' 0 '64\n64\n' '' txt 'a\r\na\n'
is 'a directory' 0 '261\n' '' txt 'hello\n' --special none
is 'a key' 0 '64\n' '' sh -c "echo '{\"text\":\"b\",\"body\":\"\\u0061\"}' | lmtokenize -t $t -k body --to ids"
is 'compressed' 0 '64\n' '' sh -c "echo a | gzip | lmtokenize -t $t --from txt --to ids"
cat >escapes.jsonl <<'X'
{"text":"a\n\u0062 \u00e9"}
X
is 'JSON escapes' 0 '64 198 65 220 275\n' '' lmtokenize -t $t --to ids escapes.jsonl
back='{"text":"a\\n \\"b\\" é"}\n{"text":""}\n'
is '-d' 0 "$back" '' sh -c "printf '$back' | sed 's/\\\\/\\\\/g' >b.jsonl; lmtokenize -t model --eod b.jsonl | lmtokenize -d -t model"
is '-d --to txt' 0 'hello\n\nworld\n' '' sh -c "printf 'hello\n\nworld\n' | lmtokenize -t model --from txt --eod | lmtokenize -d -t model --to txt"
is '-d of ids' 0 '{"text":"hello"}\n{"text":""}\n' '' sh -c "printf '261\n\n' | lmtokenize -d --from ids -t $t"
is '-d leaves special tokens out' 0 '{"text":"a"}\n' '' sh -c "echo '283 64 282' | lmtokenize -d --from ids -t $t"
is '-d --special parse' 0 '{"text":"<s>a<|eod|>"}\n' '' sh -c "echo '283 64 282' | lmtokenize -d --from ids -t $t --special parse"
is '-d --special error' 1 '' "lmtokenize: standard input:1: token 1: special token '<|eod|>'\n" sh -c "echo '64 282' | lmtokenize -d --from ids -t $t --special error"
is '-d of half a character' 1 '{"text":"a"}\n' 'lmtokenize: standard input:2: byte 1 of the text: invalid UTF-8: 0xc3\n' \
    sh -c "printf '64\n64 127\n64\n' | lmtokenize -d --from ids -t $t"
is '-d --on-error=replace' 0 '{"text":"a\357\277\275b"}\n' '' sh -c "echo '64 127 65' | lmtokenize -d --from ids -t $t --on-error=replace"
is '-d --on-error=skip' 0 '{"text":"a"}\n' '~lmtokenize: standard input: document 1: byte 0 of the text: invalid UTF-8: 0xc3: skipped' \
    sh -c "printf '64\n127\n' | lmtokenize --from ids -t $t | lmtokenize -d -t $t --on-error=skip"
is '-d of an id that is none' 1 '' 'lmtokenize: standard input:1: byte 0: id 999 is not below 293\n' sh -c "echo 999 | lmtokenize -d --from ids -t $t"
is '-d with another tokenizer' 1 '' '~made with another tokenizer than other.json' sh -c \
    "sed 's/\"Ġworld\":[0-9]*,//; s/,\"Ġwor ld\"//' $t >other.json; echo a | lmtokenize --from txt -t $t | lmtokenize -d -t other.json"
is '-d of what is no stream' 1 '' '~' sh -c "echo x | lmtokenize -d -t $t"
# a stripped token does not come back with its spaces, one that the byte alphabet spells not as its characters
for which in gpt2 llama3; do
    grep -v '<[lrn]*>' $tok/$which.jsonl | lmcat >x
    for special in none parse; do
        ok "$which: decode(encode(x)), --special $special" sh -c \
            "lmtokenize -t $tok/$which.json --special $special x | lmtokenize -d -t $tok/$which.json --special parse | cmp - x"
    done
done

# what is added, and what an empty document becomes
is 'nothing' 0 '64\n' '' txt 'a\n'
is '--bos' 0 '283 64\n283\n' '' txt 'a\n\n' --bos
is '--eos' 0 '64 282\n' '' txt 'a\n' --eos
is '--bos --eos --eod' 0 '283 64 282 282\n' '' txt 'a\n' --bos --eos --eod
is '--eod=TOKEN' 0 '64 283\n' '' txt 'a\n' '--eod=<s>'
is '--eod=ID' 0 '64 7\n' '' txt 'a\n' --eod=7
is 'an empty document' 0 '64 282\n\n' '' txt 'a\n\n' --eod
is '--empty drop' 0 '64 282\n' '' txt 'a\n\n' --eod --empty drop
is '--empty drop --bos' 0 '283 64\n' '' txt 'a\n\n' --bos --empty drop
is '--empty eod' 0 '64 282\n282\n' '' txt 'a\n\n' --eod --empty eod
ok 'a document without a sequence in the index' sh -c "printf 'a\n\n' | lmtokenize -t model --from txt --eod | lmshard -q -o i && [ \$(od -An -td8 -j18 -N8 i.idx) = 1 ] && [ \$(od -An -td8 -j26 -N8 i.idx) = 3 ]"

# special strings
is '--special none' 0 '27 91 78\n' '' sh -c "lmtokenize -t model --from txt --to ids <<'X' | cut -d' ' -f1,2,4
<|eod|>
X"
is '--special error' 1 '64\n' "lmtokenize: standard input:2: special token '<|eod|>' in the text\n" txt 'a\n<|eod|>\nb\n' --special error
is '--special error, JSONL' 1 '*' "~lmtokenize: standard input:1: special token '<s>' in the text" sh -c "echo '{\"text\":\"x<s>\"}' | lmtokenize -t $t --special error"

# ids without a tokenizer
is '--from ids' 0 '1 2\n\n3\n' '' sh -c "printf '1  2\t\n\n3\n' | lmtokenize --from ids --vocab-size 4 --to ids"
is '--from ids, with --eod' 0 '1 0\n' '' sh -c "printf '1\n\n' | lmtokenize --from ids --vocab-size 4 --eod=0 --empty drop --to ids"
is 'an id too high' 1 '1\n' 'lmtokenize: standard input:2: byte 2: id 4 is not below 4\n' sh -c "printf '1\n2 4\n' | lmtokenize --from ids --vocab-size 4 --to ids"
is 'an id much too high' 1 '*' '~id 99999999999999999999999 is not below 4' sh -c "echo 99999999999999999999999 | lmtokenize --from ids --vocab-size 4"
is 'a word for an id' 1 '' "lmtokenize: standard input:1: byte 2: 'x1' is not an id\n" sh -c "echo '1 x1' | lmtokenize --from ids --vocab-size 4 --to ids"
is 'a negative id' 1 '' "~'-1' is not an id" sh -c "echo -- -1 | sed 's/-- //' | lmtokenize --from ids --vocab-size 4 --to ids"

# a stream, to look at
printf '1 2\n\n3\n' >few
lmtokenize --from ids --vocab-size 4 -o few.tks few
is 'the ids of a stream' 0 '1 2\n\n3\n' '' lmtokenize --from stream --to ids few.tks
is 'with -d' 0 '1 2\n\n3\n' '' sh -c 'lmtokenize -d --to ids <few.tks'
is 'of two streams' 0 '1 2\n\n3\n1 2\n\n3\n' '' lmtokenize -d --to ids few.tks few.tks
ok 'the same stream again' sh -c 'lmtokenize --from stream --to ids few.tks | lmtokenize --from ids --vocab-size 4 | cmp - few.tks'
is 'rows' 0 '1 2 3\n3 0 0\n' '' sh -c "printf '1 2 3\n3\n' | lmtokenize --from ids --vocab-size 4 | lmpack -q -L 3 | lmtokenize -d --to ids"
is 'of 32 bits' 0 '70000 1\n' '' sh -c 'echo 70000 1 | lmtokenize --from ids --vocab-size 70001 | lmtokenize -d --to ids'
is 'with the tokenizer that made it' 0 '64\n' '' sh -c "echo a | lmtokenize --from txt -t $t | lmtokenize -d --to ids -t $t"
is 'with another one' 1 '' '~made with another tokenizer than other.json' sh -c "echo a | lmtokenize --from txt -t $t | lmtokenize -d --to ids -t other.json"
is 'a cut stream' 1 '1 2\n\n3\n' '~cut.tks: byte ' sh -c "head -c -8 few.tks >cut.tks; lmtokenize -d --to ids cut.tks"

# bad documents
is 'text for JSONL' 1 '' "lmtokenize: plain:1: not an object with a string at key 'text': not JSONL; --from txt reads plain text\n" sh -c "echo Hello >plain; lmtokenize -t $t plain --to ids"
is 'a line that is none' 1 '64\n' "lmtokenize: plain:2: not an object with a string at key 'text'\n" sh -c "printf '{\"text\":\"a\"}\nHello\n' >plain; lmtokenize -t $t plain --to ids"
printf '{"text":"a"}\n{"text":1}\n{"text":"b"}\n[]\n{"text":"\377"}\n' >bad.jsonl
is 'a bad line' 1 '64\n' "lmtokenize: bad.jsonl:2: not a string: the value of key 'text'\n" lmtokenize -t $t --to ids bad.jsonl
is '--on-error=skip' 0 '64\n65\n' '~lmtokenize: 3 bad documents skipped, 2 written' lmtokenize -t $t --to ids --on-error=skip bad.jsonl
is '--on-error=replace' 0 '171 123 121\n' '' sh -c "printf '\377' | lmtokenize -t $t --from txt --to ids --on-error=replace"
is 'invalid UTF-8' 1 '' 'lmtokenize: standard input:1: byte 1: invalid UTF-8: 0xff\n' sh -c "printf 'a\377' | lmtokenize -t $t --from txt --to ids"
ok 'the stream tells the next program' sh -c "lmtokenize -t $t bad.jsonl 2>/dev/null | lmshard -o s 2>err; [ \$? = 1 ] && grep -q 'producer failed: bad.jsonl:2: not a string' err && [ ! -e s.idx ]"
is 'a full disk' 1 '' '~No space left' sh -c "lmtokenize -t $t $tok/gpt2.jsonl >/dev/full"
is '-o after an error leaves nothing' 1 '' '*' sh -c "lmtokenize -t $t -o no.tks bad.jsonl; rc=\$?; ls -A | grep 'no.tks'; exit \$rc"

# the same bytes, however it is run
awk 'BEGIN { for (i = 0; i < 60000; i++) printf "{\"text\":\"the hello %d world\\n\\n'"it's"' é %s\"}\n", i * 7919, i % 97 ? "x" : "" }' >big.jsonl
lmtokenize -j1 -t model --eod -o want.tks big.jsonl
for j in 2 3 8; do ok "-j$j" sh -c "lmtokenize -j$j -t model --eod big.jsonl | cmp - want.tks"; done
ok 'from a pipe' sh -c "cat big.jsonl | lmtokenize -t model --eod | cmp - want.tks"
for cpu in portable avx2; do ok "$cpu" sh -c "LMPIPE_CPU=$cpu lmtokenize -t model --eod big.jsonl | cmp - want.tks"; done
mkdir words
printf '[UNK]\n[CLS]\n[SEP]\nthe\n##he\nh\n##e\nworld\n##ld\n中\n##1\nx\n##x\n' >words/vocab.txt
awk 'BEGIN {
    split("the hello world  it s é e\xcc\x81 中文字 漢字。 😀👩\xe2\x80\x8d👩 \xe2\x96\x81 ﬁ 123 xxxx ----.. --- a--b----c \xe3\x80\x80 \xc2\xa0 İ <s> ab\\n\\n", part, " ")
    for (i = 1; i <= 4000; i++) {
        r = (r * 1103515245 + 12345 + i) % 2147483648; text = ""
        for (k = r % 90; k >= 0; k--) { r = (r * 16807) % 2147483647; text = text part[r % 24 + 1] (r % 5 ? " " : "") }
        if (i % 500 == 0) for (k = 0; k < 8; k++) text = text text
        printf "{\"text\":\"%s\"}\n", text
    }
}' >nasty.jsonl
for which in tok/llama3.json tok/qwen2.json spm/unigram.model spm/unigram_bytes.model spm/bpe.model spm/bpe_unk.model spm/char.model spm/word.model words/vocab.txt; do
    m=$SRC/tests/golden/$which
    [ -e "$m" ] || m=$which
    lmtokenize -q -j1 -t "$m" --to ids nasty.jsonl >want
    ok "$which, -j2, -j3, -j8" sh -c "[ \$(wc -l <want) = 4000 ] && for j in 2 3 8; do lmtokenize -q -j\$j -t $m --to ids nasty.jsonl | cmp - want || exit 1; done"
    ok "$which, every instruction set, from a pipe" sh -c "for c in portable avx2 avx512; do LMPIPE_CPU=\$c lmtokenize -q -t $m --to ids <nasty.jsonl | cmp - want || exit 1; done"
    ok "$which, whatever came before" sh -c "tac nasty.jsonl | lmtokenize -q -j1 -t $m --to ids | tac | cmp - want"
done
ok 'the header names the tokenizer and the options' grep -qaF '"options":{"bos":false,"empty":"boundary","eod":282,"eos":false,"from":"jsonl","key":"text","on-error":"fail","special":"none"}}' want.tks
ok 'a word of a million letters takes little time' sh -c "head -c 1000000 /dev/zero | tr '\0' a | timeout 60 lmtokenize -t $t --from txt --to ids | tr ' ' '\n' | sort | uniq -c | grep -q '250000 274'"

# tokenizers that are not supported, or none
json() { sed "$1" $t >x.json && echo a | lmtokenize -t x.json --from txt --to ids; }
is 'another model' 1 '' "lmtokenize: x.json: model: type 'Word' is not supported\n" json 's/"type":"BPE"/"type":"Word"/'
is 'what is no tokenizer' 1 '' '~lmtokenize: x: not a tokenizer: neither JSON nor GGUF' sh -c "echo hello >x; echo a | lmtokenize -t x --from txt"

# files that do not tell how text is cut, and those that belong together
printf 'YQ== 0\nYg== 1\nYWI= 2\nIA== 3\n' >r.tiktoken
cp r.tiktoken gpt2.tiktoken
mkdir two
cp r.tiktoken two/a.tiktoken
cp r.tiktoken two/b.tiktoken
is 'two files of ranks' 1 '' 'lmtokenize: two: 2 files are as a.tiktoken: name the one\n' lmtokenize -t two
is 'ranks of tiktoken' 0 '2 3 0\n' '' sh -c "echo 'ab a' | lmtokenize -t r.tiktoken --pattern gpt2 --from txt --to ids"
is 'ranks whose file names the pattern' 0 '2 3 0\n' '' sh -c "echo 'ab a' | lmtokenize -t gpt2.tiktoken --from txt --to ids"
is 'an expression' 0 '0 1 3 0\n' '' sh -c "echo 'ab a' | lmtokenize -t r.tiktoken --pattern '.' --from txt --to ids"
is 'no pattern' 1 '' 'lmtokenize: r.tiktoken: ranks of tiktoken, and the name of the file does not tell the pattern: --pattern NAME|REGEX\n' lmtokenize -t r.tiktoken
is 'a pattern that is none' 1 '' "~'gpt3' is neither the name of a pattern nor an expression" lmtokenize -t r.tiktoken --pattern gpt3
is 'a pattern for tokenizer.json' 1 '' "lmtokenize: $t: a pattern is given, but a tokenizer.json has its own\n" lmtokenize -t $t --pattern gpt2
is '--pattern without -t' 2 '' '~--pattern goes with -t' lmtokenize --from ids --vocab-size 4 --pattern gpt2
is 'back to text' 0 'ab a\n' '' sh -c "echo 2 3 0 | lmtokenize -d --from ids --to txt -t gpt2.tiktoken"
mkdir old none
printf '{"a":0,"b":1,"ab":2}' >old/encoder.json
printf '#version: 0.2\na b\n' >old/vocab.bpe
is 'a directory of encoder.json and vocab.bpe' 0 '2 0\n' '' sh -c "echo aba | lmtokenize -t old --from txt --to ids"
is 'the file itself' 0 '2 0\n' '' sh -c "echo aba | lmtokenize -t old/encoder.json --from txt --to ids"
rm old/vocab.bpe
is 'without its merges' 1 '' '~lmtokenize: old/vocab.bpe: ' lmtokenize -t old
is 'a directory without any' 1 '' '~lmtokenize: none: no tokenizer in the directory: neither tokenizer.json, tokenizer.model' lmtokenize -t none
is 'dropout' 1 '' 'lmtokenize: x.json: model: dropout is not supported\n' json 's/"dropout":null/"dropout":0.1/'
is 'a normalizer' 1 '' "lmtokenize: x.json: normalizer: type 'NFX' is not supported\n" json 's/"normalizer":null/"normalizer":{"type":"NFX"}/'
is 'a pre-tokenizer' 1 '' "lmtokenize: x.json: pre_tokenizer: type 'Words' is not supported\n" json 's/{"type":"Split"/{"type":"Words"/'
is 'a decoder' 1 '' "lmtokenize: x.json: decoder: type 'Words' is not supported\n" json 's/"decoder":{"type":"ByteLevel"/"decoder":{"type":"Words"/'
is 'a post-processor' 1 '' "lmtokenize: x.json: post_processor: type 'Words' is not supported\n" json 's/"post_processor":{"type":"TemplateProcessing"/"post_processor":{"type":"Words"/'
is 'a merge without its token' 1 '' "lmtokenize: x.json: model: merge 0: 'hx' is not in the vocabulary\n" json 's/"h e"/"h x"/'
is 'a byte without a token' 1 '' 'lmtokenize: standard input:1: the vocabulary has no token for the byte 0x61\n' json 's/"a":64,"b"/"b"/; s/,"a a","aa aa"//; s/,"aa a"//'
is 'a damaged file' 1 '' '~lmtokenize: x.json: byte 4000: ' sh -c "head -c 4000 $t >x.json; lmtokenize -t x.json"
is 'no file' 1 '' '~absent' lmtokenize -t absent
is 'no -t' 2 '' '~-t DIR|FILE is needed' lmtokenize
is 'both -t and --vocab-size' 2 '' '~in the place of -t' lmtokenize -t $t --vocab-size 9 --from ids
is '--eod without a token' 2 '' "~$t: no eos_token" lmtokenize -t $t --eod
is 'standard input for two' 2 '' '~-t -: standard input' sh -c "lmtokenize -t - <$t"
is 'standard input for two, named' 2 '' '~-t -: standard input' sh -c "lmtokenize -t - x - <$t"
is '-k of a text' 2 '' '~-k goes with --from jsonl' lmtokenize -t $t --from txt -k a
is '--eod of a token that is none' 2 '' "~--eod: '<x>' is not in the vocabulary" lmtokenize -t $t --eod='<x>'
is '--eod of an id that is none' 2 '' "~--eod: '293' is not in the vocabulary" lmtokenize -t $t --eod=293
is '--bos of a tokenizer that has none' 2 '' '~puts nothing in front' sh -c "lmtokenize --from ids --vocab-size 4 --bos"
is '--empty eod without --eod' 2 '' '~--empty eod needs --eod' lmtokenize -t $t --empty eod
is '-d to a stream' 2 '' '~-d reads a stream or ids' lmtokenize -t $t -d --to stream
is 'text out without -d' 2 '' '~--to txt: text is what -d writes' lmtokenize -t $t --to txt
is 'a stream to a stream' 2 '' '~--from stream: to text it is turned by -d, to ids by --to ids' lmtokenize -t $t --from stream
is '--eod with a stream' 2 '' '~nor with --from stream' lmtokenize -t $t --from stream --to ids --eod=1
is '--eos of a tokenizer that has none' 2 '' '~puts nothing behind a text (a token between documents: --eod)' lmtokenize --from ids --vocab-size 4 --eos
is '--bos with -d' 2 '' '~do not go with -d' lmtokenize -t $t -d --bos
is 'the input as output' 2 '' '~is both input and output' lmtokenize -t $t -o bad.jsonl bad.jsonl
plan
