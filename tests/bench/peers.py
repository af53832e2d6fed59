#!/usr/bin/env python3
"""Tokenizing beside the peers, TSV: tokenizer, text, threads, program, MB of text, MB/s of a first pass and of a second over
the same text, and how many times that ours is.

    PYTHON=venv/bin/python REALTEXT=dir [PEERS='gpt2 t5'] [ROUNDS=5] [MEGATRON=dir] BENCH=peers make bench

Each figure is of a process of its own, which reads the text before the clock starts; the programs take turns, the median
of ROUNDS counts.  Peers that are slow get the first megabytes of the text only.  gigatoken gets its best case: bytes, split
by a separator during the call, its own threads.  A package that is not there is left out, and said so.

With MEGATRON=dir of its sources, and TORCH=python with torch, also JSONL to .bin/.idx: preprocess_data.py and
preprocess_data_fast.py by their own clock, lmtokenize | lmshard by the wall's from its start; peak memory, and whether the files are the same.
"""
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

T = os.environ.get("TOKENIZERS") or os.path.join(os.environ["SRC"], "../shared/data/tokenizers")
TEXT, B = os.environ["REALTEXT"], os.environ["B"]
ROUNDS = int(os.environ.get("ROUNDS", 5))
MB = 40
SLOW = {"tokenizers": 5, "tiktoken": 20, "sentencepiece": 5}
SEPARATOR = "<|endoftext|>"

# name, file of ours, of each peer
MODELS = [
    ("gpt2", "gpt2/tokenizer.json", {"gigatoken": "gpt2/tokenizer.json", "tokenizers": "gpt2/tokenizer.json", "tiktoken": "gpt2/gpt2.tiktoken"}),
    ("llama3.1", "llama3.1/tokenizer.json", {"gigatoken": "llama3.1/tokenizer.json", "tokenizers": "llama3.1/tokenizer.json"}),
    ("qwen2.5", "qwen2.5/tokenizer.json", {"gigatoken": "qwen2.5/tokenizer.json", "tokenizers": "qwen2.5/tokenizer.json"}),
    ("llama2", "llama2/tokenizer.model", {"gigatoken": "llama2/tokenizer.json", "sentencepiece": "llama2/tokenizer.model"}),
    ("mistral-v0.3", "mistral-v0.3/tokenizer.json", {"gigatoken": "mistral-v0.3/tokenizer.json", "sentencepiece": "mistral-v0.3/tokenizer.model"}),
    ("t5", "t5/spiece.model", {"sentencepiece": "t5/spiece.model", "tokenizers": "t5/tokenizer.json"}),
]


def read(path, mb):
    docs, n = [], 0
    with open(path, "rb") as f:
        for line in f:
            docs.append(json.loads(line)["text"])
            n += len(docs[-1].encode())
            if n >= mb * 1e6:
                break
    return docs, n


def gigatoken(path, docs, threads):
    import gigatoken as package
    t = package.Tokenizer(path)
    source = package.BytesSource([SEPARATOR.join(docs).encode()], separator=SEPARATOR)
    return lambda: t.encode_batch(source, parallel=threads > 1)


def tokenizers(path, docs, threads):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(path)
    return lambda: t.encode_batch(docs, add_special_tokens=False)


def tiktoken(path, docs, threads):
    import base64
    import tiktoken as package
    import tiktoken_ext.openai_public as openai
    with open(path, "rb") as f:
        ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in f)}
    e = package.Encoding("gpt2", pat_str=openai.r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    return lambda: e.encode_ordinary_batch(docs, num_threads=threads)


def sentencepiece(path, docs, threads):
    import sentencepiece as package
    t = package.SentencePieceProcessor(model_file=path)
    return lambda: t.encode(docs, num_threads=threads)


def worker(program, path, text, mb, threads):
    """A process's whole work: its line."""
    docs, n = read(text, float(mb))
    run = globals()[program](path, docs, int(threads))
    rates = []
    for _ in range(2):
        start = time.perf_counter()
        result = run()
        rates.append(n / 1e6 / (time.perf_counter() - start))
        del result
    print("%.1f\t%.1f\t%.1f" % (n / 1e6, *rates))


def figure(program, path, text, threads):
    """MB, first, second; or why there are none."""
    mb = SLOW.get(program, MB)
    command = [sys.executable, __file__, program, path, text, str(mb), str(threads)]
    if program == "ours":
        command = [B + "/tests/bench/tokenize", path, text, str(mb), str(threads)]
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
    p = subprocess.run(command, capture_output=True, text=True, env=env)
    if p.returncode:
        return p.stderr.strip().split("\n")[-1]
    return [float(x) for x in p.stdout.split()[:3]]


def encoders():
    only = os.environ.get("PEERS", "").split()
    print("tokenizer\ttext\tthreads\tprogram\tMB\tfirst\tsecond\tours/first\tours/second", flush=True)
    for name, own, peers in MODELS:
        for text in ("en", "zh", "code"):
            for threads in (1, 2):
                if only and name not in only:
                    continue
                programs = {"ours": own, **peers}
                got = {p: [] for p in programs}
                for r in range(ROUNDS):
                    order = list(programs)
                    for p in order[r % len(order):] + order[:r % len(order)]:
                        got[p].append(figure(p, os.path.join(T, programs[p]), "%s/%s.jsonl" % (TEXT, text), threads))
                ours = None
                for p, rows in got.items():
                    failed = [x for x in rows if isinstance(x, str)]
                    if failed:
                        print("%s\t%s\t%d\t%s\tskipped: %s" % (name, text, threads, p, failed[0]), flush=True)
                        continue
                    mb, first, second = (statistics.median(x) for x in zip(*rows))
                    ours = ours or (first, second)
                    print("%s\t%s\t%d\t%s\t%.0f\t%.1f\t%.1f\t%.2f\t%.2f" % (name, text, threads, p, mb, first, second, ours[0] / first, ours[1] / second), flush=True)


def peak(command, **more):
    """Seconds and peak megabytes of the largest process."""
    start = time.perf_counter()
    p = subprocess.Popen(command, **more)
    _, status, use = os.wait4(p.pid, 0)
    if status:
        sys.exit("%s: status %d" % (command, status))
    return time.perf_counter() - start, use.ru_maxrss / 1024


def megatron():
    source, text, torch = os.environ["MEGATRON"], TEXT + "/en.jsonl", os.environ.get("TORCH", sys.executable)
    mb = os.path.getsize(text) / 1e6
    print("JSONL to .bin/.idx\tworkers\tprogram\tMB/s\tours/it\tpeak MB\tthe same files")
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as d:
            model = os.path.join(T, "gpt2")
            rates = []
            for _ in range(ROUNDS):
                seconds, memory = peak(["sh", "-c", "'%s'/bin/lmtokenize -q -j%d -t '%s' --eod='<|endoftext|>' '%s' | '%s'/bin/lmshard -q -o '%s'/ours"
                                        % (B, workers, model, text, B, d)])
                rates.append(mb / seconds)
            ours = statistics.median(rates)
            print("en, gpt2\t%d\tlmtokenize | lmshard\t%.1f\t1.00\t%.0f\t" % (workers, ours, memory), flush=True)
            for tool in ("preprocess_data_fast.py", "preprocess_data.py"):
                few, cut = os.path.join(d, "few.jsonl"), 30e6 if tool == "preprocess_data.py" else mb * 1e6
                with open(text, "rb") as f, open(few, "wb") as out:
                    while out.tell() < cut:
                        line = f.readline()
                        if not line:
                            break
                        out.write(line)
                p = subprocess.run([torch, os.path.join(source, "tools", tool), "--input", few, "--output-prefix", d + "/peer", "--workers", str(workers),
                                    "--tokenizer-type", "HuggingFaceTokenizer", "--tokenizer-model", model, "--append-eod"],
                                   capture_output=True, text=True, env=dict(os.environ, PYTHONPATH=source))
                said = re.findall(r"([0-9.]+) MB/s", p.stdout + p.stderr)
                if p.returncode or not said:
                    print("en, gpt2\t%d\t%s\tskipped: %s" % (workers, tool, (p.stderr.strip().split("\n") or [""])[-1]), flush=True)
                    continue
                subprocess.run("'%s'/bin/lmtokenize -q -t '%s' --eod='<|endoftext|>' '%s' | '%s'/bin/lmshard -q -o '%s'/ours" % (B, model, few, B, d), shell=True, check=True)
                same = all(subprocess.run(["cmp", "-s", d + "/ours" + e, d + "/peer_text_document" + e]).returncode == 0 for e in (".bin", ".idx"))
                rate = float(said[-1])
                used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                print("en, gpt2\t%d\t%s\t%.2f\t%.1f\t%.0f\t%s" % (workers, tool, rate, ours / rate, used, "yes" if same else "no"), flush=True)


if len(sys.argv) > 1:
    worker(*sys.argv[1:])
else:
    encoders()
    if "MEGATRON" in os.environ:
        megatron()
