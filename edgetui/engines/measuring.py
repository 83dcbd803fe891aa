"""Tests repeated the way llama-bench repeats them, by whichever engine: one loop over a narrow `Runner`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from edgetui.core.bench import MOST_REPETITIONS, BenchRow, Repetition, tests_of
from edgetui.core.run_settings import LoadSettings
from edgetui.core.statistics import interval_share
from edgetui.engines import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgetui.core.bench import BenchSettings, BenchTest, StoppedBy

LEAST_FOR_AN_INTERVAL = 3
"""Repetitions before an interval is believed: of two, it is often narrow by chance."""


class RunnerFacts(NamedTuple):
    """What an engine knows of a loaded model and its settings; fields of `BenchRow`."""

    engine: str
    engine_version: str
    backend: str
    threads: int
    batch_tokens: int
    kv_cache_type: str
    kv_cache_type_v: str
    model_size_bytes: int
    model_parameter_count: int
    model_quant_type: str
    load_s: float
    physical_batch_tokens: int = 0
    flash_attention: str = ""
    gpu_layers: int | None = None
    use_mmap: bool | None = None
    huge_pages: bool | None = None


class Runner(Protocol):
    """A model loaded for one test."""

    facts: RunnerFacts
    filled_tokens: int
    """Of the depth, in the run under way or the last one; 0 where the cache had it."""
    done_tokens: int
    """Of the test itself, in the same run; any thread may read both at any moment."""

    def run(self, prompt_tokens: int, generated_tokens: int) -> int:
        """Nanoseconds to compute a prompt of random tokens in batches, then random tokens one by one, at the depth.

        Filling the depth, or taking back what the run before has added to it, is not timed; nothing is sampled.
        Raises `EdgetuiError`.
        """

    def close(self) -> None:
        """Free the model."""


class Opener(Protocol):
    """The `open_runner` of an engine's module."""

    def __call__(self, path: Path, name: str, settings: BenchSettings, test: BenchTest) -> Runner:
        """Load a model for a test; raises `EdgetuiError`."""


def measure(
    open_runner: Opener,
    path: Path,
    name: str,
    settings: BenchSettings,
    on_repetition: Callable[[Repetition], None],
    on_begin: Callable[[BenchTest], None] = lambda test: None,
    on_open: Callable[[Runner, BenchTest], None] = lambda runner, test: None,
) -> Iterator[BenchRow]:
    """Measure what the settings ask for, a row a test as soon as it is complete.

    `on_open` is called with the runner before its warm-up, `on_begin` between that and the first repetition. Raises
    `EdgetuiError` as a load does, and `bad_request` when there is nothing to measure.
    """
    for test in tests_of(settings):
        host.forget_peak_memory()
        runner = open_runner(path, name, settings, test)
        try:
            load_average = host.load_average()
            on_open(runner, test)
            warm_up(runner, test)
            on_begin(test)
            samples, stopped_by = _repeat(runner, test, settings, on_repetition)
            row = row_of(runner.facts, test, samples, path, name)
            yield msgspec.structs.replace(
                row,
                stopped_by=stopped_by,
                load_average=load_average,
                memory_bytes=host.peak_resident_bytes(),
            )
        finally:
            runner.close()


def row_of(facts: RunnerFacts, test: BenchTest, samples_ns: Sequence[int], path: Path, name: str) -> BenchRow:
    """What was measured of a test, as a row of now."""
    return BenchRow(
        **facts._asdict(),
        test=test.kind,
        tokens=test.generated_tokens or test.prompt_tokens,
        prompt_tokens=test.prompt_tokens if test.kind == "pg" else 0,
        depth_tokens=test.depth_tokens,
        samples_ns=tuple(samples_ns),
        model_name=name,
        model_path=str(path),
        measured_at=time.time(),
        load_average=None,
    )


def warm_up(runner: Runner, test: BenchTest) -> None:
    """As llama-bench does: a prompt is computed whole, of what is generated one token."""
    runner.run(test.prompt_tokens, 0 if test.prompt_tokens else 1)
    if test.kind == "pg":
        runner.run(0, 1)


def load_settings(settings: BenchSettings, context_tokens: int) -> LoadSettings:
    """The settings as a load takes them, with a context of so many tokens."""
    return LoadSettings(
        context_tokens=context_tokens,
        batch_tokens=settings.batch_tokens,
        physical_batch_tokens=min(settings.physical_batch_tokens, settings.batch_tokens),
        threads=settings.threads,
        kv_cache_type=settings.kv_cache_type,
        kv_cache_type_v=settings.kv_cache_type_v,
        flash_attention=settings.flash_attention,
        gpu_layers=settings.gpu_layers,
        use_mmap=settings.use_mmap,
        huge_pages=settings.huge_pages,
    )


def stop_reason(samples_ns: Sequence[int], settings: BenchSettings) -> StoppedBy:
    """Why no further repetition is needed after these; empty while one is.

    The budget is of the repetitions' own time, and gives way to two of them, without which there is no spread.
    """
    count = len(samples_ns)
    if settings.budget_s and count >= 2 and sum(samples_ns) / 1e9 >= settings.budget_s:
        return "budget"
    if count < settings.repetitions:
        return ""
    if not settings.until_percent or count >= MOST_REPETITIONS:
        return "repetitions"
    if count < LEAST_FOR_AN_INTERVAL:
        return ""
    share = interval_share([1e9 / ns for ns in samples_ns])
    return "interval" if share is not None and share * 100 <= settings.until_percent else ""


def _repeat(
    runner: Runner, test: BenchTest, settings: BenchSettings, on_repetition: Callable[[Repetition], None]
) -> tuple[list[int], StoppedBy]:
    samples: list[int] = []
    while not (reason := stop_reason(samples, settings)):
        samples.append(runner.run(test.prompt_tokens, test.generated_tokens))
        on_repetition(Repetition(test, len(samples), samples[-1]))
    return samples, reason
