"""An answer as its tokens, one of them marked; unlikely ones stand out by underline and weight."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from edgetui.core.inspection import UNLIKELY, VERY_UNLIKELY
from edgetui.core.plain_text import plain_text
from edgetui.core.text_wrap import WrappedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.binding import BindingType

    from edgetui.core.inspection import InspectedToken

_MARKED = Style(reverse=True)


class TokenFlow(ScrollView, can_focus=True):
    """Walk an answer token by token, by words, by lines, or from one unlikely token to the next."""

    class Marked(Message):
        """Another token is marked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    DEFAULT_CSS = """
    TokenFlow {
        width: 1fr; height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1;
        .token-flow--unlikely { text-style: underline; color: $text-warning; }
        .token-flow--very-unlikely { text-style: bold underline; color: $text-error; }
        .token-flow--sign { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "token-flow--unlikely",
        "token-flow--very-unlikely",
        "token-flow--sign",
    }
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "Token back", show=False),
        Binding("right,l", "step(1)", "Token on", key_display="←→", id="tokens.step"),
        Binding("up,k", "line(-1)", "Line back", show=False),
        Binding("down,j", "line(1)", "Line on", show=False),
        Binding("b,ctrl+left", "word(-1)", "Word back", show=False),
        Binding("w,ctrl+right", "word(1)", "Word on", id="tokens.word"),
        Binding("n", "unlikely(1)", "Next unlikely", id="tokens.unlikely"),
        Binding("N,p", "unlikely(-1)", "Unlikely before", show=False),
        Binding("home", "go(0)", "First", show=False),
        Binding("end", "go(-1)", "Last", show=False),
        Binding("pageup", "line(-10)", "Page back", show=False),
        Binding("pagedown", "line(10)", "Page on", show=False),
    ]

    def __init__(self, tokens: Sequence[InspectedToken]) -> None:
        super().__init__()
        self.tokens = tokens
        self.index = 0
        """The marked token."""
        self._starts: list[int] = []
        """Where in the text each token begins."""
        text = ""
        for token in tokens:
            self._starts.append(len(text))
            # A token of line ends alone must be seen too.
            text += plain_text(token.text).replace("\n", "\N{RETURN SYMBOL}\n").replace("\t", "  ") or "\N{MIDDLE DOT}"
        self._starts.append(len(text))
        self._wrapped = WrappedText(80, text)

    def on_mount(self) -> None:
        """Know the size."""
        self.virtual_size = Size(self.size.width, len(self._wrapped.lines))

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap anew; the marked token stays in view."""
        self._wrapped.rewrap(max(2, self.scrollable_content_region.width))
        self.virtual_size = Size(self.size.width, len(self._wrapped.lines))
        self.refresh()
        self._bring_into_view()

    def render_line(self, y: int) -> Strip:
        """A line of tokens."""
        number = y + round(self.scroll_y)
        width = self.size.width
        if number >= len(self._wrapped.lines):
            return Strip.blank(width, self.rich_style)
        line, start = self._wrapped.lines[number], self._wrapped.start_of(number)
        segments = []
        index = bisect_right(self._starts, start) - 1
        position = start
        while position < start + len(line):
            end = min(self._starts[index + 1], start + len(line))
            text = line[position - start : end - start]
            if text:
                segments.append(Segment(text, self._style_of(index)))
            position, index = max(end, position), index + 1
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    # --- keys ---------------------------------------------------------------------------------------------

    def action_step(self, step: int) -> None:
        """The token beside."""
        self._mark(self.index + step)

    def action_go(self, index: int) -> None:
        """A token by its number, from the end when negative."""
        self._mark(index % max(1, len(self.tokens)))

    def action_word(self, step: int) -> None:
        """The next token that begins a word."""
        index = self.index + step
        while 0 < index < len(self.tokens) and not self._begins_word(index):
            index += step
        self._mark(index)

    def action_unlikely(self, step: int) -> None:
        """The next token that was less likely than all others together."""
        index = self.index + step
        while 0 <= index < len(self.tokens):
            if self.tokens[index].probability < UNLIKELY:
                self._mark(index)
                return
            index += step

    def action_line(self, lines: int) -> None:
        """The token above or below."""
        line = self._line_of(self.index)
        column = cell_len(self._wrapped.lines[line][: self._starts[self.index] - self._wrapped.start_of(line)])
        target = min(max(0, line + lines), len(self._wrapped.lines) - 1)
        if target == line:
            return
        offset, cells = self._wrapped.start_of(target), 0
        for char in self._wrapped.lines[target]:
            cells += cell_len(char)
            if cells > column:
                break
            offset += 1
        self._mark(min(bisect_right(self._starts, offset) - 1, len(self.tokens) - 1))

    # --- inside -------------------------------------------------------------------------------------------

    def _mark(self, index: int) -> None:
        index = min(max(0, index), len(self.tokens) - 1)
        if index == self.index or not self.tokens:
            return
        before, self.index = self.index, index
        for each in (before, index):
            first, last = self._line_of(each), self._wrapped.line_at(self._starts[each + 1] - 1)
            self.refresh(Region(0, first - round(self.scroll_y), self.size.width, last - first + 1))
        self._bring_into_view()
        self.post_message(self.Marked(index))

    def _bring_into_view(self) -> None:
        line, rows = self._line_of(self.index), max(1, self.size.height)
        top = round(self.scroll_y)
        if not top <= line < top + rows:
            self.scroll_to(y=max(0, line - rows // 2), animate=False, immediate=True)

    def _line_of(self, index: int) -> int:
        return self._wrapped.line_at(self._starts[index])

    def _begins_word(self, index: int) -> bool:
        return self.tokens[index].text[:1].isspace() or self.tokens[index - 1].text[-1:].isspace()

    def _style_of(self, index: int) -> Style:
        probability = self.tokens[index].probability
        style = self.rich_style
        if probability < VERY_UNLIKELY:
            style += self.get_component_rich_style("token-flow--very-unlikely")
        elif probability < UNLIKELY:
            style += self.get_component_rich_style("token-flow--unlikely")
        return style + _MARKED if index == self.index else style
