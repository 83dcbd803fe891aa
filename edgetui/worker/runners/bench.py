"""The job that measures: rows go to the journal and to the history as soon as they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.core.jobs import REPETITIONS
from edgetui.engines.llama_cpp.bench import Repetition, measure
from edgetui.engines.reporting import Outcome
from edgetui.store.history import History

if TYPE_CHECKING:
    from edgetui.worker.requests import BenchRequest
    from edgetui.worker.runners import RunningJob


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
    for row in measure(Path(request.model), request.model_name, settings, report):
        history.add(row, request.machine, job.folder.job_id)
        job.row(row)
        results.append(f"{row.name} {row.mean_tps:.2f} tok/s")
    return Outcome(summary=f"{request.model_name}: {', '.join(results)}.")
