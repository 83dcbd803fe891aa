"""Where a prompt is written: enter sends it, and earlier prompts come back with the arrow keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from edgetui.core.pasted_text import PastedTexts
from edgetui.core.plain_text import plain_text

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType
    from textual.document._edit import Edit
    from textual.widgets.text_area import EditResult, Location


class PromptInput(TextArea):
    """A few lines of text with a history; a long text that is pasted stands there as a label with its size."""

    class Submitted(Message):
        """Enter was pressed on a text that is not blank; it is still in the input."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    DEFAULT_CSS = """
    PromptInput {
        width: 1fr; height: auto; min-height: 1; max-height: 6; padding: 0; border: none; background: $background;
        scrollbar-size-vertical: 1;
        &:focus { border: none; }
        .text-area--cursor-line { background: transparent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, compact=True, highlight_cursor_line=False, show_line_numbers=False)
        self.cursor_blink = False
        self._history: list[str] = []
        self._shown = 0
        """Which of the history is shown; its length stands for the draft."""
        self._draft = ""
        self._pasted = PastedTexts()

    @property
    def full_text(self) -> str:
        """What was written, with what the labels stand for."""
        return self._pasted.expand(self.text)

    def remember(self, text: str) -> None:
        """Put a prompt into the history and empty the input."""
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        self._shown = len(self._history)
        self._draft = ""
        self.text = ""
        self._pasted.forget()

    def restore(self, text: str) -> None:
        """Give a prompt back that could not be sent, unless something else was written meanwhile."""
        if not self.text:
            self.put(text)

    async def _on_key(self, event: events.Key) -> None:
        """Enter takes its turn behind the characters before it; as a priority binding it would overtake them."""
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_submit()
        else:
            await super()._on_key(event)

    def action_submit(self) -> None:
        """Enter."""
        if self.text.strip():
            self.post_message(self.Submitted(self.full_text))

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        """Up on the first line goes back in the history."""
        if not select and self.cursor_at_first_line and self._shown > 0:
            if self._shown == len(self._history):
                self._draft = self.text
            self._shown -= 1
            self.put(self._history[self._shown])
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down on the last line goes forward in the history."""
        if not select and self.cursor_at_last_line and self._shown < len(self._history):
            self._shown += 1
            self.put(self._draft if self._shown == len(self._history) else self._history[self._shown])
        else:
            super().action_cursor_down(select)

    async def _on_paste(self, event: events.Paste) -> None:
        """Pasted text may hold controls, which must not reach the terminal."""
        event.stop()
        event.prevent_default()
        self.insert(self._pasted.shorten(plain_text(event.text.replace("\r\n", "\n").replace("\r", "\n"))))

    def edit(self, edit: Edit) -> EditResult:
        """Change a label as a whole or not at all."""
        start, end = sorted((edit.from_location, edit.to_location))
        whole_start, whole_end = self._whole(start, end)
        if (whole_start, whole_end) != (start, end):
            edit = type(edit)(edit.text, whole_start, whole_end, edit.maintain_selection_offset)
        return super().edit(edit)

    def _whole(self, start: Location, end: Location) -> tuple[Location, Location]:
        first, last = self.document.get_line(start[0]), self.document.get_line(end[0])
        if start[0] == end[0]:
            columns = self._pasted.whole_span(first, start[1], end[1])
            return (start[0], columns[0]), (end[0], columns[1])
        begin, _ = self._pasted.whole_span(first, start[1], len(first) + 1)
        _, finish = self._pasted.whole_span(last, -1, end[1])
        return (start[0], begin), (end[0], finish)

    def put(self, text: str) -> None:
        """Replace what is written; a long text stands there as its label."""
        self.text = self._pasted.shorten(text)
        self.move_cursor(self.document.end)
