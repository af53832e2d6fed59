#!/usr/bin/env python3
"""Hold lmpipe's ids against the reference's on random nasty texts: none may differ.

Run by hand: tests/golden/diff_spm.py TEXTS SEED TOKENIZER...; a .model asks sentencepiece==0.2.1 (any bytes are text), a
tokenizer.json tokenizers==0.23.2.  Texts go through build/tests/unit/spm, many to a process, so that its caches work.  REALTEXT=DIR
holds en.txt and multi.txt.
"""
import os
import random
import struct
import subprocess
import sys

NASTY = ["\u2581", "\u2581\u2581", " ", "  ", "   ", "\t", "\n", "\r\n", "\0", "\u00a0", "\u3000", "\ufffd", "\u200b", "\u200d", "\ufeff",
         "\ufb01\u0301", "e\u0301", "\u1100\u1161", "\uac00", "ｆｕｌｌ", "①", "™", "A\u030a", "\u212b", "<0x41>", "<s>", "</s>", "<unk>",
         "\U0001f600", "\U0001f468\u200d\U0001f469", "0000", "----", "....", "aaaa", "AAAA", "a--b---c----d", "\u0130", "\u0345",
         "ŉ", "…", "～", "~", "\x7f", "\x80", "\x85", "\u0e33", "\u0604a", "\u00a9\u200d\u00ae", "\r\u0301", "\u0915\u094d\u0937"]
RANGES = [(32, 127), (0, 0x250), (0x300, 0x370), (0x600, 0x1000), (0x1F00, 0x2800), (0x3000, 0xD800), (0xE000, 0x110000)]


class Texts:
    def __init__(self, seed, vocabulary, any_bytes):
        self.r = random.Random(seed)
        self.vocabulary = vocabulary
        self.any_bytes = any_bytes
        real = os.environ.get("REALTEXT", "/tmp/realtext")
        self.words = open(real + "/en.txt", "rb").read(4000000).decode("utf8", "replace").split(" ")
        self.multi = open(real + "/multi.txt", "rb").read(4000000).decode("utf8", "replace")

    def part(self):
        r, kind = self.r, self.r.random()
        if kind < 0.3:
            k = r.randrange(len(self.words) - 8)
            return " ".join(self.words[k:k + r.randint(1, 6)])
        if kind < 0.45:
            k = r.randrange(len(self.multi) - 30)
            return self.multi[k:k + r.randint(1, 20)]
        if kind < 0.6:
            return r.choice(NASTY) * r.choice([1, 1, 1, 2, 3, 7])
        if kind < 0.75:
            return r.choice(self.vocabulary)
        if kind < 0.8:
            return "".join(chr(r.randrange(*r.choice(RANGES))) for _ in range(r.randint(1, 8)))
        if kind < 0.9:
            return "".join(r.choice("ab -\u2581.,0A\u0301") for _ in range(r.randint(1, 30)))
        return r.choice([" ", "\n", ""])

    def text(self):
        r = self.r
        s = "".join(self.part() + (" " if r.random() < 0.4 else "") for _ in range(r.randint(0, 12)))
        s = s.encode("utf8", "ignore")
        if self.any_bytes and r.random() < 0.25:
            for _ in range(r.randint(1, 4)):
                k = r.randint(0, len(s))
                bad = r.choice([0x80, 0xBF, 0xC0, 0xC2, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0xF8, 0xFF, 0x96, 0x81, r.randrange(256)])
                s = s[:k] + bytes([bad]) + s[k + r.randint(0, 2):]
        return s


def reference(path):
    """Its vocabulary, and a function from texts to ids."""
    if path.endswith(".model"):
        import sentencepiece
        sp = sentencepiece.SentencePieceProcessor(model_file=path)
        n = range(sp.get_piece_size())
        names = [sp.id_to_piece(i) for i in n if not (sp.is_control(i) or sp.is_unknown(i) or sp.is_byte(i))]
        return names, lambda texts: [sp.encode(t) for t in texts]
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(path)
    return list(t.get_vocab()), lambda texts: [e.ids for e in t.encode_batch([s.decode() for s in texts], add_special_tokens=False)]


def ours(path, texts):
    data = b"".join(struct.pack("<I", len(s)) + s for s in texts)
    run = subprocess.run([os.environ.get("B", "build") + "/tests/unit/spm", path], input=data, stdout=subprocess.PIPE, check=True)
    ids, at = [], 0
    for _ in texts:
        n, = struct.unpack_from("<I", run.stdout, at)
        ids.append(list(struct.unpack_from("<%dI" % n, run.stdout, at + 4)))
        at += 4 + 4 * n
    return ids


def main():
    total, seed = int(sys.argv[1]), int(sys.argv[2])
    worst = 0
    for path in sys.argv[3:]:
        vocabulary, encode = reference(path)
        texts = Texts(seed, vocabulary, path.endswith(".model"))
        done = differ = 0
        while done < total:
            batch = [texts.text() for _ in range(min(20000, total - done))]
            done += len(batch)
            for text, want, got in zip(batch, encode(batch), ours(path, batch)):
                if want != got:
                    differ += 1
                    if differ <= 3:
                        print(text, want, got, sep="\n  ")
        print("%s\t%d texts\t%d differ" % (path, done, differ), flush=True)
        worst += differ
    sys.exit(worst > 0)


main()
