"""Decode rate through the running app, streaming at 80x24, over llama-bench's tg on the same model.

Same library, threads, number of tokens and depth of context; in turn, several rounds. The figure is the median of the
rounds' own ratios: the machines this runs on change their speed by a fifth within minutes, which puts the two medians
of a run into different minutes, while both measurements of a round are seconds apart.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.app_session import ask_once, demo_model
from benchmarks.llama_tools import llama_bench
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 15
TOKENS = 256
BAR = 0.97


def measure() -> list[Result]:
    """Alternate app and llama-bench; each takes the lead in every other round."""
    import psutil

    bench, model = llama_bench(), demo_model()
    threads = min(psutil.cpu_count(logical=False) or 1, usable_cores())
    warn_when_busy()
    depth = ask_once(TOKENS, threads).figures.prompt_tokens
    bench_rate(bench, model, threads, depth)
    app: list[float] = []
    reference: list[float] = []
    for round_number in range(ROUNDS):
        if round_number % 2:
            reference.append(bench_rate(bench, model, threads, depth))
        app.append(ask_once(TOKENS, threads).decode_tps)
        if not round_number % 2:
            reference.append(bench_rate(bench, model, threads, depth))
        print(f"round {round_number + 1}: app {app[-1]:.1f}, llama-bench {reference[-1]:.1f} tok/s", flush=True)
    return [
        Result(
            "decode rate while streaming over llama-bench",
            statistics.median(ours / theirs for ours, theirs in zip(app, reference, strict=True)),
            "",
            BAR,
            "higher",
            (
                f"{ROUNDS} rounds in turn, {TOKENS} tokens at depth {depth}, {threads} threads, {model.stem}",
                f"ratio of the medians {statistics.median(app) / statistics.median(reference):.3f}",
                f"edgetui {summary(app)}",
                f"llama-bench {summary(reference)}",
            ),
        )
    ]


def bench_rate(bench: Path, model: Path, threads: int, depth: int) -> float:
    """tok/s of one repetition of llama-bench's token generation test."""
    answer = subprocess.run(
        [
            bench,
            "-m",
            model,
            "-p",
            "0",
            "-n",
            str(TOKENS),
            "-d",
            str(depth),
            "-r",
            "1",
            "-t",
            str(threads),
            "-o",
            "json",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(answer.stdout)[0]["avg_ts"])


def summary(rates: list[float]) -> str:
    """`median 171.2 tok/s (168.0 to 173.9)`."""
    return f"median {statistics.median(rates):.1f} tok/s ({min(rates):.1f} to {max(rates):.1f})"


if __name__ == "__main__":
    sys.exit(show(measure()))
