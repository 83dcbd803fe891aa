"""Settings with their values, one a line, and what each means where there is room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_NOTE = 20
"""Of a note cut shorter nothing is understood."""


class Setting(NamedTuple):
    """One line."""

    label: str
    value: str
    note: str


class SettingsPanel(LinePanel):
    """`show` replaces the settings."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._settings: Sequence[Setting] = ()

    def show(self, settings: Sequence[Setting]) -> None:
        """Show these."""
        self._settings = settings
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Label, value, note; notes are left out where they would be cut to nothing."""
        labels = max((len(each.label) for each in self._settings), default=0) + 2
        values = max((len(each.value) for each in self._settings), default=0) + 2
        room = width - labels - values
        lines: list[Line] = []
        for each in self._settings:
            line: Line = (Span(each.label.ljust(labels), "label"), Span(each.value.ljust(values)))
            lines.append((*line, Span(each.note[:room], "muted")) if room >= _LEAST_NOTE else line)
        return lines
