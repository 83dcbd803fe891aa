"""What a run of Olive left on record: each pass with its time, the size of what it made, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edgetui.core.units import MISSING, format_bytes, format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

FOOTPRINT_FILE = "olive_passes.json"
"""In the folder of a model that Olive made: a list of `PassRow`."""
WORKFLOW_FILE = "olive_workflow.json"
"""Beside it: the JSON that was run, which can be run again."""


class PassRow(msgspec.Struct, frozen=True, kw_only=True):
    """One pass on one model."""

    pass_type: str
    """Olive's name, such as `Gptq`; empty for the model that it began with."""
    duration_s: float | None = None
    size_bytes: int | None = None
    """Of the model that it made."""
    from_cache: bool = False
    """Whether its result was there from an earlier run; then `duration_s` is that of taking it."""
    metrics: dict[str, float] = {}
    """What Olive's evaluator measured, by its names, such as `latency-avg` in ms."""
    settings: dict[str, str] = {}
    """Those of the pass that a search tried, where it was one of several."""


def footprint_lines(rows: Sequence[PassRow]) -> list[str]:
    """The rows as a small table, the heading first."""
    lines = [f"{'PASS':<32}{'TIME':>9}{'SIZE':>11}  MEASURED"]
    for row in rows:
        name, taken, size, measured = _told(row)
        lines.append(f"{name:<32}{taken:>9}{size:>11}  {measured}")
    return lines


def footprint_facts(rows: Sequence[PassRow]) -> list[str]:
    """The same for a narrow place, a line or two each."""
    return ["   ".join(part for part in _told(row) if part != MISSING) for row in rows]


def _told(row: PassRow) -> tuple[str, str, str, str]:
    """Name, time, size and what was measured."""
    taken = "cached" if row.from_cache else MISSING if row.duration_s is None else format_duration(row.duration_s)
    measured = [f"{name} {value:.4g}" for name, value in row.metrics.items()]
    measured += [f"{name}={value}" for name, value in row.settings.items()]
    return row.pass_type or "(source)", taken, format_bytes(row.size_bytes), " ".join(measured) or MISSING
