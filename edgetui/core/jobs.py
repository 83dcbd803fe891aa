"""What a job is to those who look at it: its state and figures, and the arithmetic on them."""

from __future__ import annotations

from typing import Literal

import msgspec

JobState = Literal["running", "succeeded", "failed", "cancelled", "interrupted", "paused"]
JobKind = Literal[
    "quantize", "bench", "download", "toolchain", "convert", "imatrix", "quality", "recipe", "onnx", "olive", "mlx",
    "sweep", "tensors", "latency",
]  # fmt: skip

_MAKERS = ("quantize", "download", "recipe", "convert", "onnx", "olive", "mlx")

CANCELLED = "It was cancelled."
"""How a job ends that a person has ended; what it kept may stand behind it."""
REPETITIONS = "repetitions"
"""Of a measurement: a prefill takes far less time than a decode, so the share done says nothing of the time left."""


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One job as a list shows it; times are Unix times in seconds."""

    job_id: str
    kind: JobKind
    subject: str
    """Name of the model that it works on."""
    goal: str
    """What it shall make: `Q4_K_M`, `pp512 tg128`."""
    state: JobState
    created_at: float
    started_at: float | None = None
    """Of its last run."""
    ended_at: float | None = None
    summary: str = ""
    """How it ended, in one sentence."""
    output: str | None = None
    """Path of the file that it makes, or made."""
    done: float | None = None
    """In `unit`; None before the first report."""
    total: float | None = None
    unit: str = ""
    note: str = ""
    """What it does just now."""
    bytes_done: int | None = None
    bytes_total: int | None = None
    rate_bytes_per_s: float | None = None
    """Of the last seconds, where the job tells it."""
    progress_at: float | None = None
    """When the figures above were reported."""

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.state == "running"

    @property
    def makes_a_model(self) -> bool:
        """Whether its output is a model."""
        return self.kind in _MAKERS and self.output is not None

    @property
    def fraction(self) -> float | None:
        """Share of the work that is done, by bytes where they are known."""
        if self.bytes_done is not None and self.bytes_total:
            return min(1.0, self.bytes_done / self.bytes_total)
        if self.done is not None and self.total:
            return min(1.0, self.done / self.total)
        return None

    @property
    def bytes_per_s(self) -> float | None:
        """As the job tells it, else the mean since the run began."""
        if self.rate_bytes_per_s is not None:
            return self.rate_bytes_per_s
        elapsed = self._reported_after_s
        return self.bytes_done / elapsed if self.bytes_done and elapsed else None

    def remaining_s(self, now: float) -> float | None:
        """Time left at the rate of now, or the mean so far; None while nothing can be said."""
        if self.is_running and self.rate_bytes_per_s and self.bytes_done is not None and self.bytes_total:
            return (self.bytes_total - self.bytes_done) / self.rate_bytes_per_s
        if self.rate_bytes_per_s is not None:
            return None
        elapsed, fraction = self._reported_after_s, self.fraction
        if not self.is_running or not elapsed or not fraction or self.progress_at is None:
            return None
        if self.unit == REPETITIONS:
            return None
        return max(0.0, elapsed * (1 - fraction) / fraction - max(0.0, now - self.progress_at))

    def duration_s(self, now: float) -> float | None:
        """How long its last run took, or has taken so far; None when that is not known."""
        if self.started_at is None:
            return None
        end = now if self.is_running else self.ended_at
        return None if end is None else max(0.0, end - self.started_at)

    @property
    def _reported_after_s(self) -> float | None:
        if self.started_at is None or self.progress_at is None or self.progress_at <= self.started_at:
            return None
        return self.progress_at - self.started_at
