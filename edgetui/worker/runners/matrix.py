"""The job that measures a matrix: each cell in a process of its own, so that one which fails stops no other.

Cells that have their rows are not measured again when the job is started anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.bench_matrix import cell_labels
from edgetui.core.failures import EdgetuiError
from edgetui.engines.reporting import Outcome
from edgetui.worker.job_events import JobBenchRow, JobProgress

if TYPE_CHECKING:
    from edgetui.worker.job_events import JobEvent
    from edgetui.worker.requests import MatrixRequest
    from edgetui.worker.runners import RunningJob

CELLS = "cells"
_NOT_A_CELLS_FAULT = ("no_space", "cancelled")
"""Failures after which further cells would fail as well."""


def run(request: MatrixRequest, job: RunningJob) -> Outcome:
    """Measure every cell."""
    cells = request.cells
    labels = cell_labels([(cell.model_name, cell.settings) for cell in cells])
    # By number: the same model given twice has one label.
    problems: dict[int, EdgetuiError] = {}
    for number, (cell, label) in enumerate(zip(cells, labels, strict=True)):

        def take(event: JobEvent, number: int = number, label: str = label) -> None:
            if isinstance(event, JobProgress):
                job.progress(number, len(cells), CELLS, f"{label}: {event.note}", passing=event.passing)
            elif isinstance(event, JobBenchRow):
                job.row(event.row)

        job.progress(number, len(cells), CELLS, label)
        try:
            job.steps.run(f"cell-{number}", cell, take)
        except EdgetuiError as error:
            if error.failure.kind in _NOT_A_CELLS_FAULT:
                raise
            problems[number] = error
    if len(problems) == len(cells):
        first = next(iter(problems.values()))
        if len(cells) == 1:
            raise first
        raise EdgetuiError(
            first.failure.kind, f"None of the {len(cells)} settings could be measured; the first: {first}"
        )
    told = f"{len(cells) - len(problems)} of {len(cells)} settings measured"
    if problems:
        told += "; failed: " + "; ".join(f"{labels[number]} ({error})" for number, error in problems.items())
    return Outcome(summary=f"{request.subject}: {told}.")
