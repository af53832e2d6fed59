# lmgen: ids and text, streams and batches, what ends a text; a model known by hand, and published ones.
. "$SRC/tests/lib.sh"
. "$SRC/tests/model.sh"
chain_model m
chain_model endless 100
gen() { lmgen -m m "$@"; }

is 'ids: every token is the next one; 7 ends' 0 '1 2 3 4 5 6' '' gen --ids 0
is 'several operands, blanks' 0 '5 6' '' gen --ids 3 ' 4 '
is '-n' 0 '1 2' '' gen --ids -n 2 0
is '--ignore-eos' 0 '6 7 0 1 2' '' gen --ids -n 5 --ignore-eos 5
is 'nothing to add' 0 '' '' gen --ids 6
is 'an empty prompt is BOS' 0 '1 2' '' gen --ids -n 2 ''
is 'no input is, too' 0 '1 2' '' gen --ids -n 2
is 'ids from standard input' 0 '6' '' sh -c 'echo 4 5 | lmgen -m m --ids'
is 'past max_position_embeddings with rope' 0 '100\n' '' sh -c 'lmgen -m m --ids -n 100 --ignore-eos 0 | wc -w'
echo '{"eos_token_id":[3,5]}' >m/generation_config.json
is 'generation_config.json says what ends' 0 '1 2' '' gen --ids 0
is 'any of a list' 0 '' '' gen --ids 4
echo '{"eos_token_id":"x"}' >m/generation_config.json
is 'that is damaged' 1 '' '~generation_config.json' gen --ids 0
rm m/generation_config.json

is 'text' 0 'bc\303\251 \n' '' gen a
is 'a stop of two tokens' 0 'c' '' gen -n 3 ab --stop 'é'
is 'half a character' 0 'c\357\277\275' '' gen -n 2 ab
is '--stop over token borders' 0 'b' '' gen a --stop 'cé'
is 'a stop that does not come' 0 'bc\303\251 \n' '' gen a --stop 'é\n' --stop ' b'
is 'of two the first in the text' 0 'bc' '' gen a --stop ' ' --stop 'é'
is 'standard input; its last newline is no part' 0 'bc' '' sh -c 'echo a | lmgen -m m -n 2'
is 'special tokens of the prompt' 0 'abc' '' gen -n 3 'a<eos>'
is '-o' 0 '' '' gen -o out a
ok 'that is there' sh -c "printf 'bc\303\251 \n' | cmp - out"
is '-t' 0 'bc' '' sh -c 'mv m/tokenizer.json . && lmgen -m m -t tokenizer.json -n 2 a; mv tokenizer.json m'

cat >p.jsonl <<'END'
{"prompt":"a","id":"first"}
{"id":"\u00e9","prompt":"b\u0063"}

{"prompt":"c\u00e9 "}
END
is 'a batch' 0 '{"prompt":"a","text":"bc","finish_reason":"length","id":"first"}\n{"prompt":"bc","text":"é","finish_reason":"length","id":"é"}\n{"prompt":"cé ","text":"\\n","finish_reason":"eos"}\n' \
    '' sh -c 'lmgen -m m -n 2 <p.jsonl'
is 'a batch with stop' 0 '{"prompt":"a","text":"b","finish_reason":"stop","id":"first"}\n{"prompt":"bc","text":"é \\n","finish_reason":"eos","id":"é"}\n{"prompt":"cé ","text":"\\n","finish_reason":"eos"}\n' \
    '' sh -c 'lmgen -m m --stop cé <p.jsonl'
# 300 prompts of many lengths, twice as many as are read at once; token i is followed by i + 1
awk 'BEGIN { for (i = 0; i < 300; i++) { p = i % 8; for (k = 0; k < i * 7 % 40; k++) p = p " " (i + k + 1) % 8; print "{\"prompt\":\"" p "\",\"id\":\"" i "\"}" } }' >many
awk 'BEGIN { for (i = 0; i < 300; i++) { p = i % 8; n = i * 7 % 40; for (k = 0; k < n; k++) p = p " " (i + k + 1) % 8; t = ""; for (k = 1; k <= 5; k++) t = t (k > 1 ? " " : "") (i + n + k) % 8
    print "{\"prompt\":\"" p "\",\"text\":\"" t "\",\"finish_reason\":\"length\",\"id\":\"" i "\"}" } }' >want
ok 'many prompts, in order' sh -c 'lmgen -m m --ids --ignore-eos -n 5 <many | cmp - want'
ok 'one thread' sh -c 'lmgen -m m --ids -j 1 --ignore-eos -n 5 <many | cmp - want'
ok 'from zstd' sh -c 'zstd -qc many | lmgen -m m --ids --ignore-eos -n 5 | cmp - want'
is 'JSON as text' 0 'b' '*' sh -c 'printf %s a | lmgen -m m -n 1 --from txt'
is 'an empty batch' 0 '' '' sh -c 'lmgen -m m --from jsonl </dev/null'

# most of the time the model says the next token; with temperature, at times another one
gen --ids --ignore-eos -n 400 --temp 2 --seed 1 0 >s1
gen --ids --ignore-eos -n 400 --temp 2 --seed 1 0 >s1again
gen --ids --ignore-eos -n 400 --temp 2 --seed 2 0 >s2
# p(next) = e^1.4142 / (e^1.4142 + 7) = 0.370; 400 draws: 148 +- 4.2 x 9.7
hits() { tr ' ' '\n' <"$1" | awk '{ if ($1 == (last + 1) % 8) n++; last = $1 } END { print n }'; }
ok 'as often as the temperature says' sh -c "[ $(hits s1) -ge 107 ] && [ $(hits s1) -le 189 ]"
ok 'the same seed, the same text' cmp s1 s1again
ok 'another seed, another text' sh -c '! cmp -s s1 s2'
is '--top-k 1' 0 '1 2 3 4 5 6' '' gen --ids --temp 2 --top-k 1 0
is '--top-p' 0 '1 2 3 4 5 6' '' gen --ids --temp 1 --top-p 0.7 0
is '--min-p' 0 '1 2 3 4 5 6' '' gen --ids --temp 1 --min-p 0.06 0
# 3 occurred: its logit becomes 0 like all others, and 0 is the lowest of these
is '--repetition-penalty' 0 '0 1' '' gen --ids -n 2 --repetition-penalty 1e60 3 2

# a template that says what it was given; "a" follows nothing but is the assistant's first word
cat >m/tokenizer_config.json <<'END'
{"eos_token":{"content":"a"},"chat_template":[{"name":"default","template":"{% for m in messages %}{{ m.content }}{% endfor %}{{ bos_token }}{{ more }}{% if add_generation_prompt %}a{% endif %}"},
{"name":"tool_use","template":"{{ tools[0].name }}{{ eos_token }}"}]}
END
is '--chat: what a user says' 0 'bc\303\251 \n' '' gen --chat c
is '--chat from standard input' 0 'bc' '' sh -c 'echo c | lmgen -m m --chat -n 2'
is '--chat: special tokens are read, none added' 0 'b' '' gen --chat -n 1 '<eos>'
cat >chat.jsonl <<'END'
{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"c"}],"id":"1"}
{"prompt":"c"}
{"messages":[],"tools":[{"name":"b"}]}
{"messages":[{"role":"user","content":"b"}],"add_generation_prompt":false,"more":"ab"}
END
is '--chat: conversations, tools, more variables' 0 '{"prompt":"bca","text":"b","finish_reason":"length","id":"1"}\n{"prompt":"ca","text":"b","finish_reason":"length"}\n{"prompt":"ba","text":"b","finish_reason":"length"}\n{"prompt":"bab","text":"c","finish_reason":"length"}\n' \
    '' sh -c 'lmgen -m m --chat -n 1 <chat.jsonl'
is 'no messages' 1 '' "~standard input:1: there is no key 'messages'" sh -c "echo '{\"q\":1}' | lmgen -m m --chat"
is 'messages that are none' 1 '' '~standard input:1: messages: not a list' sh -c "echo '{\"messages\":1}' | lmgen -m m --chat"
printf '{{ messages[0].content -}}\n{%% if messages[0].content == "b" %%}{{ raise_exception("not b") }}{%% endif %%}' >m/chat_template.jinja
is 'chat_template.jinja comes first' 0 'b' '' gen --chat -n 1 a
is 'a conversation that the template refuses' 1 '' 'lmgen: m/chat_template.jinja:2: not b\n' gen --chat b
echo '{% if %}' >m/chat_template.jinja
is 'a template that is damaged' 1 '' '~m/chat_template.jinja:1: %} where an expression is due' gen --chat b
rm m/chat_template.jinja
echo '{"chat_template":[{"name":"x","template":""}]}' >m/tokenizer_config.json
is 'none by default' 1 '' '~tokenizer_config.json: chat_template: none of them is named default' gen --chat b
rm m/tokenizer_config.json
echo '{"chat_template":"{{ messages[0].content[0] }}b"}' >m/chat_template.json
is 'chat_template.json' 0 'c' '' gen --chat -n 1 abc
rm m/chat_template.json
is 'no template' 1 '' '~m: no chat template is in it' gen --chat b
is '--chat with ids' 2 '' '~--chat goes with text' gen --chat --ids 1

if [ -d "$shared/data/models" ]; then
    s=$shared/data/models/stories260K_hf
    is 'stories260K' 0 "$(tr -d '[],' <"$s/golden_ids.json" | sed 's/^1 //')" '' lmgen -m "$s" --ids -n 60 1
    ok 'one thread and two, to the bit' sh -c "lmgen -m '$s' --ids -j1 --temp 1 --seed 3 -n 80 1 >j1; lmgen -m '$s' --ids -j2 --temp 1 --seed 3 -n 80 1 | cmp - j1"
    c=$shared/data/models/capp-gpt
    is 'a GPT-2 generates' 0 '37 42 50' '' lmgen -m "$c" --ids -n 3 1 2
    is 'its positions end' 1 '' "~prompt: 2 tokens and 600 more: the model's positions end at 512" lmgen -m "$c" --ids -n 600 1 2
    is 'at the last one' 0 '*' '' lmgen -m "$c" --ids --ignore-eos -n 511 1 2
    is 'its BOS is none' 1 '' '~prompt: it is empty, and the model has no BOS' lmgen -m "$c" --ids ''
else
    skip 'published models' 'no ../shared'
fi

is 'an id beyond the vocabulary' 1 '' '~prompt: byte 2: id 8 is not below 8' gen --ids 1 8
is 'no id' 1 '' "~prompt: byte 2: 'x1' is not an id" gen --ids 1 x1
is 'nor this' 1 '' "~prompt: byte 2: '2,3' is not an id" gen --ids 1 2,3
is 'nor this one' 1 '' '~prompt: byte 0: id 99999999999 is not below 8' gen --ids 99999999999
printf '{"prompt":"1"}\n{"prompt":"9"}\n' >bad
is 'in a batch, behind what stands before it' 1 '{"prompt":"1","text":"2 3 4 5 6","finish_reason":"eos"}\n' '~standard input:2: prompt: byte 0: id 9' sh -c 'lmgen -m m --ids <bad'
printf '{"prompt":"1"}\n{"text":"9"}\n' >bad
is 'no prompt' 1 '{"prompt":"1","text":"2 3 4 5 6","finish_reason":"eos"}\n' "~standard input:2: there is no key 'prompt'" sh -c 'lmgen -m m --ids <bad'
is 'invalid UTF-8' 1 '' '~invalid UTF-8' sh -c "printf 'a\377' | lmgen -m m"
is 'no model' 1 '' '~nowhere: No such file' lmgen -m nowhere --ids 1
is 'no tokenizer' 1 '' '~nowhere' gen -t nowhere a
ok 'a bad line, into a file: none' sh -c '! lmgen -m m --ids -o none <bad 2>err && [ ! -e none ]'
is 'another key' 0 '{"prompt":"4","text":"5 6","finish_reason":"eos"}\n' '' sh -c "echo '{\"q\":\"4\"}' | lmgen -m m --ids -k q"
mkdir -p run/step_9 run/step_10 bare
is 'a run is no model' 1 '' 'lmgen: run: a run, not a model: name a checkpoint in it, the newest is step_10\n' lmgen -m run a
is 'nor is its config.json' 1 '' '~m/config.json: not a directory' lmgen -m m/config.json a
cp m/config.json m/model.safetensors bare
is 'a model without tokenizer' 1 '' 'lmgen: bare: no tokenizer is in it, by none of the names of lmtokenize(1): name the model'"'"'s with -t\n' lmgen -m bare a
# SentencePiece's: found beside the model and by name; 2 is </s>, and 3 follows it, the first merge
mkdir sp && cp m/config.json m/model.safetensors sp
echo 'ab ab ab' >ab.txt
lmvocab -q --type sp-bpe -n 8 --from txt -o sp/tokenizer.model ab.txt
echo '{"eos_token":"</s>","chat_template":"{{ messages[0].content }}{{ eos_token }}"}' >sp/tokenizer_config.json
third=$(echo 3 | lmtokenize -d --from ids --to txt -t sp)
ok 'there is a third piece' test -n "$third"
is 'a .model beside the model' 0 "$third" '' lmgen -m sp -n 1 'a</s>'
is 'BOS is put in front: 2, 3 follow it' 0 "$third" '' lmgen -m sp -n 2 ''
is '-t FILE.model' 0 "$third" '' lmgen -m bare -t sp/tokenizer.model -n 1 'a</s>'
is '--chat, -t FILE.model' 0 "$third" '' lmgen -m bare -t sp/tokenizer.model --chat -n 1 b
is '--chat, -t DIR' 0 "$third" '' lmgen -m bare -t sp --chat -n 1 b
cp -r m cut && head -c 1000 m/model.safetensors >cut/model.safetensors
is 'cut weights' 1 '' '~cut/model.safetensors' lmgen -m cut --ids 1
is 'a full disk' 1 '' '~No space left' sh -c 'lmgen -m m --ids 1 >/dev/full'
is '-m is needed' 2 '' '~-m DIR is needed' lmgen --ids 1
is 'two prompts' 2 '' '~one operand too many: b' gen a b
is '--temp' 2 '' '~--temp: -1 is below 0' gen --temp -1 a
is '--top-p out of range' 2 '' '~--top-p: 1.5 is not within 0..1' gen --top-p 1.5 a
is '--min-p out of range' 2 '' '~--min-p: 2 is not within 0..1' gen --min-p 2 a
for o in '--top-k 3' '--top-p 0.5' '--min-p 0.1'; do
    is "$o needs a temperature" 2 '' '~--top-k, --top-p and --min-p are for sampling: give a --temp above 0' gen --ids $o 1
done
is 'filters that filter nothing do not' 0 '5 6' '' gen --ids --top-k 0 --top-p 1 --min-p 0 4
is 'no penalty' 2 '' '~--repetition-penalty: 0 is not above 0' gen --repetition-penalty 0 a
is 'an empty stop' 2 '' '~--stop: the string is empty' gen --stop '' a
is '--stop with ids' 2 '' '~--stop goes with text' gen --ids --stop x 1
is '-t with ids' 2 '' '~--ids needs no tokenizer' gen --ids -t m 1
is 'no tokens' 2 '' '~' gen -n 0 a
plan
