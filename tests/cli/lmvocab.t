# lmvocab: reference vocabularies byte for byte, the same at any -j, every input, what it refuses.
. "$SRC/tests/lib.sh"

printf 'low low lower\n' >low.txt
lmvocab -q -n 300 -o low.json low.txt
ok 'merges by hand' sh -c "tr -d ' \n' <low.json | grep -qF '\"merges\":[[\"l\",\"o\"],[\"lo\",\"w\"],[\"Ġ\",\"low\"],[\"e\",\"r\"],[\"Ġlow\",\"er\"]]'"
ok 'ids: bytes by their characters, then merges' sh -c "tr -d ' \n' <low.json | grep -qF '\"vocab\":{\"!\":0,' &&
    tr -d ' \n' <low.json | grep -qF '\"Ń\":255,\"lo\":256,\"low\":257,\"Ġlow\":258,\"er\":259,\"Ġlower\":260}'"
is 'pairs may run out' 0 '' 'lmvocab: 261 tokens of 300: no pair is left that is seen often enough (1)\n' lmvocab -n 300 -o x.json low.txt
is 'min-frequency' 0 '' 'lmvocab: 259 tokens of 300: no pair is left that is seen often enough (2)\n' lmvocab -n 300 --min-frequency 2 -o x.json low.txt
is '-q says nothing' 0 '' '' lmvocab -q -n 300 -o x.json low.txt
ok 'to standard output' sh -c 'lmvocab -q -n 300 low.txt | cmp - low.json'
ok 'from standard input' sh -c 'lmvocab -q -n 300 <low.txt | cmp - low.json'
lmvocab -n 256 -o bytes.json low.txt
ok '-n 256 is bytes' sh -c "tr -d ' \n' <bytes.json | grep -qF '\"Ń\":255},\"merges\":[]}' && grep -qF '\"added_tokens\": []' bytes.json"
is 'nothing to learn from' 0 '' '~256 tokens of 300' sh -c 'lmvocab -n 300 -o x.json </dev/null && cmp x.json bytes.json'

printf '{"text":"low low"}\n{"text":" lower\\n"}\n' >low.jsonl
printf '{"body":"low"}\n' >body.jsonl
lmvocab -q -n 300 -o jsonl.json low.jsonl
ok 'JSONL' sh -c "tr -d ' \n' <jsonl.json | grep -qF '[\"Ġlow\",\"er\"]'"
is 'JSONL by another key' 0 '' '' sh -c 'lmvocab -q -n 300 -k body -o x.json body.jsonl && grep -q "\"low\": 257" x.json'
is '--from txt' 0 '' '' sh -c 'lmvocab -q -n 300 --from txt -o x.json body.jsonl && grep -q body x.json'
is '--from jsonl' 1 '' '~low.txt:1' lmvocab -n 300 --from jsonl -o y.json low.txt
# a b: CR LF stays, so that CR is before a newline
printf 'a\r\nb\r\n' >crlf.txt
ok 'CR LF is kept' sh -c 'lmvocab -q -n 300 --pattern cl100k_base crlf.txt | tr -d " \n" | grep -qF "\"merges\":[[\"č\",\"Ċ\"]]"'
gzip -c low.txt >low.gz
ok 'compressed' sh -c 'lmvocab -q -n 300 low.gz | cmp - low.json'

lmvocab -q -n 300 --special '<a>' --special '"b"' -o special.json low.txt
ok 'special tokens come first' sh -c "tr -d ' \n' <special.json | grep -qF '\"vocab\":{\"<a>\":0,\"\\\"b\\\"\":1,\"!\":2,' &&
    tr -d ' \n' <special.json | grep -qF '{\"id\":1,\"content\":\"\\\"b\\\"\",\"single_word\":false,'"
# U+010A, the newline's character, is the eleventh of those behind the 188 printable ones
is 'lmtokenize reads it' 0 '259 262\n' '' sh -c "echo 'low lower' | lmtokenize -q -t special.json --from txt --to ids"
is 'and its special tokens' 0 '0 259 200\n' '' sh -c \
    "printf '{\"text\":\"<a>low\\\\n\"}\n' | lmtokenize -q -t special.json --special parse --to ids"
ok 'a regular expression' sh -c "lmvocab -q -n 300 --pattern '.' -o x.json low.txt && grep -qF '\"Regex\": \".\"' x.json &&
    grep -qF '\"merges\": []' x.json"
lmvocab -q -n 300 --pattern gpt2 -o name.json low.txt
is 'a pattern that is none' 2 '' "~--pattern: 'cl100k' is neither the name" lmvocab -n 300 --pattern cl100k low.txt
is 'a pattern of many steps' 2 '' "~--pattern: 'deepseek-v3' is not one expression" lmvocab -n 300 --pattern deepseek-v3 low.txt
lmvocab -q -n 300 --pattern dbrx -o dbrx.json low.txt
is 'another name of a pattern' 0 '' '' sh -c 'lmvocab -q -n 300 --pattern cl100k_base low.txt | cmp - dbrx.json'
ok 'a pattern by its string' lmvocab -q -n 300 -o string.json low.txt \
    --pattern "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
ok 'is the pattern' cmp name.json string.json
i=0
while [ $i -lt 3000 ]; do
    echo "line $i of $((i * 7919 % 1000)) lines, all of them different: $((i * i))"
    i=$((i + 1))
done >many.txt
lmvocab -q -n 600 -j 1 -o j1.json many.txt
for j in 2 3 8; do
    ok "the same at -j $j" sh -c "lmvocab -q -n 600 -j $j many.txt low.txt >a; lmvocab -q -n 600 -j 1 low.txt many.txt >b; cmp a b"
done

printf 'good\nb\377d\ngood\n' >bad.txt
is 'invalid UTF-8' 1 '' '~lmvocab: bad.txt:2: byte 1: invalid UTF-8: 0xff' lmvocab -n 300 -o y.json bad.txt
ok 'leaves no file' sh -c '! ls -A | grep -E "^y.json|tmp"'
is '--on-error=skip' 0 '' 'lmvocab: bad.txt:2: byte 1: invalid UTF-8: 0xff: skipped\nlmvocab: 1 bad documents skipped\n' \
    lmvocab -n 259 --on-error=skip -o x.json bad.txt
is '--on-error=replace' 0 '' '' sh -c 'lmvocab -q -n 300 --on-error=replace -o x.json bad.txt && grep -q "\"ï¿½\"" x.json'
is 'a missing file' 1 '' '~nowhere.txt: No such file' lmvocab -n 300 -o y.json nowhere.txt
is 'a full disk' 1 '' '~No space left' sh -c 'lmvocab -q -n 300 low.txt >/dev/full'
is 'a pattern that takes too long' 1 '' '~long.txt:2: the pattern at byte 0 of the text takes more' sh -c \
    '{ echo ab; head -c 100000 /dev/zero | tr "\\0" a; } >long.txt; lmvocab -n 300 --pattern "(?:a|a)*b" -o y.json long.txt'
is 'no size' 2 '' '~-n SIZE is needed' lmvocab low.txt
is 'no size at all' 2 '' '~--vocab-size: 0 is not within 1..2097152' lmvocab -n 0 low.txt
is 'a size too small' 2 '' '~-n 256 is less than the 256 bytes and 1 special tokens' lmvocab -n 256 --special x low.txt
is 'a special token twice' 2 '' "~'x' is given twice" lmvocab -n 300 --special x --special x low.txt
is 'an empty special token' 2 '' '~an empty string' lmvocab -n 300 --special '' low.txt
is 'a special token that is no text' 2 '' '~is not UTF-8' sh -c 'lmvocab -n 300 --special "$(printf "a\377")" low.txt'
is 'a pattern that is none' 2 '' '~--pattern: pattern: byte 2: ( without its )' lmvocab -n 300 --pattern '(a' low.txt
is 'the input as output' 2 '' '~is both input and output' lmvocab -n 300 -o low.txt low.txt
for name in vocab model json y.jsonl .json; do
    is "an output named $name" 2 '' "~lmvocab: $name: the name of a vocabulary ends in .json or .model" lmvocab -n 300 -o $name low.txt
done
ok 'letters of either case' sh -c 'lmvocab -q -n 300 -o UPPER.JSON low.txt && cmp UPPER.JSON low.json'
is 'a device has any name' 0 '' '' lmvocab -q -n 300 -o /dev/null low.txt

# SentencePiece's types
is 'sp-bpe needs room for what is required' 1 '' '~a vocabulary of 6 is too small for 6 required characters and 3 symbols' \
    lmvocab --type sp-bpe -n 6 -o y.json low.txt
printf 'low low lower\n' >one.txt
lmvocab -q --type sp-bpe -n 13 -o sp.model one.txt
# the merges by hand: lo 3, low 3, U+2581 low 3; then er, the lower of those seen once
ok 'sp-bpe: merges by hand' sh -c "lmvocab -q --type sp-bpe -n 14 one.txt | tr -d ' \n' | grep -qF \
    '\"<unk>\":0,\"<s>\":1,\"</s>\":2,\"lo\":3,\"low\":4,\"▁low\":5,\"er\":6,\"▁lower\":7,\"l\":8,\"o\":9,\"w\":10,\"▁\":11,\"e\":12,\"r\":13}'"
is 'fewer pieces than wanted' 0 '' 'lmvocab: 14 pieces of 20: the text has no more\n' lmvocab --type sp-bpe -n 20 -o x.json one.txt
# field 1, 14 bytes: piece "<unk>", score 0.0, type 2
ok 'a .model is protobuf' sh -c "od -An -tx1 -N 16 sp.model | grep -qx ' 0a 0e 0a 05 3c 75 6e 6b 3e 15 00 00 00 00 18 02'"
is 'a .model is not for bpe' 2 '' '~y.model: a byte-level vocabulary is written as tokenizer.json only' \
    lmvocab -n 300 -o y.model low.txt
ok 'of either case' sh -c 'lmvocab -q --type sp-bpe -n 13 -o sp.Model one.txt && cmp sp.Model sp.model'
for type in sp-bpe unigram; do
    lmvocab -q --type $type -n 200 -j 1 -o j1.model many.txt low.txt
    for j in 2 3 8; do
        ok "$type: the same at -j $j, in any order" sh -c "lmvocab -q --type $type -n 200 -j $j -o a.model low.txt many.txt; cmp a.model j1.model"
    done
    ok "$type: from JSONL" sh -c "lmvocab -q --type $type -n 11 low.jsonl | grep -q low"
done
is 'long lines are told of' 0 '' 'lmvocab: 1 lines of more than 10 bytes left out (--max-sentence-length)\n' sh -c \
    'printf "low low\n12345678901\n" | lmvocab --type sp-bpe -n 9 --max_sentence_length 10 -o x.json'
is 'and reserved characters' 0 '' 'lmvocab: 1 lines with U+2585, which is reserved, left out\n' sh -c \
    'printf "low low\na▅\n" | lmvocab --type sp-bpe -n 9 -o x.json'
is 'no text' 1 '' '~there is no text to learn from' sh -c 'lmvocab --type unigram -n 300 -o y.json </dev/null'
is 'an option of another type' 2 '' '~--split-digits is not for this --type' lmvocab -n 300 --split-digits true low.txt
is 'and the other way' 2 '' '~--special is not for this --type' lmvocab --type unigram -n 300 --special x low.txt
is 'an option of Unigram' 2 '' '~--num-sub-iterations is not for this --type' lmvocab --type sp-bpe -n 300 --num-sub-iterations 3 low.txt
is 'coverage' 2 '' '~--character-coverage: 0.5 is not within 0.98..1' lmvocab --type unigram -n 300 --character-coverage 0.5 low.txt
is 'a shrinking factor' 2 '' '~--shrinking-factor: 1 is not within 0.5..0.95' lmvocab --type unigram -n 300 --shrinking-factor 1 low.txt
for form in json model; do
    lmvocab -q --type sp-bpe -n 60 --user-defined-symbols '<x>,lo' -o users.$form low.txt 2>/dev/null
    lminfo users.$form | grep ^fingerprint >fingerprint.$form
done
ok 'a symbol changes no fingerprint between .json and .model' sh -c '[ -s fingerprint.json ] && cmp fingerprint.json fingerprint.model'
is 'a symbol twice' 2 '' "~--user-defined-symbols: 'a' is given twice" lmvocab --type sp-bpe -n 300 --control-symbols a --user-defined-symbols b,a low.txt
is 'an empty symbol' 2 '' '~--control-symbols: an empty string' lmvocab --type sp-bpe -n 300 --control-symbols a, low.txt
is 'ids that meet' 2 '' '~<unk> and <s> have the same id, 1' lmvocab --type sp-bpe -n 300 --unk-id 1 low.txt
is 'an id without a piece' 1 '' '~<pad> has the id 299, but there are only 15 pieces' lmvocab --type sp-bpe -n 300 --pad-id 299 -o y.json one.txt
is 'a normalisation that is none' 2 '' "~'nfd' is none of nmt_nfkc|nfkc|identity" lmvocab --type sp-bpe -n 300 --normalization-rule-name nfd low.txt
is 'a full disk, .model' 1 '' '~No space left' sh -c 'lmvocab -q --type sp-bpe -n 14 one.txt >/dev/full'
ok 'nothing is left' sh -c '! ls -A | grep -E "^y[.]|tmp"'

golden=$shared/golden/vocab
if [ -d "$golden" ]; then
    gpt2=gpt2 cl100k=cl100k_base eot='<|endoftext|>' corpora=$shared/data/corpora
    train() {
        what=$1 corpus=$2
        shift 2
        for j in 1 2; do
            ok "$what, -j $j" sh -c 'lmvocab -q "$@" | cmp - "$0"' "$golden/$what.tokenizer.json" -j $j "$@" "$corpora/$corpus"
        done
    }
    train bpe_botchan_2000_limit8 botchan.txt -n 2000 --pattern $cl100k --special "$eot" --min-frequency 2 --max-token-length 8
    train bpe_botchan_3000_cl100k botchan.txt -n 3000 --pattern $cl100k --special "$eot" --special '<|im_start|>' \
        --special '<|im_end|>' --min-frequency 1 --max-token-length 16
    train bpe_shakespeare_1000_gpt2 tinyshakespeare.txt -n 1000 --special "$eot" --min-frequency 2
    train bpe_shakespeare_stop_minfreq30 tinyshakespeare.txt -n 20000 --pattern $gpt2 --special "$eot" --min-frequency 30
    train bpe_wikitext_8000_gpt2 wikitext-2/test.txt -n 8000 --pattern $gpt2 --min-frequency 2
else
    skip 'reference vocabularies' '../shared is absent'
fi
plan
