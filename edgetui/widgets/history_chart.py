"""A short history of one figure: bars over time beside the newest value, with the least and the largest."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from edgetui.widgets.bars import chart_rows, default_glyphs
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetui.widgets.bars import Glyphs

_NARROW = 40
"""Below this width the words stand above and under the bars instead of beside them."""


class HistoryChart(LinePanel):
    """Push values as they come; None is a gap."""

    def __init__(
        self,
        label: str,
        format_value: Callable[[float | None], str],
        *,
        rows: int = 2,
        window: int = 120,
        low: float = 0.0,
        high: float | None = None,
        label_width: int = 9,
        value_width: int = 7,
        unit_of_window: str = "s",
        glyphs: Glyphs | None = None,
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:
        """Keeps the last `window` values, as many as there is room for are drawn; scale from `low` to `high`.

        Without `high` the largest value shown reaches the top. `unit_of_window` names the step between two values.
        """
        super().__init__(id=id)
        self._label = label
        self._format = format_value
        self._rows = rows
        self._values: deque[float | None] = deque(maxlen=window)
        self._low = low
        self._high = high
        self._label_width = label_width
        self._value_width = value_width
        self._unit = unit_of_window
        self._glyphs = glyphs or default_glyphs()

    @property
    def rows(self) -> int:
        """Rows of bars."""
        return self._rows

    @rows.setter
    def rows(self, rows: int) -> None:
        if rows != self._rows:
            self._rows = rows
            self.update_lines()

    def push(self, value: float | None) -> None:
        """Add the newest value."""
        self._values.append(value)
        self.update_lines()

    def clear(self) -> None:
        """Forget all values."""
        self._values.clear()
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Beside each other where there is room, else in a pile."""
        newest = self._format(self._values[-1] if self._values else None)
        if width < _NARROW:
            return self._pile(width, newest)
        left = self._label_width + self._value_width + 1
        columns = max(1, min(self._values.maxlen or width, width - left - 1 - self._scale_width))
        bars = self._bars(columns)
        ends = self._ends(columns)
        span = f"{min(columns, len(self._values))} {self._unit}"
        lines: list[Line] = []
        for row, bar in enumerate(bars):
            head = (
                (Span(self._label.ljust(self._label_width), "label"), Span(newest.rjust(self._value_width) + " "))
                if row == 0
                else (Span(f"last {span}".rjust(left - 1) + " " if row == 1 else " " * left, "muted"),)
            )
            if len(bars) == 1:
                tail = f" {ends[1]} to {ends[0]}" if self._values else ""
            else:
                tail = f" max {ends[0]}" if row == 0 else f" min {ends[1]}" if row == len(bars) - 1 else ""
            lines.append((*head, Span(bar, "bar"), Span(tail, "muted")))
        return lines

    def _pile(self, width: int, newest: str) -> list[Line]:
        high, low = self._ends(width)
        ends = f"min {low} max {high}"
        return [
            (Span(self._label, "label"), Span(newest.rjust(max(len(newest) + 1, width - len(self._label))))),
            *((Span(bar, "bar"),) for bar in self._bars(width)),
            (Span(ends, "muted"),),
        ]

    def _bars(self, columns: int) -> list[str]:
        return chart_rows(list(self._values), columns, self._rows, self._glyphs, self._low, self._high)

    def _ends(self, columns: int) -> tuple[str, str]:
        """Largest and least of what is drawn."""
        shown = [value for value in list(self._values)[-columns:] if value is not None]
        return self._format(max(shown, default=None)), self._format(min(shown, default=None))

    @property
    def _scale_width(self) -> int:
        """Room for `max` or `min` and a value; for both values where the chart has one row."""
        return self._value_width * 2 + 4 if self._rows == 1 else self._value_width + 4
