"""Predicted against measured memory of a worker: types, contexts and KV-cache types of the demo model.

Measured is the peak of what the worker holds (VmHWM: its own memory and the mapped file) after a whole batch of prefill
and some decode.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

import psutil

from benchmarks.app_session import demo_model
from benchmarks.llama_tools import llama_quantize
from benchmarks.quantize_ratio import run
from benchmarks.report import Result, show
from edgetui.core.run_settings import KvCacheType, LoadSettings, SamplingSettings
from edgetui.worker.protocol import EstimateMemory, Generate, Load, MemoryEstimated
from edgetui.worker.session import session_worker

TYPES = ("F16", "Q8_0", "Q4_K_M", "Q4_0")
CONTEXTS = (512, 2048, 8192)
CACHES: tuple[KvCacheType, ...] = ("f16", "q8_0")
BAR_PERCENT = 5.0
PROMPT = "The sea is wide and the night is long. " * 45
"""Over 400 tokens: with a context of 512 nearly a whole batch, and room for some decode."""


def measure() -> list[Result]:
    """Every combination once; the worst error counts."""
    with tempfile.TemporaryDirectory() as folder:
        return [asyncio.run(_measure(Path(folder)))]


async def _measure(home: Path) -> Result:
    logs = home / "logs"
    tool, source = llama_quantize(), home / "F16.gguf"
    run([tool, "--allow-requantize", demo_model(), source, "F16"], home)
    errors: list[tuple[float, str]] = []
    for type_name in TYPES:
        model = home / f"{type_name}.gguf"
        if not model.exists():
            run([tool, source, model, type_name], home)
        for tokens in CONTEXTS:
            for cache in CACHES:
                settings = LoadSettings(context_tokens=tokens, kv_cache_type=cache)
                predicted, measured = await _predicted(logs, model, settings), await _measured(logs, model, settings)
                error = (predicted / measured - 1) * 100
                line = f"{type_name} {tokens} {cache}: ~{predicted / 2**20:.0f} MiB, {measured / 2**20:.0f} MiB"
                errors.append((error, f"{line}, {error:+.1f} %"))
                print(errors[-1][1], flush=True)
    worst = max(abs(error) for error, _ in errors)
    lines = tuple(line for _, line in errors)
    return Result("largest error of predicted memory", worst, "%", BAR_PERCENT, "lower", lines)


async def _predicted(logs: Path, model: Path, settings: LoadSettings) -> int:
    command = EstimateMemory(path=str(model), settings=(settings,))
    async with session_worker(logs) as worker, aclosing(worker.request(command)) as events:
        async for event in events:
            if isinstance(event, MemoryEstimated) and event.parts[0] is not None:
                return event.parts[0].total
    raise SystemExit("The worker predicted nothing.")


async def _measured(logs: Path, model: Path, settings: LoadSettings) -> int:
    answer = Generate(turn=1, prompt=PROMPT, sampling=SamplingSettings(max_tokens=32, ignore_eos=True, seed=1))
    async with session_worker(logs) as worker:
        for command in (Load(path=str(model), settings=settings), answer):
            async with aclosing(worker.request(command)) as events:
                async for _ in events:
                    pass
        return _peak_bytes(worker.pid)


def _peak_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return int(psutil.Process(pid).memory_info().rss)
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(show(measure()))
