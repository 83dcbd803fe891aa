"""Labels with text beside them, wrapped; and the pieces that other panels lay lines out with."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from edgetui.core.units import MISSING
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL_WIDTH = 9


class FactsPanel(LinePanel):
    """Facts that seldom change; an empty label continues the one before."""

    def __init__(self, facts: Sequence[tuple[str, str]] = (), *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._facts = tuple(facts)

    def show(self, facts: Sequence[tuple[str, str]]) -> None:
        """Replace the facts."""
        self._facts = tuple(facts)
        self.update_lines()

    def layout_lines(self, width: int) -> list[Line]:
        """Each fact on as many lines as it needs."""
        return fact_lines(self._facts, width)


def fact_lines(facts: Sequence[tuple[str, str]], width: int) -> list[Line]:
    """Each fact on as many lines as it needs; one that is missing stands back."""
    return [
        line
        for label, text in facts
        for line in labelled(label, text, width, "muted" if text.startswith(f"{MISSING} ") else "")
    ]


def labelled(label: str, text: str, width: int, tone: str = "") -> list[Line]:
    """A label and its text, wrapped beside it."""
    lines: list[Line] = []
    for part in wrap(text, max(10, width - LABEL_WIDTH), break_on_hyphens=False) or [""]:
        lines.append((Span(("" if lines else label).ljust(LABEL_WIDTH), "label"), Span(part, tone)))
    return lines
