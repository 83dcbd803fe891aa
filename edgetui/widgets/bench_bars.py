"""Rates as bars under one another, so that rows compare at a glance, also without colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from edgetui.core.bench import labels
from edgetui.core.bench_table import rate_text
from edgetui.core.plain_text import plain_line
from edgetui.core.text_wrap import WrappedText
from edgetui.widgets.bars import default_glyphs, meter
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetui.core.bench import BenchRecord

_LEAST_LABEL_CELLS = 12
_LEAST_BAR_CELLS = 16
_RATE_CELLS = 20


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
        title = WrappedText(width, plain_line(self._title)).lines if self._title else []
        lines: list[Line] = [(Span(text, "label"),) for text in title]
        top = max((record.row.mean_tps for record in self._records), default=0.0)
        names = [plain_line(label) for label in labels(self._records)]
        widest = max((cell_len(name) for name in names), default=0)
        label_cells = min(widest, max(_LEAST_LABEL_CELLS, width - _RATE_CELLS - _LEAST_BAR_CELLS))
        bar_cells = max(4, width - label_cells - _RATE_CELLS - 1)
        for name, record in zip(names, self._records, strict=True):
            bar, track = meter(record.row.mean_tps / top if top else None, bar_cells, self._glyphs)
            lines.append(
                (
                    Span(f"{set_cell_size(_shortened(name, label_cells), label_cells)} "),
                    Span(bar, "bar"),
                    Span(track, "track"),
                    Span(f"{rate_text(record):>{_RATE_CELLS}}"),
                )
            )
        return lines


def _shortened(text: str, cells: int) -> str:
    """Cut out of the middle: what tells two models apart stands at the end of their names as often as at the start."""
    if cell_len(text) <= cells:
        return text
    tail = ""
    for character in reversed(text):
        if cell_len(character + tail) > (cells - 3) // 2:
            break
        tail = character + tail
    return set_cell_size(text, cells - 3 - cell_len(tail)) + "..." + tail
