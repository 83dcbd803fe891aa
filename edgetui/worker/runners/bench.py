"""The job that measures: rows go to the journal and to the history as soon as they are complete.

Tests that have their rows are not measured again when the job is started anew.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec

from edgetui.core.bench import tests_of
from edgetui.core.jobs import REPETITIONS
from edgetui.core.units import format_duration
from edgetui.engines import host
from edgetui.engines.measuring import measure
from edgetui.engines.reporting import Outcome
from edgetui.meters.conditions import MachineWatch
from edgetui.meters.recorder import EnergyRecorder
from edgetui.store.history import History
from edgetui.worker.job_events import JobBenchRow
from edgetui.worker.runners.repetition_watch import RepetitionWatch

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow, BenchSettings, BenchTest, Repetition
    from edgetui.engines.measuring import Opener
    from edgetui.worker.requests import BenchRequest
    from edgetui.worker.runners import RunningJob

CPU = "CPU"
"""`BenchRow.backend` of every engine that computes on the processor."""
WORTH_TELLING_S = 10.0
"""A shorter rest of a test passes by itself."""
OPENERS: dict[str, str] = {
    "gguf": "edgetui.engines.llama_cpp.bench",
    "onnx": "edgetui.engines.onnx_runtime.bench",
    "mlx": "edgetui.engines.mlx.bench",
}
"""Format to the module whose `open_runner` loads a model for a test; imported only when its job runs."""


def opener(model_format: str) -> Opener:
    """What loads models of a format."""
    return cast("Opener", import_module(OPENERS[model_format]).open_runner)


def run(request: BenchRequest, job: RunningJob) -> Outcome:
    """Measure `request.model`."""
    before = _measured_before(request, job)
    missing = tuple(test for test in tests_of(request.settings) if test.name not in before)
    settings = msgspec.structs.replace(request.settings, prompt_tokens=0, generated_tokens=0, tests=missing)
    results = []
    for row in before.values():
        # It is in the history already.
        job.row(row)
        results.append(_told(row))
    if missing:
        _measure(request, settings, job, results)
    return Outcome(summary=f"{request.model_name}: {', '.join(results)}.")


def _measured_before(request: BenchRequest, job: RunningJob) -> dict[str, BenchRow]:
    """Rows by their tests' names that an earlier run of this job left, of the model's file as it is now."""
    rows = {event.row.name: event.row for event in job.folder.earlier_events() if isinstance(event, JobBenchRow)}
    try:
        changed_at = Path(request.model).stat().st_mtime
    except OSError:
        return {}
    return {name: row for name, row in rows.items() if row.measured_at > changed_at}


def _measure(request: BenchRequest, settings: BenchSettings, job: RunningJob, results: list[str]) -> None:
    """Measure the tests of the settings; what each came to is added to the results."""
    total = settings.repetitions * len(settings.tests)
    done = 0
    job.progress(0, total, REPETITIONS, "loading the model and warming up")
    meters = EnergyRecorder()
    spans: list[tuple[float, float]] = []

    watch = MachineWatch(host.cpu_seconds_of_others)
    # Until the interval is narrow there may be more of them than were asked for at least.
    of = "" if settings.until_percent else f"/{settings.repetitions}"

    def tell(share: float, note: str) -> None:
        job.progress(done + share, max(total, done + 1), REPETITIONS, note, passing=True)

    within = RepetitionWatch(tell)

    def report(repetition: Repetition) -> None:
        nonlocal done, total
        done += 1
        ended = meters.sample()
        watch.look()
        spans.append((ended - repetition.duration_ns / 1e9, ended))
        total = max(total, done)
        within.expect(f"{repetition.test.name} {repetition.number + 1}{of}")
        tps = repetition.test.computed_tokens * 1e9 / repetition.duration_ns
        left_s = (settings.repetitions - repetition.number) * repetition.duration_ns / 1e9
        left = f", about {format_duration(left_s)} left of {repetition.test.name}" if left_s >= WORTH_TELLING_S else ""
        note = f"{repetition.test.name} {repetition.number}{of}: {tps:.2f} tok/s{left}"
        job.progress(done, total, REPETITIONS, note)

    def begin(test: BenchTest) -> None:
        watch.begin()
        within.expect(f"{test.name} 1{of}")

    history = History(job.database)
    open_runner = opener(request.model_format)
    with meters.following(), within.looking():
        rest_w = meters.power_at_rest()
        measuring = measure(
            open_runner, Path(request.model), request.model_name, settings, report, begin, within.follow
        )
        for bare in measuring:
            row = _with_energy(bare, meters, spans, rest_w)
            row = msgspec.structs.replace(row, fingerprint=request.fingerprint, conditions=watch.conditions())
            spans.clear()
            history.add(row, request.machine, job.folder.owner_id)
            job.row(row)
            results.append(_told(row))


def _told(row: BenchRow) -> str:
    return f"{row.name} {row.mean_tps:.2f} tok/s"


def _with_energy(
    row: BenchRow, meters: EnergyRecorder, spans: list[tuple[float, float]], rest_w: float | None
) -> BenchRow:
    """The row with what its repetitions took, or why that is not known."""
    energy = meters.energy_of_work(spans, is_on_processor=row.backend == CPU)
    return msgspec.structs.replace(
        row,
        energy_j=energy.joules,
        energy_meter=energy.meter,
        energy_reason=energy.reason,
        rest_w=None if energy.joules is None else rest_w,
    )
