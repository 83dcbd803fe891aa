"""The job that loads a model again and again: with its file out of the system's memory, and in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.bench import BenchTest
from edgetui.core.statistics import median
from edgetui.core.studies import LoadTime, LoadTimesResult
from edgetui.core.units import format_bytes
from edgetui.engines import page_cache
from edgetui.engines.reporting import Outcome
from edgetui.formats.model_folder import model_parts
from edgetui.worker.runners.bench import opener
from edgetui.worker.runners.kept_study import keep_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.studies import BenchSide
    from edgetui.worker.requests import LoadTimeRequest
    from edgetui.worker.runners import RunningJob

LOADS = "loads"
COLD_SHARE = 0.05
"""A load is cold with no more than this of the file in memory."""
WARM_SHARE = 0.95
"""And warm with this or more."""
_TEST = BenchTest(generated_tokens=1)


def run(request: LoadTimeRequest, job: RunningJob) -> Outcome:
    """Load cold and warm by turns."""
    side, repetitions = request.side, request.settings.repetitions
    parts = [part for part in model_parts(Path(side.model_path)) if part.is_file()]
    total = 1 + 2 * repetitions
    job.progress(0, total, LOADS, "loading once, so that the engine itself is in memory")
    _load(side, parts)
    cold: list[LoadTime] = []
    warm: list[LoadTime] = []
    for number in range(repetitions):
        if page_cache.drop(parts):
            cold.append(_load(side, parts))
            job.progress(2 + 2 * number, total, LOADS, f"cold: {_told(cold[-1])}")
        warm.append(_load(side, parts))
        job.progress(3 + 2 * number, total, LOADS, f"warm: {_told(warm[-1])}")
    size_bytes = sum(part.stat().st_size for part in parts)
    result = LoadTimesResult(
        side=side,
        size_bytes=size_bytes,
        cold=tuple(cold),
        warm=tuple(warm),
        sentence=_sentence(size_bytes, cold, warm),
    )
    keep_study(result, request.machine, job)
    return Outcome(summary=f"{side.model_name}: {result.sentence}")


def _load(side: BenchSide, parts: Sequence[Path]) -> LoadTime:
    share = page_cache.cached_share(parts)
    runner = opener(side.model_format)(Path(side.model_path), side.model_name, side.settings, _TEST)
    try:
        first_token_s = runner.run(0, 1) / 1e9
        return LoadTime(seconds=runner.facts.load_s, first_token_s=first_token_s, cached_share=share)
    finally:
        runner.close()


def _told(load: LoadTime) -> str:
    cached = "unknown" if load.cached_share is None else f"{load.cached_share:.0%}"
    return f"{load.seconds:.3f} s and {load.first_token_s:.3f} s to the first token ({cached} of the file in memory)"


def _sentence(size_bytes: int, cold: Sequence[LoadTime], warm: Sequence[LoadTime]) -> str:
    ready = f"{median([load.seconds for load in warm]):.3f} s"
    if any(load.cached_share is not None and load.cached_share < WARM_SHARE for load in warm):
        ready += ", though the system did not keep all of the file in memory"
    told = f"warm it loads in {ready}"
    if not cold:
        return f"{told}; cold times cannot be had, since this system takes no advice to forget a file."
    shares = [load.cached_share for load in cold]
    seconds = median([load.seconds + load.first_token_s for load in cold])
    cold_told = f"cold in {median([load.seconds for load in cold]):.3f} s"
    rate = f"{format_bytes(round(size_bytes / seconds))}/s up to the first token"
    if None in shares:
        return f"{told}, {cold_told} ({rate}); whether the file was out of memory then cannot be known here."
    worst = max(share for share in shares if share is not None)
    if worst > COLD_SHARE:
        return f"{told}, {cold_told}, but up to {worst:.0%} of the file stayed in memory, so that is not cold."
    return f"{told}, {cold_told} ({rate})."
