"""The job that decodes for minutes: rate, temperature, clock and throttling on one time axis."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.bench import BenchTest
from edgetui.core.soak import find_knee, soak_sentence
from edgetui.core.studies import SoakResult, SoakSample
from edgetui.engines import host
from edgetui.engines.reporting import Outcome
from edgetui.meters.conditions import MachineWatch
from edgetui.worker.runners.bench import opener
from edgetui.worker.runners.kept_study import keep_study

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
    runner = opener(side.model_format)(Path(side.model_path), side.model_name, side.settings, test)
    try:
        runner.run(0, 1)
        per_token_s = runner.run(0, _WARM_UP_TOKENS) / 1e9 / _WARM_UP_TOKENS
        chunk = max(1, min(MOST_CHUNK_TOKENS, round(settings.sample_s / per_token_s)))
        samples = _follow(request, runner, chunk, job)
        facts = runner.facts
    finally:
        runner.close()
    knee = find_knee(samples)
    result = SoakResult(
        side=side,
        duration_s=settings.duration_s,
        chunk_tokens=chunk,
        depth_tokens=settings.depth_tokens,
        samples=tuple(samples),
        knee=knee,
        sentence=soak_sentence(samples, knee),
        threads=facts.threads,
        backend=facts.backend,
        engine_version=facts.engine_version,
    )
    keep_study(result, request.machine, job)
    return Outcome(summary=f"{side.model_name}: {result.sentence}")


def _follow(request: SoakRequest, runner: Runner, chunk: int, job: RunningJob) -> list[SoakSample]:
    settings = request.settings
    watch = MachineWatch(host.cpu_seconds_of_others)
    samples: list[SoakSample] = []
    began = time.perf_counter()
    watch.begin()
    while (elapsed := time.perf_counter() - began) < settings.duration_s or not samples:
        tokens, duration_ns = 0, 0
        while not tokens or time.perf_counter() - began - elapsed < settings.sample_s:
            duration_ns += runner.run(0, chunk)
            tokens += chunk
        state, at_s = watch.look(), time.perf_counter() - began
        samples.append(SoakSample(at_s=at_s, tps=tokens * 1e9 / duration_ns, **state._asdict()))
        told = [f"{samples[-1].tps:.2f} tok/s"]
        if state.temperature_c is not None:
            told.append(f"{state.temperature_c:.0f} C")
        if state.frequency_hz is not None:
            told.append(f"{state.frequency_hz / 1e9:.2f} GHz")
        told += state.throttled or ()
        job.progress(min(at_s, settings.duration_s), settings.duration_s, "s", ", ".join(told))
    return samples
