# lminfo: every kind that it knows, damage, and what it does not know.
. "$SRC/tests/lib.sh"
streams=$SRC/tests/fuzz/corpus/stream
weights=$SRC/tests/fuzz/corpus/safetensors

# value of a key, in the report of a file
value() { lminfo "$2" 2>/dev/null | awk -F '\t' -v k="$1" '$1 == k { print $2 }'; }
has() {
    name=$1 want=$2
    shift 2
    is "$name" 0 "$want\n" '' value "$@"
}

has 'a stream' 'token stream' format "$streams/documents"
has 'its tokens' 5 tokens "$streams/documents"
has 'its records' 3 records "$streams/documents"
has 'streams one after the other' 10 tokens "$streams/two"
has 'rows' rows kind "$streams/rows"
has 'their length' 4 row_len "$streams/rows"
has 'columns' 'loss\nsegments' columns "$streams/columns"
is 'all of a stream' 0 'file\tempty.tks
format\ttoken stream
bytes\t160
kind\tdocuments
dtype\tuint16
vocab_size\t0
fingerprint\tunknown
blocks\t0
records\t0
tokens\t0
payload_bytes\t0
verified\tchecksums, totals and tokens\n' '' sh -c "cp '$streams/empty' empty.tks && lminfo empty.tks"
is 'from standard input' 0 '5\n' '' sh -c "lminfo - <'$streams/documents' | sed -n 's/^tokens\t//p'"
is 'its name' 1 'file\t-\nbytes\t2\nerror\tstandard input: unknown kind of file: it begins with the bytes 0102\n' 'lminfo: standard input: unknown kind of file: it begins with the bytes 0102\n' sh -c "printf '\001\002' | lminfo -"
is 'a producer that failed' 1 '' '~disk on fire' sh -c "lminfo '$streams/aborted' | grep verified; lminfo '$streams/aborted' >/dev/null"
head -c 200 "$streams/documents" >cut.tks
is 'a cut stream' 1 '*' '~lminfo: cut.tks: byte 200: truncated stream' lminfo cut.tks
ok 'says so in its report' sh -c 'lminfo cut.tks 2>/dev/null | grep "^error	cut.tks: byte 200"'
size=$(wc -c <"$streams/documents")
flip() { # FILE OFFSET: another byte there
    b=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\$(printf %o $((b ^ 32)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
i=0 undetected=
while [ "$i" -lt "$size" ]; do
    cp "$streams/documents" flipped
    flip flipped "$i"
    lminfo flipped >.out 2>.err && undetected="$undetected $i"
    i=$((i + 17))
done
# the first eight bytes are the magic: without it the file is another kind, which is an error too
is 'a flipped bit anywhere' 0 '\n' '' echo "$undetected"

cp "$weights/two" m.safetensors
is 'safetensors' 0 'file\tm.safetensors
format\tsafetensors
bytes\t231
files\t1
tensors\t3
parameters\t7
data_bytes\t22
dtype\tBF16 3
dtype\tF32 4
dtype\tI64 0
metadata\tformat pt
tensor\tb BF16 [3]
tensor\te I64 [0,4]
tensor\tw F32 [2,2]
verified\theader, shapes, offsets and size\n' '' lminfo -l m.safetensors
is 'as JSON' 0 '{"file":"m.safetensors","format":"safetensors","bytes":231,"files":1,"tensors":3,"parameters":7,"data_bytes":22,"dtype":[["BF16","3"],["F32","4"],["I64","0"]],"metadata":[["format","pt"]],"tensor":[["b","BF16 [3]"],["e","I64 [0,4]"],["w","F32 [2,2]"]],"verified":"header, shapes, offsets and size"}\n' '' lminfo --json -l m.safetensors
head -c 200 m.safetensors >cut.safetensors
is 'a cut file' 1 '*' '~lminfo: cut.safetensors: byte 0: a header of 201 bytes in a file of 200' lminfo cut.safetensors
is 'an overlap' 1 '*' '~an overlap' lminfo "$weights/overlap"

torch=$SRC/tests/fuzz/corpus/torch
is 'a torch file' 0 'file\ta.pt
format\ttorch
bytes\t2549
form\tzip
protocol\t2
storages\t4
tensors\t5
parameters\t16
data_bytes\t56
dtype\tBF16 6
dtype\tF32 9
dtype\tI64 1
value\targs.layers 2
value\targs.lr 0.5
value\targs.name n
value\targs.tied False
value\targs.none None
value\targs.big -70000
value\targs.dtype BF16
value\targs.shape[0] 1
value\targs.shape[1][0] 2
value\targs.shape[1][1] 3
value\titeration 1
tensor\tlist[0] F32 [3]
tensor\tlist[1].k I64 []
tensor\tmodel.a BF16 [2,3]
tensor\tmodel.e F32 [0,2]
tensor\tmodel.t F32 [3,2]
verified\tpickle, shapes, strides, sizes and checksums\n' '' sh -c "cp '$torch/zip' a.pt && lminfo -l a.pt"
has 'the older form' pickles form "$torch/old"
has 'a later protocol' 4 protocol "$torch/zip_p4"
sed 's/argparse/argparsf/' a.pt >bad.pt
is 'a class that is not known' 1 '*' '~lminfo: bad.pt: data.pkl: byte 17: argparsf.Namespace is not among the globals' lminfo bad.pt

mkdir model
is 'an empty directory' 1 '*' '~lminfo: model: a directory with neither' lminfo model
printf '{"model_type":"llama","hidden_size":8,"rope":{"a":1}}' >model/config.json
is 'a directory without weights' 0 'file\tmodel
format\tmodel directory
member\tmodel_type llama
member\thidden_size 8
member\trope object
weights\tnone
verified\tsyntax of config.json\n' '' lminfo model
cp -r model with && cp "$SRC/tests/golden/tok/gpt2.json" with/tokenizer.json
has 'with a tokenizer' 'syntax of config.json, structure of the tokenizer' verified with
mv m.safetensors model/model.safetensors
has 'a model' 7 parameters model/
has 'what of it is verified' 'syntax of config.json, headers, shapes, offsets and sizes of the weights' verified model/
has 'a configuration' 'model configuration' format model/config.json
printf '{"weight_map":{"b":"model.safetensors","e":"model.safetensors","w":"model.safetensors"}}' >model/i.json
has 'an index' 7 parameters model/i.json
printf '{"weight_map":{"b":"model.safetensors","w":"model.safetensors"}}' >model/i.json
is 'an index that lacks a tensor' 1 '*' '~tensor e is not in the index' lminfo model/i.json
printf '{"model_type":' >model/config.json
is 'a broken configuration' 1 '*' '~lminfo: model/config.json: byte 14: unexpected end' lminfo model

ok 'a pair' lmshard -o p "$streams/documents"
for f in p p.bin p.idx; do
    has "$f is a pair" 'token index' format $f
    has "its tokens by $f" 5 tokens $f
done
printf 1 >>p.bin
is 'a pair that does not match' 1 '*' '~lminfo: p.bin: 11 bytes' lminfo p

printf '{"text":"a","id":7}\n\n{"text":"b"}\n' >a.jsonl
is 'JSONL' 0 'file\ta.jsonl\nformat\tjsonl\nbytes\t34\nmember\ttext a\nmember\tid 7\nrecords\t2\nverified\tsyntax of every line\n' '' lminfo a.jsonl
printf '{"text":"a"}\n{"text":b}\n' >b.jsonl
is 'a broken line' 1 '*' '~lminfo: b.jsonl:2: byte 8: expected a value' lminfo b.jsonl
printf '[1,\n2]' >a.json
has 'JSON' json format a.json
# what begins as JSON and is none is a text, unless it can be nothing else
text() {
    printf "$2" >"$1"
    has "$1 is a text" text format "$1"
}
text link '[link] text\n'
text pieces '[PAD]\n[unused0]\n[UNK]\n'
text notes '[1]\na footnote\n'
text chat_template.jinja '{{ bos_token }}\n{%% for m in messages %%}'
text cut_array '[1, 2'
for name in link.json link.JSONL; do
    cp link $name
    is "$name is damaged" 1 '*' "~lminfo: $name:1: byte 1: expected a value" sh -c "lminfo $name >report || { cat report; exit 1; }"
    ok 'and told as such' grep -q '^format	json$' report
done
printf '{"a":' >object
is 'an object that is cut' 1 '*' '~lminfo: object: byte 5: unexpected end' lminfo object
printf '[1]\n\n[2]\n' >lines
has 'lines of arrays' 2 records lines
printf '\n[1,\n2]\n' >array
has 'an array' json format array
printf 'one\ntwo' >a.txt
has 'text' 2 lines a.txt
printf 'one\ntwo\377\n' >b.txt
is 'text that is not UTF-8' 1 '*' '~lminfo: b.txt: byte 7: invalid UTF-8 (ff)' lminfo b.txt
gzip -c a.txt >a.gz
has 'gzip' gzip format a.gz
has 'is not looked into' nothing verified a.gz

# a tokenizer: the fingerprint is that of its streams; of the file alone there are no special tokens
cp "$SRC/tests/golden/tok/gpt2.json" tok.json
mkdir tok && cp tok.json tok/tokenizer.json
printf '{"bos_token":"<s>","eos_token":"<|eod|>"}' >tok/tokenizer_config.json
echo a | lmtokenize -t tok --from txt --bos -o tok.tks
for f in tok tok.json; do
    has "$f is a tokenizer" tokenizer format $f
    has "$f: its size" "$(value vocab_size tok.tks)" vocab_size $f
    has "$f: its fingerprint" "$(value fingerprint tok.tks)" fingerprint $f
    has "$f: its scanner" gpt2 scanner $f
    has "$f: its decoder" 'ByteLevel (add_prefix_space false, trim_offsets true, use_regex true)' decoder $f
    has "$f: its added tokens" "$(grep -o '"special"' tok.json | wc -l)" added_tokens $f
done
has 'bos' "$(value bos tok.tks)" bos tok
is 'no bos' 0 '' '' value bos tok.json
sed 's/"type":"BPE"/"type":"Word"/' tok.json >uni.json
has 'one that is not supported' "not one that lmtokenize takes: uni.json: model: type 'Word' is not supported" tokenizer uni.json
head -c 3000 tok.json >tok/tokenizer.json
is 'a damaged one' 1 '*' '~lminfo: tok/tokenizer.json: byte 3000: ' lminfo tok

# a checkpoint, and every file of it damaged
printf '%s' '{"model_type":"llama","vocab_size":293,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":1,"intermediate_size":8,"max_position_embeddings":64,"rms_norm_eps":1e-6}' >tiny.json
cp tok.json tok/tokenizer.json
echo '1 2 3 4 5' | lmtokenize --from ids --vocab-size 293 | lmpack -q -L 5 -o rows.tks
ok 'a run' lmtrain -q model=tiny.json tokenizer=tok data=rows.tks train_iters=2 lr=1e-3 seed=7 out=run threads=1
has 'a checkpoint' checkpoint format run/step_2
has 'its step' 2 step run/step_2
has 'its samples' 2 samples run/step_2
has 'its seed' 7 seed run/step_2
has 'its tokenizer' "$(value fingerprint tok.tks)" fingerprint run/step_2/
(cd run/step_2 && find . -type f ! -name MANIFEST -exec wc -c {} +) | sed -n 's,^ *\([0-9]*\) \./\(.*\),\2 \1,p' | LC_ALL=C sort >want
ok 'its files' sh -c 'lminfo run/step_2 | sed -n "s/^holds	//p" | cmp - want'
for f in $(cd run/step_2 && find . -type f); do
    f=${f#./}
    cp -r run/step_2 bad
    flip "bad/$f" 40
    is "$f damaged" 1 '*' "~lminfo: bad/$f: " lminfo bad
    rm -r bad
done

# tokenizers that are no tokenizer.json
mkdir sp && cp tiny.json sp/config.json && cp "$SRC/tests/golden/spm/unigram.model" sp/tokenizer.model
has 'a .model of a model directory' SentencePiece tokenizer sp
has 'its suffix, the EOS' 2 suffix sp
has 'the same of the file' 2 suffix sp/tokenizer.model
printf 'YQ== 0\nYg== 1\nYWI= 2\n' >gpt2.tiktoken
has 'ranks of tiktoken' tokenizer format gpt2.tiktoken
has 'their scanner' gpt2 scanner gpt2.tiktoken
has 'their vocabulary' 3 vocab_size gpt2.tiktoken
cp gpt2.tiktoken other.tiktoken
has 'no pattern' 'not one that lmtokenize takes: other.tiktoken: ranks of tiktoken, and the name of the file does not tell the pattern: --pattern NAME|REGEX' tokenizer other.tiktoken
printf 'GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0k\4\0\0\0\7\0\0\0' >x.gguf
has 'GGUF' gguf format x.gguf
has 'its keys' 'k 7' key x.gguf
head -c 40 x.gguf >bad.gguf
is 'a cut one' 1 '*' 'lminfo: bad.gguf: byte 37: a value that goes beyond the end\n' lminfo bad.gguf
mkdir ranks && cp *.tiktoken ranks
is 'two files of ranks' 1 '*' '~ranks: 2 files are as gpt2.tiktoken: name the one' lminfo ranks
echo '{"a":0,"b":1,"ab":2}' >x-vocab.json
echo 'a b' >x-merges.txt
has 'a vocabulary with its merges' tokenizer format x-vocab.json
has 'its words' 3 vocab_size x-vocab.json
echo '{"a":0,' >x-vocab.json
is 'a damaged one' 1 '*' 'lminfo: x-vocab.json:2: byte 8: unexpected end\n' lminfo x-vocab.json
rm x-vocab.json x-merges.txt *.gguf *.tiktoken

# the run, and TensorBoard's events in it
ok 'a longer run' lmtrain -q model=tiny.json tokenizer=tok data=rows.tks train_iters=12 save_interval=10 lr=1e-3 out=runs threads=1
is 'a run' 0 'file\truns\nformat\trun\ncheckpoint\tstep_10\ncheckpoint\tstep_12\nnewest\t12
verified\tSHA-256 of every file of every checkpoint\n' '' lminfo runs
flip runs/step_10/model.safetensors 90
is 'a run with a damaged checkpoint' 1 '*' '~lminfo: runs/step_10/model.safetensors: ' lminfo runs
cp runs/events.out.tfevents.* events
has 'events' 'TensorBoard events' format events
has 'begin of the file, of the session, steps' 14 events events
has 'their checksums' 'checksums of every event' verified events
size=$(wc -c <events) undetected=
for i in 11 12 40 44 60 $((size - 60)) $((size - 1)); do
    cp events flipped
    flip flipped "$i"
    lminfo flipped >.out 2>.err && undetected="$undetected $i"
done
is 'a flipped bit of events' 0 '\n' '' echo "$undetected"
head -c $((size - 3)) events >flipped
is 'cut events' 1 '*' '~: event 13: cut' lminfo flipped

# Megatron checkpoints: what was cut is what is told
printf '%s' '{"model_type":"llama","vocab_size":293,"hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"intermediate_size":8,"max_position_embeddings":64,"rms_norm_eps":1e-6}' >two.json
lmtrain -q model=two.json tokenizer=tok data=rows.tks train_iters=1 lr=1e-3 out=two threads=1
lmconvert -q two meg --to megatron --tp 2 --pp 2
# embedding and head of 293 rows, padded to 294; 4 matrices of 8 x 8 of attention, 3 of the MLP, 2 norms a layer
layer=$((4 * 64 + 3 * 64 + 2 * 8)) norms=$((2 * 2 * 8 + 8))
is 'a Megatron checkpoint' 0 "Megatron checkpoint\niter_0000001\n1\n2\n2\n2\n4\n$((2 * 293 * 8 + 2 * layer + 8))\n$((2 * 294 * 8 + 2 * layer + 8 + norms))\n" '' \
    sh -c 'for k in format checkpoint iteration tp pp stages files model_parameters parameters; do lminfo meg | sed -n "s/^$k	//p"; done'
has 'its model has as many parameters' "$(value parameters two/step_1)" model_parameters meg
has 'by the directory of the ranks' 'Megatron checkpoint' format meg/iter_0000001/
has 'its tokenizer' "$(value fingerprint tok.tks)" fingerprint meg
is 'its tensors' 0 "$(value tensors meg)\n" '' sh -c 'lminfo -l meg | grep -c "^tensor	mp_rank_0[01]_00[01]/model[.]"'
pt=meg/iter_0000001/mp_rank_01_001/model_optim_rng.pt
cp -r meg bad && flip "bad/${pt#*/}" $(($(wc -c <$pt) / 2))
is 'a damaged rank' 1 '*' "~lminfo: bad/${pt#*/}: " lminfo bad
head -c 3000 $pt >"bad/${pt#*/}"
is 'a cut one' 1 '*' "~lminfo: bad/${pt#*/}: " lminfo bad
rm -r bad/iter_0000001/mp_rank_01_001
is 'a rank that is missing' 1 '*' '~mp_rank_01_001: missing' lminfo bad
rm -r bad
sed 's/"hidden_size":8/"hidden_size":16/' two.json >meg/config.json
is 'another config' 1 '*' '~lminfo: meg/iter_0000001/' lminfo meg
rm meg/config.json
has 'no config' none config meg
has 'then less is verified' 'pickles, strides, sizes and checksums of every file' verified meg
is 'it is no model' 1 '' '~lmgen: meg: a Megatron checkpoint, which is not read as a model: lmconvert meg DIR --to hf' lmgen -m meg a
is 'nor one to train' 1 '' '~lmtrain: meg: a Megatron checkpoint' lmtrain -q model=meg data=rows.tks train_iters=1 lr=1e-3
is 'nor to evaluate' 1 '' '~lmeval: meg: a Megatron checkpoint' lmeval ppl -m meg rows.tks

printf '\1\2\3' >what
is 'an unknown file' 1 'file\twhat\nbytes\t3\nerror\twhat: unknown kind of file: it begins with the bytes 010203\n' 'lminfo: what: unknown kind of file: it begins with the bytes 010203\n' lminfo what
: >empty
is 'an empty file' 1 'file\tempty\nerror\tempty: empty\n' 'lminfo: empty: empty\n' lminfo empty
is 'no file' 1 'file\tabsent\nerror\tabsent: No such file or directory\n' 'lminfo: absent: No such file or directory\n' lminfo absent
is 'a bad one does not hide the others' 1 'file\tabsent\nerror\tabsent: No such file or directory\n\nfile\ta.json\nformat\tjson\nbytes\t6\nverified\tsyntax\n' '~absent' lminfo absent a.json
is 'an object for each with --json' 1 '{"file":"absent","error":"absent: No such file or directory"}
{"file":"what","bytes":3,"error":"what: unknown kind of file: it begins with the bytes 010203"}
{"file":"empty","error":"empty: empty"}\n' '~absent' lminfo --json absent what empty
is 'an empty line between two' 0 '1\n' '' sh -c "lminfo a.txt a.json | grep -c '^$'"
is 'names are escaped' 0 '{"file":"a\\u000ab","format":"text","bytes":7,"lines":2,"verified":"UTF-8"}\n' '' sh -c 'cp a.txt "a
b" && lminfo --json "a
b"'
is 'and in lines' 0 'file\ta\\x0ab\n' '' sh -c 'lminfo "a
b" | head -n 1'
is '-o' 0 '' '' lminfo -o report a.txt
ok 'writes a file' grep -q '^lines	2' report
is 'no operand' 2 '' '~usage: lminfo' lminfo
is 'a full disk' 1 '' '~write: No space left on device' sh -c 'lminfo a.txt >/dev/full'

if [ -d "$shared/data" ]; then
    bad=
    for d in "$shared"/golden/models/*/; do lminfo "$d" >.out 2>.err || bad="$bad $d"; done
    is 'every model directory of golden' 0 '\n' '' echo "$bad"
    bad=
    for d in "$shared"/golden/convert/hf/*/; do lminfo "$d" >.out 2>.err || bad="$bad $d"; done
    is 'sharded ones' 0 '\n' '' echo "$bad"
else
    skip 'real models' '../shared is absent'
fi
plan
