#!/usr/bin/env python3
"""Hold lmtokenize against the `tokenizers` package on seeded strings from nasty alphabets: ids with and without special
tokens, and the text of the ids.  Run by hand, with tokenizers==0.23.2:

    tests/fuzz/hf.py build/bin/lmtokenize ../shared/data/tokenizers/gpt2/tokenizer.json [strings [seed]]

Prints the first differences and their number; the exit status tells whether there are none.
"""
import json
import random
import subprocess
import sys

from tokenizers import Tokenizer

tool, path = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 200000
rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
with open(path, encoding="utf-8") as f:
    file = json.load(f)
hf = Tokenizer.from_file(path)

SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 32, 32, 0x85, 0xA0, 0x1680, 0x2000, 0x2009, 0x200B, 0x2028, 0x2029, 0x202F, 0x205F,
                           0x3000, 0xFEFF, 0x1C, 0x180E)]
MARKS = [chr(c) for c in (0x300, 0x301, 0x323, 0x327, 0x345, 0x5B0, 0x64B, 0x94D, 0xE31, 0x1AB0, 0x20DD, 0xFE0F, 0x200D, 0x1E8D0, 0x1ABF,
                          0x1DF6, 0x10F46)]
LETTERS = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") + list("éÉñøßſİıǅʰªºǆΣσςЖ") + ["\u1e9e", "\u2126", "\u212b", "\ufb01"]
CJK = [chr(c) for c in (0x4E00, 0x4E2D, 0x6587, 0x9FA5, 0x9FA6, 0x3042, 0x30A2, 0x30FC, 0xAC00, 0xD7A3, 0x1100, 0x1161, 0x11A8, 0x3400, 0x20000, 0xF900,
                        0x2F800, 0xFF21, 0xFF11, 0x3001, 0x3002, 0x300C, 0x0E01, 0x0915, 0x2B920)]
EMOJI = ["😀", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "\u2764\ufe0f", "#\ufe0f\u20e3"]
DIGITS = list("0123456789") + ["٣", "½", "²", "Ⅷ", "๓", "\U0001d7d8", "\U00011de0", "〇"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["…", "—", "“", "’", "¿", "§", "€", "\u2581", "\u00ad", "、", "؟", "\u2e5d"]
WORDS = ["the", " the", "hello", " world", "it's", "I'M", "we'RE", "they'll", "'s", "'S", "don't", "1234567", "3.14", "for (int i=0;i<n;i++)",
         "naïve", "e\u0301", "Straße", "ﬁn", "中文", "日本語", "한국어", "नमस्ते", "ไทย", "Привет", "<|", "|>", "<0x0A>", "<0x41>", "##", "</w>", "aaaa", "    "]
ADDED = [t["content"] for t in file.get("added_tokens") or []]
VOCAB = file["model"]["vocab"]
VOCAB = [v[0] if isinstance(v, list) else v for v in (VOCAB if isinstance(VOCAB, list) else list(VOCAB))]
MAPPED = {}
plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
for b in range(256):
    MAPPED[chr(b) if b in plain else chr(256 + sum(1 for x in range(b) if x not in plain))] = b


def token():
    """A piece of the vocabulary as text."""
    t = rng.choice(VOCAB)
    try:
        return bytes(MAPPED[c] for c in t).decode()
    except (KeyError, UnicodeDecodeError):
        return t.replace("\u2581", " ")


def special():
    t = rng.choice(ADDED) if ADDED else "<s>"
    if rng.random() < 0.25:
        a = rng.randrange(len(t) + 1)
        t = t[:a] if rng.random() < 0.5 else t[a:]
    if rng.random() < 0.4:
        t = rng.choice(SPACES + [" ", "  "]) + t
    if rng.random() < 0.4:
        t += rng.choice(SPACES + [" ", "  "])
    return t


def scalar():
    while True:
        c = rng.choice((rng.randrange(0x800), rng.randrange(0x3000), rng.randrange(0x20000), rng.randrange(0x110000)))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


SOURCES = [lambda s=s: rng.choice(s) for s in (SPACES, MARKS, LETTERS, CJK, EMOJI, DIGITS, PUNCT, WORDS)] + [token, special, scalar]


def text():
    kinds = rng.sample(SOURCES, rng.randrange(1, 5))
    n = rng.choice((1, 2, 3, 5, 8, 13, 30))
    out = ""
    for _ in range(n):
        s = rng.choice(kinds)()
        out += s * (rng.randrange(1, 9) if rng.random() < 0.1 else 1)
    return out


texts = [text() for _ in range(count)]


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
