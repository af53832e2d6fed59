#!/usr/bin/env python3
"""Tokenizing beside the peers, TSV: tokenizer, text, threads, program, MB of text, MB/s of a first pass and of a second over
the same text, and how many times that ours is.

    PYTHON=venv/bin/python REALTEXT=dir [PEERS='gpt2 t5'] [ROUNDS=5] [MEGATRON=dir] BENCH=peers make bench

Each figure is of a process of its own, which reads the text before the clock starts; the programs take turns, the median
of ROUNDS counts.  The clock holds the calls that encode, with the making of their results, which are dropped as soon as
they are there, by ours too, and not the loading of the tokenizer.  Peers that are slow get the first megabytes of the text
only.  gigatoken gets its best case: bytes, split by a separator during the call, in batches, a tokenizer for each thread;
all of the text in one call is up to 1.4 times slower, with its own pool of two threads up to 2.5 times, in a second pass.
A package that is not there is left out, and said so.

Then training of vocabularies.  `peers.py trainers` is that alone, `peers.py megatron` what follows.

With MEGATRON=dir of its sources, and TORCH=python with torch, also JSONL to .bin/.idx: preprocess_data.py, on a few
megabytes, and preprocess_data_fast.py by their own clock, which starts late, lmtokenize | lmshard by the wall's; whether the files are
the same; the bare encoder's first pass over the text; peak memory of each of the two, also on ten times the text.
"""
import filecmp
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

T = os.environ.get("TOKENIZERS") or os.path.join(os.environ["SRC"], "../shared/data/tokenizers")
TEXT, B = os.environ["REALTEXT"], os.environ["B"]
ROUNDS = int(os.environ.get("ROUNDS", 5))
MB = 40
SLOW = {"tokenizers": 5, "tiktoken": 20, "sentencepiece": 5}
BATCH = 4
SEPARATOR = "<|endoftext|>"

# name, file of ours, of each peer
MODELS = [
    ("gpt2", "gpt2/tokenizer.json", {"gigatoken": "gpt2/tokenizer.json", "tokenizers": "gpt2/tokenizer.json", "tiktoken": "gpt2/gpt2.tiktoken"}),
    ("llama3.1", "llama3.1/tokenizer.json", {"gigatoken": "llama3.1/tokenizer.json", "tokenizers": "llama3.1/tokenizer.json", "tiktoken": "llama3.1/tokenizer.model"}),
    ("qwen2.5", "qwen2.5/tokenizer.json", {"gigatoken": "qwen2.5/tokenizer.json", "tokenizers": "qwen2.5/tokenizer.json", "tiktoken": "qwen2.5/qwen.tiktoken"}),
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


def batches(docs, mb):
    batch, n = [], 0
    for doc in docs:
        batch.append(doc)
        n += len(doc.encode())
        if n >= mb * 1e6:
            yield batch
            batch, n = [], 0
    if batch:
        yield batch


def gigatoken(path, docs, threads):
    import gigatoken as package

    def share(k):
        t = package.Tokenizer(path)
        return t, [package.BytesSource([SEPARATOR.join(b).encode()], separator=SEPARATOR) for b in batches(docs[k::threads], BATCH)]
    shares = [share(k) for k in range(threads)]

    def encode(t, sources):
        for source in sources:
            t.encode_batch(source, parallel=False)

    def run():
        started = [threading.Thread(target=encode, args=s) for s in shares]
        for t in started:
            t.start()
        for t in started:
            t.join()
    return run


def tokenizers(path, docs, threads):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(path)
    return lambda: t.encode_batch_fast(docs, add_special_tokens=False)


def tiktoken(path, docs, threads):
    """A pattern is that of the tokenizer.json beside the ranks, or GPT-2's, which is not in it."""
    import base64
    import tiktoken as package
    import tiktoken_ext.openai_public as openai
    with open(path, "rb") as f:
        ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in f)}
    with open(os.path.join(os.path.dirname(path), "tokenizer.json"), "rb") as f:
        steps = json.load(f)["pre_tokenizer"].get("pretokenizers", [])
    patterns = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
    e = package.Encoding("ranks", pat_str=patterns[0] if patterns else openai.r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
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


def figure(program, path, text, threads, mb=MB):
    """MB, first, second; or why there are none."""
    mb = SLOW.get(program, mb)
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


def peak(command):
    """Seconds and peak megabytes of the largest process."""
    start = time.perf_counter()
    p = subprocess.Popen(command)
    _, status, use = os.wait4(p.pid, 0)
    if status:
        sys.exit("%s: status %d" % (command, status))
    return time.perf_counter() - start, use.ru_maxrss / 1024


def make_model(folder):
    """GPT-2 as transformers wants it."""
    os.mkdir(folder)
    shutil.copy(os.path.join(T, "gpt2/tokenizer.json"), folder)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "GPT2TokenizerFast", **{k + "_token": SEPARATOR for k in ("bos", "eos", "unk")}}, f)


def head(path, to, mb):
    """The first lines, of that many megabytes, or all; how many there are."""
    with open(path, "rb") as f, open(to, "wb") as out:
        while out.tell() < mb * 1e6 and (line := f.readline()):
            out.write(line)
    return os.path.getsize(to) / 1e6


def pipe(model, texts, prefix, workers):
    """MB/s of the wall's clock and peak megabytes of lmtokenize and of lmshard."""
    start = time.perf_counter()
    first = subprocess.Popen([B + "/bin/lmtokenize", "-q", "-j%d" % workers, "-t", model, "--special", "parse", "--eod=" + SEPARATOR, *texts],
                             stdout=subprocess.PIPE)
    second = subprocess.Popen([B + "/bin/lmshard", "-q", "-o", prefix], stdin=first.stdout)
    first.stdout.close()
    ends = [os.wait4(p.pid, 0) for p in (first, second)]
    if any(status for _, status, _ in ends):
        sys.exit("lmtokenize | lmshard: status %s" % [status for _, status, _ in ends])
    mb = sum(os.path.getsize(text) for text in texts) / 1e6
    return (mb / (time.perf_counter() - start), *(use.ru_maxrss / 1024 for _, _, use in ends))


def megatron_rate(tool, options, model, text, prefix, workers):
    """MB/s by its own clock, or why there is none."""
    source = os.environ["MEGATRON"]
    command = [os.environ.get("TORCH", sys.executable), os.path.join(source, "tools", tool), "--input", text, "--output-prefix", prefix, *options,
               "--tokenizer-type", "HuggingFaceTokenizer", "--tokenizer-model", model, "--append-eod"]
    path = source + ":" + os.environ.get("PYTHONPATH", "")
    p = subprocess.run(command, capture_output=True, text=True,
                       env=dict(os.environ, RAYON_NUM_THREADS=str(workers), TOKENIZERS_PARALLELISM="false", PYTHONPATH=path))
    said = re.findall(r"([0-9.]+) MB/s", p.stdout + p.stderr)
    elapsed = re.findall("Elapsed time: ([0-9.]+)", p.stdout)
    if p.returncode or not said + elapsed:
        return "status %d: %s" % (p.returncode, p.stderr.strip().split("\n")[-1])
    return float(said[-1]) * 2**20 / 1e6 if said else os.path.getsize(text) / 1e6 / float(elapsed[-1])


def same_files(model, text, d, workers):
    pipe(model, [text], d + "/ours", workers)
    return all(filecmp.cmp(d + "/ours" + e, d + "/peer_text_document" + e, False) for e in (".bin", ".idx"))


# program, its options at a number of workers, MB of text
PREPROCESS = [("preprocess_data_fast.py", lambda workers: ["--use-gigatoken"], 1000),
              ("preprocess_data.py", lambda workers: ["--workers", str(workers), "--log-interval", "100"], 10)]


def megatron_round(model, text, d, workers, got):
    got["lmtokenize | lmshard"].append(pipe(model, [text], d + "/ours", workers))
    mb, rate, _ = figure("ours", os.path.join(T, "gpt2/tokenizer.json"), text, workers, 1000)
    got["the encoder alone"].append((rate * os.path.getsize(text) / 1e6 / mb,)) # of the file, as the others
    for tool, options, mb in PREPROCESS:
        few = "%s/%d.jsonl" % (d, mb)
        rate = megatron_rate(tool, options(workers), model, few, d + "/peer", workers)
        got[tool].append(rate if isinstance(rate, str) else (rate, "same files" if same_files(model, few, d, workers) else "other files"))


def megatron():
    print("JSONL to .bin/.idx\tworkers\tprogram\tMB/s\tours/it\tpeak MB of each, or the files")
    with tempfile.TemporaryDirectory() as d:
        text, model = TEXT + "/en.jsonl", d + "/model"
        make_model(model)
        for _, _, mb in PREPROCESS:
            head(text, "%s/%d.jsonl" % (d, mb), mb)
        for workers in (1, 2):
            got = {p: [] for p in ["lmtokenize | lmshard", "the encoder alone"] + [tool for tool, _, _ in PREPROCESS]}
            for _ in range(ROUNDS):
                megatron_round(model, text, d, workers, got)
            ours = statistics.median(row[0] for row in got["lmtokenize | lmshard"])
            for program, rows in got.items():
                failed = [row for row in rows if isinstance(row, str)]
                if failed:
                    print("en, gpt2\t%d\t%s\tskipped: %s" % (workers, program, failed[0]), flush=True)
                    continue
                rate = statistics.median(row[0] for row in rows)
                rest = ["%.0f" % x if isinstance(x, float) else x for x in max(row[1:] for row in rows)]
                print("en, gpt2\t%d\t%s\t%.2f\t%.2f\t%s" % (workers, program, rate, ours / rate, " ".join(rest)), flush=True)
            rate, *peaks = pipe(model, [text] * 10, d + "/ours", workers)
            print("en ten times, gpt2\t%d\tlmtokenize | lmshard\t%.2f\t\t%s" % (workers, rate, " ".join("%.0f" % x for x in peaks)), flush=True)


def train_gigatoken(text):
    import gigatoken as package
    with open(text, "rb") as f:
        package.train_bpe(f.read(), PIECES, [])


def train_tokenizers(text):
    from tokenizers import ByteLevelBPETokenizer
    ByteLevelBPETokenizer().train([text], vocab_size=PIECES, show_progress=False)


def train_sentencepiece(text, kind):
    import sentencepiece as package
    with tempfile.TemporaryDirectory() as d:
        package.SentencePieceTrainer.train(input=text, model_prefix=d + "/m", vocab_size=PIECES, model_type=kind, num_threads=2, minloglevel=2,
                                           max_sentence_length=1 << 20)


# what of ours, and each peer's function and arguments
TRAINERS = [("bpe", [("gigatoken", "train_gigatoken"), ("tokenizers", "train_tokenizers")]), ("sp-bpe", [("sentencepiece", "train_sentencepiece", "bpe")]),
            ("unigram", [("sentencepiece", "train_sentencepiece", "unigram")])]
PIECES = 32000


def trainers():
    """Training on the first 100 MB of English, two threads: seconds of the whole process, once."""
    print("vocabulary\tprogram\tseconds\tit/ours\tpeak MB")
    with tempfile.TemporaryDirectory() as d:
        text = d + "/text"
        head(TEXT + "/en.txt", text, 100)
        for kind, peers in TRAINERS:
            ours, memory = peak([B + "/bin/lmvocab", "-q", "-j2", "--type", kind, "--from", "txt", "-n", str(PIECES), "-o",
                                 d + ("/v.json" if kind == "bpe" else "/v.model"), text])
            print("%s\tlmvocab\t%.1f\t1.00\t%.0f" % (kind, ours, memory), flush=True)
            for program, *call in peers:
                command = "timeout 900 '%s' '%s' train %s '%s' %s" % (sys.executable, __file__, call[0], text, " ".join(call[1:]))
                try:
                    seconds, memory = peak(["env", "RAYON_NUM_THREADS=2", "sh", "-c", command])
                    print("%s\t%s\t%.1f\t%.2f\t%.0f" % (kind, program, seconds, seconds / ours, memory), flush=True)
                except SystemExit as e:
                    print("%s\t%s\tskipped: %s" % (kind, program, e), flush=True)


if sys.argv[1:2] == ["train"]:
    globals()[sys.argv[2]](*sys.argv[3:])
elif sys.argv[1:] in (["megatron"], ["trainers"]):
    globals()[sys.argv[1]]()
elif len(sys.argv) > 1:
    worker(*sys.argv[1:])
else:
    encoders()
    trainers()
    if "MEGATRON" in os.environ:
        megatron()
