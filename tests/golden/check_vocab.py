#!/usr/bin/env python3
"""Hold a trained .model, and the tokenizer.json of the same training, against a reference .model: do the packages
load them, and cut every line of the texts alike?  Run by hand.

    pip install sentencepiece==0.2.1 tokenizers==0.23.2
    tests/golden/check_vocab.py OURS.model OURS.json REFERENCE.model TEXT...
"""
import sys

import sentencepiece
from tokenizers import Tokenizer

ours, json, reference = sys.argv[1:4]
a, b = (sentencepiece.SentencePieceProcessor(model_file=f) for f in (ours, reference))
hf = Tokenizer.from_file(json)
same = a.vocab_size() == b.vocab_size() and all(
    a.id_to_piece(i) == b.id_to_piece(i) and a.get_score(i) == b.get_score(i) for i in range(a.vocab_size()))
lines = [line for f in sys.argv[4:] for line in open(f, encoding="utf-8", errors="replace").read().split("\n")]
lines += ["", " ", "  a  b ", "\u2581x", "\uff21\uff22 \u00bd \ufb01 e\u0301", "12345 \u4f60\u597d", "tab\there", "\U0001f600"]
want = [a.encode(x) for x in lines]
likelihood = [sum(m.get_score(i) for line in lines for i in m.encode(line)) for m in (a, b)]
common = {a.id_to_piece(i) for i in range(a.vocab_size())} & {b.id_to_piece(i) for i in range(b.vocab_size())}
print("common pieces", len(common), "of", b.vocab_size())
print("log-likelihood of the best segmentation", *likelihood, "ratio %.6f" % (likelihood[0] / likelihood[1]))
print("pieces and scores", "equal" if same else "differ")
print("lines", len(lines))
print("differ from the reference model", sum(a.encode(t, out_type=str) != b.encode(t, out_type=str) for t in lines))
bad = [t for t, x in zip(lines, want) if x != hf.encode(t, add_special_tokens=False).ids]
print("differ in HF tokenizers", len(bad), [t[:60] for t in bad[:5]])
