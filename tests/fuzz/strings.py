"""Seeded strings from nasty alphabets for what compares tokenizers: make(rng, count, added, vocab), of which `added` are the
contents of added tokens and `vocab` the vocabulary's entries, characters or bytes.
"""
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
MAPPED = {}
plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
for b in range(256):
    MAPPED[chr(b) if b in plain else chr(256 + sum(1 for x in range(b) if x not in plain))] = b




class Maker:
    def __init__(self, rng, added, vocab):
        self.rng, self.added, self.vocab = rng, added, vocab
        self.sources = [lambda s=s: rng.choice(s) for s in (SPACES, MARKS, LETTERS, CJK, EMOJI, DIGITS, PUNCT, WORDS)]
        self.sources += [self.token, self.special, self.scalar]

    def token(self):
        """A piece of the vocabulary as text."""
        t = self.rng.choice(self.vocab)
        if isinstance(t, bytes):
            return t.decode(errors="replace")
        try:
            return bytes(MAPPED[c] for c in t).decode()
        except (KeyError, UnicodeDecodeError):
            return t.replace("\u2581", " ")

    def special(self):
        rng = self.rng
        t = rng.choice(self.added) if self.added else "<s>"
        if rng.random() < 0.25:
            a = rng.randrange(len(t) + 1)
            t = t[:a] if rng.random() < 0.5 else t[a:]
        if rng.random() < 0.4:
            t = rng.choice(SPACES + [" ", "  "]) + t
        if rng.random() < 0.4:
            t += rng.choice(SPACES + [" ", "  "])
        return t

    def scalar(self):
        while True:
            c = self.rng.choice([self.rng.randrange(n) for n in (0x800, 0x3000, 0x20000, 0x110000)])
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def text(self):
        rng = self.rng
        kinds = rng.sample(self.sources, rng.randrange(1, 5))
        n = rng.choice((1, 2, 3, 5, 8, 13, 30))
        out = ""
        for _ in range(n):
            s = rng.choice(kinds)()
            out += s * (rng.randrange(1, 9) if rng.random() < 0.1 else 1)
        return out


def make(rng, count, added, vocab):
    maker = Maker(rng, added, vocab)
    return [maker.text() for _ in range(count)]
