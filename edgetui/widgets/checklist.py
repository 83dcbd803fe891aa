"""The lines of a checklist with a cursor: state by sign, word and colour, then what was found and what is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from edgetui.core.plain_text import plain_line
from edgetui.core.terminal import draws_unicode
from edgetui.widgets.line_panel import Line, LinePanel, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.binding import BindingType

    from edgetui.core.readiness import Check

_WORDS = {
    # state: word, sign, sign in ASCII, tone
    "ok": ("ok", "\N{CHECK MARK}", "+", "good"),
    "warn": ("warn", "!", "!", "warn"),
    "fail": ("fail", "\N{BALLOT X}", "x", "error"),
    "unknown": ("unknown", "?", "?", "warn"),
    "skip": ("skipped", "-", "-", "muted"),
}
_PENDING = ("checking", ".", ".", "muted")
_NEEDED_FROM = 110
"""Width from which what is needed has a column of its own."""
_NEEDED_WIDTH = 44


def state_text(check: Check | None, *, unicode: bool) -> str:
    """Sign and word of a state; None is one that is still being found out."""
    word, sign, ascii_sign, _ = _WORDS[check.state] if check else _PENDING
    return f"{sign if unicode else ascii_sign} {word}"


class Checklist(LinePanel, can_focus=True):
    """One row a check, in a fixed order, filled in as results come."""

    class Marked(Message):
        """The cursor is on another row, or its row was filled in."""

        def __init__(self, check: Check | None) -> None:
            super().__init__()
            self.check = check

    COMPONENT_CLASSES: ClassVar[set[str]] = {"checklist--cursor"}
    DEFAULT_CSS = """
    Checklist {
        .checklist--cursor { background: $panel; text-style: bold; }
        &:ansi .checklist--cursor { background: ansi_default; text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("home", "move(-100)", "First", show=False),
        Binding("end", "move(100)", "Last", show=False),
    ]

    def __init__(
        self,
        titles: dict[str, str],
        groups: Mapping[str, str] | None = None,
        *,
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:
        """`groups` gives the heading that a key stands under, for keys that follow each other."""
        super().__init__(id=id)
        self._groups = groups or {}
        self._titles: dict[str, str] = {}
        self._keys: list[str] = []
        self._rows: list[str] = []
        self._take(titles)
        self._checks: dict[str, Check] = {}
        self._cursor = 0
        self._unicode = draws_unicode()

    @property
    def marked(self) -> Check | None:
        """The check under the cursor, None while it runs."""
        return self._checks.get(self._keys[self._cursor])

    @property
    def at_start(self) -> bool:
        """Whether the cursor is where it began."""
        return self._cursor == 0

    def clear(self, titles: Mapping[str, str] | None = None) -> None:
        """These rows, or all, are being checked again; new ones are added at the end."""
        for key in list(self._checks) if titles is None else titles:
            self._checks.pop(key, None)
        if titles is not None:
            self._take({**self._titles, **titles})
        self._changed()

    def _take(self, titles: Mapping[str, str]) -> None:
        self._titles = dict(titles)
        self._keys = list(titles)
        self._rows = []
        heading = ""
        for key in self._keys:
            if self._groups.get(key, "") != heading:
                heading = self._groups.get(key, "")
                self._rows.append("")
            self._rows.append(key)

    def put(self, check: Check) -> None:
        """Fill in a row."""
        self._checks[check.key] = check
        self._changed(check.key)

    def mark(self, key: str) -> None:
        """Put the cursor on a row."""
        self.action_move(self._keys.index(key) - self._cursor)

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        before, self._cursor = self._cursor, min(max(self._cursor + rows, 0), len(self._keys) - 1)
        if before != self._cursor:
            self._changed(self._keys[self._cursor])
            # Rows that were added just now have no place yet.
            self.call_after_refresh(self._scroll_to_cursor)

    def reveal(self, first: str, last: str) -> None:
        """Scroll so that these rows are seen, and what stands between them, the first one whatever happens."""
        self.call_after_refresh(self._scroll_to_rows, self._rows.index(first), self._rows.index(last))

    def _scroll_to_cursor(self) -> None:
        self._scroll_to_rows(self._cursor_row, self._cursor_row)

    def _scroll_to_rows(self, row: int, last: int) -> None:
        if isinstance(self.parent, Widget):
            # With its heading, where that stands right above.
            top = row - 1 if row and not self._rows[row - 1] else row
            self.parent.scroll_to_region(Region(0, top, 1, last - top + 1), animate=False)

    @property
    def _cursor_row(self) -> int:
        return self._rows.index(self._keys[self._cursor])

    def on_click(self, event: events.Click) -> None:
        """A click marks a row."""
        if 0 <= event.y < len(self._rows) and self._rows[event.y]:
            self.mark(self._rows[event.y])

    def layout_lines(self, width: int) -> list[Line]:
        """One line a check, cut to the width."""
        title_width = max(len(title) for title in self._titles.values()) + 2
        needed_width = _NEEDED_WIDTH if width >= _NEEDED_FROM else 0
        found_width = max(8, width - 2 - 10 - title_width - needed_width)
        lines: list[Line] = []
        for row, key in enumerate(self._rows):
            if key:
                lines.append(self._row(self._keys.index(key), key, title_width, found_width, needed_width))
            else:
                lines.append((Span(self._groups[self._rows[row + 1]], "label"),))
        return lines

    def render_line(self, y: int) -> Strip:
        """The cursor's row stands out."""
        strip = super().render_line(y)
        if y == self._cursor_row:
            cursor = self.get_component_rich_style("checklist--cursor", partial=True)
            strip = Strip(Segment.apply_style(strip, post_style=cursor), strip.cell_length)
        return strip

    def _row(self, index: int, key: str, title_width: int, found_width: int, needed_width: int) -> Line:
        check = self._checks.get(key)
        tone = (_WORDS[check.state] if check else _PENDING)[3]
        line = [
            Span("> " if index == self._cursor else "  "),
            Span(state_text(check, unicode=self._unicode).ljust(11), tone),
            Span(self._titles[key].ljust(title_width)),
            Span(_cut(check.found if check else "", found_width - 1)),
        ]
        if needed_width:
            line.append(Span(f" {_cut(check.needed if check else '', needed_width - 1)}", "muted"))
        return tuple(line)

    def _changed(self, key: str | None = None) -> None:
        self.update_lines()
        if key is None or key == self._keys[self._cursor]:
            self.post_message(self.Marked(self.marked))


def _cut(text: str, cells: int) -> str:
    """Text in just so many cells, with dots where it was cut."""
    text = plain_line(text)
    if cell_len(text) > cells:
        text = set_cell_size(text, max(1, cells - 2)) + ".."
    return set_cell_size(text, cells)
