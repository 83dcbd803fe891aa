"""Reading the header of a GGUF with a vocabulary of 262,144 tokens and 500,000 merges: time, and memory beside."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import Result, show
from tests.gguf_files import ARRAY, F32, STRING, Key, with_keys, write_gguf

TOKENS, MERGES = 262_144, 500_000
ROUNDS = 9
TIME_BAR_MS, MEMORY_BAR_MIB = 50.0, 20.0
CHILD = f"""
import json, resource, statistics, sys, time
from pathlib import Path
from edgetui.formats.gguf import read_gguf

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

path, times, before = Path(sys.argv[1]), [], peak()
for _ in range({ROUNDS}):
    began = time.perf_counter()
    header = read_gguf(path)
    times.append(time.perf_counter() - began)
grown = (peak() - before) / (1024 if sys.platform != "darwin" else 1024 ** 2)
told = {{"median_ms": statistics.median(times) * 1e3, "worst_ms": max(times) * 1e3, "mib": grown}}
print(json.dumps(told | {{"tokens": header.vocabulary_size, "header_mib": header.data_offset / 1024 ** 2}}))
"""


def measure() -> list[Result]:
    """A process of its own, so that its memory is what the reading took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large-vocabulary.gguf"
        kept = [key for key in with_keys() if key.name not in ("tokenizer.ggml.tokens", "tokenizer.ggml.scores")]
        tokens = (STRING, [f"token{number}" for number in range(TOKENS)])
        merges = (STRING, [f"a{number} b{number}" for number in range(MERGES)])
        lists = [
            Key("tokenizer.ggml.tokens", ARRAY, tokens),
            Key("tokenizer.ggml.merges", ARRAY, merges),
            Key("tokenizer.ggml.scores", ARRAY, (F32, [0.0] * TOKENS)),
        ]
        write_gguf(path, keys=[*kept, *lists])
        child = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
    told = json.loads(child.stdout)
    assert told["tokens"] == TOKENS, "the vocabulary was not read"
    lines = (
        f"{TOKENS:,} tokens and {MERGES:,} merges, a header of {told['header_mib']:.1f} MiB, {ROUNDS} rounds",
        f"median {told['median_ms']:.0f} ms, slowest {told['worst_ms']:.0f} ms, {told['mib']:.1f} MiB more resident",
    )
    return [
        Result("header of a 262k-token vocabulary", told["median_ms"], "ms", TIME_BAR_MS, "lower", lines),
        Result("memory for that header", told["mib"], "MiB", MEMORY_BAR_MIB, "lower", lines),
    ]


if __name__ == "__main__":
    sys.exit(show(measure()))
