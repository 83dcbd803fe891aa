"""Rows of `edgetui bench` against those of llama-bench itself: prefill, decode, both in one time, and at a depth.

The same library, model, threads and repetitions; a test at a time by both tools one right after the other, each in the
lead in every other round. The figure of a test is how far its ratio is shown to be from 1: 0 while the bootstrap
interval over the rounds' own ratios holds 1, else the distance of its nearer end. How wide that interval
is has a bar too, so that noise alone passes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.app_session import EDGETUI, demo_model
from benchmarks.llama_tools import llama_bench
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.paired import in_turn
from benchmarks.report import Result, show
from edgetui.core.statistics import bootstrap_ratio, mean, median

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 16
REPETITIONS = 3
BAR = 0.03
WIDTH_BAR = 0.1
"""Wider, and the machine was too noisy to say anything."""


class Test(NamedTuple):
    """A row's name, and the options by which both tools measure it alone."""

    name: str
    options: tuple[str, ...]


TESTS = (
    Test("pp256", ("-p", "256", "-n", "0")),
    Test("tg64", ("-p", "0", "-n", "64")),
    Test("pp128+tg32", ("-p", "0", "-n", "0", "-pg", "128,32")),
    Test("tg32 @ d512", ("-p", "0", "-n", "32", "-d", "512")),
)


def measure(rounds: int = ROUNDS, threads: int = 0) -> list[Result]:
    """A result a test; 0 threads are one a physical core."""
    import psutil

    bench, model = llama_bench(), demo_model()
    threads = threads or min(psutil.cpu_count(logical=False) or 1, usable_cores())
    warn_when_busy()
    with tempfile.TemporaryDirectory() as home:
        return [result for test in TESTS for result in _agreement(test, bench, model, threads, home, rounds)]


def _agreement(test: Test, bench: Path, model: Path, threads: int, home: str, rounds: int) -> list[Result]:
    options = [*test.options, "-r", str(REPETITIONS), "-t", str(threads)]
    ours, theirs = in_turn(
        rounds,
        lambda: _edgetui_rate(test, model, options, home),
        lambda: _llama_bench_rate(bench, model, options),
        test.name,
    )
    ratio = bootstrap_ratio(ours, theirs, seed=0)
    assert ratio is not None
    distance = min(abs(ratio.low - 1), abs(ratio.high - 1)) if ratio.is_shown else 0.0
    name = f"edgetui bench and llama-bench, {test.name}"
    details = (
        f"edgetui over llama-bench {ratio.ratio:.3f}, 95 % interval {ratio.low:.3f} to {ratio.high:.3f}",
        f"medians {median(ours):.2f} and {median(theirs):.2f} tok/s of {rounds} rounds, {threads} threads,"
        f" {REPETITIONS} repetitions each",
    )
    width = max(ratio.high / ratio.ratio, ratio.ratio / ratio.low) - 1
    return [
        Result(f"{name}: shown difference", distance, "", BAR, "lower", details),
        Result(f"{name}: interval to either side", width, "", WIDTH_BAR, "lower", details),
    ]


def _edgetui_rate(test: Test, model: Path, options: list[str], home: str) -> float:
    """As the command prints it; the job's process measures, the command's waits."""
    done = subprocess.run(
        [EDGETUI, "bench", str(model), *options, "--json"],
        env={**os.environ, "EDGETUI_HOME": home},
        capture_output=True,
        check=True,
    )
    (row,) = json.loads(done.stdout)
    assert row["name"] == test.name
    return float(row["avg_ts"])


def _llama_bench_rate(bench: Path, model: Path, options: list[str]) -> float:
    done = subprocess.run([bench, "-m", model, *options, "-o", "json"], capture_output=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    (row,) = rows
    return mean(row["samples_ts"])


if __name__ == "__main__":
    sys.exit(show(measure(*map(int, sys.argv[1:]))))
