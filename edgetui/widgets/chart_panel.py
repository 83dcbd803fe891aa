"""Charts and a table, drawn with characters as wide as the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.chart_text import chart_lines
from edgetui.core.plain_text import plain_line
from edgetui.core.text_wrap import WrappedText
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetui.core.charts import Chart

    Table = Callable[[int], Sequence[str]]
    """Gives its lines for a width."""


class ChartPanel(LinePanel):
    """Sentences, then a table, then charts under one another, each of line charts in a number of rows."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._sentences: Sequence[str] = ()
        self._charts: Sequence[Chart] = ()
        self._rows = 10
        self._table: Table | None = None

    def show(
        self, sentences: Sequence[str], charts: Sequence[Chart], rows: int = 10, table: Table | None = None
    ) -> None:
        """Replace what is shown."""
        self._sentences, self._charts, self._rows, self._table = sentences, charts, rows, table
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Sentences wrapped, charts as they are."""
        lines: list[Line] = [
            (Span(text, "label"),)
            for sentence in self._sentences
            for text in WrappedText(width, plain_line(sentence)).lines
        ]
        if self._table is not None:
            lines += [(Span(text),) for text in ("", *self._table(width), "")]
        for chart in self._charts:
            lines += ((Span(text),) for text in chart_lines(chart, width, self._rows))
        return lines
