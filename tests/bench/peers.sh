#!/bin/sh
# lmtokenize's encoder beside gigatoken, tiktoken, HF tokenizers and SentencePiece, where PYTHON has them: see peers.py.
: "${B:?}" "${SRC:?}"
if [ -z "$PYTHON" ] || [ -z "$REALTEXT" ]; then
    printf 'peers\tskipped: PYTHON=PROGRAM that has the packages, REALTEXT=DIR of en.jsonl zh.jsonl code.jsonl\n'
    exit 0
fi
exec "$PYTHON" "$SRC/tests/bench/peers.py"
