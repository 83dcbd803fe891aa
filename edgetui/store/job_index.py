"""Jobs as their journals tell them, and the table in the database that lists them quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.jobs import JobKind, JobRecord
from edgetui.worker.protocol import (
    BenchRequest,
    DownloadRequest,
    JobEvent,
    JobFailed,
    JobProgress,
    JobStarted,
    JobSucceeded,
    QuantizeRequest,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.store.database import Database
    from edgetui.store.job_folder import JobOrder
    from edgetui.worker.protocol import JobRequest

INTERRUPTED = "Its process ended without a word (killed, crashed, or the machine went down): start it again."

_COLUMNS = (
    "job_id", "kind", "subject", "goal", "state", "created_at", "started_at", "ended_at", "summary", "output",
)  # fmt: skip


def first_record(job_id: str, order: JobOrder) -> JobRecord:
    """A job of which nothing is known but its order."""
    kind, subject, goal, output = _of_request(order.request)
    return JobRecord(
        job_id=job_id,
        kind=kind,
        subject=subject,
        goal=goal,
        state="running",
        created_at=order.created_at,
        output=output,
    )


def advance(record: JobRecord, events: Iterable[JobEvent]) -> JobRecord:
    """The record after these events."""
    changes: dict[str, object] = {}
    for event in events:
        if isinstance(event, JobStarted):
            changes |= {"state": "running", "started_at": event.at, "ended_at": None, "summary": ""}
        elif isinstance(event, JobProgress):
            changes |= {
                "done": event.done,
                "total": event.total,
                "unit": event.unit,
                "note": event.note,
                "bytes_done": event.bytes_done,
                "bytes_total": event.bytes_total,
                "rate_bytes_per_s": event.bytes_per_s,
                "progress_at": event.at,
            }
        elif isinstance(event, JobSucceeded):
            changes |= {"state": "succeeded", "ended_at": event.at, "summary": event.summary}
            if event.output is not None:
                changes["output"] = event.output
        elif isinstance(event, JobFailed):
            kind = event.failure.kind
            changes |= {
                "state": kind if kind in ("cancelled", "paused") else "failed",
                "ended_at": event.at,
                "summary": event.failure.message,
            }
    return msgspec.structs.replace(record, **changes) if changes else record


class JobIndex:
    """The table of jobs; every method may raise `EdgetuiError` as the database does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> dict[str, JobRecord]:
        """Every job by its id, newest first."""
        rows = self._database.read(f"SELECT {', '.join(_COLUMNS)} FROM jobs ORDER BY created_at DESC, job_id DESC")
        return {row["job_id"]: msgspec.convert(dict(row), JobRecord) for row in rows}

    def put(self, record: JobRecord) -> None:
        """Add a job, or bring its row up to date."""
        values = tuple(getattr(record, column) for column in _COLUMNS)
        self._database.write(
            f"INSERT OR REPLACE INTO jobs ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})", values
        )

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        self._database.write("DELETE FROM jobs WHERE job_id = ?", (job_id,))


def _of_request(request: JobRequest) -> tuple[JobKind, str, str, str | None]:
    """Kind, subject, goal and output of a job."""
    if isinstance(request, QuantizeRequest):
        name = request.parent_name or request.source.rsplit("/", 1)[-1].removesuffix(".gguf")
        return "quantize", name, request.type_name, request.target
    if isinstance(request, DownloadRequest):
        return "download", request.repo, request.name, None
    assert isinstance(request, BenchRequest)
    settings = request.settings
    tests = [("pp", settings.prompt_tokens), ("tg", settings.generated_tokens)]
    return "bench", request.model_name, " ".join(f"{test}{tokens}" for test, tokens in tests if tokens), None
