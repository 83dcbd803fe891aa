"""A small bar chart of rates over time, in block characters, as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"


def chart_rows(values: Sequence[float], columns: int, rows: int) -> list[str]:
    """Bars from 0 to the largest value, one column each, as `rows` strings from top to bottom."""
    top = max(values, default=0.0)
    if top <= 0:
        return [" " * columns] * rows
    steps = len(_BLOCKS) - 1
    heights = [round(value / top * rows * steps) for value in values[-columns:]]
    return [
        "".join(_BLOCKS[min(max(height - row * steps, 0), steps)] for height in heights).ljust(columns)
        for row in reversed(range(rows))
    ]
