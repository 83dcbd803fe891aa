"""What dialogs of one line have in common: they stay open, with the sentence under the field, until it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from edgetui.core.failures import EdgetuiError
from edgetui.core.plain_text import plain_line
from edgetui.screens.steady import Steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

T = TypeVar("T")


class LineDialog(Steady, ModalScreen["T | None"], Generic[T]):
    """`push_screen_wait` gives what `take` made of the line, None when it was left.

    `take` raises `EdgetuiError` for a line that cannot be used; what was typed then stays, to be mended.
    """

    DEFAULT_CSS = """
    LineDialog .problem { display: none; height: auto; color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]
    AUTO_FOCUS = "Input"

    def __init__(self, title: str, field: Input, take: Callable[[str], Awaitable[T]], about: str = "") -> None:
        super().__init__()
        self._title = title
        self._field = field
        self._take = take
        self._about = about
        self._taking = False
        field.cursor_blink = False

    def compose(self) -> ComposeResult:
        """Title, field, what is wrong with it, what becomes of it."""
        with Vertical(classes="dialog"):
            yield Static(Content(plain_line(self._title)), classes="dialog-title")
            yield self._field
            yield Static(classes="problem", markup=False)
            if self._about:
                yield Static(Content(self._about), classes="muted")

    def on_input_changed(self) -> None:
        """What was said of a line does not hold for another."""
        self._say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter; an empty line stays in the dialog, and a second enter waits for what the first one does."""
        line = event.value.strip()
        if line and not self._taking:
            self._taking = True
            self.run_worker(self._settle(line), group="take")

    async def _settle(self, line: str) -> None:
        try:
            taken = await self._take(line)
        except EdgetuiError as error:
            self._say(str(error))
        else:
            self.dismiss(taken)
        finally:
            self._taking = False

    def _say(self, sentence: str) -> None:
        # Work that fails while the dialog is left finds no line any more.
        for line in self.query(".problem").results(Static):
            line.update(Content(plain_line(sentence)))
            line.display = bool(sentence)
