#!/usr/bin/env python3
"""Hold lmtokenize against the `tiktoken` package on seeded strings from nasty alphabets: ids with special tokens and
without, and the text of the ids.  Run by hand, with tiktoken==0.14:

    tests/fuzz/tiktoken.py build/bin/lmtokenize FAMILY RANKS [strings [seed [NAME|REGEX]]]

FAMILY: gpt2, cl100k_base, o200k_base, o200k_harmony by tiktoken's own strings; llama3, qwen, tekken, kimi-k2 by those of their
programs; regex: the one given at the end, for both.  The last argument is given to --pattern.
"""
import base64
import json
import os
import random
import subprocess
import sys
import unicodedata

sys.path = [p for p in sys.path if os.path.abspath(p or ".") != os.path.dirname(os.path.abspath(__file__))]
import tiktoken
import tiktoken_ext.openai_public as openai

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import strings

tool, family, path = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 200000
rng = random.Random(int(sys.argv[5]) if len(sys.argv) > 5 else 1)
pattern = sys.argv[6] if len(sys.argv) > 6 else None

C3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
U, W, HAN = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"&&[^\p{Han}]]"
UH, WH = U[:-1] + HAN, W[:-1] + HAN
FIRST = r"[^\r\n\p{L}\p{N}]?"
STRINGS = {
    "llama3": C3 + "|" + FIRST + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END,
    "qwen": C3 + "|" + FIRST + r"\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END,
    "tekken": FIRST + U + "*" + W + "+|" + FIRST + U + "+" + W + r"*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + END,
    "kimi-k2": r"[\p{Han}]+|" + FIRST + UH + "*" + WH + "+" + C3 + "?|" + FIRST + UH + "+" + WH + "*" + C3 + r"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + END,
    "regex": pattern,
}
LLAMA3 = ["begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1", "finetune_right_pad_id",
          "reserved_special_token_2", "start_header_id", "end_header_id", "eom_id", "eot_id", "python_tag"]
LLAMA3 += ["reserved_special_token_%d" % i for i in range(3, 248)]
QWEN = ["endoftext", "im_start", "im_end"] + ["extra_%d" % i for i in range(205)]
SPECIALS = {
    "llama3": {"<|%s|>" % t: 128000 + i for i, t in enumerate(LLAMA3)},
    "qwen": {"<|%s|>" % t: 151643 + i for i, t in enumerate(QWEN)},
}
with open(path, "rb") as f:
    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in f.read().splitlines() if line)}
openai.load_tiktoken_bpe = openai.data_gym_to_mergeable_bpe_ranks = lambda *a, **k: ranks
if family in openai.ENCODING_CONSTRUCTORS:
    made = openai.ENCODING_CONSTRUCTORS[family]()
    made.pop("explicit_n_vocab", None)
else:
    made = {"name": family, "pat_str": STRINGS[family], "mergeable_ranks": ranks, "special_tokens": SPECIALS.get(family, {})}
made["special_tokens"].pop("<|reserved_200018|>", None)  # of o200k_harmony, another name of <|endofprompt|>'s id: BUGS of lmtokenize(1)
encoding = tiktoken.Encoding(**made)
added = list(made["special_tokens"])
texts = strings.make(rng, count, added, list(ranks))
if family == "qwen":  # whose program does so first; lmtokenize has the tables of Unicode 9, so only what both call normal
    texts = [t for t in texts if unicodedata.normalize("NFC", t) == t]
extra = ["--pattern", pattern] if pattern else []
different = 0


def run(data, *args):
    return subprocess.run([tool, "-q", "-t", path, *extra, *args], input=data, capture_output=True, check=True).stdout.decode().split("\n")[:-1]


def compare(what, cases, got, want):
    global different
    assert len(got) == len(want), (what, len(got), len(want))
    for case, a, b in zip(cases, got, want):
        if a != b:
            different += 1
            if different <= 20:
                print("%s: %s\n  ours     %s\n  tiktoken %s" % (what, ascii(case), ascii(a), ascii(b)))


data = "".join(json.dumps({"text": t}) + "\n" for t in texts).encode()
for special in ("parse", "none") if added else ("none",):
    want = [encoding.encode(t, allowed_special="all" if special == "parse" else set(), disallowed_special=()) for t in texts]
    got = [[int(x) for x in line.split()] for line in run(data, "--special", special, "--to", "ids")]
    compare("ids, --special " + special, texts, got, want)
back = "".join(" ".join(map(str, x)) + "\n" for x in want).encode()
got = [json.loads(x)["text"] for x in run(back, "-d", "--from", "ids", "--on-error=replace", "--special", "parse")]
compare("text", want, got, [encoding.decode(x) for x in want])
print("%s %s: %d strings, %d differences" % (family, path, len(texts), different))
