"""Jobs as words: how far one is, in what state, and what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.units import MISSING, format_bytes, format_duration

if TYPE_CHECKING:
    from edgetui.core.jobs import JobRecord, JobState

STATE_SIGNS: dict[JobState, str] = {
    "running": ">",
    "succeeded": "+",
    "failed": "!",
    "cancelled": "x",
    "interrupted": "?",
    "paused": "=",
}
"""One character a state, so that colour is never the only sign."""
STATE_WORDS: dict[JobState, str] = {
    "running": "running",
    "succeeded": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "interrupted": "interrupted",
    "paused": "paused",
}


def job_title(record: JobRecord) -> str:
    """`quantize SmolLM2.F16 to Q4_K_M`."""
    return f"{record.kind} {record.subject} {'to ' if record.kind == 'quantize' else ''}{record.goal}"


def share_done(record: JobRecord) -> str:
    """`46 %`, or `-` while nothing is known."""
    fraction = record.fraction
    return MISSING if fraction is None else f"{int(fraction * 100)} %"


def job_rate(record: JobRecord) -> str:
    """`41.2 MiB/s`, where bytes are counted."""
    rate = record.bytes_per_s
    return MISSING if rate is None else f"{format_bytes(rate)}/s"


def steps_done(record: JobRecord) -> str:
    """`125/272 tensors`, `1.2 GiB/2.3 GiB`."""
    if record.done is None:
        return MISSING
    if record.unit == "bytes":
        of = f"/{format_bytes(record.total)}" if record.total is not None else ""
        return f"{format_bytes(record.done)}{of}"
    total = f"/{record.total:.0f}" if record.total is not None else ""
    # What is half done is not done.
    return f"{int(record.done)}{total} {record.unit}"


def time_left(record: JobRecord, now: float) -> str:
    """`12 s`, whole seconds: more would be pretended."""
    left = record.remaining_s(now)
    if left is None:
        return MISSING
    if left < 1:
        return "<1 s"
    return f"{left:.0f} s" if left < 60 else format_duration(left)


def progress_line(record: JobRecord, now: float) -> str:
    """`46 %  125/272 tensors  41.2 MiB/s  12 s left`; what is not known yet is left out."""
    if record.total is None:
        return "starting"
    parts = [share_done(record), steps_done(record), job_rate(record)]
    if record.remaining_s(now) is not None:
        parts.append(f"{time_left(record, now)} left")
    return "  ".join(part for part in parts if part != MISSING)
