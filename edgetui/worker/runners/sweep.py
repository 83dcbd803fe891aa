"""The job that sweeps: each build is made and measured by steps in processes of their own, and fails alone.

What was done stays done when the job is started again: cells that have their row are not run again, and of the others
only what is missing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.frontier import FrontierRow
from edgetui.core.quality import MeasuredModel
from edgetui.core.units import format_duration
from edgetui.engines.reporting import Outcome
from edgetui.formats.model_folder import engine_file, model_parts
from edgetui.store.frontier import FrontierRows
from edgetui.worker.job_events import JobBenchRow, JobProgress, JobQualityRow
from edgetui.worker.requests import BenchRequest, QualityRequest

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow
    from edgetui.core.quality import QualityRow, QualitySettings
    from edgetui.worker.job_events import JobEvent
    from edgetui.worker.requests import JobRequest, SweepRequest
    from edgetui.worker.requests.sweep import SweepCell
    from edgetui.worker.runners import RunningJob

_NOT_A_CELLS_FAULT = ("no_space", "cancelled")
"""Failures after which further cells would fail as well."""


def run(request: SweepRequest, job: RunningJob) -> Outcome:
    """Make and measure every cell of the request."""
    return _Sweep(request, job).run()


class _Sweep:
    def __init__(self, request: SweepRequest, job: RunningJob) -> None:
        self._request = request
        self._job = job
        self._store = FrontierRows(job.database)
        self._done = 0
        self._label = ""
        self._stage = ""

    def run(self) -> Outcome:
        began = time.monotonic()
        known = self._store.of_sweep(self._job.folder.job_id)
        failed: list[FrontierRow] = []
        cells = self._request.cells
        for number, cell in enumerate(cells):
            self._done, self._label = number, cell.label
            row = known.get(cell.cell_id)
            if row is None or row.problem:
                row = self._measure(cell)
                self._store.put(row)
            if row.problem:
                failed.append(row)
            self._remove_temporary(cells[number + 1 :])
        self._remove_temporary(())
        for folder in self._request.partials(self._job.folder.job_id):
            with suppress(OSError):
                folder.rmdir()
        if len(failed) == len(cells):
            raise EdgetuiError(
                "unsupported",
                f"None of the {len(cells)} builds could be made and measured; the first: {failed[0].problem}",
            )
        took = format_duration(time.monotonic() - began)
        told = f"{len(cells) - len(failed)} of {len(cells)} builds measured in {took}"
        if failed:
            told += f"; {', '.join(row.label for row in failed)} failed"
        return Outcome(summary=f"{self._request.source_name}: {told}.")

    def _measure(self, cell: SweepCell) -> FrontierRow:
        """A cell's row; one that failed says why and keeps what was measured before."""
        row = FrontierRow(
            sweep_id=self._job.folder.job_id,
            cell_id=cell.cell_id,
            source_name=cell.source_name,
            label=cell.label,
            toolchain=cell.toolchain,
            model_name=cell.model_name,
            path=cell.model_path,
        )
        try:
            for make in cell.makes:
                self._step("make", make)
            path = engine_file(Path(cell.model_path))
            model = _measured(cell, path)
            row = msgspec.structs.replace(row, path=model.path, size_bytes=model.size_bytes)
            if self._request.quality is not None:
                row = msgspec.structs.replace(row, quality=self._quality(model, cell.base, self._request.quality))
            if self._request.bench is not None:
                row = self._speed(cell, path, row)
        except EdgetuiError as error:
            if error.failure.kind in _NOT_A_CELLS_FAULT:
                raise
            row = msgspec.structs.replace(row, problem=str(error))
        except OSError as error:
            row = msgspec.structs.replace(row, problem=f"{cell.model_path} cannot be read ({error.strerror}).")
        return msgspec.structs.replace(row, measured_at=time.time())

    def _quality(self, model: MeasuredModel, base: MeasuredModel, settings: QualitySettings) -> QualityRow | None:
        events = self._step(
            "quality",
            QualityRequest(
                model=model,
                base=base,
                settings=settings,
                baselines=self._request.baselines,
                headroom_bytes=self._request.headroom_bytes,
            ),
        )
        return next((event.row for event in events if isinstance(event, JobQualityRow)), None)

    def _speed(self, cell: SweepCell, path: Path, row: FrontierRow) -> FrontierRow:
        settings = cell.bench or self._request.bench
        assert settings is not None
        events = self._step(
            "speed",
            BenchRequest(
                model=str(path),
                model_name=cell.model_name,
                model_format=cell.model_format,
                settings=settings,
                machine=self._request.machine,
            ),
        )
        rows: dict[str, BenchRow] = {event.row.test: event.row for event in events if isinstance(event, JobBenchRow)}
        return msgspec.structs.replace(row, prefill=rows.get("pp"), decode=rows.get("tg"))

    def _step(self, stage: str, request: JobRequest) -> list[JobEvent]:
        """Run a step, its progress shown as the sweep's; gives its events."""
        self._stage = stage
        self._say("")
        events: list[JobEvent] = []

        def take(event: JobEvent) -> None:
            if isinstance(event, JobProgress):
                self._say(event.note)
            else:
                events.append(event)

        self._job.steps.run(f"{stage}-{_digest(request)}", request, take)
        return events

    def _say(self, note: str) -> None:
        words = f"{self._label}: {self._stage}" + (f", {note}" if note else "")
        self._job.progress(self._done, len(self._request.cells), "builds", words)

    def _remove_temporary(self, still_to_come: tuple[SweepCell, ...]) -> None:
        """Remove what was made only to be measured and that no cell to come needs."""
        needed = {path for cell in still_to_come for path in cell.temporary}
        for path in {path for cell in self._request.cells for path in cell.temporary} - needed:
            if not os.path.islink(path) and os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink(missing_ok=True)


def _measured(cell: SweepCell, path: Path) -> MeasuredModel:
    """What was made, as a measurement wants to know it."""
    parts = model_parts(path)
    return MeasuredModel(
        name=cell.model_name,
        path=str(path),
        parts=tuple(map(str, parts)),
        format=cell.model_format,
        size_bytes=sum(part.stat().st_size for part in parts),
        quant_type=cell.quant_type,
    )


def _digest(request: JobRequest) -> str:
    """A name for a step by what it is asked: the same request is the same step, whichever cell wants it."""
    return hashlib.sha256(msgspec.json.encode(request)).hexdigest()[:16]
