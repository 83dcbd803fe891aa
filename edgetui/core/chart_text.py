"""Charts drawn with characters, for the screen and the command line: axes, units, a legend, no colour needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from edgetui.core.charts import MARKS, BarChart, LineChart, axes, tick_text, x_ticks
from edgetui.core.plain_text import plain_line
from edgetui.core.terminal import draws_unicode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.charts import Axis, Bar, Chart

_LEAST_LABEL_CELLS = 12
_LEAST_BAR_CELLS = 16
_TICK_CELLS = 8
_LEAST_ROWS = 4


def chart_lines(chart: Chart, width: int, rows: int) -> list[str]:
    """The chart in `width` cells; a line chart takes `rows` rows or at least a few, a bar chart what it needs."""
    if isinstance(chart, BarChart):
        return bar_lines(chart, width)
    return line_chart_lines(chart, width, rows)


def bar_lines(chart: BarChart, width: int) -> list[str]:
    """A bar a line, `[` and `]` at the ends of the interval, then the figure; under them the axis with its unit."""
    if not chart.bars:
        return []
    figures = [f"{bar.value:.2f}{bar.note}" for bar in chart.bars]
    figure_cells = max(map(len, figures))
    labels = [plain_line(bar.label) for bar in chart.bars]
    room = width - figure_cells - 2 - _LEAST_BAR_CELLS
    label_cells = min(max(map(cell_len, labels)), max(_LEAST_LABEL_CELLS, room))
    bar_cells = max(4, width - label_cells - figure_cells - 2)
    top = max(max(bar.value, bar.high or 0.0) for bar in chart.bars) or 1.0
    lines = [
        set_cell_size(shortened(label, label_cells), label_cells)
        + f" {_bar(bar, top, bar_cells)} {figure:>{figure_cells}}"
        for label, bar, figure in zip(labels, chart.bars, figures, strict=True)
    ]
    marks = " [ ] 95 % interval" if any(bar.low is not None for bar in chart.bars) else ""
    end = f"{tick_text(float(f'{top:.3g}'))} {chart.unit}"
    inner = bar_cells - len(end) - 1
    scale = f"0{marks if len(marks) < inner else ''}".ljust(inner) + " " + end if inner > 0 else f"0 to {end}"
    return [*lines, " " * (label_cells + 1) + scale]


def line_chart_lines(chart: LineChart, width: int, rows: int) -> list[str]:
    """Title with the legend, the field, the axis under it."""
    columns = width - _TICK_CELLS - 2
    marks = {series.name: MARKS[number % len(MARKS)] for number, series in enumerate(chart.series)}
    names = "  ".join(f"{mark} {plain_line(name)}" for name, mark in marks.items())
    head = [plain_line(f"{chart.title}, {chart.y_label}"), names] if names.strip("* ") else [plain_line(chart.title)]
    field_rows = max(_LEAST_ROWS, rows - len(head) - 2)
    both = axes(chart, columns - 1, field_rows - 1)
    if both is None or columns < 10:
        return [*head, "Nothing to draw yet."]
    across, up = both
    field = [[" "] * columns for _ in range(field_rows)]
    for x, word in chart.verticals:
        column = round(across.place(x))
        for row in field:
            row[column] = ":"
        _write(field[0], column + 1, word)
    for series in chart.series:
        for (x, y), then in zip(series.points, (*series.points[1:], None), strict=True):
            if then is not None:
                _connect(field, across, up, (x, y), then)
    for series in chart.series:
        for x, y in series.points:
            if not chart.x_is_log or x > 0:
                field[field_rows - 1 - round(up.place(y))][round(across.place(x))] = marks[series.name]
    ticks = {field_rows - 1 - round(up.place(value)): tick_text(value) for value in up.ticks(field_rows // 2 + 1)}
    lines = [
        ticks.get(number, "").rjust(_TICK_CELLS) + (" +" if number in ticks else " |") + "".join(row)
        for number, row in enumerate(field)
    ]
    return [*head, *lines, *_x_axis(chart, across, columns)]


def shortened(text: str, cells: int) -> str:
    """Cut out of the middle: what tells two models apart stands at the end of their names as often as at the start."""
    if cell_len(text) <= cells:
        return text
    tail = ""
    for character in reversed(text):
        if cell_len(character + tail) > (cells - 3) // 2:
            break
        tail = character + tail
    return set_cell_size(text, cells - 3 - cell_len(tail)) + "..." + tail


def _bar(bar: Bar, top: float, cells: int) -> str:
    fill, track = ("━", "─") if draws_unicode() else ("#", ".")
    filled = max(1, round(bar.value / top * cells)) if bar.value > 0 else 0
    drawn = list(fill * filled + track * (cells - filled))
    if bar.low is not None and bar.high is not None:
        last = cells - 1
        drawn[min(last, max(0, round(bar.low / top * cells) - 1))] = "["
        drawn[min(last, max(0, round(bar.high / top * cells) - 1))] = "]"
    return "".join(drawn)


def _connect(
    field: list[list[str]], across: Axis, up: Axis, start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Dots between two points that lie apart."""
    if across.is_log and min(start[0], end[0]) <= 0:
        return
    left, right = round(across.place(start[0])), round(across.place(end[0]))
    low, high = up.place(start[1]), up.place(end[1])
    for column in range(left + 1, right):
        height = low + (high - low) * (column - left) / (right - left)
        row = len(field) - 1 - round(height)
        if field[row][column] == " ":
            field[row][column] = "."


def _x_axis(chart: LineChart, across: Axis, columns: int) -> list[str]:
    words = [" "] * columns
    for value, text in x_ticks(chart, across, max(2, columns // 12)):
        start = max(0, min(columns - len(text), round(across.place(value)) - len(text) // 2))
        if all(cell == " " for cell in words[max(0, start - 1) : start + len(text) + 1]):
            _write(words, start, text)
    label = f" {plain_line(chart.x_label)} "[:columns]
    return [" " * (_TICK_CELLS + 1) + "+" + label.rjust(columns, "-"), " " * (_TICK_CELLS + 2) + "".join(words)]


def _write(cells: list[str], start: int, text: Sequence[str]) -> None:
    for number, character in enumerate(text):
        if 0 <= start + number < len(cells):
            cells[start + number] = character
