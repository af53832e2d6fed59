#!/usr/bin/env python3
"""Hold lmtokenize against the `tokenizers` package on random pipelines: lists of normalizers and pre-tokenizers with
random arguments before a vocabulary of the very pieces, and lists of decoders.  Run by hand, with tokenizers==0.23.2:

    tests/fuzz/hf_steps.py build/bin/lmtokenize [pipelines [seed]]
"""
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

os.environ["RUST_BACKTRACE"] = "0"
tool = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)

STRINGS = ["a", " ", "-", "▁", "ab", "the", "--", "  ", "é", "e\u0301", "ﬁ", "İ", "Σ", "ς", "1", "12", "½", "²", "\u00b9", ".", "!", "'", "'s", "don't", "\n", "\r\n", "\t", "\u00a0",
           "\u3000", "\u200b", "\ufeff", "\u2028", "\u0085", "\x00", "\x1c", "\ufffd", "\u0300", "\u0345", "\u1df6", "\u0897", "中", "文", "あ", "ア", "ー", "漢", "가", "각", "ᄀ", "ᅡ", "Ω", "Å", "𐐀", "𑷠",
           "\U0002b820", "\U0002b920", "😀", "\u200d", "_", "$", "€", "×", "—", "…", "\u2e5d", "x", "X", "Ａ", "１", "ｶﾞ", "ﾞ", "<s>", "<x>", "Ab", "م", "\u064b", "\u0e31", "ก", "\U000105c9", "\U00016128"]


def scalar():
    while True:
        c = rng.choice((rng.randrange(0x800), rng.randrange(0x3000), rng.randrange(0x20000), rng.randrange(0x110000)))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def text():
    return "".join(scalar() if rng.random() < 0.1 else rng.choice(STRINGS) for _ in range(rng.choice((1, 2, 4, 8, 16))))


PATTERNS = [{"String": s} for s in (" ", "-", "a", "▁", "ab", "  ", ".", "")] + [
    {"Regex": s} for s in (r"\s+", r"\p{L}+", r"\d", r"[0-9]{1,3}", r"\s?\p{P}+", r"-+", r"a|b", r"(?=\d)", r"\b", r"x*", r"[^\s]+", r" ?[^(\s|[.,!?…。，、।۔،])]+", r"^\s", r"\s+$", r"(?<=a)b?")]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def flag():
    return rng.random() < 0.5


def replace():
    return {"type": "Replace", "pattern": rng.choice(PATTERNS[:-1]), "content": rng.choice(["", " ", "▁", "xy", "é"])}


NORMALIZERS = [lambda t=t: {"type": t} for t in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")] + [
    lambda: {"type": "Prepend", "prepend": rng.choice(["▁", "ab", " "])},
    lambda: {"type": "Strip", "strip_left": flag(), "strip_right": flag()},
    replace, replace,
    lambda: {"type": "BertNormalizer", "clean_text": flag(), "handle_chinese_chars": flag(), "strip_accents": rng.choice([None, True, False]), "lowercase": flag()},
]


def metaspace():
    s = {"type": "Metaspace", "replacement": rng.choice("▁▁▁é"), "prepend_scheme": rng.choice(["always", "first", "never"]), "split": flag()}
    if flag():
        s["add_prefix_space"] = s["prepend_scheme"] != "never"
    return s


PRE = [
    lambda: {"type": "Split", "pattern": rng.choice(PATTERNS), "behavior": rng.choice(BEHAVIORS), "invert": flag()},
    lambda: {"type": "Split", "pattern": rng.choice(PATTERNS), "behavior": rng.choice(BEHAVIORS), "invert": flag()},
    lambda: {"type": "ByteLevel", "add_prefix_space": flag(), "trim_offsets": flag(), "use_regex": flag()},
    metaspace, metaspace,
    lambda: {"type": "Digits", "individual_digits": flag()},
    lambda: {"type": "Punctuation", "behavior": rng.choice(BEHAVIORS)},
    lambda: {"type": "Whitespace"}, lambda: {"type": "WhitespaceSplit"}, lambda: {"type": "BertPreTokenizer"},
    lambda: {"type": "CharDelimiterSplit", "delimiter": rng.choice("-a 中")},
    lambda: {"type": "UnicodeScripts"}, lambda: {"type": "FixedLength", "length": rng.randrange(1, 4)},
]
DECODERS = [lambda t=t: {"type": t} for t in ("ByteFallback", "Fuse")] + [
    lambda: {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    replace,
    lambda: {"type": "Strip", "content": rng.choice(" ▁a"), "start": rng.randrange(3), "stop": 0},
    lambda: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": rng.choice(["always", "first", "never"]), "split": True},
    lambda: {"type": "WordPiece", "prefix": rng.choice(["##", "a"]), "cleanup": flag()},
    lambda: {"type": "BPEDecoder", "suffix": rng.choice(["</w>", "b"])},
    lambda: {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": flag()},
]
PIECES = ["a", "b", "ab", "▁a", "▁", "▁▁x", "##a", "##", "x##y", "a</w>", "</w>", "<pad>", "|", "a|b", " .", " ,", " n't", "do not", " do not", " ' ", " 's", " 've", "Ġa", "Ċ", "é", "Ã", "©",
          "Ã©", "ü", "<0x41>", "<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "<0x+A>", "<0xg0>", "<0x0a>", "<0x414>", " ", "  ", "aa", "中", "\ufffd"]


def several(rows, key, name, most):
    steps = [rng.choice(rows)() for _ in range(rng.choice((1, 1, 2, most)))]
    return steps[0] if len(steps) == 1 and flag() else {"type": "Sequence", key: steps}


def added(i):
    content = rng.choice(["<s>", "<x>", "a", "ab", " ", "▁", "é", "the", "İ", "12", "ﬁ"])
    return {"id": i, "content": content, "single_word": rng.random() < 0.3, "lstrip": rng.random() < 0.3, "rstrip": rng.random() < 0.3,
            "normalized": flag(), "special": rng.random() < 0.3}


def run(path, data, *args):
    done = subprocess.run([tool, "-q", "-j1", "-t", path, *args], input=data, capture_output=True)
    if done.returncode:
        return done.stderr.decode()
    return done.stdout.decode().split("\n")[:-1]


def file(normalizer, pre, decoder, vocab, tokens):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer, "pre_tokenizer": pre,
            "post_processor": None, "decoder": decoder, "model": {"type": "WordLevel", "vocab": {p: i for i, p in enumerate(vocab)}, "unk_token": "[UNK]"}}


def check(path, f, hf, texts):
    with open(path, "w", encoding="utf-8") as o:
        json.dump(f, o)
    data = "".join(json.dumps({"text": t}) + "\n" for t in texts).encode()
    bad = []
    for special in "parse", "none":
        hf.encode_special_tokens = special == "none"
        want = [hf.encode(t, add_special_tokens=False).ids for t in texts]
        got = run(path, data, "--special", special, "--to", "ids")
        if isinstance(got, str):
            return [got]
        got = [[int(x) for x in line.split()] for line in got]
        bad += [(special, t, a, b) for t, a, b in zip(texts, got, want) if a != b]
    return bad


def pipeline(path):
    n, p = (several(NORMALIZERS, "normalizers", "n", 4) if rng.random() < 0.7 else None), (several(PRE, "pretokenizers", "p", 4) if rng.random() < 0.8 else None)
    tokens = [added(i) for i in range(rng.choice((0, 0, 1, 3)))]
    texts = [text() for _ in range(100)]
    hf = Tokenizer.from_str(json.dumps(file(n, p, None, ["[UNK]"], tokens)))
    forms = [hf.normalizer.normalize_str(t["content"]) if n else t["content"] for t in tokens if t["normalized"]]
    if len(set(forms)) < len(forms):  # of two tokens with one form the package takes now this one, now that
        raise ValueError(forms)
    pieces = set()
    for t in texts:
        for part in [t] + [s for x in tokens for s in t.split(x["content"]) if s]:
            s = hf.normalizer.normalize_str(part) if n else part
            for q in [s] + [r for x in tokens for r in s.split(x["content"]) if r]:
                pieces |= {a for a, _ in hf.pre_tokenizer.pre_tokenize_str(q)} if p else {q}
    f = file(n, p, None, ["[UNK]"] + sorted(pieces), tokens)
    return f, check(path, f, Tokenizer.from_str(json.dumps(f)), texts)


def decoders(path):
    d = several(DECODERS, "decoders", "d", 4) if rng.random() < 0.95 else None
    f = file(None, None, d, ["[UNK]"] + PIECES, [])
    hf = Tokenizer.from_str(json.dumps(f))
    with open(path, "w", encoding="utf-8") as o:
        json.dump(f, o)
    ids = [[rng.randrange(1, len(PIECES) + 1) for _ in range(rng.choice((1, 2, 4, 8)))] for _ in range(100)]
    got = run(path, "".join(" ".join(map(str, x)) + "\n" for x in ids).encode(), "-d", "--from", "ids", "--on-error=replace")
    if isinstance(got, str):
        return f, [got]
    return f, [([PIECES[i - 1] for i in x], json.loads(a)["text"], b) for x, a, b in zip(ids, got, hf.decode_batch(ids)) if json.loads(a)["text"] != b]


different = refused = 0
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "x.json")
    for i in range(count):
        make = decoders if i % 4 == 0 else pipeline
        try:
            f, bad = make(path)
        except BaseException as e:  # the package refuses, or panics
            if isinstance(e, KeyboardInterrupt):
                raise
            refused += 1
            continue
        if bad:
            different += 1
            if different <= 10:
                f["model"] = None
                print(json.dumps({k: v for k, v in f.items() if v}, ensure_ascii=True))
                print("  %d of 100:" % len(bad), ascii(bad[0]))
print("%d pipelines, %d refused by the package, %d differ" % (count, refused, different))
sys.exit(different > 0)
