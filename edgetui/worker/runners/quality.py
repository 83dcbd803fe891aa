"""The job that measures quality: the parent's baseline where it is not kept yet, then the model, each as a step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgetui.core.failures import EdgetuiError
from edgetui.core.quality import CHUNKS, MeasuredModel
from edgetui.engines.reporting import Outcome
from edgetui.formats.fingerprint import fingerprint
from edgetui.hub.access import HubAccess
from edgetui.store.baselines import Baselines
from edgetui.store.evaluations import Evaluations
from edgetui.worker.job_events import JobProgress, JobQualityRow
from edgetui.worker.requests import BaselineRequest, EvaluateRequest
from edgetui.worker.tasks import read_tasks
from edgetui.worker.texts import prepare

if TYPE_CHECKING:
    from edgetui.core.quality import MeasuredText, QualityRow
    from edgetui.worker.job_events import JobEvent
    from edgetui.worker.requests import JobRequest, QualityRequest
    from edgetui.worker.runners import RunningJob


def run(request: QualityRequest, job: RunningJob) -> Outcome:
    """Measure `request.model`."""
    job.progress(0, None, CHUNKS, "preparing the text")
    settings = request.settings
    text = prepare(settings.text, job.folder.path, HubAccess.of_environment)
    model = _known(request.model)
    base = None if request.base is None else _known(request.base)
    progress = _Progress(job)
    baselines = Baselines(Path(request.baselines))
    path = None if base is None else _baseline(request, base, text, baselines, job, progress)
    row = _run(
        job,
        "evaluate",
        EvaluateRequest(
            model=model,
            base=base,
            baseline=None if path is None else str(path),
            text=text,
            settings=settings,
            tasks=read_tasks() if settings.tasks else (),
        ),
        model.name,
        progress,
    )
    assert row is not None
    baselines.trim()
    Evaluations(job.database).add(row, job.folder.job_id)
    job.row(row)
    return Outcome(summary=row.sentence)


class _Progress:
    """Chunks of both steps, one after the other."""

    def __init__(self, job: RunningJob) -> None:
        self._job = job
        self.step = ""
        self.chunks_before = 0.0
        self.steps_left = 1
        self._total = 0.0

    def __call__(self, event: JobProgress) -> None:
        self._total = event.total or self._total
        total = None if event.total is None else self.chunks_before + event.total * self.steps_left
        self._job.progress(self.chunks_before + event.done, total, event.unit, f"{self.step}{event.note}")

    def next_step(self) -> None:
        """What follows is the last one."""
        self.chunks_before, self.steps_left, self.step = self._total, 1, ""


def _baseline(
    request: QualityRequest,
    base: MeasuredModel,
    text: MeasuredText,
    baselines: Baselines,
    job: RunningJob,
    progress: _Progress,
) -> Path:
    """The parent's log-probabilities over the text, from before or made now."""
    settings = request.settings
    path = baselines.path_of(base.fingerprint, text.sha256, settings.context_tokens, settings.chunks)
    if not baselines.take(path, text_sha256=text.sha256, base_fingerprint=base.fingerprint):
        progress.step, progress.steps_left = f"{base.name} first: ", 2
        step = BaselineRequest(
            model=base,
            text=text,
            context_tokens=settings.context_tokens,
            chunks=settings.chunks,
            threads=settings.threads,
            target=str(path),
            mark=hashlib.sha256(str(job.folder.path).encode()).hexdigest()[:12],
            headroom_bytes=request.headroom_bytes,
        )
        _run(job, "baseline", step, base.name, progress)
        progress.next_step()
    return path


def _run(job: RunningJob, name: str, step: JobRequest, model_name: str, progress: _Progress) -> QualityRow | None:
    """Run a step; gives the row that it told."""
    rows: list[QualityRow] = []

    def follow(event: JobEvent) -> None:
        if isinstance(event, JobProgress):
            progress(event)
        elif isinstance(event, JobQualityRow):
            rows.append(event.row)

    try:
        job.steps.run(name, step, follow)
    except EdgetuiError as error:
        if error.failure.kind != "crashed":
            raise
        raise EdgetuiError(
            "crashed",
            f"The engine crashed over {model_name}: the file is damaged or its type is not supported here; the job's"
            " log has its last words.",
            detail=str(error),
        ) from error
    return rows[-1] if rows else None


def _known(model: MeasuredModel) -> MeasuredModel:
    """With its fingerprint, which a list may not have read yet."""
    if model.fingerprint:
        return model
    return msgspec.structs.replace(model, fingerprint=fingerprint([Path(part) for part in model.parts]))
