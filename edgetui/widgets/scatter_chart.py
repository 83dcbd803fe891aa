"""Points over two logarithmic axes, told apart by their marks, so that the chart reads without colour."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events

_AXIS_CELLS = 8
_STEPS = (1, 2, 5)


class Point(NamedTuple):
    """One point; a later one covers an earlier one in the same cell."""

    x: float
    y: float
    mark: str
    """One character."""
    tone: str = ""
    label: str = ""
    """Words beside it, where there is room."""


class ScatterChart(LinePanel):
    """A chart of a fixed number of rows; both axes are logarithmic where `show` says so."""

    DEFAULT_CSS = "ScatterChart { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._points: Sequence[Point] = ()
        self._x_label = self._y_label = self._legend = ""
        self._y_is_log = True
        self._format_y: Callable[[float], str] = str

    def show(
        self,
        points: Sequence[Point],
        x_label: str,
        y_label: str,
        legend: str,
        format_y: Callable[[float], str],
        *,
        y_is_log: bool,
    ) -> None:
        """Show these; the x axis is logarithmic, `format_y` writes the ticks of the other."""
        self._points, self._x_label, self._y_label, self._legend = points, x_label, y_label, legend
        self._format_y, self._y_is_log = format_y, y_is_log
        self.update_lines()

    def on_resize(self, event: events.Resize) -> None:
        """Another layout for another size: here the height counts as well."""
        super().on_resize(event)
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Legend, the field with its ticks, the x axis."""
        usable = [point for point in self._points if point.x > 0 and (point.y > 0 or not self._y_is_log)]
        rows = max(4, (self.size.height or 12) - 4)
        columns = width - _AXIS_CELLS - 2
        head: list[Line] = [(Span(self._legend, "muted"),), (Span(self._y_label, "label"),)]
        if not usable or columns < 10:
            return [*head, (Span("Nothing to draw: no speed is known.", "muted"),)]
        xs = _Scale([point.x for point in usable], columns, is_log=True)
        ys = _Scale([point.y for point in usable], rows, is_log=self._y_is_log)
        field = [[Span(" ")] * columns for _ in range(rows)]
        for point in usable:
            field[rows - 1 - ys.cell(point.y)][xs.cell(point.x)] = Span(point.mark, point.tone)
        for point in reversed(usable):
            _label(field[rows - 1 - ys.cell(point.y)], xs.cell(point.x), point.label)
        ticks = {rows - 1 - ys.cell(value): self._format_y(value) for value in ys.ticks()}
        lines: list[Line] = [
            (Span(ticks.get(row, "").rjust(_AXIS_CELLS) + (" +" if row in ticks else " |"), "muted"), *_joined(cells))
            for row, cells in enumerate(field)
        ]
        axis = [" "] * columns
        for value in xs.ticks():
            text = f"{value:g}"
            start = max(0, min(columns - len(text), xs.cell(value) - len(text) // 2))
            if all(cell == " " for cell in axis[max(0, start - 1) : start + len(text) + 1]):
                axis[start : start + len(text)] = text
        lines.append((Span(" " * (_AXIS_CELLS + 1) + "+" + f" {self._x_label} ".rjust(columns, "-"), "muted"),))
        lines.append((Span(" " * (_AXIS_CELLS + 2) + "".join(axis), "muted"),))
        return [*head, *lines]


class _Scale:
    """Values onto cells, with a little room on both sides."""

    def __init__(self, values: Sequence[float], cells: int, *, is_log: bool) -> None:
        self._is_log = is_log
        low, high = min(values), max(values)
        if is_log:
            low, high = low / 1.15, high * 1.15
        else:
            room = max((high - low) * 0.08, 0.5)
            low, high = low - room, high + room
        self._low, self._high = self._on_scale(low), self._on_scale(high)
        self._cells = cells

    def cell(self, value: float) -> int:
        """Cell of a value, from 0."""
        share = (self._on_scale(value) - self._low) / (self._high - self._low)
        return max(0, min(self._cells - 1, int(share * self._cells)))

    def ticks(self) -> list[float]:
        """Round values within the scale."""
        if self._is_log:
            powers = range(math.floor(self._low) - 1, math.ceil(self._high) + 1)
            candidates = [step * 10.0**power for power in powers for step in _STEPS]
        else:
            span = self._high - self._low
            step = 10.0 ** math.floor(math.log10(span)) / 2
            while span / step > 6:
                step *= 2
            first = math.ceil(self._low / step)
            candidates = [step * number for number in range(first, first + 8)]
        return [value for value in candidates if self._low <= self._on_scale(value) <= self._high]

    def _on_scale(self, value: float) -> float:
        return math.log10(value) if self._is_log else value


def _label(cells: list[Span], column: int, text: str) -> None:
    """Words after a point or before it, where nothing else stands."""
    for start in (column + 2, column - 1 - len(text)):
        around = cells[max(0, start - 1) : start + len(text) + 1]
        is_free = all(cell.text == " " for cell in around[1 if start < column else 0 : None])
        if text and start >= 0 and start + len(text) <= len(cells) and is_free:
            cells[start : start + len(text)] = [Span(letter, "muted") for letter in text]
            return


def _joined(cells: Sequence[Span]) -> Line:
    """Neighbours of one tone as one span."""
    spans: list[Span] = []
    for cell in cells:
        if spans and spans[-1].tone == cell.tone:
            spans[-1] = Span(spans[-1].text + cell.text, cell.tone)
        else:
            spans.append(cell)
    return tuple(spans)
