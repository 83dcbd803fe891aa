"""Jobs as their journals tell them, and the table in the database that lists them quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.jobs import JobRecord
from edgetui.worker.job_events import JobEvent, JobFailed, JobProgress, JobStarted, JobSucceeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetui.store.database import Database
    from edgetui.store.job_folder import JobOrder

INTERRUPTED = "Its process ended without a word (killed, crashed, or the machine went down): start it again."

_COLUMNS = (
    "job_id", "kind", "subject", "goal", "state", "created_at", "started_at", "ended_at", "summary", "output",
)  # fmt: skip


def first_record(job_id: str, order: JobOrder) -> JobRecord:
    """A job of which nothing is known but its order."""
    request = order.request
    return JobRecord(
        job_id=job_id,
        kind=request.kind,
        subject=request.subject,
        goal=request.goal,
        state="running",
        created_at=order.created_at,
        output=request.output,
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
