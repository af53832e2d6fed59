#!/usr/bin/env python3
"""spm/slow.jsonl: texts with special tokens in them, as the slow classes of transformers encode them by the models of
spm/; one line a text: model, class, legacy, ids without and with what the class adds around.  spm/sentinels.jsonl: texts
with T5's <extra_id_*>, of which there are three.  Run with transformers 4.46.3 or 4.57.1 and sentencepiece 0.2."""
import json
import os

from transformers import LlamaTokenizer, T5Tokenizer

here = os.path.dirname(os.path.abspath(__file__))
TEXTS = ["Hi<s>you", "<s>hello", "a <s> b</s>", "</s></s>x", "  <s>  two", "<unk>a", " a", "the</s> cat<s>", "<s>", "a<s", "x<s>\ny"]
ROWS = [("bpe", LlamaTokenizer, True), ("bpe_ties", LlamaTokenizer, True), ("bpe_ties", LlamaTokenizer, False),
        ("unigram", T5Tokenizer, True), ("unigram_bytes", T5Tokenizer, True)]

with open(os.path.join(here, "spm", "slow.jsonl"), "w") as out:
    for name, cls, legacy in ROWS:
        more = {"extra_ids": 0} if cls is T5Tokenizer else {}
        t = cls(vocab_file=os.path.join(here, "spm", name + ".model"), legacy=legacy, **more)
        for text in TEXTS:
            if cls is T5Tokenizer:  # which has no <s>, and puts no EOS behind an EOS
                text = text.replace("<s>", "</s>") + "x"
            ids, around = t.encode(text, add_special_tokens=False), t.encode(text)
            row = {"model": name, "class": cls.__name__, "legacy": legacy, "ids": ids, "around": around, "text": text}
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")

with open(os.path.join(here, "spm", "sentinels.jsonl"), "w") as out:
    t = T5Tokenizer(vocab_file=os.path.join(here, "spm", "unigram.model"), legacy=True, extra_ids=3)
    for text in ["a <extra_id_0>  <extra_id_2> a", "<extra_id_1>", "the<extra_id_0>cat", " <extra_id_3> a", "<extra_id_2><extra_id_1> x"]:
        row = {"ids": t.encode(text, add_special_tokens=False), "around": t.encode(text), "text": text}
        out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
