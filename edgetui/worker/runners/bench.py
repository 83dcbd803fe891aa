"""The job that measures: rows go to the journal and to the history as soon as they are complete."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from edgetui.core.jobs import REPETITIONS
from edgetui.engines.reporting import Outcome
from edgetui.store.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetui.core.bench import BenchRow, BenchSettings, Repetition
    from edgetui.worker.requests import BenchRequest
    from edgetui.worker.runners import RunningJob

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

    def report(repetition: Repetition) -> None:
        nonlocal done
        done += 1
        tps = repetition.tokens * 1e9 / repetition.duration_ns
        job.progress(
            done,
            total,
            REPETITIONS,
            f"{repetition.test}{repetition.tokens} {repetition.number}/{settings.repetitions}: {tps:.2f} tok/s",
        )

    history = History(job.database)
    results = []
    measure = cast("Measurer", import_module(MEASURERS[request.model_format]).measure)
    for row in measure(Path(request.model), request.model_name, settings, report):
        history.add(row, request.machine, job.folder.job_id)
        job.row(row)
        results.append(f"{row.name} {row.mean_tps:.2f} tok/s")
    return Outcome(summary=f"{request.model_name}: {', '.join(results)}.")
