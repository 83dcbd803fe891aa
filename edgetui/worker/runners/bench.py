"""The job that measures: rows go to the journal and to the history as soon as they are complete."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from edgetui.core.jobs import REPETITIONS
from edgetui.core.units import format_duration
from edgetui.engines.reporting import Outcome
from edgetui.meters.recorder import EnergyRecorder
from edgetui.store.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.core.bench import BenchRow, BenchSettings, Repetition
    from edgetui.worker.requests import BenchRequest
    from edgetui.worker.runners import RunningJob

CPU = "CPU"
"""`BenchRow.backend` of every engine that computes on the processor."""
WORTH_TELLING_S = 10.0
"""A shorter rest of a test passes by itself."""
MEASURERS: dict[str, str] = {
    "gguf": "edgetui.engines.llama_cpp.bench",
    "onnx": "edgetui.engines.onnx_runtime.bench",
    "mlx": "edgetui.engines.mlx.bench",
}
"""Format to the module whose `measure` runs it; imported only when its job runs."""


class Measurer(Protocol):
    """The `measure` of a module in `MEASURERS`."""

    def __call__(
        self, path: Path, name: str, settings: BenchSettings, on_repetition: Callable[[Repetition], None]
    ) -> Iterator[BenchRow]:
        """Rows of the model at `path`, one a test as soon as it is complete; raises `EdgetuiError`."""


def run(request: BenchRequest, job: RunningJob) -> Outcome:
    """Measure `request.model`."""
    settings = request.settings
    total = settings.repetitions * (bool(settings.prompt_tokens) + bool(settings.generated_tokens))
    done = 0
    job.progress(0, total, REPETITIONS, "loading the model and warming up")
    meters = EnergyRecorder()
    spans: list[tuple[float, float]] = []

    def report(repetition: Repetition) -> None:
        nonlocal done
        done += 1
        ended = meters.sample()
        spans.append((ended - repetition.duration_ns / 1e9, ended))
        tps = repetition.tokens * 1e9 / repetition.duration_ns
        name = f"{repetition.test}{repetition.tokens}"
        left_s = (settings.repetitions - repetition.number) * repetition.duration_ns / 1e9
        left = f", about {format_duration(left_s)} left of {name}" if left_s >= WORTH_TELLING_S else ""
        job.progress(
            done, total, REPETITIONS, f"{name} {repetition.number}/{settings.repetitions}: {tps:.2f} tok/s{left}"
        )

    history = History(job.database)
    results = []
    measure = cast("Measurer", import_module(MEASURERS[request.model_format]).measure)
    with meters.following():
        rest_w = meters.power_at_rest()
        for bare in measure(Path(request.model), request.model_name, settings, report):
            row = _with_energy(bare, meters, spans, rest_w)
            spans.clear()
            history.add(row, request.machine, job.folder.job_id)
            job.row(row)
            results.append(f"{row.name} {row.mean_tps:.2f} tok/s")
    return Outcome(summary=f"{request.model_name}: {', '.join(results)}.")


def _with_energy(
    row: BenchRow, meters: EnergyRecorder, spans: list[tuple[float, float]], rest_w: float | None
) -> BenchRow:
    """The row with what its repetitions took, or why that is not known."""
    if meters.is_gpu_alone and row.backend == CPU:
        return msgspec.structs.replace(row, energy_reason=f"{meters.meter} has a meter, and the processor has none")
    energy = meters.energy(spans)
    return msgspec.structs.replace(
        row,
        energy_j=energy.joules,
        energy_meter=energy.meter,
        energy_reason=energy.reason,
        rest_w=None if energy.joules is None else rest_w,
    )
