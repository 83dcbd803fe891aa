"""Wall time of a quantization by edgetui over llama-quantize's, F16 to Q4_K_M, same threads, in turn.

The whole command is timed on both sides; edgetui's includes starting Python, the job's process and its bookkeeping,
a constant that weighs on a model as small as the demo and not on a real one. So the job's own time is told beside it,
and that is what the bar is for.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.app_session import EDGETUI, demo_model
from benchmarks.llama_tools import llama_quantize
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
TYPE = "Q4_K_M"
BAR = 1.05


def measure() -> list[Result]:
    """Make an F16 model of the demo, then quantize it by both in turn."""
    tool, threads = llama_quantize(), usable_cores()
    warn_when_busy()
    whole: list[float] = []
    own: list[float] = []
    reference: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        source, target = home / "source.gguf", home / "made.gguf"
        run([tool, "--allow-requantize", demo_model(), source, "F16", str(threads)], home)
        quantize = ["--threads", str(threads), "--output", str(target), "--json"]
        for _ in range(ROUNDS):
            reference.append(timed(lambda: run([tool, source, target, TYPE, str(threads)], home), target)[0])
            seconds, answer = timed(lambda: run([EDGETUI, "quantize", source, TYPE, *quantize], home), target)
            whole.append(seconds)
            own.append(float(msgspec.json.decode(answer)["duration_s"]))
    return [
        Result(
            "quantize wall time over llama-quantize",
            statistics.median(own) / statistics.median(reference),
            "",
            BAR,
            "lower",
            (
                f"{ROUNDS} rounds in turn, {demo_model().stem} as F16 to {TYPE}, {threads} threads",
                f"edgetui's job {summary(own)}; its whole command {summary(whole)}",
                f"llama-quantize, whole command, {summary(reference)}",
            ),
        )
    ]


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
