"""Decode and prefill rates through the running app, streaming at 80x24, over llama-bench's on the same model.

Same library, threads, number of tokens and depth of context; in turn, several rounds. The figure is the median of the
rounds' own ratios: the machines this runs on change their speed by a fifth within minutes, which puts the two medians
of a run into different minutes, while both measurements of a round are seconds apart.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.app_session import ask_once, demo_model
from benchmarks.large_vocabulary import write_large_vocabulary
from benchmarks.llama_tools import llama_bench
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
TOKENS = 256
BAR = 0.97
LARGE_ROUNDS = 9
LARGE_BAR = 0.98
"""Of a vocabulary of 151,936 tokens, where a token's own work is larger and ours is not."""
PREFILL_ROUNDS = 9
PREFILL_BAR = 0.97
LONG_PROMPT = " ".join(f"Ship number {number} sailed on to the sea." for number in range(1, 42))
"""Within one batch of 512 tokens, template included."""

Rates = tuple[list[float], list[float]]


def measure() -> list[Result]:
    """Decode with the demo model and with a larger vocabulary, then prefill."""
    import psutil

    bench, model = llama_bench(), demo_model()
    threads = min(psutil.cpu_count(logical=False) or 1, usable_cores())
    warn_when_busy()
    with tempfile.TemporaryDirectory() as folder:
        large = write_large_vocabulary(model, Path(folder) / "large-vocabulary.gguf")
        return [
            _decode("decode rate while streaming over llama-bench", bench, model, threads, ROUNDS, BAR),
            _decode("decode rate with a vocabulary of 151,936", bench, large, threads, LARGE_ROUNDS, LARGE_BAR),
            _prefill(bench, model, threads),
        ]


def _decode(name: str, bench: Path, model: Path, threads: int, rounds: int, bar: float) -> Result:
    depth = ask_once(TOKENS, threads, model).figures.prompt_tokens
    rates = _in_turn(
        rounds,
        lambda: ask_once(TOKENS, threads, model).decode_tps,
        lambda: bench_rate(bench, model, threads, "-p", "0", "-n", str(TOKENS), "-d", str(depth)),
    )
    conditions = f"{rounds} rounds in turn, {TOKENS} tokens at depth {depth}, {threads} threads, {model.stem}"
    return _result(name, rates, bar, conditions)


def _prefill(bench: Path, model: Path, threads: int) -> Result:
    figures = ask_once(1, threads, model, LONG_PROMPT).figures

    def ask() -> float:
        figures = ask_once(1, threads, model, LONG_PROMPT).figures
        return figures.prefill_tokens / figures.prefill_s

    tokens = figures.prefill_tokens
    rates = _in_turn(
        PREFILL_ROUNDS, ask, lambda: bench_rate(bench, model, threads, "-p", str(tokens), "-n", "0", "-b", "512")
    )
    conditions = f"{PREFILL_ROUNDS} rounds in turn, {tokens} tokens, {threads} threads, {model.stem}"
    return _result("prefill rate over llama-bench", rates, PREFILL_BAR, conditions)


def _in_turn(rounds: int, ask: Callable[[], float], reference: Callable[[], float]) -> Rates:
    """Alternate app and llama-bench; each takes the lead in every other round."""
    reference()
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        if number % 2:
            theirs.append(reference())
        ours.append(ask())
        if not number % 2:
            theirs.append(reference())
        print(f"round {number + 1}: app {ours[-1]:.1f}, llama-bench {theirs[-1]:.1f} tok/s", flush=True)
    return ours, theirs


def _result(name: str, rates: Rates, bar: float, conditions: str) -> Result:
    ours, theirs = rates
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    return Result(
        name,
        statistics.median(ratios),
        "",
        bar,
        "higher",
        (
            conditions,
            f"ratios of the rounds {ratios[0]:.3f} to {ratios[-1]:.3f}; of the medians"
            f" {statistics.median(ours) / statistics.median(theirs):.3f}",
            f"edgetui {summary(ours)}",
            f"llama-bench {summary(theirs)}",
        ),
    )


def bench_rate(bench: Path, model: Path, threads: int, *test: str) -> float:
    """tok/s of one repetition of a test of llama-bench."""
    command = [str(bench), "-m", str(model), *test, "-r", "1", "-t", str(threads), "-o", "json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(answer.stdout)[0]["avg_ts"])


def summary(rates: list[float]) -> str:
    """`median 171.2 tok/s (168.0 to 173.9)`."""
    return f"median {statistics.median(rates):.1f} tok/s ({min(rates):.1f} to {max(rates):.1f})"


if __name__ == "__main__":
    sys.exit(show(measure()))
