"""Rates as bars under one another, so that rows compare at a glance, also without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.core.bench_table import rate_text
from edgetui.core.plain_text import plain_line
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord

_LABEL_CELLS = 30
_RATE_CELLS = 18


class BenchBars(LinePanel):
    """One bar a record on a common scale, with the sentence that compares them above."""

    def __init__(self) -> None:
        super().__init__()
        self._title = ""
        self._records: Sequence[BenchRecord] = ()
        self._glyphs = default_glyphs()

    def show(self, title: str, records: Sequence[BenchRecord]) -> None:
        """Show these records, all of one test."""
        self._title, self._records = title, records
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """The sentence, then a bar a record."""
        lines: list[Line] = [(Span(self._title, "label"),)] if self._title else []
        top = max((record.row.mean_tps for record in self._records), default=0.0)
        label_cells = min(_LABEL_CELLS, max(10, width - _RATE_CELLS - 12))
        bar_cells = max(4, width - label_cells - _RATE_CELLS - 3)
        for record in self._records:
            row = record.row
            label = plain_line(row.model_name)
            if len(label) > label_cells:
                label = f"{label[: label_cells - 3]}..."
            bar, track = meter(row.mean_tps / top if top else None, bar_cells, self._glyphs)
            lines.append(
                (
                    Span(f"{label:<{label_cells}} "),
                    Span(bar, "bar"),
                    Span(track, "track"),
                    Span(f" {rate_text(record):>{_RATE_CELLS - 1}}"),
                )
            )
        return lines
