"""Meters and charts as plain text: block characters, or ASCII where the terminal has no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.core.terminal import draws_unicode

if TYPE_CHECKING:
    from collections.abc import Sequence


class Glyphs(NamedTuple):
    """The characters that a chart or meter is made of; all one cell wide."""

    levels: str
    """A chart's cell from empty to full."""
    fill: str
    half: str
    """Half a cell of a meter; empty when there is no such character."""
    track: str


BLOCKS = Glyphs(" ▁▂▃▄▅▆▇█", "━", "╸", "─")
ASCII = Glyphs(" .:|", "#", "", ".")


def default_glyphs() -> Glyphs:
    """What this terminal's locale can show."""
    return BLOCKS if draws_unicode() else ASCII


def meter(share: float | None, cells: int, glyphs: Glyphs) -> tuple[str, str]:
    """Filled part and track of a bar for a share from 0 to 1; no fill for a figure that is missing."""
    if share is None:
        return "", glyphs.track * cells
    steps = 2 if glyphs.half else 1
    filled = round(min(1.0, max(0.0, share)) * cells * steps)
    if share > 0 and not filled:
        # Little is not nothing.
        filled = 1
    bar = glyphs.fill * (filled // steps) + (glyphs.half if filled % steps else "")
    return bar, glyphs.track * (cells - len(bar))


def chart_rows(
    values: Sequence[float | None], columns: int, rows: int, glyphs: Glyphs, low: float = 0.0, high: float | None = None
) -> list[str]:
    """Bars of the last `columns` values, newest at the right end, as `rows` strings from top to bottom.

    The scale goes from `low` to `high`, or to the largest value. A missing value is a gap; a value at `low` or below
    still draws the thinnest bar, so that both can be told apart.
    """
    shown = values[max(0, len(values) - columns) :]
    present = [value for value in shown if value is not None]
    top = high if high is not None else max(present, default=low)
    steps = len(glyphs.levels) - 1
    heights = [0 if value is None else max(1, _scaled(value, low, top, rows * steps)) for value in shown]
    return [
        "".join(glyphs.levels[min(max(height - row * steps, 0), steps)] for height in heights).rjust(columns)
        for row in reversed(range(rows))
    ]


def _scaled(value: float, low: float, high: float, steps: int) -> int:
    if high <= low:
        return 0
    return round(min(1.0, max(0.0, (value - low) / (high - low))) * steps)
