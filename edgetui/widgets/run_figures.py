"""The figures beside a conversation: decode rate first and large, then its company."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.renderables.digits import DIGITS, DIGITS3X3_BOLD
from textual.strip import Strip

from edgetui.core.run_figures import RunFigures, figure_rows, fitted
from edgetui.core.units import MISSING, format_bytes, format_duration, format_rate
from edgetui.widgets.bars import chart_rows, default_glyphs
from edgetui.widgets.plain_box import Unscrolled

if TYPE_CHECKING:
    from textual import events

    from edgetui.core.run_figures import FigureRow

CHART_SPANS = 22
"""Most values in a chart: one a column in an 80-column terminal."""
_LARGE_FIGURE_ROWS = 16
"""Least height at which the decode rate is drawn three rows tall."""
_ROOMY_WIDTH = 42
"""From here on rows have room for reasons."""
_CHART_ROWS = (1, 3)
"""Fewest and usual rows of the chart where the rate is large: figures that have a value come first."""


class _Row(NamedTuple):
    text: str
    style: str = ""
    """Component class, empty for plain."""


class RunFiguresPanel(Unscrolled):
    """A line-API widget: on an update only the rows that differ are repainted."""

    DEFAULT_CSS = """
    RunFiguresPanel {
        width: 22; height: 1fr; background: $background; color: $foreground;
        .run-figures--rate { text-style: bold; color: $text-success; }
        .run-figures--label { color: $text-muted; }
        .run-figures--chart { color: $text-primary; }
        &:ansi .run-figures--label { color: ansi_default; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-figures--rate", "run-figures--label", "run-figures--chart"}
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._figures = RunFigures()
        self._rows: list[_Row] = []
        self._rows_size = Size(0, 0)
        """What the rows were laid out for."""
        self._glyphs = default_glyphs()

    @property
    def figures(self) -> RunFigures:
        """What is shown."""
        return self._figures

    @property
    def text(self) -> str:
        """The rows as they stand on the screen."""
        return "\n".join(row.text.rstrip() for row in self._rows)

    def update(self, figures: RunFigures) -> None:
        """Show new figures."""
        self._figures = figures
        self._fit()
        before, self._rows = self._rows, self._layout()
        if len(before) != len(self._rows):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, self._rows, strict=True)):
            if old != new:
                cells = max(len(old.text.rstrip()), len(new.text.rstrip()))
                self.refresh(Region(0, y, cells if old.style == new.style else self.size.width, 1))

    def on_resize(self, _event: events.Resize) -> None:
        """Another shape for another size; Textual paints it whole by itself."""
        self._fit()

    def render_line(self, y: int) -> Strip:
        """One row."""
        width = self._fit().width
        row = self._rows[y] if y < len(self._rows) else _Row("")
        style = self.get_component_rich_style(row.style) if row.style else self.rich_style
        # One segment a row: each costs its style's control sequence.
        return Strip([Segment(row.text.ljust(width), style)]).adjust_cell_length(width, style)

    def _fit(self) -> Size:
        """Lay out for the present size, which it gives; painting a new one comes before Textual tells of it."""
        size = self.size
        if self._rows_size != size:
            self._rows_size = size
            self._rows = self._layout()
        return size

    def _layout(self) -> list[_Row]:
        width, height = self.size
        if height <= 3:
            return self._one_line(width, height)
        figures = self._figures
        large = height >= _LARGE_FIGURE_ROWS
        rate = MISSING if figures.decode_tps is None else f"{figures.decode_tps:.1f}"
        rows = [_Row(_sides("DECODE", "tok/s" if large else "", width), "run-figures--label")]
        if large:
            rows += [_Row(line, "run-figures--rate") for line in _large(rate)]
        else:
            rows.append(_Row(f" {format_rate(figures.decode_tps)}", "run-figures--rate"))
        lines = figure_rows(figures, roomy=width >= _ROOMY_WIDTH)
        room = height - len(rows)
        chart = 0
        if large:
            valued = sum(line.value != MISSING for line in lines)
            chart = max(_CHART_ROWS[0], min(max(_CHART_ROWS[1], height // 6), room - valued))
        drawn = self._chart(width, chart) if chart else []
        rows += [_Row(line, "run-figures--chart") for line in drawn]
        rows += [_Row(_text(line, width)) for line in fitted(lines, height - len(rows))]
        return rows[:height]

    def _chart(self, width: int, rows: int) -> list[str]:
        """Bars that begin at the left edge: an answer has a beginning."""
        stretch = max(1, width // CHART_SPANS)
        values = [rate for rate in self._figures.rates_tps for _ in range(stretch)]
        return chart_rows(values, len(values), rows, self._glyphs)

    def _one_line(self, width: int, height: int) -> list[_Row]:
        figures = self._figures
        first = figures.state if figures.kept is None else f"answer {figures.kept.place}"
        parts = [first, format_rate(figures.decode_tps), f"TTFT {format_duration(figures.ttft_s)}"]
        if figures.context_used is not None:
            parts.append(f"ctx {figures.context_used}/{figures.context_tokens}")
        parts.append(format_bytes(figures.resident_bytes))
        if figures.reused_tokens:
            parts.append(f"reused {figures.reused_tokens}/{figures.prompt_tokens}")
        shown = ""
        for part in parts:
            longer = f"{shown}  {part}" if shown else part
            if len(longer) > width:
                break
            shown = longer
        return [_Row(shown, "run-figures--rate")][:height]


def _text(row: FigureRow, width: int) -> str:
    """One row; where there is room the reason stands behind the dash."""
    value = row.value
    if row.reason and width >= _ROOMY_WIDTH:
        room = width - len(row.label) - 4
        reason = row.reason if len(row.reason) <= room else f"{row.reason[: room - 3]}..."
        value = f"{value} {reason}"
    return _sides(row.label, value, width)


def _sides(label: str, value: str, width: int) -> str:
    room = width - len(label) - 1
    if len(value) > room > 3:
        value = f"{value[: room - 3]}..."
    return label + value.rjust(max(len(value) + 1, width - len(label)))


def _large(figure: str) -> list[str]:
    """A number three rows tall."""
    rows = ["", "", ""]
    for char in figure:
        glyph = [".", ".", "."]
        if char == ".":
            glyph = [" ", " ", "."]
        elif char in DIGITS:
            at = DIGITS.index(char) * 3
            glyph = [line.ljust(3) for line in DIGITS3X3_BOLD[at : at + 3]]
        rows = [row + part for row, part in zip(rows, glyph, strict=True)]
    return [f" {row}" for row in rows]
