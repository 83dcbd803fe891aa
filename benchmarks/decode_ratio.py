"""Decode and prefill rates through the running app, streaming at 80x24, over llama-bench's on the same model.

Same library, threads, number of tokens and depth of context; in turn, many rounds (`paired`). Both are as they come:
the app then reads the weights into huge pages, llama-bench maps the file. What the app itself costs shows in a shorter
series beside that, in which the app maps the file too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.app_session import ask_once, demo_model
from benchmarks.large_vocabulary import write_large_vocabulary
from benchmarks.llama_tools import llama_bench
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.paired import Rates, in_turn, ratio_result
from benchmarks.report import Result, show

ROUNDS = 25
TOKENS = 256
BAR = 0.97
LARGE_ROUNDS = 25
ALIKE_ROUNDS = 12
MAPPED = "use_mmap = true"
"""As llama-bench loads."""
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

    def theirs() -> float:
        return bench_rate(bench, model, threads, "-p", "0", "-n", str(TOKENS), "-d", str(depth))

    def ours(load: str = "") -> float:
        return ask_once(TOKENS, threads, model, load=load).decode_tps

    rates = in_turn(rounds, ours, theirs, name)
    alike = in_turn(ALIKE_ROUNDS, lambda: ours(MAPPED), theirs, f"{name}, both mapped")
    conditions = f"{TOKENS} tokens at depth {depth}, {threads} threads, {model.stem}"
    return _with_alike(ratio_result(name, rates, bar, conditions), alike)


def _prefill(bench: Path, model: Path, threads: int) -> Result:
    figures = ask_once(1, threads, model, LONG_PROMPT).figures

    tokens = figures.prefill_tokens

    def ours(load: str = "") -> float:
        figures = ask_once(1, threads, model, LONG_PROMPT, load).figures
        return figures.prefill_tokens / figures.prefill_s

    def theirs() -> float:
        return bench_rate(bench, model, threads, "-p", str(tokens), "-n", "0", "-b", "512")

    name = "prefill rate over llama-bench"
    rates = in_turn(PREFILL_ROUNDS, ours, theirs, name)
    alike = in_turn(ALIKE_ROUNDS, lambda: ours(MAPPED), theirs, f"{name}, both mapped")
    conditions = f"{tokens} tokens, {threads} threads, {model.stem}"
    return _with_alike(ratio_result(name, rates, PREFILL_BAR, conditions), alike)


def _with_alike(result: Result, alike: Rates) -> Result:
    """The result with what came of the series in which both map the file."""
    same = ratio_result("", alike, result.bar, "")
    told = f"with the file mapped by both, {len(alike.ours)} rounds: {same.value:.3f}, {same.details[1]}"
    return replace(result, details=(*result.details, told))


def bench_rate(bench: Path, model: Path, threads: int, *test: str) -> float:
    """tok/s of one repetition of a test of llama-bench."""
    command = [str(bench), "-m", str(model), *test, "-r", "1", "-t", str(threads), "-o", "json"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(answer.stdout)[0]["avg_ts"])


if __name__ == "__main__":
    sys.exit(show(measure()))
