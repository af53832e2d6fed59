#!/usr/bin/env python3
"""Write tests/golden/spm: small SentencePiece models of every kind, and what sentencepiece makes of texts.

Run by hand, with sentencepiece==0.2.1 and protobuf: tests/golden/make_spm.py tests/golden/spm
A line of X.jsonl is a text in hexadecimal (it may be no UTF-8), its ids, and the text they decode to.
"""
import json
import os
import random
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb

out = sys.argv[1]
root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
RULES = [("41", "61"), ("FB01", "66 69"), ("65 301", "E9"), ("A0", "20"), ("3000", "20"), ("200B", ""), ("2122", "54 4D"),
         ("61 62 63", "20 78 20 20"), ("7A", "20")]
work = tempfile.mkdtemp()
corpus, rules = os.path.join(work, "text"), os.path.join(work, "rules")
with open(corpus, "w") as f:
    for name in ("README.md", "man/lmtokenize.1", "man/lmpipe.7"):
        f.write(open(os.path.join(root, name)).read())
    f.write("é è Zoë naïve 日本語 日本 中文 привет мир\n" * 20)
with open(rules, "w") as f:
    f.write("".join("%s\t%s\n" % r for r in RULES))


def train(name, change=None, **options):
    prefix = os.path.join(work, name)
    spm.SentencePieceTrainer.train(input=corpus, model_prefix=prefix, num_threads=1, minloglevel=2,
                                   **{"vocab_size": 400, "character_coverage": 0.999, **options})
    m = pb.ModelProto()
    m.ParseFromString(open(prefix + ".model", "rb").read())
    m.trainer_spec.ClearField("input")
    m.trainer_spec.ClearField("model_prefix")
    m.normalizer_spec.ClearField("normalization_rule_tsv")
    if change:
        change(m)
    return m


def ties(m):
    """Scores of which many are equal, pieces not used, others added behind."""
    for i, p in enumerate(m.pieces):
        if p.type == NORMAL and len(p.piece) > 1:
            p.score = -float(i // 7)
            if i % 5 == 0:
                p.type = UNUSED
    for s, score, kind in (("\u2581\u2581", -1e9, NORMAL), ("\u2581\u2581\u2581", -1e9, NORMAL), ("q\u00df", 0, NORMAL),
                           ("abab", -3, UNUSED), ("ab", -3, UNUSED), ("bab", -2.5, UNUSED), ("aba", -3, NORMAL)):
        if s not in [p.piece for p in m.pieces]:
            m.pieces.add(piece=s, score=score, type=kind)


def plain(m):
    m.normalizer_spec.add_dummy_prefix = False
    m.normalizer_spec.remove_extra_whitespaces = False


def unescaped(m):
    m.normalizer_spec.escape_whitespaces = False


def back(m):
    """A denormalizer."""
    m.denormalizer_spec.CopyFrom(m.normalizer_spec)
    m.denormalizer_spec.add_dummy_prefix = False


own = {"user_defined_symbols": ["<sep>", "\u2581the", " x", "ab", "bc"], "control_symbols": ["<ctl>"]}
models = {
    "bpe": train("bpe", plain, model_type="bpe", byte_fallback=True, vocab_size=600, normalization_rule_name="identity"),
    "bpe_ties": train("bpe_ties", ties, model_type="bpe", byte_fallback=True, vocab_size=600, **own,
                      normalization_rule_name="identity", remove_extra_whitespaces=False),
    "bpe_unk": train("bpe_unk", model_type="bpe", normalization_rule_tsv=rules, unk_surface="<?>"),
    "unigram": train("unigram", back, model_type="unigram", normalization_rule_tsv=rules, **own),
    "unigram_bytes": train("unigram_bytes", plain, model_type="unigram", byte_fallback=True, vocab_size=600,
                           normalization_rule_name="identity"),
    "suffix": train("suffix", model_type="bpe", treat_whitespace_as_suffix=True, normalization_rule_tsv=rules),
    "unescaped": train("unescaped", unescaped, model_type="bpe", normalization_rule_tsv=rules),
    "word": train("word", model_type="word", vocab_size=300, hard_vocab_limit=False, normalization_rule_tsv=rules),
    "char": train("char", model_type="char", vocab_size=60, hard_vocab_limit=False, **own, normalization_rule_name="identity"),
}
ALPHABET = ["a", "b", "c", "ab", "abc", "abab", "A", "the", " the", "\u2581the", " x", "<sep>", "<ctl>", "<s>", "<unk>", "<0x41>", " ",
            "  ", "   ", "\u2581", "\u2581\u2581", "\n", "\t", "\0", "\u00a0", "\u3000", "\u200b", "\ufffd", "\ufb01", "e\u0301", "z",
            "zz", "\u2122", "\u00df", "q\u00df", "日本語", "日", "привет", "\U0001f600", "token", "stream", " of ", ".", "--", "1234",
            "\u0301"]


def text(rng):
    s = "".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 14))).encode()
    if rng.random() < 0.2:
        at = rng.randint(0, len(s))
        s = s[:at] + bytes([rng.choice([0x80, 0xC3, 0xE2, 0xF0, 0xFF])]) + s[at:]
    return s


os.makedirs(out, exist_ok=True)
for name, m in models.items():
    with open(os.path.join(out, name + ".model"), "wb") as f:
        f.write(m.SerializeToString())
    sp = spm.SentencePieceProcessor(model_proto=m.SerializeToString())
    rng = random.Random(name)
    with open(os.path.join(out, name + ".jsonl"), "w") as f:
        for _ in range(120):
            s = text(rng)
            ids = sp.encode(s)
            if rng.random() < 0.3:
                ids += [rng.randrange(sp.get_piece_size()) for _ in range(5)]
                f.write(json.dumps({"ids": ids, "back": sp.decode(ids)}, ensure_ascii=False) + "\n")
            else:
                f.write(json.dumps({"hex": s.hex(), "ids": ids, "back": sp.decode(ids)}, ensure_ascii=False) + "\n")
