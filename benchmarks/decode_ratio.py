"""Decode and prefill rates through the running app, streaming at 80x24, over llama-bench's on the same model.

Same library, threads, number of tokens and depth of context; in turn, many rounds (`paired`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.app_session import ask_once, demo_model
from benchmarks.large_vocabulary import write_large_vocabulary
from benchmarks.llama_tools import llama_bench
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.paired import in_turn, ratio_result
from benchmarks.report import Result, show

ROUNDS = 25
TOKENS = 256
BAR = 0.97
LARGE_ROUNDS = 25
LARGE_BAR = 0.98
"""Of a vocabulary of 151,936 tokens, where a token's own work is larger and ours is not."""
PREFILL_ROUNDS = 25
PREFILL_BAR = 0.97
LONG_PROMPT = " ".join(f"Ship number {number} sailed on to the sea." for number in range(1, 42))
"""Within one batch of 512 tokens, template included."""


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
    rates = in_turn(
        rounds,
        lambda: ask_once(TOKENS, threads, model).decode_tps,
        lambda: bench_rate(bench, model, threads, "-p", "0", "-n", str(TOKENS), "-d", str(depth)),
        name,
    )
    conditions = f"{TOKENS} tokens at depth {depth}, {threads} threads, {model.stem}"
    return ratio_result(name, rates, bar, conditions)


def _prefill(bench: Path, model: Path, threads: int) -> Result:
    figures = ask_once(1, threads, model, LONG_PROMPT).figures

    def ask() -> float:
        figures = ask_once(1, threads, model, LONG_PROMPT).figures
        return figures.prefill_tokens / figures.prefill_s

    tokens = figures.prefill_tokens
    name = "prefill rate over llama-bench"
    rates = in_turn(
        PREFILL_ROUNDS,
        ask,
        lambda: bench_rate(bench, model, threads, "-p", str(tokens), "-n", "0", "-b", "512"),
        name,
    )
    return ratio_result(name, rates, PREFILL_BAR, f"{tokens} tokens, {threads} threads, {model.stem}")


def bench_rate(bench: Path, model: Path, threads: int, *test: str) -> float:
    """tok/s of one repetition of a test of llama-bench."""
    command = [str(bench), "-m", str(model), *test, "-r", "1", "-t", str(threads), "-o", "json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(answer.stdout)[0]["avg_ts"])


if __name__ == "__main__":
    sys.exit(show(measure()))
