"""Models that are not here, predicted from their published shapes, against llama.cpp on files with the same tensors.

The files hold a true header and a hole in place of the weights, which costs no disk and is computed as fast as weights
are. Memory is compared with a simulated load, speed with llama-bench.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.forecast_error import bench_rates, calibrated, deep_decode_rate
from benchmarks.machine import usable_cores, warn_when_busy
from benchmarks.report import Result, show
from edgetui.core.memory_formula import METADATA_BYTES_PER_TOKEN, memory_of
from edgetui.core.outline import shape_of
from edgetui.core.recommendation import OFFERED_TYPES
from edgetui.core.run_settings import LoadSettings
from edgetui.core.speed_forecast import MODEL_ERROR, PROMPT_TOKENS, threads_of
from edgetui.services.families import read_families
from edgetui.services.speed import BENCH_DEPTH, GENERATED_TOKENS, forecast_from
from edgetui.worker.protocol import EstimateMemory, MemoryEstimated
from edgetui.worker.session import session_worker
from tests.outline_gguf import write_outline

if TYPE_CHECKING:
    from edgetui.core.calibration import Calibration
    from edgetui.core.families import Member

TIMED = (
    ("Qwen3-0.6B", "Q8_0"),
    ("Qwen3-0.6B", "Q4_K_M"),
    ("Llama-3.2-1B", "Q4_K_M"),
    ("Gemma-3-270m", "Q8_0"),
    ("Gemma-3-1b", "Q4_K_M"),
    ("Qwen2.5-Coder-1.5B", "Q4_0"),
)
"""Small enough for a few minutes on two cores, of four architectures and other widths than the demo model's."""
DEEP = (("Qwen3-0.6B", "Q8_0"), ("Llama-3.2-1B", "Q4_K_M"), ("Gemma-3-1b", "Q4_K_M"))
"""Heads of 128 by twos, of 64 by fours, and windows with heads of 256."""
DEPTH = 4096
ROUNDS = 3
CONTEXTS = (2048, 8192)
MEMORY_BAR_PERCENT = 5.0
MEMBERS = {member.name: member for family in read_families() for member in family.members}


def measure() -> list[Result]:
    """Memory of every member in every offered type, speed of a few."""
    warn_when_busy()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        calibration = asyncio.run(calibrated(home / "logs"))
        memory = asyncio.run(_memory(home, calibration))
        return [memory, *_speed(home)]


async def _memory(home: Path, calibration: Calibration) -> Result:
    errors: list[tuple[float, str]] = []
    path = home / "outline.gguf"
    for member in MEMBERS.values():
        for type_name in OFFERED_TYPES:
            write_outline(path, member, type_name)
            settings = tuple(LoadSettings(context_tokens=tokens, use_mmap=True) for tokens in CONTEXTS)
            async with (
                session_worker(home / "logs") as worker,
                aclosing(worker.request(EstimateMemory(path=str(path), settings=settings))) as events,
            ):
                answers = [event async for event in events if isinstance(event, MemoryEstimated)]
            for tokens, simulated in zip(CONTEXTS, answers[0].parts, strict=True):
                assert simulated is not None
                predicted = memory_of(
                    member, type_name, context_tokens=tokens, rearranged_types=calibration.rearranged_types
                )
                # The outline holds no vocabulary, neither in its header nor in the process.
                own = METADATA_BYTES_PER_TOKEN * member.vocabulary
                told = predicted.total - predicted.runtime - own
                error = (told / (simulated.total - simulated.runtime) - 1) * 100
                errors.append((error, f"{member.name} {type_name}, {tokens} tokens: {error:+.2f} %"))
    errors.sort(key=lambda pair: -abs(pair[0]))
    lines = (f"{len(errors)} combinations of member, type and context; the worst:", *(line for _, line in errors[:5]))
    return Result("largest error of memory by formula", abs(errors[0][0]), "%", MEMORY_BAR_PERCENT, "lower", lines)


def _speed(home: Path) -> list[Result]:
    threads = min(psutil.cpu_count(logical=False) or 1, usable_cores())
    files = {(name, kind): write_outline(home / f"{name}.{kind}.gguf", MEMBERS[name], kind) for name, kind in TIMED}
    ratios: dict[tuple[str, str, str], list[float]] = {}
    for number in range(ROUNDS):
        calibration = asyncio.run(calibrated(home / "logs"))
        for (name, kind), path in files.items():
            prefill, decode = _predicted(calibration, MEMBERS[name], kind, threads, BENCH_DEPTH)
            real_prefill, real_decode = bench_rates(path, threads)
            ratios.setdefault(("tg", name, kind), []).append(decode / real_decode)
            ratios.setdefault(("pp", name, kind), []).append(prefill / real_prefill)
            print(
                f"round {number + 1} {name} {kind}: decode ~{decode:.1f}, {real_decode:.1f} tok/s;"
                f" prefill ~{prefill:.0f}, {real_prefill:.0f} tok/s",
                flush=True,
            )
            if (name, kind) in DEEP:
                _, deep = _predicted(calibration, MEMBERS[name], kind, threads, DEPTH + GENERATED_TOKENS // 2)
                real_deep = deep_decode_rate(path, threads, DEPTH)
                ratios.setdefault(("tg deep", name, kind), []).append(deep / real_deep)
                print(f"  after {DEPTH} tokens: decode ~{deep:.1f}, {real_deep:.1f} tok/s", flush=True)
    results = []
    tests = (("tg", "decode", TIMED), ("tg deep", f"decode after {DEPTH} tokens", DEEP), ("pp", "prefill", TIMED))
    for test, what, timed in tests:
        medians = {f"{name} {kind}": statistics.median(ratios[test, name, kind]) for name, kind in timed}
        results.append(
            Result(
                f"largest error of predicted {what}, other families",
                max(abs(ratio - 1) for ratio in medians.values()) * 100,
                "%",
                MODEL_ERROR["pp" if test == "pp" else "tg"] * 100,
                "lower",
                (
                    f"{ROUNDS} rounds in turn, pp{PROMPT_TOKENS} and tg{GENERATED_TOKENS}, {threads} threads",
                    *(f"{name}: predicted over measured {ratio:.3f}" for name, ratio in medians.items()),
                ),
            )
        )
    return results


def _predicted(calibration: Calibration, member: Member, kind: str, threads: int, depth: int) -> tuple[float, float]:
    part = threads_of(calibration, threads)
    if part.value is None:
        raise SystemExit(f"There is no forecast: {part.reason}.")
    found = forecast_from(shape_of(member, kind), part.value, LoadSettings(threads=threads), depth)
    if found.value is None:
        raise SystemExit(f"There is no forecast: {found.reason}.")
    return found.value.prefill_tps, found.value.decode_tps


if __name__ == "__main__":
    sys.exit(show(measure()))
