"""Predicted against measured rates: SmolLM2 as F16, Q8_0, Q4_K_M and Q4_0, predicted by a calibration alone.

Each round calibrates this machine and then has llama-bench measure each type, since a shared machine changes its speed
within minutes; the figure of a type is the median of its rounds' ratios, and the worst type counts.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.app_session import demo_model
from benchmarks.llama_tools import llama_bench, llama_quantize
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.quantize_ratio import run
from benchmarks.report import Result, show
from edgetui.core.run_settings import LoadSettings
from edgetui.core.speed_forecast import MODEL_ERROR, PROMPT_TOKENS, threads_of
from edgetui.formats.gguf import read_gguf
from edgetui.formats.model_shape import model_shape
from edgetui.services.speed import BENCH_DEPTH, BUDGET_S, GENERATED_TOKENS, LEAST_BUFFER_BYTES, forecast_from
from edgetui.worker.protocol import Calibrate, Calibrated
from edgetui.worker.session import session_worker

if TYPE_CHECKING:
    from edgetui.core.calibration import Calibration
    from edgetui.core.fit import SpeedForecast

TYPES = ("F16", "Q8_0", "Q4_K_M", "Q4_0")
ROUNDS = 5


def measure() -> list[Result]:
    """Decode and prefill, with one thread a physical core."""
    return measure_with(min(psutil.cpu_count(logical=False) or 1, usable_cores()))


def measure_with(threads: int) -> list[Result]:
    """The same with a number of threads that the calibration measures."""
    warn_when_busy()
    ratios: dict[tuple[str, str], list[float]] = {}
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        models = _make_models(home)
        for number in range(ROUNDS):
            calibration = asyncio.run(calibrated(home / "logs"))
            for name, model in models.items():
                found = _predict(calibration, model, threads)
                prefill, decode = bench_rates(model, threads)
                ratios.setdefault(("pp", name), []).append(found.prefill_tps / prefill)
                ratios.setdefault(("tg", name), []).append(found.decode_tps / decode)
                line = f"round {number + 1} {name}: decode ~{found.decode_tps:.1f}, {decode:.1f} tok/s"
                lines.append(f"{line}; prefill ~{found.prefill_tps:.0f}, {prefill:.0f} tok/s")
                print(lines[-1], flush=True)
    results = []
    for test, what in (("tg", "decode"), ("pp", "prefill")):
        medians = {name: statistics.median(ratios[test, name]) for name in TYPES}
        told = (f"{name}: predicted over measured {ratio:.3f}" for name, ratio in medians.items())
        results.append(
            Result(
                f"largest error of predicted {what}",
                max(abs(ratio - 1) for ratio in medians.values()) * 100,
                "%",
                MODEL_ERROR[test] * 100,
                "lower",
                (
                    f"{ROUNDS} rounds in turn, pp{PROMPT_TOKENS} and tg{GENERATED_TOKENS}, {threads} threads",
                    *told,
                    *(lines if test == "tg" else ()),
                ),
            )
        )
    return results


def _make_models(home: Path) -> dict[str, Path]:
    tool, source = llama_quantize(), home / "F16.gguf"
    run([tool, "--allow-requantize", demo_model(), source, "F16"], home)
    models = {name: home / f"{name}.gguf" for name in TYPES}
    for name, model in models.items():
        if not model.exists():
            run([tool, source, model, name], home)
    return models


async def calibrated(logs: Path) -> Calibration:
    """A calibration of this machine as a chat would make it; whatever others do meanwhile."""
    command = Calibrate(budget_s=BUDGET_S, buffer_bytes=LEAST_BUFFER_BYTES)
    async with session_worker(logs) as worker, aclosing(worker.request(command)) as events:
        async for event in events:
            if isinstance(event, Calibrated):
                return event.calibration
    raise SystemExit("The worker calibrated nothing.")


def _predict(calibration: Calibration, model: Path, threads: int) -> SpeedForecast:
    part = threads_of(calibration, threads)
    if part.value is None:
        raise SystemExit(f"There is no forecast: {part.reason}.")
    # The physical batch of llama-bench is that of a chat.
    settings = LoadSettings(threads=threads)
    found = forecast_from(model_shape(read_gguf(model)), part.value, settings, BENCH_DEPTH)
    if found.value is None:
        raise SystemExit(f"There is no forecast: {found.reason}.")
    return found.value


def bench_rates(model: Path, threads: int) -> tuple[float, float]:
    """tok/s of one repetition of llama-bench's prefill and decode."""
    rows = {row["n_gen"] == 0: float(row["avg_ts"]) for row in _bench(model, threads, PROMPT_TOKENS)}
    return rows[True], rows[False]


def deep_decode_rate(model: Path, threads: int, depth: int) -> float:
    """tok/s of one repetition of llama-bench's decode after so many tokens, with flash attention as edgetui has it."""
    (row,) = _bench(model, threads, 0, "-d", str(depth), "-fa", "1")
    return float(row["avg_ts"])


def _bench(model: Path, threads: int, prompt_tokens: int, *more: str) -> list[dict[str, float]]:
    tests = ["-p", str(prompt_tokens), "-n", str(GENERATED_TOKENS), "-r", "1", "-t", str(threads), "-o", "json", *more]
    answer = subprocess.run([llama_bench(), "-m", model, *tests], check=True, capture_output=True, text=True)
    rows: list[dict[str, float]] = json.loads(answer.stdout)
    return rows


if __name__ == "__main__":
    sys.exit(show(measure_with(int(sys.argv[1])) if len(sys.argv) > 1 else measure()))
