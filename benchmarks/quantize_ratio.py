"""Wall time of a quantization by edgetui over llama-quantize's, F16 to Q4_K_M, same threads, in turn.

The whole command is timed on both sides; edgetui's includes starting Python, the job's process and its bookkeeping,
a constant that weighs on a model as small as the demo and not on a real one. So the job's own time is told beside it,
and that is what the bar is for; a model of a GiB with random weights tells the constant from the rate.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy

from benchmarks.app_session import EDGETUI, demo_model
from benchmarks.llama_tools import llama_quantize
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show
from tests.gguf_files import F32, U32, Key, Tensor, gguf_bytes, with_keys

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS, LARGE_ROUNDS = 7, 3
TYPE = "Q4_K_M"
BAR = 1.05
WIDTH, INNER, LAYERS, VOCABULARY = 2048, 5632, 12, 8192
"""Of the large model: 1.1 GiB in F16."""
_F16 = 1


class _Times(NamedTuple):
    """Seconds of each round."""

    whole: list[float]
    own: list[float]
    """Of edgetui's job alone."""
    reference: list[float]


def measure() -> list[Result]:
    """Make an F16 model of the demo and one of random weights, then quantize each by both in turn."""
    tool, threads = llama_quantize(), usable_cores()
    warn_when_busy()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        source = home / "source.gguf"
        run([tool, "--allow-requantize", demo_model(), source, "F16", str(threads)], home)
        small = time_both(source, ROUNDS, home)
        source.unlink()
        large_source = write_large(home / "large.gguf")
        size_gib = large_source.stat().st_size / 1024**3
        large = time_both(large_source, LARGE_ROUNDS, home)
    return [
        result("quantize wall time over llama-quantize", f"{demo_model().stem} as F16", small, threads),
        result(
            "quantize wall time over llama-quantize, large", f"{size_gib:.2f} GiB of random F16 weights", large, threads
        ),
    ]


def time_both(source: Path, rounds: int, home: Path) -> _Times:
    """Quantize `source` by both in turn."""
    tool, threads = llama_quantize(), usable_cores()
    target = home / "made.gguf"
    quantize = ["--threads", str(threads), "--output", str(target), "--json"]
    times = _Times([], [], [])
    for _ in range(rounds):
        times.reference.append(timed(lambda: run([tool, source, target, TYPE, str(threads)], home), target)[0])
        seconds, answer = timed(lambda: run([EDGETUI, "quantize", source, TYPE, *quantize], home), target)
        times.whole.append(seconds)
        times.own.append(float(msgspec.json.decode(answer)["duration_s"]))
    return times


def result(name: str, model: str, times: _Times, threads: int) -> Result:
    """The figure, and what both took."""
    own, reference = statistics.median(times.own), statistics.median(times.reference)
    return Result(
        name,
        own / reference,
        "",
        BAR,
        "lower",
        (
            f"{len(times.own)} rounds in turn, {model} to {TYPE}, {threads} threads",
            f"edgetui's job {summary(times.own)}, {own - reference:+.2f} s; its whole command {summary(times.whole)}",
            f"llama-quantize, whole command, {summary(times.reference)}",
        ),
    )


def write_large(path: Path) -> Path:
    """A LLaMA's shapes with random weights of the usual size."""
    keys = with_keys(
        Key("llama.block_count", U32, LAYERS),
        Key("llama.embedding_length", U32, WIDTH),
        Key("llama.feed_forward_length", U32, INNER),
        Key("llama.attention.head_count", U32, 32),
        Key("llama.attention.head_count_kv", U32, 8),
        Key("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        Key("llama.rope.dimension_count", U32, 64),
    )
    matrices = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH, WIDTH // 4),
        "attn_v": (WIDTH, WIDTH // 4),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (WIDTH, INNER),
        "ffn_up": (WIDTH, INNER),
        "ffn_down": (INNER, WIDTH),
    }
    tensors, offset = [], 0
    shapes = {"token_embd": (WIDTH, VOCABULARY), "output": (WIDTH, VOCABULARY)}
    shapes |= {f"blk.{layer}.{name}": shape for layer in range(LAYERS) for name, shape in matrices.items()}
    for name, shape in shapes.items():
        tensors.append(Tensor(f"{name}.weight", shape, _F16, offset))
        offset += 2 * shape[0] * shape[1]
    # Of a large tensor the helper writes no more than this behind the header.
    head = gguf_bytes(keys, tensors)[: -len(tensors) * (1 << 16)]
    random = numpy.random.default_rng(0)
    with path.open("wb") as stream:
        stream.write(head)
        for tensor in tensors:
            weights = random.standard_normal(tensor.shape[::-1], numpy.float32) * numpy.float32(0.02)
            stream.write(weights.astype(numpy.float16).tobytes())
    return path


def timed(work: Callable[[], bytes], target: Path) -> tuple[float, bytes]:
    """Seconds that `work` takes to make `target`, which is removed, and what it printed."""
    started = time.perf_counter()
    output = work()
    elapsed = time.perf_counter() - started
    target.unlink()
    return elapsed, output


def run(command: list[str | Path], home: Path) -> bytes:
    """Run a command over a home of its own; returns its stdout."""
    environment = {**os.environ, "EDGETUI_HOME": str(home), "HF_HOME": str(home / "hub")}
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ).stdout


def summary(seconds: list[float]) -> str:
    """`median 1.32 s (1.30 to 1.41)`."""
    return f"median {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    sys.exit(show(measure()))
