"""The conversation on the screen: text that grows at its end, drawn with as little as possible.

Only the last line is wrapped again when tokens arrive and only its row is repainted; the view moves on by part of a
page, since every scrolled line would repaint all rows.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from edgetui.core.plain_text import plain_text
from edgetui.core.text_wrap import WrappedText

if TYPE_CHECKING:
    from textual import events

BlockKind = Literal["user", "answer", "note"]

_PREFIXES: dict[BlockKind, tuple[str, str]] = {"user": ("> ", "  "), "answer": ("", ""), "note": ("- ", "  ")}
"""What stands before a block's first line and before its others; they tell blocks apart without colour."""
_STYLES: dict[BlockKind, str] = {"user": "transcript--user", "answer": "", "note": "transcript--note"}


class _Block:
    def __init__(self, kind: BlockKind, first_line: int, width: int, text: str) -> None:
        self.kind = kind
        self.first_line = first_line
        self.prefixes = _PREFIXES[kind]
        self.wrapped = WrappedText(width - len(self.prefixes[0]), text)

    @property
    def end_line(self) -> int:
        """The line after its last."""
        return self.first_line + len(self.wrapped.lines)

    def shown(self, line: int) -> str:
        """Text of one of its lines, counted from its first."""
        return self.prefixes[line > 0] + self.wrapped.lines[line]


class _Row(NamedTuple):
    text: str
    style: str
    """Component class, empty for the widget's own style."""


class Transcript(ScrollView, can_focus=True):
    """Blocks of text, one blank line between them; follows its end until the person scrolls back.

    Scrolled back, it shows in its last column where in the conversation it is. A scrollbar of Textual's would be
    painted anew, beside a whole layout, each time the view moves on.
    """

    DEFAULT_CSS = """
    Transcript {
        width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size: 0 0;
        background: $background; color: $foreground;
        .transcript--user { text-style: bold; color: $text-accent; }
        .transcript--note { text-style: italic; color: $text-muted; }
        &:ansi .transcript--note { color: ansi_default; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"transcript--user", "transcript--note"}
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._blocks: list[_Block] = []
        self._width = 80
        self._following = True
        self._hint = WrappedText(self._width)
        self._painted: dict[int, _Row] = {}
        """What stands in each row of the view."""

    # --- content ------------------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said yet."""
        return not self._blocks

    @property
    def line_count(self) -> int:
        """Lines of text, blank ones between blocks included."""
        return self._blocks[-1].end_line if self._blocks else 0

    @property
    def following(self) -> bool:
        """Whether the view moves on as text is added."""
        return self._following

    def set_hint(self, text: str) -> None:
        """What stands here while nothing was said yet."""
        self._hint = WrappedText(self._width, plain_text(text))
        self._repaint()

    def add_block(self, kind: BlockKind, text: str = "") -> None:
        """Begin a new block; `append` adds to it. The person's own words bring the view back to the end."""
        first_line = self.line_count + 1 if self._blocks else 0
        self._blocks.append(_Block(kind, first_line, self._width, plain_text(text)))
        if kind == "user":
            self._following = True
        self._grow()

    def append(self, text: str) -> None:
        """Add text to the last block."""
        self._blocks[-1].wrapped.append(plain_text(text))
        self._grow()

    def clear_blocks(self) -> None:
        """Begin anew."""
        self._blocks.clear()
        self._following = True
        self._set_height(0)
        self._scroll_to_line(0)
        self._repaint()

    def text_of(self, kind: BlockKind) -> list[str]:
        """Text of every block of a kind, in order."""
        return [block.wrapped.text for block in self._blocks if block.kind == kind]

    def line(self, number: int) -> str:
        """What one line shows."""
        block = self._block_of(number)
        return block.shown(number - block.first_line) if block is not None else ""

    # --- drawing ------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One row of the view."""
        row = self._painted[y] = self._wanted(y)
        style = self.get_component_rich_style(row.style) if row.style else self.rich_style
        # One segment a row: each costs its style's control sequence.
        text = row.text + " " * (self.size.width - cell_len(row.text))
        return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, style)

    def on_resize(self, _event: events.Resize) -> None:
        """Lay out anew and keep what the person looks at."""
        self._painted.clear()
        width = max(4, self.size.width - 1)
        if width != self._width:
            self._width = width
            self._hint.rewrap(width)
            anchor = self._block_of(self._top)
            offset = anchor.wrapped.start_of(self._top - anchor.first_line) if anchor is not None else 0
            first_line = 0
            for block in self._blocks:
                block.first_line = first_line
                block.wrapped.rewrap(width - len(block.prefixes[0]))
                first_line = block.end_line + 1
            if anchor is not None and not self._following:
                self._set_height(max(self.line_count, self._rows))
                self._scroll_to_line(anchor.first_line + anchor.wrapped.line_at(offset))
        if self._following:
            self._set_height(max(self.line_count, self._rows))
            self._scroll_to_line(self.line_count - self._rows)
        self.refresh()

    def watch_scroll_y(self, _old_value: float, new_value: float) -> None:
        """Follow again once the end of the text is in view."""
        self._following = round(new_value) >= self.line_count - self._rows
        self._repaint()

    # --- inside -------------------------------------------------------------------------------------------

    @property
    def _rows(self) -> int:
        return max(1, self.size.height)

    @property
    def _top(self) -> int:
        return round(self.scroll_y)

    def _block_of(self, number: int) -> _Block | None:
        """The block that a line belongs to; None for lines between and after blocks."""
        index = bisect_right(self._blocks, number, key=lambda block: block.first_line) - 1
        if index < 0 or number >= self._blocks[index].end_line:
            return None
        return self._blocks[index]

    def _grow(self) -> None:
        """Show what was added, moving on when it does not fit."""
        if self._following and self.line_count > self._top + self._rows:
            # Room for more than is needed now: the view then stands still while that fills up.
            self._set_height(self.line_count + self._rows * 2 // 3)
            self._scroll_to_line(self.virtual_size.height - self._rows)
        elif self.line_count > self.virtual_size.height:
            self._set_height(self.line_count)
        self._repaint()

    def _repaint(self) -> None:
        """Repaint the rows that differ from what stands there, as far as either has text."""
        for y in range(self._rows):
            wanted = self._wanted(y)
            painted = self._painted.get(y)
            if painted is None:
                self.refresh(Region(0, y, self.size.width, 1))
            elif wanted != painted:
                self.refresh(Region(0, y, max(cell_len(wanted.text), cell_len(painted.text)), 1))

    def _wanted(self, y: int) -> _Row:
        number = self._top + y
        text, style = "", ""
        block = self._block_of(number)
        if block is not None:
            text = block.shown(number - block.first_line)
            style = _STYLES[block.kind]
        elif self.is_empty and y < len(self._hint.lines):
            text = self._hint.lines[y]
            style = _STYLES["note"]
        if not self._following:
            text += " " * (self._width - cell_len(text)) + self._mark(y)
        return _Row(text, style)

    def _mark(self, y: int) -> str:
        """The last column of a row while scrolled back: where in the text the view is."""
        first = self._top * self._rows // self.line_count
        last = (self._top + self._rows) * self._rows // self.line_count
        return "#" if first <= y <= last else "|"

    def _set_height(self, height: int) -> None:
        # What could be scrolled to concerns nobody else: no layout.
        self.set_reactive(Widget.virtual_size, Size(self._width, height))

    def _scroll_to_line(self, number: int) -> None:
        self.scroll_to(y=number, animate=False, force=True)
