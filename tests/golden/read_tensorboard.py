#!/usr/bin/env python3
"""Read a run's events with the tensorboard package and hold them against its metrics.tsv.

By hand: python3 -m venv v && v/bin/pip install tensorboard && v/bin/python read_tensorboard.py OUT
"""
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def float32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0] if math.isfinite(x) and abs(x) < 3.4e38 else x


def main(out):
    with open(out + "/metrics.tsv") as f:
        columns = f.readline().rstrip("\n").split("\t")[1:]
        lines = [line.rstrip("\n").split("\t") for line in f]
    events = EventAccumulator(out, size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    assert sorted(tags) == sorted(columns), (tags, columns)
    for i, tag in enumerate(columns):
        got = {}
        for e in events.Scalars(tag):
            assert e.step not in got, (tag, e.step, "twice")
            got[e.step] = e.value
        want = {int(line[0]): float32(float(line[i + 1])) for line in lines if line[i + 1]}
        assert got.keys() == want.keys(), (tag, sorted(got.keys() ^ want.keys())[:5])
        for step in want:
            assert got[step] == want[step], (tag, step)
    print(f"{out}: {len(columns)} tags, {len(lines)} steps: tensorboard and metrics.tsv agree")


main(sys.argv[1])
