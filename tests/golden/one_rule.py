"""A charsmap of one rule, to ask the normalizer Precompiled what it takes together."""
import struct


def charsmap(key, to):
    """The blob of SentencePiece's precompiled_charsmap with one rule."""
    unit = [0] * (256 * (len(key) + 2))
    at = 0
    for i, c in enumerate(key.encode()):
        unit[at] |= (at ^ 256 * (i + 1)) << 10
        at = 256 * (i + 1) ^ c
        unit[at] = c
    end = 256 * (len(key.encode()) + 1)
    unit[at] |= 1 << 8 | (at ^ end) << 10
    unit[end] = 1 << 31
    trie = struct.pack("<%dI" % len(unit), *unit)
    return struct.pack("<I", len(trie)) + trie + to.encode() + b"\0"
