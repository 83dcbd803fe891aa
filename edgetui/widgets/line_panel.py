"""A block of styled lines that repaints only the lines that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from edgetui.core.plain_text import plain_line

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events
    from textual.geometry import Size


class Span(NamedTuple):
    """A piece of a line; `tone` names one of the panel's styles, empty for plain."""

    text: str
    tone: str = ""


Line = tuple[Span, ...]


class LinePanel(Widget):
    """Subclasses implement `layout_lines`, and call `update_lines` when what they show may have changed."""

    DEFAULT_CSS = """
    LinePanel {
        width: 1fr; height: auto;
        .line-panel--label { text-style: bold; color: $text-primary; }
        .line-panel--muted { color: $text-muted; }
        .line-panel--bar { color: $text-accent; }
        .line-panel--track { color: $text-disabled; }
        .line-panel--good { color: $text-success; }
        .line-panel--warn { color: $text-warning; }
        .line-panel--error { color: $text-error; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-panel--label",
        "line-panel--muted",
        "line-panel--bar",
        "line-panel--track",
        "line-panel--good",
        "line-panel--warn",
        "line-panel--error",
    }
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self._laid_out_for = -1

    @property
    def text(self) -> str:
        """The lines as they stand on the screen, for tests and for copying."""
        return "\n".join("".join(span.text for span in line).rstrip() for line in self._lines)

    def layout_lines(self, width: int) -> list[Line]:
        """What to show in `width` cells."""
        raise NotImplementedError

    def update_lines(self) -> None:
        """Lay out anew and repaint what differs."""
        if not self.is_attached:
            return
        width = self._laid_out_for
        if width < 0:
            # Not laid out yet: the first layout asks for the lines itself.
            return
        before = self._lines
        self._lay_out(width)
        if len(before) != len(self._lines):
            self.refresh(layout=True)
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        self._lay_out(width)
        return len(self._lines)

    def on_resize(self, event: events.Resize) -> None:
        """Another layout for another width."""
        if event.size.width != self._laid_out_for:
            self._lay_out(event.size.width)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line, cut at the panel's edge."""
        width = self.size.width
        plain = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, plain)
        segments = [Segment(span.text, self._style(span.tone, plain)) for span in self._lines[y]]
        return Strip(segments).adjust_cell_length(width, plain)

    def _style(self, tone: str, plain: Style) -> Style:
        return self.get_component_rich_style(f"line-panel--{tone}") if tone else plain

    def _lay_out(self, width: int) -> None:
        self._laid_out_for = width
        # Names of disks, sensors and devices come from outside: nothing in them may act on the terminal.
        self._lines = [
            tuple(span if span.text.isprintable() else Span(plain_line(span.text), span.tone) for span in line)
            for line in self.layout_lines(width)
        ]
