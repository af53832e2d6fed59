#!/usr/bin/env python3
"""Write tests/golden/tok/steps.jsonl: small tokenizers, one for each step and trap, and what HF tokenizers makes of
texts: ids with special tokens as text and parsed, and the text of the latter with and without special tokens.

Run by hand, with tokenizers==0.23.2: tests/golden/make_steps.py >tests/golden/tok/steps.jsonl
"""
import base64
import json

from one_rule import charsmap
from tokenizers import Tokenizer, pre_tokenizers

NASTY = ["", " ", "Hello, world!", "  two  spaces ", "don't stop", "a1b22c333 ½²٣\U00011de0", "e\u0301e\u0323\u0301 ﬁn Ⅷ ½ ẛ̣ \u212b 가 ᄀ\u1161\u11a8", "İSTANBUL ΣΑΣ ſ ǅ", "the-final--countdown-",
         "日本語ひらがなカタカナーx 한국어", "x\u00a0y\u3000z\u2028w\u0085v\ufeffu\u200bt", "\t\r\n\x00\x1f\x7f\x8f\ufffd\u00ad", "a\u1df6\u0301 \u0897b\u0300 \u05b0 \u0e31", "😀👩\u200d👩 👍🏽 ☝️", "_x_ $9.99 €5 + <=> ×",
         "\U000105c9\U00016128\U00011383", "\u2581a\u2581 \u2581b", "\U0002b820 \U0002b920 〇", "¿Qué? «ja» — “no” … \u2e5d", "naïve Ångström", "ﬁ\u0301 ™ x\r\n", "م\u064bك"]


def added(content, i=0, **flags):
    return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **flags}


def file(model, tokens=(), normalizer=None, pre=None, post=None, decoder=None):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": normalizer, "pre_tokenizer": pre,
            "post_processor": post, "decoder": decoder, "model": model}


def level(vocab):
    return {"type": "WordLevel", "vocab": {p: i for i, p in enumerate(vocab)}, "unk_token": "[UNK]"}


def seq(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def pieces(normalizer, pre, texts):
    """A vocabulary of all but every fifth piece."""
    hf = Tokenizer.from_str(json.dumps(file(level(["[UNK]"]), (), normalizer, pre)))
    found = set()
    for t in texts:
        s = hf.normalizer.normalize_str(t) if normalizer else t
        found |= {p for p, _ in hf.pre_tokenizer.pre_tokenize_str(s)} if pre else {s}
    return ["[UNK]"] + [p for i, p in enumerate(sorted(found - {""})) if i % 5 != 4]


def put(name, f, texts):
    hf = Tokenizer.from_str(json.dumps(f))
    none, parse = [], []
    for hf.encode_special_tokens, out in ((True, none), (False, parse)):
        out += [hf.encode(t, add_special_tokens=False).ids for t in texts]
    print(json.dumps({"name": name, "file": f, "texts": texts, "none": none, "parse": parse, "text": [hf.decode(x, skip_special_tokens=False) for x in parse],
                      "skipped": [hf.decode(x, skip_special_tokens=True) for x in parse], "around": hf.encode(texts[0]).ids}, ensure_ascii=False))


def step(name, normalizer=None, pre=None, texts=NASTY):
    put(name, file(level(pieces(normalizer, pre, texts)), (), normalizer, pre, None, {"type": "Fuse"}), texts)


for t in "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt":
    step(t, {"type": t})
step("Precompiled", {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap("a", "b")).decode()},
     texts=["a\u0301x a", "a\u1ada", "a\u1acf\u0301", "a\u0897!", "\u0600a", "\U00011a3aa", "a\r\n", "\ra", "xa\u0e33", "a\u200d", "a\U000e0100", "\u1100\u1161a", "a\u0300\u0301\u0302"])
step("Precompiled that drops, Metaspace first", {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap("a", "")).decode()},
     {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, ["ax", "aax", "axy z", "a", "xa", "aa\u0301x", " ax", "a\u1100\u1161x"])
bert = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": True}
step("Prepend, BertNormalizer", seq("normalizers", {"type": "Prepend", "prepend": "é"}, bert), None, NASTY + ["\u0378=V", "\u0301x", "ÀB", "\x00a", "中a", "É"])
step("NFD, StripAccents", seq("normalizers", {"type": "NFD"}, {"type": "StripAccents"}))
step("Prepend", {"type": "Prepend", "prepend": "▁"})
step("Replace", {"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
step("Replace by a Regex", {"type": "Replace", "pattern": {"Regex": r"\s+|(?=-)"}, "content": "_"})
for left in False, True:
    step("Strip %d" % left, {"type": "Strip", "strip_left": left, "strip_right": not left})
for clean, chinese, accents, lower in ((True, True, None, True), (True, True, None, False), (False, False, True, False), (True, False, False, True)):
    step("BertNormalizer", {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents, "lowercase": lower})
for b in "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous":
    for invert in False, True:
        step("Split %s %d" % (b, invert), pre={"type": "Split", "pattern": {"String": "-"}, "behavior": b, "invert": invert}, texts=["the-final--countdown-", "--", "-a", "a"])
    step("Punctuation " + b, pre={"type": "Punctuation", "behavior": b})
step("Split by a Regex", pre={"type": "Split", "pattern": {"Regex": r" ?[^(\s|[.,!?…。，、।۔،])]+"}, "behavior": "Isolated", "invert": False})
step("Split by nothing", pre={"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": False})
for t in "Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts":
    step(t, pre={"type": t})
step("Digits", pre={"type": "Digits", "individual_digits": False})
step("Digits, each", pre={"type": "Digits", "individual_digits": True})
step("CharDelimiterSplit", pre={"type": "CharDelimiterSplit", "delimiter": "o"})
step("FixedLength", pre={"type": "FixedLength", "length": 3})
for s in "always", "first", "never":
    for cut in False, True:
        step("Metaspace %s %d" % (s, cut), pre={"type": "Metaspace", "replacement": "▁", "prepend_scheme": s, "split": cut})
step("Metaspace of old", pre=seq("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}))
for prefix in False, True:
    step("ByteLevel %d" % prefix, pre=seq("pretokenizers", {"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": prefix}))

# added tokens: segments are normalised each by itself; ids are the vocabulary's or the next free ones; flags
texts = ["a<s>b", "a <s>b", "<s>", "x <s>", "ABC abc aBc", "ab the there the", "  <l>  b", "b  <r>  ", "<r> <l>", " <b>  <b> x", "<s><s>", "für über", "a b"]
prepend = seq("normalizers", {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
tokens = [added("<s>", 10, normalized=True, special=True), added("b", 20), added("<l>", lstrip=True), added("<r>", rstrip=True, special=True), added("<b>", lstrip=True, rstrip=True, normalized=True),
          added("the", single_word=True), added("<s>x", special=True)]
for name, n in (("Prepend", prepend), ("nothing", None), ("Lowercase", {"type": "Lowercase"})):
    vocab = ["[UNK]", "b", "▁a", "▁b", "▁x", "▁ab▁", "▁", "▁▁", "a", "abc abc abc", "ab ", " ", "  ", "x", "▁there▁", " there "]
    put("added tokens behind " + name, file(level(vocab), tokens + [added("ABC", normalized=True, special=True), added("ABC", normalized=False)], n, None, None,
                                            seq("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"})), texts)
# leftovers of the byte alphabet as added tokens, as in deepseek-coder
alphabet = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
bpe = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": {**alphabet, "he": 256, "ü": 257, "12": 258},
       "merges": ["h e", "1 2"]}
bpe["vocab"] = {k: v for k, v in bpe["vocab"].items() if k != "ü" or v < 256}
put("leftovers of the alphabet", file(bpe, [added("ö", 300, normalized=True), added("ü", 301, normalized=True)], None, byte_level, byte_level, byte_level), texts + NASTY)
falcon = seq("pretokenizers", {"type": "Punctuation", "behavior": "Contiguous"}, byte_level, {"type": "Digits", "individual_digits": False},
             {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False})
put("steps behind ByteLevel", file(bpe, [], None, falcon, None, byte_level), NASTY + ["x12345²½ 1212"])
put("ByteLevel as a normalizer", file(bpe, [], {"type": "ByteLevel"}, {"type": "Split", "pattern": {"String": "e"}, "behavior": "MergedWithNext", "invert": False}, None, byte_level), NASTY)

# models
words = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 8,
         "vocab": {p: i for i, p in enumerate(["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "##a", "hello", "日", "##本", "x", "##x", ".", "##"])}}
bert = seq("pretokenizers", {"type": "BertPreTokenizer"})
cls = {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}
for cleanup in False, True:
    put("WordPiece", file(words, [added("[CLS]", special=True), added("[SEP]", special=True)], {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": False, "strip_accents": None, "lowercase": True}, bert, cls,
                          {"type": "WordPiece", "prefix": "##", "cleanup": cleanup}), ["Unaffable hello.", "unaffx xx日本", "xxxxxxxx xxxxxxxxx", "日本日", "hello [SEP] . x", ""])
put("RobertaProcessing and a template", file(level(["[UNK]", "<s>", "</s>"]), [], None, None, seq("processors", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, {
    "type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": False}), None), ["<s>", "x"])

# decoders
PIECES = ["[UNK]", "a", "b", "▁a", "▁", "▁▁x", "##a", "x##y", "a</w>", "</w>", "<pad>", "|", ".", " .", " n't", " do not", " ' ", "Ġa", "é", "Ã", "©", "<0x41>", "<0xE4>", "<0xBD>", "<0xA0>", "<0xFF>", "<0x+A>", "<0xg0>", " ", "中"]
for d in (None, {"type": "ByteFallback"}, {"type": "Fuse"}, seq("decoders"), byte_level, seq("decoders", byte_level, {"type": "Replace", "pattern": {"String": "\ufffd"}, "content": "?"}), {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
          {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}, {"type": "WordPiece", "prefix": "##", "cleanup": True}, {"type": "BPEDecoder", "suffix": "</w>"},
          {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}, {"type": "Strip", "content": "a", "start": 1, "stop": 0},
          seq("decoders", {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0})):
    pre = {"type": "Split", "pattern": {"String": "\n"}, "behavior": "Removed", "invert": False}
    put("decoder " + (d["type"] if d else "none"), file(level(PIECES), [], None, pre, None, d),
        ["\n".join(p) for p in (PIECES[1:], PIECES[:0:-1], ["▁a", "▁a"], ["<pad>", "a", "a", "|", "a"], ["<0xE4>", "<0xBD>", "<0xA0>", "a"], ["<0xE4>", "<0xBD>", "a", "<0xE4>"], ["Ã", "©"], ["Ã", "a"], ["a</w>", "a</w>"])])
