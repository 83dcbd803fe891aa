"""The job that decodes for minutes: rate, temperature, clock, power and throttling on one time axis.

What was measured is kept however it ends: the series goes to the database while it grows.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.bench import BenchTest
from edgetui.core.failures import EdgetuiError
from edgetui.core.studies import SoakSample
from edgetui.engines import host
from edgetui.engines.reporting import Outcome
from edgetui.meters.conditions import MachineWatch
from edgetui.meters.recorder import EnergyRecorder
from edgetui.worker.runners.bench import opener
from edgetui.worker.runners.soak_series import SoakSeries

if TYPE_CHECKING:
    from edgetui.engines.measuring import Runner
    from edgetui.worker.requests import SoakRequest
    from edgetui.worker.runners import RunningJob

MOST_CHUNK_TOKENS = 128
"""A chunk of a fast model takes less than a sample; then a sample has several."""
_WARM_UP_TOKENS = 4


def run(request: SoakRequest, job: RunningJob) -> Outcome:
    """Decode at the depth until the time is over."""
    settings, side = request.settings, request.side
    test = BenchTest(generated_tokens=MOST_CHUNK_TOKENS, depth_tokens=settings.depth_tokens)
    job.progress(0, settings.duration_s, "s", "loading the model and warming up")
    meters = EnergyRecorder()
    with meters.following():
        rest_w = meters.power_at_rest()
        runner = opener(side.model_format)(Path(side.model_path), side.model_name, side.settings, test)
        try:
            runner.run(0, 1)
            per_token_s = runner.run(0, _WARM_UP_TOKENS) / 1e9 / _WARM_UP_TOKENS
            chunk = max(1, min(MOST_CHUNK_TOKENS, round(settings.sample_s / per_token_s)))
            series = SoakSeries(request, job, meters, rest_w, runner.facts, chunk)
            job.when_cut(series.cut)
            try:
                _follow(request, runner, series, job)
            except EdgetuiError as error:
                raise EdgetuiError(error.failure.kind, f"{error} {series.cut(str(error))}".rstrip()) from error
        finally:
            runner.close()
    return Outcome(summary=f"{side.model_name}: {series.finish().sentence}")


def _follow(request: SoakRequest, runner: Runner, series: SoakSeries, job: RunningJob) -> None:
    settings = request.settings
    watch = MachineWatch(host.cpu_seconds_of_others)
    watch.begin()
    began = series.begin()
    elapsed = 0.0
    while elapsed < settings.duration_s:
        spans: list[tuple[float, float]] = []
        duration_ns = 0
        while not spans or time.perf_counter() - began - elapsed < settings.sample_s:
            took_ns = runner.run(0, series.chunk_tokens)
            ended = time.perf_counter()
            spans.append((ended - took_ns / 1e9, ended))
            duration_ns += took_ns
        state = watch.look()
        tokens = len(spans) * series.chunk_tokens
        elapsed = time.perf_counter() - began
        sample = SoakSample(at_s=elapsed, tps=tokens * 1e9 / duration_ns, **state._asdict())
        sample = series.add(sample, spans)
        told = [f"{sample.tps:.2f} tok/s"]
        if state.temperature_c is not None:
            told.append(f"{state.temperature_c:.0f} C")
        if state.frequency_hz is not None:
            told.append(f"{state.frequency_hz / 1e9:.2f} GHz")
        if sample.watts is not None:
            told.append(f"{sample.watts:.3g} W")
        told += state.throttled or ()
        job.progress(min(elapsed, settings.duration_s), settings.duration_s, "s", ", ".join(told))
