#!/usr/bin/env python3
"""Write tests/golden/tok: a small tokenizer of every kind of added token, and what HF tokenizers makes of texts.

Run by hand, with tokenizers==0.23.2: tests/golden/make_tok.py tests/golden/tok
"""
import json
import sys

from tokenizers import Tokenizer, pre_tokenizers

out = sys.argv[1]
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
merges = ["h e", "Ġ t", "Ġt he", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "i n", "in g", "Ġ Ġ",
          "Ċ Ċ", "1 2", "12 3", "a a", "aa aa", "Ã ©", "e r", "' s", "' re", "r e", "aa a", "! !"]
merges.remove("' re")
merges.append("' re")
vocab = {c: i for i, c in enumerate(alphabet)}
for m in merges:
    vocab.setdefault(m.replace(" ", ""), len(vocab))


def added(content, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": False, **flags}


def file(pattern, normalizer, ignore_merges):
    tokens = [added("<|eod|>", special=True), added("<s>", special=True), added("<|eod|>x", special=True),
              added("<tool>"), added("<l>", lstrip=True), added("<r>", rstrip=True), added("<w>", single_word=True),
              added("<n>é", normalized=True), added("the", special=False, single_word=True), added("ld", normalized=True),
              added("<lr>", lstrip=True, rstrip=True, special=True), added(" \n")]
    for i, t in enumerate(tokens):
        t["id"] = vocab.get(t["content"], len(vocab) + i)
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
        "normalizer": normalizer, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [len(vocab) + 1], "tokens": ["<s>"]}}},
        "decoder": {**level, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": ignore_merges,
                  "vocab": vocab, "merges": merges},
    }


TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
HEAD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
files = {"llama3": file(HEAD + r"\p{N}{1,3}" + TAIL, None, True), "qwen2": file(HEAD + r"\p{N}" + TAIL, {"type": "NFC"}, False),
         "gpt2": file(GPT2, None, False)}
texts = [
    "", " ", "hello world", "the hello  the world the", "the", "athe the", "they the\u0301 the_ the1 the\u200d the.", "there",
    "a<|eod|>b", "<|eod|>x<|eod|>", "<|eod|><s>", "a  <l>  b", "a  <r>  b", "\u3000<l>\u00a0<r>\u2028\u0085b", "<r> <l> <r>\n<l>",
    "<w>", "a<w>", "a <w> b", "é<w>", "<w>\u0301", "<n>é", "<n>e\u0301", "<n>e", "world ld Ld ld", "  <lr>  <lr> x", "x \n <r> \n\n y",
    "<tool> tool</tool>", "it's IT'S we'RE they're 'S 's ''s '", "x'\u017f 'ſ", "12345 123 1 12 1234567", "１２３４５ ٣٤٥٦٧ ½¾⅓⅔",
    "\n\n \n  a\n\n  \n b \n", "a\n", "a \n", "a  \n\t\n  b", "\t\tx", " \t y", "!!\n\n!", " !!\r\n\r\n x", "a!b !c  !d \t!e", "aaaa aaaaa aaaaaaa",
    "e\u0301 e\u0323\u0301 e\u0301\u0323 \u212b \uac00\u11a8 \u1100\u1161\u11a8", "你好 世界。！\u3000\u3000 x", "नमस्ते ไทยคำ",
    "😀😃 👩‍👩‍👧 a\ufe0f", "\x00\x01\x1c\x1f\x7f\x80", "\ufeff\u200b\u00ad x", "\U0001e000\U00010d40\U000323b0", " " * 70 + "x" + "\n" * 70,
    "hello" * 40, "a" * 300, "x" * 63 + "'s", "y" * 62 + "'re y", " '" * 40, "1" * 130, "é" * 64, "中" * 50, ". " * 50, "a\u3000" * 30,
]
for name, f in files.items():
    with open("%s/%s.json" % (out, name), "w") as o:
        json.dump(f, o, ensure_ascii=False, separators=(",", ":"))
    hf = Tokenizer.from_str(json.dumps(f))
    with open("%s/%s.jsonl" % (out, name), "w") as o:
        for text in texts:
            ids = []
            for hf.encode_special_tokens in True, False:
                ids.append(hf.encode(text, add_special_tokens=False).ids)
            json.dump({"text": text, "none": ids[0], "parse": ids[1]}, o, ensure_ascii=False, separators=(",", ":"))
            o.write("\n")
