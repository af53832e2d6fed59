#!/usr/bin/env python3
"""Hold lmtokenize against the `tokenizers` package on seeded strings from nasty alphabets: ids with and without special
tokens, and the text of the ids.  Run by hand, with tokenizers==0.23.2:

    tests/fuzz/hf.py build/bin/lmtokenize ../shared/data/tokenizers/gpt2/tokenizer.json [strings [seed [ours]]]

ours: what lmtokenize opens in the place of that file, vocab.json of the same tokenizer, say.

Prints the first differences and their number; the exit status tells whether there are none.
"""
import json
import random
import subprocess
import sys

import strings
from tokenizers import Tokenizer

tool, path = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
with open(path, encoding="utf-8") as f:
    file = json.load(f)
hf = Tokenizer.from_file(path)
if len(sys.argv) > 5:
    path = sys.argv[5]

added = [t["content"] for t in file.get("added_tokens") or []]
vocab = file["model"]["vocab"]
vocab = [v[0] if isinstance(v, list) else v for v in (vocab if isinstance(vocab, list) else list(vocab))]
texts = strings.make(rng, count, added, vocab)


def run(data, *args):
    return subprocess.run([tool, "-q", "-t", path, *args], input=data, capture_output=True, check=True).stdout.decode().split("\n")[:-1]


def lines(what):
    return "".join(json.dumps(x) + "\n" for x in what).encode()


different = 0


def compare(what, cases, got, want):
    global different
    assert len(got) == len(want), (what, len(got), len(want))
    for case, a, b in zip(cases, got, want):
        if a != b:
            different += 1
            if different <= 20:
                print("%s: %s\n  ours %s\n  hf   %s" % (what, ascii(case), ascii(a), ascii(b)))


data = lines({"text": t} for t in texts)
for special_tokens in "parse", "none":
    hf.encode_special_tokens = special_tokens == "none"
    want = [e.ids for e in hf.encode_batch(texts, add_special_tokens=False)]
    got = [[int(x) for x in line.split()] for line in run(data, "--special", special_tokens, "--to", "ids")]
    compare("ids, --special " + special_tokens, texts, got, want)
    ids = want
    back = "".join(" ".join(map(str, x)) + "\n" for x in ids).encode()
    for i in range(2):
        got = [json.loads(x)["text"] for x in run(back, "-d", "--from", "ids", "--on-error=replace", "--special", ("parse", "none")[i])]
        compare("text", ids, got, hf.decode_batch(ids, skip_special_tokens=i == 1))
print("%s: %d strings, %d differences" % (path, count, different))
sys.exit(different > 0)
