"""One column of a side-by-side comparison: whose it is, what it says, and its figures below."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from edgetui.core.plain_text import plain_line
from edgetui.core.units import MISSING, format_bytes, format_duration
from edgetui.widgets.line_panel import Line, LinePanel, Span
from edgetui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ColumnFigures(NamedTuple):
    """What stands under a column; None is shown as `-`."""

    state: str = ""
    decode_tps: float | None = None
    """Now, or of the whole answer once it has ended."""
    ttft_s: float | None = None
    prefill_tps: float | None = None
    itl_p50_s: float | None = None
    itl_p99_s: float | None = None
    tokens: int | None = None
    memory_bytes: int | None = None
    load_s: float | None = None
    joules_per_token: float | None = None
    is_shared: bool = False
    """Whether the columns ran beside each other."""


class ColumnFiguresPanel(LinePanel):
    """Four lines, whatever is known."""

    DEFAULT_CSS = "ColumnFiguresPanel { height: 4; }"

    def __init__(self) -> None:
        super().__init__()
        self._figures = ColumnFigures()

    @property
    def figures(self) -> ColumnFigures:
        """What is shown."""
        return self._figures

    def show(self, figures: ColumnFigures) -> None:
        """Show new figures; only rows that differ are painted."""
        if figures != self._figures:
            self._figures = figures
            self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Decode first, then what led to it, then what it cost."""
        figures = self._figures
        decode = _rate(figures.decode_tps)
        shared = " beside others" if figures.is_shared and figures.decode_tps is not None else ""
        cost = f"{figures.tokens if figures.tokens is not None else MISSING} tok  {format_bytes(figures.memory_bytes)}"
        if figures.load_s is not None:
            cost += f"  load {format_duration(figures.load_s)}"
        if figures.joules_per_token is not None:
            cost += f"  {figures.joules_per_token:.3g} J/tok"
        itl = f"{format_duration(figures.itl_p50_s)} p50  {format_duration(figures.itl_p99_s)} p99"
        return [
            (Span("decode ", "label"), Span(decode, "good"), Span(shared, "warn"), Span(f"  {figures.state}", "muted")),
            (Span(f"TTFT {format_duration(figures.ttft_s)}  prefill {_rate(figures.prefill_tps)}"),),
            (Span(f"ITL {itl}"),),
            (Span(cost),),
        ]


class CompareColumn(Vertical):
    """Two lines of title, a transcript, four lines of figures."""

    DEFAULT_CSS = """
    CompareColumn { width: 1fr; height: 1fr; }
    CompareColumn.-later { border-left: solid $primary; }
    CompareColumn .title { height: 1; text-wrap: nowrap; text-overflow: ellipsis; text-style: bold; }
    CompareColumn .traits { height: 1; text-wrap: nowrap; text-overflow: ellipsis; color: $text-muted; }
    CompareColumn.-current .title { color: $background; background: $primary; }
    CompareColumn.-current:ansi .title { color: ansi_default; background: ansi_default; text-style: bold reverse; }
    """

    def __init__(self) -> None:
        super().__init__()
        # Held, not queried: work that is cut off when the app ends may still speak to them.
        self._title = Static(classes="title", markup=False)
        self._traits = Static(classes="traits", markup=False)
        self.transcript = Transcript()
        self.panel = ColumnFiguresPanel()

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self._title
        yield self._traits
        yield self.transcript
        yield self.panel

    @property
    def heading(self) -> str:
        """Both lines of the title, for tests."""
        return f"{self._title.content}\n{self._traits.content}"

    def set_title(self, title: str, traits: str, *, current: bool) -> None:
        """Say whose column it is, and whether keys speak to it."""
        # The mark tells it without colour too.
        self._title.update(Content(f"{'>' if current else ' '} {plain_line(title)}"))
        self._traits.update(Content(f"  {plain_line(traits)}"))
        self.set_class(current, "-current")


def _rate(tps: float | None) -> str:
    return MISSING if tps is None else f"{tps:.1f} tok/s"
