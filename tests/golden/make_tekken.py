#!/usr/bin/env python3
"""Write tests/golden/tok/tekken.json and tekken.jsonl: a small file of Mistral's, and the ids that mistral_common gives for texts.

Run by hand, with mistral_common==1.11: tests/golden/make_tekken.py
"""
import base64
import json
import os

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tok")
SPECIAL, KEPT = 24, 300
PATTERN = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
           "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
MORE = ["th", "he", "the", " t", " the", "in", "ing", " a", "an", "and", " and", "er", "on", "re", "  ", "    ", "\n\n", "é", "中", "中文", "12", "--", "!!", "ll", "Th", "'s"]
TEXTS = ["", "the thing", "The other  and\n\nin", "don't stop", "CamelCaseWords HTTPServer", "12345 3.14", "中文字 é 😀", "<s>[INST] a [/INST]", "a/b//\n/c !!--\n", "    x\t\r\n", "\u0301e\u0301 ǅx"]

words = [bytes([b]) for b in range(256)] + [w.encode() for w in MORE if len(w.encode()) > 1]
words += [b"xx%d" % i for i in range(40)]  # more than are kept
file = {"config": {"pattern": PATTERN, "num_vocab_tokens": len(words), "default_vocab_size": SPECIAL + KEPT, "default_num_special_tokens": SPECIAL, "version": "v3"},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(w).decode(), "token_str": w.decode(errors="ignore") or None} for i, w in enumerate(words)]}
with open(os.path.join(HERE, "tekken.json"), "w", encoding="utf-8") as f:
    json.dump(file, f, indent=1)
t = Tekkenizer.from_file(os.path.join(HERE, "tekken.json"))
with open(os.path.join(HERE, "tekken.jsonl"), "w", encoding="utf-8") as f:
    for text in TEXTS:
        f.write(json.dumps({"text": text, "ids": t.encode(text, bos=False, eos=False), "around": t.encode(text, bos=True, eos=False)}, ensure_ascii=False, separators=(",", ":")) + "\n")
