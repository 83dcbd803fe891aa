"""Every figure of an answer at its full length, with the reason where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from edgetui.core.plain_text import plain_line
from edgetui.core.run_figures import figure_rows
from edgetui.core.units import format_rate
from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from edgetui.core.run_figures import RunFigures


class FiguresDialog(Steady, ModalScreen[None]):
    """The figures as they were when it was opened."""

    DEFAULT_CSS = """
    FiguresDialog .dialog { max-height: 100%; }
    FiguresDialog Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f,enter", "dismiss(None)", "Close")]

    def __init__(self, figures: RunFigures) -> None:
        super().__init__()
        self._figures = figures

    def compose(self) -> ComposeResult:
        """A line a figure."""
        with VerticalScroll(classes="dialog"):
            yield Static(Content("Figures of this answer: esc closes"), classes="dialog-title")
            yield Static(Content(self.text))

    @property
    def text(self) -> str:
        """What it says."""
        lines = [f"{'DECODE':<14}{format_rate(self._figures.decode_tps)}"]
        for row in figure_rows(self._figures, roomy=True):
            value = f"{row.value}  {row.reason}" if row.reason else row.value
            lines.append(f"{row.label:<14}{plain_line(value)}")
        return "\n".join(lines)
