"""What an engine's long work tells whoever runs it, and how its result looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from edgetui.core.bench import BenchRow
    from edgetui.core.quality import QualityRow


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a job that did its work leaves behind."""

    summary: str
    """One sentence for the person."""
    output: str | None = None
    """Path of the file made, if any."""


class Reporter(Protocol):
    """Takes a job's progress; every method may be called from any thread and as often as wished."""

    def progress(
        self,
        done: float,
        total: float | None,
        unit: str,
        note: str = "",
        *,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        bytes_per_s: float | None = None,
        passing: bool = False,
    ) -> None:
        """How far the work is; more reports than anyone can read are thinned out, the last one kept.

        A `passing` one is a moment between two others, worth no line of its own.
        """

    def row(self, row: BenchRow | QualityRow) -> None:
        """One measured row of speed or of quality, kept at once."""

    @property
    def cancelled(self) -> bool:
        """Whether the person wants the work to end; the process ends soon after by itself."""
