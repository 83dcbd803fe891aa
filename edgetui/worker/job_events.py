"""What a job tells of itself: the lines of its journal, one JSON object each."""

from __future__ import annotations

from edgetui.core.bench import BenchRow
from edgetui.core.failures import Failure
from edgetui.core.quality import QualityRow
from edgetui.core.studies import StudyResult
from edgetui.worker.tagged import Tagged


class JobStarted(Tagged, frozen=True, kw_only=True):
    """First line of a run."""

    pid: int
    process_start: float
    """The process's creation time, so that a reused pid is never taken for it."""
    at: float
    """Unix time in seconds."""


class JobProgress(Tagged, frozen=True, kw_only=True):
    """How far it is; whatever is not known is None."""

    at: float
    done: float
    """In `unit`."""
    total: float | None
    unit: str
    """`tensors`, `bytes`, `tests`."""
    note: str = ""
    """What is being done now, such as a tensor's name and types."""
    bytes_done: int | None = None
    bytes_total: int | None = None
    bytes_per_s: float | None = None
    """Of the last seconds, where the whole run says nothing of it."""
    passing: bool = False
    """A moment between two others, worth no line of its own."""


class JobBenchRow(Tagged, frozen=True, kw_only=True):
    """One measured row, as soon as it is there."""

    at: float
    row: BenchRow


class JobQualityRow(Tagged, frozen=True, kw_only=True):
    """One measured quality, as soon as it is there."""

    at: float
    row: QualityRow


class JobStudy(Tagged, frozen=True, kw_only=True):
    """What a measurement of several parts found."""

    at: float
    result: StudyResult


class JobSucceeded(Tagged, frozen=True, kw_only=True):
    """Last line of a run that did its work."""

    at: float
    summary: str
    """One sentence for the person."""
    output: str | None = None
    """Path of the file made, if any."""


class JobFailed(Tagged, frozen=True, kw_only=True):
    """Last line of a run that did not; `failure.kind` is `cancelled` when that was wished."""

    at: float
    failure: Failure


JobEvent = JobStarted | JobProgress | JobBenchRow | JobQualityRow | JobStudy | JobSucceeded | JobFailed
